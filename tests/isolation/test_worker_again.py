"""What a worker that is started again may not change: how it is shut in, and that a lost question is known to be."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from edgeguard.isolation import WorkerMember
from edgeguard.isolation.sandbox import kernel
from tests.isolation.conftest import Shop, back

pytestmark = pytest.mark.process


def down(worker: WorkerMember) -> None:
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    end = time.monotonic() + 10.0
    while worker.answering and time.monotonic() < end:
        worker.tend(0.0)
    assert not worker.answering


def ended(worker: WorkerMember) -> Any:
    end = time.monotonic() + 20.0
    while not worker._budget.spent and time.monotonic() < end:
        worker.tend(0.0)
        time.sleep(0.01)
    return worker.describe()


def test_a_question_that_is_lost_with_its_worker_is_answered_by_nothing(shop: Shop) -> None:
    worker = shop.start(("redundant",), restarts_most=2)
    os.kill(worker.pid or 0, signal.SIGSTOP)
    assert worker.begin(7) is not None
    worker.submit(("redundant",))
    down(worker)
    assert back(worker)
    reply = worker.poll()
    assert reply is not None
    assert (reply.number, dict(reply.scores)) == (7, {})
    assert worker.poll() is None


def test_a_worker_is_never_started_again_less_shut_in_than_it_was(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = shop.start(("redundant",), restarts_most=1, sandbox="preferred")
    if worker.describe()["sandbox"] in ("off", "process"):
        pytest.skip("this machine has no filters to lose")
    monkeypatch.setenv(kernel.WITHOUT, "seccomp")
    down(worker)
    words = ended(worker)
    assert "less than it had when it was started first" in words["why"]


def test_a_host_that_pins_itself_later_does_not_pin_the_next_worker(shop: Shop) -> None:
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("one core leaves nothing to pin")
    worker = shop.start(("redundant",), restarts_most=1)
    try:
        os.sched_setaffinity(0, {min(before)})
        down(worker)
        assert back(worker)
    finally:
        os.sched_setaffinity(0, before)
    assert os.sched_getaffinity(worker.pid or 0) == before


def test_a_host_with_workers_cannot_be_read_by_another_process_of_its_user(shop: Shop) -> None:
    was = kernel.prctl(kernel.PR_GET_DUMPABLE)
    try:
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
        shop.start(("redundant",), sandbox="off", wait=False)
        assert kernel.prctl(kernel.PR_GET_DUMPABLE) == 1
        shop.start(("redundant",), sandbox="preferred", wait=False)
        assert kernel.prctl(kernel.PR_GET_DUMPABLE) == 0
    finally:
        kernel.prctl(kernel.PR_SET_DUMPABLE, was)


def test_an_answer_that_was_seen_cannot_be_taken_back(shop: Shop) -> None:
    worker = shop.start(("redundant",), restarts_most=0)
    assert worker.begin(7) is not None
    worker.submit(("redundant",))
    end = time.monotonic() + 10.0
    while worker._silent_since is not None and time.monotonic() < end:
        worker.tend(0.0)
    process = worker._process
    assert process is not None
    os.pwrite(process.suggestions.descriptor, b"\x01" * 256, 0)
    reply = worker.poll()
    assert reply is not None
    assert set(reply.scores) == {"redundant"}
