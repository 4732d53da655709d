"""The reader of the wire format, byte by byte: what a message is, and the last and first byte at which it is none."""

from __future__ import annotations

import random

import pytest

from edgeguard.admission.protobuf import WireError, count_varints, read_fields, read_varints


def _varint(value: int, length: int = 0) -> bytes:
    """`value` in its shortest form, or padded to `length` bytes."""
    out = bytearray()
    while value > 0x7F or len(out) + 1 < length:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _fields(data: bytes) -> list[tuple[int, int, int, int]]:
    return list(read_fields(data, 0, len(data)))


TOP = (1 << 29) - 1
"""The largest number of a field."""

GOOD: dict[str, tuple[bytes, list[tuple[int, int, int, int]]]] = {
    "nothing": (b"", []),
    "number": (b"\x08\x2a", [(1, 0, 42, 2)]),
    "eight bytes": (b"\x09" + bytes(8), [(1, 1, 1, 9)]),
    "text": (b"\x0a\x03abc", [(1, 2, 2, 5)]),
    "no text": (b"\x0a\x00", [(1, 2, 2, 2)]),
    "four bytes": (b"\x0d" + bytes(4), [(1, 5, 1, 5)]),
    "all after each other": (
        b"\x08\x01\x12\x01a\x1d\x00\x00\x00\x00\x21" + bytes(8) + b"\x28\x7f",
        [(1, 0, 1, 2), (2, 2, 4, 5), (3, 5, 6, 10), (4, 1, 11, 19), (5, 0, 127, 21)],
    ),
    "largest field": (_varint(TOP << 3) + b"\x01", [(TOP, 0, 1, 6)]),
    "largest field of four bytes": (_varint(TOP << 3 | 5) + bytes(4), [(TOP, 5, 5, 9)]),
    "tag in five bytes": (_varint(8, 5) + b"\x01", [(1, 0, 1, 6)]),
    "number in ten bytes": (b"\x08" + _varint(1, 10), [(1, 0, 1, 11)]),
    "largest number": (b"\x08" + _varint(2**64 - 1), [(1, 0, 2**64 - 1, 11)]),
    "size in ten bytes": (b"\x0a" + _varint(1, 10) + b"a", [(1, 2, 11, 12)]),
}

BAD: dict[str, bytes] = {
    "field 0, a number": b"\x00\x00",
    "field 0, eight bytes": b"\x01" + bytes(8),
    "field 0, text": b"\x02\x00",
    "field 0, four bytes": b"\x05" + bytes(4),
    "field 0 in five bytes": _varint(0, 5) + b"\x00",
    "group": b"\x0b\x0c",
    "end of a group": b"\x0c",
    "wire type 6": b"\x0e" + bytes(8),
    "wire type 7": b"\x0f" + bytes(8),
    **{f"wire type {wire} before four bytes": bytes([8 | wire]) + bytes(4) for wire in (3, 4, 6, 7)},
    "field past the last": _varint(1 << 32) + b"\x00",
    "field past the last, text": _varint(1 << 32 | 2) + b"\x00",
    "tag in six bytes": _varint(8, 6) + b"\x01",
    "tag that does not end": b"\x88",
    "number in eleven bytes": b"\x08" + _varint(1, 11),
    "number that does not end": b"\x08\x80",
    "number that is not there": b"\x08",
    "seven of eight bytes": b"\x09" + bytes(7),
    "three of four bytes": b"\x0d" + bytes(3),
    "text one byte short": b"\x0a\x03ab",
    "size in eleven bytes": b"\x0a" + _varint(0, 11),
    "largest size": b"\x0a" + _varint(2**64 - 1),
}


@pytest.mark.parametrize("case", GOOD)
def test_a_message_is_read_field_by_field(case: str) -> None:
    data, fields = GOOD[case]
    assert _fields(data) == fields
    moved = [(number, wire, a + 2 * (wire != 0), b + 2) for number, wire, a, b in fields]
    assert list(read_fields(b"\xff\xff" + data + b"\xff", 2, 2 + len(data))) == moved


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_message_is_refused_and_not_read_past_its_end(case: str) -> None:
    for behind in (b"", bytes(16)):
        with pytest.raises(WireError):
            list(read_fields(BAD[case] + behind, 0, len(BAD[case])))


@pytest.mark.parametrize("behind", [b"", bytes(16)])
def test_a_good_message_cut_short_is_refused_or_ends_between_fields(behind: bytes) -> None:
    data, fields = GOOD["all after each other"]
    ends = [0, *(b for *_, b in fields)]
    for cut in range(len(data)):
        if cut in ends:
            assert len(list(read_fields(data[:cut] + behind, 0, cut))) == ends.index(cut)
        else:
            with pytest.raises(WireError):
                list(read_fields(data[:cut] + behind, 0, cut))


def test_packed_numbers_are_read_and_counted() -> None:
    seeded = random.Random(6)
    for length in (0, 1, 2, 50):
        numbers = [seeded.choice([0, 1, 127, 128, 2**14 - 1, 2**14, 2**63, 2**64 - 1]) for _ in range(length)]
        data = b"".join(map(_varint, numbers))
        around = b"\x01\x80" + data + b"\x01"
        assert list(read_varints(around, 2, 2 + len(data))) == numbers
        assert count_varints(around, 2, 2 + len(data)) == length


@pytest.mark.parametrize("data", [b"\x80", b"\x01\xff", b"\x01" * 9 + b"\x80\x80"])
def test_packed_numbers_that_do_not_end_are_refused(data: bytes) -> None:
    for behind in (b"", b"\x01"):
        for read in (lambda d: list(read_varints(d, 0, len(data))), lambda d: count_varints(d, 0, len(data))):
            with pytest.raises(WireError):
                read(data + behind)


@pytest.mark.parametrize("more", [-1, 0, 1, 2, 1 << 20, (1 << 20) + 1])
def test_a_long_list_is_counted_whole(more: int) -> None:
    data = b"\xff\x00" + b"\x01" * ((1 << 20) + more - 2)
    assert count_varints(data, 0, len(data)) == len(data) - 1
    assert count_varints(data, 1, len(data)) == len(data) - 1
