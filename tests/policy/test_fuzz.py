"""A short run of `tools/fuzz-policy`, and what it does with a crash. `make fuzz-policy SECONDS=600` is the long one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from bench import fuzz_policy as fuzz
from bench.strange_policies import ROOT, Maker
from edgeguard.errors import PolicyError

INPUTS = int(os.environ.get("EDGEGUARD_FUZZ_INPUTS", "400"))


@pytest.mark.slow
@pytest.mark.process
def test_no_strange_policy_crashes_or_hangs(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "bench.fuzz_policy",
            "--inputs",
            str(INPUTS),
            "--seed",
            "7",
            "--slower",
            "10",
            "--keep",
            tmp_path / "kept",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.match(r"(\d+) inputs, (\d+) of them load, .*; 0 kinds of crash", done.stdout)
    assert told is not None
    assert int(told[1]) == INPUTS
    assert int(told[2]) > INPUTS / 50, "most inputs never come past the loader"
    assert not (tmp_path / "kept").exists()


def test_the_same_seed_gives_the_same_inputs() -> None:
    one, other, third = (Maker(seed) for seed in (3, 3, 4))
    assert [one.make() for _ in range(50)] == [other.make() for _ in range(50)]
    assert [one.make() for _ in range(5)] != [third.make() for _ in range(5)]


def test_what_is_generated_loads_more_often_than_not() -> None:
    maker = Maker(1)
    outcomes = []
    for _ in range(40):
        trial = fuzz.Trial(maker.generated())
        assert trial.run() is None
        outcomes.append(trial.outcome.startswith("loaded"))
    assert sum(outcomes) > 20


def test_a_crash_is_found_shrunk_and_kept_like_a_hostile_policy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(data: bytes, *, file: str) -> NoReturn:
        if b"envelope" in data:
            raise ValueError("forged")
        raise PolicyError(())

    monkeypatch.setattr(fuzz, "parse", breaks)
    monkeypatch.setattr(sys, "argv", ["fuzz-policy", "--inputs", "5", "--keep", str(tmp_path)])
    assert fuzz.main() == 5
    (kept,) = tmp_path.glob("*.yaml")
    assert b"envelope" in kept.read_bytes()
    assert kept.read_bytes().count(b"\n") <= 1
    assert kept.with_suffix(".expect").read_text() == ""
    assert "forged" in kept.with_suffix(".txt").read_text()
    assert f"ValueError at ?: {kept}" in capsys.readouterr().out


def test_what_takes_too_long_is_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fuzz.SLOW, "load", -1.0)
    crash = fuzz.Trial(b"edgeguard: 1\n").run()
    assert crash is not None
    assert crash[0] == "slow load"


def test_what_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(data: bytes, *, file: str) -> NoReturn:
        while True:
            pass

    monkeypatch.setattr(fuzz, "parse", hangs)
    monkeypatch.setattr(fuzz, "HUNG", 0.05)
    before = signal.signal(signal.SIGPROF, fuzz._hung)
    try:
        assert fuzz.Trial(b"").run() == ("hang", "longer than 0.05 s")
    finally:
        signal.signal(signal.SIGPROF, before)
