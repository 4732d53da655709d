"""The bytes between a host and a worker: where a picture, a request and an answer lie in shared memory.

Both sides compute the same layout from the contracts of the worker's models. Nothing is pickled or evaluated.

    frames        u32 newest request (the bell) | 4 requests of 64 bytes, from 64 | pictures, from one page on
    request       u64 counter | u64 frame | u32 slot | u32 looks wanted
    suggestions   u32 sequence | u32 size | u64 counter | u64 frame | u32 looks wanted | u32 looks done
                  | 32 bytes digest | u32 CRC-32 | scores, from 128 on

Little-endian. `sequence` is odd while the worker writes. The CRC covers everything behind `size` but itself.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgeguard.inference.looks import OF_PRIMARY, Canonical, Part
from edgeguard.inference.runner import canonical, role_of, view_of
from edgeguard.inference.scoring import Raw
from edgeguard.isolation.memory import PAGE

if TYPE_CHECKING:
    import mmap

    from edgeguard.inference.session import ModelContract, Outputs, Tensor

SLOTS = 3
"""Pictures that are kept: one that a background look still reads, the newest, and the one being written."""
REQUESTS = 4
REQUEST = struct.Struct("<QQII")
HEAD = struct.Struct("<IIQQII32sI")
COUNTER_AT = slice(8, 16)
_CRC_AT = HEAD.size - 4
_FRONT = 8
"""Bytes of the head that the CRC does not cover: sequence and size."""
SCORES_AT = 128

MASK64 = (1 << 64) - 1
MASK32 = (1 << 32) - 1


class Suggestion(NamedTuple):
    """The head of an answer, as the worker wrote it."""

    sequence: int
    size: int
    counter: int
    frame: int
    wanted: int
    done: int
    digest: bytes
    crc: int


class _Rows(NamedTuple):
    """Where the scores of one model's looks lie."""

    looks: tuple[str, ...]
    """In the order of the rows."""
    bits: tuple[int, ...]
    contract: ModelContract
    places: tuple[tuple[str, int, int], ...]
    """(meaning, offset, floats a row) of each output."""


class Layout:
    """Sizes and places for one worker. The same on both sides."""

    def __init__(self, looks: Sequence[str], parts: Mapping[str, Part]) -> None:
        """`looks`: what the worker can be asked. `parts`: its models, by role.

        Raises:
            ContractError: a geometry that this version does not know.
        """
        self.looks = tuple(looks)
        self.bits = {look: 1 << i for i, look in enumerate(looks)}
        roles = tuple(dict.fromkeys(map(role_of, looks)))
        self.kinds: tuple[Canonical, ...] = tuple(dict.fromkeys(canonical(parts[role]) for role in roles))
        self._pictures: list[tuple[int, tuple[int, int, int]]] = []
        offset = 0
        for kind in self.kinds:
            shape = (3, kind.height, kind.width)
            self._pictures.append((offset, shape))
            offset = _up(offset + 4 * floats(shape), 64)
        self._slot = _up(offset, PAGE)
        self.frames_size = PAGE + SLOTS * self._slot
        self._roles: dict[str, _Rows] = {}
        offset = SCORES_AT
        for role in roles:
            order = (*OF_PRIMARY, role)  # a model that is no primary has one look, called like itself
            own = sorted(
                (k for k in looks if role_of(k) == role), key=lambda look: order.index(view_of(look))
            )
            contract = parts[role].contract
            places = []
            for output in contract.outputs:
                each = floats(contract.output_of(output, 1))
                places.append((output.meaning, offset, each))
                offset += 4 * each * len(own)
            bits = tuple(self.bits[look] for look in own)
            self._roles[role] = _Rows(tuple(own), bits, contract, tuple(places))
        self.answer_size = offset
        self.suggestions_size = _up(offset, PAGE)
        self.digest = hashlib.sha256(
            b"".join(f"{role} {parts[role].contract.digest}\n".encode() for role in sorted(parts))
        ).digest()

    def mask(self, looks: Sequence[str]) -> int:
        """Looks as bits."""
        return sum(self.bits[look] for look in looks)

    def named(self, mask: int) -> tuple[str, ...]:
        """Bits as looks."""
        return tuple(look for look, bit in self.bits.items() if mask & bit)

    def pictures(self, room: mmap.mmap, slot: int) -> tuple[Tensor, ...]:
        """The pictures of a slot, as views."""
        start = PAGE + slot * self._slot
        return tuple(
            np.frombuffer(room, np.float32, floats(shape), start + offset).reshape(shape)
            for offset, shape in self._pictures
        )

    def pack(self, room: bytearray, raws: Mapping[str, Raw]) -> int:
        """Write scores into an answer; return the looks that were answered, as bits."""
        done = 0
        for role, raw in raws.items():
            rows = self._roles[role]
            for meaning, offset, _ in rows.places:
                data = raw.outputs[meaning].tobytes()
                room[offset : offset + len(data)] = data
            done |= self.mask(raw.looks)
        return done

    def unpack(self, answer: bytes, done: int) -> dict[str, Raw]:
        """What the answer holds of the looks in `done`: exact sizes, any values."""
        raws = {}
        for role, rows in self._roles.items():
            looks = tuple(look for look, bit in zip(rows.looks, rows.bits) if done & bit)
            if looks:
                raws[role] = Raw(looks, _outputs(answer, rows, len(looks)))
        return raws


def checksum(answer: bytes | bytearray) -> int:
    """Over everything but sequence, size and itself. Tells a half-written answer on any order of memory; no secret."""
    view = memoryview(answer)
    return zlib.crc32(view[HEAD.size :], zlib.crc32(view[_FRONT:_CRC_AT]))


def floats(shape: Sequence[int]) -> int:
    """How many float32 a tensor of `shape` holds."""
    count = 1
    for size in shape:
        count *= size
    return count


def _outputs(answer: bytes, rows: _Rows, count: int) -> Outputs:
    outputs: dict[str, Tensor] = {}
    for (meaning, offset, each), output in zip(rows.places, rows.contract.outputs):
        shape = rows.contract.output_of(output, count)
        outputs[meaning] = np.frombuffer(answer, np.float32, each * count, offset).reshape(shape)
    return outputs


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit
