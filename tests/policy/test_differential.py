"""The compiled function against the slow reference on random conditions and values, seeded: no difference at all."""

from __future__ import annotations

import math
import random

import pytest

from edgeguard.decision.table import Truth
from edgeguard.policy.expr import interpreter, tree
from edgeguard.policy.expr.checker import Scope, check
from edgeguard.policy.expr.codegen import Condition, build, build_due
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.expr.tree import Kind

SIGNALS = ("a", "b", "c")
THRESHOLDS = {"low": 0.25, "high": 1e200}
SCOPE = Scope(dict.fromkeys(SIGNALS, Kind.NUMBER), {"calibrated": frozenset(THRESHOLDS)})
LEAVES = (*SIGNALS, *SIGNALS, "calibrated.low", "calibrated.high", "1", "0", "2.5", "1e300", "5e-324")
VALUES = (0.0, -0.0, 1.0, 2.5, 0.25, math.nan, math.inf, -math.inf, 5e-324, 1e308, -1e308)


def number(rng: random.Random, depth: int) -> str:
    """The text of a random number."""
    if depth == 0:
        return rng.choice(LEAVES)
    left, right = number(rng, depth - 1), number(rng, depth - 1)
    return rng.choice(
        (
            f"({left} {rng.choice('+-*')} {right})",
            f"({left} / {rng.choice(('2', '1e-300', '5e-324', '0.1'))})",
            f"(-{left})",
            f"({truth(rng, depth - 1)} ? {left} : {right})",
        )
    )


def truth(rng: random.Random, depth: int) -> str:
    """The text of a random condition."""
    if depth == 0:
        return rng.choice(("true", "false", "(a < b)", "(b in [0, 1, -2])", "(a == c)"))
    left, right = truth(rng, depth - 1), truth(rng, depth - 1)
    first, second = number(rng, depth - 1), number(rng, depth - 1)
    return rng.choice(
        (
            f"({first} {rng.choice(('<', '<=', '>', '>=', '==', '!='))} {second})",
            f"({left} {rng.choice(('&&', '||', '==', '!='))} {right})",
            f"(!{left})",
            f"({first} in [1, -2.5, 0])",
            f"({truth(rng, depth - 1)} ? {left} : {right})",
        )
    )


def conditions(rng: random.Random, count: int) -> list[tree.Node]:
    found: list[tree.Node] = []
    while len(found) < count:
        node = parse_expression(truth(rng, rng.randrange(5)))
        if isinstance(node, Problem):
            assert node.code == "EG1202"
            continue
        assert check(node, SCOPE) == ()
        found.append(node)
    return found


def first_that_holds(truths: list[Truth]) -> int:
    for i, value in enumerate(truths):
        if value is not Truth.FALSE:
            return i if value is Truth.TRUE else -1
    return -1


@pytest.mark.parametrize("seed", range(12))
def test_compiled_conditions_mean_what_the_reference_says(seed: int) -> None:
    rng = random.Random(seed)
    nodes = conditions(rng, (1, 5, 35)[seed % 3])
    clears = [node if rng.random() < 0.5 else None for node in reversed(nodes)]
    compiled = build(SIGNALS, THRESHOLDS, [Condition(n, c) for n, c in zip(nodes, clears)], nodes[:4])
    due = build_due(SIGNALS, THRESHOLDS, nodes)
    opposite = {Truth.TRUE: Truth.FALSE, Truth.FALSE: Truth.TRUE, Truth.FAULT: Truth.FAULT}
    for _ in range(60):
        values = [rng.choice((*VALUES, rng.uniform(-5, 5))) for _ in SIGNALS]
        healthy = [rng.random() < 0.9 for _ in SIGNALS]
        env: dict[str, float | None] = {f"calibrated.{name}": value for name, value in THRESHOLDS.items()}
        env |= {name: value if fine else None for name, value, fine in zip(SIGNALS, values, healthy)}
        expected = [interpreter.truth(node, env) for node in nodes]
        clear = [opposite[t] if c is None else interpreter.truth(c, env) for t, c in zip(expected, clears)]
        assert compiled.when(values, healthy)[: len(nodes)] == tuple(expected)
        assert compiled.clear(values, healthy)[: len(nodes)] == tuple(clear)
        assert compiled.choose(values, healthy) == first_that_holds(expected[:4])
        assert due(values, healthy) == tuple(expected)
    assert due([], []) == (Truth.FAULT,) * len(nodes)  # what cannot be computed is a fault of every condition
