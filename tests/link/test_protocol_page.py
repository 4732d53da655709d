"""docs/reference/link-protocol.md against the code: its example, its tables, its times."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

from edgeguard.link import messages, operator, relay, session, wire
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.link.messages import Hello, Offer, Open, Request, Status
from edgeguard.policy import emit_c

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "link-protocol.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())
EXAMPLE = dict(re.findall(r"^(\w+) +([0-9a-f]{16,})$", PAGE, re.MULTILINE))
DERIVE = json.loads((ROOT / "tests" / "vectors" / "link" / "derive.json").read_text(encoding="ascii"))
FIRMWARE = ROOT / "firmware_stubs" / "link"
POLICY = sha256(b"a policy file\n").digest()
MCU_NONCE, HOST_NONCE = bytes(range(8)), bytes(range(16, 24))
SESSION = sha256(TEST_KEY + MCU_NONCE + HOST_NONCE).digest()[:8]
HASH = int.from_bytes(POLICY[:4], "little")
KINDS = {"u8": "uint8", "u16": "uint16", "u32": "uint32", "i32": "int32"}

FRAMES = {
    "HELLO": (
        wire.HELLO,
        Hello(MCU_NONCE, 0x200, 120, 150, POLICY[:16], 2, 2, 0, 0x80).encode(),
        1,
        0,
        100_000,
    ),
    "OPEN": (wire.OPEN, Open(MCU_NONCE, HOST_NONCE, POLICY[:16]).encode(), 0, 0, 200_000),
    "COMMAND": (
        wire.COMMAND,
        Request(SESSION, 1, 4242, HASH, 250_000, 100, messages.DATA_ID, 0, 0, 1).encode(),
        0,
        1,
        202_000,
    ),
    "STATUS": (
        wire.STATUS,
        Status(SESSION, 1, 4260, 1, 250_000, 180, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0x80).encode(),
        1,
        1,
        426_000,
    ),
    "OFFER": (wire.OFFER, Offer(SESSION, 4260, HASH, 0, 0, 0, 0x80).encode(), 3, 2, 426_000),
    "ARM": (
        wire.COMMAND,
        Request(SESSION, 7, 4242, HASH, 0, 100, messages.DATA_ID, 2, 0, 2).encode(),
        2,
        9,
        0,
    ),
}


def test_page_shows_the_digests_it_speaks_of() -> None:
    assert EXAMPLE["policy"] == POLICY.hex()
    assert EXAMPLE["session"] == SESSION.hex()
    command = bytes.fromhex(EXAMPLE["COMMAND"])
    assert EXAMPLE["sha256"] == sha256(TEST_KEY + command[:-6]).hexdigest()
    assert (
        f"`0x{wire.crc(command[1:42] + bytes((121,))):04X}`, which stand as `{command[42:44].hex()}`" in TEXT
    )


@pytest.mark.parametrize("name", FRAMES)
def test_frame_on_the_page_is_what_the_implementation_sends(name: str) -> None:
    message, payload, link, sequence, stamp = FRAMES[name]
    key = TEST_KEY if link < 2 else TEST_OPERATOR_KEY
    frame = wire.RawFrame(message, 1 if link % 2 else 255, 1, link, payload)
    assert wire.pack(frame, sequence=sequence, stamp=stamp, key=key).hex() == EXAMPLE[name]
    assert list(wire.Parser(TEST_KEY, TEST_OPERATOR_KEY).feed(bytes.fromhex(EXAMPLE[name]))) == [frame]


def test_page_names_every_size_and_crc_extra() -> None:
    found = re.findall(r"\((\d{5}), (\d+) bytes, CRC_EXTRA (\d+)\)", PAGE)
    assert {int(m): (int(size), int(extra)) for m, size, extra in found} == dict(wire.DIALECT)


@pytest.mark.parametrize("row", DERIVE["messages"], ids=lambda row: row["name"])
def test_page_lays_out_every_field(row: dict[str, object]) -> None:
    part = PAGE[PAGE.index(f"### EG_{row['name']} ") :]
    table = re.findall(
        r"^\| (\d+) \| (\w+|\d+ bytes) \| `(\w+)` \|", part[: part.index("\n#", 1)], re.MULTILINE
    )
    assert [{"name": n, "offset": int(at), "type": KINDS.get(kind, kind)} for at, kind, n in table] == row[
        "fields"
    ]


def test_page_names_every_refusal_with_the_codes_of_the_firmware() -> None:
    part = PAGE[PAGE.index("### A frame arrives") : PAGE.index("### What takes authority away")]
    codes = {int(code) for code in re.findall(r"\| (\d+) \|", part.replace("\n", " ")) if int(code) >= 1}
    assert codes >= set(messages.REFUSALS) - {0, 9}
    header = (FIRMWARE / "eg_device.h").read_text() + (FIRMWARE.parent / "core" / "eg_core.h").read_text()
    enums = re.findall(r"typedef enum \{([^}]*)\} (?:eg_refusal|eg_link_refusal);", header)
    assert {int(n) for text in enums for n in re.findall(r"= (\d+)", text)} == set(messages.REFUSALS)


def test_page_names_every_reason_and_latch() -> None:
    part = PAGE[PAGE.index("| reason | |") : PAGE.index("A latch keeps the host")]
    assert {int(n) for n in re.findall(r"(?:\| |, )(\d+) ", part)} == set(range(len(messages.REASONS)))
    assert (
        ", ".join(f"{bit} {name}" for bit, name in enumerate(messages.LATCHES)).replace("0", "bit 0", 1)
        in PAGE
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("EG_HELLO_PERIOD_US", "every {} ms without a session"),
        ("EG_HELLO_PERIOD_SESSION_US", "{} ms after an OPEN, and then every {} ms"),
        ("EG_STATUS_PERIOD_US", "one frame an actuator, in their order, every {} ms"),
        ("EG_OFFER_PERIOD_US", "with a session: every {} ms"),
    ],
)
def test_page_has_the_periods_of_the_firmware(name: str, text: str) -> None:
    header = (FIRMWARE / "eg_device.h").read_text(encoding="ascii")
    found = re.search(rf"#define {name} (\d+)u", header)
    assert found is not None
    assert text.replace("{}", str(int(found[1]) // 1000)) in TEXT


@pytest.mark.parametrize(
    "text",
    [
        f"for more than {session.STATUS_LOST * 1000:.0f} ms | waiting",
        f"if {session.OPEN_AGAIN * 1000:.0f} ms have passed since the last OPEN",
        f"`0x{session.COUNTER_LAST:08X}`",
        f"at most the newest {wire.FOREIGN_KEPT} wait",
        f"at most {relay.ROOM} between two readings",
        f"or for {operator.ARM_WINDOW:.0f} s",
        f"the longest {wire.FRAME_MAX}",
        f"byte 1 is at most {wire.PAYLOAD_MAX}",
        f"| `lost`: the fallback begins; `lost_ms` in HELLO | {emit_c.LOST_SHARE} |",
        f"`in_time` = {emit_c.ARM_COMMANDS} and",
        f"| {messages.PROTOCOL} |",
    ],
)
def test_page_has_the_numbers_of_the_host(text: str) -> None:
    assert text in TEXT
