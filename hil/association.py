"""The vehicle's tracker: does the camera have a name for what the range sensor holds?

A consistency between two sensors, which neither of them can see alone. Pure: time is an argument.
"""

from __future__ import annotations

from typing import Final

NOTHING_AHEAD: Final = 500.0  # m: what the range sensor says when it holds nothing
HELD: Final = 50.0  # m: from here on the camera ought to have a name for it
LONGEST: Final = 60.0  # s: it counts no further


class Association:
    """How long an object ahead has been without a name."""

    def __init__(self) -> None:
        self._since: float | None = None

    def step(self, distance: float, named: str | None, now: float) -> float:
        """Return for how long (s) there has been an object within `HELD` that the camera calls `none`, or nothing."""
        if distance >= HELD or (named is not None and named != "none"):
            self._since = None
            return 0.0
        if self._since is None:
            self._since = now
        return min(LONGEST, now - self._since)
