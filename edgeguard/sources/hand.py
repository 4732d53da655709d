"""The thread that holds a camera: opens it, takes its pictures, opens it again. It alone may call the driver.

It can hang at any call, so nobody waits for it; once retired it delivers nothing more.
"""

from __future__ import annotations

import os
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from edgeguard.errors import SourceError
from edgeguard.sources.device import Stamps
from edgeguard.types import Frame

if TYPE_CHECKING:
    from edgeguard.sources.device import Device, Taken

T = TypeVar("T")

FIRST_RETRY = 0.1
"""Pause before the first attempt to get a lost camera back (s); it doubles from there."""
SLOWEST_RETRY = 5.0
"""Longest pause between two attempts to get a lost camera back (s)."""
MOST_FAILURES = 3
"""So many failed reads in a row, and the camera is opened again: one damaged picture is no reason."""


class Backoff:
    """Pauses that double up to a limit, each shortened by chance: cameras that failed together retry apart."""

    def __init__(self) -> None:
        self._pause = FIRST_RETRY

    def next(self) -> float:
        """Return how long to wait now (s), between half of the pause and all of it."""
        pause, self._pause = self._pause, min(2.0 * self._pause, SLOWEST_RETRY)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads attempts, guards nothing

    def reset(self) -> None:
        """Begin anew: the camera is back."""
        self._pause = FIRST_RETRY


class Hand:
    """One thread with one device at a time."""

    def __init__(
        self,
        open_device: Callable[[], Device],
        *,
        numbers: Iterator[int],
        clock: Callable[[], float],
        name: str,
        cpus: set[int],
    ) -> None:
        """`numbers`: the camera's frame numbers, which go on from thread to thread. `cpus`: those it may run on.

        Raises: RuntimeError when the system has no thread left.
        """
        self.trouble = ""
        self.refused = ""
        """Why the first attempt to open it failed; empty when it did not."""
        self.settled = threading.Event()
        """The first attempt to open it is over."""
        self._open = open_device
        self._numbers = numbers
        self._clock = clock
        self._name = name
        self._slot: deque[Frame] = deque(maxlen=1)
        self._busy_since: float | None = clock()
        self._retired = threading.Event()
        self._cpus = cpus
        self.thread = threading.Thread(target=self._work, name=f"camera {name}", daemon=True)
        self.thread.start()

    def newest(self) -> Frame | None:
        """Take the frame out of the slot. From another thread: it is one step of the interpreter, without a lock."""
        try:
            return self._slot.pop()
        except IndexError:
            return None

    def waiting(self, now: float) -> float:
        """How long the driver has not given the thread back (s)."""
        since = self._busy_since
        return 0.0 if since is None else now - since

    def retire(self) -> None:
        """Let go of the device and end, as soon as the driver allows it."""
        self._retired.set()

    def _work(self) -> None:
        _spread_over(self._cpus)
        pauses = Backoff()
        while not self._retired.is_set():
            stamps = Stamps(self._clock)
            device = self._call(self._open, "cannot be opened")
            if not self.settled.is_set():
                self.refused = self.trouble if device is None else ""
                self.settled.set()
            if device is not None:
                self._take_from(device, stamps, pauses)
                self._call(device.release, "does not let go")
            self._retired.wait(pauses.next())

    def _take_from(self, device: Device, stamps: Stamps, pauses: Backoff) -> None:
        """Take pictures until they fail too often."""
        failures = 0
        while failures < MOST_FAILURES and not self._retired.is_set():
            taken = self._call(partial(self._read, device), "fails")
            frame = None if taken is None else self._frame(taken, stamps)
            if frame is None:
                failures += 1
                self._retired.wait(FIRST_RETRY / 10.0)
                continue
            failures = 0
            pauses.reset()
            self.trouble = ""
            self._slot.append(frame)

    def _read(self, device: Device) -> Taken:
        taken = device.read()
        if taken is None:
            raise SourceError(f"the camera `{self._name}` gives no picture")
        return taken

    def _frame(self, taken: Taken, stamps: Stamps) -> Frame | None:
        """Number and time a picture. None, with the reason in `trouble`, for what is no new picture."""
        at = stamps.time_of(taken.stamp, self._clock())
        if at is None:
            self.trouble = f"the camera `{self._name}` repeats its last picture"
            return None
        return Frame(taken.image, next(self._numbers), at)

    def _call(self, action: Callable[[], T], complaint: str) -> T | None:
        """Call the driver and note since when. What it raises is trouble, never the end of the thread."""
        self._busy_since = self._clock()
        try:
            return action()
        except SourceError as error:
            self.trouble = str(error)
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            self.trouble = f"the camera `{self._name}` {complaint}: {_first_line(error)}"
        finally:
            self._busy_since = None
        return None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "the driver gives no reason"


def _spread_over(cpus: set[int]) -> None:
    """Leave the CPUs of the control loop, which a new thread inherits, for those the process was given."""
    try:
        os.sched_setaffinity(0, cpus)
    except OSError:  # a CPU has gone meanwhile: then where the system puts it
        return
