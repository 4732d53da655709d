"""What is compared: the bare network, what users wire by themselves, and edgeguard in each of its settings.

Every variant answers the same frames from the same bytes with one thread a session; it never knows that it is timed.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import guards
from bench.defended import Defended
from bench.guards import Setting, guarded
from edgeguard.errors import EdgeguardError
from edgeguard.filter.squeeze import squeeze
from edgeguard.inference.onnx_backend import import_onnxruntime
from edgeguard.inference.preprocess import Resizer

if TYPE_CHECKING:
    from bench.profiles import Profile
    from bench.turns import Step
    from edgeguard.admission import AdmittedModel
    from edgeguard.types import Image

BASE = "bare fp32 primary"
READY = "bare fp32 primary, tensor ready"
SESSIONS = "three sessions and numpy"
ART = "ART: smoothing, JPEG, squeezing, then fp32"
INLINE = "edgeguard inline"
INT8_PRIMARY = "edgeguard inline, int8 primary"
INT8 = "edgeguard inline, int8 primary and redundant"
FUSED = "edgeguard fused graph"
FUSED_INT8 = "edgeguard fused graph, int8"
GATED = "edgeguard gated, int8"
ISOLATED = "edgeguard isolated, one worker"
ISOLATED_GATED = "edgeguard isolated, one worker, gated, int8"
PARALLEL = "edgeguard isolated, two workers, int8 primary"
PARALLEL_INT8 = "edgeguard isolated, two workers, int8"
APART = "edgeguard isolated, two workers, int8, all but squeezing"
PAIR = "edgeguard isolated, two workers, int8 primary, certainty and disagreement"
HALF = "edgeguard half inline, half in a worker, int8"
BACKGROUND = "edgeguard isolated, redundant in the background, int8"


def settings(profile: Profile, *, placed: bool = False) -> dict[str, Setting]:
    """Every way of wiring a guard that is measured, as far as its models are there. `placed`: see `Setting`."""
    fp32 = dict(profile.models)
    table = {INLINE: Setting(fp32), ISOLATED: Setting(fp32, guards.ONE_WORKER)}
    if profile.fused:
        table[FUSED] = Setting({**fp32, "fused": profile.fused["fp32"]}, guards.FUSED)
    if profile.int8:
        primary, both = profile.with_int8("primary"), profile.with_int8("primary", "redundant")
        table |= {
            INT8_PRIMARY: Setting(primary),
            INT8: Setting(both),
            GATED: Setting(both, guards.GATED),
            ISOLATED_GATED: Setting(both, guards.ONE_WORKER + guards.GATED),
            PARALLEL: Setting(primary, guards.TWO_WORKERS),
            PARALLEL_INT8: Setting(both, guards.TWO_WORKERS),
            APART: Setting(both, guards.APART, without=("squeezing",)),
            PAIR: Setting(primary, guards.APART, without=("squeezing", "reconstruction")),
            HALF: Setting(both, guards.HALF),
            BACKGROUND: Setting(both, guards.BACKGROUND),
        }
        if profile.fused:
            table[FUSED_INT8] = Setting({**both, "fused": profile.fused["int8"]}, guards.FUSED)
    return {name: dataclasses.replace(setting, placed=placed) for name, setting in table.items()}


@contextmanager
def variants(
    profile: Profile, folder: Path, *, placed: bool = False
) -> Iterator[tuple[dict[str, Step], list[str]]]:
    """(steps by name, what is left out and why). `folder` takes the logs of the guards. `placed`: see `Setting`."""
    table: dict[str, Step] = {}
    left_out: list[str] = list(profile.missing)
    with ExitStack() as stack:
        for name, bare in (
            (READY, Bare(profile, ready=True)),
            (BASE, Bare(profile)),
            (SESSIONS, ThreeSessions(profile)),
        ):
            table[name] = bare.step
        try:
            defended = Defended(profile, placed=placed)
            stack.callback(defended.close)
            table[ART] = defended.step
        except LookupError as reason:
            left_out.append(str(reason))
        for i, (name, setting) in enumerate(settings(profile, placed=placed).items()):
            try:
                table[name] = stack.enter_context(guarded(setting, profile.frames, folder / f"{i}.log")).step
            except EdgeguardError as error:
                left_out.append(f"{name} is left out: {error}")
        yield {name: table[name] for name in sorted(table, key=ORDER.index)}, left_out


ORDER = (
    READY, BASE, SESSIONS, ART, INLINE, INT8_PRIMARY, INT8, FUSED, FUSED_INT8, GATED,
    ISOLATED, ISOLATED_GATED, PARALLEL, PARALLEL_INT8, HALF, APART, PAIR, BACKGROUND,
)  # fmt: skip


class Bare:
    """One session and the preprocessing that it needs; without it, on a tensor that is ready."""

    def __init__(self, profile: Profile, *, ready: bool = False) -> None:
        """Open the primary."""
        self._frames = itertools.cycle(profile.frames)
        self._net = Net(profile.models["primary"])
        self._ready = self._net.prepare(profile.frames[0]) if ready else None

    def step(self) -> int:
        """The next frame's class."""
        image = next(self._frames)
        x = self._ready if self._ready is not None else self._net.prepare(image)
        return int(self._net.run(x)[0].argmax())


class ThreeSessions:
    """What a user writes: filter, primary on three views, a second network, softmax, and how far they lie apart."""

    def __init__(self, profile: Profile) -> None:
        """Open all three."""
        self._frames = itertools.cycle(profile.frames)
        self._nets = {role: Net(model) for role, model in profile.models.items()}

    def step(self) -> tuple[int, float, float, float, float]:
        """(class, certainty, disagreement, reconstruction, squeezing) of the next frame."""
        image = next(self._frames)
        primary, redundant = self._nets["primary"], self._nets["redundant"]
        picture = primary.picture(image)
        clean = np.clip(self._nets["filter"].run(picture)[0], 0.0, 1.0)
        views = np.stack([clean, picture[0], squeeze(picture[0])])
        answer, plain, squeezed = softmax(primary.run(primary.normalise(views)))
        own = picture if redundant.size == primary.size else redundant.picture(image)
        second = softmax(redundant.run(redundant.normalise(own)))[0]
        doubts = (distance(answer, second), distance(plain, answer), distance(plain, squeezed))
        return int(answer.argmax()), float(answer.max()), *doubts


class Net:
    """One onnxruntime session with what a careful user sets, and its preprocessing."""

    def __init__(self, model: AdmittedModel) -> None:
        """Open it, with one thread that does not spin."""
        ort = import_onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        self._session: Any = ort.InferenceSession(model.model, options, providers=["CPUExecutionProvider"])
        spec = model.manifest.input
        self._input, self._names = spec.name, [model.manifest.outputs[0].name]
        _, _, height, width = (int(d) if isinstance(d, int) else 1 for d in spec.shape)
        self.size = height, width
        self._resize = Resizer(height, width, spec.resize)
        self._picture = np.empty((1, 3, height, width), np.float32)
        gain = 255.0 * spec.scale / np.array(spec.std, np.float32)
        offset = -np.array(spec.mean, np.float32) / np.array(spec.std, np.float32)
        self._gain, self._offset = (a.reshape(1, 3, 1, 1).astype(np.float32) for a in (gain, offset))
        self._plain = math.isclose(float(gain.max()), 1.0, rel_tol=1e-6) and not offset.any()

    def picture(self, image: Image) -> Any:  # noqa: ANN401 - (1, 3, height, width)
        """The frame at the network's size, in [0, 1]."""
        self._resize(image, self._picture[0])
        return self._picture

    def normalise(self, pictures: Any) -> Any:  # noqa: ANN401 - float32, (n, 3, height, width)
        """The network's tensor of some pictures."""
        return pictures if self._plain else pictures * self._gain + self._offset

    def prepare(self, image: Image) -> Any:  # noqa: ANN401 - (1, 3, height, width)
        """The network's tensor of a frame."""
        return self.normalise(self.picture(image))

    def run(self, tensor: Any) -> Any:  # noqa: ANN401 - (n, ...)
        """The first output."""
        return self._session.run(self._names, {self._input: tensor})[0]


def softmax(scores: Any) -> Any:  # noqa: ANN401 - (n, classes)
    """Row by row."""
    spread = np.exp(scores - scores.max(axis=1, keepdims=True))
    return spread / spread.sum(axis=1, keepdims=True)


def distance(left: Any, right: Any) -> float:  # noqa: ANN401 - (classes,)
    """Total variation."""
    return 0.5 * float(np.abs(left - right).sum())
