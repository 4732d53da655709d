from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest

from edgeguard.link import messages, wire
from edgeguard.link.keys import TEST_KEY
from edgeguard.link.messages import Hello, Open, Request, Status

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "link-protocol.md").read_text(encoding="utf-8")
EXAMPLE = dict(re.findall(r"^(\w+) +([0-9a-f]{16,})$", PAGE, re.MULTILINE))
POLICY = sha256(b"a policy file\n").digest()
MCU_NONCE, HOST_NONCE = bytes(range(8)), bytes(range(16, 24))
SESSION = sha256(TEST_KEY + MCU_NONCE + HOST_NONCE).digest()[:8]
HASH = int.from_bytes(POLICY[:4], "little")

FRAMES = {
    "HELLO": (wire.HELLO, Hello(MCU_NONCE, 0x100, 120, 150, POLICY[:16], 1, 2, 0, 0x80).encode(), 0, 100_000),
    "OPEN": (wire.OPEN, Open(MCU_NONCE, HOST_NONCE, POLICY[:16]).encode(), 0, 200_000),
    "COMMAND": (
        wire.COMMAND,
        Request(SESSION, 1, 4242, HASH, 250_000, 100, messages.DATA_ID, 0, 0, 1).encode(),
        1,
        202_000,
    ),
    "STATUS": (
        wire.STATUS,
        Status(SESSION, 1, 4260, 1, 250_000, 180, 0, 0, 0, 0, 3, 0, 0, 0, 0x80).encode(),
        1,
        426_000,
    ),
}


def test_page_shows_the_digests_it_speaks_of() -> None:
    assert EXAMPLE["policy"] == POLICY.hex()
    assert EXAMPLE["session"] == SESSION.hex()


@pytest.mark.parametrize("name", FRAMES)
def test_frame_on_the_page_is_what_the_implementation_sends(name: str) -> None:
    message, payload, sequence, stamp = FRAMES[name]
    to_host = name in ("HELLO", "STATUS")
    frame = wire.RawFrame(message, 1 if to_host else 255, 1, int(to_host), payload)
    assert wire.pack(frame, sequence=sequence, stamp=stamp, key=TEST_KEY).hex() == EXAMPLE[name]
    assert list(wire.Parser(TEST_KEY).feed(bytes.fromhex(EXAMPLE[name]))) == [frame]


def test_page_names_every_size_and_crc_extra() -> None:
    found = re.findall(r"\((\d{5}), (\d+) bytes, CRC_EXTRA (\d+)\)", PAGE)
    assert {int(m): (int(size), int(extra)) for m, size, extra in found} == dict(wire.DIALECT)


def test_page_names_every_refusal() -> None:
    codes = {int(code) for code in re.findall(r"\b(\d{1,2})\b", PAGE[PAGE.index("checks a COMMAND") :])}
    assert set(messages.REFUSALS) <= codes
