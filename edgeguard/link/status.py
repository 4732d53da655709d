"""What is known of the line and of the microcontroller, as plain values for whoever shows or judges it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from edgeguard.link.messages import Status


class LinkState(str, Enum):
    """Where the host stands with the microcontroller."""

    CLOSED = "closed"
    """The port is gone or was never there."""
    WAITING = "waiting"
    """The port is open; no HELLO yet, or the microcontroller fell silent."""
    OPENING = "opening"
    """HELLO heard, OPEN sent."""
    OPEN = "open"
    """Authentic STATUS of this session arrives."""
    MISMATCH = "mismatch"
    """The microcontroller has another policy, protocol or number of actuators."""


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """What is known of the line and the microcontroller. Times in s on the caller's clock."""

    state: str
    mcu_mode: str
    """`silent`, `enabled`, `fallback_only`, `lockout`, or `unknown` while no STATUS arrives."""
    last_heard: float
    """When the last STATUS of a session came; -inf: never. A HELLO does not count: it may be a recording."""
    round_trip: float | None
    """From sending a request to hearing that it was accepted, less the time the answer waited for its turn."""
    sent: int
    """Frames handed to the line."""
    received: int
    """Authentic frames from the microcontroller."""
    rejected: int
    """Frames refused on either side: forged, replayed, stale, out of session."""
    crc_errors: int
    """Frames with a bad checksum on either side."""
    outputs: Mapping[str, float]
    """What the microcontroller drives each actuator to, as last reported."""
    reason: str
    """Why it is so, in a word: the microcontroller's reason for its mode, or what keeps the link from opening."""
    dropped: int = 0
    """Commands that found no session, and frames that found no room on the line, on either side."""
    degraded: bool = False
    ready: bool = False
    """The microcontroller would grant an arm request now."""
    refusal: str = ""
    """Why the microcontroller refused the last frame that it refused."""
    source: str = "unknown"
    """Whose command the outputs follow: an authority's name in lower case."""
    latches: tuple[str, ...] = ()
    """What the operator must release before the host may be armed: `stop`, `feedback`, `memory`, `reset`."""
    stopped: bool = False
    """The emergency stop is pressed."""
    lost: int = 0
    """Reports of the microcontroller that never came, by the gaps between those that did."""
    round_trip_at: float = -math.inf
    """When `round_trip` was measured."""


class Counts(NamedTuple):
    """What the microcontroller counted, summed over its resets, after each of which it begins at 0 again."""

    rejected: int = 0
    crc_errors: int = 0
    dropped: int = 0
    last: tuple[int, int, int] = (0, 0, 0)

    def then(self, status: Status) -> Counts:
        """Take the newest report. A count below the last one was begun anew."""
        now = (status.rejected, status.crc_errors, status.dropped)
        if now == self.last:
            return self
        more = [new - old if new >= old else new for new, old in zip(now, self.last)]
        return Counts(self.rejected + more[0], self.crc_errors + more[1], self.dropped + more[2], now)
