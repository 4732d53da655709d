"""One measurement of admission in a process of its own: `python -m bench.admitting KIND ...` prints one JSON object.

Imports are not timed, the files are in the page cache. Peaks are the kernel's figure for this process (VmHWM).
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

Row = dict[str, float]
KEY = bytes(range(32))
"""Of the encrypted bundle."""


def peak() -> int:
    """Most memory that this process ever had (bytes)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


def edgeguard(folder: Path, public: Path) -> Callable[[], object]:
    """Our admission: signature, names, digests, manifest, inspection of the graph."""
    from edgeguard.admission import admit_bundle
    from edgeguard.admission.decryption import key_id
    from edgeguard.admission.loading import trust_keys

    trust, secrets = trust_keys([public]), {key_id(KEY): KEY}.get
    return lambda: admit_bundle(folder, trust, secrets=secrets)


def reference(folder: Path, public: Path) -> Callable[[], object]:
    """`model-signing` with its defaults. It returns nothing: who runs the model reads it again."""
    import model_signing.verifying

    verifying: Any = model_signing.verifying
    config = verifying.Config().use_elliptic_key_verifier(public_key=public)
    return lambda: config.verify(folder, folder / "model.sig")


def reference_and_read(folder: Path, public: Path) -> Callable[[], object]:
    """The same, and then what it takes to run the model: reading it once more, unverified."""
    verify = reference(folder, public)

    def run() -> bytes:
        verify()
        return (folder / "model.onnx").read_bytes()

    return run


def naive(folder: Path, _: Path) -> Callable[[], object]:
    """Read every file whole, then hash it: nothing is checked."""

    def run() -> list[tuple[bytes, str]]:
        found = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
        return [(data, hashlib.sha256(data).hexdigest()) for data in found]

    return run


KINDS = {
    "edgeguard": edgeguard,
    "model-signing": reference,
    "model-signing, then read": reference_and_read,
    "read, then hash": naive,
}


def measured(kind: str, folder: Path, public: Path, *, first: bool = False) -> Row:
    """Time and peak of one call, beside the time of SHA-256 alone over the same bytes in memory (median of 3).

    `cpu`: of all threads. `first`: before all other programs (at a real-time priority), for a machine that is not idle.
    """
    run = KINDS[kind](folder, public)
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    size = sum(path.stat().st_size for path in paths)
    _back(int(2.2 * size))
    gc.collect()
    if first:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    before, began, busy = peak(), time.perf_counter(), time.process_time()
    kept = run()
    seconds, cpu = time.perf_counter() - began, time.process_time() - busy
    most = peak()
    del kept
    data = [path.read_bytes() for path in paths]
    alone = sorted(_alone(data) for _ in range(3))[1]
    return {
        "seconds": seconds,
        "cpu": cpu,
        "sha256": alone[0],
        "sha256 cpu": alone[1],
        "before": before,
        "peak": most,
        "size": size,
    }


def _alone(data: list[bytes]) -> tuple[float, float]:
    """Seconds, and of them on the processor."""
    began, busy = time.perf_counter(), time.process_time()
    for part in data:
        hashlib.sha256(part).digest()
    return time.perf_counter() - began, time.process_time() - busy


def _back(size: int) -> None:
    """Have so much memory ready: the host of a virtual machine takes long to hand it out when it is first touched."""
    subprocess.run([sys.executable, "-c", f"b'x' * int('{size}')"], check=True)


def first_verdict(policy: Path, public: Path, spawned: float, *, isolated: bool) -> Row:
    """Seconds from the start of this process to its first verdict, by stage. `spawned`: when it was (monotonic).

    Isolated, sessions are made and warmed up by workers, all of which counts as `sessions`.
    """
    marks = {"interpreter": time.monotonic() - spawned}
    began = time.monotonic()

    def mark(stage: str) -> None:
        nonlocal began
        now = time.monotonic()
        marks[stage] = now - began
        began = now

    import numpy as np

    from edgeguard import wiring
    from edgeguard.admission.loading import trust_keys
    from edgeguard.guard import Guard
    from edgeguard.inference import onnx_backend
    from edgeguard.policy.load import load_policy
    from edgeguard.types import Frame

    mark("import")
    loaded = load_policy(policy, trust=trust_keys([public]))
    if not isolated:
        loaded = replace(loaded, program=replace(loaded.program, workers=()))
    mark("policy")
    admitted = wiring.admit(loaded)
    mark("admission")
    warm = _spent(onnx_backend, "warm_up")
    guard = Guard.open(admitted)
    mark("sessions")
    marks["warm-up"] = warm[0]
    marks["sessions"] -= warm[0]
    picture = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    now = time.monotonic()
    guard.step(Frame(picture, 0, now), {"speed": 12.0, "distance": 120.0}, now)
    mark("first frame")
    marks["together"] = time.monotonic() - spawned
    guard.close()
    return marks


def _spent(owner: object, name: str) -> list[float]:
    """Sum up the time that a function takes from now on."""
    real, spent = getattr(owner, name), [0.0]

    def run(*arguments: object) -> object:
        began = time.monotonic()
        try:
            return real(*arguments)
        finally:
            spent[0] += time.monotonic() - began

    setattr(owner, name, run)
    return spent


def main(arguments: list[str]) -> int:
    """KIND FOLDER KEY [first], or `first verdict [in one process]` POLICY KEY SPAWNED."""
    kind, *rest = arguments
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    if kind.startswith("first verdict"):
        row = first_verdict(Path(rest[0]), Path(rest[1]), float(rest[2]), isolated=kind == "first verdict")
    else:
        row = measured(kind, Path(rest[0]), Path(rest[1]), first="first" in rest[2:])
    sys.stdout.write(json.dumps(row) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
