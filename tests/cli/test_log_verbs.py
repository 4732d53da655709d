"""explain and log verify: what an investigator asks a log, in words and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeguard.cli.explain import parse_at
from edgeguard.errors import UsageError
from edgeguard.log import DecisionLog
from edgeguard.types import Authority, Cause, Command, GateDecision, Mode, Verdict

Call = Callable[..., Any]
CAUSE = Cause(
    "unsure",
    31,
    "certainty < 0.8",
    Authority.RULES,
    101.0,
    {"certainty": 0.3},
    {"certainty": 0.8},
    "certainty > 0.8",
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two runs: in the first the rules take over from 1.0 s to 2.0 s; the second is short."""
    path = tmp_path / "drive.log"
    for start in (100.0, 500.0):
        writer = DecisionLog(path, flush=0.0)
        writer.begin("sign-gate", 7, {"policy": "cd" * 32}, monotonic=start, wall=1000.0 + start)
        for i in range(31 if start == 100.0 else 3):
            doubt = start == 100.0 and 10 <= i < 20
            writer.append(
                Verdict(
                    i, i, start + i * 0.1,
                    Mode.DEGRADED if doubt else Mode.NOMINAL,
                    Authority.RULES if doubt else Authority.MODEL,
                    GateDecision.ALLOW, Command({"brake": float("nan") if doubt else 0.5}),
                    (CAUSE,) if doubt else (), digests={"policy": "cd" * 32},
                )
            )  # fmt: skip
        writer.close()
    return path


def test_a_time_finds_the_verdict_in_force_then(call: Call, log: Path) -> None:
    said = call("explain", log, "--run", 1, "--at", "1.55s")
    assert said.code == 0
    assert said.out.startswith(
        "record 16, 1.500 s after the start of run 1, sign-gate version 7 (cdcdcdcdcdcd)\n"
    )
    assert "because rule `unsure` (line 31 of sign-gate version 7)" in said.out
    assert "since 1.00 s (0.50 s ago)" in said.out


def test_a_number_finds_the_record(call: Call, log: Path) -> None:
    for at in ("16", "#16"):
        assert call("explain", log, "--at", at).out.startswith("record 16, 1.500 s")


def test_without_a_time_the_end_of_the_last_run_is_explained(call: Call, log: Path) -> None:
    assert call("explain", log).out.startswith("record 36, 0.200 s after the start of run 2")


def test_json_has_the_values_for_programs(call: Call, log: Path) -> None:
    found = json.loads(call("explain", log, "--at", "16", "--format", "json").out)
    assert found["policy"] == {"name": "sign-gate", "version": 7, "digest": "cd" * 32}
    assert (found["at"], found["wall"]) == (pytest.approx(1.5), pytest.approx(1101.5))
    assert found["command"] == {"brake": None}
    cause = found["causes"][0]
    assert (cause["rule"], cause["line"], cause["since"], cause["thresholds"]) == (
        "unsure",
        31,
        1.0,
        {"certainty": 0.8},
    )
    assert found["explanation"].startswith("The fallback rules act")


def test_changes_are_listed_by_run(call: Call, log: Path) -> None:
    lines = call("explain", log, "--changes").out.splitlines()
    assert [line.split(": ")[0].strip() for line in lines] == [
        "run 1",
        "0.000 s  start -> model (nominal)  #1",
        "1.000 s  model (nominal) -> rules (degraded)",
        "2.000 s  rules (degraded) -> model (nominal)  #21",
        "run 2",
        "0.000 s  start -> model (nominal)  #34",
    ]
    only = json.loads(call("explain", log, "--changes", "--run", 1, "--format", "json").out)
    assert [c["record"] for c in only] == [1, 11, 21]


@pytest.mark.parametrize("args", [["--at", "9999"], ["--run", "3"]])
def test_a_verdict_that_is_not_there_is_a_clear_message(call: Call, log: Path, args: list[str]) -> None:
    said = call("explain", log, *args)
    assert (said.code, "has no verdict" in said.err) == (2, True)


def test_a_time_before_the_first_verdict_has_none(call: Call, tmp_path: Path) -> None:
    writer = DecisionLog(tmp_path / "x")
    writer.begin("p", 1, {}, monotonic=0.0)
    writer.append(Verdict(1, None, 5.0, Mode.INIT, Authority.SAFE_STATE, GateDecision.BLOCK, Command()))
    writer.close()
    assert call("explain", tmp_path / "x", "--at", "1s").code == 2
    found = json.loads(call("explain", tmp_path / "x", "--format", "json").out)
    assert (found["wall"], found["answer"], found["policy"]["digest"]) == (None, None, None)
    assert "sign" not in call("explain", tmp_path / "x").out


def test_time_and_changes_together_are_a_wrong_call(call: Call, log: Path) -> None:
    assert call("explain", log, "--at", "1", "--changes").code == 2


def test_a_file_that_is_no_log_is_a_clear_message(call: Call, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello\n")
    for args in (["explain", tmp_path / "x"], ["explain", tmp_path / "y"], ["log", "verify", tmp_path / "y"]):
        said = call(*args)
        assert (said.code, said.err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12.3s", (None, 12.3)),
        ("12s", (None, 12.0)),
        ("12.5", (None, 12.5)),
        ("12", (12, None)),
        ("#7", (7, None)),
    ],
)
def test_seconds_and_records_are_told_apart(text: str, expected: tuple[int | None, float | None]) -> None:
    assert parse_at(text) == expected


@pytest.mark.parametrize("text", ["", "x", "-1s", "nan", "infs", "#1.5", "12 m"])
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="is no time and no record"):
        parse_at(text)


def test_an_intact_log_is_said_to_be_so_with_its_head_and_its_limits(call: Call, log: Path) -> None:
    said = call("log", "verify", log)
    assert said.code == 0
    assert f"{log}: intact: 38 records, 34 verdicts, runs: 2" in said.out
    assert "a cut tail cannot be seen without a head hash" in said.out
    head = said.out.split("head ")[1].split()[0]
    said = call("log", "verify", log, "--head", head)
    assert (said.code, "cannot be seen" in said.out) == (0, False)


def test_a_tampered_log_exits_5_and_names_the_record(call: Call, log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b'"number":5', b'"number":6', 1))
    said = call("log", "verify", log)
    assert said.code == 5
    assert "altered: record 6 (line 7)" in said.out
    found = json.loads(call("log", "verify", log, "--format", "json").out)
    assert (found["intact"], found["breaks"][0]["record"]) == (False, 6)


def test_a_cut_tail_exits_5_with_the_head_and_is_hinted_at_without(call: Call, log: Path) -> None:
    head = json.loads(call("log", "verify", log, "--format", "json").out)["head"]
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-2]))
    said = call("log", "verify", log)
    assert (said.code, "was not closed in order" in said.out) == (0, True)
    assert call("log", "verify", log, "--head", head).code == 5


def test_a_torn_line_and_lost_verdicts_are_said(call: Call, tmp_path: Path) -> None:
    writer = DecisionLog(tmp_path / "x")
    writer.append(Verdict(1, None, 5.0, Mode.INIT, Authority.SAFE_STATE, GateDecision.BLOCK, Command()))
    writer.lost = 2
    writer.close()
    with (tmp_path / "x").open("ab") as file:
        file.write(b'{"kind":"ver')
    said = call("log", "verify", tmp_path / "x")
    assert said.code == 0
    assert "the last line is torn (12 bytes)" in said.out
    assert "2 verdicts could not be written" in said.out
