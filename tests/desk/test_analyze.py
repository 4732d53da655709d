"""`policy analyze`: what says nothing, repeats what is said, or depends on where it stands, each with what shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("z3")

from edgeguard.desk.analyze import analyze
from edgeguard.desk.compare import Side, pairing
from edgeguard.desk.compare.side import side
from edgeguard.desk.findings import Finding
from edgeguard.desk.solve.search import Answer
from edgeguard.policy.document import parse

ROOT = Path(__file__).parents[2]

POLICY = """edgeguard: 1
policy: {{name: analyzed, version: 1}}
signals:
  x: {{from: context, range: [0, 10], max_age: 200ms, on_fault: rules, nominal: 5}}
  y: {{from: context, range: [0, 10], max_age: 200ms, on_fault: rules, nominal: 5}}
{rules}{fallback}envelope: {{act: {{min: 0, max: 1, safe: 0}}}}
"""


def test_a_rule_that_never_holds_is_found() -> None:
    (finding,) = rules("{id: never, when: x > 6.0 && x < 4.0, then: rules}", code="EG1602")
    assert finding.message == "rule `never` never holds"
    assert finding.line == 7


def test_a_rule_that_always_holds_is_found() -> None:
    (finding,) = rules("{id: always, when: x < 6.0 || x > 4.0, then: rules}", code="EG1613")
    assert finding.message == "rule `always` always holds"


def test_a_redundant_rule_is_found_with_what_implies_it() -> None:
    found = rules(
        "{id: wide, when: x < 3.0, for: 2 frames, clear: {when: x > 4.0, for: 5 frames}, then: rules}",
        "{id: narrow, when: x < 2.0, for: 3 frames, clear: {when: x > 4.0, for: 5 frames}, then: rules}",
        code="EG1611",
    )
    assert [f.message for f in found] == ["rule `narrow` changes no verdict"]
    assert found[0].hint == "whenever it is active, so is rule `wide`"


def test_of_two_rules_that_say_the_same_the_first_stays() -> None:
    found = rules(
        "{id: one, when: x < 3.0, then: rules}", "{id: two, when: '!(x >= 3.0)', then: rules}", code="EG1611"
    )
    assert [f.message for f in found] == ["rule `two` changes no verdict"]


def test_a_rule_that_two_others_make_redundant_is_found() -> None:
    found = rules(
        "{id: both, when: x < 3.0 || y < 3.0, then: rules}",
        "{id: one, when: x < 3.0, then: rules}",
        "{id: other, when: y < 3.0, then: rules}",
        code="EG1611",
    )
    assert len(found) == 2  # either the first, or the last two


def test_a_shadowed_rule_is_found() -> None:
    (finding,) = rules(
        "{id: stop, when: x < 3.0, latch: true, then: safe_state}",
        "{id: slow, when: x < 2.0, then: rules}",
        code="EG1602",
    )
    assert finding.message == "rule `slow` is shadowed: it never decides"


def test_a_rule_that_lets_go_later_is_not_redundant() -> None:
    assert not rules(
        "{id: wide, when: x < 3.0, then: rules}",
        "{id: slow, when: x < 2.0, clear: {when: x > 4.0, for: 5 frames}, then: rules}",
        code="EG1611",
    )


def test_an_escalating_rule_is_not_redundant() -> None:
    found = rules(
        "{id: soon, when: x < 3.0, for: 2 frames, then: rules}",
        "{id: late, when: x < 3.0, for: 40 frames, then: human, within: 4s}",
    )
    assert [f for f in found if f.severity != "note"] == []


def test_an_overlapping_relation_is_found() -> None:
    relations = (
        "redundancy:\n  - {id: close, agree: [x, 'y'], tolerance: 1.0, then: rules}\n"
        "  - {id: closer, agree: [x, 'y'], tolerance: 0.5, then: rules}\n"
    )
    (finding,) = [f for f in found_in(relations) if f.code == "EG1611"]
    assert finding.message == "relation `close` changes no verdict"


def test_whose_cause_is_named_first_is_told_with_an_input() -> None:
    (finding,) = rules(
        "{id: one, when: x < 3.0, then: rules}", "{id: two, when: y < 3.0, then: rules}", code="EG1612"
    )
    assert finding.severity == "note"
    assert finding.message == "where they begin together, `one` is named before `two`"
    assert "x = " in finding.hint
    assert "y = " in finding.hint


def test_a_repeated_rule_for_the_safe_state_that_waits_longer_may_end_a_takeover() -> None:
    (finding,) = rules(
        "{id: one, when: x < 3.0, then: safe_state}",
        "{id: two, when: x < 3.0, for: 10 frames, clear: {when: x >= 3.0, for: 1 frame}, then: safe_state}",
        code="EG1611",
    )
    assert finding.message == "rule `two` changes no verdict unless a human has taken over"


def test_rules_that_never_hold_together_have_no_order() -> None:
    assert not rules(
        "{id: one, when: x < 3.0, then: rules}", "{id: two, when: x > 8.0, then: rules}", code="EG1612"
    )


def test_an_unused_fallback_row_is_found() -> None:
    (finding,) = rows(
        "{when: x < 3.0, command: {act: 0.1}}", "{when: x < 2.0, command: {act: 0.2}}", code="EG1602"
    )
    assert finding.message == "this fallback row never commands"
    assert finding.line == 8


def test_fallback_rows_whose_order_matters_are_told_with_an_input() -> None:
    (finding,) = rows(
        "{when: x < 3.0, command: {act: 0.1}}", "{when: y < 2.0, command: {act: 0.2}}", code="EG1612"
    )
    assert finding.severity == "note"
    assert finding.message == "this row comes before line 8, and commands otherwise"
    assert "as with x = " in finding.hint


@pytest.mark.parametrize(
    "second", ["{when: x > 8.0, command: {act: 0.2}}", "{when: y < 2.0, command: {act: 0.1}}"]
)
def test_fallback_rows_that_may_change_places_are_not_told(second: str) -> None:
    assert not rows("{when: x < 3.0, command: {act: 0.1}}", second, code="EG1612")


def test_the_demo_policy_has_nothing_but_notes() -> None:
    found = analyze(side(ROOT / "policies" / "sign_gate.yaml"))
    assert {f.severity for f in found} == {"note"}


def test_what_is_not_answered_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "answer", lambda *_, **__: Answer.UNKNOWN)
    found = analyze(subject("rules:\n  - {id: hard, when: x * y > 3.0 * x, then: rules}\n"))
    assert [f.code for f in found] == ["EG1610"]
    assert found[0].severity == "note"


def rules(*written: str, code: str = "") -> list[Finding]:
    text = "rules:\n" + "".join(f"  - {rule}\n" for rule in written)
    return [f for f in found_in(text) if code in ("", f.code)]


def rows(*written: str, code: str) -> list[Finding]:
    text = "fallback:\n" + "".join(f"  - {row}\n" for row in written)
    return [f for f in found_in(fallback=text) if f.code == code]


def found_in(rules: str = "", fallback: str = "") -> tuple[Finding, ...]:
    return analyze(subject(rules, fallback))


def subject(rules: str, fallback: str = "") -> Side:
    text = POLICY.format(rules=rules, fallback=fallback)
    return Side(parse(text.encode(), file="policy.yaml"), Path(), None)
