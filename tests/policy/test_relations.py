"""Redundancy relations are triggers like rules: broken when they say so, and at fault when a signal is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.decision.table import Span, Truth
from edgeguard.errors import PolicyError
from edgeguard.policy.document import PolicyDocument, parse
from edgeguard.policy.expr import interpreter, tree
from edgeguard.types import Authority

TEXT = """\
edgeguard: 1
policy: {name: p, version: 1}
signals:
  speed: {from: context, unit: m/s, range: [0, 60], max_age: 100ms}
  wheel: {from: context, unit: m/s, range: [0, 60], max_age: 100ms}
  door: {from: context, type: bool, max_age: 100ms}
redundancy:
  - {id: two-speeds, agree: [speed, wheel], tolerance: 0.5, for: 3 frames, then: rules}
  - id: shut
    if: moving
    expect: '!door'
    clear: {when: '!moving', for: 2s}
    latch: true
    then: human
    within: 4s
    otherwise: rules
    mode: warn
    cause: the door is open
rules:
  - {id: fast, when: speed > 8.0, then: safe_state}
let: {moving: speed > 1.0}
envelope: {brake: {min: 0, max: 1, safe: 1}}
"""
SPEEDS = st.one_of(st.none(), st.floats(0, 60), st.sampled_from([0.0, 0.5, 1.0, 59.5, 60.0]))


@pytest.fixture(scope="module")
def document() -> PolicyDocument:
    return parse(TEXT.encode(), file="p.yaml")


def test_rules_come_before_relations_each_in_file_order(document: PolicyDocument) -> None:
    found = [(t.id, t.path, t.line) for t in document.triggers]
    assert found == [
        ("fast", ("rules", 0), 20),
        ("two-speeds", ("redundancy", 0), 8),
        ("shut", ("redundancy", 1), 9),
    ]


def test_relation_has_everything_that_a_rule_has(document: PolicyDocument) -> None:
    shut = document.triggers[2]
    assert (shut.then, shut.within, shut.otherwise) == (Authority.HUMAN, 4.0, Authority.RULES)
    assert (shut.mode, shut.latch, shut.cause) == ("warn", True, "the door is open")
    assert (shut.let_go, shut.clear_text) == (Span(seconds=2.0), "!moving")
    assert document.triggers[1].let_go == document.triggers[1].hold == Span(frames=3)


@given(speed=SPEEDS, wheel=SPEEDS)
def test_agreement_is_broken_when_the_two_differ_by_more_than_the_tolerance(
    document: PolicyDocument, speed: float | None, wheel: float | None
) -> None:
    found = interpreter.truth(document.triggers[1].when, {"speed": speed, "wheel": wheel})
    if speed is None or wheel is None:
        assert found is Truth.FAULT
    else:
        assert found is (Truth.TRUE if abs(speed - wheel) > 0.5 else Truth.FALSE)


@given(speed=SPEEDS, door=st.sampled_from([None, 0.0, 1.0]))
def test_expectation_is_broken_when_the_first_holds_and_the_second_does_not(
    document: PolicyDocument, speed: float | None, door: float | None
) -> None:
    found = interpreter.truth(document.triggers[2].when, {"speed": speed, "door": door})
    if speed is None or door is None:
        assert found is Truth.FAULT
    else:
        assert found is (Truth.TRUE if speed > 1.0 and door == 1.0 else Truth.FALSE)


def test_agreement_beyond_all_numbers_is_a_fault(document: PolicyDocument) -> None:
    env = {"speed": 1.7e308, "wheel": -1.7e308}
    assert not math.isfinite(env["speed"] - env["wheel"])
    assert interpreter.truth(document.triggers[1].when, env) is Truth.FAULT


def test_text_of_a_trigger_is_what_its_offsets_count_in(document: PolicyDocument) -> None:
    shut = document.triggers[2]
    assert shut.text == "(moving) && !(!door)"
    places = [shut.text[part.at : part.end] for part in tree.walk(shut.when)]
    assert places == [shut.text, "moving", "moving", "moving", "!(!door)", "!door", "door"]
    speeds = document.triggers[1]
    assert speeds.text == "speed - wheel > 0.5 || wheel - speed > 0.5"
    assert {"speed - wheel > 0.5", "wheel - speed > 0.5"} < {
        speeds.text[part.at : part.end] for part in tree.walk(speeds.when)
    }


def test_trigger_without_any_span_lets_go_after_one_frame(document: PolicyDocument) -> None:
    assert document.triggers[0].hold == Span()
    assert document.triggers[0].let_go == Span(frames=1)


def test_units_of_what_should_agree_are_told(document: PolicyDocument) -> None:
    wrong = document.source.text.replace("wheel: {from: context, unit: m/s,", "wheel: {from: context,")
    with pytest.raises(PolicyError, match="`speed` is `m/s`, `wheel` is a plain number"):
        parse(wrong.encode(), file="p.yaml")


def test_every_condition_has_a_tree_at_its_own_place(document: PolicyDocument) -> None:
    assert set(document.conditions) == {
        ("rules", 0, "when"),
        ("redundancy", 0, "agree"),
        ("redundancy", 1, "if"),
        ("redundancy", 1, "expect"),
        ("redundancy", 1, "clear", "when"),
    }


CLASSES = """\
edgeguard: 1
policy: {name: p, version: 1}
signals:
  one: {from: context, type: class, labels: [stop, yield, none], max_age: 100ms}
  two: {from: context, type: class, labels: [stop, yield, none], max_age: 100ms}
redundancy:
  - {id: same, agree: [one, two], for: 2 frames, then: rules}
envelope: {brake: {min: 0, max: 1, safe: 1}}
"""
INDICES = st.sampled_from([None, -1.0, 0.0, 1.0, 2.0])


@given(one=INDICES, two=INDICES)
def test_classes_agree_only_where_both_give_the_same_label(one: float | None, two: float | None) -> None:
    (same,) = parse(CLASSES.encode(), file="p.yaml").triggers
    found = interpreter.truth(same.when, {"one": one, "two": two})
    if one is None or two is None:
        assert found is Truth.FAULT
    else:
        assert found is (Truth.FALSE if one == two and one >= 0.0 else Truth.TRUE)


def test_text_of_classes_that_agree_is_what_its_offsets_count_in() -> None:
    (same,) = parse(CLASSES.encode(), file="p.yaml").triggers
    assert same.text == "one != two || one < 0.0"
    assert {same.text[part.at : part.end] for part in tree.walk(same.when)} >= {
        "one != two",
        "one < 0.0",
        "two",
    }


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("[stop, none, yield]", "do not have the same labels in the same order"),
        ("[stop, yield]", "do not have the same labels in the same order"),
    ],
)
def test_classes_with_other_labels_cannot_agree(labels: str, said: str) -> None:
    text = CLASSES.replace(
        "two: {from: context, type: class, labels: [stop, yield, none]",
        f"two: {{from: context, type: class, labels: {labels}",
    )
    with pytest.raises(PolicyError, match=said):
        parse(text.encode(), file="p.yaml")
