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
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

from edgeguard.decision.table import Truth
from edgeguard.policy import Calibration
from edgeguard.policy.compiler import compile_policy
from edgeguard.policy.document import parse
from edgeguard.policy.expr import interpreter
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
    mentioned,
    written,
)

try:
    from cel_expr_python import cel
except ImportError:
    pytest.skip("Google's CEL has no package for this Python", allow_module_level=True)

EVALUATIONS = int(os.environ.get("EDGEGUARD_CEL_EVALUATIONS", "20000"))
NOW = 100.0


class Case(NamedTuple):
    """One condition of a policy: where it stands, what it mentions, and CEL's program for it and all its sums."""

    path: tuple[str | int, ...]
    text: str
    mentions: frozenset[str]
    program: cel.Expression


@dataclass(slots=True)
class Tally:
    """What came of the comparison."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def environment() -> cel.Env:
    kinds = dict.fromkeys((*NUMBERS, "kind", *MEMBERS), cel.Type.DOUBLE) | dict.fromkeys(FLAGS, cel.Type.BOOL)
    return cel.NewEnv(variables=kinds)


def compiled(maker: Maker, env: cel.Env) -> tuple[Part, cel.Expression]:
    """A random condition, and CEL's program for it and every sum in it: a list of their values."""
    while True:
        part = maker.condition()
        sums = [written(p, theirs=True) for p in part.walk() if p.op in SUMS]
        try:
            return part, env.compile(f"[{', '.join([written(part, theirs=True), *sums])}]")
        except RuntimeError as error:
            if "recursion depth" not in str(error):  # CEL counts its levels otherwise than we do
                raise


def policy(rng: random.Random, env: cel.Env) -> tuple[str, list[Case]]:
    """A whole policy file, and what CEL makes of each of its conditions."""
    maker = Maker(rng)
    for kind in "nttn":
        maker.name(kind)
    cases: list[Case] = []

    def one(*path: str | int) -> str:
        part, program = compiled(maker, env)
        cases.append(Case(path, written(part), mentioned(part), program))
        return f"'{written(part)}'"

    lines = ["edgeguard: 1", "policy: {name: oracle, version: 1}", "calibration: c.json"]
    lines += [f"admission: {{signers: [{{key: k.pub, sha256: '{'0' * 64}'}}]}}", "let:"]
    lines += ["  half: 0.5", "  less: {is: -4}", "  tiny: 1e-300"]
    lines += [f"  {name}: '{written(part)}'" for name, part in maker.lets.items()]
    lines += ["signals:"]
    for name in NUMBERS:
        reach = "[-10, 10]" if name == "d" else "[-inf, inf]"
        lines.append(f"  {name}: {{from: context, range: {reach}, max_age: 100ms}}")
    lines += [f"  {name}: {{from: context, type: bool, max_age: 100ms}}" for name in FLAGS]
    lines += [
        f"  kind: {{from: context, type: class, labels: [{', '.join(LABELS)}], max_age: 100ms}}",
        "rules:",
    ]
    for i in range(rng.choice((1, 5, 20))):
        lines += [f"  - id: rule-{i}", f"    when: {one('rules', i, 'when')}", "    then: rules"]
        if rng.random() < 0.5:
            lines.append(f"    clear: {{when: {one('rules', i, 'clear', 'when')}}}")
    lines.append("fallback:")
    for i in range(2):
        lines += [f"  - when: {one('fallback', i, 'when')}", "    command: {brake: 1}"]
    lines.append("envelope: {brake: {min: 0, max: 1, safe: 1}}")
    return "\n".join(lines), cases


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
    return (Truth.TRUE, "agreed: true") if answer else (Truth.FALSE, "agreed: false")


def compare(rng: random.Random, env: cel.Env, inputs: int, tally: Tally) -> None:
    """One random policy over random inputs."""
    source, cases = policy(rng, env)
    document = parse(source.encode(), file="oracle.yaml")
    calibration = Calibration("c.json", "oracle", {}, 100, 0.01, THRESHOLDS)
    program = compile_policy(document, base=Path(), calibration=calibration)
    literals = [
        float(text) for text in source.replace(",", " ").split() if text[0].isdigit() and is_number(text)
    ]
    for _ in range(inputs):
        signals, data, faulty = situation(rng, literals)
        values, healthy, _ = readings(program.signals, signals, NOW)
        names = [spec.name for spec in program.signals]
        known = {name: value if fine else None for name, value, fine in zip(names, values, healthy)}
        activation = env.Activation(data)
        when, clear = program.when(values, healthy), program.clear(values, healthy)
        rows: list[Truth] = []
        for case in cases:
            wanted, why = told(case, activation, faulty)
            slow = interpreter.truth(document.conditions[case.path], {**MEMBERS, **known})
            section, i = case.path[0], int(case.path[1])
            compiled = (clear if "clear" in case.path else when)[i] if section == "rules" else slow
            if section == "fallback":
                rows.append(wanted)
            tally.counts[why] += 1
            if not wanted is slow is compiled:
                tally.wrong.append(
                    f"{case.text}: {data}, at fault {faulty}: {why}, we say {slow!r}, {compiled!r}"
                )
        chosen = next(
            (i if row is Truth.TRUE else -1 for i, row in enumerate(rows) if row is not Truth.FALSE), -1
        )
        if program.choose(values, healthy) != chosen:
            tally.wrong.append(f"fallback of {source}: {data}, at fault {faulty}: {rows}")


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
