"""A reader of the protobuf wire format that knows no schema and copies nothing.

Bytes in, (field number, wire type, value) out. What the common parsers disagree on (groups, overlong tags, field 0)
is refused here, so that no later parser can see another message than the one that was inspected.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

_MAX_TAG_BYTES = 5
_MAX_VARINT_BYTES = 10
_MIN_TAG = 1 << 3
_MAX_TAG = (1 << 32) - 1
_CONTINUES = 0x80
_CONTINUED = bytes(range(_CONTINUES, 256))
_PIECE = 1 << 20


class WireError(Exception):
    """The bytes are not a protobuf message. The message says where and why."""


def read_fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield every field of the message in `data[start:end]` as (number, wire type, a, b).

    For VARINT `a` is the value; for the other types `data[a:b]` are the field's bytes, which are skipped, not read.

    Raises:
        WireError: the bytes end early, or use groups, an unknown wire type, an overlong tag or field number 0.
    """
    position = start
    while position < end:
        tag, position = _varint(data, position, end, _MAX_TAG_BYTES)
        number, wire = tag >> 3, tag & 7
        if not _MIN_TAG <= tag <= _MAX_TAG:
            raise WireError(f"invalid field tag near byte {position}")
        if wire == VARINT:
            value, position = _varint(data, position, end, _MAX_VARINT_BYTES)
            yield number, wire, value, position
            continue
        if wire == BYTES:
            size, position = _varint(data, position, end, _MAX_VARINT_BYTES)
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
        else:
            raise WireError(f"unsupported wire type {wire} near byte {position}")
        if size > end - position:
            raise WireError(f"a field near byte {position} is longer than its message")
        yield number, wire, position, position + size
        position += size


def read_varints(data: bytes, start: int, end: int) -> Iterator[int]:
    """Yield the numbers of a packed list.

    Raises:
        WireError: the last one does not end.
    """
    position = start
    while position < end:
        value, position = _varint(data, position, end, _MAX_VARINT_BYTES)
        yield value


def count_varints(data: bytes, start: int, end: int) -> int:
    """How many numbers a packed list holds, however long, without a copy of it.

    Raises:
        WireError: the last one does not end.
    """
    if end > start and data[end - 1] >= _CONTINUES:
        raise WireError(f"a number near byte {end} does not end")
    pieces = (data[at : min(at + _PIECE, end)] for at in range(start, end, _PIECE))
    return sum(len(piece.translate(None, _CONTINUED)) for piece in pieces)


def _varint(data: bytes, position: int, end: int, longest: int) -> tuple[int, int]:
    value = shift = 0
    limit = min(end, position + longest)
    while position < limit:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise WireError(f"a number near byte {position} does not end")
