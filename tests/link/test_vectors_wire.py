"""frames.json and derive.json against the Python parser, the C parser and, where it is installed, pymavlink's."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from edgeguard.link import messages, wire
from hil.firmware import build
from hil.mcu import VirtualMcu

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "vectors" / "link"
FRAMES = json.loads((FOLDER / "frames.json").read_text(encoding="ascii"))
DERIVE = json.loads((FOLDER / "derive.json").read_text(encoding="ascii"))
KEYS = {name: bytes.fromhex(key) for name, key in FRAMES["keys"].items()}
each_frame = pytest.mark.parametrize("vector", FRAMES["vectors"], ids=lambda vector: vector["name"])


def told(message: int, system: int, component: int, link: int, payload: bytes) -> dict[str, Any]:
    return {
        "event": "frame",
        "number": message,
        "system": system,
        "component": component,
        "link": link,
        "payload": payload.hex(),
    }


def expected(vector: dict[str, Any]) -> list[dict[str, Any]]:
    return [{k: v for k, v in event.items() if k not in ("message", "fields")} for event in vector["events"]]


def test_files_are_what_the_tool_writes() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "firmware_stubs" / "verify" / "vectors"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_names_of_vectors_are_their_own() -> None:
    session = json.loads((FOLDER / "session.json").read_text(encoding="ascii"))
    for vectors in (FRAMES["vectors"], session["microcontroller"], session["host"], session["operator"]):
        names = [vector["name"] for vector in vectors]
        assert len(set(names)) == len(names)


@each_frame
def test_fields_of_a_frame_are_those_of_its_payload(
    vector_fields: Callable[[str, bytes], dict[str, Any]], vector: dict[str, Any]
) -> None:
    for event in vector["events"]:
        if event["event"] == "frame":
            assert vector_fields(event["message"], bytes.fromhex(event["payload"])) == event["fields"]


# ---- the two parsers -------------------------------------------------------------------------------------------------


def python_events(pieces: Iterator[bytes]) -> tuple[list[dict[str, Any]], int]:
    parser = wire.Parser(KEYS["host"], KEYS["operator"])
    events: list[dict[str, Any]] = []
    for piece in pieces:
        before = (parser.crc_errors, parser.signature_errors)
        found = [told(*frame) for frame in parser.feed(piece)]
        # Byte by byte at most one of the two is new, and it comes before what was found behind it.
        events += [{"event": "bad-checksum"}] * (parser.crc_errors - before[0])
        events += [{"event": "bad-signature"}] * (parser.signature_errors - before[1])
        events += found
    return events, len(parser._buffer)


@each_frame
def test_python_parser_agrees_byte_by_byte(vector: dict[str, Any]) -> None:
    events, held = python_events(bytes((byte,)) for byte in bytes.fromhex(vector["bytes"]))
    assert (events, held) == (expected(vector), vector["held"])


@each_frame
def test_python_parser_agrees_in_one_piece(vector: dict[str, Any]) -> None:
    events, held = python_events(iter((bytes.fromhex(vector["bytes"]),)))
    order = ("bad-checksum", "bad-signature", "frame")
    assert events == sorted(expected(vector), key=lambda event: order.index(event["event"]))
    assert held == vector["held"]


class CParser(ctypes.Structure):
    _fields_ = (("buffer", ctypes.c_uint8 * 64), ("used", ctypes.c_uint8))


class CFrame(ctypes.Structure):
    _fields_ = (
        ("message", ctypes.c_uint32),
        ("system", ctypes.c_uint8),
        ("component", ctypes.c_uint8),
        ("link", ctypes.c_uint8),
        ("length", ctypes.c_uint8),
        ("payload", ctypes.c_uint8 * wire.PAYLOAD_MAX),
    )


@pytest.fixture(scope="session")
def lib(vectors_program: Any) -> ctypes.CDLL:
    return ctypes.CDLL(str(build(vectors_program, "lib")))


@each_frame
def test_c_parser_agrees(lib: ctypes.CDLL, vector: dict[str, Any]) -> None:
    parser, frame, events = CParser(), CFrame(), []
    keys = ctypes.create_string_buffer(KEYS["host"] + KEYS["operator"], 64)
    for byte in bytes.fromhex(vector["bytes"]):
        lib.eg_parser_push(ctypes.byref(parser), ctypes.c_uint8(byte))
        while parsed := lib.eg_parser_next(ctypes.byref(parser), keys, ctypes.byref(frame)):
            if parsed == 1:
                body = bytes(frame.payload[: frame.length])
                events.append(told(frame.message, frame.system, frame.component, frame.link, body))
            else:
                events.append({"event": ("bad-checksum", "bad-signature")[parsed - 2]})
    assert (events, parser.used) == (expected(vector), vector["held"])


@each_frame
def test_device_without_a_session_refuses_every_frame(
    make_vector_mcu: Callable[..., VirtualMcu], vector: dict[str, Any]
) -> None:
    mcu = make_vector_mcu()
    mcu.feed(bytes.fromhex(vector["bytes"]))
    kinds = [event["event"] for event in vector["events"]]
    assert mcu.facts.crc_errors == kinds.count("bad-checksum")
    assert mcu.facts.rejected == len(kinds) - kinds.count("bad-checksum")


# ---- what is computed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", DERIVE["crc"], ids=lambda row: row["bytes"][:18] or "nothing")
def test_checksum_agrees(lib: ctypes.CDLL, row: dict[str, Any]) -> None:
    data = bytes.fromhex(row["bytes"])
    lib.eg_crc.restype = ctypes.c_uint16
    assert (
        row["crc"] == wire.crc(data) == lib.eg_crc(ctypes.c_uint16(0xFFFF), data, ctypes.c_size_t(len(data)))
    )


@pytest.mark.parametrize("row", DERIVE["messages"], ids=lambda row: row["name"])
def test_crc_extra_agrees(row: dict[str, Any]) -> None:
    value = wire.crc(bytes.fromhex(row["text"]))
    assert (value, value & 0xFF ^ value >> 8) == (row["crc"], row["crc_extra"])
    assert wire.DIALECT[row["number"]] == (row["payload_size"], row["crc_extra"])


@pytest.mark.parametrize("row", DERIVE["signatures"], ids=lambda row: row["name"])
def test_signature_agrees_step_by_step(row: dict[str, Any]) -> None:
    key, signed = bytes.fromhex(row["key"]), bytes.fromhex(row["signed"])
    assert row["crc"] == wire.crc(bytes.fromhex(row["counted"]) + bytes((row["crc_extra"],)))
    assert row["sha256"] == sha256(key + signed).hexdigest()
    assert row["signature"] == wire.signature(key, signed).hex() == row["sha256"][:12]
    assert row["frame"] == row["signed"] + row["signature"]


def test_sessions_nonces_and_policies_agree(make_vector_mcu: Callable[..., VirtualMcu]) -> None:
    for row in DERIVE["sessions"]:
        digest = sha256(bytes.fromhex(row["host_key"] + row["mcu_nonce"] + row["host_nonce"])).hexdigest()
        assert (row["sha256"], row["session"]) == (digest, digest[:16])
    for row in DERIVE["policies"]:
        digest = sha256(bytes.fromhex(row["file"])).hexdigest()
        number = int.from_bytes(bytes.fromhex(digest)[:4], "little")
        assert (row["sha256"], row["policy"], row["policy_hash"]) == (digest, digest[:32], number)
    for row in DERIVE["nonces"]:
        assert sha256(bytes.fromhex(row["hashed"])).hexdigest()[:16] == row["mcu_nonce"]
        if row["opened"] == 0:
            mcu = make_vector_mcu(seed=bytes.fromhex(row["seed"]))
            mcu.advance(1.001)
            hello = next(wire.Parser(KEYS["host"]).feed(mcu.take()))
            assert messages.Hello.parse(hello.payload).nonce.hex() == row["mcu_nonce"]
