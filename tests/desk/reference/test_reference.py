"""The engine against the slow one that was written from the page alone: random policies, random runs, every verdict.

`EDGEGUARD_REFERENCE_STEPS` sets how many steps are compared, `EDGEGUARD_REFERENCE_SEED` where they begin.
"""

from __future__ import annotations

import collections
import math
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np

from edgeguard.decision.table import Truth
from edgeguard.desk.reference import Inputs, Outcome, Reason, Reference, Runtime
from edgeguard.desk.reference.signals import Seen, limits
from edgeguard.errors import PolicyError
from edgeguard.guard import Guard
from edgeguard.policy import compile_policy, parse
from edgeguard.policy.calibration import Calibration
from edgeguard.policy.document import PolicyDocument
from edgeguard.program import Program
from edgeguard.types import Answer, Cause, Event, Frame, Mode, Signal, Status, Verdict

STEPS = int(os.environ.get("EDGEGUARD_REFERENCE_STEPS", "12000"))
SEED = int(os.environ.get("EDGEGUARD_REFERENCE_SEED", "1"))
RUNS = 4
LONGEST = 120
"""Steps of a run; there are `RUNS` runs a policy."""
VALUES = (-1.0, -0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 2.0)
ODD_VALUES: tuple[Any, ...] = (
    math.nan, math.inf, -math.inf, None, 1e308, 5e-324, -3.0, 0.3, 10**400, -(10**400), True, False, "0.5", Fraction(1, 4),
    np.float32(0.75), np.int64(1), np.uint8(0), 1, 1j, Truth.TRUE, (),
)  # fmt: skip
ODD_TIMES: tuple[Any, ...] = (
    math.nan,
    math.inf,
    -math.inf,
    True,
    "1",
    Fraction(1, 8),
    np.float32(0.5),
    0,
    None,
)
ODD_NUMBERS: tuple[Any, ...] = (5.0, math.nan, math.inf, None, "7", True, np.int64(3), -1, 2**70)
OUTPUTS: tuple[Any, ...] = (
    math.nan, math.inf, 2**62, 2**62 - 1, -(2**62), 2.0**62, 1e300, True, "1", None, np.float32(0.5),
    np.float64(0.5), np.int64(1), 10**400, 1,
)  # fmt: skip
REFUSED = {"EG1202", "EG1206"}
"""Why a random policy may be refused: a condition that is too long, or a constant that is no finite number."""
STRIDES = (
    (0.05,),
    (0.02,),
    (0.125,),
    (0.0, 0.001, 0.02, 0.05, 0.1, 0.125, 0.3),
    (0.05, 0.25, 1.0),
    (0.02, 4.0),
)
OPERATOR = (Event.ARM, Event.ARM, Event.TAKE, Event.TAKE, Event.RELEASE, Event.RESET, Event.RESET, Event.STOP)
HELPS = {
    Mode.STANDBY: (Event.ARM,),
    Mode.SAFE_STATE: (Event.RESET, Event.RESET, Event.TAKE),
    Mode.MANUAL: (Event.RELEASE,),
    Mode.TAKEOVER_REQUEST: (Event.TAKE,),
}


@dataclass(slots=True)
class Observation:
    """What a perception gives."""

    answer: Answer | None
    signals: tuple[Signal, ...]


@dataclass(slots=True)
class World:
    """The parts that a guard is wired to, saying what a step's script says."""

    observation: Observation | None = None
    suggestion: Any = None
    mcu_mode: str = "enabled"
    last_heard: float = 0.0
    rejected: int = 0
    failures: int = 0
    sources: list[Any] = field(default_factory=list)

    def observe(self, frame: Frame, now: float) -> Observation:
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

    def append(self, verdict: Verdict) -> None: ...


class Run:
    """One guard and one reference side by side, and the script that both are played."""

    def __init__(self, rng: random.Random, document: PolicyDocument, program: Program, calm: Any) -> None:
        self.rng, self.document, self.policy = rng, document, document.policy
        self.world = World()
        wired = cast("Any", self.world)
        self.linked, self.logged = rng.random() < 0.9, rng.random() < 0.9
        self.guard = Guard(
            program,
            wired,
            link=wired if self.linked else None,
            log=wired if self.logged else None,
            planner=self.world.plan if rng.random() < 0.95 else None,
        )
        self.planned = self.guard._planner is not None
        self.reference = Reference(document, program.thresholds)
        self.state, self.runtime = self.reference.beginning(), Runtime(self.policy)
        self.now, self.picture = rng.choice((0.0, 5.0, -3.0, 1e6)), rng.choice((0, 7))
        self.captured: float | None = None
        self.strides, self.calm, self.values = rng.choice(STRIDES), calm, dict(calm)
        self.odd = rng.choice((0.0, 0.0, 0.005, 0.05))
        self.wild, self.asked, self.frames = rng.choice((0.005, 0.03, 0.2)), rng.choice((0.0, 0.05, 0.3)), 0.9
        self.frames = rng.choice((1.0, 0.8, 0.4))
        self.answered = False

    def step(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """One step of both: what the guard says, and what the reference says."""
        rng, mode = self.rng, self.state.mode.mode
        self.now += rng.choice(self.strides)
        if rng.random() < 0.0005:
            self.now -= rng.choice((0.01, 3.0))
        now = self.now
        self.drift()
        frame = self.frame(now) if rng.random() < self.frames else None
        context = self.context(now)
        for event in self.events(mode):
            self.guard.operator(event)
            self.runtime.arrive(event)
        self.world.suggestion, manual = self.command(), self.command()
        self.line(now)
        verdict = self.guard.step(frame, context, now, manual=manual)
        new = frame is not None and self.runtime.is_new(frame.number)
        measured = self.measured(frame if new else None, context, now)
        failed = new and self.world.observation is None
        inputs = Inputs(
            now=now,
            signals=self.runtime.measure(measured, failed=failed),
            new_frame=new,
            events=self.runtime.events(mode, now),
            suggestion=self.world.suggestion if self.planned and self.answered else None,
            manual=manual,
        )
        self.state, outcome = self.reference.step(self.state, inputs)
        return said_by_guard(verdict, self.world.sources), said_by_reference(outcome, linked=self.linked)

    def drift(self) -> None:
        """Every signal keeps its value, goes back to calm, or takes another."""
        for name, calm in self.calm.items():
            chance = self.rng.random()
            if chance < self.wild:
                low, high = limits(self.policy.signals[name])
                inside = [v for v in VALUES if low <= v <= high]
                self.values[name] = self.rng.choice(inside if self.rng.random() < 0.95 else VALUES)
            elif chance < self.wild + 0.3:
                self.values[name] = calm

    def value(self, name: str) -> Any:
        return self.rng.choice(ODD_VALUES) if self.rng.random() < self.odd else self.values[name]

    def frame(self, now: float) -> Frame:
        rng = self.rng
        self.picture += rng.choice((1, 1, 1, 1, 2, 0)) if rng.random() > 0.01 else -2
        number = rng.choice(ODD_NUMBERS) if rng.random() < self.odd / 3 else self.picture
        at = (
            rng.choice(ODD_TIMES)
            if rng.random() < self.odd / 3
            else now + rng.choice((0.0, 0.0, 0.001, -0.05, -0.1))
        )
        answer = Answer(0, 0.0, 0, rng.choice(("Owner", "guest", "THIEF", "dog")), 1.0, (), "")
        silent, failing = rng.random() < self.odd, rng.random() < self.odd
        given = [
            n for n, s in self.policy.signals.items() if s.of or n in ("frozen_for", "contrast", "latency")
        ]
        signals = tuple(
            Signal(n, self.value(n), at, "") for n in given if n != "answer" and rng.random() < 0.98
        )
        self.world.observation = None if failing else Observation(None if silent else answer, signals)
        return Frame(cast("Any", None), number, at)

    def context(self, now: float) -> dict[str, Any]:
        rng, found = self.rng, {}
        for name, signal in self.policy.signals.items():
            if signal.from_ == "context" and rng.random() >= self.odd / 2:
                value = self.value(name)
                late = rng.choice((0.0, -signal.max_age, 0.001, 0.002, -0.1)) if rng.random() < 0.2 else 0.0
                at = rng.choice(ODD_TIMES) if rng.random() < self.odd / 2 else now + late
                found[name] = Signal(name, value, at, "") if late or rng.random() < 0.2 else value
        return found

    def line(self, now: float) -> None:
        """What the microcontroller and the log say."""
        rng, world = self.rng, self.world
        if rng.random() < self.wild:
            world.mcu_mode = rng.choice(
                ("silent", "enabled", "enabled", "fallback_only", "lockout", "unknown")
            )
            world.rejected, world.failures = rng.choice((0, 0, 1, 2)), rng.choice((0, 0, 1, 2))
            world.last_heard = rng.choice((now, now, now - 0.5, -math.inf))
        elif rng.random() < 0.3 and math.isfinite(world.last_heard):
            world.last_heard = now

    def events(self, mode: Mode) -> list[Event]:
        rng = self.rng
        found = rng.choices(OPERATOR, k=rng.choice((1, 1, 2, 3, 4))) if rng.random() < self.asked else []
        if rng.random() < 0.25:
            found.append(rng.choice(HELPS.get(mode, OPERATOR)))
        if rng.random() < 0.002:
            found.append(rng.choice((Event.READY, Event.INTEGRITY)))
        return found

    def command(self) -> Any:
        rng = self.rng
        found: dict[Any, Any] = {
            name: rng.choice((0.0, 0.25, 0.6, 1.0, -3.0, 7.0)) for name in self.policy.envelope
        }
        if rng.random() < 0.15:
            return rng.choice((None, {}, {**found, "other": 1.0}, {"other": 1.0}))
        if rng.random() < 0.15:
            found[rng.choice(list(found))] = rng.choice(OUTPUTS)
        return found

    def measured(self, new: Frame | None, context: Mapping[str, Any], now: float) -> dict[str, Seen]:
        """The same measurements, as the reference takes them."""
        found = {
            name: Seen(v.value, v.at) if isinstance(v, Signal) else Seen(v, now)
            for name, v in context.items()
        }
        if new is not None:
            self.captured, seen = as_time(new.at), self.world.observation
            self.answered = seen is not None and seen.answer is not None
            found |= {s.name: Seen(s.value, s.at) for s in (seen.signals if seen else ())}
            if seen is not None and "answer" in self.policy.signals:
                found["answer"] = Seen(self.label(seen.answer), new.at)
        if self.captured is not None:
            age = now - self.captured
            found["frame_age"] = Seen(0.0 if -0.001 <= age < 0.0 else age, now)
        if self.logged:
            found["log_failures"] = Seen(self.world.failures, now)
        if self.linked:
            alone = {"silent": 0.0, "enabled": 0.0, "fallback_only": 1.0, "lockout": 1.0}
            found["link_age"] = Seen(now - self.world.last_heard, now)
            found["link_rejected"] = Seen(self.world.rejected, now)
            found["mcu_fallback"] = Seen(alone.get(self.world.mcu_mode), now)
        return {name: seen for name, seen in found.items() if name in self.policy.signals}

    def label(self, answer: Answer | None) -> float | None:
        labels = self.policy.signals["answer"].labels or ()
        if answer is None:
            return None
        return float(labels.index(answer.name.lower())) if answer.name.lower() in labels else -1.0


def as_time(value: Any) -> float:
    return (
        float(value)
        if isinstance(value, int | float | Fraction | np.generic) and value is not True
        else math.nan
    )


def said_by_guard(verdict: Verdict, sources: list[Any]) -> dict[str, Any]:
    def plain(causes: tuple[Cause, ...]) -> tuple[Reason, ...]:
        return tuple(Reason(c.rule, c.demands, c.since, c.expired, dict(c.values), c.mode) for c in causes)

    return {
        "mode": verdict.mode,
        "authority": verdict.authority,
        "gate": verdict.gate,
        "source": sources.pop() if sources else None,
        "command": dict(verdict.command.values),
        "causes": plain(verdict.causes),
        "notices": plain(verdict.notices),
        "deadline": verdict.takeover_deadline,
        "alerts": verdict.alerts,
        "status": {reading.name: reading.status for reading in verdict.readings},
        "values": {r.name: r.value if r.status <= Status.SUSPECT else None for r in verdict.readings},
    }


def said_by_reference(outcome: Outcome, *, linked: bool) -> dict[str, Any]:
    return {
        "mode": outcome.mode,
        "authority": outcome.authority,
        "gate": outcome.gate,
        "source": outcome.source if linked else None,
        "command": dict(outcome.command),
        "causes": outcome.causes,
        "notices": outcome.notices,
        "deadline": outcome.deadline,
        "alerts": outcome.alerts,
        "status": dict(outcome.status),
        "values": dict(outcome.values),
    }


def calmest(rng: random.Random, program: Program) -> tuple[dict[str, float], int]:
    """Of some random values those on which the fewest triggers hold, and how many do: else little but faults would
    ever be seen."""
    healthy, best, fewest = [True] * len(program.signals), {}, 99
    for _ in range(24):
        values = [
            max(
                (v for v in rng.sample(VALUES, 4)),
                key=lambda v: s.low <= v <= s.high and (not s.whole or v in (0, 1)),
            )
            for s in program.signals
        ]
        inside = sum(not s.low <= v <= s.high for s, v in zip(program.signals, values, strict=True))
        held = inside + sum(truth is not Truth.FALSE for truth in program.when(values, healthy))
        if held < fewest:
            best, fewest = {s.name: v for s, v in zip(program.signals, values, strict=True)}, held
    return best, fewest


def differences(
    text: str, rng: random.Random, thresholds: Mapping[str, float], tally: collections.Counter[Any]
) -> list[str]:
    """Play `RUNS` runs of one policy; the first difference of each, with what led to it."""
    try:
        document = parse(text.encode(), file="random.yaml")
        named = {name: thresholds[name] for name in document.thresholds()}
        calibration = Calibration("random.json", "random", {}, 1, 0.0, named)
        program = compile_policy(document, base=Path(), calibration=calibration)
    except PolicyError as refused:
        assert {d.code for d in refused.diagnostics} <= REFUSED, refused
        tally["refused"] += 1
        return []
    calm, held = calmest(rng, program)
    if held and rng.random() < 0.9:
        return []
    tally["policies"] += 1
    found = []
    for _ in range(RUNS):
        run, locked = Run(rng, document, program, calm), 0
        for number in range(LONGEST):
            guard, reference = run.step()
            tally["steps"] += 1
            tally[guard["mode"]] += 1
            tally[guard["gate"]] += 1
            if guard != reference:
                changed = [
                    f"{k}: {guard[k]} is not {reference[k]}" for k in guard if guard[k] != reference[k]
                ]
                found.append(f"step {number} at {run.now}: " + "; ".join(changed) + f"\n{text}")
                break
            locked += guard["mode"] is Mode.LOCKOUT
            if locked > 10:
                break
    return found


def campaign(
    random_policy: Callable[[random.Random], str], thresholds: Mapping[str, float], steps: int, seed: int
) -> tuple[collections.Counter[Any], list[str]]:
    tally: collections.Counter[Any] = collections.Counter()
    found: list[str] = []
    while tally["steps"] < steps and len(found) < 5:
        rng = random.Random(seed)
        found += [
            f"seed {seed}: {difference}"
            for difference in differences(random_policy(rng), rng, thresholds, tally)
        ]
        seed += 1
    return tally, found


def test_both_engines_say_the_same_in_every_step(
    random_policy: Callable[[random.Random], str], thresholds: dict[str, float]
) -> None:
    tally, found = campaign(random_policy, thresholds, STEPS, SEED * 1_000_000)
    print(dict(tally))
    assert found == []
