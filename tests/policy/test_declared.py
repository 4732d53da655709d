"""What a signal is when the policy leaves something out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.policy.declared import Declared, declared
from edgeguard.policy.schema import SignalDeclaration
from edgeguard.policy.sources import MODEL_SIGNALS, OTHER_SIGNALS, WORSE

ENDS = st.floats(allow_nan=False)


def of(name: str = "speed", /, **keys: object) -> Declared:
    return declared(name, SignalDeclaration.model_validate({"from": "context", "max_age": "1s", **keys}))


@pytest.mark.parametrize(
    ("keys", "nominal"),
    [
        ({"range": (2, 5)}, 2.0),
        ({"range": (2, 5), "worse": "higher"}, 2.0),
        ({"range": (2, 5), "worse": "lower"}, 5.0),
        ({"range": (2, "inf"), "worse": "lower"}, 2.0),
        ({"range": (-2, "inf"), "worse": "lower"}, 0.0),
        ({"range": ("-inf", "inf")}, 0.0),
        ({"range": ("-inf", -3)}, -3.0),
        ({"range": (2, 5), "nominal": 3}, 3.0),
        ({"type": "bool"}, 0.0),
        ({"type": "bool", "worse": "lower"}, 1.0),
        ({"type": "bool", "nominal": True}, 1.0),
        ({"type": "class", "labels": ("stop", "go")}, 0.0),
        ({"type": "class", "labels": ("stop", "go"), "nominal": "go"}, 1.0),
    ],
)
def test_nominal_value_is_the_end_furthest_from_doubt(keys: dict[str, object], nominal: float) -> None:
    assert of(**keys).nominal == nominal


@given(
    st.tuples(ENDS, ENDS).filter(lambda pair: pair[0] < pair[1]), st.sampled_from([None, "lower", "higher"])
)
def test_nominal_value_is_always_healthy(ends: tuple[float, float], worse: str | None) -> None:
    words = tuple({math.inf: "inf", -math.inf: "-inf"}.get(end, end) for end in ends)
    spec = of(range=words, worse=worse)
    assert math.isfinite(spec.nominal)
    assert spec.low <= spec.nominal <= spec.high


def test_range_of_truths_and_classes_is_that_of_their_numbers() -> None:
    assert (of(type="bool").low, of(type="bool").high) == (0.0, 1.0)
    sign = of(type="class", labels=("stop", "go", "none"))
    assert (sign.low, sign.high) == (-1.0, 2.0)


def test_every_number_that_the_guard_measures_has_a_direction_of_doubt() -> None:
    measured = {*MODEL_SIGNALS, *(name for names in OTHER_SIGNALS.values() for name in names)}
    assert set(WORSE) == measured - {"answer"}
    assert of("certainty", range=(0, 1)).worse == "lower"
    assert of("certainty", range=(0, 1), worse="higher").worse == "higher"
    assert of("speed", range=(0, 1)).worse == ""
