from __future__ import annotations

import math
from typing import Any

import pytest

from edgeguard.errors import LinkError
from edgeguard.link import link_over, open_link, wire
from edgeguard.link.keys import TEST_KEY
from edgeguard.link.link import TransportLink
from edgeguard.program import ActuatorLimit
from edgeguard.types import Authority

Mcu = Any
BRAKE = ActuatorLimit("brake", 0.0, 1.0, 4.0, 4.0, 1.0)


def test_vanished_port_closes_the_link_and_its_return_opens_it(mcu: Mcu, open_session: TransportLink) -> None:
    mcu.connected = False
    open_session.poll(0.02)
    assert (open_session.status.state, open_session.status.mcu_mode) == ("closed", "unknown")
    open_session.poll(0.04)
    assert open_session.status.reason == "the port is closed"
    mcu.connected = True
    mcu.hello()
    open_session.poll(0.06)
    assert open_session.status.state == "opening"


def test_port_that_vanishes_while_sending_closes_the_link(mcu: Mcu, open_session: TransportLink) -> None:
    mcu.connected = False
    open_session.send({}, Authority.MODEL, 0.02)
    assert open_session.status.state == "closed"
    assert open_session.status.dropped == 1


def test_full_line_drops_the_command_and_counts_it(mcu: Mcu, open_session: TransportLink) -> None:
    mcu.room = False
    open_session.send({}, Authority.MODEL, 0.02)
    assert (open_session.status.state, open_session.status.dropped) == ("open", 1)


def test_closing_gives_authority_up(mcu: Mcu, open_session: TransportLink) -> None:
    open_session.close()
    assert [(m, p[30]) for m, p in mcu.heard] == [(wire.COMMAND, 3)]
    assert not mcu.connected
    assert open_session.status.state == "closed"


def test_closing_without_a_session_says_nothing(mcu: Mcu, link: TransportLink) -> None:
    link.close()
    assert mcu.heard == []


@pytest.mark.parametrize("operator_key", [b"short", TEST_KEY])
def test_operators_key_must_be_32_bytes_of_its_own(mcu: Mcu, operator_key: bytes) -> None:
    with pytest.raises(LinkError, match=r"operator's key must be 32 bytes, and another than the device key"):
        link_over(mcu, key=TEST_KEY, policy_hash=bytes(32), actuators=(BRAKE,), operator_key=operator_key)


@pytest.mark.parametrize("changes", [{"key": b"short"}, {"policy_hash": b"short"}])
def test_key_and_policy_hash_must_be_32_bytes(mcu: Mcu, changes: dict[str, bytes]) -> None:
    arguments: dict[str, Any] = {"key": TEST_KEY, "policy_hash": bytes(32), "actuators": (BRAKE,), **changes}
    with pytest.raises(LinkError, match=r"32 bytes each"):
        link_over(mcu, **arguments)


def test_policy_without_actuators_has_no_link(mcu: Mcu) -> None:
    with pytest.raises(LinkError, match=r"no actuator"):
        link_over(mcu, key=TEST_KEY, policy_hash=bytes(32), actuators=())


@pytest.mark.parametrize("high", [2001.0, math.inf, math.nan])
def test_actuator_that_the_wire_cannot_hold_is_refused(mcu: Mcu, high: float) -> None:
    wild = ActuatorLimit("winch", 0.0, high, 1.0, 1.0, 0.0)
    with pytest.raises(LinkError, match=r"`winch`: min, max and safe must lie within 2000"):
        link_over(mcu, key=TEST_KEY, policy_hash=bytes(32), actuators=(wild,))


@pytest.mark.parametrize("valid", [0.0, -1.0, math.inf, math.nan])
def test_commands_must_be_valid_for_a_time(mcu: Mcu, valid: float) -> None:
    with pytest.raises(LinkError, match=r"valid for a time"):
        link_over(mcu, key=TEST_KEY, policy_hash=bytes(32), actuators=(BRAKE,), valid=valid)


def test_missing_port_is_a_clear_error() -> None:
    with pytest.raises(
        LinkError, match=r"cannot open port `/dev/does-not-exist`: No such file or directory; check the path"
    ):
        open_link("/dev/does-not-exist", key=TEST_KEY, policy_hash=bytes(32), actuators=(BRAKE,))


def test_nonces_are_fresh_by_default(mcu: Mcu) -> None:
    link = link_over(mcu, key=TEST_KEY, policy_hash=mcu_policy(mcu), actuators=(BRAKE, BRAKE))
    for nonce in (b"nonce--1", b"nonce--2"):
        mcu.nonce = nonce
        mcu.hello()
        link.poll(0.0)
    (_, first), (_, second) = mcu.heard
    assert first[8:16] != second[8:16]


def mcu_policy(mcu: Mcu) -> bytes:
    raw = mcu.hello()
    mcu.to_host = b""
    return bytes(raw[26:42]) + bytes(16)
