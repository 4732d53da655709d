"""The attacker's hand on the disk: one byte of a copied model bundle, changed where it hurts most.

Only copies are altered. The rig's file; nothing in `edgeguard` uses it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edgeguard.admission.protobuf import BYTES, VARINT, read_fields
from edgeguard.errors import UsageError

# Field numbers of onnx.proto3.
_GRAPH: Final = 7  # of ModelProto
_NODE, _INITIALIZER = 1, 5  # of GraphProto
_INPUT, _OUTPUT = 1, 2  # of NodeProto
_DIMS, _DATA_TYPE, _NAME, _RAW_DATA = 1, 2, 8, 9  # of TensorProto
_FLOAT: Final = 1
_HUGE_NEGATIVE: Final = 0xFC  # as the top byte of a float32: whatever the other bytes say, below -1e36

Span = tuple[int, int]


def tamper(bundle: Path, into: Path, label: str = "stop") -> tuple[Path, int]:
    """Copy `bundle` and change one byte of the copied model so that it never again answers `label`.

    Returns the copy and the byte's offset in its model file: the top byte of that class's bias in the layer that makes
    the scores, or the file's middle byte where there is no such bias. Raises: UsageError when there is no bundle.
    """
    try:
        manifest = json.loads((bundle / "edgeguard.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"`{bundle}` is no model bundle: {error.strerror}") from error
    copy = into / bundle.name
    shutil.copytree(bundle, copy)
    model = copy / manifest["file"]
    data = bytearray(model.read_bytes())
    classes = list(manifest["classes"])
    scores = next(o["name"] for o in manifest["outputs"] if o["meaning"] in ("logits", "probabilities"))
    start = _bias_of(bytes(data), scores, len(classes))
    if start is None:
        offset = len(data) // 2
        data[offset] ^= 0x01
    else:
        offset = start + 4 * classes.index(label) + 3
        data[offset] = _HUGE_NEGATIVE
    model.write_bytes(bytes(data))
    return copy, offset


def _bias_of(data: bytes, output: str, classes: int) -> int | None:
    """Return where the raw values of the float vector begin that the node making `output` adds, one a class."""
    wanted: set[bytes] = set()
    vectors: dict[bytes, int] = {}
    for graph in _parts(data, (0, len(data)), _GRAPH):
        for node in _parts(data, graph, _NODE):
            if output.encode() in _texts(data, node, _OUTPUT):
                wanted |= _texts(data, node, _INPUT)
        for tensor in _parts(data, graph, _INITIALIZER):
            start = _float_vector(data, tensor, classes)
            if start is not None:
                vectors.update(dict.fromkeys(_texts(data, tensor, _NAME), start))
    return next((start for name, start in vectors.items() if name in wanted), None)


def _parts(data: bytes, within: Span, number: int) -> Iterator[Span]:
    for found, wire, start, end in read_fields(data, *within):
        if found == number and wire == BYTES:
            yield start, end


def _texts(data: bytes, within: Span, number: int) -> set[bytes]:
    return {data[start:end] for start, end in _parts(data, within, number)}


def _float_vector(data: bytes, within: Span, entries: int) -> int | None:
    """Return where a tensor's raw values begin if it is a float vector of so many entries."""
    dims: list[int] = []
    is_float, raw = False, None
    for number, wire, a, b in read_fields(data, *within):
        if number == _DIMS:
            dims += [a] if wire == VARINT else list(data[a:b])
        elif number == _DATA_TYPE:
            is_float = a == _FLOAT
        elif number == _RAW_DATA and b - a == 4 * entries:
            raw = a
    return raw if is_float and dims == [entries] else None
