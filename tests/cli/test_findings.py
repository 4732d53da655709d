"""Findings in each format: text on stderr, JSON, SARIF 2.1.0 and GitHub workflow commands on stdout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest
import typer

from edgeguard.cli.findings import FindingsFormat, fails, policy_errors, report
from edgeguard.desk.findings import Finding
from edgeguard.errors import Diagnostic, PolicyError

ROOT = Path(__file__).parents[2]
BAD = Diagnostic("EG1203", "nothing is called `sped`", "a policy/door.yaml", 14, 11, "did you mean `speed`?")
IDLE = Finding("EG1401", "nothing reads `speed`", "door.yaml", 4, 3, severity="warning")
ASIDE = Finding("EG1407", "no hysteresis", "door.yaml", 9, 5, severity="note")


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    def ask(*findings: Finding | Diagnostic, output: str, **facts: object) -> tuple[str, str]:
        report(findings, FindingsFormat(output), facts=facts)
        captured = capsys.readouterr()
        return captured.out, captured.err

    return ask


def test_text_goes_where_every_error_goes_with_its_severity(said: Any) -> None:
    out, err = said(BAD, IDLE, ASIDE, output="text", name="unseen")
    assert out == ""
    assert err.splitlines() == [
        "error: a policy/door.yaml:14:11: EG1203: nothing is called `sped` (did you mean `speed`?)",
        "warning: door.yaml:4:3: EG1401: nothing reads `speed`",
        "note: door.yaml:9:5: EG1407: no hysteresis",
    ]


def test_json_holds_the_facts_and_every_finding(said: Any) -> None:
    out, err = said(BAD, IDLE, output="json", file="door.yaml", valid=False)
    found = json.loads(out)
    assert (err, found["file"], found["valid"]) == ("", "door.yaml", False)
    assert [f["severity"] for f in found["diagnostics"]] == ["error", "warning"]
    assert found["diagnostics"][0] == {
        "code": "EG1203",
        "severity": "error",
        "message": "nothing is called `sped`",
        "file": "a policy/door.yaml",
        "line": 14,
        "column": 11,
        "hint": "did you mean `speed`?",
    }


# The parts of the SARIF 2.1.0 schema that code hosts rely on: the kind of each value, what is required, no other keys.
TEXT = {"text": str}
SARIF = {
    "$schema": str,
    "version": str,
    "runs": [
        {
            "tool": {
                "driver": {
                    "name": str,
                    "version": str,
                    "rules": [{"id": str, "shortDescription": TEXT, "helpUri": str}],
                }
            },
            "columnKind": str,
            "results": [
                {
                    "ruleId": str,
                    "ruleIndex": int,
                    "level": str,
                    "message": TEXT,
                    "locations": [
                        {
                            "physicalLocation": {
                                "artifactLocation": {"uri": str},
                                "region": {"startLine": int, "startColumn": int},
                            }
                        }
                    ],
                }
            ],
        }
    ],
}


def fits(value: Any, shape: Any) -> bool:
    if isinstance(shape, dict):
        return set(value) == set(shape) and all(fits(value[key], shape[key]) for key in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    return type(value) is shape


def test_sarif_has_the_shape_that_code_hosts_read(said: Any) -> None:
    log = json.loads(said(BAD, IDLE, ASIDE, IDLE, output="sarif")[0])
    assert fits(log, SARIF)
    (run,) = log["runs"]
    assert (log["version"], run["columnKind"]) == ("2.1.0", "unicodeCodePoints")
    assert log["$schema"].endswith("sarif-2.1.0.json")
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules) == 3
    assert [result["level"] for result in run["results"]] == ["error", "warning", "note", "warning"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        region = result["locations"][0]["physicalLocation"]["region"]
        assert region["startLine"] >= 1
        assert region["startColumn"] >= 1


def test_sarif_rules_lead_to_their_page(said: Any) -> None:
    (run,) = json.loads(said(BAD, output="sarif")[0])["runs"]
    (rule,) = run["tool"]["driver"]["rules"]
    assert rule["helpUri"] == "docs/errors/EG1203.md"
    assert (ROOT / rule["helpUri"]).read_text().startswith(f"# EG1203: {rule['shortDescription']['text']}")


def test_sarif_places_are_uris(said: Any, tmp_path: Path) -> None:
    absolute = Diagnostic("EG1203", "m", str(tmp_path / "ü, 1.yaml"), 1, 1)
    (run,) = json.loads(said(BAD, absolute, output="sarif")[0])["runs"]
    uris = [r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in run["results"]]
    assert uris[0] == "a%20policy/door.yaml"
    assert uris[1].startswith("file:///")
    assert unquote(urlparse(uris[1]).path) == absolute.file


def test_sarif_without_findings_is_still_a_run(said: Any) -> None:
    log = json.loads(said(output="sarif")[0])
    assert fits(log, SARIF)
    assert log["runs"][0]["results"] == []


def test_workflow_commands_name_place_and_code(said: Any) -> None:
    out, err = said(BAD, IDLE, ASIDE, output="github")
    assert err == ""
    assert out.splitlines() == [
        (
            "::error file=a policy/door.yaml,line=14,col=11,title=EG1203::"
            "nothing is called `sped` (did you mean `speed`?)"
        ),
        "::warning file=door.yaml,line=4,col=3,title=EG1401::nothing reads `speed`",
        "::notice file=door.yaml,line=9,col=5,title=EG1407::no hysteresis",
    ]


def test_workflow_commands_cannot_be_broken_out_of(said: Any) -> None:
    nasty = Finding("EG1203", "50 %\r\n::error::forged", "a,line=9:b%.yaml", 1, 2)
    (line,) = said(nasty, output="github")[0].splitlines()
    assert line == (
        "::error file=a%2Cline=9%3Ab%25.yaml,line=1,col=2,title=EG1203::50 %25%0D%0A::error::forged"
    )


@pytest.mark.parametrize(
    ("findings", "strict", "failed"),
    [
        ((), True, False),
        ((ASIDE,), True, False),
        ((ASIDE, IDLE), False, False),
        ((ASIDE, IDLE), True, True),
        ((IDLE, BAD), False, True),
    ],
)
def test_errors_fail_and_warnings_when_strict(findings: Any, strict: bool, failed: bool) -> None:
    assert fails(findings, strict=strict) is failed


def test_a_policy_that_does_not_load_is_an_error_in_text() -> None:
    with pytest.raises(PolicyError), policy_errors(FindingsFormat.TEXT):
        raise PolicyError((BAD,))


@pytest.mark.parametrize("output", ["json", "sarif", "github"])
def test_a_policy_that_does_not_load_is_printed_in_the_asked_format(
    capsys: pytest.CaptureFixture[str], output: str
) -> None:
    with pytest.raises(typer.Exit) as end, policy_errors(FindingsFormat(output), facts={"valid": False}):
        raise PolicyError((BAD,))
    captured = capsys.readouterr()
    assert (end.value.exit_code, captured.err) == (3, "")
    assert "EG1203" in captured.out
