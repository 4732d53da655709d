from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.link import wire
from edgeguard.link.wire import Parser, RawFrame

KEY = bytes(range(32))
XML = Path(__file__).parents[2] / "firmware_stubs" / "link" / "edgeguard.xml"


def frame(message: int = wire.COMMAND, fill: int = 0xA5) -> RawFrame:
    return RawFrame(
        message, wire.SYSTEM_HOST, wire.COMPONENT, wire.TO_MCU, bytes([fill]) * wire.DIALECT[message][0]
    )


def packed(message: int = wire.COMMAND, sequence: int = 7, stamp: int = 123456) -> bytes:
    return wire.pack(frame(message), sequence=sequence, stamp=stamp, key=KEY)


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", 0xFFFF), (b"123456789", 0x6F91), (b"\x00", 0x0F87)],
)
def test_checksum_is_that_of_the_catalogue(data: bytes, expected: int) -> None:
    assert wire.crc(data) == expected


def bitwise_crc(data: bytes) -> int:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0x8408 if crc & 1 else crc >> 1
    return crc


@given(st.binary(max_size=80))
def test_checksum_is_its_definition(data: bytes) -> None:
    assert wire.crc(data) == bitwise_crc(data)


def test_dialect_is_that_of_the_published_xml() -> None:
    found = {}
    for message in ET.parse(XML).iter("message"):  # noqa: S314 - a file of this repository
        text = f"{message.get('name')} ".encode()
        size = 0
        for item in message.iter("field"):
            kind = re.fullmatch(r"(\w+?)(\d+)_t(?:\[(\d+)\])?", item.get("type", ""))
            assert kind is not None
            text += f"{kind[1]}{kind[2]}_t {item.get('name')} ".encode()
            text += bytes([int(kind[3])]) if kind[3] else b""
            size += int(kind[2]) // 8 * int(kind[3] or 1)
        crc = bitwise_crc(text)
        found[int(message.get("id", 0))] = (size, (crc & 0xFF) ^ (crc >> 8))
    assert found == dict(wire.DIALECT)


def test_frame_is_laid_out_as_mavlink_2() -> None:
    raw = packed()
    assert len(raw) == 57
    assert raw[:10] == bytes((0xFD, 32, 1, 0, 7, 255, 1)) + (52002).to_bytes(3, "little")
    assert raw[42:44] == bitwise_crc(raw[1:42] + bytes([121])).to_bytes(2, "little")
    assert raw[44] == 0
    assert raw[45:51] == (123456).to_bytes(6, "little")
    assert raw[51:] == sha256(KEY + raw[:51]).digest()[:6]


def test_every_frame_fits_one_can_fd_frame() -> None:
    assert max(len(packed(message)) for message in wire.DIALECT) <= 64


def test_what_is_packed_is_parsed() -> None:
    for message in wire.DIALECT:
        assert list(Parser(KEY).feed(packed(message))) == [frame(message)]


@given(st.lists(st.sampled_from(sorted(wire.DIALECT)), max_size=5), st.data())
def test_frames_survive_any_cutting_of_the_stream(kinds: list[int], data: st.DataObject) -> None:
    stream = b"".join(packed(kind) for kind in kinds)
    parser = Parser(KEY)
    found = []
    while stream:
        n = data.draw(st.integers(1, len(stream)))
        found += list(parser.feed(stream[:n]))
        stream = stream[n:]
    assert found == [frame(kind) for kind in kinds]


@given(st.binary(max_size=200), st.sampled_from(sorted(wire.DIALECT)))
def test_a_frame_after_rubbish_is_found(rubbish: bytes, message: int) -> None:
    # A second frame flushes whatever the rubbish's last bytes made the parser wait for.
    stream = rubbish + packed(message) + packed(message) + packed(message)
    assert frame(message) in list(Parser(KEY).feed(stream))


@given(st.integers(0, 57 * 8 - 1))
def test_flipped_bit_is_refused(bit: int) -> None:
    raw = bytearray(packed())
    raw[bit // 8] ^= 1 << bit % 8
    parser = Parser(KEY)
    assert list(parser.feed(bytes(raw) + bytes(64))) == []


@given(st.integers(0, 56))
def test_truncated_frame_is_refused(length: int) -> None:
    assert list(Parser(KEY).feed(packed()[:length])) == []


def test_wrong_key_is_refused_and_counted() -> None:
    parser = Parser(bytes(32))
    assert list(parser.feed(packed())) == []
    assert (parser.signature_errors, parser.crc_errors) == (1, 0)


def test_bad_checksum_is_counted() -> None:
    parser = Parser(KEY)
    raw = packed()
    assert list(parser.feed(raw[:20] + b"\x00" + raw[21:])) == []
    assert (parser.signature_errors, parser.crc_errors) == (0, 1)


@pytest.mark.parametrize(
    ("at", "value"), [(0, 0xFE), (1, 33), (1, 40), (2, 0), (2, 3), (3, 1), (7, 0xFF), (9, 0x80)]
)
def test_header_that_cannot_be_ours_is_dropped_at_once(at: int, value: int) -> None:
    raw = bytearray(packed())
    raw[at] = value
    parser = Parser(KEY)
    assert list(parser.feed(bytes(raw) + packed())) == [frame()]


OPERATOR_KEY = bytes(range(32, 64))


def on_link(link: int, key: bytes, message: int = wire.COMMAND) -> bytes:
    return wire.pack(frame(message)._replace(link=link), sequence=0, stamp=0, key=key)


@pytest.mark.parametrize("link", range(4))
def test_link_id_chooses_the_key(link: int) -> None:
    parser = Parser(KEY, OPERATOR_KEY)
    right, wrong = (OPERATOR_KEY, KEY) if link in (2, 3) else (KEY, OPERATOR_KEY)
    assert list(parser.feed(on_link(link, wrong))) == []
    assert [f.link for f in parser.feed(on_link(link, right))] == [link]
    assert (parser.signature_errors, list(parser.foreign)) == (1, [])


@pytest.mark.parametrize("link", [4, 128, 255])
def test_no_key_signs_for_another_link_id(link: int) -> None:
    parser = Parser(KEY, OPERATOR_KEY)
    assert list(parser.feed(on_link(link, KEY) + on_link(link, OPERATOR_KEY))) == []
    assert (parser.signature_errors, list(parser.foreign)) == (2, [])


@pytest.mark.parametrize(("link", "message"), [(2, wire.COMMAND), (3, wire.OFFER)])
def test_frame_for_the_key_that_is_not_here_waits_unread(link: int, message: int) -> None:
    parser = Parser(KEY)
    raw = on_link(link, KEY, message)
    assert list(parser.feed(raw + packed())) == [frame()]
    assert (list(parser.foreign), parser.signature_errors) == ([raw], 0)
    assert wire.link_of(raw) == link
    parser.reset()
    assert not parser.foreign


@pytest.mark.parametrize(
    ("link", "message"), [(2, wire.OFFER), (3, wire.COMMAND), (2, wire.OPEN), (3, wire.STATUS)]
)
def test_message_that_is_not_the_operators_is_refused_without_the_key(link: int, message: int) -> None:
    parser = Parser(KEY)
    assert list(parser.feed(on_link(link, OPERATOR_KEY, message))) == []
    assert (list(parser.foreign), parser.signature_errors) == ([], 1)


def test_panel_without_the_device_key_refuses_the_hosts_frames() -> None:
    parser = Parser(None, OPERATOR_KEY)
    assert list(parser.feed(packed())) == []
    assert parser.signature_errors == 1


def test_reset_forgets_half_a_frame() -> None:
    parser = Parser(KEY)
    assert list(parser.feed(packed()[:30])) == []
    parser.reset()
    assert list(parser.feed(packed())) == [frame()]
    assert parser.crc_errors == 0
