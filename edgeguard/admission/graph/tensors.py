"""Tensors of an ONNX file: all values inside, in one form, and exactly as many as type and dimensions say."""

from __future__ import annotations

import math
import struct

from edgeguard.admission.graph import values
from edgeguard.admission.graph.values import BITS, MAX_KNOWN, STRING, Dims, Known, Tensor, product
from edgeguard.admission.graph.wire import NOTHING, Fields, Reader
from edgeguard.admission.protobuf import WireError, count_varints

MAX_RANK = 32
_MOST = (1 << 63) - 1

_NAME, _RAW, _EXTERNAL, _LOCATION = 8, 9, 13, 14
_DIMS, _TYPE = 1, 2
_FLOATS, _INT32S, _STRINGS, _INT64S, _DOUBLES, _UINT64S = 4, 5, 6, 7, 10, 11
_TYPED = (_FLOATS, _INT32S, _STRINGS, _INT64S, _DOUBLES, _UINT64S)
_FIELD_OF = {1: _FLOATS, 14: _FLOATS, 7: _INT64S, 8: _STRINGS, 11: _DOUBLES, 15: _DOUBLES}
_FIELD_OF |= {12: _UINT64S, 13: _UINT64S}
"""Field of a type's values; all others are in 32-bit numbers."""
_TWO_EACH = (14, 15)
"""Complex numbers: two values an element."""
_FORMATS = {
    1: "f",
    2: "B",
    3: "b",
    4: "H",
    5: "h",
    6: "i",
    7: "q",
    9: "?",
    10: "e",
    11: "d",
    12: "I",
    13: "Q",
}


class ExternalError(Exception):
    """A tensor takes its values from somewhere else."""


def read_tensor(reader: Reader, start: int, end: int, depth: int) -> Tensor:
    """A dense tensor.

    Raises:
        ExternalError: it has any mark of external data.
        WireError: it is no tensor, or its values do not fit its type and dimensions.
    """
    fields = reader.fields("tensor", start, end, depth)
    if _EXTERNAL in fields or any(span != (0, -1) for span in fields.get(_LOCATION, NOTHING)):
        raise ExternalError
    name = reader.text(fields, _NAME)
    dtype = reader.number(fields, _TYPE)
    dims = checked_dims(reader.numbers(fields, _DIMS, longest=1024))
    if dtype not in BITS and dtype != STRING:
        raise WireError(f"a tensor near byte {start} has the unknown type {dtype}")
    count = product(dims)
    _check_size(reader, fields, dtype, count, start)
    known = _known(reader, fields, dtype, count) if count <= MAX_KNOWN else None
    return Tensor(name, dtype, dims, values.size_of(dtype, dims), known)


def read_sparse(reader: Reader, start: int, end: int, depth: int) -> Tensor:
    """A sparse tensor, with the size that it has once a runtime makes it dense.

    Raises:
        ExternalError: as for a dense one.
        WireError: likewise.
    """
    fields = reader.fields("sparse", start, end, depth)
    parts = {
        number: [read_tensor(reader, a, b, depth + 1) for a, b in fields.get(number, NOTHING)]
        for number in (1, 2)
    }
    dims = checked_dims(reader.numbers(fields, 3, longest=1024))
    if len(parts[1]) != 1 or len(parts[2]) != 1:
        raise WireError(
            f"a sparse tensor near byte {start} has not just one list of values and one of places"
        )
    stored = parts[1][0]
    return Tensor(stored.name, stored.dtype, dims, values.size_of(stored.dtype, dims), sparse=True)


def checked_dims(dims: Dims) -> Dims:
    """Dimensions that a tensor can have.

    Raises:
        WireError: one is negative, there are too many, or their product is beyond 64 bits.
    """
    if len(dims) > MAX_RANK:
        raise WireError(f"a tensor has more than {MAX_RANK} axes")
    if any(size < 0 for size in dims):
        raise WireError("a tensor has a negative size")
    # Zeros are left out, as a reader that multiplies from the left would overflow before it meets one.
    if math.prod(size for size in dims if size) > _MOST:
        raise WireError("the size of a tensor is beyond 64 bits")
    return dims


def _check_size(reader: Reader, fields: Fields, dtype: int, count: int, start: int) -> None:
    typed = [number for number in _TYPED if number in fields]
    raw = fields.get(_RAW, NOTHING)
    if len(typed) + len(raw) > 1:
        raise WireError(f"a tensor near byte {start} has its values in several forms")
    if raw:
        have, want = raw[0][1] - raw[0][0], (count * BITS.get(dtype, 0) + 7) // 8
        if dtype == STRING:
            raise WireError(f"a tensor near byte {start} has text as raw bytes")
    else:
        field = _FIELD_OF.get(dtype, _INT32S)
        if typed and typed != [field]:
            raise WireError(f"a tensor near byte {start} has its values in the form of another type")
        have = _stored(reader, fields.get(field, NOTHING), field)
        want = count * (2 if dtype in _TWO_EACH else 1)
        if BITS.get(dtype) == 4:  # two elements a number
            want = (count + 1) // 2
    if have != want:
        raise WireError(f"a tensor near byte {start} has {have} bytes or values where its shape says {want}")


def _stored(reader: Reader, spans: list[tuple[int, int]], field: int) -> int:
    """How many values a field holds."""
    if field == _STRINGS:
        return len(spans)
    width = {_FLOATS: 4, _DOUBLES: 8}.get(field)
    total = 0
    for a, b in spans:
        if b < 0:
            total += 1
        elif width is None:
            total += count_varints(reader.data, a, b)
        elif (b - a) % width:
            raise WireError(f"a list of numbers near byte {a} ends in the middle of one")
        else:
            total += (b - a) // width
    return total


def _known(reader: Reader, fields: Fields, dtype: int, count: int) -> Known | None:
    spelled = _FORMATS.get(dtype)
    if spelled is None:
        return None
    if _RAW in fields:
        a, b = fields[_RAW][0]
        return struct.unpack(f"<{count}{spelled}", reader.data[a:b])
    field = _FIELD_OF.get(dtype, _INT32S)
    if field in (_FLOATS, _DOUBLES):
        code = "f" if field == _FLOATS else "d"
        spans = b"".join(reader.data[a:b] for a, b in fields.get(field, NOTHING))
        return struct.unpack(f"<{count}{code}", spans)
    if dtype == values.FLOAT16:
        return None
    numbers = reader.numbers(fields, field, longest=16 * MAX_KNOWN)
    return tuple(_narrowed(number, BITS[dtype], unsigned=spelled.isupper()) for number in numbers)


def _narrowed(number: int, bits: int, *, unsigned: bool) -> int:
    """A number as a runtime stores it in so many bits."""
    kept = number & ((1 << bits) - 1)
    return kept if unsigned or kept < 1 << (bits - 1) else kept - (1 << bits)
