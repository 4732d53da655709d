from __future__ import annotations

import math
from collections.abc import Callable
from hashlib import sha256
from struct import Struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeguard.link import link_over, messages, wire
from edgeguard.link.link import TransportLink
from edgeguard.link.session import COUNTER_LAST, NO_OPERATOR, OTHER_KEY, REMEMBERED
from edgeguard.types import Authority

POLICY = sha256(b"the policy").digest()
COMMAND = Struct("<8sIIIiHHBBBB")
Mcu = Any


def requests(mcu: Mcu) -> list[dict[str, Any]]:
    names = [
        "session",
        "counter",
        "echo",
        "policy",
        "value",
        "valid",
        "data_id",
        "source",
        "actuator",
        "action",
        "flags",
    ]
    return [dict(zip(names, COMMAND.unpack(p))) for p in mcu.commands()]


def test_without_a_microcontroller_it_waits(link: TransportLink) -> None:
    link.poll(0.0)
    assert link.status.state == "waiting"
    assert link.status.mcu_mode == "unknown"
    assert link.status.last_heard == -math.inf
    assert link.status.outputs == {}


def test_hello_is_answered_with_open(mcu: Mcu, link: TransportLink) -> None:
    mcu.hello()
    link.poll(1.0)
    assert link.status.state == "opening"
    assert [m for m, _ in mcu.heard] == [wire.OPEN]
    assert mcu.heard[0][1][:16] == b"mcunoncehostnonc"
    assert link.status.last_heard == -math.inf


def test_status_of_the_session_opens_it(open_session: TransportLink) -> None:
    status = open_session.status
    assert (status.state, status.mcu_mode, status.reason) == ("open", "silent", "booted")
    assert status.outputs == {"brake": 0.25}
    assert status.source == "safe_state"


def test_nothing_is_commanded_without_a_session(mcu: Mcu, link: TransportLink) -> None:
    link.send({"brake": 0.5}, Authority.MODEL, 0.0)
    assert mcu.heard == []
    assert link.status.dropped == 1


def test_every_actuator_is_commanded(mcu: Mcu, open_session: TransportLink) -> None:
    open_session.send({"brake": 0.5, "throttle": 0.25}, Authority.RULES, 0.01)
    first, second = requests(mcu)
    assert first == {
        "session": mcu.session,
        "counter": 1,
        "echo": 1000,
        "policy": int.from_bytes(open_session._session.policy[:4], "little"),
        "value": 500_000,
        "valid": 100,
        "data_id": 0xE600,
        "source": 1,
        "actuator": 0,
        "action": 1,
        "flags": 0x80,
    }
    assert (second["counter"], second["actuator"], second["value"], second["data_id"]) == (
        2,
        1,
        250_000,
        0xE601,
    )


def test_counters_strictly_increase(mcu: Mcu, open_session: TransportLink) -> None:
    for step in range(5):
        open_session.send({"brake": 0.5, "throttle": 0.0}, Authority.MODEL, step * 0.02)
    counters = [r["counter"] for r in requests(mcu)]
    assert counters == sorted(set(counters))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_value_that_is_missing_or_no_number_becomes_the_safe_value(
    mcu: Mcu, open_session: TransportLink, value: float | None
) -> None:
    command = {"throttle": 0.1} if value is None else {"brake": value, "throttle": 0.1}
    open_session.send(command, Authority.MODEL, 0.0)
    brake, throttle = requests(mcu)
    assert (brake["value"], brake["source"]) == (1_000_000, Authority.SAFE_STATE)
    assert (throttle["value"], throttle["source"]) == (100_000, Authority.MODEL)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.floats(allow_nan=False))
def test_sent_values_lie_in_the_envelope(mcu: Mcu, open_session: TransportLink, value: float) -> None:
    mcu.heard.clear()
    open_session.send({"brake": value, "throttle": value}, Authority.MODEL, 0.0)
    assert all(0 <= r["value"] <= (1_000_000, 600_000)[r["actuator"]] for r in requests(mcu))


def test_validity_is_never_longer_than_the_microcontroller_allows(mcu: Mcu, link: TransportLink) -> None:
    mcu.hello(valid_max_ms=40)
    link.poll(0.0)
    mcu.status()
    link.poll(0.0)
    link.send({}, Authority.MODEL, 0.0)
    assert requests(mcu)[0]["valid"] == 40


def test_host_with_the_operators_key_answers_an_offer(mcu: Mcu, open_session: TransportLink) -> None:
    open_session.arm(0.0)
    open_session.send({}, Authority.MODEL, 0.02)
    assert [r["action"] for r in requests(mcu)] == [1, 1]
    mcu.flags |= messages.READY
    mcu.offer()
    open_session.poll(0.04)
    (asked,) = mcu.asked
    assert (asked.action, asked.source, asked.mcu_ms_echo) == (2, Authority.HUMAN, mcu.mcu_ms)
    mcu.status(mode=1, reason=1)
    open_session.poll(0.05)
    assert (open_session.status.mcu_mode, open_session.status.reason) == ("enabled", "armed")


def test_release_is_an_act_of_its_own(mcu: Mcu, open_session: TransportLink) -> None:
    mcu.latches, mcu.flags = 0b0101, mcu.flags | messages.READY
    mcu.status()
    mcu.offer()
    open_session.poll(0.0)
    assert open_session.status.latches == ("stop", "memory")
    open_session.arm(0.0)
    mcu.offer()
    open_session.poll(0.02)
    assert mcu.asked == []
    open_session.release(0.02)
    mcu.offer()
    open_session.poll(0.04)
    assert [asked.action for asked in mcu.asked] == [4]


def test_why_the_operators_request_failed_is_told(mcu: Mcu, open_session: TransportLink) -> None:
    open_session.arm(0.0)
    mcu.status()
    open_session.poll(2.0)
    assert open_session.status.reason == "booted"
    mcu.status()
    open_session.poll(2.1)
    assert (
        open_session.status.reason
        == "booted; arm: not granted within 2 s: no offer came from the microcontroller"
    )


def test_host_without_the_operators_key_arms_and_releases_nothing_and_says_so(
    mcu: Mcu, plain: TransportLink
) -> None:
    mcu.flags |= messages.READY
    for ask in (plain.arm, plain.release):
        ask(0.0)
        mcu.status()
        mcu.offer()
        plain.poll(0.02)
        plain.send({}, Authority.MODEL, 0.02)
        assert (mcu.asked, {r["action"] for r in requests(mcu)}) == ([], {1})
        assert plain.status.reason == f"booted; {NO_OPERATOR}"
        mcu.status(mode=1, reason=1)  # somebody else armed it
        plain.poll(0.04)
        assert plain.status.reason == "armed"


def test_host_without_the_operators_key_has_no_request_to_withdraw(mcu: Mcu, plain: TransportLink) -> None:
    plain.arm(0.0)
    plain.withdraw()
    mcu.status()
    mcu.offer()
    plain.poll(0.02)
    assert mcu.asked == []


def test_stop_that_is_pressed_is_told(mcu: Mcu, open_session: TransportLink) -> None:
    mcu.status(latches=1, flags=0x84)
    open_session.poll(0.0)
    assert (open_session.status.stopped, open_session.status.latches) == (True, ("stop",))


def test_offer_that_is_forged_or_another_message_on_its_link_is_refused(
    mcu: Mcu, open_session: TransportLink
) -> None:
    raw = bytearray(mcu.offer())
    mcu.to_host = b""
    raw[-1] ^= 1
    mcu.to_host = bytes(raw)
    open_session.poll(0.02)
    assert open_session.status.rejected == 1
    mcu.say(wire.OFFER, bytes(19) + b"\x80", link=wire.TO_HOST)
    mcu.say(wire.OFFER, bytes(20), link=wire.MCU_TO_OPERATOR)
    open_session.poll(0.04)
    assert open_session.status.rejected == 3


def test_offer_of_another_session_is_refused(mcu: Mcu, open_session: TransportLink) -> None:
    open_session.arm(0.0)
    mcu.offer(session=b"another.", flags=0x80 | messages.READY)
    open_session.poll(0.02)
    assert (mcu.asked, open_session.status.rejected) == ([], 1)
    open_session.poll(0.2)
    assert open_session.status.state == "waiting"
    mcu.offer(session=b"", flags=0x80 | messages.READY)
    open_session.poll(0.22)
    assert (mcu.asked, open_session.status.rejected) == ([], 2)


def test_silence_ends_the_session(mcu: Mcu, open_session: TransportLink) -> None:
    open_session.poll(0.1)
    assert open_session.status.state == "open"
    open_session.poll(0.1001)
    assert (open_session.status.state, open_session.status.mcu_mode) == ("waiting", "unknown")
    assert open_session.status.outputs == {}


def test_open_without_an_answer_is_sent_again_as_it_was(mcu: Mcu, link: TransportLink) -> None:
    mcu.hello()
    link.poll(0.0)
    mcu.hello()
    link.poll(0.05)
    (_, first), (_, second) = mcu.heard
    assert first == second


def test_backlog_of_hellos_is_answered_once(mcu: Mcu, make_link: Callable[..., TransportLink]) -> None:
    """Each OPEN of its own would name a session that the microcontroller, having taken the first, never opens."""
    link = link_over(mcu, key=mcu.key, policy_hash=POLICY, actuators=make_link(mcu)._session.actuators)
    for _ in range(3):
        mcu.hello()
    link.poll(0.0)
    assert len(mcu.heard) == 1
    mcu.status()
    link.poll(0.02)
    assert link.status.state == "open"


def test_pending_arm_request_survives_a_session_that_failed_to_open(mcu: Mcu, link: TransportLink) -> None:
    link.arm(0.0)
    mcu.hello()
    link.poll(0.0)
    link.poll(0.2)
    assert link.status.state == "waiting"
    mcu.nonce = b"newnonce"
    mcu.hello()
    link.poll(0.25)
    mcu.flags |= messages.READY
    mcu.status()
    mcu.offer()
    link.poll(0.3)
    assert [asked.action for asked in mcu.asked] == [2]


def test_pending_arm_request_dies_with_the_port(mcu: Mcu, open_session: TransportLink) -> None:
    open_session.arm(0.0)
    mcu.connected = False
    open_session.poll(0.01)
    mcu.connected = True
    mcu.hello()
    open_session.poll(0.02)
    mcu.counter, mcu.flags = 0, mcu.flags | messages.READY
    mcu.status()
    mcu.offer()
    open_session.poll(0.03)
    assert (open_session.status.state, mcu.asked) == ("open", [])


def test_rebooted_microcontroller_gets_a_new_session(mcu: Mcu, open_session: TransportLink) -> None:
    open_session.poll(0.2)
    mcu.nonce = b"newnonce"
    mcu.counter = 0
    mcu.hello()
    open_session.poll(0.25)
    mcu.status()
    open_session.poll(0.27)
    assert open_session.status.state == "open"
    open_session.send({}, Authority.MODEL, 0.27)
    assert requests(mcu)[0]["counter"] == 1


def test_replayed_hello_does_not_end_a_session(mcu: Mcu, open_session: TransportLink) -> None:
    mcu.hello()
    open_session.poll(0.01)
    assert open_session.status.state == "open"
    assert mcu.heard == []


def test_replayed_hello_is_no_sign_of_life(mcu: Mcu, open_session: TransportLink) -> None:
    """A HELLO proves who wrote it, not when: whoever recorded one must not keep the link looking alive."""
    recorded = mcu.hello()
    mcu.to_host = b""
    for step in range(1, 20):
        mcu.to_host = recorded
        open_session.poll(step * 0.02)
        assert open_session.status.last_heard == 0.0


def test_replayed_status_is_refused(mcu: Mcu, open_session: TransportLink) -> None:
    old = mcu.status()
    open_session.poll(0.02)
    mcu.to_host = old
    open_session.poll(0.04)
    assert open_session.status.rejected == 1
    assert open_session.status.last_heard == 0.02


def test_status_of_another_session_is_refused(mcu: Mcu, open_session: TransportLink) -> None:
    mcu.status(session=b"another.")
    open_session.poll(0.02)
    assert open_session.status.rejected == 1


def test_status_of_an_unknown_actuator_is_refused(mcu: Mcu, open_session: TransportLink) -> None:
    mcu.status(actuator=2)
    open_session.poll(0.02)
    assert open_session.status.rejected == 1


def test_status_without_a_session_is_refused(mcu: Mcu, link: TransportLink) -> None:
    mcu.status(session=bytes(8))
    link.poll(0.0)
    assert (link.status.state, link.status.rejected) == ("waiting", 1)


@pytest.mark.parametrize("changes", [{"system": 255}, {"component": 2}, {"link": 0}])
def test_reflected_frame_is_refused(mcu: Mcu, link: TransportLink, changes: dict[str, int]) -> None:
    raw = mcu.hello()
    payload = raw[10:-15]
    mcu.to_host = b""
    mcu.say(wire.HELLO, payload, **changes)
    link.poll(0.0)
    assert (link.status.state, link.status.rejected) == ("waiting", 1)


def test_frame_with_the_fixed_flag_missing_is_refused(mcu: Mcu, link: TransportLink) -> None:
    mcu.hello(flags=0)
    link.poll(0.0)
    assert (link.status.state, link.status.rejected) == ("waiting", 1)


@pytest.mark.parametrize("message", [wire.OPEN, wire.COMMAND])
def test_message_of_the_host_is_refused_from_the_microcontroller(
    mcu: Mcu, link: TransportLink, message: int
) -> None:
    mcu.say(message, bytes([0x80]) * wire.DIALECT[message][0])
    link.poll(0.0)
    assert link.status.rejected == 1


def test_forged_frames_are_counted(mcu: Mcu, link: TransportLink) -> None:
    real, mcu.key = mcu.key, bytes(32)
    mcu.hello()
    link.poll(0.0)
    assert (link.status.state, link.status.rejected) == ("waiting", 1)
    assert link.status.reason == f"waiting for the microcontroller; {OTHER_KEY}"
    mcu.key = real
    mcu.hello()
    link.poll(0.0)
    assert link.status.reason == "opening a session"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"protocol": 9}, "the microcontroller speaks protocol 9, this host 2"),
        ({"policy": bytes(16)}, "the microcontroller holds policy 00000000"),
        ({"actuators": 3}, "the microcontroller has 3 actuators, the policy 2"),
    ],
)
def test_mismatch_is_not_opened_and_says_why(
    mcu: Mcu, link: TransportLink, changes: dict[str, object], reason: str
) -> None:
    mcu.hello(**changes)
    link.poll(0.0)
    assert link.status.state == "mismatch"
    assert link.status.reason.startswith(reason)
    assert mcu.heard == []
    link.poll(5.0)
    assert link.status.state == "mismatch"
    mcu.hello()
    link.poll(5.0)
    assert link.status.state == "opening"


def test_round_trip_leaves_out_the_wait_for_the_status(mcu: Mcu, open_session: TransportLink) -> None:
    open_session.send({}, Authority.MODEL, 1.0)
    mcu.status(counter_echo=2, age=150)
    open_session.poll(1.020)
    assert open_session.status.round_trip == pytest.approx(0.005)
    mcu.status(counter_echo=2, age=350)  # the same one again tells nothing new
    open_session.poll(1.040)
    assert open_session.status.round_trip == pytest.approx(0.005)


def test_only_the_newest_requests_are_remembered(mcu: Mcu, open_session: TransportLink) -> None:
    for _ in range(REMEMBERED):
        open_session.send({}, Authority.MODEL, 0.0)
    assert len(open_session._session._sent_at) == REMEMBERED


def test_counters_of_both_sides_add_up(mcu: Mcu, open_session: TransportLink) -> None:
    mcu.status(rejected=3, crc_errors=4, dropped=5, refusal=22, flags=0x81)
    mcu.to_host += b"\xfd\x24\x01\x00" + bytes(3) + (52000).to_bytes(3, "little") + bytes(60)
    open_session.poll(0.02)
    status = open_session.status
    assert (status.rejected, status.crc_errors, status.dropped) == (3, 5, 5)
    assert (status.refusal, status.degraded, status.ready) == ("counter-old", True, False)


def test_no_count_goes_back_when_the_microcontroller_resets(mcu: Mcu, open_session: TransportLink) -> None:
    mcu.status(rejected=300, crc_errors=40, dropped=5)
    open_session.poll(0.02)
    open_session.poll(0.2)  # silence: no session, and nothing known of it
    assert open_session.status.state == "waiting"
    before = open_session.status
    assert (before.rejected, before.crc_errors, before.dropped) == (300, 40, 5)
    mcu.nonce, mcu.counter = b"newnonce", 0
    mcu.hello()
    open_session.poll(0.25)
    mcu.status(rejected=2, crc_errors=41, dropped=0)  # a reset: its counts begin anew
    open_session.poll(0.27)
    after = open_session.status
    assert (after.rejected, after.crc_errors, after.dropped) == (302, 41, 5)


def test_no_count_goes_back_when_the_port_vanishes(mcu: Mcu, open_session: TransportLink) -> None:
    mcu.status(rejected=3, crc_errors=4, dropped=5)
    mcu.to_host += b"\xfd\x24\x01\x00" + bytes(3) + (52000).to_bytes(3, "little") + bytes(60)
    mcu.counter += 2
    mcu.status(rejected=3, crc_errors=4, dropped=5)
    open_session.poll(0.02)
    before = open_session.status
    assert (before.rejected, before.crc_errors, before.dropped, before.lost) == (3, 5, 5, 2)
    mcu.connected = False
    open_session.poll(0.04)
    mcu.connected = True
    open_session.poll(0.06)
    after = open_session.status
    names = ("sent", "received", "rejected", "crc_errors", "dropped", "lost")
    assert [getattr(after, name) >= getattr(before, name) for name in names] == [True] * 6


def test_codes_of_a_newer_firmware_are_shown_as_numbers(mcu: Mcu, open_session: TransportLink) -> None:
    mcu.status(mode=9, reason=99, refusal=98, source=97)
    open_session.poll(0.02)
    status = open_session.status
    assert (status.mcu_mode, status.reason, status.refusal, status.source) == (
        "code 9",
        "code 99",
        "code 98",
        "code 97",
    )


def test_session_ends_before_its_counter_wraps(mcu: Mcu, open_session: TransportLink) -> None:
    open_session._session._counter = COUNTER_LAST + 1
    open_session.send({}, Authority.MODEL, 0.0)
    assert mcu.commands() == []
    assert open_session.status.state == "waiting"


def test_used_up_session_still_hears_a_hello_in_two_pieces(mcu: Mcu, open_session: TransportLink) -> None:
    open_session._session._counter = COUNTER_LAST + 1
    open_session.send({}, Authority.MODEL, 0.0)
    mcu.nonce = b"newnonce"
    whole = mcu.hello()
    for step, piece in enumerate((whole[:20], whole[20:])):
        mcu.to_host = piece
        open_session.poll(0.02 * step)
        open_session.send({}, Authority.MODEL, 0.02 * step)
    assert open_session.status.state == "opening"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(data=st.binary(max_size=300))
def test_rubbish_never_raises_and_opens_nothing(make_link: Callable[..., TransportLink], data: bytes) -> None:
    class Line:
        connected = True

        def read(self, now: float) -> bytes:
            return data

        def write(self, data: bytes, now: float) -> bool:
            raise AssertionError(data)

        def close(self) -> None: ...

    link = make_link(Line())
    for step in range(3):
        link.poll(step * 0.02)
    assert link.status.state == "waiting"
