"""The worker's program, run here without its sandbox: what it does with its order, and what it tells its host."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeguard.inference.member import parts_for, scoring_for
from edgeguard.isolation import load, memory, worker
from edgeguard.isolation.channel import Heard, Pictures, Suggestions
from edgeguard.isolation.layout import Layout
from edgeguard.isolation.sandbox.levels import Level, Reached
from edgeguard.isolation.serve import Desk
from edgeguard.isolation.spawn import Handed
from edgeguard.program import WorkerSpec
from tests.isolation.conftest import EYES, Shop

ROOT = Path(__file__).resolve().parents[2]
SPEC = WorkerSpec("eyes", EYES, cpus=(0, 1))


class Stopped(Exception):  # noqa: N818 - not an error: the end of a loop that has none
    pass


class Host:
    """The host's ends of a program that runs in a thread of the test."""

    def __init__(self, shop: Shop, monkeypatch: pytest.MonkeyPatch, models: dict[str, Any]) -> None:
        self.parts = parts_for(EYES, shop.models, {})
        self.scoring = scoring_for(self.parts, shop.models)
        self.layout = Layout(EYES, self.parts)
        self.pictures, self.suggestions = Pictures(self.layout), Suggestions(self.layout)
        bytes_of = {role: models[role].model for role in self.parts}
        order = memory.sealed_bytes("load", *load.pack(SPEC, 0, self.parts, bytes_of))
        self.life, life = os.pipe()[::-1]
        self.report, report = os.pipe()
        copies = map(os.dup, (self.pictures.descriptor, self.suggestions.descriptor, self.suggestions.bell))
        self.handed = Handed(life, order, report, *copies)
        self.levels: list[Any] = []
        for name in ("enter", "seal"):
            monkeypatch.setattr(worker, name, self.reached)
        monkeypatch.setattr(worker, "die_with_host", lambda _: None)
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        monkeypatch.setattr("gc.freeze", lambda: None)

    def reached(self, jail: Any) -> Reached:
        self.levels.append(jail)
        return Reached(Level.OFF, {"seccomp": "not asked for"})

    def told(self) -> list[dict[str, Any]]:
        os.set_blocking(self.report, False)
        return [json.loads(line) for line in os.read(self.report, 65536).splitlines()]

    def start(self, handed: Handed | None = None) -> threading.Thread:
        text = ",".join(map(str, handed or self.handed))
        thread = threading.Thread(target=lambda: self.run(text))
        thread.start()
        return thread

    def run(self, text: str) -> None:
        with contextlib.suppress(Stopped):
            worker.main(text)

    def close(self) -> None:
        for descriptor in (self.life, self.report, self.handed.life, self.handed.bell):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.suggestions.close()
        self.pictures.close()


@pytest.fixture
def host(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    made = Host(shop, monkeypatch, shop.models)
    yield made
    made.close()


def test_the_program_loads_warms_up_reports_and_answers(
    host: Host, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    give = Desk.give
    given = []

    def once(desk: Desk, *arguments: Any) -> None:
        give(desk, *arguments)
        given.append(1)
        if len(given) == 2:
            raise Stopped

    monkeypatch.setattr(Desk, "give", once)
    thread = host.start()
    poll = select.poll()
    poll.register(host.suggestions.bell, select.POLLIN)
    here = shop.here()
    ready: list[dict[str, Any]] = []
    while len(ready) < 2:
        ready += host.told() if select.select([host.report], [], [], 30.0)[0] else pytest.fail("silent")
    assert list(ready[0]) == ["entered"]
    assert set(ready[1]) == {"ready", "facts"}
    assert "tiny-primary" in ready[1]["facts"]["primary"]
    assert [(jail.cpus, jail.level) for jail in host.levels] == [((0, 1), Level.OFF)] * 2
    for number, looks in enumerate((EYES, ("primary",))):
        (room,) = host.pictures.begin(number, None)
        room[...] = np.random.default_rng(number).random(room.shape, np.float32)
        asked = host.pictures.ask(host.layout.mask(looks))
        poll.poll(30_000)
        os.eventfd_read(host.suggestions.bell)
        raws = host.suggestions.read(asked)
        assert not isinstance(raws, Heard)
        got = host.scoring.reply(number, raws)
        (room_here,) = here.begin(number)
        room_here[...] = room
        here.submit(looks)
        for look, scores in here.collect().scores.items():
            np.testing.assert_allclose(got.scores[look].probabilities, scores.probabilities, rtol=1e-5)
    thread.join(30.0)
    assert not thread.is_alive()


def test_a_model_that_cannot_be_loaded_is_reported_in_words(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    broken = shop.models | {"filter": replace(shop.models["filter"], model=b"junk")}
    host = Host(shop, monkeypatch, broken)
    host.start().join(30.0)
    last = host.told()[-1]
    assert "cannot load the model" in last["error"]
    host.close()


def test_a_model_without_an_answer_is_not_ready(
    host: Host, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeguard.inference.runner import Runner

    monkeypatch.setattr(Runner, "run", lambda *_: {})
    host.start().join(30.0)
    assert "gives no answer for a grey picture in its worker" in host.told()[-1]["error"]


def test_a_worker_without_a_channel_waits_for_its_end(host: Host) -> None:
    os.close(host.handed.bell)
    thread = host.start(host.handed._replace(bell=-1))
    said = b""
    while b"ready" not in said:
        said += os.read(host.report, 4096)
    thread.join(0.02)
    assert thread.is_alive()
    os.close(host.life)
    thread.join(30.0)
    assert not thread.is_alive()


def test_a_process_whose_host_is_already_gone_ends_at_once() -> None:
    life, host = os.pipe()
    os.close(host)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); "
        "from edgeguard.isolation.worker import die_with_host; die_with_host(int(sys.argv[2])); print('alive')"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(ROOT), str(life)],
        pass_fds=(life,),
        capture_output=True,
        check=False,
    )
    os.close(life)
    assert (done.returncode, done.stdout) in ((0, b""), (-signal.SIGKILL, b""))


def test_the_kernel_ends_a_process_whose_host_goes_whatever_it_does() -> None:
    life, host = os.pipe()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); "
        "from edgeguard.isolation.worker import die_with_host; die_with_host(int(sys.argv[2])); print(flush=True)\n"
        "while True: pass"
    )
    with subprocess.Popen(
        [sys.executable, "-I", "-c", code, str(ROOT), str(life)], pass_fds=(life,), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.close(host)
        assert process.wait(30.0) == -signal.SIGKILL
    os.close(life)


def test_an_order_says_what_a_worker_needs_and_nothing_else(shop: Shop) -> None:
    parts = parts_for(EYES, shop.models, {})
    pieces = load.pack(SPEC, 3, parts, {role: shop.models[role].model for role in parts})
    order = load.read(memory.sealed_bytes("load", *pieces))
    assert order.looks == EYES
    assert order.level == 3
    assert order.models == {role: shop.models[role].model for role in parts}
    again = {told["role"]: load.part(told) for told in order.parts}
    for role, part in parts.items():
        assert again[role].contract == part.contract
        assert again[role].backend == part.backend
        assert vars(again[role].input) == {
            name: getattr(part.input, name) for name in part.input.__dataclass_fields__
        }
    assert Layout(EYES, again).digest == Layout(EYES, parts).digest
    text = b"".join(pieces[:2]).decode(errors="replace")
    assert str(ROOT) not in text
    assert "key" not in text


def test_the_engine_of_a_plan_reaches_the_worker(shop: Shop) -> None:
    from dataclasses import replace

    from edgeguard.admission.manifest import Engine

    (part,) = parts_for(("redundant",), shop.models, {}).values()
    engine = Engine("tensorrt", "10.3", "8.7", "linux-aarch64")
    part = replace(part, contract=replace(part.contract, engine=engine))
    spec = WorkerSpec("w", ("redundant",))
    order = load.read(memory.sealed_bytes("l", *load.pack(spec, 0, {"redundant": part}, {"redundant": b"m"})))
    told = load.part(order.parts[0]).contract.engine
    assert told is not None
    assert (told.kind, told.version, told.compute_capability) == ("tensorrt", "10.3", "8.7")


def test_a_worker_reads_its_order_before_anything_heavy_is_there() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import edgeguard.isolation.worker; "
        "print([m for m in ('numpy', 'onnxruntime', 'cryptography', 'pydantic', 'msgspec') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(ROOT)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
