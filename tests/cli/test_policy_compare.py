"""`edgeguard policy compare` and `policy analyze` at the command line: answers, exit codes, places."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("z3")

Call = Callable[..., Any]
PAIRS = Path(__file__).parents[1] / "desk" / "pairs"
STRICTER = PAIRS / "15-debounce-shortened"
LOOSER = PAIRS / "22-debounce-lengthened"
OTHER = PAIRS / "38-another-fallback-command"

REPEATING = """edgeguard: 1
policy: {name: repeating, version: 1}
signals:
  x: {from: context, range: [0, 10], max_age: 200ms, nominal: 5}
rules:
  - {id: wide, when: x < 3.0, then: rules}
  - {id: wide-again, when: x <= 2.0, clear: {when: x >= 3.0, for: 1 frame}, then: rules}
envelope: {act: {min: 0, max: 1, safe: 0}}
"""


def compared(call: Call, pair: Path, *options: str) -> Any:
    return call("policy", "compare", pair / "old.yaml", pair / "new.yaml", *options)


def test_a_stricter_policy_passes_with_its_witness(call: Call) -> None:
    said = compared(call, STRICTER, "--deny-more-permissive")
    assert (said.code, said.err) == (0, "")
    first, second, third = said.out.splitlines()
    assert first.endswith("new.yaml: stricter")
    assert second.startswith("stricter: ")
    assert second.endswith("rule `unsure`: debounce 1 frame, was 2 frames")
    assert "old: model, new: rules" in third


@pytest.mark.parametrize("pair", [LOOSER, OTHER])
def test_what_is_not_stricter_is_denied_when_asked(call: Call, pair: Path) -> None:
    assert compared(call, pair).code == 0
    assert compared(call, pair, "--deny-more-permissive").code == 5


@pytest.mark.parametrize(("pair", "code"), [(LOOSER, "EG1701"), (OTHER, "EG1702")])
def test_a_finding_has_its_code_and_stands_in_the_new_policy(call: Call, pair: Path, code: str) -> None:
    said = compared(call, pair, "--format", "json", "--deny-more-permissive")
    assert said.code == 5
    facts = json.loads(said.out)
    (finding,) = facts["diagnostics"]
    (difference,) = facts["differences"]
    assert finding["code"] == code
    assert finding["severity"] == "error"
    assert finding["file"] == str(pair / "new.yaml")
    assert difference["new"]["line"] == finding["line"] > 1
    assert difference["witness"]["old"] != difference["witness"]["new"]


def test_a_rule_that_is_gone_stands_in_the_old_policy(call: Call) -> None:
    said = compared(call, PAIRS / "43-a-rule-for-another", "--format", "github")
    assert "::warning file=" in said.out
    assert "old.yaml" in said.out
    assert "title=EG1701" in said.out


def test_sarif_names_the_codes(call: Call) -> None:
    said = compared(call, OTHER, "--format", "sarif")
    (run,) = json.loads(said.out)["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["EG1702"]


def test_a_policy_that_does_not_load_exits_3(call: Call, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("edgeguard: 1\n")
    assert call("policy", "compare", STRICTER / "old.yaml", bad).code == 3
    said = call("policy", "compare", STRICTER / "old.yaml", bad, "--format", "json")
    assert said.code == 3
    assert json.loads(said.out)["diagnostics"]


def test_a_policy_that_is_not_there_exits_2(call: Call, tmp_path: Path) -> None:
    assert call("policy", "compare", tmp_path / "none.yaml", STRICTER / "new.yaml").code == 2


def test_analyze_tells_and_passes(call: Call, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(REPEATING)
    said = call("policy", "analyze", policy)
    assert said.code == 0
    assert f"warning: {policy}:7:5: EG1611: rule `wide-again` changes no verdict" in said.err
    assert said.out == f"{policy}: 1 warning, 1 note\n"


def test_analyze_strict_fails_for_a_warning(call: Call, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(REPEATING)
    said = call("policy", "analyze", policy, "--strict", "--format", "json")
    assert said.code == 5
    assert {d["code"] for d in json.loads(said.out)["diagnostics"]} == {"EG1611", "EG1612"}
