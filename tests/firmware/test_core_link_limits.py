"""The link's counters and buffers at their ends, and its parser over memory that no byte wrote."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pytest

from edgeguard.link import wire
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.program import Program
from hil.firmware import build
from hil.mcu import VirtualMcu

Peer = Any
FULL = 0xFFFF
FRAME_MAX, PAYLOAD_MAX = 64, 39
MORE = 0


class Frame(ctypes.Structure):
    """`eg_frame`."""

    _fields_ = (
        ("message", ctypes.c_uint32),
        ("system", ctypes.c_uint8),
        ("component", ctypes.c_uint8),
        ("link", ctypes.c_uint8),
        ("length", ctypes.c_uint8),
        ("payload", ctypes.c_uint8 * PAYLOAD_MAX),
    )


class Parser(ctypes.Structure):
    """`eg_parser`."""

    _fields_ = (("buffer", ctypes.c_uint8 * FRAME_MAX), ("used", ctypes.c_uint8))


@pytest.fixture(scope="module")
def lib(program: Program) -> ctypes.CDLL:
    library = ctypes.CDLL(str(build(program, "lib", sanitize=True)))
    library.eg_pack.restype = ctypes.c_size_t
    return library


KEYS = bytes(range(64))


def test_counter_of_bad_checksums_stops_at_its_end(mcu: VirtualMcu, peer: Peer) -> None:
    broken = bytearray(peer.request())
    broken[12] ^= 1
    mcu.feed(bytes(broken) * FULL)
    assert mcu.facts.crc_errors == FULL
    mcu.feed(bytes(broken))
    assert mcu.facts.crc_errors == FULL


def test_counter_of_refused_frames_stops_at_its_end(mcu: VirtualMcu, peer: Peer) -> None:
    forged = bytearray(peer.request())
    forged[-1] ^= 1
    mcu.feed(bytes(forged) * (FULL - 1))
    assert mcu.facts.rejected == FULL - 1
    for _ in range(3):
        mcu.feed(bytes(forged))
        assert mcu.facts.rejected == FULL


def test_counter_of_dropped_frames_stops_at_its_end(mcu: VirtualMcu, peer: Peer) -> None:
    peer.open()
    peer.wait(1.0)
    assert 0 < mcu.facts.dropped < FULL  # nobody takes what it sends
    for _ in range(40):
        peer.wait(20.0)
    assert mcu.facts.dropped == FULL


def test_parser_whose_count_is_damaged_begins_anew(lib: ctypes.CDLL) -> None:
    for used in range(FRAME_MAX + 1, 256):
        parser, frame = Parser((ctypes.c_uint8 * FRAME_MAX)(*[0xFD] * FRAME_MAX), used), Frame()
        assert lib.eg_parser_next(ctypes.byref(parser), KEYS, ctypes.byref(frame)) == MORE
        assert parser.used == 0


def test_full_parser_takes_no_further_byte(lib: ctypes.CDLL) -> None:
    parser = Parser((ctypes.c_uint8 * FRAME_MAX)(*[7] * FRAME_MAX), FRAME_MAX)
    lib.eg_parser_push(ctypes.byref(parser), ctypes.c_uint8(9))
    assert (parser.used, bytes(parser.buffer)) == (FRAME_MAX, bytes([7]) * FRAME_MAX)
    parser.used = FRAME_MAX - 1
    lib.eg_parser_push(ctypes.byref(parser), ctypes.c_uint8(9))
    assert (parser.used, bytes(parser.buffer)) == (FRAME_MAX, bytes([7]) * (FRAME_MAX - 1) + bytes([9]))


@pytest.mark.parametrize(
    ("message", "length"),
    [(51_999, 32), (52_005, 32), (wire.COMMAND, 31), (wire.COMMAND, 33), (wire.HELLO, 0)],
)
def test_nothing_but_a_whole_message_of_the_dialect_is_packed(
    lib: ctypes.CDLL, message: int, length: int
) -> None:
    frame, out = Frame(message=message, length=length), (ctypes.c_uint8 * FRAME_MAX)()
    assert lib.eg_pack(ctypes.byref(frame), 0, ctypes.c_uint64(0), KEYS, out) == 0
    assert bytes(out) == bytes(FRAME_MAX)


@pytest.mark.parametrize(
    ("message", "pack"),
    [
        (wire.HELLO, 36),
        (wire.OPEN, 34),
        (wire.COMMAND, 32),
        (wire.STATUS, 39),
        (wire.OFFER, 20),
    ],
)
@pytest.mark.parametrize("link", range(4))
def test_packed_frame_is_what_python_packs(
    lib: ctypes.CDLL, message: int, pack: int, link: int, make_payload: Callable[[int], bytes]
) -> None:
    payload = make_payload(pack)
    frame, out = Frame(message, 3, 4, link, pack), (ctypes.c_uint8 * FRAME_MAX)()
    ctypes.memmove(frame.payload, payload, pack)
    taken = lib.eg_pack(ctypes.byref(frame), 200, ctypes.c_uint64(0x0102_0304_0506_0708), KEYS, out)
    theirs = wire.RawFrame(message=message, payload=payload, system=3, component=4, link=link)
    key = KEYS[32:] if link >= wire.OPERATOR_TO_MCU else KEYS[:32]
    assert bytes(out)[:taken] == wire.pack(theirs, sequence=200, stamp=0x0304_0506_0708, key=key)


@pytest.fixture
def make_payload() -> Callable[[int], bytes]:
    return lambda size: bytes((17 * i + 1) & 0xFF for i in range(size))


def test_little_is_taken_at_a_time_and_nothing_is_lost(
    program: Program, make_peer: Callable[[Program], Peer]
) -> None:
    """Whatever room the line has, the same bytes leave in the same order."""
    library = ctypes.CDLL(str(build(program, "lib", sanitize=True)))
    library.eg_device_take.restype = ctypes.c_size_t
    whole, piecewise = make_peer(program), make_peer(program)
    taken = []
    for peer in (whole, piecewise):
        peer.open()
        peer.wait(0.1)
    for room in (0, 1, 2, 3, 63, 64, 4096):
        out = (ctypes.c_uint8 * 4096)()
        count = library.eg_device_take(piecewise.mcu._device, out, ctypes.c_size_t(room))
        assert count <= room
        taken.append(bytes(out)[:count])
    assert [len(piece) for piece in taken[:6]] == [0, 1, 2, 3, 63, 64]
    assert b"".join(taken) == whole.mcu.take()


@pytest.mark.parametrize("link", range(4))
@pytest.mark.parametrize(
    ("message", "size"),
    [(wire.HELLO, 36), (wire.OPEN, 34), (wire.COMMAND, 32), (wire.STATUS, 39), (wire.OFFER, 20)],
)
def test_frame_that_is_not_for_the_microcontroller_is_refused_for_its_direction(
    mcu: VirtualMcu, peer: Peer, message: int, size: int, link: int, make_payload: Callable[[int], bytes]
) -> None:
    key = TEST_KEY if link in wire.OF_THE_HOST else TEST_OPERATOR_KEY
    own = (message, link) in ((wire.OPEN, 0), (wire.COMMAND, 0), (wire.COMMAND, 2))
    payload = make_payload(size - 1) + b"\x00"
    frame = wire.RawFrame(message=message, payload=payload, system=255, component=1, link=link)
    mcu.feed(wire.pack(frame, sequence=0, stamp=0, key=key))
    assert mcu.facts.rejected == 1
    assert mcu.facts.refusal == ("flags-wrong" if own else "direction-wrong")


class Pair:
    """`eg_pair` and its calls, over plain memory."""

    def __init__(self, lib: ctypes.CDLL) -> None:
        self._lib = lib
        lib.eg_pair_step.restype = ctypes.c_bool
        self._table = ctypes.c_void_p(ctypes.addressof(ctypes.c_uint8.in_dll(lib, "eg_policy_table")))
        self.memory = (ctypes.c_uint8 * 4096)()
        self.inputs = (ctypes.c_uint8 * 4096)()
        self.first, self._second = (ctypes.c_uint8 * 4096)(), (ctypes.c_uint8 * 4096)()
        lib.eg_pair_init(self._table, self.memory, None, ctypes.c_uint64(1000))

    def step(self, first: ctypes.Array[ctypes.c_uint8]) -> bool:
        now = ctypes.c_uint64(1000)
        done = self._lib.eg_pair_step(self._table, self.memory, self.inputs, now, first, self._second)
        return bool(done)


def test_inputs_that_change_between_the_two_computations_are_noticed(lib: ctypes.CDLL) -> None:
    """As a fault in between would: here the first answer is written over the request that the second one reads."""
    pair = Pair(lib)
    assert pair.step(pair.first)
    assert not pair.step(pair.inputs)


def test_copies_that_differ_where_no_output_shows_it_are_noticed(lib: ctypes.CDLL) -> None:
    """The target of the second actuator, while nobody may act on it."""
    pair = Pair(lib)
    assert pair.step(pair.first)
    pair.memory[48] ^= 1
    assert not pair.step(pair.first)
