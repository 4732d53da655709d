"""Measuring the line to a microcontroller without asking it to act.

Sends safe commands only and never arms. Not for the frame path: it waits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edgeguard.errors import LinkError
from edgeguard.link.link import Link
from edgeguard.link.status import LinkState, LinkStatus
from edgeguard.types import NO_VALUES, Authority

PERIOD = 0.02
"""s between commands."""
LOOKS = 20
"""Times that the line is read in a period, so that a round trip measures the line and not this loop."""


@dataclass(frozen=True, slots=True)
class PingReport:
    """What the line is like. Round trips in s; `count` of them. The other counts begin with the session."""

    count: int
    fastest: float
    median: float
    p99: float
    slowest: float
    lost: int
    """Reports that never came."""
    damaged: int
    """Frames with a bad checksum, on either side."""
    refused: int
    """Frames that either side refused."""
    status: LinkStatus

    @property
    def clean(self) -> bool:
        """Whether every frame that is accounted for arrived whole."""
        return self.lost == self.damaged == self.refused == 0

    def __str__(self) -> str:
        s = self.status
        return (
            f"{self.count} round trips: min {_ms(self.fastest)}, p50 {_ms(self.median)}, p99 {_ms(self.p99)}, "
            f"max {_ms(self.slowest)}; mode {s.mcu_mode} ({s.reason}); "
            f"{self.lost} lost, {self.damaged} checksum errors, {self.refused} rejected"
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """What is known of the line `at` s after it was first looked at; frames a second since the last sample."""

    at: float
    status: LinkStatus
    sent_rate: float
    received_rate: float


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
    first: LinkStatus | None = None
    measured = -math.inf
    for _, status in _look(link, seconds, clock, sleep):
        if status.state == LinkState.OPEN.value:
            first = first or status
        if status.round_trip is not None and status.round_trip_at > measured:
            measured = status.round_trip_at
            trips.append(status.round_trip)
    status = link.status
    if status.state != LinkState.OPEN.value or first is None or not trips:
        raise LinkError(f"no answer from the microcontroller within {seconds:g} s: {status.reason}")
    trips.sort()
    return PingReport(
        count=len(trips),
        fastest=trips[0],
        median=trips[len(trips) // 2],
        p99=trips[math.ceil(0.99 * len(trips)) - 1],
        slowest=trips[-1],
        lost=status.lost - first.lost,
        damaged=status.crc_errors - first.crc_errors,
        refused=status.rejected - first.rejected,
        status=status,
    )


def monitor(
    link: Link,
    seconds: float,
    *,
    every: float = 0.5,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Sample]:
    """Yield what is known of the line, `every` s and at the end. Sends safe commands at 50 Hz, and never arms."""
    start = last = clock()
    before = link.status
    for now, status in _look(link, seconds, clock, sleep):
        if now - last >= every:
            yield _sample(before, status, start, last, now)
            before, last = status, now
    now = clock()
    if now > last:
        yield _sample(before, link.status, start, last, now)


def _look(
    link: Link, seconds: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> Iterator[tuple[float, LinkStatus]]:
    end = clock() + seconds
    due = -math.inf
    while (now := clock()) < end:
        link.poll(now)
        yield now, link.status
        if now >= due:
            due = now + PERIOD
            link.send(NO_VALUES, Authority.SAFE_STATE, now)
        sleep(PERIOD / LOOKS)


def _sample(before: LinkStatus, status: LinkStatus, start: float, last: float, now: float) -> Sample:
    span = now - last
    sent, received = status.sent - before.sent, status.received - before.received
    return Sample(now - start, status, sent / span, received / span)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"
