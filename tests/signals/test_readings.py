"""No bad, missing, old or future value is ever PASS; every good one is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.program import SignalSpec
from edgeguard.signals import readings
from edgeguard.signals.readings import CLOCK_SLACK
from edgeguard.types import Signal, Status

SPEC = SignalSpec("doubt", "primary", 0.0, 1.0, 0.1)


def status(value: Any, at: Any = 10.0, now: float = 10.05, spec: SignalSpec = SPEC) -> Status:
    _, (healthy,), (reading,) = readings([spec], {"doubt": Signal("doubt", value, at, "primary")}, now)
    assert healthy is (reading.status is Status.PASS)
    return reading.status


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, 1, np.float32(0.25), np.float64(0.25)])
def test_a_fresh_number_in_range_passes(value: Any) -> None:
    assert status(value) is Status.PASS


def test_a_signal_never_seen_is_unknown() -> None:
    (value,), (healthy,), (reading,) = readings([SPEC], {}, 1.0)
    assert math.isnan(value)
    assert not healthy
    assert reading.status is Status.UNKNOWN
    assert reading.value is None
    assert reading.age == math.inf


def test_a_signal_without_a_value_is_unknown() -> None:
    assert status(None) is Status.UNKNOWN


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1e-9, 1.0000001, True, "0.5", [], 10**400])
def test_what_is_not_a_number_in_range_fails(value: Any) -> None:
    assert status(value) is Status.FAIL


def test_infinity_fails_even_in_an_open_range() -> None:
    assert status(math.inf, spec=SignalSpec("doubt", "primary", 0.0, math.inf, 0.1)) is Status.FAIL


def test_a_range_that_is_no_number_lets_nothing_pass() -> None:
    assert status(0.5, spec=SignalSpec("doubt", "primary", math.nan, math.nan, 0.1)) is Status.FAIL


@pytest.mark.parametrize("at", [9.9, -1e9, 11.0, 10.06, math.nan, math.inf, -math.inf, "10", None])
def test_an_old_a_future_or_an_impossible_time_is_stale(at: Any) -> None:
    assert status(0.5, at=at) is Status.STALE


def test_two_clocks_read_in_turn_may_differ_by_a_millisecond() -> None:
    assert status(0.5, at=10.05 + CLOCK_SLACK / 2) is Status.PASS


@given(
    value=st.one_of(st.none(), st.floats(), st.integers(), st.booleans(), st.text(max_size=3)),
    at=st.floats(),
    now=st.floats(),
    low=st.floats(),
    high=st.floats(),
    max_age=st.floats(),
)
def test_never_pass_for_bad_data(
    value: Any, at: float, now: float, low: float, high: float, max_age: float
) -> None:
    spec = SignalSpec("doubt", "primary", low, high, max_age)
    good = (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) < 1e300
        and low <= value <= high
        and -CLOCK_SLACK <= now - at <= max_age
    )
    found = status(value, at, now, spec)
    if not good and not (isinstance(value, float) and abs(value) >= 1e300 and math.isfinite(value)):
        assert found is not Status.PASS
    if good:
        assert found is Status.PASS


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.sets(st.sampled_from("abcdef")))
def test_readings_keep_the_declared_order(declared: list[str], present: set[str]) -> None:
    specs = [SignalSpec(name, "context", 0.0, 1.0, 1.0) for name in declared]
    signals = {name: Signal(name, ord(name) / 200, 0.0, "context") for name in present}
    values, healthy, rows = readings(specs, signals, 0.5)
    assert [row.name for row in rows] == declared
    assert list(healthy) == [name in present for name in declared]
    for name, value, ok in zip(declared, values, healthy):
        assert (value == ord(name) / 200) is ok


DOOR = SignalSpec("doubt", "context", 0.0, 1.0, 0.1, kind="bool")
SIGN = SignalSpec("doubt", "primary", -1.0, 2.0, 0.1, kind="class", labels=("a", "b", "c"))


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, True, False, np.float64(1.0)])
def test_a_truth_is_zero_or_one(value: Any) -> None:
    assert status(value, spec=DOOR) is Status.PASS


@pytest.mark.parametrize("value", [0.5, -1, 2, math.nan, math.inf, "true", 1e-300])
def test_what_is_neither_zero_nor_one_is_no_truth(value: Any) -> None:
    assert status(value, spec=DOOR) is Status.FAIL


@pytest.mark.parametrize("value", [-1, 0, 1.0, 2])
def test_a_class_is_a_whole_number_of_its_labels(value: Any) -> None:
    assert status(value, spec=SIGN) is Status.PASS


@pytest.mark.parametrize("value", [-2, 3, 0.5, True, math.nan])
def test_what_is_no_whole_number_of_its_labels_is_no_class(value: Any) -> None:
    assert status(value, spec=SIGN) is Status.FAIL
