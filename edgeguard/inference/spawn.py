"""Starts a model worker's process and gives it its model: the slow part, before the first frame.

The process gets one inherited socket, a constant program and next to nothing of the environment. No path is handed on.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from edgeguard.errors import ContractError
from edgeguard.inference import wire

if TYPE_CHECKING:
    import socket

    from edgeguard.inference.session import ModelContract

_ROOT = str(Path(__file__).resolve().parents[2])
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); from edgeguard.inference.worker_main import main; "
    "main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == '1')"
)
_KEPT = ("LD_LIBRARY_PATH", "PATH", "LANG", "LC_ALL", "CUDA_VISIBLE_DEVICES")
"""What a worker inherits of the environment: where shared libraries are, and nothing of the host's secrets."""

_LOAD_DEADLINE = 60.0
"""Most time (s) to start, import the runtime, load the model and warm it up."""


def spawn(descriptor: int) -> subprocess.Popen[bytes]:
    """Start the worker's program with one inherited descriptor and next to nothing of the environment."""
    # The kernel's death signal follows the thread that started the process; only the main thread lives as long as
    # the host. From another thread, the closed line still ends an idle worker.
    bound = threading.current_thread() is threading.main_thread()
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {"ORT_DISABLE_TELEMETRY": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(  # noqa: S603  # this interpreter, a constant program, no shell
        [
            sys.executable,
            "-I",
            "-c",
            _PROGRAM,
            _ROOT,
            str(descriptor),
            str(os.getpid()),
            "1" if bound else "0",
        ],
        pass_fds=(descriptor,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=None if os.environ.get("EDGEGUARD_DEBUG") == "1" else subprocess.DEVNULL,
        env=environment,
    )


def hand_over(line: socket.socket, contract: ModelContract, model: bytes, backend: str, name: str) -> None:
    """Send the model, wait for the worker's report.

    Raises:
        ContractError: it ended, took too long or could not load the model.
    """
    where = f"worker `{name}` (bundle `{contract.bundle}`)"
    line.settimeout(_LOAD_DEADLINE)
    document = wire.encode_load(contract, backend)
    text = b""
    try:
        line.sendall(wire.LOAD.pack(wire.LOAD_MAGIC, len(document), len(model)) + document)
        line.sendall(model)
        head = _exactly(line, wire.REPLY.size)
        magic, number, digest, status, length = wire.REPLY.unpack(head)
        if status == wire.FAILED and length <= wire.LONGEST_ERROR:
            text = _exactly(line, length)
    except OSError as error:
        raise ContractError(
            f"{where} did not start: {error}; run with EDGEGUARD_DEBUG=1 to see its messages"
        ) from error
    if text:
        words = "".join(c if c.isprintable() else " " for c in text.decode(errors="replace"))
        raise ContractError(f"{where}: {words}")
    expected = (wire.REPLY_MAGIC, 0, bytes.fromhex(contract.digest), wire.OK, 0)
    if (magic, number, digest, status, length) != expected:
        raise ContractError(f"{where} did not confirm the model it was given")


def _exactly(line: socket.socket, size: int) -> bytes:
    """Exactly `size` bytes.

    Raises:
        OSError: the line closed before, or a read took too long.
    """
    data = bytearray()
    while len(data) < size:
        part = line.recv(size - len(data))
        if not part:
            raise ConnectionResetError("its process ended")
        data += part
    return bytes(data)
