"""MAVLink 2 framing of edgeguard's private dialect: bytes to signed frames and back.

Knows lengths, checksums and signatures; nothing of sessions, freshness or meaning. Bad bytes are counted, never raised.
An unsigned, unknown or wrongly sized frame never leaves the parser. The twin of `firmware_stubs/link/eg_wire.c`.
"""

from __future__ import annotations

import hmac
from binascii import crc_hqx
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from struct import Struct
from types import MappingProxyType
from typing import NamedTuple

START = 0xFD
SIGNED = 0x01
HEADER = 10
TRAILER = 15
"""Checksum 2, link id 1, time 6, signature 6 bytes."""
PAYLOAD_MAX = 39
"""So that the longest frame fits one CAN FD frame of 64 bytes."""
FRAME_MAX = HEADER + PAYLOAD_MAX + TRAILER
SYSTEM_HOST = 255
SYSTEM_MCU = 1
COMPONENT = 1

TO_MCU = 0
"""Link ids say who speaks to whom, and with that whose key signs: 0 and 1 the host's, 2 and 3 the operator's."""
TO_HOST = 1
OPERATOR_TO_MCU = 2
MCU_TO_OPERATOR = 3

OF_THE_HOST = (TO_MCU, TO_HOST)

HELLO = 52000
OPEN = 52001
COMMAND = 52002
STATUS = 52003
OFFER = 52004

DIALECT = MappingProxyType(
    {HELLO: (36, 120), OPEN: (34, 71), COMMAND: (32, 121), STATUS: (39, 108), OFFER: (20, 230)}
)
"""Message -> (payload size in bytes, CRC_EXTRA)."""

RELAYED = MappingProxyType({OPERATOR_TO_MCU: COMMAND, MCU_TO_OPERATOR: OFFER})
"""Link id -> the only message that a side without the operator's key hands on."""
FOREIGN_KEPT = 8
"""Frames for a key that this side does not hold that wait to be handed on; the oldest gives way."""

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_EXTRA = MappingProxyType({message: bytes((extra,)) for message, (_, extra) in DIALECT.items()})
_HEAD = Struct("<BBBBBBH")
"""Length, two flags, sequence, system, component, message; its third byte is 0."""
_TAIL = Struct("<HBIH")
"""Checksum, link id, and 48 bits of time in two parts."""


class RawFrame(NamedTuple):
    """One authentic frame. `link`: whose key it is and where it goes, as the sender declared it."""

    message: int
    system: int
    component: int
    link: int
    payload: bytes


def crc(data: bytes) -> int:
    """CRC-16/MCRF4XX, which MAVLink calls X25: reflected 0x1021, start 0xFFFF, no final exclusive-or."""
    mirrored = crc_hqx(data.translate(_REVERSED), 0xFFFF)
    return _REVERSED[mirrored >> 8] | _REVERSED[mirrored & 0xFF] << 8


def signature(key: bytes, signed: bytes) -> bytes:
    """First 6 bytes of SHA-256(key, everything before the signature)."""
    return sha256(key + signed).digest()[:6]


def pack(frame: RawFrame, *, sequence: int, stamp: int, key: bytes) -> bytes:
    """Sign and frame one message. `sequence` modulo 256; `stamp` in 10 us, modulo 2**48; `key`: that of its link id."""
    message, system, component, link, payload = frame
    head = _HEAD.pack(len(payload), SIGNED, 0, sequence & 0xFF, system, component, message & 0xFFFF)
    body = head + bytes((message >> 16,)) + payload
    tail = _TAIL.pack(crc(body + _EXTRA[message]), link, stamp & 0xFFFF_FFFF, stamp >> 32 & 0xFFFF)
    raw = bytes((START,)) + body + tail
    return raw + signature(key, raw)


def link_of(raw: bytes) -> int:
    """Link id of a whole frame."""
    return raw[-13]


@dataclass(slots=True)
class Parser:
    """Cuts a byte stream into authentic frames. Holds at most one unfinished frame between calls.

    `host_key` is that of link ids 0 and 1, `operator_key` that of 2 and 3. A frame for the operator's key where there
    is none is neither trusted nor refused: it waits in `foreign`, as it came, to be handed on.
    """

    host_key: bytes | None
    operator_key: bytes | None = None
    crc_errors: int = 0
    signature_errors: int = 0
    foreign: deque[bytes] = field(default_factory=lambda: deque(maxlen=FOREIGN_KEPT))
    _buffer: bytes = b""

    def feed(self, data: bytes) -> Iterator[RawFrame]:
        """Add bytes and yield every authentic frame that is now whole."""
        self._buffer += data
        while (length := self._next_length()) is not None:
            raw = self._buffer[:length]
            frame = self._verify(raw)
            # A bad checksum means that the length cannot be trusted either: look again one byte on.
            self._buffer = self._buffer[1 if frame is None else length :]
            if isinstance(frame, RawFrame):
                yield frame

    def reset(self) -> None:
        """Forget an unfinished frame, as after the port was opened again."""
        self._buffer = b""
        self.foreign.clear()

    def _next_length(self) -> int | None:
        """Length of the frame at the start of the buffer once it is whole. Drops what cannot become a frame."""
        while True:
            at = self._buffer.find(START)
            self._buffer = self._buffer[at:] if at >= 0 else b""
            if not _plausible(self._buffer):
                self._buffer = self._buffer[1:]
                continue
            if len(self._buffer) < HEADER:
                return None
            length = HEADER + self._buffer[1] + TRAILER
            return length if len(self._buffer) >= length else None

    def _verify(self, raw: bytes) -> RawFrame | bool | None:
        """Return the frame, None when its checksum is bad, False when its signature is or nobody here can tell."""
        message = int.from_bytes(raw[7:10], "little")
        if crc(raw[1:-TRAILER] + _EXTRA[message]) != raw[-15] | raw[-14] << 8:
            self.crc_errors += 1
            return None
        link = raw[-13]
        key = self.operator_key if link in RELAYED else self.host_key if link <= TO_HOST else None
        if key is None and RELAYED.get(link) == message:
            self.foreign.append(raw)
            return False
        if key is None or not hmac.compare_digest(signature(key, raw[:-6]), raw[-6:]):
            self.signature_errors += 1
            return False
        return RawFrame(message, raw[5], raw[6], link, raw[HEADER:-TRAILER])


def _plausible(raw: bytes) -> bool:
    """Whether these bytes, which are empty or begin with START, can still become a frame of the dialect."""
    if len(raw) >= HEADER:
        known = DIALECT.get(int.from_bytes(raw[7:10], "little"))
        return known is not None and known[0] == raw[1] and raw[2] == SIGNED and raw[3] == 0
    return raw[1:2] <= bytes((PAYLOAD_MAX,)) and raw[2:3] in (b"", b"\x01") and raw[3:4] in (b"", b"\x00")
