"""Coverage: an outcome counts when a case showed it where it decides, and every gap has its place."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from edgeguard.desk.cases import embedded_cases, run_cases
from edgeguard.desk.coverage import Coverage, coverage
from edgeguard.policy import compile_policy
from edgeguard.policy.document import parse

GATE = """\
edgeguard: 1
policy: {name: gate, version: 1}
let: {near: distance < 10.0}
signals:
  sure:     {from: context, range: [0, 1],   max_age: 300ms, worse: lower, on_fault: rules}
  distance: {from: context, range: [0, 100], max_age: 300ms, worse: lower}
  other:    {from: context, range: [0, 100], max_age: 300ms, worse: lower}
  open:     {from: context, type: bool, max_age: 300ms}
rules:
  - id: unsure
    when: sure < 0.5 && near
    clear: {when: sure > 0.6 || open, for: 2 frames}
    then: rules
  - {id: odd, when: "distance in [7, 9]", mode: warn, then: rules}
redundancy:
  - {id: two, agree: [distance, other], tolerance: 50.0, then: rules}
  - {id: ajar, if: open, expect: distance > 1.0, then: rules}
fallback:
  - {when: distance < 5.0, command: {brake: 0.8}}
  - {when: distance < 2.0, command: {brake: 0.9}}
  - {command: {brake: 0.2}}
envelope: {brake: {min: 0, max: 1, safe: 1.0}}
tests:
"""


@lru_cache
def measured(*tests: str) -> Coverage:
    text = GATE + "".join(f"  - {{name: t{i}, {test}}}\n" for i, test in enumerate(tests))
    document = parse(text.encode(), file="gate.yaml")
    program = compile_policy(document, base=Path())
    return coverage(document, program, run_cases(document, program, embedded_cases(document, program)))


def seen(of: Coverage, where: str) -> dict[str, set[str]]:
    """The outcomes of every comparison of a rule or row, by its text; of the rule or row itself by ``."""
    return {p.text if p.kind == "comparison" else "": p.seen for p in of.points if p.where == where}


CALM = "expect: {authority: model}"


def test_calm_shows_every_rule_not_held_and_one_outcome_of_each_comparison() -> None:
    found = measured(CALM)
    assert seen(found, "unsure") == {
        "": {"not held"}, "sure < 0.5": {"false"}, "distance < 10.0": {"false"}, "sure > 0.6": set(), "open": set()
    }  # fmt: skip
    assert seen(found, "fallback row 1") == {"": set(), "distance < 5.0": set()}


def test_a_clear_condition_counts_only_while_its_rule_is_a_cause() -> None:
    held = measured("given: {sure: 0.4, distance: 6, other: 6}, expect: {rule: unsure}")
    assert seen(held, "unsure")["sure > 0.6"] == {"false"}
    steps = "{given: {sure: 0.4, distance: 6, other: 6}}, {for: 2 frames, expect: {authority: model}}"
    assert seen(measured(f"steps: [{steps}]"), "unsure")["sure > 0.6"] == {"false", "true"}


def test_a_fallback_row_counts_only_while_the_fallback_rules_act_and_no_row_before_it_holds() -> None:
    near = measured("given: {sure: 0.4, distance: 1.5, other: 1.5}, expect: {command: {brake: 0.8}}")
    assert seen(near, "fallback row 1") == {"": {"chosen"}, "distance < 5.0": {"true"}}
    assert seen(near, "fallback row 2") == {"": set(), "distance < 2.0": set()}
    far = measured("given: {sure: 0.4, distance: 6, other: 6}, expect: {command: {brake: 0.2}}")
    assert seen(far, "fallback row 2") == {"": set(), "distance < 2.0": {"false"}}
    assert seen(far, "fallback row 3") == {"": {"chosen"}}


def test_a_comparison_at_fault_shows_nothing() -> None:
    found = measured("given: {sure: nan}, expect: {authority: rules}")
    assert seen(found, "unsure")["sure < 0.5"] == {"false"}  # while it was armed


def test_relations_and_rules_that_only_tell_are_covered_like_rules() -> None:
    found = measured(
        "given: {open: true, distance: 0.5, other: 60}, expect: {rule: ajar}",
        "given: {distance: 7, other: 7}, expect: {authority: model}",
    )
    assert seen(found, "ajar") == {
        "": {"held", "not held"},
        "open": {"true", "false"},
        "distance > 1.0": {"true", "false"},
    }
    assert seen(found, "two") == {
        "": {"held", "not held"},
        "distance - other > 50.0": {"false"},
        "other - distance > 50.0": {"true", "false"},
    }
    assert seen(found, "odd") == {"": {"held", "not held"}, "distance in [7.0, 9.0]": {"true", "false"}}


def test_every_gap_is_told_with_its_place() -> None:
    gaps = [str(gap) for gap in measured(CALM).gaps()]
    assert gaps[:5] == [
        "gate.yaml:10:5: EG1502: `unsure` never held",
        "gate.yaml:11:11: EG1502: `unsure`: `sure < 0.5` was never true",
        "gate.yaml:11:25: EG1502: `unsure`: `distance < 10.0` was never true",
        "gate.yaml:12:19: EG1502: `unsure`: `sure > 0.6` was never true and never false",
        "gate.yaml:12:33: EG1502: `unsure`: `open` was never true and never false",
    ]
    assert "gate.yaml:16:15: EG1502: `two`: `distance - other > 50.0` was never true" in gaps
    assert "gate.yaml:17:20: EG1502: `ajar`: `open` was never true" in gaps
    assert gaps[-1] == "gate.yaml:21:5: EG1502: `fallback row 3` was never chosen"


def test_the_percentage_counts_outcomes() -> None:
    found = measured(CALM)
    assert found.by_kind() == {"rule": (4, 8), "comparison": (7, 22), "row": (0, 3)}
    assert found.percent() == pytest.approx(100 * 11 / 33)


def test_everything_can_be_seen_but_a_row_that_never_holds() -> None:
    found = measured(
        CALM,
        "given: {sure: 0.4, distance: 1.5, other: 1.5}, expect: {command: {brake: 0.8}}",
        "given: {sure: 0.4, distance: 9, other: 9}, expect: {command: {brake: 0.2}}",
        "steps: [{given: {sure: 0.4, distance: 9, other: 9}}, "
        "{given: {sure: 0.55, distance: 9, other: 9, open: true}}, "
        "{for: 2 frames, expect: {authority: model}}]",
        "given: {distance: 0.5, other: 0.5, open: true}, expect: {rule: ajar}",
        "each: [{distance: 20}, {other: 20}], expect: {rule: two}",
    )
    assert [gap.message for gap in found.gaps()] == [
        "`fallback row 2` was never chosen",
        "`fallback row 2`: `distance < 2.0` was never true",
    ]
