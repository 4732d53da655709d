"""A session whose model runs in a process of its own, so that a fault in the runtime is not a fault in the guard.

The host believes nothing a worker says: every reply is checked for number, digest, exact size and shape, and its values
by the stage that reads them. What is wrong or late has no value; a worker that breaks the protocol is ended, and one
that ended stays so until the guard is built again. This module reads a clock: a real process answers in real time.
"""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from edgeguard.inference import wire
from edgeguard.inference.session import InferenceError
from edgeguard.inference.spawn import hand_over, spawn

if TYPE_CHECKING:
    from edgeguard.inference.session import ModelContract, Outputs, Tensor

_BUFFER = 1 << 20
_ROWS = 3


class WorkerSession:
    """A session in its own process. `submit` then `collect` lets it work while the host does something else."""

    def __init__(
        self,
        contract: ModelContract,
        process: subprocess.Popen[bytes],
        line: socket.socket,
        *,
        name: str,
        deadline: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take over a started process and the host's end of its line; `start` does all of it."""
        self._contract = contract
        self._digest = bytes.fromhex(contract.digest)
        self._process = process
        self._line = line
        self._poll = select.poll()
        self._poll.register(line, select.POLLIN)
        self._name = name
        self._deadline = deadline
        self._clock = clock
        self._alive = True
        self._number = 0
        self._rows = 0
        """Rows of the request that was not answered yet; 0: none."""
        self._asked_at = 0.0
        self._fresh = False
        """Whether the unanswered request is this frame's."""
        self._room = bytearray(wire.REPLY.size + self._reply_size(_ROWS))
        self._have = 0
        line.setblocking(False)  # noqa: FBT003  # the standard library's signature

    @classmethod
    def start(
        cls, contract: ModelContract, model: bytes, backend: str, *, name: str, deadline: float
    ) -> WorkerSession:
        """Start a process, give it the model's bytes, and wait until it is loaded and warm.

        `name`: of the worker in the policy. `deadline`: s that `collect` waits for an answer after `submit`.

        Raises:
            ContractError: it could not load the model; carries the worker's own words.
        """
        host, worker = socket.socketpair()
        for end in (host, worker):
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                end.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        with worker:
            process = spawn(worker.fileno())
        try:
            hand_over(host, contract, model, backend, name)
        except BaseException:
            host.close()
            process.kill()
            process.wait()
            raise
        return cls(contract, process, host, name=name, deadline=deadline)

    @property
    def contract(self) -> ModelContract:
        """What it takes and gives."""
        return self._contract

    @property
    def name(self) -> str:
        """The worker's name in the policy."""
        return self._name

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it may still answer."""
        if self._alive and self._process.poll() is not None:
            self._end()
        return self._alive

    def run(self, batch: Tensor) -> Outputs:
        """Submit and collect.

        Raises:
            InferenceError: no answer in time, or one that breaks the contract.
        """
        self.submit(batch)
        return self.collect()

    def submit(self, batch: Tensor) -> None:
        """Send a request. Never raises; while an earlier one is unanswered nothing is sent, so no backlog can grow."""
        self._fresh = False
        if self._alive and self._rows:
            with contextlib.suppress(InferenceError):
                self._receive(0.0)  # an answer that came too late is taken off the line, and dropped
        if not self._alive or self._rows:
            self._process.poll()  # so that one that was killed does not stay a zombie
            return
        self._number += 1
        self._asked_at = self._clock()
        size = 4 * batch.size
        head = wire.REQUEST.pack(wire.REQUEST_MAGIC, self._number, batch.shape[0], size)
        if self._send(head) and self._send(np.ascontiguousarray(batch).data.cast("B")):
            self._rows = batch.shape[0]
            self._fresh = True
        else:
            self._end()  # half a request may be on the line: it cannot be used any more

    def collect(self) -> Outputs:
        """The answer to the last submit. Waits at most until the deadline after it.

        Raises:
            InferenceError: nothing was submitted, no answer in time, or one that breaks the contract.
        """
        if not self._fresh:
            raise self._no("did not take the request")
        self._fresh = False
        return self._receive(self._asked_at + self._deadline)

    def close(self) -> None:
        """End the process and wait for it. May be called twice."""
        self._end()
        self._process.wait()

    def _send(self, data: bytes | memoryview) -> bool:
        """Send everything before the deadline; False: it could not be."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._line.send(view) :]
            except BlockingIOError:
                left = self._asked_at + self._deadline - self._clock()
                if left <= 0.0:
                    return False
                select.select((), (self._line,), (), left)
            except OSError:
                return False
        return True

    def _receive(self, until: float) -> Outputs:
        """Read on until the reply is whole or the time has come (`until`; 0: only what is there).

        Raises:
            InferenceError: no whole and valid reply.
        """
        size = self._reply_size(self._rows)
        room = memoryview(self._room)
        wanted = wire.REPLY.size
        while self._have < wanted:
            try:
                count = self._line.recv_into(room[self._have : wanted])
            except BlockingIOError:
                left = until - self._clock() if until else 0.0
                if left <= 0.0:
                    raise self._no("did not answer in time") from None
                self._poll.poll(left * 1000.0)
                continue
            except OSError:
                count = 0
            if count == 0:
                self._end()
                raise self._no("has ended")
            self._have += count
            if self._have == wire.REPLY.size:
                wanted += self._check_head(size)
        rows, self._rows, self._have = self._rows, 0, 0
        if wanted == wire.REPLY.size:
            raise self._no("could not run the model")
        return self._outputs(rows)

    def _check_head(self, size: int) -> int:
        """Check the header of a reply; return how many bytes follow it.

        Raises:
            InferenceError: it is not the reply to the one open request: the worker is ended.
        """
        magic, number, digest, status, length = wire.REPLY.unpack_from(self._room)
        expected = size if status == wire.OK else 0
        if (
            magic != wire.REPLY_MAGIC
            or number != self._number
            or digest != self._digest
            or status not in (wire.OK, wire.FAILED)
            or length != expected
        ):
            self._end()
            raise self._no("broke the protocol")
        return int(expected)

    def _outputs(self, rows: int) -> Outputs:
        """Copies of the outputs in the reply, by meaning, in the contract's shapes."""
        outputs: dict[str, Tensor] = {}
        offset = wire.REPLY.size
        for output in self._contract.outputs:
            shape = self._contract.output_of(output, rows)
            count = wire.floats(shape)
            outputs[output.meaning] = (
                np.frombuffer(self._room, np.float32, count, offset).reshape(shape).copy()
            )
            offset += 4 * count
        return outputs

    def _reply_size(self, rows: int) -> int:
        contract = self._contract
        return 4 * sum(wire.floats(contract.output_of(output, rows)) for output in contract.outputs)

    def _end(self) -> None:
        """Kill the process and close the line: from now on there is no answer."""
        if self._alive:
            self._alive = False
            self._rows = 0
            self._fresh = False
            self._poll.unregister(self._line)
            self._line.close()
            self._process.kill()
            self._process.poll()

    def _no(self, why: str) -> InferenceError:
        return InferenceError(f"worker `{self._name}` (bundle `{self._contract.bundle}`) {why}")
