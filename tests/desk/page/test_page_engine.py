"""The page's own engine against the real one: the same conditions, steps and commands, to the last bit."""

from __future__ import annotations

import copy
import json
import math
import os
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from edgeguard.decision.table import Span
from edgeguard.desk.cases import embedded_cases
from edgeguard.desk.trial import Phase, Seen, Trial
from edgeguard.policy import DraftPolicy
from edgeguard.policy.expr import interpreter, tree
from edgeguard.program import Program, SignalSpec
from edgeguard.signals.readings import readings
from edgeguard.types import Event, Signal

Run = Callable[[DraftPolicy, str], Any]

INPUTS = int(os.environ.get("EDGEGUARD_PAGE_INPUTS", "1000"))
RUNS = int(os.environ.get("EDGEGUARD_PAGE_RUNS", "6"))
FAULTS = ("missing", "stale", "nan")
EVENTS = (Event.ARM, Event.TAKE, Event.RELEASE, Event.RESET, Event.STOP)
EXTREMES = (0.0, -0.0, 5e-324, -1.0, 1.0, 1e-300, 1e150, 1e300, -1e308, math.inf, -math.inf, math.nan)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.node.name.split("[")[0])


def constants(draft: DraftPolicy) -> tuple[float, ...]:
    """Every constant of the policy's conditions: where outcomes change."""
    env = {f"calibrated.{name}": value for name, value in draft.program.thresholds.items()}
    nodes = [n for root in draft.document.conditions.values() for n in tree.walk(root)]
    found = [interpreter.number(n, env) for n in nodes if isinstance(n, (tree.Number, tree.Member))]
    return tuple(sorted({value for value in found if value is not None})) or (0.0,)


def a_value(rng: random.Random, spec: SignalSpec, dense: tuple[float, ...]) -> float | str:
    """Mostly in range, dense at the constants; sometimes at fault or absurd."""
    kind = rng.random()
    if kind < 0.06:
        return rng.choice(FAULTS)
    if kind < 0.10:
        return rng.choice(EXTREMES)
    if spec.kind != "number":
        return rng.choice((float(rng.randint(int(spec.low), int(spec.high))), 0.5, spec.high + 1.0))
    if kind < 0.45:
        near = rng.choice(dense)
        return rng.choice((near, math.nextafter(near, math.inf), math.nextafter(near, -math.inf)))
    if kind < 0.55:
        return rng.choice((spec.low, spec.high, math.nextafter(spec.high, math.inf), spec.nominal))
    return rng.uniform(max(spec.low, -200.0), min(spec.high, 200.0))


def some_values(rng: random.Random, program: Program, dense: tuple[float, ...]) -> dict[str, float | str]:
    return {s.name: a_value(rng, s, dense) for s in program.signals if rng.random() < 0.8}


def script(value: object) -> str:
    """`value` as a JavaScript literal: JSON, and what JSON does not have."""
    return json.dumps(value)


def expected(program: Program, values: Mapping[str, float | str]) -> str:
    signals: dict[str, Signal] = {}
    for spec in program.signals:
        value = values.get(spec.name, spec.nominal)
        if isinstance(value, str):
            value = math.nan
        signals[spec.name] = Signal(spec.name, value, 0.0, spec.source)
    numbers, healthy, _ = readings(program.signals, signals, 0.0)
    when, clear = program.when(numbers, healthy), program.clear(numbers, healthy)
    return "".join(str(int(t)) for t in (*when, *clear)) + f" {program.choose(numbers, healthy)}"


CONDITIONS = """
return INPUTS.map((values) => {
  const found = Engine.evaluate(program, values);
  return found.when.join("") + found.clear.join("") + " " + found.chosen;
});
"""


def test_the_page_s_conditions_are_the_policy_s(
    draft: DraftPolicy, javascript: Run, rng: random.Random
) -> None:
    dense = constants(draft)
    inputs = [some_values(rng, draft.program, dense) for _ in range(INPUTS)]
    said = javascript(draft, CONDITIONS.replace("INPUTS", script(inputs)))
    wanted = [expected(draft.program, values) for values in inputs]
    assert said == wanted
    assert len(set(wanted)) > INPUTS // 20  # they are not all the same outcome


# --- whole runs ---

TRIALS = """
const told = ["init null", "standby ready", "standby reset", "manual take", "safe_state stop", "lockout stop",
  "lockout integrity"];
return RUNS.map((phases) => {
  const trial = new Trial(program);
  const seen = [trial.arm()];
  for (const {values, span, event, suggest, manual} of phases) {
    seen.push(...trial.run(values, span, {event, manual, suggest: suggest === null ? undefined : suggest}));
  }
  return seen.map((one) => [
    one.now, one.newFrame, one.mode, one.authority, one.gate, one.deadline, one.inputs.chosen,
    one.inputs.when.join("") + one.inputs.clear.join(""), one.command,
    one.causes.map((c) => [program.rows[c.row].id, c.since, c.demands, c.expired, c.values]),
    one.notices.map((i) => program.rows[i].id),
    one.planned ? (told.includes(`${one.mode} ${one.event}`) ? `event:${one.event}` : "") : "event:no-suggestion",
  ]);
});
"""


def a_command(rng: random.Random, program: Program) -> dict[str, float] | None:
    if rng.random() < 0.4:
        return None
    names = [limit.name for limit in program.envelope]
    if rng.random() < 0.1:
        names = names[1:] or ["other"]
    return {
        name: rng.choice((rng.uniform(-1.0, 2.0), 0.3, math.nan, math.inf))
        if rng.random() < 0.3
        else rng.uniform(0.0, 1.0)
        for name in names
    }


def a_run(rng: random.Random, draft: DraftPolicy, dense: tuple[float, ...]) -> list[Phase]:
    """What the policy's own tests give, calm and chance in turn, for a frame or for seconds, and what operators do."""
    program = draft.program
    known = [step.phase.values for case in embedded_cases(draft.document, program) for step in case.steps]
    phases = []
    for _ in range(rng.randint(4, 12)):
        kind, values = rng.random(), dict(rng.choice(known))
        if kind < 0.35:
            values = {}
        elif kind < 0.55:
            for spec in rng.sample(program.signals, k=rng.randint(1, min(3, len(program.signals)))):
                values[spec.name] = a_value(rng, spec, dense)
        spans = (
            Span(frames=rng.randint(1, 6)),
            Span(seconds=rng.uniform(0.01, 0.4)),
            Span(seconds=rng.uniform(0.4, 1.5)),
        )
        event = rng.choice(EVENTS) if rng.random() < 0.5 else None
        phases.append(
            Phase(values, rng.choice(spans), event, a_command(rng, program), a_command(rng, program))
        )
    return phases


def a_tour() -> list[Phase]:
    """Every operator event in every mode that calm leads to."""
    calm, long = Span(frames=1), Span(frames=60)
    tour = (
        *(Event.STOP, Event.ARM, Event.RELEASE, Event.RESET, Event.RESET, Event.STOP, Event.TAKE, Event.STOP),
        *(
            Event.RESET,
            Event.ARM,
            Event.ARM,
            Event.RESET,
            Event.RELEASE,
            Event.TAKE,
            Event.TAKE,
            Event.RELEASE,
        ),
        *(Event.STOP, Event.TAKE, Event.RESET, Event.RELEASE),
    )
    return [Phase({}, long if event is Event.STOP else calm, event) for event in tour]


def in_script(phase: Phase) -> dict[str, object]:
    return {
        "values": phase.values,
        "span": {"frames": phase.span.frames, "seconds": phase.span.seconds},
        "event": phase.event.value if phase.event else None,
        "suggest": phase.suggest,
        "manual": phase.manual,
    }


def as_said(seen: Seen) -> list[object]:
    """A step of the real engine in the form in which the page's engine tells its own."""
    told = [cause.rule for cause in seen.causes if not cause.line]
    rules = [cause for cause in seen.causes if cause.line]
    return [
        seen.now,
        seen.new_frame,
        seen.mode.value,
        int(seen.authority),
        seen.gate.value,
        seen.deadline,
        seen.fallback,
        "".join(str(int(t)) for t in (*seen.when, *seen.clear)),
        dict(seen.command.values),
        [[c.rule, c.since, int(c.demands), c.expired, copy.copy(dict(c.values))] for c in rules],
        [c.rule for c in seen.notices],
        told[0] if told else "",
    ]


def test_the_page_runs_step_by_step_as_the_guard_does(
    draft: DraftPolicy, javascript: Run, rng: random.Random
) -> None:
    dense = constants(draft)
    cases = embedded_cases(draft.document, draft.program)
    runs = [a_tour(), *([step.phase for step in case.steps] for case in cases)]
    runs += [a_run(rng, draft, dense) for _ in range(RUNS)]
    said = javascript(draft, TRIALS.replace("RUNS", script([[in_script(p) for p in run] for run in runs])))
    steps, modes = 0, set()
    for run, found in zip(runs, said):
        trial = Trial(draft.program)
        wanted = [trial.arm(), *(seen for phase in run for seen in trial.run(phase))]
        modes |= {seen.mode.value for seen in wanted}
        steps += len(wanted)
        assert found == json.loads(json.dumps([as_said(seen) for seen in wanted]))
    assert steps > 50 * RUNS
    assert {"nominal", "manual", "safe_state", "standby"} <= modes


# --- random conditions ---


def a_number(rng: random.Random, depth: int) -> str:
    if depth == 0:
        return rng.choice(("a", "b", "c", "1", "2.5", "5e-324", "0"))
    left, right = a_number(rng, depth - 1), a_number(rng, depth - 1)
    return rng.choice((
        f"({left} {rng.choice('+-*')} {right})", f"({left} / {rng.choice(('2', '0.1'))})", f"(-{left})",
        f"({a_truth(rng, depth - 1)} ? {left} : {right})",
    ))  # fmt: skip


def a_truth(rng: random.Random, depth: int) -> str:
    if depth == 0:
        return rng.choice(("true", "false", "a < b", "b in [0, 1, -2]", "f"))
    left, right = a_truth(rng, depth - 1), a_truth(rng, depth - 1)
    first, second = a_number(rng, depth - 1), a_number(rng, depth - 1)
    return rng.choice((
        f"({first} {rng.choice(('<', '<=', '>', '>=', '==', '!='))} {second})",
        f"(({left}) {rng.choice(('&&', '||', '==', '!='))} ({right}))", f"(!({left}))",
        f"({first} in [1, -2.5, 0])", f"(({a_truth(rng, depth - 1)}) ? ({left}) : ({right}))",
    ))  # fmt: skip


def test_random_conditions_come_out_the_same_and_are_shown_as_they_are(
    load: Callable[[str], DraftPolicy], javascript: Run, rng: random.Random
) -> None:
    texts = [a_truth(rng, rng.randint(1, 4)) for _ in range(120)]
    rules = "\n".join(
        f"  - {{id: r{i}, when: '{text}', then: rules}}" for i, text in enumerate(texts) if len(text) < 900
    )
    signals = "\n".join(f"  {name}: {{from: context, range: [-inf, inf], max_age: 1s}}" for name in "abc")
    draft = load(
        "edgeguard: 1\npolicy: {name: random, version: 1}\nsignals:\n" + signals
        + "\n  f: {from: context, type: bool, max_age: 1s}\nrules:\n" + rules
        + "\nenvelope: {brake: {min: 0, max: 1, safe: 1}}\n"
    )  # fmt: skip
    inputs = [some_values(rng, draft.program, (0.0, 1.0, 2.5)) for _ in range(200)]
    said = javascript(draft, CONDITIONS.replace("INPUTS", script(inputs)))
    assert said == [expected(draft.program, values) for values in inputs]
    shown = javascript(
        draft, "return program.rows.filter((r) => r.when !== null).map((r) => Words.show(r.when, program));"
    )
    again = load(
        draft.document.source.text.replace(
            rules, "\n".join(f"  - {{id: r{i}, when: '{t}', then: rules}}" for i, t in enumerate(shown))
        )
    )
    for before, after in zip(draft.document.triggers, again.document.triggers):
        assert tree.skeleton(before.when) == tree.skeleton(after.when)
