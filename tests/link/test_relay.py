"""A panel elsewhere holds the operator's key: the host hands its frames on, and can read and write none of them."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgeguard.link import OperatorSession, messages, open_link, wire
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.link.link import TransportLink
from edgeguard.link.relay import ROOM
from edgeguard.program import ActuatorLimit
from edgeguard.types import Authority

Mcu = Any


@dataclass(slots=True)
class Line:
    """The line to a panel, both ends."""

    said: bytes = b""
    shown: bytes = b""
    closed: bool = False
    connected: bool = True

    def read(self, now: float) -> bytes:
        data, self.said = self.said, b""
        return data

    def write(self, data: bytes, now: float) -> bool:
        self.shown += data
        return True

    def close(self) -> None:
        self.closed = True


def request(link: int = wire.OPERATOR_TO_MCU, message: int = wire.COMMAND, key: bytes = bytes(32)) -> bytes:
    payload = bytes([0x80]) * wire.DIALECT[message][0]
    frame = wire.RawFrame(message, wire.SYSTEM_HOST, wire.COMPONENT, link, payload)
    return wire.pack(frame, sequence=0, stamp=0, key=key)


def test_panel_arms_over_a_host_that_does_not_hold_its_key(mcu: Mcu, plain: TransportLink) -> None:
    panel = OperatorSession(TEST_OPERATOR_KEY, plain._session.policy)
    panel.arm(0.0)
    mcu.flags |= messages.READY
    mcu.offer()
    plain.poll(0.0)
    plain.relay(panel.receive(plain.take_offers(), 0.0), 0.0)
    assert [asked.action for asked in mcu.asked] == [2]
    assert plain.status.rejected == 0


def test_offer_is_neither_refused_nor_trusted(mcu: Mcu, plain: TransportLink) -> None:
    before = plain.status
    raw = mcu.offer(mode=1)
    plain.poll(0.02)
    assert plain.take_offers() == raw
    assert plain.take_offers() == b""
    after = plain.status
    assert (after.rejected, after.received, after.mcu_mode) == (before.rejected, before.received, "silent")


def test_offer_that_nobody_can_check_here_is_handed_on_as_it_came(mcu: Mcu, plain: TransportLink) -> None:
    frame = wire.RawFrame(
        wire.OFFER, wire.SYSTEM_MCU, wire.COMPONENT, wire.MCU_TO_OPERATOR, bytes(19) + b"\x80"
    )
    mcu.to_host = forged = wire.pack(frame, sequence=0, stamp=0, key=bytes(32))
    plain.poll(0.02)
    assert plain.take_offers() == forged


def test_host_with_the_operators_key_hands_nothing_on(mcu: Mcu, open_session: TransportLink) -> None:
    mcu.offer()
    open_session.poll(0.02)
    assert open_session.take_offers() == b""


def test_only_the_newest_offers_are_kept(mcu: Mcu, plain: TransportLink) -> None:
    offers = [mcu.offer() for _ in range(wire.FOREIGN_KEPT + 3)]
    plain.poll(0.02)
    assert plain.take_offers() == b"".join(offers[3:])


def test_reflected_request_of_the_operator_is_refused(mcu: Mcu, plain: TransportLink) -> None:
    mcu.to_host = request()
    plain.poll(0.02)
    assert (plain.take_offers(), plain.status.rejected) == (b"", 1)


@pytest.mark.parametrize(
    "raw",
    [
        request(wire.TO_MCU, key=TEST_KEY),
        request(wire.MCU_TO_OPERATOR, wire.OFFER),
        request(wire.OPERATOR_TO_MCU, wire.OPEN),
        request(wire.MCU_TO_OPERATOR, wire.COMMAND),
        request(7),
        b"rubbish",
    ],
)
def test_panel_puts_nothing_else_on_the_line(mcu: Mcu, plain: TransportLink, raw: bytes) -> None:
    plain.relay(raw, 0.0)
    assert (mcu.heard, mcu.asked) == ([], [])
    assert plain.status.rejected == (raw != b"rubbish")


def test_frame_of_a_panel_in_two_pieces_is_put_together(mcu: Mcu, plain: TransportLink) -> None:
    raw = request(key=TEST_OPERATOR_KEY)
    plain.relay(raw[:20], 0.0)
    plain.relay(raw[20:], 0.0)
    assert len(mcu.asked) == 1


def test_flooding_panel_does_not_crowd_the_host_out(mcu: Mcu, plain: TransportLink) -> None:
    for _ in range(3):
        plain.relay(request(key=TEST_OPERATOR_KEY) * 2, 0.0)
    assert (len(mcu.asked), plain.status.dropped) == (ROOM, 2)
    plain.send({}, Authority.MODEL, 0.0)
    assert len(mcu.commands()) == 2
    plain.poll(0.02)
    plain.relay(request(key=TEST_OPERATOR_KEY), 0.02)
    assert len(mcu.asked) == ROOM + 1


def test_without_a_session_nothing_is_relayed(mcu: Mcu, link: TransportLink) -> None:
    link.relay(request(key=TEST_OPERATOR_KEY), 0.0)
    assert (mcu.asked, link.status.dropped) == ([], 1)


def test_full_line_drops_what_the_panel_sent(mcu: Mcu, plain: TransportLink) -> None:
    mcu.room = False
    plain.relay(request(key=TEST_OPERATOR_KEY), 0.0)
    assert plain.status.dropped == 1


def test_what_waits_dies_with_the_port(mcu: Mcu, plain: TransportLink) -> None:
    mcu.offer()
    plain.poll(0.02)
    plain.relay(request(key=TEST_OPERATOR_KEY)[:20], 0.02)
    mcu.connected = False
    plain.poll(0.04)
    assert plain.take_offers() == b""


def test_panel_on_a_line_of_its_own_is_served_by_every_poll(mcu: Mcu, plain: TransportLink) -> None:
    line = Line()
    served = TransportLink(mcu, plain._session, line)
    served.poll(0.02)
    assert line.shown == b""
    operator = OperatorSession(TEST_OPERATOR_KEY, plain._session.policy)
    operator.arm(0.02)
    mcu.flags |= messages.READY
    mcu.offer()
    served.poll(0.04)
    line.said = operator.receive(line.shown, 0.04)
    served.poll(0.06)
    assert [asked.action for asked in mcu.asked] == [2]
    served.close()
    assert line.closed


def test_panel_that_is_not_there_yet_keeps_nobody_waiting(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as mcu, socket.socket(socket.AF_UNIX) as panel:
        mcu.bind(f"{tmp_path}/mcu")
        mcu.listen()
        link = open_link(
            f"unix://{tmp_path}/mcu",
            key=TEST_KEY,
            policy_hash=bytes(32),
            actuators=(ActuatorLimit("brake", 0.0, 1.0, 4.0, 4.0, 1.0),),
            panel=f"unix://{tmp_path}/panel",
        )
        link.poll(0.0)
        assert link.status.state == "waiting"
        panel.bind(f"{tmp_path}/panel")
        panel.listen()
        link.poll(10.0)
        accepted, _ = panel.accept()
        accepted.close()
        link.close()
