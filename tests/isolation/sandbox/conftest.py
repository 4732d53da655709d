"""Fixtures of the sandbox's tests: processes that really enter a jail, because a test's own process must not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.isolation.sandbox.attempts import SETTINGS

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

Outcomes = dict[str, dict[str, dict[str, Any]]]
Confined = Callable[..., dict[str, Any]]

_PREFACE = """
import sys; sys.path.insert(0, {root!r})
import ctypes, json, os, resource, threading
from edgeguard.isolation.sandbox import Jail, Level, enter, loader_paths, seal
def tell(**facts):
    os.write(1, json.dumps(facts).encode() + b"\\n")
def outcome(act):
    try:
        act()
    except Exception as error:
        return type(error).__name__
    return "done"
"""


@pytest.fixture(scope="session")
def outcomes() -> Outcomes:
    """setting -> attempt -> what came of it; every one in a process of its own."""
    command = [sys.executable, "-I", str(HERE / "attempts.py")]
    # Side by side: most of the time goes into waiting for the kernel to take namespaces down.
    runs = [
        subprocess.Popen([*command, setting], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for setting in SETTINGS
    ]
    found: Outcomes = {}
    for run in runs:
        said, complaints = run.communicate(timeout=300)
        assert run.returncode == 0, complaints.decode()
        found |= json.loads(said)
    return found


@pytest.fixture
def confined() -> Confined:
    """Run a script in a fresh process; what it told, merged. `code`: also `ended`, its exit status."""

    def run(code: str, *, without: str = "", python: str = sys.executable, **options: Any) -> dict[str, Any]:
        environment = {
            "EDGEGUARD_SANDBOX_WITHOUT": without,
            "ORT_DISABLE_TELEMETRY": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PATH": os.environ.get("PATH", ""),
        }
        done = subprocess.run(
            [python, "-I", "-c", _PREFACE.format(root=str(ROOT)) + code],
            capture_output=True,
            check=False,
            timeout=120,
            env=environment,
            **options,
        )
        found: dict[str, Any] = {"ended": done.returncode, "stderr": done.stderr.decode()}
        for line in done.stdout.splitlines():
            found |= json.loads(line)
        return found

    return run
