"""A verdict in words: which rule at which line, on which values, since when, who acts, what gives authority back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from edgeguard.explain import change, changed, explain, number, summary, what_gives_back
from edgeguard.types import Authority, Cause, Command, GateDecision, Mode, Verdict

Make = Callable[..., Verdict]


def test_a_degraded_verdict_names_rule_line_policy_values_threshold_since_and_return(
    degraded: Verdict,
) -> None:
    text = explain(degraded, policy="sign-gate version 7", start=10.0)
    assert text == (
        "The fallback rules act instead of the model because rule `unsure` (line 31 of sign-gate version 7) "
        "has demanded the fallback rules since 2.30 s (0.52 s ago): `certainty < calibrated.certainty` held "
        "with certainty 0.3123 against calibrated.certainty 0.8123. "
        "The model acts again after: certainty > calibrated.certainty for 5 frames (`unsure`)."
    )


def test_while_the_model_acts_nothing_speaks_against_it(make: Make) -> None:
    assert (
        explain(make())
        == "The model acts on its answer `stop` (0.97 certain), and no rule speaks against it."
    )
    assert explain(make(answer=None)) == "The model acts, and no rule speaks against it."


def test_a_requested_takeover_says_how_long_is_left(degraded: Verdict) -> None:
    verdict = replace(
        degraded, mode=Mode.TAKEOVER_REQUEST, authority=Authority.HUMAN, takeover_deadline=degraded.at + 1.25
    )
    assert (
        "a human is asked to take over, and the fallback rules act until then because"
        in explain(verdict).lower()
    )
    assert "The operator takes over within 1.2 s, or the model acts again after:" in explain(verdict)
    assert what_gives_back(replace(verdict, takeover_deadline=None, causes=())) == "the operator takes over"


def test_a_takeover_that_did_not_come_says_so(degraded: Verdict, unsure: Cause) -> None:
    late = replace(unsure, demands=Authority.SAFE_STATE, expired=True)
    verdict = replace(degraded, mode=Mode.SAFE_STATE, authority=Authority.SAFE_STATE, causes=(late,))
    assert "because nobody took over in time" in explain(verdict)
    assert "then the operator's reset and arming; or the operator takes over" in explain(verdict)


def test_a_missing_value_is_said_and_a_condition_in_words_is_not_quoted_twice(degraded: Verdict) -> None:
    cause = Cause("signal:speed", 12, "`speed` is missing", Authority.SAFE_STATE, 12.3, {"speed": None})
    text = explain(replace(degraded, causes=(cause,)))
    assert "rule `signal:speed` (line 12)" in text
    assert ": `speed` is missing held with speed no value." in text


def test_further_causes_are_named(degraded: Verdict, unsure: Cause) -> None:
    other = replace(unsure, rule="split-vote", line=40, demands=Authority.HUMAN)
    text = explain(replace(degraded, causes=(unsure, other)))
    assert "Also holding: `split-vote` (line 40, demands a human)." in text
    assert text.count("certainty > calibrated.certainty for 5 frames") == 2


def test_what_a_person_did_is_a_cause_without_a_line(degraded: Verdict, unsure: Cause) -> None:
    took = Cause("event:take", 0, "the operator took over", Authority.HUMAN, 12.0)
    verdict = replace(degraded, mode=Mode.MANUAL, authority=Authority.HUMAN, causes=(took, unsure))
    assert explain(verdict, start=10.0) == (
        "A human acts since 2.00 s (0.82 s ago): the operator took over. Also holding: `unsure` (line 31, demands the "
        "fallback rules). Authority comes back when the operator releases."
    )


@pytest.mark.parametrize("mode", list(Mode))
def test_every_mode_is_explained_without_a_cause_too(make: Make, mode: Mode) -> None:
    text = explain(make(mode=mode))
    assert text[0].isupper()
    assert text.endswith(".")
    assert bool(what_gives_back(make(mode=mode))) == (mode not in (Mode.NOMINAL, Mode.DEGRADED))


def test_a_change_is_one_line_with_both_ends_and_the_first_cause(make: Make, degraded: Verdict) -> None:
    assert change(make(), degraded, start=10.0) == (
        "    2.820 s  model (nominal) -> rules (degraded): `unsure` (line 31): certainty < calibrated.certainty "
        "[certainty 0.3123 against calibrated.certainty 0.8123]"
    )
    assert change(None, make(at=1.0)) == "    1.000 s  start -> model (nominal)"


def test_only_authority_and_mode_make_a_change(make: Make, degraded: Verdict) -> None:
    assert changed(None, make())
    assert not changed(make(0), make(1, answer=None))
    assert changed(make(), degraded)


def test_a_summary_without_values_is_the_condition(unsure: Cause) -> None:
    assert (
        summary(replace(unsure, values={}, thresholds={}))
        == "`unsure` (line 31): certainty < calibrated.certainty"
    )


def test_numbers_are_short_and_a_missing_one_is_said() -> None:
    assert [number(v) for v in (0.123456, 1234567.0, None, float("nan"))] == [
        "0.1235",
        "1.235e+06",
        "no value",
        "nan",
    ]


def test_a_rule_that_only_warns_is_told_while_the_model_acts() -> None:
    warned = Cause("bolt-open", 7, "!bolt", Authority.RULES, 0.0, mode="warn", says="the bolt is not shut")
    told = explain(
        Verdict(1, None, 0.0, Mode.NOMINAL, Authority.MODEL, GateDecision.ALLOW, Command(), notices=(warned,))
    )
    assert "`bolt-open` (line 7, warn): the bolt is not shut" in told
    assert "no rule speaks against it" not in told


def test_the_words_of_the_policys_author_are_told() -> None:
    cause = Cause("bolt-open", 7, "!bolt", Authority.RULES, 0.0, says="the bolt is not shut")
    verdict = Verdict(
        1, None, 0.0, Mode.DEGRADED, Authority.RULES, GateDecision.SUBSTITUTE, Command(), causes=(cause,)
    )
    assert "`!bolt` held (the bolt is not shut)" in explain(verdict)
