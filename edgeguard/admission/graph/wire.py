"""Messages of onnx.proto read strictly: a field that ONNX does not have, or a second value of one, is refused.

Parsers differ in both (skip or keep, last or merged); no later parser may see another model than the inspected one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgeguard.admission.protobuf import BYTES, FIXED32, VARINT, WireError, read_fields, read_varints

MAX_DEPTH = 100
"""Nested messages; protobuf's own parsers stop at the same depth."""
MAX_FIELDS = 4_000_000
MAX_TEXT = 1024 * 1024
"""Bytes of a text or of a list of numbers outside tensors."""
MAX_NAME = 1024

Spans = list[tuple[int, int]]
Fields = Mapping[int, Spans]
NOTHING: Spans = []

# Each field: number, then v number, s bytes, f 32-bit float; V S F the same, any number of times; N numbers, packed or
# not; D 8-byte floats, packed or not; * anything.
_SPELLED = {
    "model": "1v 2s 3s 4s 5v 6s 7S 8S 14S 20S 25S 26S",
    "opset": "1s 2v",
    "training": "1S 2S 3S 4S",
    "graph": "1S 2s 5S 10s 11S 12S 13S 14S 15S 16S",
    "function": "1s 4S 5S 6S 7S 8s 9S 10s 11S 12S 13s 14S",
    "node": "1S 2S 3s 4s 5S 6s 7s 8s 9S 10S",
    "attribute": "1s 2f 3v 4s 5S 6S 7F 8N 9S 10S 11S 13s 14s 15S 20v 21s 22S 23S",
    "tensor": "1N 2v 4F 5N 6S 7N 8s 9s 10D 11N 12s 13* 14* 16S",
    "sparse": "1S 2S 3N",
    "value": "1s 2s 3s 4S",
    "type": "1s 6s",  # of tensors alone: nothing else is given to an engine or taken from one
    "tensor type": "1v 2s",
    "shape": "1S",
    "dimension": "1v 2s 3s",
}
_WIRES = {"v": (VARINT,), "s": (BYTES,), "f": (FIXED32,), "n": (VARINT, BYTES), "F": (FIXED32, BYTES)}
_WIRES |= {"V": (VARINT,), "S": (BYTES,), "N": (VARINT, BYTES), "D": (1, BYTES), "*": (0, 1, 2, 5)}


def _table(spelled: str) -> Mapping[int, tuple[tuple[int, ...], bool]]:
    entries = ((int(word[:-1]), word[-1]) for word in spelled.split())
    return MappingProxyType({number: (_WIRES[kind], kind in "vsf") for number, kind in entries})


_MESSAGES = MappingProxyType({kind: _table(spelled) for kind, spelled in _SPELLED.items()})


class Reader:
    """Reads messages of one file, and counts what it reads."""

    def __init__(self, data: bytes) -> None:
        """`data`: the whole file; spans are places in it."""
        self.data = data
        self._budget = MAX_FIELDS

    def fields(self, kind: str, start: int, end: int, depth: int) -> Fields:
        """The fields of a message by number. Of a field that is a number, a span is (value, -1).

        Raises:
            WireError: it is no such message, is nested too deep, or there are too many fields.
        """
        if depth > MAX_DEPTH:
            raise WireError(f"messages are nested deeper than {MAX_DEPTH} near byte {start}")
        table, found = _MESSAGES[kind], dict[int, Spans]()
        for number, wire, a, b in read_fields(self.data, start, end):
            self._budget -= 1
            if self._budget < 0:
                raise WireError(f"more than {MAX_FIELDS} fields")
            wires, single = table.get(number, ((), True))
            if wire not in wires:
                raise WireError(f"field {number} of a {kind} near byte {a if wire else b} is none of a model")
            if single and number in found:
                raise WireError(f"field {number} of a {kind} near byte {a if wire else b} is there twice")
            found.setdefault(number, []).append((a, -1) if wire == VARINT else (a, b))
        return found

    def number(self, fields: Fields, number: int) -> int:
        """A signed number, 0 where it is missing."""
        spans = fields.get(number)
        return signed(spans[0][0]) if spans else 0

    def text(self, fields: Fields, number: int, longest: int = MAX_NAME) -> str:
        """A text, empty where it is missing."""
        spans = fields.get(number)
        return self.decoded(*spans[0], longest) if spans else ""

    def texts(self, fields: Fields, number: int) -> tuple[str, ...]:
        """A list of names."""
        return tuple(self.decoded(a, b) for a, b in fields.get(number, NOTHING))

    def decoded(self, start: int, end: int, longest: int = MAX_NAME) -> str:
        """Some bytes as a text."""
        if end - start > longest:
            raise WireError(f"a text near byte {start} is longer than {longest} bytes")
        try:
            return self.data[start:end].decode()
        except UnicodeDecodeError:
            raise WireError(f"a text near byte {start} is not UTF-8") from None

    def numbers(self, fields: Fields, number: int, longest: int = MAX_TEXT) -> tuple[int, ...]:
        """A list of signed numbers, packed or not."""
        found: list[int] = []
        for a, b in fields.get(number, NOTHING):
            if b < 0:
                found.append(signed(a))
                continue
            if b - a > longest:
                raise WireError(f"a list of numbers near byte {a} is longer than {longest} bytes")
            found += map(signed, read_varints(self.data, a, b))
        if len(found) > longest:
            raise WireError(f"a list of more than {longest} numbers")
        return tuple(found)


def signed(value: int) -> int:
    """A 64-bit number as protobuf writes negative ones.

    Raises:
        WireError: it has more than 64 bits.
    """
    if value >= 1 << 64:
        raise WireError("a number has more than 64 bits")
    return value - (1 << 64) if value >= 1 << 63 else value
