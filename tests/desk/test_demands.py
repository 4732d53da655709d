"""What a trigger demands over time, and which other always demands as much."""

from __future__ import annotations

import itertools

import pytest

from edgeguard.decision.table import RuleRow, Span
from edgeguard.desk.demands import covers, covers_in_step, demand, least, most, no_longer
from edgeguard.types import Authority

RULES = RuleRow("r", 1, "x", Authority.RULES)
SAFE = RuleRow("s", 2, "x", Authority.SAFE_STATE)
ASK = RuleRow("a", 3, "x", Authority.HUMAN, within=2.0, otherwise=Authority.SAFE_STATE)
SOON = RuleRow("b", 4, "x", Authority.HUMAN, within=1.0, otherwise=Authority.SAFE_STATE)
GIVES_UP = RuleRow("c", 5, "x", Authority.HUMAN, within=1.0, otherwise=Authority.RULES)


def test_a_takeover_that_nobody_answers_becomes_what_the_policy_says() -> None:
    assert [demand(ASK, t) for t in (0.0, 1.9, 2.0)] == [
        Authority.HUMAN,
        Authority.HUMAN,
        Authority.SAFE_STATE,
    ]
    assert (least(GIVES_UP), most(GIVES_UP)) == (Authority.RULES, Authority.HUMAN)
    assert (least(ASK), most(ASK)) == (Authority.HUMAN, Authority.SAFE_STATE)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (SAFE, ASK, True), (RULES, RULES, True), (RULES, ASK, False), (ASK, SAFE, False), (ASK, RULES, True),
        (SOON, ASK, True), (ASK, SOON, False), (GIVES_UP, RULES, True), (GIVES_UP, GIVES_UP, False),
        (ASK, GIVES_UP, True),
    ],
)  # fmt: skip
def test_a_trigger_covers_another_only_at_every_time(one: RuleRow, other: RuleRow, expected: bool) -> None:
    assert covers(one, other) is expected


def test_in_the_same_step_every_trigger_covers_itself_and_no_cover_is_lost() -> None:
    for one, other in itertools.product((RULES, SAFE, ASK, SOON, GIVES_UP), repeat=2):
        assert covers_in_step(one, one)
        assert covers_in_step(one, other) or not covers(one, other)


def test_frames_and_seconds_have_no_order() -> None:
    assert no_longer(Span(2), Span(3))
    assert no_longer(Span(), Span(seconds=0.1))
    assert not no_longer(Span(2), Span(seconds=60.0))
    assert not no_longer(Span(seconds=0.1), Span(100))
