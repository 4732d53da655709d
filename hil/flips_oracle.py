"""What came of a bit flip, judged by what the output stages took and by nothing that the firmware says of itself.

A breach is an output outside its limits, faster than its rates allow, away from safe without authority, or not safe in
time. Pure: outcomes in, one word and its reasons out.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from edgeguard.policy.emit_c import fixed
from edgeguard.program import ActuatorLimit
from hil.flips_machine import RESET, Change
from hil.flips_scenario import PROGRAM, Golden, Outcome, Script

LEAP_US: Final = 50_000
"""A core that was held up may catch up with so much at once."""
JITTER_US: Final = 5_000
"""Between a step and the output stage the board may send its reports: times here are those of the output stage."""
LOST_US: Final = 150_000
GRACE_US: Final = 50_000
"""From the policy's `lost_after`, or from a reset, to the outputs' way to safe."""
WATCHDOG_US: Final = 201_000
"""From the last sound step to the reset."""
ROUND_US: Final = 10_000
"""A flip is known to this."""
SHIFT_US: Final = 1_500
"""A flip that costs or saves instructions moves a step by up to one tick: not a difference."""
TICK_US: Final = 1_000

MASKED: Final = "masked"
DETECTED: Final = "detected"
SAFE: Final = "fell safe"
DIFFERENT: Final = "different, within the envelope"
ASTRAY: Final = "different to the end, within the envelope"
BREACH: Final = "breach"
CLASSES: Final = (MASKED, DETECTED, SAFE, DIFFERENT, ASTRAY, BREACH)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One of CLASSES, and why."""

    kind: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Track:
    """What one output stage held: from `us[i]` on `value[i]` (1e-6 of the unit)."""

    us: tuple[int, ...]
    value: tuple[int, ...]

    def at(self, us: int) -> int | None:
        """Return its value at a time; None before the first."""
        place = bisect.bisect_right(self.us, us)
        return self.value[place - 1] if place else None

    def between(self, first: int, last: int) -> tuple[int, ...]:
        """Every value it held from `first` to `last`."""
        start = max(bisect.bisect_right(self.us, first) - 1, 0)
        return self.value[start : bisect.bisect_right(self.us, last)]


def judge(golden: Golden, outcome: Outcome) -> Verdict:
    """Say what came of a flip."""
    before, after = tracks(golden.log), tracks(outcome.log)
    end_us = golden.script.end_us if outcome.converged else outcome.until_us
    if outcome.converged:  # the rest is as in the run without a flip
        after = [_spliced(b, a, outcome.until_us) for b, a in zip(before, after)]
    noticed = tuple(_noticed(outcome))
    if after == before and not noticed:
        return Verdict(MASKED)
    found = list(breaches(golden.script, outcome, after, end_us))
    if found:
        return Verdict(BREACH, tuple(found))
    if noticed:
        return Verdict(DETECTED, noticed)
    same = [_same(limit, b, a, end_us) for limit, b, a in zip(PROGRAM.envelope, before, after)]
    if all(same):
        return Verdict(MASKED)
    if all(a.at(end_us) == fixed(limit.safe) for limit, a in zip(PROGRAM.envelope, after)):
        return Verdict(SAFE)
    late = max(end_us - 100_000, 0)
    tail = [_same(limit, b, a, end_us, late) for limit, b, a in zip(PROGRAM.envelope, before, after)]
    return Verdict(DIFFERENT if all(tail) else ASTRAY)


def tracks(log: Sequence[Change]) -> list[Track]:
    """Take a log apart by actuator."""
    rows: list[tuple[list[int], list[int]]] = [([], []) for _ in PROGRAM.envelope]
    for change in log:
        if change.actuator < len(rows):
            rows[change.actuator][0].append(change.us)
            rows[change.actuator][1].append(change.value)
    return [Track(tuple(us), tuple(value)) for us, value in rows]


def _spliced(before: Track, after: Track, until_us: int) -> Track:
    """A run that became as the one without a flip has its future."""
    place = bisect.bisect_right(before.us, until_us)
    return Track(after.us + before.us[place:], after.value + before.value[place:])


def _noticed(outcome: Outcome) -> Iterator[str]:
    if outcome.refused:
        yield f"{outcome.refused} pairs refused"
    if outcome.resets:
        yield f"{outcome.resets} resets"
    if b" lockout\n" in outcome.records:
        yield "lockout"


def _same(limit: ActuatorLimit, before: Track, after: Track, end_us: int, first_us: int = 0) -> bool:
    """Whether two runs drove an actuator alike, to a tick."""
    rates = [rate for rate in (limit.rise, limit.fall) if math.isfinite(rate)]
    slack = max(rates, default=0.0) * SHIFT_US + 1
    for us in range(max(first_us, before.us[0] + SHIFT_US), end_us + 1, TICK_US):
        value, near = after.at(us), before.between(us - SHIFT_US, us + SHIFT_US)
        if value is None or not min(near) - slack <= value <= max(near) + slack:
            return False
    return True


# ---- breaches --------------------------------------------------------------------------------------------------------


def breaches(script: Script, outcome: Outcome, after: Sequence[Track], end_us: int) -> Iterator[str]:
    """Say where the output stages left the envelope; nothing if they never did."""
    resets = tuple(change.us for change in outcome.log if change.actuator == RESET)
    spans = tuple(_without_authority(script, outcome.asked_us, resets, end_us))
    for limit, track in zip(PROGRAM.envelope, after):
        found = [_outside(limit, track), _too_fast(limit, track)]
        found += [
            _not_safe(limit, track, first, last, _due(outcome, after, resets, first)) for first, last in spans
        ]
        yield from (reason for reason in found if reason)


def _outside(limit: ActuatorLimit, track: Track) -> str:
    low, high = fixed(limit.low), fixed(limit.high)
    for us, value in zip(track.us, track.value):
        if not low <= value <= high:
            return f"{limit.name} {value / 1e6} outside its limits at {us} us"
    return ""


def _too_fast(limit: ActuatorLimit, track: Track) -> str:
    """Between any two times no more than the rate's worth of the time between them, and of one leap."""
    lowest, highest = math.inf, -math.inf
    for (_, value), (us, reached) in pairwise(zip(track.us, track.value)):
        if math.isfinite(limit.rise):
            lowest = min(lowest, value - limit.rise * us)
            if reached - limit.rise * us - lowest > limit.rise * (LEAP_US + JITTER_US):
                return f"{limit.name} rose too fast to {reached / 1e6} at {us} us"
        if math.isfinite(limit.fall):
            highest = max(highest, value + limit.fall * us)
            if highest - reached - limit.fall * us > limit.fall * (LEAP_US + JITTER_US):
                return f"{limit.name} fell too fast to {reached / 1e6} at {us} us"
    return ""


def _without_authority(
    script: Script, asked_us: tuple[int, ...], resets: tuple[int, ...], end_us: int
) -> Iterator[tuple[int, int]]:
    """Spans of time in which nobody may act: no arm request since the start or the last reset, or the host is dead."""
    dead_us = script.dies_us + LOST_US if script.dies_us else end_us
    starts = (0, *resets)
    for start, end in zip(starts, (*resets, end_us)):
        armed = next((us for us in asked_us if start <= us < end), end)
        yield start, min(armed, end)
        if armed < end and dead_us < end:
            yield max(dead_us, armed), end


def _due(outcome: Outcome, after: Sequence[Track], resets: tuple[int, ...], first: int) -> int:
    """When the way to safe must have begun. A core that hangs says nothing until the watchdog has reset it.

    It hangs no earlier than its last move: damage may lie still for a while before it makes the core hang. One that is
    held up for less than the watchdog's time, and then goes on, is no worse: the way begins later by its pause.
    """
    hung = [us for us in resets if us > first]
    moves = sorted(us for track in after for us in track.us if not hung or us < hung[0])
    pauses = [end - start for start, end in pairwise(moves) if outcome.flip_us - ROUND_US <= start]
    due = first + GRACE_US + max((pause for pause in pauses if pause <= WATCHDOG_US), default=0)
    if hung and hung[0] - max((outcome.flip_us, *moves)) <= WATCHDOG_US:
        due = max(due, hung[0] + GRACE_US)
    return due


def _not_safe(limit: ActuatorLimit, track: Track, first: int, last: int, due: int) -> str:
    """Without authority: never further from safe than before, and from `due` on along the ramp.

    But for what was computed before a reset and not yet driven: that is driven after it.
    """
    safe = fixed(limit.safe)
    held = track.at(first)
    begun = 0 if held is None else abs(held - safe)
    distance: float = math.inf
    for us, value in _points(track, first, last):
        apart = abs(value - safe)
        away = limit.rise if value > safe else limit.fall
        if apart > distance + (away * JITTER_US if math.isfinite(away) else 0):
            return f"{limit.name} left safe for {value / 1e6} at {us} us without authority"
        distance = min(apart, distance)
        rate = limit.rise if value < safe else limit.fall
        if us > due and apart > max(0.0, begun - rate * (us - due)) + 2:
            return f"{limit.name} still at {value / 1e6} at {us} us, {us - first} us without authority"
    return ""


def _points(track: Track, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Value at the start, at each change, just before each change, and at the end."""
    start = track.at(first)
    if start is not None:
        yield first, start
    value = start
    for us, changed in zip(track.us, track.value):
        if first < us < last:
            if value is not None:
                yield us, value
            yield us, changed
            value = changed
    if value is not None:
        yield last, value
