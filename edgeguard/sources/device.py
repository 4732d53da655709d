"""An open camera as its thread sees it, and when its pictures were taken. A device belongs to one thread only."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from edgeguard.types import Image


class Taken(NamedTuple):
    """One picture, uint8 RGB (height, width, 3), in memory of its own."""

    image: Image
    stamp: float | None
    """When the device says it was taken (s, on a clock that may be CLOCK_MONOTONIC); None: it does not say."""


class Device(Protocol):
    """An open camera. Both calls may hang: whoever calls them must be able to do without the answer."""

    def read(self) -> Taken | None:
        """Wait for the next picture; None when there is none. Raises: SourceError and whatever a driver raises."""
        ...

    def release(self) -> None:
        """Let go of it."""
        ...


class Stamps:
    """Turns a device's stamps into times of the guard's clock, from one opening of it to the next."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Make it before the device is opened: no picture of it is older."""
        self._known = clock is time.monotonic  # of any other clock it is not known how stamps stand to it
        self._opened = clock()
        self._mapped: bool | None = None
        self._last = float("-inf")

    def time_of(self, stamp: float | None, now: float) -> float | None:
        """When the picture was taken (s); `now` where the device does not say; None: it is no new picture.

        The first stamp settles whether the device counts on CLOCK_MONOTONIC: then it lies between the opening and now.
        From there on it is believed however old it is: what was kept back for long must look old.
        """
        if stamp is None or not self._known:
            return now
        if self._mapped is None:
            self._mapped = self._opened <= stamp <= now
        if not self._mapped:
            return now
        if not stamp > self._last:
            return None
        self._last = stamp
        return min(stamp, now)
