"""Conditions as formulas mean what the reference interpreter says; witnesses are plain and lie in their ranges."""

from __future__ import annotations

import math
import random
import subprocess
import sys

import pytest

from edgeguard.decision.table import Truth
from edgeguard.desk.solve.backend import z3
from edgeguard.desk.solve.bounds import Bounds, bounds
from edgeguard.desk.solve.encode import Space, real
from edgeguard.desk.solve.search import Answer, ask, never
from edgeguard.policy.expr import interpreter, tree
from edgeguard.policy.expr.checker import Scope, check
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.expr.tree import Kind
from edgeguard.program import SignalSpec

SIGNALS = tuple(SignalSpec(name, "context", -64.0, 64.0, 1.0) for name in "abc")
THRESHOLDS = {"a": 0.25}
SCOPE = Scope(dict.fromkeys("abc", Kind.NUMBER), {"calibrated": frozenset(THRESHOLDS)})
DYADIC = (0.0, 1.0, -1.0, 0.5, 2.5, -8.0, 63.75, 0.25)
"""Sums of these are exact in doubles, so that reals and doubles may not differ at all."""


def parsed(text: str, scope: Scope = SCOPE) -> tree.Node:
    node = parse_expression(text)
    assert not isinstance(node, Problem), node
    assert check(node, scope) == ()
    return node


def space(*signals: SignalSpec) -> Space:
    return Space.of(signals or SIGNALS, THRESHOLDS)


def number(rng: random.Random, depth: int) -> str:
    if depth == 0:
        return rng.choice(("a", "b", "c", "calibrated.a", "1", "2.5", "-0.5"))
    left, right = number(rng, depth - 1), number(rng, depth - 1)
    return rng.choice(
        (
            f"({left} {rng.choice('+-*')} {right})",
            f"({left} / 4.0)",
            f"(-{left})",
            f"({truth(rng, depth - 1)} ? {left} : {right})",
        )
    )


def truth(rng: random.Random, depth: int) -> str:
    left, right = number(rng, max(depth - 1, 0)), number(rng, max(depth - 1, 0))
    compared = f"({left} {rng.choice(('<', '<=', '>', '>=', '==', '!='))} {right})"
    if depth == 0:
        return compared
    one, two = truth(rng, depth - 1), truth(rng, depth - 1)
    return rng.choice(
        (
            compared,
            f"({one} {rng.choice(('&&', '||', '==', '!='))} {two})",
            f"(!{one})",
            f"({left} in [1, -2.5, 0])",
            f"({one} ? {two} : {compared})",
        )
    )


def evaluated(formula: object, inputs: dict[str, float | None], where: Space) -> bool:
    at = [(where.healthy[n], z3.BoolVal(v is not None)) for n, v in inputs.items()]
    at += [(where.values[n], real(v or 0.0)) for n, v in inputs.items()]
    return bool(z3.is_true(z3.simplify(z3.substitute(formula, *at))))


@pytest.mark.parametrize("seed", range(8))
def test_formulas_mean_what_the_reference_interpreter_says(seed: int) -> None:
    rng, where = random.Random(seed), space()
    for _ in range(40):
        text = truth(rng, rng.randrange(4))
        node = parse_expression(text)
        if isinstance(node, Problem):
            continue
        truths = where.truths(node)
        for _ in range(4):
            inputs = {n: rng.choice((*DYADIC, None)) if rng.random() < 0.8 else 0.0 for n in "abc"}
            expected = interpreter.truth(node, {**inputs, "calibrated.a": 0.25})
            found = [evaluated(formula, inputs, where) for formula in truths]
            wanted = [expected is truth for truth in (Truth.TRUE, Truth.FALSE, Truth.FAULT)]
            assert found == wanted, (text, inputs)


@pytest.mark.parametrize("seed", range(4))
def test_bounds_hold_every_value(seed: int) -> None:
    rng = random.Random(seed)
    ranges = {**{n: Bounds(-64.0, 64.0) for n in "abc"}, "calibrated.a": Bounds(0.25, 0.25)}
    for _ in range(60):
        node = parse_expression(number(rng, rng.randrange(4)))
        if isinstance(node, Problem):
            continue
        inputs: dict[str, float | None] = {n: rng.uniform(-64.0, 64.0) for n in "abc"}
        value = interpreter.number(node, {**inputs, "calibrated.a": 0.25})
        low, high = bounds(node, ranges)
        assert value is not None
        assert low - 1e-9 * abs(low) <= value <= high + 1e-9 * abs(high)


def test_a_sum_that_is_not_finite_is_a_fault() -> None:
    wide = space(SignalSpec("a", "context", -math.inf, math.inf, 1.0))
    node = parsed("a * a > 1.0")
    assert ask(z3.And(wide.fault(node), wide.all_healthy()), wide).answer is Answer.WITNESS
    found = ask(z3.And(*wide.overflows(node, surely=True), wide.all_healthy()), wide)
    assert found.answer is Answer.WITNESS
    assert interpreter.truth(node, found.values[0]) is Truth.FAULT


def test_a_sum_within_narrow_ranges_is_never_a_fault() -> None:
    assert space().overflows(parsed("a * b * c > 1.0")) == []


def test_an_open_range_ends_at_the_largest_number() -> None:
    wide = space(SignalSpec("a", "context", 0.0, math.inf, 1.0))
    found = ask(wide.truth(parsed("a > 1e308")), wide)
    assert found.answer is Answer.WITNESS
    assert found.values[0]["a"] is not None
    assert math.isfinite(found.values[0]["a"])


def test_a_witness_stays_nominal_where_it_can() -> None:
    calm = tuple(SignalSpec(n, "context", 0.0, 1.0, 1.0, nominal=0.75) for n in "abc")
    where = space(*calm)
    found = ask(z3.And(where.truth(parsed("a < 0.3")), where.healthy["a"]), where)
    assert found.values[0] == {"a": 0.0, "b": 0.75, "c": 0.75}


def test_a_witness_of_a_fault_names_the_signal() -> None:
    where = space()
    found = ask(where.fault(parsed("a < b")), where)
    assert [name for name, value in found.values[0].items() if value is None] == ["b"]


def test_a_class_has_one_value_a_label_and_one_for_all_others() -> None:
    answer = SignalSpec("answer", "primary", -1.0, 1.0, 1.0, kind="class", labels=("stop", "yield"))
    where = space(answer)
    stop = tree.Compare(0, 0, "==", tree.Name(0, 0, "answer"), tree.Label(0, 0, "answer", "stop", 0.0))
    assert ask(where.truth(stop), where).values == ({"answer": 0.0},)
    assert never(where.values["answer"] == real(0.5), where)
    assert ask(where.values["answer"] == real(-1.0), where).answer is Answer.WITNESS


def test_a_bool_signal_is_a_truth() -> None:
    door = SignalSpec("door", "context", 0.0, 1.0, 1.0, kind="bool", nominal=0.0)
    where = space(door)
    flag = tree.Flag(0, 0, "door")
    assert ask(where.truth(flag), where).values == ({"door": 1.0},)
    assert ask(z3.Not(where.truth(flag)), where).values == ({"door": 0.0},)
    assert ask(where.fault(flag), where).values == ({"door": None},)


def test_two_steps_have_variables_of_their_own() -> None:
    before, after = space(), Space.of(SIGNALS, THRESHOLDS, tag="'")
    node = parsed("a > 1.0")
    found = ask(z3.And(before.truth(node), z3.Not(after.truth(node))), before, after)
    assert found.answer is Answer.WITNESS
    assert len(found.values) == 2
    assert never(z3.And(before.truth(node), z3.Not(before.truth(node))), before)


def test_products_of_signals_are_solved() -> None:
    where = space()
    assert never(where.truth(parsed("a * a < 0.0")), where)
    found = ask(where.truth(parsed("a * a > 10.0 * (b - 2.0) && b > 3.0 && a > 0.0")), where)
    assert found.answer is Answer.WITNESS


def test_constants_are_folded_as_the_compiler_folds_them() -> None:
    where = Space.of(SIGNALS, {"a": 0.1})
    exactly = parsed("a == calibrated.a * 3.0")
    assert evaluated(where.truth(exactly), {"a": 0.1 * 3.0, "b": 0.0, "c": 0.0}, where)


def test_a_missing_solver_is_said_in_plain_words() -> None:
    code = (
        "import sys; sys.modules['z3'] = None\n"
        "from edgeguard.errors import UsageError\n"
        "try:\n    import edgeguard.desk.solve.backend\n"
        "except UsageError as error:\n    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "edgeguard-runtime[verify]" in said
