"""The firmware behind a CAN FD bus: python-can's virtual one, with the microcontroller's own clock at its other end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from edgeguard.link import link_over
from edgeguard.link.can_bus import TO_HOST_ID, TO_MCU_ID, pad, split, unpad
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.link.transport import open_port
from edgeguard.program import Program
from edgeguard.types import Authority
from hil.mcu import VirtualMcu

can = pytest.importorskip("can", reason="python-can is not installed: pip install 'edgeguard-runtime[can]'")
STEP = 0.02


@pytest.fixture
def bus() -> Iterator[Any]:
    with can.Bus(interface="virtual", channel="firmware", fd=True) as bus:
        yield bus


def exchange(bus: Any, mcu: VirtualMcu, now: float) -> None:
    while (message := bus.recv(timeout=0.0)) is not None:
        assert message.arbitration_id == TO_MCU_ID
        mcu.feed(unpad(bytes(message.data)))
    mcu.advance(now)
    for frame in split(mcu.take()):
        data = pad(frame)
        bus.send(can.Message(arbitration_id=TO_HOST_ID, is_extended_id=False, is_fd=True, data=data))


def test_host_is_armed_and_drives_over_the_bus(bus: Any, mcu: VirtualMcu, program: Program) -> None:
    link = link_over(
        open_port("can:virtual/firmware", 0),
        key=TEST_KEY,
        operator_key=TEST_OPERATOR_KEY,
        policy_hash=bytes.fromhex(program.digest),
        actuators=program.envelope,
    )
    link.arm(0.0)
    now = 0.0
    for _ in range(50):
        now += STEP
        exchange(bus, mcu, now)
        link.poll(now)
        link.send({"brake": 0.25, "throttle": 0.5}, Authority.MODEL, now)
    status = link.status
    assert (status.state, status.mcu_mode) == ("open", "enabled")
    assert mcu.outputs == {"brake": 0.25, "throttle": 0.5}
    # The first command found no session yet.
    assert (status.rejected, status.crc_errors, status.dropped, status.lost) == (0, 0, 1, 0)
    link.close()
    exchange(bus, mcu, now)
    assert mcu.facts.reason == "disarmed"
