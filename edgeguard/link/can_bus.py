"""CAN FD as a way to the microcontroller: one frame of the link is one CAN FD message. Needs python-can.

Only bytes and message boundaries here; who may say what is the session's. A message that does not hold exactly one
frame is not for us.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgeguard.errors import LinkError
from edgeguard.link.wire import HEADER, PAYLOAD_MAX, START, TRAILER

if TYPE_CHECKING:
    import can

SCHEME = "can:"
TO_MCU_ID = 0x0E6
TO_HOST_ID = 0x0E7
SIZES = (8, 12, 16, 20, 24, 32, 48, 64)
"""Of a CAN FD message that can hold a frame, in bytes."""
READ_MESSAGES = 256
"""In one call: at 50 Hz more than a bus carries, and a flooded one cannot hold the frame path up for long."""
_FULL = (None, errno.ENOBUFS, errno.EAGAIN)
"""Codes with which a bus says that it takes no more now; None: it waited in vain for room."""


def split(frames: bytes) -> Iterator[bytes]:
    """Cut bytes that begin with a frame, and hold nothing but frames, at their own lengths."""
    while frames:
        length = _length(frames)
        yield frames[:length]
        frames = frames[length:]


def pad(frame: bytes) -> bytes:
    """Fill a frame up with zeros to the next size that CAN FD has. Its own length says where it ends."""
    return frame.ljust(next(size for size in SIZES if size >= len(frame)), b"\x00")


def unpad(data: bytes) -> bytes:
    """Return the frame in a message; empty when it is none, is cut short, or something else follows it."""
    if len(data) < HEADER or data[0] != START or data[1] > PAYLOAD_MAX:
        return b""
    frame = data[: _length(data)]
    return frame if len(frame) == _length(data) and pad(frame) == data else b""


def _length(frame: bytes) -> int:
    return HEADER + frame[1] + TRAILER


class CanChannel:
    """An open CAN FD bus. `port`: `can:INTERFACE/CHANNEL` in python-can's words, such as `can:socketcan/can0`."""

    def __init__(self, port: str) -> None:
        """Open the bus.

        Raises:
            OSError: the bus is not there.
            LinkError: the port is written wrongly, or python-can is not installed.

        """
        try:
            import can  # noqa: PLC0415 - an extra: most lines are serial
        except ImportError as bad:
            raise LinkError(
                f"port `{port}` needs python-can: `pip install 'edgeguard-runtime[can]'`"
            ) from bad
        interface, _, channel = port.removeprefix(SCHEME).partition("/")
        if not interface or not channel:
            raise LinkError(
                f"port `{port}` names no bus: write it as can:INTERFACE/CHANNEL, like can:socketcan/can0"
            )
        self._can = can
        try:
            self._bus = can.Bus(channel=channel, interface=interface, fd=True)
        except (can.CanError, ValueError) as bad:
            raise OSError(str(bad)) from bad

    def read(self) -> bytes:
        """Frames that are there now; empty if none."""
        return b"".join(unpad(bytes(message.data)) for message in self._messages())

    def write(self, data: bytes) -> int:
        """Bytes taken now: whole frames only."""
        taken = 0
        for frame in split(data):
            if not self._send(frame):
                break
            taken += len(frame)
        return taken

    def close(self) -> None:
        """Close it."""
        self._bus.shutdown()

    def _messages(self) -> Iterator[can.Message]:
        for _ in range(READ_MESSAGES):
            try:
                message = self._bus.recv(timeout=0.0)
            except self._can.CanError as bad:
                raise OSError(str(bad)) from bad
            if message is None:
                return
            # Not a filter of the bus: where that is software, `recv` without waiting ends at the first foreign message.
            ours = message.arbitration_id == TO_HOST_ID and not message.is_extended_id
            if ours and message.is_fd and not message.is_error_frame:
                yield message

    def _send(self, frame: bytes) -> bool:
        message = self._can.Message(
            arbitration_id=TO_MCU_ID, is_extended_id=False, is_fd=True, bitrate_switch=True, data=pad(frame)
        )
        try:
            self._bus.send(message, timeout=0.0)
        except self._can.CanError as bad:
            if bad.error_code in _FULL:
                return False
            raise OSError(str(bad)) from bad
        return True
