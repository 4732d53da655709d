"""The unguarded host: what a product without edgeguard does with the same model and the same planner.

It loads whatever lies on the disk, believes every answer and sends it on. Nothing here checks anything, on purpose;
only the picture's preparation is shared with edgeguard, so that both arms see the same pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import onnxruntime

from edgeguard.admission.manifest import MANIFEST_FILE, parse_manifest
from edgeguard.errors import UsageError
from edgeguard.inference.preprocess import Normaliser, Resizer, geometry
from edgeguard.types import Answer
from hil.planner import SignPlanner

if TYPE_CHECKING:
    from edgeguard.types import Frame, Image

_COAST: Final[Mapping[str, float]] = {"brake": 0.0, "throttle": 0.0}


class BareModel:
    """A model bundle as it lies on the disk, unverified."""

    def __init__(self, bundle: Path) -> None:
        """Raises: UsageError when the bundle cannot be read."""
        try:
            manifest = parse_manifest((bundle / MANIFEST_FILE).read_bytes(), str(bundle / MANIFEST_FILE))
            model = (bundle / manifest.file).read_bytes()
        except OSError as error:
            raise UsageError(f"bundle `{bundle}` cannot be read: {error.strerror}") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        height, width = geometry(manifest.input, manifest.name)
        self._resize = Resizer(height, width, manifest.input.resize)
        self._normalise = Normaliser(manifest.input, manifest.name)
        self._canonical = np.empty((3, height, width), np.float32)
        shape = (3, height, width) if manifest.input.layout == "NCHW" else (height, width, 3)
        self._batch = np.empty((1, *shape), np.float32)
        self._input = manifest.input.name
        scores = [o for o in manifest.outputs if o.meaning in ("logits", "probabilities")]
        self._output = scores[0].name
        self._logits = scores[0].meaning == "logits"
        self._temperature = manifest.temperature
        self.classes = manifest.classes

    def __call__(self, image: Image) -> tuple[float, ...]:
        """Return the probabilities of the classes for a frame."""
        self._resize(image, self._canonical)
        self._normalise(self._canonical, self._batch[0])
        (scores,) = self._session.run([self._output], {self._input: self._batch})
        row = scores[0].astype(np.float64)
        if self._logits:
            row = np.exp((row - row.max()) / self._temperature)
        return tuple(float(p) for p in row / row.sum())


class BareHost:
    """Model, planner, actuators. The last command holds."""

    def __init__(self, bundle: Path, cruise: float) -> None:
        """`cruise`: the speed to hold (m/s). Raises: UsageError when the bundle cannot be read."""
        self._model = BareModel(bundle)
        self._planner = SignPlanner(cruise)
        self._answer: Answer | None = None

    @property
    def label(self) -> str:
        """What the model said last."""
        return self._answer.name if self._answer else ""

    def command(self, frame: Frame | None, context: Mapping[str, float]) -> Mapping[str, float]:
        """Return the planner's command for the newest answer."""
        if frame is not None:
            probabilities = self._model(frame.image)
            best = max(range(len(probabilities)), key=probabilities.__getitem__)
            name = self._model.classes[best]
            self._answer = Answer(frame.number, frame.at, best, name, probabilities[best], probabilities, "")
        return _COAST if self._answer is None else self._planner(self._answer, context)
