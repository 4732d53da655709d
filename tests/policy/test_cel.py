"""Conditions against Google's CEL, an engine that shares no code with ours: one text, one set of values, one meaning.

Where we say TRUE or FALSE, CEL must say the same; where we say FAULT, a signal that the text mentions must be at fault,
or CEL must find a sum, product or quotient in the text that is not a finite number; and the other way round.
"""

from __future__ import annotations

import math
import os
import random
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import pytest

from edgeguard.decision.table import Truth
from edgeguard.policy import Calibration
from edgeguard.policy.compiler import compile_policy
from edgeguard.policy.document import parse
from edgeguard.policy.expr import interpreter
from edgeguard.policy.triggers import Trigger
from edgeguard.program import Program
from edgeguard.signals.readings import readings
from edgeguard.types import Signal
from tests.policy.cel_expressions import (
    EDGES,
    FLAGS,
    LABELS,
    MEMBERS,
    NUMBERS,
    SUMS,
    THRESHOLDS,
    Maker,
    Part,
    leaf,
    mentioned,
    written,
)

try:
    from cel_expr_python import cel
except ImportError:
    pytest.skip("Google's CEL has no package for this Python", allow_module_level=True)

EVALUATIONS = int(os.environ.get("EDGEGUARD_CEL_EVALUATIONS", "20000"))
NOW = 100.0
OPPOSITE = {Truth.TRUE: Truth.FALSE, Truth.FALSE: Truth.TRUE, Truth.FAULT: Truth.FAULT}
HEAD = f"""\
edgeguard: 1
policy: {{name: oracle, version: 1}}
calibration: c.json
admission: {{signers: [{{key: k.pub, sha256: "{"0" * 64}"}}]}}
let:
  half: 0.5
  less: {{is: -4}}
  tiny: 1e-300"""
SIGNALS = f"""\
signals:
  a: {{from: context, range: [-inf, inf], max_age: 100ms}}
  b: {{from: context, range: [-inf, inf], max_age: 100ms}}
  c: {{from: context, range: [-inf, inf], max_age: 100ms}}
  d: {{from: context, range: [-10, 10], max_age: 100ms}}
  p: {{from: context, type: bool, max_age: 100ms}}
  q: {{from: context, type: bool, max_age: 100ms}}
  kind: {{from: context, type: class, labels: [{", ".join(LABELS)}], max_age: 100ms}}"""


class Case(NamedTuple):
    """One condition of a policy, and CEL's program for it and every sum in it: a list of their values."""

    place: str
    """`when` or `clear` of the rule or relation called `row`; or a fallback row's, which has no name."""
    row: str
    text: str
    mentions: frozenset[str]
    program: cel.Expression
    opposite: bool = False
    """A clear condition that the policy does not write."""


@dataclass(slots=True)
class Tally:
    """What came of the comparison."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def environment() -> cel.Env:
    kinds = dict.fromkeys((*NUMBERS, "kind", *MEMBERS), cel.Type.DOUBLE) | dict.fromkeys(FLAGS, cel.Type.BOOL)
    return cel.NewEnv(variables=kinds)


class Writer:
    """Writes a random policy, and notes what CEL makes of each of its conditions."""

    def __init__(self, rng: random.Random, env: cel.Env) -> None:
        self.rng, self.env, self.maker = rng, env, Maker(rng)
        self.cases: list[Case] = []
        for kind in "nttn":
            self.maker.name(kind)

    def policy(self) -> str:
        lines = [HEAD, *(f"  {name}: '{written(part)}'" for name, part in self.maker.lets.items()), SIGNALS]
        lines += ["redundancy:", *self.agreement(), *self.expectation(), "rules:"]
        for i in range(self.rng.choice((1, 5, 20))):
            condition = self.case("when", f"rule-{i}", self.maker.condition)
            lines += [f"  - id: rule-{i}", f"    when: '{written(condition)}'", *self.rest(f"rule-{i}")]
        lines.append("fallback:")
        for _ in range(2):
            condition = self.case("fallback", "", self.maker.condition)
            lines += [f"  - when: '{written(condition)}'", "    command: {brake: 1}"]
        return "\n".join((*lines, "envelope: {brake: {min: 0, max: 1, safe: 1}}"))

    def case(self, place: str, row: str, make: Callable[[], Part]) -> Part:
        """A random condition that CEL can read, too: it counts its levels otherwise than we do."""
        while True:
            part = make()
            sums = [written(p, theirs=True) for p in part.walk() if p.op in SUMS]
            try:
                program = self.env.compile(f"[{', '.join([written(part, theirs=True), *sums])}]")
            except RuntimeError as error:
                if "recursion depth" not in str(error):
                    raise
            else:
                self.cases.append(Case(place, row, written(part), mentioned(part), program))
                return part

    def rest(self, row: str) -> list[str]:
        """What a rule or relation has besides its condition; `clear` is left out as often as not."""
        lines = ["    then: rules", f"    mode: {self.rng.choice(('enforce', 'enforce', 'warn', 'audit'))}"]
        if self.rng.random() < 0.5:
            return [
                *lines,
                f"    clear: {{when: '{written(self.case('clear', row, self.maker.condition))}'}}",
            ]
        self.cases.append(self.cases[-1]._replace(place="clear", opposite=True))
        return lines

    def agreement(self) -> list[str]:
        one, two = (leaf(name) for name in self.rng.sample(NUMBERS, 2))
        most = leaf(repr(self.rng.choice(EDGES)))
        differ = [Part(">", (Part("-", sides), most)) for sides in ((one, two), (two, one))]
        self.case("when", "agree", lambda: Part("||", tuple(differ)))
        pair = f"    agree: [{one.ours}, {two.ours}]"
        return ["  - id: agree", pair, f"    tolerance: {most.ours}", *self.rest("agree")]

    def expectation(self) -> list[str]:
        def make() -> Part:
            expected = Part("!", (replace(self.maker.condition(), brackets=True),))
            return Part("&&", (replace(self.maker.condition(), brackets=True), expected))

        holds, denied = self.case("when", "expect", make).parts
        lines = [f"    if: '{written(holds)}'", f"    expect: '{written(denied.parts[0])}'"]
        return ["  - id: expect", *lines, *self.rest("expect")]


def situation(
    rng: random.Random, literals: Sequence[float]
) -> tuple[dict[str, Signal], dict[str, float | bool], set[str]]:
    """Signals as they may come, the same for CEL, and which of them are at fault."""
    signals: dict[str, Signal] = {}
    data: dict[str, float | bool] = dict(MEMBERS)
    faulty: set[str] = set()
    for name in (*NUMBERS, *FLAGS, "kind"):
        value = good(rng, name, literals)
        data[name] = value != 0.0 if name in FLAGS else value
        at: float = NOW - rng.choice((0.0, 0.05))
        sent: float | None = value
        if rng.random() < 0.03:
            faulty.add(name)
            sent, at = bad(rng, name, value)
        if sent is not None or rng.random() < 0.5:
            signals[name] = Signal(name, sent, at, "context")
    return signals, data, faulty


def good(rng: random.Random, name: str, literals: Sequence[float]) -> float:
    if name in FLAGS:
        return rng.choice((0.0, 1.0))
    if name == "kind":
        return rng.choice((-1.0, 0.0, 1.0, 2.0))
    if name == "d":
        return rng.choice((rng.uniform(-10, 10), 10.0, -10.0, 0.1, -0.0, 5e-324))
    choice = rng.random()
    if choice < 0.4:
        return rng.uniform(-10, 10)
    if choice < 0.9:
        return rng.choice((*EDGES, *literals)) * rng.choice((1.0, -1.0))
    value = float(struct.unpack("<d", rng.randbytes(8))[0])
    return value if math.isfinite(value) else -0.0


def bad(rng: random.Random, name: str, value: float) -> tuple[float | None, float]:
    """A value and its time that are at fault."""
    wrong = {"d": (10.000000000000002, -1e308), "kind": (3.0, -2.0, 0.5)}.get(name, (0.5, 2.0, -1.0))
    found: list[tuple[float | None, float]] = [
        (None, NOW), (math.nan, NOW), (math.inf, NOW), (-math.inf, NOW),
        (value, NOW - 0.2), (value, NOW + 0.002), (value, math.nan),
    ]  # fmt: skip
    if name in FLAGS or name in ("d", "kind"):
        found += [(other, NOW) for other in wrong]
    return rng.choice(found)


def told(case: Case, activation: cel.Activation, faulty: set[str]) -> tuple[Truth, str]:
    """The truth that the semantics asks for, by CEL's computation, and why."""
    if case.mentions & faulty:
        return Truth.FAULT, "fault: a signal"
    answer, *sums = case.program.eval(activation).plain_value()
    if not all(math.isfinite(value) for value in sums):
        return Truth.FAULT, "fault: a number"
    truth = Truth.TRUE if answer is not case.opposite else Truth.FALSE
    return truth, f"agreed: {truth.name.lower()}"


class Ours:
    """What the compiled functions and the slow interpreter say."""

    def __init__(self, program: Program, triggers: Mapping[str, Trigger]) -> None:
        self.program, self.triggers = program, triggers
        self.index = {row.id: i for i, row in enumerate((*program.table.rules, *program.watched))}
        self.env: dict[str, float | None] = {}
        self.compiled: dict[str, tuple[Truth, ...]] = {}
        self.chosen = -1

    def look(self, values: Sequence[float], healthy: Sequence[bool]) -> None:
        known = [value if fine else None for value, fine in zip(values, healthy)]
        self.env = {**MEMBERS, **dict(zip((spec.name for spec in self.program.signals), known))}
        self.compiled["when"] = self.program.when(values, healthy)
        self.compiled["clear"] = self.program.clear(values, healthy)
        self.chosen = self.program.choose(values, healthy)

    def say(self, case: Case) -> tuple[Truth, Truth]:
        trigger = self.triggers[case.row]
        node = trigger.when if case.place == "when" or case.opposite else trigger.clear
        assert node is not None
        slow = interpreter.truth(node, self.env)
        return self.compiled[case.place][self.index[case.row]], OPPOSITE[slow] if case.opposite else slow


def compare(rng: random.Random, env: cel.Env, inputs: int, tally: Tally) -> None:
    """One random policy over random inputs."""
    writer = Writer(rng, env)
    source = writer.policy()
    document = parse(source.encode(), file="oracle.yaml")
    calibration = Calibration("c.json", "oracle", {}, 100, 0.01, THRESHOLDS)
    program = compile_policy(document, base=Path(), calibration=calibration)
    ours = Ours(program, {trigger.id: trigger for trigger in document.triggers})
    literals = [float(text) for text in source.replace(",", " ").split() if is_number(text)]
    for _ in range(inputs):
        signals, data, faulty = situation(rng, literals)
        values, healthy, _ = readings(program.signals, signals, NOW)
        ours.look(values, healthy)
        activation, rows = env.Activation(data), []
        for case in writer.cases:
            wanted, why = told(case, activation, faulty)
            tally.counts[why] += 1
            if case.place == "fallback":
                rows.append(wanted)
            elif not all(truth is wanted for truth in ours.say(case)):
                tally.wrong.append(f"{case.text}: {data}, at fault {faulty}: {why}, we say {ours.say(case)}")
        chosen = next((i for i, row in enumerate(rows) if row is not Truth.FALSE), -1)
        if ours.chosen != (chosen if chosen >= 0 and rows[chosen] is Truth.TRUE else -1):
            tally.wrong.append(
                f"fallback of {source}: {data}, at fault {faulty}: {rows}, we say {ours.chosen}"
            )


def is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def test_conditions_mean_what_google_s_cel_says() -> None:
    rng, env, tally = random.Random(EVALUATIONS), environment(), Tally()
    while tally.counts.total() < EVALUATIONS:
        compare(rng, env, 40, tally)
    print(
        f"{tally.counts.total()} evaluations against CEL: {dict(sorted(tally.counts.items()))}, "
        f"unexplained: {len(tally.wrong)}"
    )
    assert tally.wrong == []
    assert all(
        tally.counts[why] > EVALUATIONS / 50
        for why in ("fault: a signal", "fault: a number", "agreed: true", "agreed: false")
    )
