"""The systemd unit: systemd understands it, it calls what is there, and it grants what real-time options need."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from edgeguard.cli.app import app
from edgeguard.errors import AdmissionError, PolicyError, SourceError

ROOT = Path(__file__).parents[2]
UNIT = (ROOT / "packaging" / "edgeguard@.service").read_text()


def setting(name: str) -> str:
    found = re.search(rf"^{name}=((?:.*\\\n)*.*)$", UNIT, re.MULTILINE)
    assert found is not None, name
    return found[1].replace("\\\n", " ")


@pytest.mark.process
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    unit = tmp_path / "edgeguard@crossing.service"
    unit.write_text(UNIT.replace("/opt/edgeguard/bin/edgeguard", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_calls_the_command_with_options_that_are_there() -> None:
    command = setting("ExecStart").split()
    assert command[1] == "run"
    run = get_command(app).commands["run"]  # type: ignore[attr-defined] # a group of verbs
    options = {name for p in run.params for name in p.opts}
    named = {word for word in command if word.startswith("--")}
    named |= set(re.findall(r"--[a-z]+", UNIT.split("# EDGEGUARD_RUN=")[1].splitlines()[0]))
    assert named <= options
    assert "--headless" in named


def test_a_policy_or_a_signature_that_is_bad_is_not_tried_again_and_a_camera_is() -> None:
    never = {int(code) for code in setting("RestartPreventExitStatus").split()}
    assert never == {PolicyError.exit_code, AdmissionError.exit_code}
    assert SourceError.exit_code not in never


def test_it_grants_the_real_time_options_by_limits_and_no_capability() -> None:
    assert (setting("LimitRTPRIO"), setting("LimitMEMLOCK")) == ("95", "infinity")
    assert (setting("CapabilityBoundingSet"), setting("AmbientCapabilities")) == ("", "")
    assert (setting("Type"), setting("NotifyAccess"), setting("WatchdogSec")) == ("notify", "main", "2")


AS_THE_UNIT = """
import ctypes, json, os, resource
from edgeguard.program import Realtime
from edgeguard.realtime import apply
resource.setrlimit(resource.RLIMIT_RTPRIO, (95, 95))
resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY,) * 2)
prctl = ctypes.CDLL(None).prctl
for capability in range(64):
    prctl(24, capability, 0, 0, 0)
prctl(38, 1, 0, 0, 0)
os.setgroups([]), os.setgid(65534), os.setuid(65534)
status = open("/proc/self/status").read()
none = all(f"Cap{k}:\\t0000000000000000" in status for k in ("Prm", "Eff", "Bnd", "Amb"))
print(json.dumps([none, dict(apply(Realtime(fifo=50, cpus=tuple(os.sched_getaffinity(0)), lock_memory=True)))]))
"""


@pytest.mark.process
@pytest.mark.skipif(os.getuid() != 0, reason="needs to be root, to grant what the unit grants")
def test_with_those_limits_a_user_without_capabilities_has_all_of_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AS_THE_UNIT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if "exceeds" in done.stderr or "not allowed" in done.stderr:
        pytest.skip("this root may not raise its limits")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [True, {"cpus": "on", "heap": "on", "memory": "on", "fifo": "on"}]
