"""Real-time options: what was asked for is had or reported, `required` refuses, and frames then cause no page faults.

Each runs in a process of its own: it changes what it runs in.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeguard.program import Realtime
from edgeguard.realtime import HAD, apply

ROOT = Path(__file__).parents[2]
Call = Callable[..., Any]
BEGIN = """
import gc, json, os, resource, sys
from edgeguard.errors import EdgeguardError
from edgeguard.program import Realtime
from edgeguard import realtime
def told(**wanted):
    try:
        return dict(realtime.apply(Realtime(**wanted)))
    except EdgeguardError as error:
        return [error.exit_code, str(error)]
"""
POOR = """
resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
if os.getuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
"""


UNMEASURED = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
"""A child that has become somebody else cannot write where coverage keeps its figures."""


def child(code: str) -> Any:
    """What a new process prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code],
        cwd=ROOT,
        env=UNMEASURED,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.process
def test_the_collector_is_frozen_and_what_it_would_have_found_is_freed_when_there_is_time() -> None:
    found = child("""
report = told(freeze_gc=True)
frozen, on = gc.get_freeze_count(), gc.isenabled()
class Ring: pass
import weakref
ring = Ring(); ring.self = ring; seen = weakref.ref(ring); del ring
before = seen() is not None
realtime.collect_when_idle()
print(json.dumps([report, frozen > 1000, on, before, seen() is None]))
""")
    assert found == [{"gc": HAD}, True, False, True, True]


@pytest.mark.process
def test_a_collector_that_runs_by_itself_is_left_to_it() -> None:
    assert (
        child("""
calls = []
gc.callbacks.append(lambda phase, info: calls.append(phase))
realtime.collect_when_idle()
print(json.dumps(calls))
""")
        == []
    )


@pytest.mark.process
def test_nothing_asked_for_is_nothing_changed() -> None:
    assert child("print(json.dumps([told(), gc.isenabled(), gc.get_freeze_count()]))") == [{}, True, 0]


@pytest.mark.process
def test_a_frame_s_memory_comes_from_pages_that_are_there_already() -> None:
    faults = child("""
import numpy as np
def frames(count):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        kept = [np.ones((720, 1280, 3), np.uint8), np.ones((3, 512, 512), np.float32)]
        del kept
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
without = frames(20)
realtime._keep_heap()
frames(2)
print(json.dumps([without, frames(100)]))
""")
    assert faults[0] > 1000
    assert faults[1] < 20


@pytest.mark.process
def test_what_cannot_be_had_is_reported_with_the_reason() -> None:
    report = child(POOR + "print(json.dumps(told(fifo=50, cpus=(4000,), lock_memory=True, freeze_gc=True)))")
    assert report["fifo"].startswith("no priority 50: operation not permitted: grant CAP_SYS_NICE")
    assert report["cpus"].startswith("not on 4000: invalid argument; CPUs of this process: ")
    assert report["memory"].startswith("the limit of locked memory would make later allocations fail: grant")
    assert (report["gc"], report["heap"]) == (HAD, HAD)


@pytest.mark.process
def test_what_is_required_and_cannot_be_had_is_refused_with_how_to_grant_it() -> None:
    code, said = child(POOR + "print(json.dumps(told(fifo=50, lock_memory=True, required=True)))")
    assert code == 2
    assert "memory: the limit of locked memory would make later allocations fail: grant CAP_IPC_LOCK" in said
    assert "fifo: no priority 50: operation not permitted: grant CAP_SYS_NICE" in said
    assert said.endswith("or drop `required`")


@pytest.mark.process
@pytest.mark.parametrize("cpus", [(-1,), (10**9,), (10**30,)])
def test_cpus_that_cannot_be_are_reported(cpus: tuple[int, ...]) -> None:
    assert child(f"print(json.dumps(told(cpus={cpus})))")["cpus"].startswith("not on ")


@pytest.mark.process
def test_the_loop_s_thread_is_put_on_its_cpus_and_a_camera_s_thread_is_not() -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one CPU only")
    found = child("""
import threading
from edgeguard.sources import CameraSource
everywhere, seen = sorted(os.sched_getaffinity(0)), []
again = threading.Event()
class Device:
    def __init__(self):
        seen.append(sorted(os.sched_getaffinity(0)))
        if len(seen) == 2: again.set()
    def read(self): raise SystemExit
    def release(self): pass
threading.excepthook = lambda _: None
source = CameraSource(Device, name="x")
report = told(cpus=(everywhere[-1],))
mine = sorted(os.sched_getaffinity(0))
while not again.wait(0.01): source.poll(0.0)
source.close()
print(json.dumps([report, mine == everywhere[-1:], seen[:2] == [everywhere] * 2]))
""")
    assert found == [{"cpus": HAD}, True, True]


@pytest.mark.process
@pytest.mark.skipif(os.getuid() != 0, reason="needs CAP_SYS_NICE and CAP_IPC_LOCK")
def test_with_the_rights_all_of_it_is_had_and_no_child_inherits_the_priority() -> None:
    found = child("""
import subprocess
report = told(fifo=42, lock_memory=True)
locked = [int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmLck")][0]
policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
code = "import os; print(os.sched_getscheduler(0) == os.SCHED_OTHER)"
inherits = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stdout
print(json.dumps([report, locked > 10000, policy == os.SCHED_FIFO, os.sched_getparam(0).sched_priority, inherits]))
""")
    if "operation not permitted" in found[0]["fifo"]:
        pytest.skip("root without CAP_SYS_NICE")
    assert found == [{"heap": HAD, "memory": HAD, "fifo": HAD}, True, True, 42, "True\n"]


def test_memory_that_is_not_there_is_not_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeguard.realtime._unlimited", lambda: True)
    monkeypatch.setattr("edgeguard.realtime._keep_heap", lambda: HAD)
    monkeypatch.setattr("edgeguard.realtime._available", lambda: -1)
    assert "MiB are free" in apply(Realtime(lock_memory=True))["memory"]


def test_a_c_library_without_the_options_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeguard.realtime.ctypes.CDLL", lambda *_, **__: object())
    monkeypatch.setattr("edgeguard.realtime._lock", lambda: HAD)
    assert apply(Realtime(lock_memory=True))["heap"] == "this C library has no `mallopt`: run with glibc"


REALTIME = "log: {flush: 1s}\nrealtime: {cpus: [1000], required: %s}"


def test_a_run_says_what_it_could_not_have(call: Call, project: Any) -> None:
    limits = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    project.change_policy("log: {flush: 1s}", REALTIME % "false")
    said = call(*project.run("--seconds", 0.1))
    assert said.code == 0
    assert said.err.startswith("warning: real-time option `cpus`: not on 1000")
    assert resource.getrlimit(resource.RLIMIT_MEMLOCK) == limits


def test_a_run_that_requires_it_does_not_start_without(call: Call, project: Any) -> None:
    project.change_policy("log: {flush: 1s}", REALTIME % "true")
    said = call(*project.run("--seconds", 0.1))
    assert (said.code, said.out) == (2, "")
    assert "the policy requires real-time options that cannot be had: cpus: not on 1000" in said.err
