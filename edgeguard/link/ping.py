"""Measuring the line to a microcontroller without asking it to act.

Sends safe commands only and never arms. Not for the frame path: it waits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from edgeguard.errors import LinkError
from edgeguard.link.link import Link
from edgeguard.link.status import LinkState, LinkStatus
from edgeguard.types import NO_VALUES, Authority

PERIOD = 0.02
"""s between commands."""


@dataclass(frozen=True, slots=True)
class PingReport:
    """What the line is like. Round trips in s; `count` of them."""

    count: int
    fastest: float
    median: float
    slowest: float
    status: LinkStatus

    def __str__(self) -> str:
        s = self.status
        return (
            f"{self.count} round trips: min {self.fastest * 1e3:.2f} ms, p50 {self.median * 1e3:.2f} ms, "
            f"max {self.slowest * 1e3:.2f} ms; mode {s.mcu_mode} ({s.reason}); "
            f"{s.rejected} rejected, {s.crc_errors} checksum errors, {s.dropped} dropped"
        )


def ping(
    link: Link,
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> PingReport:
    """Send safe commands at 50 Hz without arming, and measure the line.

    Raises:
        LinkError: no command was answered in that time; says what is known of why.

    """
    trips: list[float] = []
    end = clock() + seconds
    due = -math.inf
    while (now := clock()) < end:
        link.poll(now)
        trip = link.status.round_trip
        if trip is not None and (not trips or trip != trips[-1]):
            trips.append(trip)
        if now >= due:
            due = now + PERIOD
            link.send(NO_VALUES, Authority.SAFE_STATE, now)
        sleep(PERIOD / 20)  # the line is read often, so that a round trip measures the line and not this loop
    status = link.status
    if status.state != LinkState.OPEN.value or not trips:
        raise LinkError(f"no answer from the microcontroller within {seconds:g} s: {status.reason}")
    return PingReport(len(trips), min(trips), median(trips), max(trips), status)
