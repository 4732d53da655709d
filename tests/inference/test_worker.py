"""A model in its own process answers like one in the host, and whatever it does wrong costs only its answer."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeguard.errors import ContractError
from edgeguard.inference import wire, worker_main
from edgeguard.inference.backends import open_backend
from edgeguard.inference.perception import Perception
from edgeguard.inference.session import InferenceError, ModelContract
from edgeguard.inference.worker import WorkerSession
from edgeguard.program import ModelRef
from edgeguard.types import Frame

ROOT = Path(__file__).resolve().parents[2]
GREY = np.full((1, 3, 8, 8), 0.5, np.float32)


def start(model: Any, *, deadline: float = 5.0) -> WorkerSession:
    return WorkerSession.start(
        ModelContract.of(model), model.model, "onnxruntime", name="second", deadline=deadline
    )


def wait_until(true: Callable[[], bool], limit: float = 10.0) -> bool:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.005)
    return False


def gone(pid: int) -> bool:
    """Whether a process is no more, not even as a zombie."""
    return not Path(f"/proc/{pid}").exists()


# --- a real process ---------------------------------------------------------------------------------------------------


@pytest.mark.process
def test_a_worker_answers_like_a_session_in_the_host(tiny: Any) -> None:
    model = tiny.classifier(novelty=True)
    here = open_backend("auto").load(model)
    there = start(model)
    try:
        batch = np.random.default_rng(0).random((3, 3, 8, 8), dtype=np.float32)
        for rows in (3, 1, 2):
            expected, got = here.run(batch[:rows]), there.run(batch[:rows])
            assert set(got) == {"logits", "novelty"}
            for meaning in expected:
                np.testing.assert_allclose(got[meaning], expected[meaning], rtol=1e-5)
        assert there.alive
        assert there.name == "second"
    finally:
        there.close()
        there.close()
    assert gone(there.pid)


@pytest.mark.process
def test_a_killed_worker_costs_its_signal_and_leaves_no_zombie(tiny: Any) -> None:
    models = {"primary": tiny.classifier(), "redundant": tiny.classifier(seed=1, role="redundant")}
    perception = Perception.build(
        models, [ModelRef("redundant", "", "auto", "second")], time.monotonic, deadline=5.0
    )
    try:
        perception.warm_up()
        worker = perception.workers["redundant"]
        assert perception.describe()["redundant"]["runs in"] == f"process {worker.pid}"

        def disagreement(number: int) -> float | None:
            observation = perception.observe(Frame(tiny.frame(number), number, 0.0), 0.0)
            assert observation.answer is not None
            return {s.name: s.value for s in observation.signals}["disagreement"]

        assert disagreement(1) is not None
        os.kill(worker.pid, signal.SIGKILL)
        assert disagreement(2) is None
        assert disagreement(3) is None
        assert not worker.alive
        assert wait_until(lambda: disagreement(4) is None and gone(worker.pid))
    finally:
        perception.close()


@pytest.mark.process
def test_a_hung_worker_is_not_waited_for_beyond_its_deadline_and_may_come_back(tiny: Any) -> None:
    worker = start(tiny.classifier(), deadline=0.05)
    try:
        os.kill(worker.pid, signal.SIGSTOP)
        for _ in range(3):
            with pytest.raises(InferenceError, match=r"did not (answer in time|take the request)"):
                worker.run(GREY)
        assert worker.alive
        os.kill(worker.pid, signal.SIGCONT)

        def answers() -> bool:
            with contextlib.suppress(InferenceError):
                return bool(worker.run(GREY)["logits"].shape == (1, 3))
            return False

        assert wait_until(answers)
    finally:
        worker.close()


@pytest.mark.process
def test_a_model_that_does_not_load_says_why_and_leaves_no_process(tiny: Any) -> None:
    model = tiny.classifier()
    with pytest.raises(
        ContractError, match=r"worker `second` \(bundle `tiny-primary`\).*cannot load the model"
    ):
        WorkerSession.start(ModelContract.of(model), b"junk", "onnxruntime", name="second", deadline=1.0)


@pytest.mark.process
def test_stages_that_do_not_fit_end_the_workers_that_were_started(tiny: Any) -> None:
    models = {
        "redundant": tiny.classifier(role="redundant", classes=("a", "b", "c")),
        "primary": tiny.classifier(),
    }
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(ContractError, match="other classes"):
        Perception.build(models, [ModelRef("redundant", "", "auto", "second")], time.monotonic)
    assert set(Path("/proc/self/fd").iterdir()) == before


@pytest.mark.process
def test_a_worker_of_the_wrong_kind_is_ended(tiny: Any) -> None:
    with pytest.raises(ContractError, match="meaning `image`"):
        Perception.build(
            {"primary": tiny.classifier(), "filter": tiny.classifier(role="filter")},
            [ModelRef("filter", "", "auto", "second")],
            time.monotonic,
        )


HOST = """
import sys, time
sys.path.insert(0, sys.argv[1])
import pickle
from edgeguard.inference.session import ModelContract, OutputContract
from edgeguard.inference.worker import WorkerSession
contract, model = pickle.load(sys.stdin.buffer)
worker = WorkerSession.start(contract, model, "onnxruntime", name="second", deadline=1.0)
print(worker.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.process
def test_a_worker_dies_with_a_killed_host(tiny: Any) -> None:
    import pickle

    model = tiny.classifier()
    with subprocess.Popen(
        [sys.executable, "-c", HOST, str(ROOT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as host:
        assert host.stdin is not None
        assert host.stdout is not None
        host.stdin.write(pickle.dumps((ModelContract.of(model), model.model)))
        host.stdin.close()
        pid = int(host.stdout.readline())
        os.kill(pid, signal.SIGSTOP)  # so that it cannot see its line close: only the kernel can end it
        host.kill()
        host.wait()
    assert wait_until(lambda: gone(pid) or "Z" in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3])


@pytest.mark.process
def test_a_worker_started_from_another_thread_outlives_that_thread(tiny: Any) -> None:
    started: list[WorkerSession] = []
    thread = threading.Thread(target=lambda: started.append(start(tiny.classifier())))
    thread.start()
    thread.join()
    try:
        assert started[0].run(GREY)["logits"].shape == (1, 3)
    finally:
        started[0].close()


# --- a worker that lies: the far end of the line is the test ----------------------------------------------------------


class Liar:
    """A worker session whose process only sleeps, and whose line the test answers on."""

    def __init__(self, contract: ModelContract) -> None:
        host, self.line = socket.socketpair()
        self.process = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"])
        self.contract = contract
        self.session = WorkerSession(contract, self.process, host, name="liar", deadline=0.05)

    def reply(
        self,
        values: bytes,
        *,
        magic: bytes = wire.REPLY_MAGIC,
        number: int = 1,
        digest: bytes | None = None,
        status: int = wire.OK,
        length: int | None = None,
    ) -> None:
        digest = bytes.fromhex(self.contract.digest) if digest is None else digest
        length = len(values) if length is None else length
        self.line.sendall(wire.REPLY.pack(magic, number, digest, status, length) + values)


GOOD = np.array([[1.0, 2.0, 3.0]], np.float32).tobytes()


@pytest.fixture
def liar(tiny: Any) -> Iterator[Liar]:
    made = Liar(ModelContract.of(tiny.classifier()))
    yield made
    made.line.close()
    made.session.close()


def test_an_honest_reply_is_taken(liar: Liar) -> None:
    liar.session.submit(GREY)
    liar.reply(GOOD)
    assert liar.session.collect()["logits"].tolist() == [[1.0, 2.0, 3.0]]


@pytest.mark.parametrize(
    "lie",
    [
        {"magic": b"EVIL"},
        {"number": 0},
        {"number": 2},
        {"digest": bytes(32)},
        {"status": 7},
        {"length": 11},
        {"length": 2**62},
        {"length": 0},
        {"status": wire.FAILED},
    ],
    ids=str,
)
def test_a_reply_that_breaks_the_protocol_ends_the_worker(liar: Liar, lie: dict[str, Any]) -> None:
    liar.session.submit(GREY)
    liar.reply(GOOD, **lie)
    with pytest.raises(InferenceError, match="broke the protocol"):
        liar.session.collect()
    assert not liar.session.alive
    liar.session.submit(GREY)
    with pytest.raises(InferenceError, match="did not take the request"):
        liar.session.collect()


def test_a_reply_before_the_question_is_not_taken_for_the_answer(liar: Liar) -> None:
    liar.reply(GOOD, number=0)
    liar.session.submit(GREY)
    with pytest.raises(InferenceError, match="broke the protocol"):
        liar.session.collect()


def test_a_worker_that_could_not_run_its_model_may_try_again(liar: Liar) -> None:
    liar.session.submit(GREY)
    liar.reply(b"", status=wire.FAILED)
    with pytest.raises(InferenceError, match="could not run the model"):
        liar.session.collect()
    liar.session.submit(GREY)
    liar.reply(GOOD, number=2)
    assert liar.session.collect()["logits"].shape == (1, 3)


def test_a_late_reply_is_dropped_and_never_taken_for_a_newer_frame(liar: Liar) -> None:
    liar.session.submit(GREY)
    with pytest.raises(InferenceError, match="did not answer in time"):
        liar.session.collect()
    liar.session.submit(GREY)  # nothing is sent: the first is still open
    with pytest.raises(InferenceError, match="did not take the request"):
        liar.session.collect()
    liar.reply(np.array([[9.0, 9.0, 9.0]], np.float32).tobytes(), number=1)
    liar.session.submit(GREY)  # takes the late one off the line, and sends the second
    liar.reply(GOOD, number=2)
    assert liar.session.collect()["logits"].tolist() == [[1.0, 2.0, 3.0]]


def test_a_reply_in_drops_is_put_together_or_too_late(liar: Liar) -> None:
    liar.session.submit(GREY)
    whole = (
        wire.REPLY.pack(wire.REPLY_MAGIC, 1, bytes.fromhex(liar.contract.digest), wire.OK, len(GOOD)) + GOOD
    )
    liar.line.sendall(whole[:20])
    with pytest.raises(InferenceError, match="in time"):
        liar.session.collect()
    liar.line.sendall(whole[20:])
    liar.session.submit(GREY)
    liar.reply(GOOD, number=2)
    assert liar.session.collect()["logits"].shape == (1, 3)


def test_a_line_that_closes_ends_the_worker(liar: Liar) -> None:
    liar.session.submit(GREY)
    liar.line.close()
    with pytest.raises(InferenceError, match="has ended"):
        liar.session.collect()


def test_a_line_that_cannot_be_written_ends_the_worker(liar: Liar) -> None:
    liar.line.close()
    liar.session.submit(GREY)
    assert not liar.session.alive


def test_a_worker_that_reads_nothing_does_not_block_the_host(tiny: Any) -> None:
    liar = Liar(ModelContract.of(tiny.classifier()))
    try:
        liar.session.submit(np.zeros((2000, 3, 8, 8), np.float32))  # more than a socket holds
        assert not liar.session.alive
    finally:
        liar.line.close()
        liar.session.close()


def test_a_process_that_ended_is_seen_without_asking_it(liar: Liar) -> None:
    liar.process.kill()
    assert wait_until(lambda: not liar.session.alive)


# --- the worker's program, in this process ----------------------------------------------------------------------------


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[socket.socket, threading.Thread]]:
    """The far end of the line of a worker's program that runs in a thread."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    host, worker = socket.socketpair()
    host.settimeout(20.0)
    descriptor = os.dup(worker.fileno())
    worker.close()
    thread = threading.Thread(target=worker_main.main, args=(descriptor, os.getpid(), False))
    thread.start()
    yield host, thread
    host.close()
    thread.join(20.0)
    assert not thread.is_alive()


def exactly(line: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += line.recv(size - len(data)) or pytest.fail("the line closed")
    return data


def load(line: socket.socket, model: Any) -> tuple[Any, ...]:
    document = wire.encode_load(ModelContract.of(model), "onnxruntime")
    line.sendall(wire.LOAD.pack(wire.LOAD_MAGIC, len(document), len(model.model)) + document + model.model)
    return wire.REPLY.unpack(exactly(line, wire.REPLY.size))


def test_the_program_loads_and_answers(tiny: Any, program: Any) -> None:
    line, _ = program
    model = tiny.classifier()
    digest = bytes.fromhex(model.digest)
    assert load(line, model) == (wire.REPLY_MAGIC, 0, digest, wire.OK, 0)
    line.sendall(wire.REQUEST.pack(wire.REQUEST_MAGIC, 5, 1, GREY.nbytes) + GREY.tobytes())
    assert wire.REPLY.unpack(exactly(line, wire.REPLY.size)) == (wire.REPLY_MAGIC, 5, digest, wire.OK, 12)
    expected = open_backend("auto").load(model).run(GREY)["logits"]
    np.testing.assert_allclose(np.frombuffer(exactly(line, 12), np.float32), expected[0], rtol=1e-5)


def test_the_program_reports_a_run_that_failed(tiny: Any, program: Any) -> None:
    line, _ = program
    load(line, tiny.brittle())
    bright = np.ones((1, 3, 8, 8), np.float32)
    line.sendall(wire.REQUEST.pack(wire.REQUEST_MAGIC, 1, 1, bright.nbytes) + bright.tobytes())
    assert wire.REPLY.unpack(exactly(line, wire.REPLY.size))[3:] == (wire.FAILED, 0)


def test_the_program_ends_at_what_is_no_request(tiny: Any, program: Any) -> None:
    line, thread = program
    load(line, tiny.classifier())
    line.sendall(wire.REQUEST.pack(b"EVIL", 1, 1, GREY.nbytes))
    thread.join(20.0)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    "sent", [b"", b"EGL1", wire.LOAD.pack(b"EVIL", 0, 0), wire.LOAD.pack(wire.LOAD_MAGIC, 9, 9)]
)
def test_the_program_ends_at_what_is_no_load(program: Any, sent: bytes) -> None:
    line, thread = program
    line.sendall(sent)
    line.shutdown(socket.SHUT_WR)
    thread.join(20.0)
    assert not thread.is_alive()


def test_the_program_ends_when_a_request_is_cut_short(tiny: Any, program: Any) -> None:
    line, thread = program
    load(line, tiny.classifier())
    line.sendall(wire.REQUEST.pack(wire.REQUEST_MAGIC, 1, 1, GREY.nbytes) + b"half")
    line.shutdown(socket.SHUT_WR)
    thread.join(20.0)
    assert not thread.is_alive()


def test_the_program_says_what_is_wrong_with_a_load(program: Any) -> None:
    line, _ = program
    line.sendall(wire.LOAD.pack(wire.LOAD_MAGIC, 2, 1) + b"{}" + b"m")
    *_, status, length = wire.REPLY.unpack(exactly(line, wire.REPLY.size))
    assert status == wire.FAILED
    assert b"not a load message" in exactly(line, length)


def test_a_program_whose_host_is_already_gone_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(worker_main, "_die_with", lambda _: False)
    worker_main.main(-1, 1, True)  # returns before it touches its line


def test_a_line_that_is_reset_reads_as_closed() -> None:
    class Reset:
        def recv_into(self, _: memoryview) -> int:
            raise ConnectionResetError

    assert worker_main._receive(Reset(), 4) is None  # type: ignore[arg-type]


def test_a_worker_that_confirms_another_model_is_refused(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeguard.inference import spawn

    model = tiny.classifier()
    monkeypatch.setattr(
        spawn, "_exactly", lambda *_: wire.REPLY.pack(wire.REPLY_MAGIC, 0, bytes(32), wire.OK, 0)
    )
    host, far = socket.socketpair()
    with host, far, pytest.raises(ContractError, match="did not confirm the model"):
        spawn.hand_over(host, ModelContract.of(model), b"", "onnxruntime", "second")


def test_a_worker_that_ends_while_loading_is_refused(tiny: Any) -> None:
    from edgeguard.inference import spawn

    host, far = socket.socketpair()
    far.close()
    with host, pytest.raises(ContractError, match="did not start"):
        spawn.hand_over(host, ModelContract.of(tiny.classifier()), b"", "onnxruntime", "second")
    host, far = socket.socketpair()
    far.shutdown(socket.SHUT_WR)
    with host, far, pytest.raises(ContractError, match="its process ended"):
        spawn.hand_over(host, ModelContract.of(tiny.classifier()), b"", "onnxruntime", "second")
