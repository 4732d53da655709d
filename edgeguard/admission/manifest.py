"""`edgeguard.json`: what a bundle says about its model, as typed values that fit together.

Pure: bytes in, `Manifest` out. An unknown key, a wrong type or two statements that contradict each other are refused.
The field names of the dataclasses are the format's key names; `docs/reference/bundle-format.md` is the reference.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec

from edgeguard.admission import strictjson
from edgeguard.admission.claims import (
    Assessment,
    CalibrationClaim,
    DifferentialPrivacy,
    Encryption,
    Training,
    Watermark,
    claim_problems,
    unix_time,
)
from edgeguard.admission.decoding import ProblemError, decode
from edgeguard.admission.origin import SIGNAL_NEEDS, origin_problems
from edgeguard.admission.reasons import refusal, shown

FORMAT = 1
MANIFEST_FILE = "edgeguard.json"
MAX_MANIFEST_BYTES = 1024 * 1024

ROLES = ("primary", "redundant", "filter", "fused")
DTYPES = ("float32", "float16", "uint8", "int8")
MEANINGS = ("logits", "probabilities", "novelty", "image", *SIGNAL_NEEDS)
_CHANNEL_AXIS: Mapping[str, int] = {"NCHW": 1, "NHWC": 3}
_CHANNELS = 3
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIMENSION = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")
_MAX_SIDE = 65_536

Shape = tuple[int | str, ...]
"""Sizes of the axes; a name stands for a size that the caller chooses, and only the first axis may have one."""


@dataclasses.dataclass(frozen=True, slots=True)
class TensorSpec:
    """One output of a model. `meaning`: one of `MEANINGS`, or empty when it is not used."""

    name: str
    dtype: str
    shape: Shape
    meaning: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class InputSpec:
    """How a camera frame becomes the model's input: resize, order channels, `(pixel * scale - mean) / std`, lay out."""

    name: str
    dtype: str
    shape: Shape
    layout: str
    color: str
    resize: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Parent:
    """What a bundle was made from, how, and how far it answers like it on `samples` pictures."""

    digest: str
    """Hex SHA-256, root digest of the parent bundle."""
    how: str
    """`int8`, `plan` or `fused`."""
    samples: int
    agreement: float
    """Share of the pictures with the same answer."""
    deviation: float
    """Largest difference of a probability or signal."""
    accuracy_loss: float | None = None
    """Accuracy of the parent less that of this model, where labels were known."""


@dataclasses.dataclass(frozen=True, slots=True)
class Engine:
    """What a plan was built with and for: it runs nowhere else."""

    kind: str
    """`tensorrt` or `tensorrt-rtx`."""
    version: str
    compute_capability: str
    """Such as `8.7`; `any` where the plan is not bound to one."""
    platform: str
    """Such as `linux-aarch64`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """A bundle's statement about its model. `file` names the model, `temperature` (> 0) divides the logits."""

    name: str
    version: str
    security_version: int
    role: str
    file: str
    input: InputSpec
    outputs: tuple[TensorSpec, ...]
    classes: tuple[str, ...] = ()
    temperature: float = 1.0
    parent: Parent | None = None
    engine: Engine | None = None
    parts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Of a fused graph: digest (hex) of each model it was made from, by role."""
    not_before: str | None = None
    not_after: str | None = None
    """When it may run, both ends included, as `2026-11-01T00:00:00Z`; None: at any time."""
    target: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ()
    """Platforms it may run on, such as `linux-aarch64`; empty: any."""
    assessment: Assessment | None = None
    calibration: CalibrationClaim | None = None
    training: Training | None = None
    watermark: Watermark | None = None
    encryption: Encryption | None = None

    @property
    def earliest(self) -> float | None:
        """`not_before` as Unix s."""
        return None if self.not_before is None else unix_time(self.not_before)

    @property
    def latest(self) -> float | None:
        """`not_after` as Unix s."""
        return None if self.not_after is None else unix_time(self.not_after)


_PARTS: Mapping[str, type] = {
    "input": InputSpec,
    "outputs": TensorSpec,
    "parent": Parent,
    "engine": Engine,
    "assessment": Assessment,
    "calibration": CalibrationClaim,
    "training": Training,
    "differential_privacy": DifferentialPrivacy,
    "watermark": Watermark,
    "encryption": Encryption,
}


def parse_manifest(data: bytes, path: str) -> Manifest:
    """Read and check the bytes of an `edgeguard.json`. `path` is only for messages.

    Raises:
        AdmissionError: `manifest-invalid`, with the first thing that is wrong.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise refusal(
            "manifest-invalid", path, f"it is larger than {MAX_MANIFEST_BYTES} bytes: make it smaller"
        )
    try:
        return _checked(_convert(strictjson.parse(data)))
    except (strictjson.NotStrictError, ProblemError) as error:
        raise refusal("manifest-invalid", path, f"{error}: correct the file, then sign again") from None


def _checked(manifest: Manifest) -> Manifest:
    for problem in _problems(manifest):
        raise ProblemError(problem)
    return manifest


def _convert(document: object) -> Manifest:
    if not isinstance(document, dict):
        raise ProblemError("it is not an object")
    values = dict(document)
    version = values.pop("edgeguard", None)
    if type(version) is not int or version != FORMAT:
        raise ProblemError(f"`edgeguard` must be {FORMAT}, the format's version")
    return decode(values, Manifest, _PARTS)


def _problems(manifest: Manifest) -> Iterator[str]:
    """Yield what does not fit together, the most telling first."""
    if not _NAME.fullmatch(manifest.name):
        yield "`name` must be 1 to 64 letters, digits, `.`, `_` or `-`"
    if not 1 <= len(manifest.version) <= 64 or not manifest.version.isprintable():
        yield "`version` must be 1 to 64 printable characters"
    if not 0 <= manifest.security_version < 2**31:
        yield "`security_version` must be 0 or more and below 2147483648"
    yield from _not_one_of("role", manifest.role, ROLES)
    if not 0.0 < manifest.temperature < math.inf:
        yield "`temperature` must be above 0"
    yield from _input_problems(manifest.input)
    yield from _output_problems(manifest)
    if manifest.role == "filter":
        yield from _filter_problems(manifest)
    else:
        yield from _classifier_problems(manifest)
    yield from origin_problems(manifest)
    yield from claim_problems(manifest)


def _not_one_of(key: str, value: str, allowed: tuple[str, ...]) -> Iterator[str]:
    if value not in allowed:
        yield f"`{key}` is `{shown(value)}` but must be one of {', '.join(allowed)}"


def _input_problems(spec: InputSpec) -> Iterator[str]:
    if not spec.name:
        yield "`input.name` is empty: give the name of the model's input"
    yield from _not_one_of("input.dtype", spec.dtype, DTYPES)
    yield from _not_one_of("input.layout", spec.layout, tuple(_CHANNEL_AXIS))
    yield from _not_one_of("input.color", spec.color, ("RGB", "BGR"))
    yield from _not_one_of("input.resize", spec.resize, ("area", "bilinear"))
    yield from _shape_problems("input.shape", spec.shape)
    axis = _CHANNEL_AXIS.get(spec.layout)
    if axis is not None and (len(spec.shape) != 4 or spec.shape[axis] != _CHANNELS):
        yield f"`input.shape` must have four axes with {_CHANNELS} channels where `{spec.layout}` says"
    if not 0.0 < spec.scale < math.inf:
        yield "`input.scale` must be above 0"
    if len(spec.mean) != _CHANNELS or not all(map(math.isfinite, spec.mean)):
        yield f"`input.mean` must be {_CHANNELS} numbers"
    if len(spec.std) != _CHANNELS or not all(0.0 < value < math.inf for value in spec.std):
        yield f"`input.std` must be {_CHANNELS} numbers above 0"


def _shape_problems(key: str, shape: Shape) -> Iterator[str]:
    for axis, size in enumerate(shape):
        if isinstance(size, str):
            if axis or not _DIMENSION.fullmatch(size):
                yield f"`{key}[{axis}]` must be a whole number: only the first axis may have a name, such as `N`"
        elif not 1 <= size <= _MAX_SIDE:
            yield f"`{key}[{axis}]` must be 1 to {_MAX_SIDE}"


def _output_problems(manifest: Manifest) -> Iterator[str]:
    if not manifest.outputs:
        yield "`outputs` is empty: name at least one output"
    names = [output.name for output in manifest.outputs]
    if len(set(names)) != len(names) or "" in names:
        yield "`outputs` has an empty name or the same name twice"
    for i, output in enumerate(manifest.outputs):
        yield from _not_one_of(f"outputs[{i}].dtype", output.dtype, DTYPES)
        yield from _not_one_of(f"outputs[{i}].meaning", output.meaning, (*MEANINGS, ""))
        yield from _shape_problems(f"outputs[{i}].shape", output.shape)
        if output.shape[:1] != manifest.input.shape[:1]:
            yield f"`outputs[{i}].shape` must begin with the batch of `input.shape`, `{manifest.input.shape[0]}`"
    meanings = [output.meaning for output in manifest.outputs if output.meaning]
    if len(set(meanings)) != len(meanings):
        yield "two `outputs` have the same `meaning`"


def _filter_problems(manifest: Manifest) -> Iterator[str]:
    if [output.meaning for output in manifest.outputs] != ["image"]:
        yield "a filter must have one output, with the meaning `image`"
    if manifest.outputs and manifest.outputs[0].shape != manifest.input.shape:
        yield "a filter's output must have the shape of its input"
    if manifest.classes or manifest.temperature != 1.0:
        yield "a filter has no `classes` and no `temperature`"


def _classifier_problems(manifest: Manifest) -> Iterator[str]:
    classes = manifest.classes
    if len(classes) < 2 or len(set(classes)) != len(classes) or not all(classes):
        yield "`classes` must be at least two different names"
    if not all(name.isprintable() for name in classes):
        yield "`classes` must be printable: no tabs, line breaks or control characters"
    answers = [output for output in manifest.outputs if output.meaning in ("logits", "probabilities")]
    if len(answers) != 1 or any(output.meaning == "image" for output in manifest.outputs):
        yield "one output must have the meaning `logits` or `probabilities`, and none `image`"
    for output in answers:
        if len(output.shape) != 2 or output.shape[1] != len(classes):
            yield f"`{shown(output.name)}` must have two axes, the second as long as `classes` ({len(classes)})"
