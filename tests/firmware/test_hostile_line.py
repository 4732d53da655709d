from __future__ import annotations

import ctypes
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeguard.link import link_over, messages, wire
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.program import Program
from edgeguard.types import Authority
from hil.mcu import VirtualMcu

Peer = Any
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)


def accepted(peer: Peer) -> int:
    """Counter of the last command that the microcontroller accepted."""
    peer.wait(0.021)
    found: int = peer.statuses()[-1].counter_echo
    return found


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"session": bytes(8)}, "session-wrong"),
        ({"counter": 1}, "counter-old"),
        ({"counter": 0}, "counter-old"),
        ({"policy_hash": 0}, "not-the-policy"),
        ({"mcu_ms_echo": 0}, "too-old"),
        ({"mcu_ms_echo": 2**32 - 1}, "too-old"),
        ({"data_id": 0}, "data-id-wrong"),
        ({"data_id": messages.DATA_ID + 1}, "data-id-wrong"),
        ({"actuator": 2, "data_id": messages.DATA_ID + 2}, "no-such-actuator"),
        ({"actuator": 255, "data_id": messages.DATA_ID + 255}, "no-such-actuator"),
        ({"source": 4}, "no-such-source"),
        ({"action": 0}, "no-such-action"),
        ({"action": 2, "source": 2}, "key-wrong"),
        ({"action": 4, "source": 2}, "key-wrong"),
        ({"action": 5}, "no-such-action"),
        ({"action": 255}, "no-such-action"),
        ({"flags": 0}, "flags-wrong"),
        ({"flags": 0x81}, "flags-wrong"),
    ],
)
def test_command_with_one_wrong_field_is_refused(
    peer: Peer, changes: dict[str, object], refusal: str
) -> None:
    peer.open()
    peer.wait(0.2)  # old enough that a clock of 0 is stale
    peer.mcu.feed(peer.request())
    peer.mcu.feed(peer.request(**changes))
    assert peer.mcu.facts.refusal == refusal
    assert peer.mcu.facts.rejected == 1
    assert accepted(peer) == 1


@pytest.mark.parametrize(("age", "fine"), [(99, True), (100, True), (101, False)])
def test_command_older_than_it_says_is_refused(peer: Peer, age: int, fine: bool) -> None:
    peer.open()
    peer.wait(0.5)
    peer.mcu.feed(peer.request(mcu_ms_echo=round(peer.mcu.now * 1000) - age))
    assert (peer.mcu.facts.refusal == "") is fine


@pytest.mark.parametrize(("age", "fine"), [(150, True), (151, False)])
def test_no_command_is_valid_for_longer_than_the_table_says(peer: Peer, age: int, fine: bool) -> None:
    peer.open()
    peer.wait(0.5)
    peer.mcu.feed(peer.request(mcu_ms_echo=round(peer.mcu.now * 1000) - age, valid_ms=65_535))
    assert (peer.mcu.facts.refusal == "") is fine


def test_replayed_command_is_refused(peer: Peer) -> None:
    peer.open()
    raw = peer.request()
    peer.mcu.feed(raw + raw)
    assert peer.mcu.facts.refusal == "counter-old"


def test_reordered_commands_keep_the_newest(peer: Peer) -> None:
    peer.open()
    older, newer = peer.request(), peer.request()
    peer.mcu.feed(newer + older)
    assert peer.mcu.facts.refusal == "counter-old"
    assert accepted(peer) == 2


def test_replayed_open_is_refused(peer: Peer) -> None:
    raw = peer.open()
    peer.mcu.feed(raw)
    assert peer.mcu.facts.refusal == "nonce-wrong"


def test_session_recorded_before_a_reboot_is_refused_after_it(peer: Peer) -> None:
    recorded = peer.open()
    for _ in range(5):
        for actuator in range(2):
            raw = peer.request(actuator=actuator, data_id=messages.DATA_ID + actuator)
            peer.mcu.feed(raw)
            recorded += raw
        peer.wait(0.02)
    recorded += peer.request(action=2, source=2)
    peer.mcu.reboot(seed=b"another seed 16b")
    peer.mcu.feed(recorded)
    assert peer.mcu.mode == "silent"
    assert peer.mcu.facts.rejected == 12


def test_nonce_of_every_boot_and_session_is_a_new_one(program: Program) -> None:
    nonces = []
    for boot in range(3):
        mcu = VirtualMcu(program, seed=bytes([boot]) * 16)
        for _ in range(3):
            link = link_over(
                mcu.transport(),
                key=TEST_KEY,
                policy_hash=bytes.fromhex(program.digest),
                actuators=program.envelope,
            )
            for step in range(20):
                link.poll(mcu.now + step * 0.02)
            assert link.status.state == "open"
            nonces.append(link._session._mcu_nonce)
    assert len(set(nonces)) == 9


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"mcu_nonce": bytes(8)}, "nonce-wrong"),
        ({"policy": bytes(16)}, "not-the-policy"),
        ({"protocol": 1}, "protocol-wrong"),
        ({"flags": 0}, "flags-wrong"),
    ],
)
def test_open_with_one_wrong_field_is_refused(peer: Peer, changes: dict[str, object], refusal: str) -> None:
    peer.open(**changes)
    assert peer.mcu.facts.refusal == refusal
    peer.mcu.feed(peer.request())
    assert peer.mcu.facts.refusal == "session-wrong"


@pytest.mark.parametrize("changes", [{"system": 1}, {"component": 2}, {"link": 1}])
def test_frame_that_does_not_come_from_the_host_is_refused(peer: Peer, changes: dict[str, int]) -> None:
    peer.open()
    raw = peer.request()
    peer.mcu.feed(peer.raw(wire.COMMAND, raw[10:-15], **changes))
    assert peer.mcu.facts.refusal == "direction-wrong"


def test_reflected_frames_are_refused(peer: Peer) -> None:
    peer.open()
    peer.wait(0.5)
    own = peer.mcu.take()
    frames = len(peer.frames(own))
    peer.mcu.feed(own)
    assert peer.mcu.facts.refusal == "direction-wrong"
    assert peer.mcu.facts.rejected == frames > 10


@pytest.mark.parametrize("message", [wire.HELLO, wire.STATUS])
def test_message_of_the_microcontroller_is_refused_from_the_host(peer: Peer, message: int) -> None:
    peer.mcu.feed(peer.raw(message, bytes([0x80]) * wire.DIALECT[message][0]))
    assert peer.mcu.facts.refusal == "direction-wrong"


def test_forged_frames_are_refused_and_counted(peer: Peer) -> None:
    peer.open()
    peer.key = bytes(32)
    for _ in range(3):
        peer.mcu.feed(peer.request())
    assert peer.mcu.facts.refusal == "signature-wrong"
    assert peer.mcu.facts.rejected == 3


def test_command_without_any_session_is_refused(peer: Peer) -> None:
    peer.mcu.feed(peer.request(session=bytes(8)))
    assert peer.mcu.facts.refusal == "session-wrong"


@SHARED
@given(bit=st.integers(0, 57 * 8 - 1))
def test_flipped_bit_is_refused(program: Program, make_peer: Any, bit: int) -> None:
    peer = make_peer(program)
    peer.open()
    raw = bytearray(peer.request())
    raw[bit // 8] ^= 1 << bit % 8
    peer.mcu.feed(bytes(raw))
    assert accepted(peer) == 0


@SHARED
@given(length=st.integers(0, 56))
def test_truncated_command_is_refused_and_the_next_is_heard(
    program: Program, make_peer: Any, length: int
) -> None:
    peer = make_peer(program)
    peer.open()
    peer.mcu.feed(peer.request()[:length])
    assert accepted(peer) == 0
    peer.mcu.feed(peer.request() + peer.request())
    assert accepted(peer) >= 2


@SHARED
@given(rubbish=st.lists(st.binary(max_size=100) | st.just(b"\xfd\x27\x01\x00"), max_size=10))
def test_rubbish_changes_nothing_and_the_link_recovers(
    program: Program, make_peer: Any, rubbish: list[bytes]
) -> None:
    peer = make_peer(program)
    for piece in rubbish:
        peer.mcu.feed(piece)
    assert (peer.mcu.mode, peer.mcu.outputs) == ("silent", {"brake": 1.0, "throttle": 0.0})
    peer.mcu.feed(bytes(64))  # ends whatever frame the rubbish seemed to begin
    peer.enable()


@SHARED
@given(
    payload=st.binary(min_size=32, max_size=32),
    message=st.sampled_from([wire.OPEN, wire.COMMAND]),
)
def test_owner_of_the_key_who_talks_nonsense_never_gets_authority(
    program: Program, make_peer: Any, payload: bytes, message: int
) -> None:
    peer = make_peer(program)
    body = (payload + bytes(8))[: wire.DIALECT[message][0]]
    peer.mcu.feed(peer.raw(message, body[:-1] + b"\x80"))
    peer.wait(0.1)
    assert (peer.mcu.mode, peer.mcu.outputs) == ("silent", {"brake": 1.0, "throttle": 0.0})


@SHARED
@given(
    fields=st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "value": st.integers(-(2**31), 2**31 - 1),
                "source": st.integers(0, 255),
                "action": st.sampled_from([0, 1, 1, 1, 2, 3, 4, 255]),
                "actuator": st.integers(0, 3),
                "valid_ms": st.integers(0, 65_535),
                "policy_hash": st.integers(0, 2**32 - 1),
            },
        ).filter(lambda f: (f.get("action"), f.get("source")) != (2, int(Authority.HUMAN))),
        max_size=30,
    )
)
def test_nothing_but_an_operators_arm_request_moves_an_output(
    program: Program, make_peer: Any, fields: list[dict[str, int]]
) -> None:
    """With the key, in an open session and ready to arm: every other request leaves the outputs where they are."""
    peer = make_peer(program)
    peer.open()
    for _ in range(5):
        peer.command()
        peer.wait(0.02)
    assert peer.mcu.facts.ready
    for changes in fields:
        changes.setdefault("data_id", messages.DATA_ID + changes.get("actuator", 0))
        peer.mcu.feed(peer.request(**changes))
        peer.wait(0.005)
        assert (peer.mcu.mode, peer.mcu.outputs) == ("silent", {"brake": 1.0, "throttle": 0.0})


def test_clock_of_49_days_wraps_unnoticed(program: Program) -> None:
    """`mcu_ms` starts again at zero after 2**32 ms; age is a difference modulo 2**32."""
    start = 2**32 / 1000 - 1.0
    mcu = VirtualMcu(program, now=start)
    link = link_over(
        mcu.transport(),
        key=TEST_KEY,
        policy_hash=bytes.fromhex(program.digest),
        actuators=program.envelope,
        operator_key=TEST_OPERATOR_KEY,
    )
    link.arm(start)
    for step in range(100):
        link.poll(start + step * 0.02)
        link.send({"brake": 0.2, "throttle": 0.3}, Authority.MODEL, start + step * 0.02)
    assert (mcu.mode, mcu.facts.rejected) == ("enabled", 0)


def test_clock_that_goes_backwards_locks_out(mcu: VirtualMcu, peer: Peer) -> None:
    """A board that reads its clock, then takes bytes in, then ticks with what it read: every age would be wrong."""
    peer.enable()
    read_at = mcu._us
    mcu.hold_up(0.025)
    peer.command()
    mcu._lib.eg_device_tick(mcu._device, ctypes.c_uint64(read_at + 24_970))
    assert (mcu.mode, mcu.facts.reason, mcu.facts.latches) == ("lockout", "state-invalid", ("memory",))


def test_flood_of_unread_status_drops_whole_frames(mcu: VirtualMcu, peer: Peer) -> None:
    peer.open()
    mcu.advance(20.0)
    assert mcu.facts.dropped > 0
    assert len(peer.frames()) > 10
    peer.now = 20.0
    peer.wait(0.02)
    assert len([frame for frame in peer.frames() if frame.message == wire.STATUS]) == 2
