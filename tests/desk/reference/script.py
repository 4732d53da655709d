"""A world that goes wrong at random: what a guard is wired to, and what happens to it from step to step."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple, cast

import numpy as np

from edgeguard.decision.table import Truth
from edgeguard.desk.reference.signals import limits
from edgeguard.policy.schema import Policy
from edgeguard.types import Answer, Event, Frame, Mode, Signal, Verdict

VALUES = (-1.0, -0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 2.0)
ODD_VALUES: tuple[Any, ...] = (
    math.nan, math.inf, -math.inf, None, 1e308, 5e-324, -3.0, 0.3, 10**400, -(10**400), True, False, "0.5",
    Fraction(1, 4), np.float32(0.75), np.int64(1), np.uint8(0), 1, 1j, Truth.TRUE, (),
)  # fmt: skip
ODD_TIMES: tuple[Any, ...] = (
    math.nan, math.inf, -math.inf, True, "1", Fraction(1, 8), np.float32(0.5), 0, None,
)  # fmt: skip
ODD_NUMBERS: tuple[Any, ...] = (5.0, math.nan, math.inf, None, "7", True, np.int64(3), -1, 2**70)
ODD_OUTPUTS: tuple[Any, ...] = (
    math.nan, math.inf, 2**62, 2**62 - 1, -(2**62), 2.0**62, 1e300, True, "1", None, np.float32(0.5),
    np.float64(0.5), np.int64(1), 10**400, 1,
)  # fmt: skip
OUTPUTS = (0.0, 0.25, 0.6, 1.0, -3.0, 7.0)
STRIDES: tuple[tuple[float, ...], ...] = (
    (0.05,), (0.02,), (0.125,), (0.0, 0.001, 0.02, 0.05, 0.1, 0.125, 0.3), (0.05, 0.25, 1.0), (0.02, 4.0),
)  # fmt: skip
OPERATOR = (Event.ARM, Event.ARM, Event.TAKE, Event.TAKE, Event.RELEASE, Event.RESET, Event.RESET, Event.STOP)
HELPS = {
    Mode.STANDBY: (Event.ARM,),
    Mode.SAFE_STATE: (Event.RESET, Event.RESET, Event.TAKE),
    Mode.MANUAL: (Event.RELEASE,),
    Mode.TAKEOVER_REQUEST: (Event.TAKE,),
}
MICROCONTROLLER = ("silent", "enabled", "enabled", "fallback_only", "lockout", "unknown")
PERCEIVED = ("frozen_for", "contrast", "latency")
"""Signals that a perception gives besides those of models."""


@dataclass(slots=True)
class Observation:
    """What a perception gives."""

    answer: Answer | None
    signals: tuple[Signal, ...]
    named: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class World:
    """The parts that a guard is wired to, saying what a step's script says. `observation` None: perception fails."""

    observation: Observation | None = None
    suggestion: Any = None
    mcu_mode: str = "enabled"
    last_heard: float = 0.0
    rejected: int = 0
    round_trip: float | None = None
    round_trip_at: float = 0.0
    dropped: int = 0
    lost: int = 0
    crc_errors: int = 0
    latches: tuple[str, ...] = ()
    failures: int = 0
    sources: list[Any] = field(default_factory=list)
    down: int = 0

    def fallen(self, now: float) -> tuple[Any, ...]:
        return ()

    def tend(self, now: float) -> bool:
        return True

    def observe(self, frame: Frame, now: float, **scheduled: object) -> Observation:
        if self.observation is None:
            raise RuntimeError("no picture can be understood")
        return self.observation

    @property
    def status(self) -> World:
        return self

    def plan(self, answer: Answer, context: Mapping[str, float]) -> Any:
        return self.suggestion

    def send(self, values: Mapping[str, float], source: Any, now: float) -> None:
        self.sources.append(source)

    def poll(self, now: float) -> None: ...

    def arm(self, now: float) -> None: ...

    def release(self, now: float) -> None: ...

    def withdraw(self) -> None: ...

    def append(self, verdict: Verdict) -> None: ...


class Act(NamedTuple):
    """What a guard is told in one step, besides what it finds in its world."""

    now: float
    frame: Frame | None
    context: dict[str, Any]
    events: list[Event]
    manual: Any


class Script:
    """One run of a world: values that drift from calm and back, pictures, operators and broken parts."""

    def __init__(self, rng: random.Random, policy: Policy, calm: Mapping[str, float]) -> None:
        self.rng, self.policy, self.calm, self.world = rng, policy, calm, World()
        self.values, self.now = dict(calm), rng.choice((0.0, 5.0, -3.0, 1e6))
        self.picture, self.strides = rng.choice((0, 7)), rng.choice(STRIDES)
        self.odd, self.wild = rng.choice((0.0, 0.0, 0.005, 0.05)), rng.choice((0.005, 0.03, 0.2))
        self.asked, self.frames = rng.choice((0.0, 0.05, 0.3)), rng.choice((1.0, 0.8, 0.4))

    def step(self, mode: Mode) -> Act:
        """The next step, for a guard that is in `mode`."""
        self.now += self.rng.choice(self.strides)
        if self.chance(0.0005):
            self.now -= self.rng.choice((0.01, 3.0))
        self.drift()
        self.line()
        self.world.suggestion = self.command()
        frame = self.frame() if self.chance(self.frames) else None
        return Act(self.now, frame, self.context(), self.events(mode), self.command())

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def drift(self) -> None:
        """Every signal keeps its value, goes back to calm, or takes another."""
        for name, calm in self.calm.items():
            if self.chance(self.wild):
                low, high = limits(self.policy.signals[name])
                inside = [value for value in VALUES if low <= value <= high]
                self.values[name] = self.rng.choice(inside if self.chance(0.95) else VALUES)
            elif self.chance(0.3):
                self.values[name] = calm

    def value(self, name: str) -> Any:
        return self.rng.choice(ODD_VALUES) if self.chance(self.odd) else self.values[name]

    def time(self, *late: float) -> Any:
        return self.rng.choice(ODD_TIMES) if self.chance(self.odd / 3) else self.now + self.rng.choice(late)

    def frame(self) -> Frame:
        """A picture, and what perception makes of it."""
        self.picture += -2 if self.chance(0.01) else self.rng.choice((1, 1, 1, 1, 2, 0))
        number = self.rng.choice(ODD_NUMBERS) if self.chance(self.odd / 3) else self.picture
        at = self.time(0.0, 0.0, 0.001, -0.05, -0.1)
        answer = Answer(0, 0.0, 0, self.rng.choice(("Owner", "guest", "THIEF", "dog")), 1.0, (), "")
        given = [name for name, signal in self.policy.signals.items() if signal.of or name in PERCEIVED]
        signals = [Signal(n, self.value(n), at, "") for n in given if n != "answer" and self.chance(0.98)]
        seen = Observation(None if self.chance(self.odd) else answer, tuple(signals))
        self.world.observation = None if self.chance(self.odd) else seen
        return Frame(cast("Any", None), number, at)

    def context(self) -> dict[str, Any]:
        """Values as they are, or with a time of their own."""
        found: dict[str, Any] = {}
        for name, signal in self.policy.signals.items():
            if signal.from_ == "context" and not self.chance(self.odd / 2):
                found[name] = self.value(name)
                if self.chance(0.2):
                    at = self.time(0.0, 0.0, -signal.max_age, 0.001, 0.002, -0.1)
                    found[name] = Signal(name, found[name], at, "")
        return found

    def line(self) -> None:
        """What the microcontroller and the log say."""
        rng, world = self.rng, self.world
        if self.chance(self.wild):
            world.mcu_mode, world.down = rng.choice(MICROCONTROLLER), rng.choice((0, 0, 1))
            world.rejected, world.failures = rng.choice((0, 0, 1, 2)), rng.choice((0, 0, 1, 2))
            world.last_heard = rng.choice((self.now, self.now, self.now - 0.5, -math.inf))
            world.latches = rng.choice(((), (), ("stop",), ("memory", "reset")))
            world.dropped, world.lost, world.crc_errors = (rng.choice((0, 0, 1)) for _ in range(3))
            world.round_trip = rng.choice((None, 0.0, 0.25, 0.5))
            world.round_trip_at = self.now - rng.choice((0.0, 0.0, 0.125, 0.5))
        elif self.chance(0.3) and math.isfinite(world.last_heard):
            world.last_heard = self.now

    def events(self, mode: Mode) -> list[Event]:
        """Any number of events, more often those that lead on."""
        found = (
            self.rng.choices(OPERATOR, k=self.rng.choice((1, 1, 2, 3, 4))) if self.chance(self.asked) else []
        )
        if self.chance(0.25):
            found.append(self.rng.choice(HELPS.get(mode, OPERATOR)))
        if self.chance(0.002):
            found.append(self.rng.choice((Event.READY, Event.INTEGRITY)))
        return found

    def command(self) -> Any:
        """A command, or what is none."""
        found: dict[str, Any] = {name: self.rng.choice(OUTPUTS) for name in self.policy.envelope}
        if self.chance(0.15):
            return self.rng.choice((None, {}, {**found, "other": 1.0}, {"other": 1.0}))
        if self.chance(0.15):
            found[self.rng.choice(list(found))] = self.rng.choice(ODD_OUTPUTS)
        return found
