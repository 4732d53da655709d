"""A member in its own process answers like one in the host; what happens to it costs only its answers, for a while."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeguard.errors import ContractError
from edgeguard.isolation import WorkerMember, member, process, spawn, witness
from edgeguard.isolation.sandbox import Wrapped, wrapping
from tests.isolation.conftest import EYES, Shop, ask, back

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]
LOOKS = (*EYES, "redundant")


def wait_until(true: Callable[[], bool], limit: float = 15.0) -> bool:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.005)
    return False


def gone(pid: int) -> bool:
    """Whether a process is no more, not even as a zombie."""
    return not Path(f"/proc/{pid}").exists()


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def killed(worker: WorkerMember) -> int:
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    return worker.pid


# --- what it answers --------------------------------------------------------------------------------------------------


def test_a_worker_answers_like_the_host(shop: Shop) -> None:
    there, here = shop.start(LOOKS), shop.here(LOOKS)
    there.scoring.energy = here.scoring.energy = True
    assert there.kinds == here.kinds
    assert there.looks == LOOKS
    assert there.name == "eyes"
    for number, looks in enumerate([LOOKS, EYES, ("primary",), ("redundant",), ("plain", "squeezed"), LOOKS]):
        expected, got = ask(here, number, looks), ask(there, number, looks)
        assert expected is not None
        assert got is not None
        assert got.number == number
        assert set(got.scores) == set(expected.scores) == set(looks)
        for look, scores in expected.scores.items():
            np.testing.assert_allclose(got.scores[look].probabilities, scores.probabilities, rtol=1e-5)
            np.testing.assert_allclose(got.scores[look].energy, scores.energy, rtol=1e-5)
            assert got.scores[look].digest == scores.digest
            assert (got.scores[look].novelty is None) == (scores.novelty is None)


def test_one_picture_may_be_asked_about_twice(shop: Shop) -> None:
    worker = shop.start()
    first = ask(worker, 3, ("primary",))
    worker.submit(("squeezed",))
    second = worker.collect()
    assert first is not None
    assert (first.number, set(first.scores)) == (3, {"primary"})
    assert (second.number, set(second.scores)) == (3, {"squeezed"})


def test_what_was_not_asked_is_not_answered(shop: Shop) -> None:
    worker = shop.start(wait=False)
    assert worker.begin(0) is None  # not ready yet
    worker.wait_until_ready()
    assert not worker.collect().scores
    worker.submit(("primary",))  # no picture was begun
    assert worker.poll() is None
    assert worker.begin(1) is not None
    worker.submit(("redundant", "no such look"))  # looks of others
    assert worker.poll() is None
    assert not worker.collect().scores


def test_a_background_answer_is_picked_up_when_it_is_there(shop: Shop) -> None:
    worker = shop.start()
    assert worker.begin(7) is not None
    worker.submit(("primary",))
    replies: list[Any] = []

    def there() -> bool:
        replies.append(worker.poll())
        return replies[-1] is not None

    assert wait_until(there)
    assert (replies[-1].number, set(replies[-1].scores)) == (7, {"primary"})
    assert worker.poll() is None


def test_a_new_request_takes_the_place_of_an_open_one(shop: Shop) -> None:
    worker = shop.start()
    assert worker.begin(1) is not None
    worker.submit(("plain",))
    reply = ask(worker, 2, ("primary",))
    assert reply is not None
    assert (reply.number, set(reply.scores)) == (2, {"primary"})


def test_it_says_where_it_runs_and_what_holds_it(shop: Shop) -> None:
    worker = shop.start()
    words = worker.describe()
    assert words["runs in"] == f"process {worker.pid}"
    assert words["sandbox"] in ("off", "process", "filtered", "strict")
    assert "sandbox seccomp" in words
    assert "tiny-primary" in words["primary"]
    assert "onnxruntime" in words["primary"]


# --- what happens to it -----------------------------------------------------------------------------------------------


def test_a_killed_worker_costs_that_frame_and_comes_back(shop: Shop) -> None:
    worker = shop.start(restarts_most=2)
    assert ask(worker, 1)
    pid = killed(worker)
    reply = ask(worker, 2)
    assert reply is None or not reply.scores
    assert wait_until(lambda: worker.tend(time.monotonic()) and gone(pid))
    assert back(worker)
    assert worker.pid != pid
    assert worker.restarted == 1
    assert worker.describe()["started again"].startswith("1 time, last as it ")
    reply = ask(worker, 3)
    assert reply is not None
    assert set(reply.scores) == set(EYES)


def test_a_restart_never_holds_up_a_step(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = shop.start(restarts_most=2)
    waits: list[float] = []
    monkeypatch.setattr(process.Process, "wait", lambda _, seconds: waits.append(seconds))
    killed(worker)
    assert wait_until(lambda: worker.tend(time.monotonic()) and not worker.answering)
    assert worker.begin(1) is None
    assert back(worker)
    assert not waits


def test_restarts_are_counted_in_their_window_and_then_it_stays_down(shop: Shop) -> None:
    worker = shop.start(restarts_most=2, restarts_within=60.0)
    for now in (0.0, 10.0):
        pid = killed(worker)
        assert wait_until(lambda pid=pid, now=now: gone_after_tending(worker, pid, now))  # type: ignore[misc]
        assert back_at(worker, now)
    pid = killed(worker)
    assert wait_until(lambda: gone_after_tending(worker, pid, 59.0))
    assert worker.pid is None
    assert worker.tend(1000.0)  # stays down, also later, and does not lock out
    assert worker.pid is None
    assert not worker.answering
    assert worker.begin(5) is None
    assert worker.describe()["runs in"] == "no process"
    assert worker.restarted == 2


def test_restarts_long_ago_do_not_count(shop: Shop) -> None:
    worker = shop.start(restarts_most=1, restarts_within=60.0)
    for now in (0.0, 61.0):
        pid = killed(worker)
        assert wait_until(lambda pid=pid, now=now: gone_after_tending(worker, pid, now))  # type: ignore[misc]
        assert back_at(worker, now)


def test_a_policy_may_say_that_lost_restarts_lock_out(shop: Shop) -> None:
    worker = shop.start(restarts_most=0, lockout=True)
    assert worker.tend(0.0)
    killed(worker)
    assert wait_until(lambda: not worker.tend(1.0))
    assert not worker.tend(1000.0)


def gone_after_tending(worker: WorkerMember, pid: int, now: float) -> bool:
    worker.tend(now)
    return gone(pid)


def back_at(worker: WorkerMember, now: float) -> bool:
    def there() -> bool:
        worker.tend(now)
        return worker.answering

    return wait_until(there, 30.0)


def test_a_stopped_worker_is_not_waited_for_beyond_its_deadline_and_may_come_back(shop: Shop) -> None:
    worker = shop.start(deadline=0.05)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    for number in range(3):
        reply = ask(worker, number)
        assert reply is not None
        assert not reply.scores
        assert not worker.answering
    os.kill(worker.pid, signal.SIGCONT)

    def answers() -> bool:
        worker.tend(0.0)
        reply = ask(worker, 9)
        return reply is not None and bool(reply.scores)

    assert wait_until(answers)
    assert worker.answering
    assert worker.restarted == 0


def test_a_worker_that_answers_nothing_for_long_is_started_again(shop: Shop) -> None:
    now = [0.0]
    worker = shop.start(deadline=0.05, clock=lambda: now[0])
    assert worker.pid is not None
    pid = worker.pid
    os.kill(pid, signal.SIGSTOP)
    assert worker.begin(1) is not None
    worker.submit(EYES)
    now[0] += 0.06
    assert not worker.collect().scores
    now[0] += 0.9
    worker.tend(0.0)
    assert worker.pid == pid  # patience: five deadlines, and a second at least
    now[0] += 0.1
    worker.tend(0.0)
    assert worker.pid != pid
    assert "gave no answer for 1 s" in worker._why
    assert wait_until(lambda: gone_after_tending(worker, pid, 0.0))


def test_a_late_answer_is_dropped_and_shows_that_it_lives(shop: Shop) -> None:
    now = [0.0]
    worker = shop.start(deadline=0.05, clock=lambda: now[0])
    pid = worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert worker.begin(1) is not None
    worker.submit(EYES)
    now[0] += 0.06
    assert not worker.collect().scores
    os.kill(pid, signal.SIGCONT)
    assert wait_until(lambda: worker.tend(0.0) and worker._silent_since is None)
    now[0] += 10.0
    worker.tend(0.0)
    assert worker.pid == pid
    assert worker.poll() is None
    reply = ask(worker, 2)
    assert reply is not None
    assert reply.number == 2
    assert set(reply.scores) == set(EYES)


def test_an_answer_that_nobody_fetches_is_no_silence_and_can_still_be_fetched(shop: Shop) -> None:
    now = [0.0]
    worker = shop.start(deadline=0.05, clock=lambda: now[0])
    pid = worker.pid
    assert worker.begin(1) is not None
    worker.submit(("plain",))
    assert wait_until(lambda: worker.tend(0.0) and worker._silent_since is None)
    now[0] += 100.0  # no picture comes for long, so nobody polls
    worker.tend(0.0)
    assert worker.pid == pid
    reply = worker.poll()
    assert reply is not None
    assert (reply.number, set(reply.scores)) == (1, {"plain"})


def test_a_worker_that_does_not_get_ready_is_given_up(shop: Shop) -> None:
    now = [0.0]
    worker = shop.start(wait=False, program="import time; time.sleep(1000)", clock=lambda: now[0])
    now[0] = 59.0
    worker.tend(0.0)
    pid = worker.pid
    assert pid is not None
    now[0] = 61.0
    worker.tend(0.0)
    assert worker.pid != pid
    assert "was not ready after 60 s" in worker._why


def test_a_system_without_room_for_a_process_refuses_at_the_start_and_leaks_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = descriptors()

    def full(*_: object) -> None:
        raise OSError(11, "no room")

    monkeypatch.setattr(spawn, "spawn", full)
    with pytest.raises(ContractError, match=r"worker `eyes` cannot be started: .*no room"):
        shop.start()
    assert descriptors() == before


def test_a_system_without_room_for_a_process_costs_a_restart_and_raises_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = shop.start(restarts_most=2)
    pid = killed(worker)
    before = descriptors()

    def full(*_: object) -> None:
        raise OSError(11, "no room")

    with monkeypatch.context() as patched:
        patched.setattr(spawn, "spawn", full)
        assert wait_until(lambda: gone_after_tending(worker, pid, 0.0))
        assert worker.pid is None
        assert "no room" in worker.describe()["why"]
        assert descriptors() < before
    assert worker.tend(1.0)
    assert not back_at(worker, 1.0) or worker.restarted <= 2


# --- how it starts and ends -------------------------------------------------------------------------------------------


def test_a_model_that_does_not_load_says_why_and_leaves_nothing(shop: Shop, tiny: Any) -> None:
    from dataclasses import replace

    before = descriptors()
    junk = {"primary": replace(tiny.classifier(), model=b"junk")}
    worker = shop.start(("primary",), models=junk, wait=False)
    pid = worker.pid
    with pytest.raises(ContractError, match=r"worker `eyes` .*`tiny-primary`.*cannot load the model"):
        worker.wait_until_ready()
    worker.close()
    worker.close()
    assert descriptors() == before
    assert pid is not None
    assert gone(pid)


def test_the_public_start_waits_and_cleans_up(shop: Shop, tiny: Any) -> None:
    from dataclasses import replace

    from edgeguard.inference.member import parts_for, scoring_for
    from edgeguard.isolation import start_worker
    from edgeguard.program import WorkerSpec

    parts = parts_for(("primary",), shop.models, {})
    spec = WorkerSpec("eyes", ("primary",), deadline=5.0)
    worker = start_worker(spec, parts, shop.models, scoring_for(parts, shop.models))
    shop.made.append(worker)
    assert worker.answering
    before = descriptors()
    broken = shop.models | {"primary": replace(shop.models["primary"], model=b"junk")}
    with pytest.raises(ContractError, match="cannot load"):
        start_worker(spec, parts, broken, scoring_for(parts, broken))
    assert descriptors() == before


@pytest.mark.parametrize(
    ("sandbox", "without", "says"),
    [
        ("required", "seccomp", "`filtered`.*`seccomp`: left out"),
        ("strict", "landlock,mounts", "`strict`.*`files`: Landlock: left out"),
        ("strict", "namespaces", "`strict`.*`namespaces`: left out"),
    ],
)
def test_a_sandbox_below_the_policys_demand_is_refused_and_says_what_is_missing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, sandbox: str, without: str, says: str
) -> None:
    monkeypatch.setenv("EDGEGUARD_SANDBOX_WITHOUT", without)
    with pytest.raises(ContractError, match=says):
        shop.start(sandbox=sandbox)


def test_without_a_demand_it_runs_at_the_level_it_reaches(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEGUARD_SANDBOX_WITHOUT", "seccomp,landlock,namespaces")
    worker = shop.start(sandbox="preferred")
    assert worker.describe()["sandbox"] in ("off", "process")
    assert ask(worker, 1)
    assert shop.start(sandbox="off").describe()["sandbox"] == "off"


def test_a_worker_may_be_bounded_in_memory_and_cores(shop: Shop) -> None:
    worker = shop.start(memory=2**30, cpus=(0,))
    assert worker.pid is not None
    assert os.sched_getaffinity(worker.pid) == {0}
    assert "Max data size             1073741824" in Path(f"/proc/{worker.pid}/limits").read_text()
    assert ask(worker, 1)


@pytest.mark.parametrize("channel", ["hears", "speaks"])
def test_a_worker_without_a_channel_holds_no_descriptor_for_it(shop: Shop, channel: str) -> None:
    whole, cut = shop.start(), shop.start(hears=channel != "hears", speaks=channel != "speaks")
    assert whole.pid is not None
    assert cut.pid is not None
    lost = {"hears": "edgeguard-frames", "speaks": "edgeguard-suggestions"}[channel]
    assert lost in holdings(whole.pid)
    assert lost not in holdings(cut.pid)
    assert "eventfd" in holdings(whole.pid)
    assert ("eventfd" in holdings(cut.pid)) == (channel == "hears")
    assert cut.begin(1) is None
    assert not cut.answering
    assert cut.tend(0.0)


def holdings(pid: int) -> str:
    """The memory that a process has mapped, and what its descriptors are."""
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            links.append(str(link.readlink()))
    return "\n".join([Path(f"/proc/{pid}/maps").read_text(), *links])


def test_a_worker_holds_only_what_it_was_handed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEGUARD_SECRET", "s")
    with Path("/dev/null").open() as other:
        os.set_inheritable(other.fileno(), True)
        worker = shop.start()
    assert worker.pid is not None
    links = sorted(str(link.readlink()) for link in Path(f"/proc/{worker.pid}/fd").iterdir())
    named = [link for link in links if not link.startswith(("pipe:", "anon_inode:[eventfd]", "/dev/null"))]
    # mappings keep a descriptor of their own
    assert {name.split(" ")[0] for name in named} <= {
        "/memfd:edgeguard-frames",
        "/memfd:edgeguard-suggestions",
    }
    assert b"EDGEGUARD_SECRET" not in Path(f"/proc/{worker.pid}/environ").read_bytes()


def test_starting_and_ending_leaks_no_descriptor(shop: Shop) -> None:
    worker = shop.start(restarts_most=9)
    before = descriptors()
    for _ in range(3):
        pid = killed(worker)
        assert wait_until(lambda pid=pid: gone_after_tending(worker, pid, 0.0))  # type: ignore[misc]
        assert back(worker)
    assert descriptors() == before


HOST = """
import sys, time
sys.path.insert(0, sys.argv[1])
from tests.inference.conftest import Tiny
from tests.isolation.conftest import Shop
worker = Shop(Tiny()).start(("primary",))
print(worker.pid, flush=True)
time.sleep(60)
"""


def test_a_worker_dies_with_a_killed_host_even_when_it_is_stopped(shop: Shop) -> None:
    with subprocess.Popen([sys.executable, "-c", HOST, str(ROOT)], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        pid = int(host.stdout.readline())
        os.kill(pid, signal.SIGSTOP)  # so that it cannot see anything itself: only the kernel can end it
        host.kill()
        host.wait()
    assert wait_until(lambda: gone(pid) or "Z" in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3])


def test_a_worker_started_from_another_thread_outlives_that_thread(shop: Shop) -> None:
    thread = threading.Thread(target=shop.start)
    thread.start()
    thread.join()
    reply = ask(shop.made[0], 1)
    assert reply is not None
    assert set(reply.scores) == set(EYES)


def test_a_worker_that_finds_no_memory_names_its_limit(shop: Shop) -> None:
    report = 'b\'{"error": "std::bad_alloc"}\\n\''
    text = f"import os, sys; os.write(int(sys.argv[2].split(',')[2]), {report})"
    with pytest.raises(
        ContractError, match="std::bad_alloc; perhaps its `memory` in the policy is too small"
    ):
        shop.start(program=text, memory=512 << 20)
    with pytest.raises(ContractError, match=r"std::bad_alloc$"):
        shop.start(program=text)


@pytest.mark.parametrize(
    ("report", "says"),
    [
        ("b'junk\\n'", "reports what no worker does"),
        ("b'[' * 9999 + b'\\n'", "reports what no worker does"),
        ('b\'{"error": "broken\\\\u0007 bundle"}\\n\'', "cannot start: broken  bundle$"),
        ('b\'{"entered": 3}\\n{"entered": 4}\\n\'', "reports what no worker does"),
        ("b'x' * 60000", "reports more than any worker does"),
        ("b''", "ended while it was loading"),
    ],
)
def test_a_report_that_is_none_ends_the_worker(shop: Shop, report: str, says: str) -> None:
    text = f"import os, sys; os.write(int(sys.argv[2].split(',')[2]), {report})"
    with pytest.raises(ContractError, match=says):
        shop.start(program=text)


def test_a_worker_that_lies_about_its_sandbox_is_refused(shop: Shop) -> None:
    layers = (
        "descriptors no_new_privs limits capabilities undumpable seccomp_load seccomp files namespaces user"
    )
    text = f"""
import json, os, sys, time
told = {{"level": 3, "layers": dict.fromkeys({layers.split()!r}, "on")}}
for stage in ("entered", "ready"):
    os.write(int(sys.argv[2].split(",")[2]), json.dumps({{stage: told}}).encode() + b"\\n")
time.sleep(60)
"""
    with pytest.raises(ContractError, match="`seccomp`: the kernel says the filter is not there"):
        shop.start(program=text, sandbox="required")


def test_a_worker_behind_a_tool_is_looked_at_itself_and_ends_with_the_tool(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a tool that stays in front of what it starts, as bubblewrap does, and ends with it
    code = """
import ctypes, signal, subprocess, sys
die = lambda: ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))
sys.exit(subprocess.run(sys.argv[1:], close_fds=False, preexec_fn=die).returncode)
"""
    tool = (sys.executable, "-c", code)
    monkeypatch.setattr(member, "wrap", lambda *_: Wrapped(tool, {"bubblewrap": "on"}))
    worker = shop.start(sandbox="required", restarts_most=1)
    assert worker.pid is not None
    inner = witness.innermost(worker.pid)
    assert inner != worker.pid
    assert worker.describe()["sandbox bubblewrap"] == "on"
    assert ask(worker, 1)
    killed(worker)
    assert wait_until(lambda: worker.tend(0.0) and gone(inner))
    assert back(worker)


@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")
def test_bubblewrap_may_stand_in_front(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapping, "_no_bubblewrap_for_root", lambda: "")
    worker = shop.start(restarts_most=1)
    words = worker.describe()
    if words["sandbox bubblewrap"] != "on":
        pytest.skip(words["sandbox bubblewrap"])
    assert words["sandbox namespaces"] == "on (bubblewrap)"
    assert ask(worker, 1)
    killed(worker)
    assert wait_until(lambda: worker.tend(0.0) and not worker.answering)
    assert back(worker)
