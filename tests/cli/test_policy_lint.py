"""policy lint, and what policy check says in other formats and about times."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LINT = ROOT / "tests" / "desk" / "lint"
Call = Callable[..., Any]

TIMED = """\
edgeguard: 1
policy: {name: timed, version: 1}
signals:
  speed: {from: context, range: [0, 60], max_age: 100ms}
rules:
  - {id: fast, when: speed > 8.0, for: 100ms, latch: true, then: safe_state}
  - {id: long, when: speed > 8.0, for: 1s, latch: true, then: human, within: 4s}
  - {id: seen, when: speed > 5.0, for: 2s, mode: audit, then: safe_state}
envelope: {brake: {min: 0, max: 1, safe: 1}}
link: {lost_after: 80ms}
"""


def test_a_clean_policy_says_so_and_exits_0(call: Call) -> None:
    said = call("policy", "lint", LINT / "clean.yaml", "--strict")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"{LINT / 'clean.yaml'}: nothing found\n"


def test_warnings_exit_0_and_with_strict_5(call: Call) -> None:
    file = LINT / "unread-signal.yaml"
    said = call("policy", "lint", file)
    assert (said.code, said.out) == (0, f"{file}: 1 warning\n")
    assert said.err.startswith(f"warning: {file}:6:3: EG1401: nothing reads `distance`")
    assert call("policy", "lint", file, "--strict").code == 5


def test_errors_exit_5(call: Call) -> None:
    said = call("policy", "lint", LINT / "clear-outside-the-range.yaml")
    assert (said.code, said.out.split(": ", 1)[1]) == (5, "1 error, 1 warning\n")


def test_notes_alone_never_fail(call: Call) -> None:
    assert call("policy", "lint", LINT / "no-clear-condition.yaml", "--strict").code == 0


def test_findings_as_json(call: Call) -> None:
    said = call("policy", "lint", LINT / "overlap.yaml", "--format", "json")
    told = json.loads(said.out)
    assert (said.code, said.err, told["valid"]) == (0, "", True)
    assert [(f["code"], f["severity"]) for f in told["diagnostics"]] == [("EG1408", "warning")]


@pytest.mark.parametrize("verb", ["lint", "check"])
@pytest.mark.parametrize("output", ["json", "sarif", "github"])
def test_a_policy_that_does_not_load_exits_3_in_every_format(
    call: Call, tmp_path: Path, verb: str, output: str
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(TIMED.replace("speed > 8.0", "sped > 8.0"))
    said = call("policy", verb, file, "--format", output)
    assert (said.code, said.err) == (3, "")
    assert "EG1203" in said.out


def test_the_calibration_is_looked_at_where_there_is_one(call: Call, project: Any) -> None:
    said = call("policy", "lint", project.policy, "--format", "json")
    assert said.code == 0
    project.policy.with_name("calibration.json").unlink()
    assert call("policy", "lint", project.policy).code == 0


def test_a_starter_policy_gives_no_warning(call: Call, project: Any) -> None:
    assert call("policy", "lint", project.policy, "--strict").code == 0


def test_check_has_a_line_a_rule_with_its_times(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(TIMED + "ftti: 300ms\n")
    said = call("policy", "check", file, "--timing")
    rest = "20ms period + 80ms link and microcontroller"
    assert (said.code, said.out.splitlines()[1:]) == (
        0,
        [
            f"fast: 100ms debounce + {rest} = 200ms of 300ms",
            f"long: 1s debounce + {rest} = 1.1s of 300ms: late, but fast acts in time",
            f"signal:speed: 100ms max_age + {rest} = 200ms of 300ms",
        ],
    )


def test_times_without_a_stated_interval(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(TIMED)
    said = call("policy", "check", file, "--timing")
    assert all(line.endswith(", no ftti stated") for line in said.out.splitlines()[1:])


def test_times_as_json(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(TIMED + "ftti: 300ms\n")
    told = json.loads(call("policy", "check", file, "--timing", "--format", "json").out)
    assert [(t["id"], t["late"], t["covered"]) for t in told["timing"]] == [
        ("fast", False, ""),
        ("long", True, "fast"),
        ("signal:speed", False, ""),
    ]


HOSTILE = sorted((ROOT / "tests" / "hostile" / "policies").glob("*.yaml"))
BY_TEXT = [path for path in HOSTILE if b"# calibration: " not in path.read_bytes()][::12]
"""Some of those that need nothing but their text to be refused; `tests/policy/test_hostile.py` has them all."""


@pytest.mark.parametrize("file", BY_TEXT, ids=lambda path: path.stem)
def test_a_hostile_policy_exits_3_in_lines_with_places(call: Call, file: Path) -> None:
    said = call("policy", "check", file)
    assert said.code == 3
    assert said.err
    assert all(line.startswith(f"error: {file}:") for line in said.err.splitlines())


def test_a_constant_that_overflows_is_found_without_a_calibration(call: Call) -> None:
    said = call("policy", "check", ROOT / "tests" / "hostile" / "policies" / "constant-overflows.yaml")
    assert (said.code, "EG1206" in said.err) == (3, True)
