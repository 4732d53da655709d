"""What is left to a sealed worker is enough to answer for ever, and no more than was measured."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgeguard.isolation.sandbox import filters
from edgeguard.isolation.sandbox.bpf import ALLOW
from tests.isolation.sandbox.steady_worker import BEGIN, END

WORKER = Path(__file__).parent / "steady_worker.py"
TURNS = int(os.environ.get("EDGEGUARD_STEADY_TURNS", "1000"))
"""Each runs three models."""
ENVIRONMENT = {"ORT_DISABLE_TELEMETRY": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def work(runs: int, *, sealed: bool, before: tuple[str, ...] = ()) -> dict[str, Any]:
    environment = ENVIRONMENT | {"PATH": os.environ.get("PATH", "")}
    done = subprocess.run(
        [*before, sys.executable, "-I", str(WORKER), str(runs), "1" if sealed else "0"],
        capture_output=True,
        env=environment,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_sealed_worker_answers_thousands_of_times_with_real_models() -> None:
    found = work(TURNS, sealed=True)
    assert found["level"] >= 2
    assert (found["runs"], found["same"], found["finite"]) == (TURNS, True, True)


def test_the_steady_state_makes_only_calls_that_are_allowed(tmp_path: Path) -> None:
    """The measurement itself: the kernel's own record of every call between the first answer and the last."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: the list was measured where it is")
    record = tmp_path / "record"
    before = (strace, "-f", "-qq", "-o", str(record))
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace here")
    work(200, sealed=False, before=before)
    begin, end = (mark.decode().strip() for mark in (BEGIN, END))
    between = record.read_text().split(begin, 1)[1].split(end, 1)[0]
    seen = set(re.findall(r"^\d+ +(\w+)\(", between, re.MULTILINE))
    assert seen <= {rule.name for rule in filters.steady(gpu=False) if rule.action == ALLOW}
    assert {"read", "write"} <= seen
    assert seen <= {*filters.MEASURED, "mmap", "munmap", "madvise", "futex"}, "say so in `filters.MEASURED`"
