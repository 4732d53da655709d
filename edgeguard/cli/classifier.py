"""What an ONNX classifier takes and gives, found out by asking it: for `edgeguard init`, at a desk.

The file is read and inspected by admission, and run by inference; what cannot be found out is refused, never guessed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from edgeguard.admission.inspection import inspect_onnx
from edgeguard.admission.store import MAX_BUNDLE_BYTES, open_folder, read_file
from edgeguard.errors import ContractError, UsageError, first_line
from edgeguard.inference.onnx_backend import import_onnxruntime

Size = tuple[int, int]
"""(height, width) in pixels."""


class _Value(Protocol):
    name: str
    type: str
    shape: Sequence[int | str | None]


class _Session(Protocol):
    def run(self, names: None, feeds: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]: ...

    def get_inputs(self) -> list[_Value]: ...

    def get_outputs(self) -> list[_Value]: ...


@dataclass(frozen=True, slots=True)
class Probe:
    """An image classifier's edges. `batch`: `N` when it takes any number of pictures, 1 when only one."""

    data: bytes
    input: str
    batch: int | str
    layout: str
    size: Size
    output: str
    meaning: str
    """`logits` or `probabilities`."""
    classes: int

    @property
    def input_shape(self) -> list[int | str]:
        """As the manifest declares it."""
        sides = [3, *self.size] if self.layout == "NCHW" else [*self.size, 3]
        return [self.batch, *sides]


def probe(path: Path, size: Size | None = None) -> Probe:
    """Read the model at `path` and run it twice. `size`: where the graph leaves height and width open.

    Raises:
        AdmissionError: the file cannot be read, is no ONNX model, or takes weights from other files.
        ContractError: onnxruntime cannot run it, or it is no image classifier that edgeguard can guard.
        UsageError: `size` is missing, or contradicts the graph.
    """
    # a link is fine here: what is read now is what will be signed; of a link to itself `resolve` would raise
    place = Path(os.path.realpath(path))
    with open_folder(str(place.parent)) as folder:
        data = read_file(folder, str(place.parent), place.name, MAX_BUNDLE_BYTES).data
    inspect_onnx(data, str(path))
    session = _open(data, path)
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(f"`{value.name}`" for value in inputs)
        raise ContractError(
            f"`{path}` has {len(inputs)} inputs ({names}): export it with the picture as its only one"
        )
    value = inputs[0]
    if value.type != "tensor(float)":
        raise ContractError(
            f"`{path}`: input `{value.name}` is {value.type}: export the model with a float32 input"
        )
    layout, batch, found = _geometry(value, path)
    chosen = _size(found, size, path)
    shape = (1, 3, *chosen) if layout == "NCHW" else (1, *chosen, 3)
    answers = _answers(session, value.name, shape, path)
    name, meaning, classes = _classifier(session.get_outputs(), answers, path)
    return Probe(data, value.name, batch, layout, chosen, name, meaning, classes)


def _open(data: bytes, path: Path) -> _Session:
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        return cast("_Session", ort.InferenceSession(data, options, providers=["CPUExecutionProvider"]))
    except Exception as error:  # the runtime raises a dozen kinds of its own
        raise ContractError(f"`{path}`: onnxruntime cannot load it: {first_line(error)}") from error


def _geometry(value: _Value, path: Path) -> tuple[str, int | str, tuple[int | None, int | None]]:
    """(layout, batch, (height, width) as far as the graph fixes them)."""
    shape = value.shape
    if len(shape) != 4 or (shape[1] != 3 and shape[3] != 3):
        raise ContractError(
            f"`{path}`: input `{value.name}` has the shape {list(shape)}: edgeguard guards classifiers of colour "
            "pictures, so it must be [batch, 3, height, width] or [batch, height, width, 3]"
        )
    layout = "NCHW" if shape[1] == 3 else "NHWC"
    sides = shape[2:4] if layout == "NCHW" else shape[1:3]
    if isinstance(shape[0], int) and shape[0] != 1:
        raise ContractError(
            f"`{path}` takes {shape[0]} pictures at once: export it with a batch of 1, or an open one"
        )
    height, width = (side if isinstance(side, int) else None for side in sides)
    return layout, 1 if shape[0] == 1 else "N", (height, width)


def _size(found: tuple[int | None, int | None], wanted: Size | None, path: Path) -> Size:
    height, width = found
    if wanted is None:
        if height is None or width is None:
            raise UsageError(f"`{path}` leaves the picture's size open: say it with `--size HEIGHTxWIDTH`")
        return height, width
    if height not in (None, wanted[0]) or width not in (None, wanted[1]):
        raise UsageError(f"`{path}` takes pictures of {height} x {width}: leave `--size` out")
    return wanted


def _answers(
    session: _Session, name: str, shape: tuple[int, ...], path: Path
) -> list[list[NDArray[np.float32]]]:
    """The outputs for a black and for a noisy picture."""
    noise = np.random.default_rng(0).random(shape, np.float32)
    try:
        return [session.run(None, {name: picture}) for picture in (np.zeros(shape, np.float32), noise)]
    except Exception as error:  # the runtime raises a dozen kinds of its own
        raise ContractError(f"`{path}` does not run on a picture of {shape}: {first_line(error)}") from error


def _classifier(
    outputs: Sequence[_Value], answers: list[list[NDArray[np.float32]]], path: Path
) -> tuple[str, str, int]:
    """The one output that names a class: (name, meaning, number of classes)."""
    found = [
        i
        for i, value in enumerate(outputs)
        if value.type == "tensor(float)" and answers[0][i].ndim == 2 and answers[0][i].shape[1] >= 2
    ]
    if len(found) != 1:
        shapes = ", ".join(f"`{v.name}` {list(a.shape)}" for v, a in zip(outputs, answers[0]))
        raise ContractError(
            f"`{path}` has {len(found)} outputs that could be class scores ({shapes}): edgeguard guards classifiers, "
            "with one float32 output of the shape [batch, classes]"
        )
    i = found[0]
    rows = np.concatenate([answer[i] for answer in answers])
    shares = bool(np.all(rows >= 0.0) and np.all(np.abs(rows.sum(axis=1) - 1.0) < 1e-3))
    return outputs[i].name, "probabilities" if shares else "logits", rows.shape[1]
