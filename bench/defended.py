"""A pipeline as ART's users build it: spatial smoothing, JPEG and feature squeezing, then the same onnxruntime session.

Runs by itself in an environment that has adversarial-robustness-toolbox (the project's own has it not): frames come on
standard input one by one, times go back. Of edgeguard it imports only the resize, which the bare variant has, too.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bench.profiles import Profile

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv-art" / "bin" / "python"
PACKAGES = "adversarial-robustness-toolbox==1.20.1 onnxruntime pillow"
INSTALL = f"python -m venv .venv-art && .venv-art/bin/pip install {PACKAGES}"


class Defended:
    """The other environment's pipeline, a frame at a time."""

    def __init__(self, profile: Profile, *, placed: bool = False) -> None:
        """Start it with the profile's primary and frames; `placed`: at the priority that other workers have.

        Raises:
            LookupError: there is no such environment, or it does not start; says how to get one.
        """
        if not PYTHON.is_file():
            raise LookupError(f"the ART row is left out: `{INSTALL}` makes its environment")
        spec = profile.models["primary"].manifest.input
        self._folder = tempfile.TemporaryDirectory()
        with ExitStack() as stack:
            stack.callback(self._folder.cleanup)
            folder = Path(self._folder.name)
            (folder / "model.onnx").write_bytes(profile.models["primary"].model)
            np.save(folder / "frames.npy", np.stack(profile.frames))
            shape = {"mean": spec.mean, "std": spec.std, "size": spec.shape[2], "name": spec.name}
            (folder / "input.json").write_text(json.dumps(shape))
            self._process = subprocess.Popen(
                [str(PYTHON), str(Path(__file__)), str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(ROOT), "ORT_DISABLE_TELEMETRY": "1"},
                text=True,
                bufsize=1,
            )
            stack.callback(self._process.kill)
            if placed:
                os.sched_setscheduler(self._process.pid, os.SCHED_FIFO, os.sched_param(40))
            if self._said() != "ready":
                raise LookupError(f"the ART row is left out: its environment does not start; `{INSTALL}`")
            stack.pop_all()

    def step(self) -> float:
        """The next frame; how long it took in the other process (us)."""
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        self._process.stdin.write("\n")
        return float(self._said())

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def _said(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        return self._process.stdout.readline().strip()


def _pipeline(folder: Path) -> Any:  # noqa: ANN401 - a function of the other environment
    """Frame -> label, the way ART's preprocessors are chained before a black-box classifier."""
    import onnxruntime

    from edgeguard.inference.preprocess import Resizer

    said = json.loads((folder / "input.json").read_text())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    mean, std = (np.array(said[k], np.float32).reshape(1, 3, 1, 1) for k in ("mean", "std"))
    resize = Resizer(said["size"], said["size"], "area")
    picture = np.empty((1, 3, said["size"], said["size"]), np.float32)
    art = importlib.import_module("art.defences.preprocessor")
    defences = (
        art.SpatialSmoothing(window_size=3, channels_first=True, clip_values=(0.0, 1.0)),
        art.JpegCompression(clip_values=(0.0, 1.0), quality=75, channels_first=True),
        art.FeatureSqueezing(clip_values=(0.0, 1.0), bit_depth=5),
    )

    def run(image: np.ndarray) -> int:
        resize(image, picture[0])
        x = picture
        for defence in defences:
            x, _ = defence(x)
        scores = session.run(None, {said["name"]: ((x - mean) / std).astype(np.float32)})[0]
        return int(np.argmax(scores))

    return run


def main() -> None:
    """Answer one frame for each line on standard input."""
    folder = Path(sys.argv[1])
    run = _pipeline(folder)
    frames = np.load(folder / "frames.npy")
    for i in range(8):
        run(frames[i % len(frames)])
    print("ready", flush=True)
    for number, _ in enumerate(sys.stdin):
        started = time.perf_counter_ns()
        run(frames[number % len(frames)])
        print((time.perf_counter_ns() - started) / 1000.0, flush=True)


if __name__ == "__main__":
    main()
