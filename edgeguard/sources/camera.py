"""A camera as a source: a thread of its own takes the pictures, and is replaced when the driver holds it for good.

`poll` waits for nothing and raises nothing. The thread that calls the driver shares with it one slot for one frame.
"""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING

from edgeguard.errors import SourceError
from edgeguard.sources.hand import Hand
from edgeguard.types import Frame

if TYPE_CHECKING:
    from edgeguard.sources.device import Device

SILENCE = 1.0
"""After so long without an answer of the driver it shows as trouble (s)."""
PATIENCE = 12.0
"""After so long without an answer of the driver its thread is given up and another opens the camera again (s); longer
than the time limits that drivers have themselves."""
MOST_STUCK = 3
"""So many threads at once may hang in a driver; only then another is worth starting."""


class CameraSource:
    """The newest picture of a camera; a lost camera is opened again and again, a hung one by another thread."""

    def __init__(
        self,
        open_device: Callable[[], Device],
        *,
        name: str,
        clock: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE,
    ) -> None:
        """`open_device` is called by the camera's own thread, whenever it has to be opened.

        `clock`: the one that `poll` is called with; frames carry their time of capture on it. `patience`: after so long
        without an answer the thread is replaced (s).

        Raises: SourceError when the camera cannot be opened, or does not answer within `patience`.
        """
        self.name = name
        self.ended = False
        self.trouble = ""
        self.taken = 0
        """Frames handed out."""
        self.dropped = 0
        """Pictures that a newer one replaced before anybody asked: what the loop was too slow for."""
        self.replaced = 0
        """Threads that hung in the driver and were given up."""
        self._open = open_device
        self._clock = clock
        self._patience = patience
        self._numbers: Iterator[int] = count()
        self._cpus = os.sched_getaffinity(0)
        self._last = -1
        self._stuck: list[Hand] = []
        self._hand = self._start()
        if not self._hand.settled.wait(patience):
            self._hand.retire()
            message = (
                f"the camera `{name}` does not answer within {patience:.0f} s: check the device or address"
            )
            raise SourceError(message)
        if self._hand.refused:
            self._hand.retire()
            raise SourceError(self._hand.refused)
        atexit.register(
            self.close
        )  # a thread that is in a driver when the interpreter ends takes the process down

    def poll(self, now: float) -> Frame | None:
        """Return the newest frame, if it is new. No lock on the frame path: a slot hands it over."""
        hand = self._hand
        frame = hand.newest()
        if frame is not None and not self.ended:
            self.taken += 1
            self.dropped += frame.number - self._last - 1
            self._last = frame.number
            self.trouble = ""
            return frame
        waiting = hand.waiting(now)
        self.trouble = hand.trouble
        if waiting > SILENCE:
            self.trouble = f"the camera `{self.name}` has not answered for {waiting:.0f} s"
        if not self.ended and (waiting > self._patience or not hand.thread.is_alive()):
            self._replace(hand)
        return None

    def close(self) -> None:
        """Stop the thread and let go of the camera. A thread that hangs lets go when the driver gives it back."""
        atexit.unregister(self.close)
        self.ended = True
        self._hand.retire()
        self._hand.thread.join(timeout=2.0)

    def _replace(self, hand: Hand) -> None:
        """Give a thread up that hangs or has died. It touches nothing of ours when it comes back."""
        hand.retire()
        self._stuck = [h for h in self._stuck if h is not hand and h.thread.is_alive()]
        if len(self._stuck) >= MOST_STUCK:
            self.trouble = f"{self.trouble}; {MOST_STUCK} threads hang in its driver"
            return
        if hand.thread.is_alive():
            self._stuck.append(hand)
        try:
            self._hand = self._start()
        except RuntimeError:  # the system has no thread left; there may be one at the next call
            self.trouble = f"the camera `{self.name}` cannot be opened again: the system has no thread left"
            return
        self.replaced += 1

    def _start(self) -> Hand:
        return Hand(self._open, numbers=self._numbers, clock=self._clock, name=self.name, cpus=self._cpus)
