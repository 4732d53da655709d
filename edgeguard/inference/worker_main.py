"""The program of a model worker: takes one model over an inherited socket, then answers requests until it closes.

It owns nothing but that socket: it gets bytes, never a path, and writes no file. Only `worker.py` starts it. When
it cannot go on it ends: its host sees that at once.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from typing import TYPE_CHECKING

import numpy as np

from edgeguard.errors import EdgeguardError
from edgeguard.inference import wire
from edgeguard.inference.backends import open_backend
from edgeguard.inference.session import InferenceError

if TYPE_CHECKING:
    from edgeguard.inference.session import ModelContract, Session

_PR_SET_PDEATHSIG = 1


def main(descriptor: int, parent: int, bound: bool) -> None:  # noqa: FBT001  # the command line of one caller
    """Serve on the inherited socket `descriptor`. `bound`: die with the process `parent`, whatever ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the host's to handle: it closes the socket
    if bound and not _die_with(parent):
        return
    with socket.socket(fileno=descriptor) as line:
        loaded = _load(line)
        if loaded is not None:
            _serve(line, *loaded)


def _die_with(parent: int) -> bool:
    """Ask the kernel for SIGKILL when the parent ends; False when it ended before the request."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    return os.getppid() == parent


def _load(line: socket.socket) -> tuple[ModelContract, Session] | None:
    """Take the model and report how that went."""
    head = _receive(line, wire.LOAD.size)
    if head is None:
        return None
    magic, json_size, model_size = wire.LOAD.unpack(head)
    document, model = _receive(line, json_size), _receive(line, model_size)
    if magic != wire.LOAD_MAGIC or document is None or model is None:
        return None
    digest = bytes(32)
    try:
        contract, backend = wire.decode_load(bytes(document))
        digest = bytes.fromhex(contract.digest)
        session = open_backend(backend).load_bytes(contract, bytes(model))
    except EdgeguardError as error:
        text = str(error).encode()[: wire.LONGEST_ERROR]
        line.sendall(wire.REPLY.pack(wire.REPLY_MAGIC, 0, digest, wire.FAILED, len(text)) + text)
        return None
    line.sendall(wire.REPLY.pack(wire.REPLY_MAGIC, 0, digest, wire.OK, 0))
    return contract, session


def _serve(line: socket.socket, contract: ModelContract, session: Session) -> None:
    """Answer until the host closes the line or says something that is not a request."""
    digest = bytes.fromhex(contract.digest)
    while (head := _receive(line, wire.REQUEST.size)) is not None:
        magic, number, rows, size = wire.REQUEST.unpack(head)
        shape = contract.input_of(rows)
        if magic != wire.REQUEST_MAGIC or size != 4 * wire.floats(shape):
            return
        body = _receive(line, size)
        if body is None:
            return
        try:
            outputs = session.run(np.frombuffer(body, np.float32).reshape(shape))
        except InferenceError:
            line.sendall(wire.REPLY.pack(wire.REPLY_MAGIC, number, digest, wire.FAILED, 0))
            continue
        reply = b"".join(outputs[output.meaning].tobytes() for output in contract.outputs)
        line.sendall(wire.REPLY.pack(wire.REPLY_MAGIC, number, digest, wire.OK, len(reply)) + reply)


def _receive(line: socket.socket, size: int) -> bytearray | None:
    """Exactly `size` bytes; None when the line closed before."""
    data = bytearray(size)
    view, have = memoryview(data), 0
    while have < size:
        try:
            count = line.recv_into(view[have:])
        except OSError:
            return None
        if count == 0:
            return None
        have += count
    return data
