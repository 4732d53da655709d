"""Writes frames of the link protocol, right ones and wrong ones, from docs/reference/link-protocol.md alone.

Shares no code with the package or the firmware, so that the three agree only where the page makes them agree.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple

HOST_KEY = b"edgeguard-TEST-key-do-not-ship!!"
OPERATOR_KEY = b"edgeguard-TEST-operator-no-ship!"
KEYS = MappingProxyType({0: HOST_KEY, 1: HOST_KEY, 2: OPERATOR_KEY, 3: OPERATOR_KEY})
"""The key of each link."""
POLICY = sha256(b"a policy file\n").digest()
POLICY_HASH = int.from_bytes(POLICY[:4], "little")
PROTOCOL = 2
START = 0xFD
ALWAYS = 0x80
TO_MCU, TO_HOST, FROM_OPERATOR, TO_OPERATOR = range(4)


class Message(NamedTuple):
    """A message of the dialect. `fields`: name and struct code, in wire order; `extra`: CRC_EXTRA."""

    number: int
    extra: int
    fields: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        """Bytes of payload."""
        return struct.calcsize("<" + "".join(code for _, code in self.fields))


def _message(number: int, extra: int, fields: str) -> Message:
    names = (item.split(":") for item in fields.split())
    return Message(number, extra, tuple((name, code) for name, code in names))


MESSAGES = MappingProxyType(
    {
        "HELLO": _message(
            52000,
            120,
            "mcu_nonce:8s firmware:I lost_ms:H valid_max_ms:H policy:16s protocol:B actuators:B mode:B flags:B",
        ),
        "OPEN": _message(52001, 71, "mcu_nonce:8s host_nonce:8s policy:16s protocol:B flags:B"),
        "COMMAND": _message(
            52002,
            121,
            "session:8s counter:I mcu_ms_echo:I policy_hash:I value:i valid_ms:H data_id:H source:B actuator:B "
            "action:B flags:B",
        ),
        "STATUS": _message(
            52003,
            108,
            "session:8s counter:I mcu_ms:I counter_echo:I value:i age:H rejected:H crc_errors:H dropped:H mode:B "
            "source:B reason:B refusal:B actuator:B latches:B flags:B",
        ),
        "OFFER": _message(52004, 230, "session:8s mcu_ms:I policy_hash:I mode:B reason:B latches:B flags:B"),
    }
)
LINK = MappingProxyType(
    {"HELLO": TO_HOST, "OPEN": TO_MCU, "COMMAND": TO_MCU, "STATUS": TO_HOST, "OFFER": TO_OPERATOR}
)
"""The link a message travels on, unless the operator sends it."""

Value = int | bytes


def crc(data: bytes) -> int:
    """CRC-16/MCRF4XX, bit by bit."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x8408 if value & 1 else 0)
    return value


def payload(name: str, **fields: Value) -> bytes:
    """The payload of a message; every field must be named but `flags`, which is `ALWAYS`, and no other."""
    fields.setdefault("flags", ALWAYS)
    message = MESSAGES[name]
    if set(fields) != {field for field, _ in message.fields}:
        raise KeyError(name, *fields)
    code = "<" + "".join(code for _, code in message.fields)
    return struct.pack(code, *(fields[field] for field, _ in message.fields))


def decode(name: str, data: bytes) -> dict[str, int | str]:
    """The fields of a payload; byte strings as hex."""
    message = MESSAGES[name]
    values = struct.unpack("<" + "".join(code for _, code in message.fields), data)
    return {
        field: value.hex() if isinstance(value, bytes) else value
        for (field, _), value in zip(message.fields, values)
    }


class Broken(NamedTuple):
    """What differs from a right frame; `None`: nothing. Checksum and signature are of the frame as it is sent."""

    number: int | None = None
    extra: int | None = None
    incompatible: int = 1
    compatible: int = 0
    length: int | None = None
    system: int | None = None
    component: int = 1
    crc_xor: int = 0


RIGHT = Broken()


def frame(
    name: str,
    body: bytes,
    *,
    link: int | None = None,
    sequence: int = 0,
    stamp: int = 0,
    key: bytes | None = None,
    broken: Broken = RIGHT,
) -> bytes:
    """One signed frame. `stamp` in 10 us. `key`: that of the link unless given."""
    message = MESSAGES[name]
    link = LINK[name] if link is None else link
    system = (1 if link in (TO_HOST, TO_OPERATOR) else 255) if broken.system is None else broken.system
    length = len(body) if broken.length is None else broken.length
    number = message.number if broken.number is None else broken.number
    head = bytes((length, broken.incompatible, broken.compatible, sequence, system, broken.component))
    counted = head + number.to_bytes(3, "little") + body
    checksum = (
        crc(counted + bytes((message.extra if broken.extra is None else broken.extra,))) ^ broken.crc_xor
    )
    raw = b"\xfd" + counted + checksum.to_bytes(2, "little") + bytes((link,)) + stamp.to_bytes(6, "little")
    return raw + sha256((KEYS.get(link, HOST_KEY) if key is None else key) + raw).digest()[:6]


def spoilt(raw: bytes) -> bytes:
    """A right frame whose checksum is bad; the search for another inside it finds nothing."""
    end = 10 + raw[1]
    broken = raw[:end] + bytes((raw[end] ^ 1,)) + raw[end + 1 :]
    # Behind every other start byte stands a length that there is not.
    for at, byte in enumerate(broken[1:], 1):
        if byte == START and broken[at + 1 : at + 2] <= b"\x27":
            raise ValueError(broken.hex())
    return broken


def session_of(mcu_nonce: bytes, host_nonce: bytes, key: bytes = HOST_KEY) -> bytes:
    """The session's 8 bytes."""
    return sha256(key + mcu_nonce + host_nonce).digest()[:8]


def nonce_of(seed: bytes, opened: int) -> bytes:
    """The nonce that this firmware makes from its 16 bytes of seed after so many sessions since its reset."""
    return sha256(HOST_KEY + seed + opened.to_bytes(8, "little")).digest()[:8]
