from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import resource
import socket
import termios
import time
import tty
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import serial
from serial.tools import list_ports

from edgeguard.errors import LinkError
from edgeguard.link.transport import (
    BACKLOG,
    BACKOFF_FIRST,
    BACKOFF_LAST,
    Port,
    SerialChannel,
    SocketChannel,
    open_port,
)


class FakeChannel:
    def __init__(self) -> None:
        self.incoming = b"hi"
        self.outgoing = b""
        self.takes = 1000
        self.broken = False
        self.closed = False

    def _check(self) -> None:
        if self.broken:
            raise OSError("gone")

    def read(self) -> bytes:
        self._check()
        return self.incoming

    def write(self, data: bytes) -> int:
        self._check()
        self.outgoing += data[: self.takes]
        return min(self.takes, len(data))

    def close(self) -> None:
        self.closed = True
        self._check()


@pytest.fixture
def channel() -> FakeChannel:
    return FakeChannel()


@pytest.fixture
def port(channel: FakeChannel) -> Port:
    port = Port(lambda: channel)
    port.connect()
    return port


def test_port_reads_and_writes(port: Port, channel: FakeChannel) -> None:
    assert port.read(0.0) == b"hi"
    assert port.write(b"frame", 0.0)
    assert channel.outgoing == b"frame"


def test_slow_line_gets_the_rest_of_a_frame_first(port: Port, channel: FakeChannel) -> None:
    channel.takes = 3
    assert port.write(b"frame1", 0.0)
    assert port.write(b"frame2", 0.0)
    assert channel.outgoing == b"frame1"


def test_full_line_drops_whole_frames(port: Port, channel: FakeChannel) -> None:
    channel.takes = 0
    assert port.write(bytes(BACKLOG), 0.0)
    assert not port.write(b"x", 0.0)
    channel.takes = BACKLOG
    assert not port.write(b"x", 0.0)  # there was no room when it came
    assert port.write(b"y", 0.0)
    assert channel.outgoing == bytes(BACKLOG) + b"y"


@pytest.mark.parametrize("action", ["read", "write"])
def test_vanished_port_is_closed_and_opened_again_after_a_pause(
    port: Port, channel: FakeChannel, action: str
) -> None:
    channel.broken = True
    if action == "read":
        assert port.read(10.0) == b""
    else:
        assert not port.write(b"frame", 10.0)
    assert channel.closed
    assert not port.connected
    assert not port.write(b"frame", 10.0)
    channel.broken = False
    assert port.read(10.0 + BACKOFF_FIRST / 2) == b""
    assert not port.connected
    assert port.read(10.0 + BACKOFF_FIRST) == b"hi"
    assert port.connected


def test_pauses_between_tries_grow_to_a_limit() -> None:
    tries: list[float] = []
    now = 0.0

    def fail() -> FakeChannel:
        tries.append(now)
        raise OSError("absent")

    port = Port(fail)
    while now < 20.0:
        port.read(now)
        now += 0.01
    pauses = [b - a for a, b in pairwise(tries)]
    assert pauses[0] == pytest.approx(BACKOFF_FIRST, abs=0.011)
    assert max(pauses) == pytest.approx(BACKOFF_LAST, abs=0.011)
    assert pauses == sorted(pauses, key=lambda p: round(p, 1))


def test_closing_twice_is_harmless(port: Port) -> None:
    port.close()
    port.close()
    assert not port.connected


# ---- a pty ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def line() -> Iterator[tuple[int, str]]:
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    name = os.ttyname(theirs)
    yield ours, name
    for fd in (ours, theirs):
        with contextlib.suppress(OSError):
            os.close(fd)


def test_serial_channel_speaks_over_a_pty(line: tuple[int, str]) -> None:
    ours, name = line
    channel = SerialChannel(name, 921_600)
    assert channel.read() == b""
    assert channel.write(b"to the device") == 13
    assert os.read(ours, 100) == b"to the device"
    os.write(ours, b"\x00\xfd\x11\x13\r\n\xff")
    assert channel.read() == b"\x00\xfd\x11\x13\r\n\xff"
    channel.close()


def test_serial_channel_never_waits_for_a_full_line(line: tuple[int, str]) -> None:
    channel = SerialChannel(line[1], 921_600)
    taken = [channel.write(bytes(4096)) for _ in range(100)]  # nobody reads: a waiting write would hang here
    assert 0 in taken
    channel.close()


def test_serial_channel_says_that_the_device_is_gone(line: tuple[int, str]) -> None:
    ours, name = line
    channel = SerialChannel(name, 921_600)
    os.close(ours)
    with pytest.raises(OSError, match=r"gone|Input/output"):
        channel.read()
    channel.close()


def test_serial_channel_hears_the_end_of_file(line: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    ours, name = line
    channel = SerialChannel(name, 921_600)
    os.write(ours, b"x")
    monkeypatch.setattr(os, "read", lambda *_: b"")
    with pytest.raises(OSError, match=r"the device is gone"):
        channel.read()
    monkeypatch.undo()
    channel.close()


def test_impossible_speed_is_an_oserror(line: tuple[int, str]) -> None:
    with pytest.raises(OSError, match=r"(?i)baud"):
        SerialChannel(line[1], -1)


@pytest.mark.parametrize("bad", [termios.error(5, "Input/output error"), OverflowError("too large")])
def test_device_that_vanishes_while_it_is_opened_is_an_oserror(
    monkeypatch: pytest.MonkeyPatch, bad: Exception
) -> None:
    def vanish(*_args: object, **_options: object) -> None:
        raise bad

    monkeypatch.setattr(serial, "Serial", vanish)
    port = Port(lambda: SerialChannel("/dev/ttyACM0", 921_600))
    assert port.read(0.0) == b""
    assert not port.connected


def test_descriptor_beyond_what_select_can_hold_is_read(line: tuple[int, str]) -> None:
    """A host with many files open, or one that leaks them, must not lose the link for it."""
    ours, name = line
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1100:
        pytest.skip("this machine allows fewer descriptors than select can hold")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1100), hard))
    channel = SerialChannel(name, 921_600)
    own, channel._fd = channel._fd, fcntl.fcntl(channel._fd, fcntl.F_DUPFD_CLOEXEC, 1050)
    try:
        assert channel.read() == b""
        os.write(ours, b"x")
        assert channel.read() == b"x"
    finally:
        os.close(channel._fd)
        channel._fd = own
        channel.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_two_programs_cannot_hold_one_line(line: tuple[int, str]) -> None:
    first = open_port(line[1], 921_600)
    with pytest.raises(LinkError, match=r"no other program"):
        open_port(line[1], 921_600)
    first.close()


# ---- sockets -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["socket", "unix"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    if request.param == "unix":
        path = tmp_path / "uart"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        url = f"unix://{path}"
    else:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        url = f"socket://127.0.0.1:{listener.getsockname()[1]}"
    listener.listen()
    yield listener, url
    listener.close()


def eventually(channel: SocketChannel) -> bytes:
    """Loopback delivers soon, not at once."""
    for _ in range(1000):
        data = channel.read()
        if data:
            return data
        time.sleep(0.001)
    return b""


def test_socket_channel_speaks(server: tuple[socket.socket, str]) -> None:
    listener, url = server
    channel = SocketChannel(url)
    peer, _ = listener.accept()
    assert channel.read() == b""
    assert channel.write(b"hello") == 5
    assert peer.recv(10) == b"hello"
    peer.send(b"world")
    assert eventually(channel) == b"world"
    peer.close()
    with pytest.raises(OSError, match=r"closed the connection"):
        eventually(channel)
    channel.close()


def test_socket_channel_never_waits_for_a_full_line(server: tuple[socket.socket, str]) -> None:
    listener, url = server
    channel = SocketChannel(url)
    peer, _ = listener.accept()
    taken = [
        channel.write(bytes(65_536)) for _ in range(1000)
    ]  # nobody reads: a waiting write would hang here
    assert 0 in taken
    peer.close()
    channel.close()


def test_missing_socket_is_a_clear_error(server: tuple[socket.socket, str]) -> None:
    listener, url = server
    listener.close()
    with pytest.raises(LinkError, match=r"cannot open port .*(refused|No such file)"):
        open_port(url if "socket" in url else url + "-absent", 0)


def test_socket_that_never_answers_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeguard.link.transport._ready", lambda *_: False)
    with pytest.raises(LinkError, match=r"timed out"):
        open_port("socket://127.0.0.1:9", 0)


@pytest.mark.parametrize("url", ["socket://localhost:banana", "socket://localhost:99999", "socket://[::1:5"])
def test_impossible_address_is_a_clear_error(url: str) -> None:
    with pytest.raises(LinkError, match=r"cannot open port .*check the path"):
        open_port(url, 0)


def test_socket_that_comes_back_is_awaited_without_waiting(
    server: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, url = server
    port = open_port(url, 0)
    peer, _ = listener.accept()
    port._lost(0.0)
    peer.close()
    monkeypatch.setattr("edgeguard.link.transport._ready", lambda *_: pytest.fail("waited on the frame path"))
    port.read(1.0)
    assert port.connected
    monkeypatch.undo()
    again, _ = listener.accept()
    assert port.write(b"back", 1.0)
    assert again.recv(10) == b"back"
    again.close()
    port.close()


# ---- finding the device ----------------------------------------------------------------------------------------------


class Found:
    def __init__(self, device: str) -> None:
        self.device = device


def test_auto_takes_the_only_device(line: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_ports, "comports", lambda: [Found(line[1])])
    port = open_port("auto", 921_600)
    assert port.connected
    port.close()


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ([], "finds no serial device"),
        (["/dev/ttyACM0", "/dev/ttyUSB0"], "finds several: /dev/ttyACM0, /dev/ttyUSB0"),
    ],
)
def test_auto_does_not_guess(devices: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_ports, "comports", lambda: [Found(d) for d in devices])
    with pytest.raises(LinkError, match=message):
        open_port("auto", 921_600)


def test_auto_finds_a_device_that_comes_back_under_another_name(
    line: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pty.openpty()
    monkeypatch.setattr(list_ports, "comports", lambda: [Found(os.ttyname(theirs))])
    port = open_port("auto", 921_600)
    os.close(theirs)
    os.close(ours)
    assert port.read(1.0) == b""
    assert not port.connected
    monkeypatch.setattr(list_ports, "comports", list)
    port.read(2.0)
    assert not port.connected
    monkeypatch.setattr(list_ports, "comports", lambda: [Found(line[1])])
    port.read(9.0)
    assert port.connected
    port.close()
