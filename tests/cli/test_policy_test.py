"""`edgeguard policy test`: what it prints in each format, and when it fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

Call = Callable[..., Any]
GATE = """\
edgeguard: 1
policy: {name: gate, version: 1}
signals:
  sure: {from: context, range: [0, 1], max_age: 300ms, worse: lower}
rules:
  - {id: unsure, when: sure < 0.5, then: rules}
fallback: [{command: {brake: 0.2}}]
envelope: {brake: {min: 0, max: 1, safe: 1.0}}
tests:
  - {name: sure, expect: {authority: model}}
"""
UNSURE = "  - {name: unsure, given: {sure: 0.1}, expect: {authority: rules, rule: unsure}}\n"
WRONG = "  - {name: 'a < \"b\" & c', given: {sure: 0.1}, expect: {authority: model}}\n"


@pytest.fixture
def policy(tmp_path: Path) -> Callable[..., Path]:
    def write(more: str = "", text: str = GATE) -> Path:
        path = tmp_path / "gate.yaml"
        path.write_text(text + more)
        return path

    return write


def test_every_case_has_a_line_and_the_gaps_follow(call: Call, policy: Callable[..., Path]) -> None:
    path = policy()
    said = call("policy", "test", path)
    assert said.code == 0
    assert said.out.splitlines() == [
        "pass  sure",
        "1 of 1 cases passed",
        "coverage 40 % of the outcomes: rules 1 of 2, comparisons 1 of 2, rows 0 of 1",
        f"  {path}:6:5: `unsure` never held",
        f"  {path}:6:24: `unsure`: `sure < 0.5` was never true",
        f"  {path}:7:12: `fallback row 1` was never chosen",
    ]


def test_full_coverage_is_enough_for_any_limit(call: Call, policy: Callable[..., Path]) -> None:
    said = call("policy", "test", policy(UNSURE), "--fail-under", 100)
    assert (said.code, said.err) == (0, "")
    assert "coverage 100 %" in said.out


def test_coverage_below_the_limit_is_a_finding(call: Call, policy: Callable[..., Path]) -> None:
    path = policy()
    said = call("policy", "test", path, "--fail-under", 50)
    assert said.code == 5
    assert f"{path}:1:1: EG1502: coverage is 40 %, below the 50 % that are wanted" in said.err


def test_a_failure_says_what_was_seen_and_why(call: Call, policy: Callable[..., Path]) -> None:
    said = call("policy", "test", policy(WRONG))
    assert said.code == 5
    assert 'FAIL  a < "b" & c' in said.out
    assert 'EG1501: `a < "b" & c`: expected authority `model`, saw `rules`' in said.out
    assert "because rule `unsure` (line 6) has demanded the fallback rules" in said.out


def test_a_misspelt_rule_in_a_test_is_a_mistake_of_the_policy(
    call: Call, policy: Callable[..., Path]
) -> None:
    said = call("policy", "test", policy("  - {name: x, expect: {rule: unsur}}\n"))
    assert said.code == 3
    assert "gate.yaml:11:30: EG1302: there is no rule `unsur` (did you mean `unsure`?)" in said.err


def test_a_policy_that_cannot_be_armed_is_a_finding(call: Call, policy: Callable[..., Path]) -> None:
    path = policy(text=GATE.replace("sure < 0.5", "sure < 1.5"))
    said = call("policy", "test", path)
    assert said.code == 5
    assert (
        f"{path}:6:5: EG1503: cannot be armed while every signal is at its nominal value: `unsure`"
        in said.err
    )


def test_cases_of_another_file_run_too(call: Call, policy: Callable[..., Path], tmp_path: Path) -> None:
    more = tmp_path / "more.yaml"
    more.write_text("tests:\n" + UNSURE)
    said = call("policy", "test", policy(), "--cases", more, "--fail-under", 100)
    assert said.code == 0
    assert "pass  unsure" in said.out


def test_a_cases_file_that_is_wrong_or_missing_is_refused(
    call: Call, policy: Callable[..., Path], tmp_path: Path
) -> None:
    more = tmp_path / "more.yaml"
    missing = call("policy", "test", policy(), "--cases", more)
    assert (missing.code, missing.err) == (
        2,
        f"error: cannot read the cases `{more}`: no such file or directory\n",
    )
    more.write_text("tests:\n  - {name: x, given: {sur: 1}, expect: {authority: model}}\n")
    wrong = call("policy", "test", policy(), "--cases", more)
    assert wrong.code == 3
    assert f"{more}:2:23: EG1302: there is no signal `sur`" in wrong.err
    more.write_text("rules: []\n")
    assert "EG1504" in call("policy", "test", policy(), "--cases", more).err


def test_only_the_named_case_runs(call: Call, policy: Callable[..., Path]) -> None:
    path = policy(UNSURE + "  - {name: many, each: [{sure: 0.6}, {sure: 0.7}], expect: {authority: model}}\n")
    assert "1 of 1 cases passed" in call("policy", "test", path, "--only", "unsure").out
    assert "2 of 2 cases passed" in call("policy", "test", path, "--only", "many").out
    assert "pass  many [sure=0.6]" in call("policy", "test", path, "--only", "many [sure=0.6]").out
    wrong = call("policy", "test", path, "--only", "unsur")
    assert (wrong.code, wrong.err) == (2, "error: no test case is called `unsur`: did you mean `unsure`?\n")


def test_a_part_of_the_cases_has_no_coverage_to_judge(call: Call, policy: Callable[..., Path]) -> None:
    assert call("policy", "test", policy(), "--only", "sure", "--fail-under", 10).code == 2


def test_a_policy_without_cases_does_not_pass(call: Call, policy: Callable[..., Path]) -> None:
    said = call("policy", "test", policy(text=GATE.split("tests:", maxsplit=1)[0]))
    assert said.code == 2
    assert "has no test cases" in said.err


def test_json_has_every_case_and_every_point(call: Call, policy: Callable[..., Path]) -> None:
    said = call("policy", "test", policy(WRONG), "--format", "json")
    assert said.code == 5
    told = json.loads(said.out)
    assert told["passed"] is False
    assert [(case["name"], case["passed"], case["authority"]) for case in told["cases"]] == [
        ("sure", True, "model"), ('a < "b" & c', False, "rules")
    ]  # fmt: skip
    assert told["cases"][1]["causes"] == ["unsure"]
    assert told["coverage"]["percent"] == 100.0
    assert told["coverage"]["comparisons"] == {"seen": 2, "there": 2}
    assert [d["code"] for d in told["diagnostics"]] == ["EG1501"]


def test_junit_is_xml_whatever_a_case_is_called(call: Call, policy: Callable[..., Path]) -> None:
    odd = '  - {name: "bell \\u0007", expect: {authority: model}}\n'
    said = call("policy", "test", policy(WRONG + odd), "--format", "junit", "--fail-under", 100)
    assert said.code == 5
    root = ET.fromstring(said.out)  # noqa: S314 - our own
    suite = root[0]
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    assert [case.get("name") for case in suite] == ["sure", 'a < "b" & c', "bell ?"]
    failure = suite[1][0]
    assert failure.get("type") == "EG1501"
    assert "because rule `unsure`" in (failure.text or "")


def test_junit_counts_what_no_case_alone_shows(call: Call, policy: Callable[..., Path]) -> None:
    said = call("policy", "test", policy(), "--format", "junit", "--fail-under", 100)
    suite = ET.fromstring(said.out)[0]  # noqa: S314 - our own
    assert [child.get("type") for case in suite for child in case] == ["EG1502"]


def test_sarif_and_workflow_commands_have_each_failure_at_its_place(
    call: Call, policy: Callable[..., Path]
) -> None:
    path = policy(WRONG)
    sarif = json.loads(call("policy", "test", path, "--format", "sarif").out)
    (result,) = sarif["runs"][0]["results"]
    assert (result["ruleId"], result["level"]) == ("EG1501", "error")
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 11, "startColumn": 67}
    github = call("policy", "test", path, "--format", "github")
    assert github.out.startswith(f"::error file={path},line=11,col=67,title=EG1501::")


def test_a_mistake_of_the_policy_is_told_in_the_asked_format(call: Call, policy: Callable[..., Path]) -> None:
    said = call("policy", "test", policy("  - {name: x, expect: {rule: unsur}}\n"), "--format", "json")
    assert said.code == 3
    assert [d["code"] for d in json.loads(said.out)["diagnostics"]] == ["EG1302"]
