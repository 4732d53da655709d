"""The linter: every policy in `lint/` gives exactly the findings its head expects; the searches are bounded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from edgeguard.desk.codes import FINDINGS
from edgeguard.desk.findings import Finding
from edgeguard.desk.lint import lint
from edgeguard.policy.document import parse

HERE = Path(__file__).parent / "lint"
ROOT = Path(__file__).parents[2]
CODES = {code for code in FINDINGS if code.startswith("EG14")}


class Example(NamedTuple):
    """One policy, what it must give, and what its calibration holds."""

    data: bytes
    expected: list[str]
    thresholds: dict[str, float]


def example(path: Path) -> Example:
    lines = path.read_text().splitlines()
    said = {
        word: [row.split(": ", 1)[1] for row in lines if row.startswith(f"# {word}: ")]
        for word in ("expect", "calibration")
    }
    thresholds = json.loads(said["calibration"][0])["thresholds"] if said["calibration"] else {}
    return Example(path.read_bytes(), said["expect"], thresholds)


def found(data: bytes, thresholds: dict[str, float]) -> tuple[Finding, ...]:
    return lint(parse(data, file="p.yaml"), thresholds)


EXAMPLES = {path.stem: example(path) for path in sorted(HERE.glob("*.yaml"))}


@pytest.mark.parametrize("name", EXAMPLES)
def test_policy_gives_exactly_the_expected_findings(name: str) -> None:
    data, expected, thresholds = EXAMPLES[name]
    got = [f"{f.code} {f.line}:{f.column} {f.severity}" for f in found(data, thresholds)]
    assert got == expected, "\n".join(str(f) for f in found(data, thresholds))


def test_every_code_of_the_linter_has_a_policy_that_triggers_it() -> None:
    assert {row.split()[0] for case in EXAMPLES.values() for row in case.expected} == CODES


def test_messages_are_lower_case_without_full_stop() -> None:
    for case in EXAMPLES.values():
        for finding in found(case.data, case.thresholds):
            for text in (finding.message, finding.hint):
                assert not text.endswith(".")
                assert not text[:1].isupper()


POLICIES = sorted((ROOT / "policies").glob("*.yaml"))


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_a_policy_of_this_repository_gives_no_warning(path: Path) -> None:
    calibration = path.with_suffix(".calibration.json")
    thresholds = json.loads(calibration.read_text())["thresholds"] if calibration.exists() else {}
    assert [str(f) for f in found(path.read_bytes(), thresholds) if f.severity != "note"] == []


def test_a_finding_names_values_at_which_it_is_so() -> None:
    said = {f.code: f.message for name in ("overlap", "holds-at-rest") for f in found(*_given(name))}
    assert said["EG1408"] == "rule `fast` holds and clears on the same values: `speed` 8.5"
    assert said["EG1406"] == "rule `near` holds while every signal is nominal: `distance` 0"


def test_a_finding_about_a_rule_of_the_microcontroller_names_the_range_or_the_rule_above() -> None:
    never = found(*_given("local-comparison-never-true"))[0]
    assert (never.message, never.hint) == ("`sink > 12.0` is never true", "`sink` is -10 to 10")
    shadowed = found(*_given("local-rule-shadowed"))[0]
    assert shadowed.message == "this rule never acts: whenever it holds, the one at line 14 does"


def test_a_constant_comparison_names_the_ranges() -> None:
    (finding,) = found(*_given("threshold-outside-the-range"))
    assert (finding.message, finding.hint) == ("`speed > 80.0` is never true", "`speed` is 0 to 60")


def _given(name: str) -> tuple[bytes, dict[str, float]]:
    return EXAMPLES[name].data, EXAMPLES[name].thresholds


def test_a_row_that_also_stops_the_search_at_a_fault_is_only_called_idle_while_all_is_healthy() -> None:
    data, _, thresholds = EXAMPLES["last-rows-command-the-same"]
    (finding,) = found(data, thresholds)
    assert finding.message == "while all is healthy, the next row commands the same without this one"
