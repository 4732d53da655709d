"""Interval arithmetic never calls possible things impossible, and its searches end."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from edgeguard.decision.table import Truth
from edgeguard.desk.lint.ranges import Box, Interval, Search, number, outcomes
from edgeguard.policy.expr import interpreter, tree
from edgeguard.policy.expr.parser import parse_expression

NAMES = ("a", "b", "c")


def numbers(depth: int) -> st.SearchStrategy[str]:
    leaf = st.one_of(st.sampled_from(NAMES), st.sampled_from(["0.0", "0.1", "1.0", "2.0", "(-1.5)", "1e200"]))
    if depth == 0:
        return leaf
    below = numbers(depth - 1)
    sums = st.tuples(below, st.sampled_from("+-*"), below).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
    shares = st.tuples(below, st.sampled_from(["2.0", "0.5", "(-3.0)"])).map(lambda t: f"({t[0]} / {t[1]})")
    return st.one_of(leaf, sums, shares, below.map(lambda t: f"(-{t})"))


def truths(depth: int) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
    compared = st.tuples(numbers(1), operators, numbers(1)).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
    listed = st.sampled_from(NAMES).map(lambda n: f"({n} in [0.0, 1.0])")
    if depth == 0:
        return st.one_of(compared, compared, listed, st.sampled_from(["true", "false"]))
    below = truths(depth - 1)
    joined = st.tuples(below, st.sampled_from(["&&", "||"]), below).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
    chosen = st.tuples(below, below, below).map(lambda t: f"({t[0]} ? {t[1]} : {t[2]})")
    return st.one_of(joined, joined, chosen, below.map(lambda t: f"(!{t})"))


ENDS = st.sampled_from([-3.0, -1.5, -1.0, 0.0, 0.1, 0.5, 1.0, 2.0, 3.0])
INTERVALS = st.tuples(ENDS, ENDS).map(lambda pair: Interval(min(pair), max(pair)))


@st.composite
def boxes(draw: st.DrawFn) -> tuple[Box, dict[str, float | None]]:
    """A box, and a point in it: often on an edge."""
    ranges = {name: draw(INTERVALS) for name in NAMES}
    point: dict[str, float | None] = {
        name: draw(st.one_of(st.sampled_from([low, high]), st.floats(low, high)))
        for name, (low, high) in ranges.items()
    }
    return Box(ranges), point


def read(text: str) -> tree.Node:
    node = parse_expression(text)
    assert not isinstance(node, tuple), text
    return node


@given(numbers(3), boxes())
def test_every_number_lies_in_its_interval(text: str, where: tuple[Box, dict[str, float | None]]) -> None:
    box, point = where
    value = interpreter.number(read(text), point)
    if value is not None:
        low, high = number(read(text), box)
        assert low <= value <= high


@given(truths(3), boxes())
def test_every_outcome_is_foreseen(text: str, where: tuple[Box, dict[str, float | None]]) -> None:
    box, point = where
    value = interpreter.truth(read(text), point)
    if value is not Truth.FAULT:
        assert bool(value) in outcomes(read(text), box)


@given(truths(3), boxes(), st.integers(0, 200))
def test_every_point_is_covered(text: str, where: tuple[Box, dict[str, float | None]], visits: int) -> None:
    box, point = where
    value = interpreter.truth(read(text), point)
    if value is not Truth.FAULT:
        covers = Search(visits).covers(read(text), bool(value), box)
        assert any(_inside(point, cover) for cover in covers)


def _inside(point: dict[str, float | None], box: Box) -> bool:
    return all(
        value is not None and box.ranges[n].low <= value <= box.ranges[n].high for n, value in point.items()
    )


def test_contradicting_comparisons_have_no_place() -> None:
    box = Box({"a": Interval(0.0, 1.0)})
    for text in (
        "a > 0.5 && a < 0.5",
        "a > 0.5 && a <= 0.5",
        "a == 0.0 && a != 0.0",
        "a > 0.2 && !(a > 0.1)",
    ):
        assert Search(100).covers(read(text), True, box) == ()
    assert Search(100).covers(read("a >= 0.5 && a <= 0.5"), True, box) == (Box({"a": Interval(0.5, 0.5)}),)


def test_labels_run_out() -> None:
    box = Box({"a": Interval(-1.0, 1.0)}, frozenset({"a"}))
    assert Search(100).covers(read("a != -1.0 && a != 0.0 && a != 1.0"), True, box) == ()


def test_a_search_without_work_left_knows_nothing() -> None:
    box = Box({"a": Interval(0.0, 1.0)})
    assert Search(0).covers(read("a > 2.0"), True, box) == (box,)


def test_a_condition_that_branches_everywhere_is_searched_no_longer_than_allowed() -> None:
    text = "(a > 0.1 || b > 0.1)"
    for _ in range(25):
        text = f"((a > 0.1 || b > 0.1 || c > 0.1) && {text})"
    box = Box({name: Interval(0.0, 1.0) for name in NAMES})
    search = Search(5_000)
    assert search.covers(read(text), True, box)
    assert search.visits > -200_000


def test_overflow_is_left_open() -> None:
    box = Box({"a": Interval(-1e308, 1e308)})
    assert number(read("a * 10.0 - a * 10.0"), box) == Interval(-math.inf, math.inf)
