"""MAVLink 2 framing of edgeguard's private dialect: bytes to signed frames and back.

Knows lengths, checksums and signatures; nothing of sessions, freshness or meaning. Bad bytes are counted, never raised.
An unsigned, unknown or wrongly sized frame never leaves the parser. The twin of `firmware_stubs/link/eg_wire.c`.
"""

from __future__ import annotations

import hmac
from binascii import crc_hqx
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple

START = 0xFD
SIGNED = 0x01
HEADER = 10
TRAILER = 15
"""Checksum 2, link id 1, time 6, signature 6 bytes."""
PAYLOAD_MAX = 39
"""So that the longest frame fits one CAN FD frame of 64 bytes."""
SYSTEM_HOST = 255
SYSTEM_MCU = 1
COMPONENT = 1
TO_MCU = 0
TO_HOST = 1

HELLO = 52000
OPEN = 52001
COMMAND = 52002
STATUS = 52003

DIALECT = MappingProxyType({HELLO: (36, 120), OPEN: (34, 71), COMMAND: (32, 121), STATUS: (38, 95)})
"""Message -> (payload size in bytes, CRC_EXTRA)."""

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class RawFrame(NamedTuple):
    """One authentic frame. `link`: TO_MCU or TO_HOST, as the sender declared it."""

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
    """Sign and frame one message. `sequence` modulo 256; `stamp` in 10 us, modulo 2**48."""
    head = bytes((len(frame.payload), SIGNED, 0, sequence & 0xFF, frame.system, frame.component))
    body = head + frame.message.to_bytes(3, "little") + frame.payload
    checksum = crc(body + bytes((DIALECT[frame.message][1],)))
    tail = checksum.to_bytes(2, "little") + bytes((frame.link,)) + (stamp % 2**48).to_bytes(6, "little")
    raw = bytes((START,)) + body + tail
    return raw + signature(key, raw)


@dataclass(slots=True)
class Parser:
    """Cuts a byte stream into authentic frames. Holds at most one unfinished frame between calls."""

    key: bytes
    crc_errors: int = 0
    signature_errors: int = 0
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
        """Return the frame, None when its checksum is bad, False when its signature is."""
        message = int.from_bytes(raw[7:10], "little")
        body, tail = raw[1:-TRAILER], raw[-TRAILER:]
        if crc(body + bytes((DIALECT[message][1],))) != int.from_bytes(tail[:2], "little"):
            self.crc_errors += 1
            return None
        if not hmac.compare_digest(signature(self.key, raw[:-6]), tail[9:]):
            self.signature_errors += 1
            return False
        return RawFrame(message, raw[5], raw[6], tail[2], raw[HEADER:-TRAILER])


def _plausible(raw: bytes) -> bool:
    """Whether these bytes, which are empty or begin with START, can still become a frame of the dialect."""
    if raw[1:2] > bytes((PAYLOAD_MAX,)) or raw[2:3] not in (b"", b"\x01") or raw[3:4] not in (b"", b"\x00"):
        return False
    if len(raw) < HEADER:
        return True
    known = DIALECT.get(int.from_bytes(raw[7:10], "little"))
    return known is not None and known[0] == raw[1]
