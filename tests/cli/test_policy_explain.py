"""`edgeguard policy explain`: on given values and on a recorded verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeguard.desk.trial import Trial
from edgeguard.desk.wording import verdict_of
from edgeguard.log import DecisionLog
from edgeguard.policy import compile_draft
from edgeguard.types import Event

Call = Callable[..., Any]
GATE = """\
edgeguard: 1
policy: {name: gate, version: 1}
signals:
  sure: {from: context, range: [0, 1], max_age: 300ms, worse: lower}
  open: {from: context, type: bool, max_age: 300ms}
  seen: {from: context, type: class, labels: [go, stop], max_age: 300ms}
rules:
  - {id: unsure, when: sure < 0.5, for: 2 frames, clear: {when: sure > 0.6}, then: rules}
  - {id: ajar, when: open || seen == seen.stop, latch: true, then: safe_state}
fallback: [{command: {brake: 0.2}}]
envelope: {brake: {min: 0, max: 1, safe: 1.0}}
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "gate.yaml"
    path.write_text(GATE)
    return path


def test_it_says_which_rule_at_which_line_on_what_and_what_would_let_go(call: Call, policy: Path) -> None:
    said = call("policy", "explain", policy, "--given", "sure=0.3", "--for", "3 frames")
    assert said.code == 0
    words = (
        "The fallback rules act instead of the model because rule `unsure` (line 8) has demanded the fallback rules "
        "since 0.06 s (0.04 s ago): `sure < 0.5` held with sure 0.3. The model acts again after: sure > 0.6 for 2 "
        "frames (`unsure`)."
    )
    assert said.out.splitlines() == [
        "0.10 s after this began, from an armed and calm start:",
        words,
        "",
        f"{policy}:8: `unsure` demands the fallback rules: since 0.06 s, and it holds",
        "  when   8:24: `sure < 0.5` is true: 0.3 against 0.5",
        "  clear  8:65: `sure > 0.6` is false: 0.3 against 0.6",
        "  back   sure > 0.6 for 2 frames",
        "  alone  `sure` above 0.6",
    ]


def test_calm_needs_no_values(call: Call, policy: Path) -> None:
    assert "The model acts" in call("policy", "explain", policy).out


@pytest.mark.parametrize(
    ("given", "rule"),
    [("open=true", "ajar"), ("open=1", "ajar"), ("seen=stop", "ajar"), ("sure=nan", "signal:sure"),
     ("sure=missing", "signal:sure"), ("sure=stale", "signal:sure"), ("sure=7", "signal:sure"),
     ("seen=0.5", "signal:seen")],
)  # fmt: skip
def test_values_are_written_as_in_a_test_case(call: Call, policy: Path, given: str, rule: str) -> None:
    told = json.loads(call("policy", "explain", policy, "--given", given, "--format", "json").out)
    assert rule in [reason["rule"] for reason in told["reasons"]]


def test_json_has_values_thresholds_and_what_could_do_it_alone(call: Call, policy: Path) -> None:
    arguments = ("--given", "sure=0.3", "--given", "open=true", "--for", "40ms", "--format", "json")
    told = json.loads(call("policy", "explain", policy, *arguments).out)
    assert (told["mode"], told["authority"], told["command"]) == ("safe_state", "safe_state", {"brake": 1.0})
    ajar, unsure = told["reasons"]
    assert ajar["since"] == 0.0
    assert ajar["latch"] is True
    assert ajar["alone"] == [{"signal": "open", "value": 0.0, "side": "at"}]
    assert unsure["standing"] == "coming"
    assert unsure["comparisons"] == [
        {"text": "sure < 0.5", "line": 8, "column": 24, "outcome": "true", "sides": [0.3, 0.5]}
    ]
    assert unsure["alone"] == [{"signal": "sure", "value": 0.5, "side": "at"}]


def test_an_operator_s_event_comes_first(call: Call, policy: Path) -> None:
    told = json.loads(call("policy", "explain", policy, "--event", "take", "--format", "json").out)
    assert (told["mode"], told["authority"]) == ("manual", "human")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--given", "sur=0.3"], "the policy has no signal `sur`: did you mean `sure`?"),
        (["--given", "sure"], "`sure` gives no signal a value: write it like `certainty=0.3`"),
        (["--given", "sure=low"], "`low` is no value of `sure`: give one of a number, missing, stale, nan"),
        (
            ["--given", "open=yes"],
            "`yes` is no value of `open`: give one of true, false, missing, stale, nan",
        ),
        (["--given", "seen=halt"], "`halt` is no value of `seen`: give one of go, stop, missing, stale, nan"),
        (["--for", "2"], "`2` is no span to try"),
        (["--for", "999999 frames"], "`999999 frames` is no span to try"),
        (
            ["--event", "ready"],
            "`ready` is nothing an operator does: give one of arm, take, release, reset, stop",
        ),
        (["--at", "3s"], "`--at` is a time in a decision log: name one with `--log`"),
        (["--log", "x.log", "--given", "sure=1"], "a recorded verdict has its own values"),
    ],
)
def test_what_cannot_be_tried_is_refused(
    call: Call, policy: Path, arguments: list[str], message: str
) -> None:
    said = call("policy", "explain", policy, *arguments)
    assert said.code == 2
    assert message in said.err


def test_a_policy_that_cannot_be_armed_says_which_rule_keeps_it(call: Call, policy: Path) -> None:
    policy.write_text(GATE.replace("sure < 0.5", "sure < 1.5"))
    said = call("policy", "explain", policy)
    assert said.code == 5
    assert "`unsure` (line 8)" in said.err


@pytest.fixture
def log(policy: Path, tmp_path: Path) -> Path:
    """Ten verdicts of that policy: unsure from the fourth on, with a missing signal in the last."""
    return write_log(tmp_path / "drive.log", policy, {"policy": compile_draft(policy).program.digest})


def write_log(path: Path, policy: Path, digests: Mapping[str, str]) -> Path:
    program = compile_draft(policy).program
    trial = Trial(program)
    decisions = DecisionLog(path)
    decisions.begin(program.name, program.version, dict(digests), monotonic=0.0, wall=1e9)
    for count in range(1, 11):
        event = {1: Event.READY, 2: Event.ARM}.get(count)
        values: dict[str, float | str] = {"sure": 0.3} if count > 3 else {}
        if count == 10:
            values["open"] = "missing"
        seen = trial.step(values, new_frame=True, event=event)
        decisions.append(replace(verdict_of(seen, count), digests=digests))
    decisions.close()
    return path


def test_a_recorded_verdict_is_explained_from_its_own_readings(call: Call, policy: Path, log: Path) -> None:
    said = call("policy", "explain", policy, "--log", log, "--at", "8")
    assert said.code == 0
    assert said.out.startswith("record 8, 0.140 s after the start of run 1, gate version 1")
    assert f"{policy}:8: `unsure` demands the fallback rules: since 0.08 s, and it holds" in said.out
    assert "  when   8:24: `sure < 0.5` is true: 0.3 against 0.5" in said.out
    assert "  alone  `sure` above 0.6" in said.out


def test_the_end_of_the_log_is_explained_by_default(call: Call, policy: Path, log: Path) -> None:
    told = json.loads(call("policy", "explain", policy, "--log", log, "--format", "json").out)
    assert told["record"] == 10
    assert [(r["rule"], r["faults"]) for r in told["reasons"]] == [
        ("ajar", ["`open` is missing"]),
        ("signal:open", ["`open` is missing"]),
        ("unsure", []),
    ]


def test_another_policy_does_not_explain_a_verdict(call: Call, policy: Path, log: Path) -> None:
    policy.write_text(GATE.replace("version: 1", "version: 2"))
    said = call("policy", "explain", policy, "--log", log)
    assert said.code == 2
    assert "was decided by the policy" in said.err


def test_a_log_that_does_not_name_its_policy_is_not_explained(
    call: Call, policy: Path, tmp_path: Path
) -> None:
    said = call("policy", "explain", policy, "--log", write_log(tmp_path / "x.log", policy, {}))
    assert said.code == 2
    assert "a policy that it does not name" in said.err


def test_a_time_before_the_first_verdict_has_nothing_to_explain(call: Call, policy: Path, log: Path) -> None:
    said = call("policy", "explain", policy, "--log", log, "--at", "999")
    assert (said.code, said.err) == (2, f"error: `{log}` has no verdict at `999`\n")
