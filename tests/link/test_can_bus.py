"""CAN FD: one frame is one message, and nothing else on the bus is taken for one. On python-can's virtual bus."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.errors import LinkError
from edgeguard.link import link_over, wire
from edgeguard.link.can_bus import READ_MESSAGES, SIZES, TO_HOST_ID, TO_MCU_ID, CanChannel, pad, split, unpad
from edgeguard.link.transport import Port, open_port
from edgeguard.program import ActuatorLimit
from edgeguard.types import Authority

can = pytest.importorskip("can", reason="python-can is not installed: pip install 'edgeguard-runtime[can]'")

Mcu = Any
PORT = "can:virtual/edgeguard"
POLICY = sha256(b"the policy").digest()
ACTUATORS = tuple(ActuatorLimit(name, 0.0, 1.0, 4.0, 4.0, 1.0) for name in ("brake", "throttle"))


@pytest.fixture
def bus() -> Iterator[Any]:
    """The microcontroller's end."""
    with can.Bus(interface="virtual", channel="edgeguard", fd=True) as bus:
        yield bus


@pytest.fixture
def channel(bus: Any) -> Iterator[CanChannel]:
    channel = CanChannel(PORT)
    yield channel
    channel.close()


def message(data: bytes, **changes: object) -> Any:
    fields: dict[str, Any] = {"arbitration_id": TO_HOST_ID, "is_extended_id": False, "is_fd": True, **changes}
    return can.Message(data=data, **fields)


def raw(number: int = wire.COMMAND) -> bytes:
    frame = wire.RawFrame(number, 255, 1, 0, bytes([0x80]) * wire.DIALECT[number][0])
    return wire.pack(frame, sequence=0, stamp=0, key=bytes(32))


def messages(bus: Any) -> list[Any]:
    found = []
    while (one := bus.recv(timeout=0.0)) is not None:
        found.append(one)
    return found


@pytest.mark.parametrize("number", wire.DIALECT)
def test_padding_ends_where_the_frame_says(number: int) -> None:
    frame = raw(number)
    padded = pad(frame)
    assert len(padded) in SIZES
    assert len(padded) - len(frame) < 16
    assert unpad(padded) == frame


@given(st.binary(max_size=64))
def test_what_is_not_one_padded_frame_is_nothing(data: bytes) -> None:
    assert unpad(data) in (b"", data.rstrip(b"\x00"), data)


@pytest.mark.parametrize(
    "data",
    [b"", raw()[:48], b"\x00" + raw(), raw() + b"\x01" + bytes(6), raw(), b"\xfd" + bytes([40]) + bytes(62)],
    ids=["empty", "cut", "shifted", "followed", "unpadded", "too-long"],
)
def test_broken_message_is_dropped(bus: Any, channel: CanChannel, data: bytes) -> None:
    assert unpad(data) == b""


def test_frames_are_messages_of_their_own(bus: Any, channel: CanChannel) -> None:
    frames = raw() + raw(wire.OPEN)
    assert channel.write(frames) == len(frames)
    sent = messages(bus)
    assert [unpad(bytes(one.data)) for one in sent] == [raw(), raw(wire.OPEN)] == list(split(frames))
    assert {(one.arbitration_id, one.is_fd, one.is_extended_id) for one in sent} == {(TO_MCU_ID, True, False)}


def test_only_the_microcontrollers_messages_are_read(bus: Any, channel: CanChannel) -> None:
    for one in (
        message(pad(raw()), arbitration_id=TO_MCU_ID),
        message(pad(raw()), arbitration_id=TO_HOST_ID, is_extended_id=True),
        message(b"\xfd1234567", is_fd=False),
        message(b"", is_error_frame=True),
        message(pad(raw(wire.STATUS))),
        message(bytes(64)),
    ):
        bus.send(one)
    assert channel.read() == raw(wire.STATUS)
    assert channel.read() == b""


def test_flooded_bus_is_read_a_little_at_a_time(bus: Any, channel: CanChannel) -> None:
    for _ in range(READ_MESSAGES + 1):
        bus.send(message(pad(raw())))
    assert len(channel.read()) == READ_MESSAGES * len(raw())
    assert channel.read() == raw()


def test_session_opens_over_the_bus(mcu: Mcu, bus: Any) -> None:
    port = open_port(PORT, 0)
    link = link_over(port, key=mcu.key, policy_hash=POLICY, actuators=ACTUATORS)

    def exchange(now: float) -> None:
        for frame in split(mcu.read(now)):
            bus.send(message(pad(frame)))
        link.poll(now)
        for one in messages(bus):
            assert mcu.write(unpad(bytes(one.data)), now)

    mcu.hello()
    exchange(0.0)
    mcu.status()
    exchange(0.02)
    assert link.status.state == "open"
    link.send({}, Authority.MODEL, 0.02)
    exchange(0.04)
    assert len(mcu.commands()) == 2
    link.close()
    assert not port.connected


@pytest.mark.parametrize("code", [None, errno.ENOBUFS, errno.ENODEV])
def test_full_bus_waits_and_a_vanished_one_is_lost(
    bus: Any, channel: CanChannel, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise can.CanOperationError("no", code)

    monkeypatch.setattr(channel._bus, "send", fail)
    port = Port(lambda: channel)
    port.connect()
    assert port.write(raw(), 0.0) == port.connected == (code != errno.ENODEV)


def test_bus_that_cannot_be_read_is_lost(
    bus: Any, channel: CanChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise can.CanOperationError("no")

    monkeypatch.setattr(channel._bus, "recv", fail)
    with pytest.raises(OSError, match="no"):
        channel.read()


@pytest.mark.parametrize("port", ["can:", "can:virtual", "can:virtual/", "can:/can0"])
def test_port_that_names_no_bus_is_a_clear_error(port: str) -> None:
    with pytest.raises(LinkError, match=rf"port `{port}` names no bus: write it as can:INTERFACE/CHANNEL"):
        open_port(port, 0)


@pytest.mark.parametrize("port", ["can:nonsense/x", "can:socketcan/nocan0"])
def test_bus_that_is_not_there_is_a_clear_error(port: str) -> None:
    with pytest.raises(LinkError, match=rf"cannot open port `{port}`"):
        open_port(port, 0)


def test_without_python_can_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "can", None)
    with pytest.raises(LinkError, match=r"needs python-can: `pip install 'edgeguard-runtime\[can\]'`"):
        open_port(PORT, 0)
