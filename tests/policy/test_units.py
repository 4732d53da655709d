"""Units: what fits, what does not, and that a policy that passes means the same in whatever sizes one measures."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgeguard.policy.dimension import ONE, OTHERWISE_CALLED, UNITS, Unit, UnknownUnitError, parse_unit
from edgeguard.policy.expr import interpreter
from edgeguard.policy.expr.checker import Scope, check
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.expr.tree import Kind

FACTORS = st.builds(lambda s, n: s + n, st.sampled_from(sorted(UNITS)), st.sampled_from(["", "", "2", "3"]))
TEXTS = st.builds(
    lambda first, rest: first + "".join(op + factor for op, factor in rest),
    FACTORS,
    st.lists(st.tuples(st.sampled_from("*/"), FACTORS), max_size=3),
)

DECLARED = {"length": "m", "width": "m", "time": "s", "speed": "m/s", "area": "m2", "share": ""}
SCOPE = Scope(
    dict.fromkeys(DECLARED, Kind.NUMBER),
    {},
    units={name: parse_unit(text) for name, text in DECLARED.items()},
)


def codes(text: str) -> list[str]:
    node = parse_expression(text)
    assert not isinstance(node, Problem)
    return [problem.code for problem in check(node, SCOPE)]


@given(TEXTS, TEXTS)
def test_product_and_quotient_of_units_are_what_is_written(left: str, right: str) -> None:
    a, b = parse_unit(left), parse_unit(right)
    assert a * b == b * a
    assert (a / b) * b == a
    assert parse_unit(f"{left}*{right}") == a * b
    assert a / a == ONE


@given(TEXTS)
def test_unit_reads_back_from_how_it_is_shown(text: str) -> None:
    unit = parse_unit(text)
    assume(all(abs(power) < 10 for _, power in unit.symbols))
    assert parse_unit(str(unit)) == unit


@pytest.mark.parametrize(
    ("one", "other"),
    [("N*m", "J"), ("1/s", "Hz"), ("V*A", "W"), ("J/s", "W"), ("N/m2", "Pa"), ("kg*m/s2", "N"), ("m/m", "")],
)
def test_same_quantity_in_the_same_size_is_the_same_unit(one: str, other: str) -> None:
    assert parse_unit(one) == parse_unit(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("m/s", "km/h"),
        ("s", "ms"),
        ("deg", "rad"),
        ("K", "degC"),
        ("%", ""),
        ("px", ""),
        ("rad", ""),
        ("bar", "Pa"),
    ],
)
def test_nothing_is_ever_converted(one: str, other: str) -> None:
    assert parse_unit(one) != parse_unit(other)


def test_scales_are_exact() -> None:
    assert parse_unit("km/h").scale == Fraction(5, 18)
    assert parse_unit("g").scale * 1000 == parse_unit("kg").scale


@pytest.mark.parametrize(
    "text", ["kmh", "M/s", "m//s", "m/", "*m", "m s", "m^2", "m1", "m0", "m10", "µm", "2", " m"]
)
def test_anything_else_is_no_unit(text: str) -> None:
    with pytest.raises(UnknownUnitError):
        parse_unit(text)


def test_every_other_name_that_a_hint_corrects_is_unknown_and_its_correction_known() -> None:
    for wrong, right in OTHERWISE_CALLED.items():
        assert wrong not in UNITS
        assert isinstance(parse_unit(right), Unit)


@pytest.mark.parametrize(
    "text",
    [
        "length + width < 3.0 * width",
        "length / 2.0 > -width",
        "speed * time > length",
        "length * width == area",
        "share > 0.5",
        "speed > 5",
        "5 < speed + 1",
        "(share > 0.5 ? length : 2.0) < width",
        "length in [1, 2]",
        "2.0 * 3.0 > length",
        "length * width > 2.0 + 3.0",
        "share * length > width",
    ],
)
def test_what_fits_is_accepted(text: str) -> None:
    assert codes(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "length < time",
        "length + time < 3.0",
        "speed * time > area",
        "length > share",
        "length + share > 1.0",
        "length * 2.0 > share",
        "(share > 0.5 ? length : time) < width",
        "(share > 0.5 ? 1.0 + length : time) < width",
        "length * length > length",
        "1.0 / 2.0 + length > time",
    ],
)
def test_what_does_not_fit_is_refused(text: str) -> None:
    assert codes(text) == ["EG1207"]


def sums(leaf: st.SearchStrategy[str], other: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Numbers in the unit of `leaf` and `other`, and what keeps the unit."""
    return st.recursive(
        st.one_of(leaf, other),
        lambda inner: st.one_of(
            st.builds(lambda a, op, b: f"({a} {op} {b})", inner, st.sampled_from("+-"), inner),
            st.builds(lambda a, n: f"({a} {n})", inner, st.sampled_from(["/ 2.0", "* 3.0", "* share"])),
            st.builds(lambda a: f"(-{a})", inner),
        ),
        max_leaves=3,
    )


TIMES = sums(st.just("time"), st.just("time"))
SPEEDS = sums(st.just("speed"), st.just("(2.0 * speed)"))
LENGTHS = sums(st.sampled_from(["length", "width"]), st.builds(lambda a, b: f"{a} * {b}", SPEEDS, TIMES))
AREAS = sums(st.just("area"), st.builds(lambda a, b: f"{a} * {b}", LENGTHS, LENGTHS))
OPERATORS = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
CONDITIONS = st.one_of(
    [st.builds("{} {} {}".format, kind, OPERATORS, kind) for kind in (TIMES, SPEEDS, LENGTHS, AREAS)]
)
SIZES = st.integers(-3, 3).map(lambda power: 2.0**power)


@settings(max_examples=100)
@given(CONDITIONS, st.lists(st.integers(-8, 8), min_size=6, max_size=6), SIZES, SIZES)
def test_condition_that_fits_means_the_same_in_other_sizes(
    text: str, values: list[int], length: float, time: float
) -> None:
    """Measured in other sizes (powers of two, so that no rounding interferes), everything is as true as before."""
    assert codes(text) == []
    node = parse_expression(text)
    assert not isinstance(node, Problem)
    size = {"length": length, "time": time}
    env = {name: float(value) for name, value in zip(DECLARED, values)}
    other = {
        name: value * math.prod(size[base] ** power for base, power in parse_unit(DECLARED[name]).powers)
        for name, value in env.items()
    }
    assert interpreter.truth(node, env) == interpreter.truth(node, other)


def test_order_of_signals_does_not_matter_for_what_fits() -> None:
    for a, b in itertools.product(DECLARED, repeat=2):
        assert codes(f"{a} < {b}") == codes(f"{b} < {a}")
        assert (codes(f"{a} < {b}") == []) is (SCOPE.units[a] == SCOPE.units[b])
