"""The writing end: what is on disk when, and what happens when the disk says no."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeguard.errors import UsageError
from edgeguard.log import DecisionLog, read_log, verify_log
from edgeguard.log import writer as writer_module
from edgeguard.types import Answer, Authority, Command, Mode, Verdict

Make = Callable[..., Verdict]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "drive.log"


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_the_first_record_says_what_decides_on_which_digests_since_when(path: Path) -> None:
    log = DecisionLog(path)
    members = {"second": {"runs in": "process 7", "sandbox": "strict"}}
    log.begin(
        "sign-gate", 7, {"primary": "ab"}, monotonic=3.5, wall=1.7e9, members=members, refused=["offered: x"]
    )
    header = lines(path)[0]
    assert header.pop("hash") == log.head
    assert header == {
        "kind": "header", "seq": 0, "format": 4, "policy": "sign-gate", "version": 7,
        "digests": {"primary": "ab"}, "wall": 1.7e9, "monotonic": 3.5, "torn": 0,
        "members": members, "refused": ["offered: x"],
    }  # fmt: skip


def test_a_log_begun_by_its_first_verdict_takes_the_digests_from_it(path: Path, make: Make) -> None:
    log = DecisionLog(path)
    log.append(make())
    log.close()
    assert lines(path)[0]["digests"] == {"policy": "cd" * 32}
    assert next(read_log(path)).elapsed == 0.0


def test_every_verdict_comes_back_as_it_was(path: Path, make: Make, degraded: Verdict) -> None:
    log = DecisionLog(path)
    given = [
        make(0),
        make(1, answer=None, suggested=Command({"brake": 0.1}), takeover_deadline=14.0, alerts=("visual",)),
        degraded,
    ]
    for verdict in given:
        log.append(verdict)
    log.close()
    assert [entry.verdict for entry in read_log(path)] == given


def test_a_steady_verdict_waits_for_the_flush_time(path: Path, make: Make) -> None:
    log = DecisionLog(path, flush=1.0)
    log.append(make(0))
    for number in range(1, 50):
        log.append(make(number))
    assert len(lines(path)) == 2
    log.append(make(50))
    assert len(lines(path)) == 52


def test_a_change_of_authority_is_flushed_at_once(path: Path, make: Make) -> None:
    log = DecisionLog(path, flush=100.0)
    log.append(make(0))
    log.append(make(1))
    log.append(make(2, authority=Authority.RULES))
    assert len(lines(path)) == 4


def test_a_change_of_mode_is_flushed_at_once(path: Path, make: Make) -> None:
    log = DecisionLog(path, flush=100.0)
    log.append(make(0))
    log.append(make(1, mode=Mode.DEGRADED))
    assert len(lines(path)) == 3


def test_flush_time_zero_writes_every_verdict_at_once(path: Path, make: Make) -> None:
    log = DecisionLog(path, flush=0.0)
    for number in range(3):
        log.append(make(number))
        assert len(lines(path)) == number + 2


def test_a_large_buffer_is_flushed_before_its_time(
    path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "FLUSH_BYTES", 2000)
    log = DecisionLog(path, flush=1000.0)
    for number in range(20):
        log.append(make(number, at=10.0))
    assert len(lines(path)) > 15


def test_numpy_numbers_and_read_only_mappings_are_recorded(path: Path, make: Make) -> None:
    log = DecisionLog(path)
    log.append(make(command=Command({"brake": np.float32(0.5), "throttle": np.float64(0.25)})))
    log.close()
    assert next(read_log(path)).verdict.command.values == {"brake": 0.5, "throttle": 0.25}


def test_not_a_number_becomes_no_value(path: Path, make: Make) -> None:
    log = DecisionLog(path)
    log.append(make(command=Command({"brake": float("nan")})))
    log.close()
    assert lines(path)[1]["command"] == {"brake": None}
    assert np.isnan(next(read_log(path)).verdict.command.values["brake"])


def test_changed_digests_are_recorded_where_they_change(path: Path, make: Make) -> None:
    log = DecisionLog(path)
    for number, digest in enumerate(["aa", "aa", "bb", "bb"]):
        log.append(make(number, digests={"primary": digest}))
    log.close()
    assert ["digests" in line for line in lines(path)[1:-1]] == [False, False, True, False]
    assert [e.verdict.digests["primary"] for e in read_log(path)] == ["aa", "aa", "bb", "bb"]


def test_a_full_disk_never_raises_and_makes_the_log_unhealthy_until_it_can_write_again(
    path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = DecisionLog(path, flush=0.0)
    log.append(make(0))
    real = os.write

    def full(_file: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr("edgeguard.log.writer.os.write", full)
    log.append(make(1))
    assert not log.healthy
    assert log.failures == 1
    monkeypatch.setattr("edgeguard.log.writer.os.write", real)
    log.append(make(2))
    log.close()
    assert log.healthy
    report = verify_log(path)
    assert report.intact
    assert report.verdicts == 3


def test_a_device_that_is_always_full_never_raises(make: Make) -> None:
    log = DecisionLog("/dev/full", flush=0.0)
    for number in range(3):
        log.append(make(number))
    assert not log.healthy
    assert log.failures >= 3
    log.close()


def test_a_short_write_is_finished_by_the_next_one(
    path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr("edgeguard.log.writer.os.write", lambda file, data: real(file, bytes(data[:7])))
    log = DecisionLog(path, flush=0.0)
    log.append(make(0))
    log.close()
    assert verify_log(path).intact


def test_verdicts_beyond_the_buffer_are_counted_as_lost_for_good(
    path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "BUFFER_LIMIT", 1500)
    log = DecisionLog(path, flush=0.0)
    real = os.write

    def full(_file: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr("edgeguard.log.writer.os.write", full)
    for number in range(6):
        log.append(make(number))
    monkeypatch.setattr("edgeguard.log.writer.os.write", real)
    lost = log.lost
    assert lost > 0
    log.flush()
    log.append(make(9))
    log.close()
    assert not log.healthy
    report = verify_log(path)
    assert (report.intact, report.lost) == (True, lost)
    assert lines(path)[-2]["lost"] == lost


def test_what_cannot_be_encoded_is_counted_and_never_raised(path: Path, make: Make) -> None:
    log = DecisionLog(path)
    log.append(make(command=Command({"brake": object()})))  # type: ignore[dict-item]
    assert (log.failures, log.lost, log.healthy) == (1, 1, False)


def test_appending_to_a_closed_log_is_counted_and_never_raised(path: Path, make: Make) -> None:
    log = DecisionLog(path)
    log.append(make())
    log.close()
    log.close()
    log.append(make(1))
    assert (log.failures, log.lost, log.healthy) == (1, 1, False)


def test_a_log_in_an_unwritable_place_is_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write the log `.*`: no such file or directory"):
        DecisionLog(tmp_path / "nowhere" / "x.log")


def test_two_guards_may_not_write_one_log(path: Path) -> None:
    first = DecisionLog(path)
    with pytest.raises(UsageError, match="in use by another process"):
        DecisionLog(path)
    first.close()
    DecisionLog(path).close()


@pytest.mark.parametrize("text", ["hello\n", "hello", '{"a": 1}\n', "x" * 2_000_000])
def test_a_file_that_is_no_log_is_never_appended_to(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(UsageError, match="does not end like a decision log"):
        DecisionLog(path)
    assert path.read_text() == text


@pytest.mark.parametrize("flush", [-1.0, float("nan")])
def test_a_flush_time_must_be_a_time(path: Path, flush: float) -> None:
    with pytest.raises(UsageError, match="`flush`"):
        DecisionLog(path, flush=flush)
    assert not path.exists()


def test_an_existing_log_is_continued_in_one_chain(path: Path, make: Make) -> None:
    for _ in range(3):
        log = DecisionLog(path)
        log.append(make())
        log.close()
    report = verify_log(path)
    assert (report.intact, report.runs, report.verdicts, report.ended) == (True, 3, 3, True)
    assert [e.run.index for e in read_log(path)] == [1, 2, 3]


def test_a_killed_run_leaves_whole_records_and_the_next_run_goes_on(path: Path, make: Make) -> None:
    log = DecisionLog(path, flush=0.0)
    log.append(make(0))
    os.close(log._file)
    log._file = -1
    assert not verify_log(path).ended
    again = DecisionLog(path)
    again.append(make(1))
    again.close()
    assert verify_log(path).intact


@pytest.mark.parametrize("kept", [1, 40])
def test_a_torn_line_is_kept_declared_and_forgiven(path: Path, make: Make, kept: int) -> None:
    log = DecisionLog(path, flush=0.0)
    log.append(make(0))
    log.close()
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:2]) + whole[2][:kept])
    torn = verify_log(path)
    assert (torn.intact, torn.torn, torn.ended) == (True, kept, False)
    again = DecisionLog(path)
    again.append(make(1))
    again.close()
    assert lines_after_torn(path)["torn"] == kept
    report = verify_log(path)
    assert (report.intact, report.verdicts, report.runs) == (True, 2, 2)


def lines_after_torn(path: Path) -> Any:
    return json.loads(path.read_bytes().splitlines()[3])


def test_a_log_torn_in_its_very_first_line_goes_on(path: Path, make: Make) -> None:
    log = DecisionLog(path)
    log.begin("p", 1, {})
    log.close()
    path.write_bytes(path.read_bytes()[:30])
    again = DecisionLog(path)
    again.append(make())
    again.close()
    assert verify_log(path).intact
    assert len(list(read_log(path))) == 1


def test_a_log_may_go_into_a_pipe(tmp_path: Path, make: Make) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    log = DecisionLog(path)
    log.append(make())
    received = os.read(log._file, 65536)
    log.close()
    assert received.count(b"\n") == 2
    assert log.healthy


class Stubborn:
    def __float__(self) -> float:
        raise RuntimeError("a tensor of two elements is no number")


def test_a_suggestion_that_cannot_be_read_is_a_lost_verdict_and_nothing_worse(path: Path, make: Make) -> None:
    log = DecisionLog(path)
    nested: list[Any] = []
    nested.append(nested)
    for value in (Stubborn(), nested):
        log.append(make(suggested=Command({"brake": value})))  # type: ignore[dict-item]
    assert (log.lost, log.healthy) == (2, False)
    log.append(make())
    log.close()
    assert lines(path)[-2]["lost"] == 2


def test_of_a_model_of_many_classes_the_likeliest_are_recorded(path: Path, make: Make) -> None:
    row = np.zeros(1000, np.float32)
    row[[7, 999, 3]] = (0.5, 0.25, 0.125)
    answer = Answer(1, 0.5, 7, "seven", 0.5, row.data.toreadonly(), "aa")
    log = DecisionLog(path)
    log.append(replace(make(), answer=answer))
    log.close()
    recorded = lines(path)[1]["answer"]
    assert "probabilities" not in recorded
    assert recorded["likeliest"][:3] == [[7, 0.5], [999, 0.25], [3, 0.125]]
    assert len(recorded["likeliest"]) == 8
    assert len(path.read_bytes().splitlines()[1]) < 2_000
    restored = next(read_log(path)).verdict.answer
    assert restored is not None
    assert (restored.label, restored.certainty, tuple(restored.probabilities)) == (7, 0.5, ())
