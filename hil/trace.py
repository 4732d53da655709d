"""What a drive leaves behind: its trace, step by step, and the measures taken from it.

Data and arithmetic only. Every figure in the table and in the report is computed here, from traces alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from edgeguard.types import Authority

if TYPE_CHECKING:
    from edgeguard.types import Image

EPSILON: Final = 0.01  # of an actuator's range: a smaller difference in a command is none


@dataclass(slots=True)
class Trace:
    """One drive, one row a control step. Times in s since the drive began; speeds m/s; commands in [0, 1]."""

    time: list[float] = field(default_factory=list)
    to_line: list[float] = field(default_factory=list)
    speed: list[float] = field(default_factory=list)
    brake: list[float] = field(default_factory=list)
    """What reached the actuator, from the microcontroller (guarded) or straight from the planner."""
    throttle: list[float] = field(default_factory=list)
    wanted: list[float] = field(default_factory=list)
    """The brake that the guard's verdict commanded; nan: no guard."""
    authority: list[int] = field(default_factory=list)
    mode: list[str] = field(default_factory=list)
    label: list[str] = field(default_factory=list)
    """What the primary model said."""
    cause: list[str] = field(default_factory=list)
    """The rule that leads, empty while the model has authority."""
    signals: dict[str, list[float]] = field(default_factory=dict)

    def note_signals(self, values: Mapping[str, float | None]) -> None:
        """Add this step's signals; call it before the step's own row is added. One that is missing is nan."""
        for name in values:
            if name not in self.signals:
                self.signals[name] = [math.nan] * len(self.time)
        for name, column in self.signals.items():
            value = values.get(name)
            column.append(math.nan if value is None else value)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The camera's picture at a change of authority."""

    time: float
    authority: int
    label: str
    cause: str
    image: Image


@dataclass(frozen=True, slots=True)
class Drive:
    """One drive of one arm, with what was measured on it. Times in s since the drive began, None: did not happen."""

    scenario: str
    arm: str
    """`guarded` or `unguarded`."""
    seed: int
    sign: str
    violation: bool = False
    """It ran the stop line, or an actuator left its envelope."""
    stood: bool = False
    """It stood still before the line."""
    crossed_at: float | None = None
    """Speed at which it crossed the line (m/s)."""
    rest: float | None = None
    """Metres left to the line where it came to rest."""
    handed_over: bool = False
    """Authority reached the human or the safe state after arming."""
    rules_share: float = 0.0
    """Share of the time in which the fallback rules had authority."""
    onset: float | None = None
    """When the fault or the attack began."""
    detected: float | None = None
    """First step after the onset at which authority left the model."""
    reaction: float | None = None
    """From detection to the first actuator value on its way to the substituted command (s)."""
    fallback: float | None = None
    """From the host's death to the first value of the microcontroller's own fallback (s), process rig only."""
    refused: str = ""
    """Why the guard did not start at all."""
    fell_early: bool = False
    """The microcontroller fell back before the host was struck, process rig only; `fallback` is 0 then."""
    attempts: int = 1
    """How often the processes were started until they came through the test bench, process rig only."""
    memory: float | None = None
    """Resident memory of the guard's host (MiB), process rig only."""
    isolation: str = ""
    """Where the guard's models ran, and in which sandbox; virtual time only."""
    trace: Trace = field(default_factory=Trace)
    thumbnails: tuple[Thumbnail, ...] = ()


def detection(trace: Trace, onset: float) -> int | None:
    """Return the row at which authority first was not with the model, from the onset on; None: never."""
    for row, (time, authority) in enumerate(zip(trace.time, trace.authority)):
        if time >= onset and authority != Authority.MODEL:
            return row
    return None


def reaction(
    outputs: Sequence[tuple[float, float, float]], detected: float, brake: float, throttle: float
) -> float | None:
    """Return the time (s) from `detected` to the first output on its way to the substituted (brake, throttle).

    `outputs`: rows of time (s), brake and throttle as they left the microcontroller, in order of time. A command
    that does not differ from what was put out already needs no way: 0.
    """
    before = [row for row in outputs if row[0] <= detected]
    if not before:
        return None
    _, old_brake, old_throttle = before[-1]
    need_brake, need_throttle = brake - old_brake, throttle - old_throttle
    if abs(need_brake) < EPSILON and abs(need_throttle) < EPSILON:
        return 0.0
    for time, new_brake, new_throttle in outputs:
        if time > detected and (
            _moved(new_brake - old_brake, need_brake) or _moved(new_throttle - old_throttle, need_throttle)
        ):
            return time - detected
    return None


def _moved(done: float, need: float) -> bool:
    return abs(need) >= EPSILON and done * need > 0.0 and abs(done) >= min(abs(need), EPSILON) * 0.5


def rules_share(trace: Trace) -> float:
    """Return the share of the rows in which the fallback rules had authority, in [0, 1]."""
    return (
        sum(a == Authority.RULES for a in trace.authority) / len(trace.authority) if trace.authority else 0.0
    )


def handed_over(trace: Trace) -> bool:
    """Return whether authority reached the human or the safe state. A trace begins after arming."""
    return any(a >= Authority.HUMAN for a in trace.authority)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the nearest-rank percentile of the values; None for none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1 if share > 0.0 else 0)]
