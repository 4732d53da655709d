"""The calibration file: strict JSON, every field checked, nothing that is no number."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.errors import ContractError
from edgeguard.policy import parse_calibration

GOOD = {
    "edgeguard_calibration": 1,
    "policy": "sign-gate",
    "models": {"primary": "ab" * 32},
    "frames": 1000,
    "abstain": 0.01,
    "thresholds": {"certainty": 0.9, "novelty": 3},
}


def test_good_calibration_is_read() -> None:
    found = parse_calibration(json.dumps(GOOD).encode(), file="c.json")
    assert found.thresholds == {"certainty": 0.9, "novelty": 3.0}
    assert (found.policy, found.frames, found.abstain, found.file) == ("sign-gate", 1000, 0.01, "c.json")


def test_notes_are_allowed_and_not_interpreted() -> None:
    parse_calibration(json.dumps({**GOOD, "notes": {"anything": [1, {"x": None}]}}).encode(), file="c.json")


@pytest.mark.parametrize("key", sorted(GOOD))
def test_missing_key_is_named(key: str) -> None:
    data = {k: v for k, v in GOOD.items() if k != key}
    with pytest.raises(ContractError, match=f"`{key}` is missing"):
        parse_calibration(json.dumps(data).encode(), file="c.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "`extra` is not a known key"),
        ({"edgeguard_calibration": 2}, "`edgeguard_calibration` must be 1"),
        ({"edgeguard_calibration": True}, "whole number"),
        ({"policy": 7}, "`policy` must be text"),
        ({"models": []}, "`models` must be an object"),
        ({"models": {"primary": "AB" * 32}}, "digest of `primary`"),
        ({"models": {"primary": 7}}, "digest of `primary`"),
        ({"frames": 0}, "`frames` must be a whole number of at least 1"),
        ({"frames": 1.5}, "`frames` must be"),
        ({"abstain": 1}, "`abstain` must be at least 0 and below 1"),
        ({"abstain": -0.1}, "`abstain` must be"),
        ({"abstain": "0.1"}, "`abstain` must be a number"),
        ({"thresholds": {"certainty": True}}, "`thresholds.certainty` must be a number"),
        ({"thresholds": {"certainty": None}}, "`thresholds.certainty` must be a number"),
        ({"thresholds": {"certainty": 10**400}}, "finite number"),
        ({"thresholds": {"Certainty": 1}}, "`thresholds.Certainty` is not a signal's name"),
    ],
)
def test_wrong_field_is_refused_and_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ContractError, match=message) as caught:
        parse_calibration(json.dumps({**GOOD, **change}).encode(), file="c.json")
    assert str(caught.value).startswith("c.json: ")
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "c.json:1:1: the calibration is not JSON"),
        (b'{"a": 1,\n "b" 2}', "c.json:2:6"),
        (b"\xff", "not UTF-8"),
        (b"[]", "one JSON object"),
        (b'{"a": 1, "a": 2}', "the same key twice"),
        (b'{"thresholds": {"x": NaN}}', "`NaN` is not a number"),
        (b'{"thresholds": {"x": -Infinity}}', "`-Infinity` is not a number"),
        (b'{"a": ' * 100_000, "c.json"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "too long a number"),
        (b'{"x": "' + b"y" * 300_000 + b'"}', "larger than"),
    ],
)
def test_what_is_not_strict_json_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        parse_calibration(data, file="c.json")


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=8), x, max_size=4),
    )
)
def test_any_json_is_read_or_refused(value: object) -> None:
    data = {**GOOD, "thresholds": value}
    try:
        found = parse_calibration(json.dumps(data).encode(), file="c.json")
    except ContractError:
        return
    assert all(abs(x) < float("inf") for x in found.thresholds.values())


RISK = {"at_most": 0.01, "confidence": 0.95, "accepted": 300, "wrong": 0}


def test_a_certificate_is_read() -> None:
    found = parse_calibration(json.dumps({**GOOD, "risk": RISK}).encode(), file="c.json").risk
    assert found is not None
    assert (found.at_most, found.confidence, found.accepted, found.wrong) == (0.01, 0.95, 300, 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"at_most": 1.5}, "`risk.at_most` must be"),
        ({"confidence": "0.95"}, "`risk.confidence` must be a number"),
        ({"accepted": 2**53 + 1}, "`risk.accepted` must be at most"),
        ({"accepted": 0}, "`risk.accepted` must be a whole number"),
        ({"wrong": 301}, "more wrong answers"),
        ({"lucky": 1}, "`risk.lucky` is not a known key"),
    ],
)
def test_a_certificate_that_is_none_is_refused(change: dict[str, object], said: str) -> None:
    data = {**GOOD, "risk": {**RISK, **change}}
    with pytest.raises(ContractError, match=said):
        parse_calibration(json.dumps(data).encode(), file="c.json")
