"""A worker whose model is attacker's Python, run after the sandbox is sealed. For tests and benches: never shipped.

It answers honestly on even frames and attacks on odd ones, with everything a worker holds: its memory, its descriptors,
the objects of the program around it. Imports only the standard library before the sandbox is entered, like any worker.
"""

# ruff: noqa: ANN401, SLF001, BLE001 - an attacker is handed what it finds, reaches where it may not, and goes on

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeguard.isolation import worker

_START = "import sys; sys.path.insert(0, sys.argv[1]); import bench.hostile; "
_CALL = "bench.hostile.main(sys.argv[2], {plan!r})"
_HEAD = struct.Struct("<IIQQII32sI")

Plan = Sequence[tuple[str, str]]
"""(kind, what that attack needs to know, such as a path), in turns: see `turn`."""


def program(plan: Plan) -> str:
    """The program of a worker that attacks in these ways."""
    return _START + _CALL.format(plan=tuple(plan))


def turn(number: int, ways: int) -> int | None:
    """Which attack of the plan a frame brings; None: it is answered honestly."""
    return number // 2 % ways if number % 2 else None


def main(descriptors: str, plan: Plan) -> None:
    """The worker's own program, with sessions that attack."""
    worker.main(descriptors, loader=lambda models: _loader(models, plan))


class _Session:
    """An honest session that hands over to an attack on odd frames."""

    def __init__(self, honest: Any, plan: Plan) -> None:
        self._honest = honest
        self._plan = plan
        self._old = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._honest, name)

    def run(self, batch: Any) -> Any:
        outputs = dict(self._honest.run(batch))
        desk, request = _around()
        if desk is None:  # warming up, before the sandbox is sealed
            return outputs
        desk.give = lambda asked, done: type(desk).give(desk, asked, done)
        index = turn(request.frame, len(self._plan))
        if index is None:
            self._old = bytes(desk.suggestions[:])
            return outputs
        kind, extra = self._plan[index]
        if kind in VALUES:
            return VALUES[kind](outputs)
        if kind in WRITING:
            desk.give = lambda asked, done: WRITING[kind](Attack(desk, asked, done, self._old))
        else:
            ESCAPES[kind](desk, extra)
        return outputs


def _loader(models: Mapping[str, bytes], plan: Plan) -> Callable[[Any], Any]:
    from edgeguard.inference.runner import load_part

    honest = load_part(models)

    def load(part: Any) -> Any:
        session = honest(part)
        return session if part.role == "filter" else _Session(session, plan)

    return load


def _around() -> tuple[Any, Any]:
    """The program around the model: its desk and the request it works on, found on the stack."""
    frame: Any = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "serve":
            return frame.f_locals["self"], frame.f_locals["request"]
        frame = frame.f_back
    return None, None


# --- lies in the numbers: the answer's form is right ------------------------------------------------------------------


def _filled(value: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def lie(outputs: dict[str, Any]) -> dict[str, Any]:
        return {meaning: array * 0 + value for meaning, array in outputs.items()}

    return lie


def _one_nan(outputs: dict[str, Any]) -> dict[str, Any]:
    found = {meaning: array.copy() for meaning, array in outputs.items()}
    for array in found.values():
        array.reshape(-1)[0] = float("nan")
    return found


def _other_label(outputs: dict[str, Any]) -> dict[str, Any]:
    """A sure answer that is not the model's: only another model can tell."""
    found = {meaning: array.copy() for meaning, array in outputs.items()}
    scores = found.get("logits", found.get("probabilities"))
    assert scores is not None  # noqa: S101 - every classifier has one
    least = scores.argmin(axis=1)
    scores[...] = 0.0
    for row, label in enumerate(least):
        scores[row, label] = 30.0 if "logits" in found else 1.0
    return found


VALUES: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "nan": _filled(float("nan")),
    "one nan": _one_nan,
    "infinite": _filled(float("inf")),
    "huge": _filled(3.0e38),
    "another answer": _other_label,
}


# --- lies in the form of the answer -----------------------------------------------------------------------------------


class Attack:
    """One answer to be forged."""

    def __init__(self, desk: Any, request: Any, done: int, old: bytes) -> None:
        self.desk, self.request, self.done, self.old = desk, request, done, old

    def honest(self) -> None:
        """Answer as the worker's own program does."""
        type(self.desk).give(self.desk, self.request, self.done)

    def forged(self, *, ring: bool = True, **changes: Any) -> None:
        """An answer with some fields of its head changed, and a CRC that fits unless it is one of them."""
        from edgeguard.isolation.layout import checksum

        desk, request = self.desk, self.request
        desk._sequence += 2
        fields = {
            "sequence": desk._sequence,
            "size": desk.layout.answer_size,
            "counter": request.counter,
            "frame": request.frame,
            "wanted": request.wanted,
            "done": self.done,
            "digest": desk.layout.digest,
            "crc": 0,
        } | changes
        answer = desk._answer
        _HEAD.pack_into(answer, 0, *fields.values())
        if "crc" not in changes:
            fields["crc"] = checksum(answer)
            _HEAD.pack_into(answer, 0, *fields.values())
        desk.suggestions[: len(answer)] = bytes(answer)
        if ring:
            self.ring()

    def ring(self) -> None:
        """Tell the host."""
        os.write(self.desk.bell, (1).to_bytes(8, "little"))


def _replay(attack: Attack) -> None:
    attack.desk.suggestions[: len(attack.old)] = attack.old
    attack.ring()


def _replay_renumbered(attack: Attack) -> None:
    """The scores of an older frame under the new number: they are the worker's word, and another model must object."""
    room = attack.desk._answer
    room[128:] = attack.old[128 : len(room)]
    attack.forged()


def _tearing(attack: Attack) -> None:
    room, until = attack.desk.suggestions, time.monotonic() + 0.08
    count = 1
    while time.monotonic() < until:
        count += 1
        room[:4] = struct.pack("<I", 2 * count)
        room[128:136] = os.urandom(8) if count % 7 == 0 else struct.pack("<Q", count)
        if count % 64 == 0:
            attack.ring()


def _late(attack: Attack) -> None:
    time.sleep(0.06)
    attack.honest()


def _flood(attack: Attack) -> None:
    until = time.monotonic() + 0.03
    while time.monotonic() < until:
        attack.ring()
    attack.honest()


WRITING: Mapping[str, Callable[[Attack], None]] = {
    "wrong size": lambda a: a.forged(size=8),
    "huge size": lambda a: a.forged(size=0xFFFFFFFF),
    "looks that nobody asked for": lambda a: a.forged(done=0xFFFFFFFF),
    "answer to another question": lambda a: a.forged(wanted=a.request.wanted ^ 1),
    "stale": lambda a: a.forged(frame=max(a.request.frame - 2, 0)),
    "from the future": lambda a: a.forged(counter=a.request.counter + 1),
    "wrong digest": lambda a: a.forged(digest=bytes(32)),
    "wrong checksum": lambda a: a.forged(crc=12345),
    "left half written": lambda a: a.forged(sequence=a.desk._sequence + 1),
    "replayed": _replay,
    "replayed under a new number": _replay_renumbered,
    "changing while it is read": _tearing,
    "says nothing": lambda _: None,
    "rings for nothing": lambda a: a.ring(),
    "no look done": lambda a: a.forged(done=0),
    "slowed": _late,
    "hung": lambda _: time.sleep(0.06),
    "hung for good": lambda _: time.sleep(1000.0),
    "flooding": _flood,
    "exits": lambda _: os._exit(0),
}


# --- ways out: what the sandbox and the seals refuse; the answer given afterwards is honest ---------------------------


def _beyond(desk: Any, _: str) -> None:
    """Write behind its own memory, and into the pictures."""
    import numpy as np

    ctypes.memset(int(np.frombuffer(desk.frames, np.uint8).ctypes.data), 0xFF, 4096)


def _behind(desk: Any, _: str) -> None:
    import numpy as np

    room = np.frombuffer(desk.suggestions, np.uint8)
    ctypes.memset(int(room.ctypes.data) + len(room) - 8, 0xFF, 1 << 24)


def _close(_: Any, __: str) -> None:
    for descriptor in range(64):
        _tried(os.close, descriptor)


def _tried(call: Callable[..., Any], *arguments: Any) -> None:
    try:
        call(*arguments)
    except Exception:
        return


def _truncate(desk: Any, _: str) -> None:
    for descriptor in range(64):
        _tried(os.ftruncate, descriptor, 0)
        _tried(os.posix_fallocate, descriptor, 0, 1 << 30)
    _tried(desk.suggestions.resize, 4096)


def _send(path: str) -> None:
    Path(path).write_bytes(b"\xfd" * 64)


ESCAPES: Mapping[str, Callable[[Any, str], None]] = {
    "writes into the pictures": _beyond,
    "writes behind its memory": _behind,
    "truncates": _truncate,
    "closes its descriptors": _close,
    "kills its host": lambda _, extra: _tried(os.kill, int(extra), signal.SIGKILL),
    "stops its host": lambda _, extra: _tried(os.kill, int(extra), signal.SIGSTOP),
    "opens the port": lambda _, extra: _tried(_send, extra),
    "connects": lambda _, extra: _tried(socket.create_connection, ("127.0.0.1", int(extra or 9)), 0.01),
    "forks": lambda _, __: _tried(os.fork),
}

KINDS = (*VALUES, *WRITING, *ESCAPES)
