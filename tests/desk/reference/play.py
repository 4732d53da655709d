"""Plays a random script to a guard and to the reference engine, side by side, and tells where they differ."""

from __future__ import annotations

import collections
import math
import random
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any, cast

from edgeguard.decision.table import Truth
from edgeguard.desk.reference import Inputs, Outcome, Reason, Reference, Runtime
from edgeguard.desk.reference.signals import Seen
from edgeguard.errors import PolicyError
from edgeguard.guard import Guard
from edgeguard.policy import compile_policy, parse
from edgeguard.policy.calibration import Calibration
from edgeguard.policy.document import PolicyDocument
from edgeguard.program import Program, SignalSpec
from edgeguard.types import Answer, Cause, Frame, Mode, Signal, Status, Verdict
from tests.desk.reference.policies import THRESHOLDS, random_policy
from tests.desk.reference.script import VALUES, Script

RUNS = 4
LONGEST = 120
"""Steps of a run; there are `RUNS` runs a policy."""
REFUSED = {"EG1202", "EG1206"}
"""Why a random policy may be refused: a condition that is too long, or a constant that is no finite number."""
ACTS_ALONE = {"enabled": 0.0, "fallback_only": 1.0, "lockout": 1.0}

Said = dict[str, Any]
Tally = collections.Counter[Any]


class Run:
    """One guard and one reference side by side."""

    def __init__(
        self, rng: random.Random, document: PolicyDocument, program: Program, calm: Mapping[str, float]
    ) -> None:
        self.policy, self.script = document.policy, Script(rng, document.policy, calm)
        self.world = self.script.world
        self.linked, self.logged, self.planned = (rng.random() < 0.9 for _ in range(3))
        wired = cast("Any", self.world)
        self.guard = Guard(
            program,
            wired,
            link=wired if self.linked else None,
            log=wired if self.logged else None,
            planner=self.world.plan if self.planned else None,
        )
        self.reference, self.runtime = Reference(document, program.thresholds), Runtime(self.policy)
        self.state, self.answered = self.reference.beginning(), False
        self.captured: float | None = None
        self.followed = False
        """Whether the microcontroller was seen to follow the host since the host was armed."""

    def step(self) -> tuple[Said, Said]:
        """One step of both: what the guard says, and what the reference says."""
        mode = self.state.mode.mode
        act = self.script.step(mode)
        for event in act.events:
            self.guard.operator(event)
            self.runtime.arrive(event)
        verdict = self.guard.step(act.frame, act.context, act.now, manual=act.manual)
        new = act.frame is not None and self.runtime.is_new(act.frame.number)
        measured = self.measured(act.frame if new else None, act.context, act.now)
        inputs = Inputs(
            now=act.now,
            signals=self.runtime.measure(measured, failed=new and self.world.observation is None),
            new_frame=new,
            events=self.runtime.events(mode, act.now),
            suggestion=self.world.suggestion if self.planned and self.answered else None,
            manual=act.manual,
        )
        self.state, outcome = self.reference.step(self.state, inputs)
        return said_by_guard(verdict, self.world.sources), said_by_reference(outcome, linked=self.linked)

    def measured(self, new: Frame | None, context: Mapping[str, Any], now: float) -> dict[str, Seen]:
        """The step's measurements, as the reference takes them."""
        found = {
            n: Seen(v.value, v.at) if isinstance(v, Signal) else Seen(v, now) for n, v in context.items()
        }
        if new is not None:
            found |= self.perceived(new)
        if self.captured is not None:
            age = now - self.captured
            found["frame_age"] = Seen(0.0 if -0.001 <= age < 0.0 else age, now)
        found["workers_down"] = Seen(self.world.down, now)
        if self.logged:
            found["log_failures"] = Seen(self.world.failures, now)
        if self.linked:
            found["link_age"] = Seen(now - self.world.last_heard, now)
            found["link_rejected"] = Seen(self.world.rejected, now)
            found |= self.told(now)
        return {name: seen for name, seen in found.items() if name in self.policy.signals}

    def told(self, now: float) -> dict[str, Seen]:
        """What the line and the microcontroller say."""
        world, alone = self.world, ACTS_ALONE.get(self.world.mcu_mode)
        if self.state.mode.mode not in (Mode.NOMINAL, Mode.DEGRADED, Mode.TAKEOVER_REQUEST, Mode.MANUAL):
            self.followed = False
        elif world.mcu_mode == "enabled":
            self.followed = True
        if world.mcu_mode == "silent":
            alone = 1.0 if self.followed else 0.0
        lasted = world.round_trip
        return {
            "link_latency": Seen(lasted, now if lasted is None else world.round_trip_at),
            "link_drops": Seen(world.dropped + world.lost, now),
            "link_crc_errors": Seen(world.crc_errors, now),
            "mcu_fallback": Seen(alone, now),
            "mcu_latched": Seen(None if alone is None else float(len(world.latches) > 0), now),
        }

    def perceived(self, new: Frame) -> dict[str, Seen]:
        """What comes with a new frame."""
        is_time = isinstance(new.at, Real) and not isinstance(new.at, bool)
        self.captured, seen = float(new.at) if is_time else math.nan, self.world.observation
        self.answered = seen is not None and seen.answer is not None
        if seen is None:
            return {}
        found = {signal.name: Seen(signal.value, signal.at) for signal in seen.signals}
        return {**found, "answer": Seen(self.label(seen.answer), new.at)}

    def label(self, answer: Answer | None) -> float | None:
        """Which of the policy's labels an answer is."""
        if answer is None or "answer" not in self.policy.signals:
            return None
        labels = self.policy.signals["answer"].labels or ()
        return float(labels.index(answer.name.lower())) if answer.name.lower() in labels else -1.0


def said_by_guard(verdict: Verdict, sources: list[Any]) -> Said:
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


def said_by_reference(outcome: Outcome, *, linked: bool) -> Said:
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
    tried = [{spec.name: possible(rng, spec) for spec in program.signals} for _ in range(24)]
    healthy = [True] * len(program.signals)
    held = [sum(t is not Truth.FALSE for t in program.when(list(v.values()), healthy)) for v in tried]
    return tried[held.index(min(held))], min(held)


def possible(rng: random.Random, spec: SignalSpec) -> float:
    """A value in the signal's range."""
    values = (0.0, 1.0) if spec.whole else VALUES
    return rng.choice([value for value in values if spec.low <= value <= spec.high])


def compiled(text: str) -> tuple[PolicyDocument, Program] | None:
    """A random policy, ready to run; None where it says too much."""
    try:
        document = parse(text.encode(), file="random.yaml")
        named = {name: THRESHOLDS[name] for name in document.thresholds()}
        calibration = Calibration("random.json", "random", {}, 1, 0.0, named)
        return document, compile_policy(document, base=Path(), calibration=calibration)
    except PolicyError as refused:
        if {diagnostic.code for diagnostic in refused.diagnostics} <= REFUSED:
            return None
        raise


def count(tally: Tally, said: Said) -> None:
    """Note what was seen, so that a campaign that sees nothing is found out."""
    tally.update(("steps", said["mode"], said["gate"], *said["status"].values()))
    tally.update(cause.name for cause in said["causes"] if cause.name.startswith("event:"))
    tally.update(word for word in ("notices", "deadline", "alerts") if said[word])
    tally["expired"] += any(cause.expired for cause in said["causes"])


def played(run: Run, tally: Tally) -> str:
    """Play a run to its end; where the two first differ, or nothing."""
    locked = 0
    for number in range(LONGEST):
        guard, reference = run.step()
        count(tally, guard)
        if guard != reference:
            changed = [f"{k}: {guard[k]} is not {reference[k]}" for k in guard if guard[k] != reference[k]]
            return f"step {number} at {run.script.now}: " + "; ".join(changed)
        locked += guard["mode"] is Mode.LOCKOUT
        if locked > 10:
            break
    return ""


def differences(text: str, rng: random.Random, tally: Tally) -> list[str]:
    """Play `RUNS` runs of one policy; the first difference of each."""
    ready = compiled(text)
    if ready is None:
        tally["refused"] += 1
        return []
    calm, held = calmest(rng, ready[1])
    if held and rng.random() < 0.9:
        return []
    tally["policies"] += 1
    found = [played(Run(rng, *ready, calm), tally) for _ in range(RUNS)]
    return [f"{difference}\n{text}" for difference in found if difference]


def campaign(steps: int, seed: int) -> tuple[Tally, list[str]]:
    """Compare so many steps; what was seen, and the first differences with the seed that shows them again."""
    tally, found = Tally(), list[str]()
    while tally["steps"] < steps and not found:
        rng = random.Random(seed)
        found = [f"seed {seed}: {text}" for text in differences(random_policy(rng), rng, tally)]
        seed += 1
    return tally, found
