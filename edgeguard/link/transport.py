"""Ways to the microcontroller: a serial device, a socket, a bus, and a port that comes back after it vanished.

A channel moves bytes without ever waiting; it knows nothing of frames. Only this file opens ports.
`Port` hides that a channel may be gone: on the frame path nothing here raises.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import termios
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import serial

from edgeguard.errors import LinkError
from edgeguard.link.can_bus import SCHEME, CanChannel

READ_SIZE = 4096
BACKLOG = 2048
"""Bytes of unsent frames kept when the line is slow; what does not fit is dropped whole, as it would be stale."""
BACKOFF_FIRST = 0.05
BACKOFF_LAST = 2.0
CONNECT_WAIT = 0.5
"""s that a socket may take to answer when it is opened for the first time; after that nothing waits for it."""


class Transport(Protocol):
    """Bytes to and from the microcontroller. Nothing here waits or raises."""

    @property
    def connected(self) -> bool:
        """Whether there is a line at all."""
        ...

    def read(self, now: float) -> bytes:
        """What came since the last call; empty if nothing."""
        ...

    def write(self, data: bytes, now: float) -> bool:
        """Hand frames to the line; False if they were dropped."""
        ...

    def close(self) -> None:
        """Let go of the line."""
        ...


class Channel(Protocol):
    """An open line. Every method may raise OSError when it is gone."""

    def read(self) -> bytes:
        """What is there now; empty if nothing."""
        ...

    def write(self, data: bytes) -> int:
        """Bytes taken now."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class SerialChannel:
    """A tty or pty. pyserial opens and sets it; reading and writing go to its descriptor, which never blocks."""

    def __init__(self, path: str, baud: int) -> None:
        try:
            self._serial = serial.Serial(path, baud, timeout=0, exclusive=True)
        # A speed that the driver does not have, or a device that vanished while it was being set up.
        except (ValueError, OverflowError, termios.error) as bad:
            raise OSError(str(bad)) from bad
        self._fd = self._serial.fileno()

    def read(self) -> bytes:
        """What is there now; empty if nothing."""
        if not _ready(self._fd, select.POLLIN, 0.0):
            return b""
        data = os.read(self._fd, READ_SIZE)
        if not data:
            raise OSError("the device is gone")
        return data

    def write(self, data: bytes) -> int:
        """Bytes taken now."""
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Close it."""
        self._serial.close()


class SocketChannel:
    """A TCP (`socket://host:port`) or Unix (`unix:///path`) stream, as emulators offer their UART.

    `wait`: s for the other end to answer; 0: go on, and let `read` and `write` find out.
    """

    def __init__(self, url: str, wait: float = CONNECT_WAIT) -> None:
        try:
            parts = urlsplit(url)
            unix = parts.scheme == "unix"
            address = parts.path if unix else (parts.hostname or "localhost", parts.port or 0)
        except ValueError as bad:  # no port number, or no address
            raise OSError(str(bad)) from bad
        self._socket = socket.socket(socket.AF_UNIX if unix else socket.AF_INET, socket.SOCK_STREAM)
        self._socket.settimeout(0.0)
        # As little as the system gives: a command that waits behind a slow reader is too old when it arrives.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BACKLOG)
        if not unix:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a command waits for no other
        try:
            self._connect(address, wait)
        except OSError:
            self._socket.close()
            raise

    def _connect(self, address: str | tuple[str, int], wait: float) -> None:
        with contextlib.suppress(BlockingIOError):
            self._socket.connect(address)
        if wait == 0.0:
            return
        ready = _ready(self._socket.fileno(), select.POLLOUT, wait)
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if ready else errno.ETIMEDOUT
        if code:
            raise OSError(code, os.strerror(code))

    def read(self) -> bytes:
        """What is there now; empty if nothing."""
        try:
            data = self._socket.recv(READ_SIZE)
        except BlockingIOError:
            return b""
        if not data:
            raise OSError("the other end closed the connection")
        return data

    def write(self, data: bytes) -> int:
        """Bytes taken now."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def _ready(descriptor: int, events: int, wait: float) -> bool:
    """Whether a read or a write would not wait. Unlike `select` for any descriptor, however many are open."""
    poller = select.poll()
    poller.register(descriptor, events)
    return bool(poller.poll(wait * 1000))


@dataclass(slots=True)
class Port:
    """A transport over a channel that may vanish and come back; tries again with growing pauses."""

    open_channel: Callable[[], Channel]
    _channel: Channel | None = None
    _unsent: bytes = b""
    _retry_at: float = 0.0
    _pause: float = BACKOFF_FIRST

    @property
    def connected(self) -> bool:
        """Whether the channel is open."""
        return self._channel is not None

    def connect(self) -> None:
        """Open the channel now.

        Raises:
            OSError: it cannot be opened.
            LinkError: `auto` does not find it.

        """
        self._channel = self.open_channel()
        self._pause = BACKOFF_FIRST

    def read(self, now: float) -> bytes:
        """What came since the last call. Opens the channel again when its time has come."""
        if self._channel is None:
            self._try_again(now)
        if self._channel is None:
            return b""
        try:
            return self._channel.read()
        except OSError:
            self._lost(now)
            return b""

    def write(self, data: bytes, now: float) -> bool:
        """Hand frames to the line; False if there is none or it is full."""
        if self._channel is None or len(self._unsent) + len(data) > BACKLOG:
            self._flush(now)
            return False
        self._unsent += data
        self._flush(now)
        return self._channel is not None

    def close(self) -> None:
        """Close the channel."""
        if self._channel is not None:
            with contextlib.suppress(OSError):
                self._channel.close()
        self._channel = None
        self._unsent = b""

    def _flush(self, now: float) -> None:
        if self._channel is None or not self._unsent:
            return
        try:
            self._unsent = self._unsent[self._channel.write(self._unsent) :]
        except OSError:
            self._lost(now)

    def _lost(self, now: float) -> None:
        self.close()
        self._pause = BACKOFF_FIRST
        self._retry_at = now + self._pause

    def _try_again(self, now: float) -> None:
        if now < self._retry_at:
            return
        try:
            self.connect()
        except (OSError, LinkError):
            self._retry_at = now + self._pause
            self._pause = min(2 * self._pause, BACKOFF_LAST)


def open_port(port: str, baud: int) -> Port:
    """Open a device, pty, `socket://host:port`, `unix:///path`, `can:interface/channel`, or `auto`: the one device.

    Raises:
        LinkError: it cannot be opened, `auto` finds no serial device or several, or a bus needs python-can.

    """
    found = Port(_opener(port, baud))
    try:
        found.connect()
    except OSError as bad:
        # pyserial repeats the port in its own words; what a name server says has a negative number.
        why = os.strerror(bad.errno) if bad.errno is not None and bad.errno > 0 else bad.strerror or bad
        raise LinkError(
            f"cannot open port `{port}`: {why}; check the path, the cable and that no other program holds it"
        ) from bad
    return found


def later_port(port: str, baud: int) -> Port:
    """Return the same port, not opened yet: it is tried at every reading, with growing pauses, until it is there."""
    return Port(_opener(port, baud, wait=0.0))


def _opener(port: str, baud: int, wait: float = CONNECT_WAIT) -> Callable[[], Channel]:
    opener: Callable[[], Channel]
    if port.startswith(("socket://", "unix://")):
        waits = iter((wait,))

        def opener() -> Channel:
            return SocketChannel(port, next(waits, 0.0))
    elif port.startswith(SCHEME):

        def opener() -> Channel:
            return CanChannel(port)
    else:

        def opener() -> Channel:  # a device that is plugged in again may get another name
            return SerialChannel(_only_device() if port == "auto" else port, baud)

    return opener


def _only_device() -> str:
    from serial.tools.list_ports import comports  # noqa: PLC0415 - slow to import, and only `auto` needs it

    devices = sorted(found.device for found in comports())
    if len(devices) == 1:
        return devices[0]
    what = f"finds several: {', '.join(devices)}" if devices else "finds no serial device"
    raise LinkError(
        f"port `auto` {what}; name the port in the policy's `link` section or on the command line"
    )
