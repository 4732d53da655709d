from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from edgeguard.link import messages
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.link.link import TransportLink
from edgeguard.program import ActuatorLimit, Program
from edgeguard.types import Authority
from hil.mcu import VirtualMcu

Peer = Any
STEP = 0.02


def test_boots_silent_at_the_safe_values(mcu: VirtualMcu) -> None:
    assert mcu.mode == "silent"
    assert mcu.outputs == {"brake": 1.0, "throttle": 0.0}
    mcu.advance(10.0)
    assert mcu.mode == "silent"
    assert mcu.outputs == {"brake": 1.0, "throttle": 0.0}


def test_commands_alone_move_nothing(peer: Peer) -> None:
    peer.open()
    for _ in range(50):
        peer.command()
        peer.wait(STEP)
    assert peer.mcu.mode == "silent"
    assert peer.mcu.outputs == {"brake": 1.0, "throttle": 0.0}


@pytest.mark.parametrize("count", range(5))
def test_fewer_than_five_commands_do_not_arm(peer: Peer, count: int) -> None:
    peer.open()
    for _ in range(count):
        peer.command()
        peer.wait(STEP)
    peer.ask_to_arm()
    assert peer.mcu.mode == "silent"
    assert peer.mcu.facts.refusal == "not-ready"


def test_five_commands_and_an_arm_request_enable(peer: Peer) -> None:
    peer.enable()
    assert peer.mcu.facts.reason == "armed"
    peer.wait(0.01)
    assert peer.mcu.outputs["brake"] < 1.0


def test_every_actuator_needs_its_five_commands(peer: Peer) -> None:
    peer.open()
    for _ in range(10):
        peer.mcu.feed(peer.request())
        peer.wait(STEP)
    peer.ask_to_arm()
    assert peer.mcu.mode == "silent"


def test_a_late_command_starts_the_count_again(peer: Peer) -> None:
    peer.open()
    for _ in range(4):
        peer.command()
        peer.wait(STEP)
    peer.wait(0.051)
    peer.command()
    peer.ask_to_arm()
    assert peer.mcu.mode == "silent"


def test_a_refused_command_starts_the_count_again(peer: Peer) -> None:
    peer.open()
    for _ in range(5):
        peer.command()
        peer.wait(STEP)
    assert peer.mcu.facts.ready
    peer.mcu.feed(peer.request(policy_hash=1))
    peer.wait(0.001)
    assert not peer.mcu.facts.ready
    peer.ask_to_arm()
    assert peer.mcu.mode == "silent"


@pytest.mark.parametrize("source", [Authority.MODEL, Authority.RULES, Authority.SAFE_STATE])
def test_only_the_operator_arms(peer: Peer, source: Authority) -> None:
    peer.open()
    for _ in range(5):
        peer.command()
        peer.wait(STEP)
    peer.ask_to_arm(source)
    assert peer.mcu.mode == "silent"
    assert peer.mcu.facts.refusal == "not-the-operator"


def test_fallback_latches_until_the_operator_arms_again(peer: Peer) -> None:
    peer.enable()
    peer.wait(0.2)
    assert peer.mcu.mode == "fallback_only"
    for _ in range(20):
        peer.command()
        peer.wait(STEP)
    assert peer.mcu.mode == "fallback_only"
    peer.ask_to_arm()
    assert peer.mcu.mode == "enabled"


def test_arming_after_a_fallback_needs_five_new_commands(peer: Peer) -> None:
    peer.enable()
    peer.wait(0.2)
    for _ in range(4):
        peer.command()
        peer.wait(STEP)
    peer.ask_to_arm()
    assert peer.mcu.mode == "fallback_only"


def test_disarm_falls_back_at_once(peer: Peer) -> None:
    peer.enable()
    peer.mcu.feed(peer.request(action=3, source=3))
    assert (peer.mcu.mode, peer.mcu.facts.reason) == ("fallback_only", "disarmed")


def test_new_session_disarms(peer: Peer) -> None:
    peer.enable()
    for _ in range(13):  # until the next HELLO
        peer.command()
        peer.wait(STEP)
    assert peer.mcu.mode == "enabled"
    hello = [f for f in peer.frames() if f.message == 52000][-1]
    peer.mcu.feed(
        peer.raw(
            52001, hello.payload[:8] + b"othernon" + bytes.fromhex(peer.program.digest)[:16] + b"\x02\x80"
        )
    )
    assert (peer.mcu.mode, peer.mcu.facts.reason) == ("fallback_only", "session-replaced")


def test_reboot_disarms(peer: Peer) -> None:
    peer.enable()
    peer.mcu.reboot()
    assert peer.mcu.mode == "silent"
    peer.command()
    assert peer.mcu.facts.refusal == "session-wrong"


def test_wrong_policy_hash_disarms(peer: Peer) -> None:
    peer.enable()
    peer.mcu.feed(peer.request(policy_hash=1))
    assert (peer.mcu.mode, peer.mcu.facts.reason) == ("fallback_only", "policy-mismatch")


def test_safe_state_gets_the_tables_value_whatever_it_says(peer: Peer) -> None:
    peer.enable()
    for _ in range(50):
        peer.command(brake=0.0, throttle=0.6, source=Authority.SAFE_STATE)
        peer.wait(STEP)
    assert peer.mcu.outputs == {"brake": 1.0, "throttle": 0.0}


@pytest.mark.parametrize("source", list(Authority))
def test_source_is_reported(peer: Peer, source: Authority) -> None:
    peer.enable()
    peer.command(source=source)
    peer.wait(0.001)
    assert peer.mcu.facts.source == source


def test_most_restrictive_source_is_reported(peer: Peer) -> None:
    peer.enable()
    peer.mcu.feed(peer.request(source=int(Authority.HUMAN)))
    peer.mcu.feed(peer.request(source=0, actuator=1, data_id=messages.DATA_ID + 1))
    peer.wait(0.001)
    assert peer.mcu.facts.source == Authority.HUMAN


def test_output_changed_in_memory_locks_out_at_the_safe_value(peer: Peer) -> None:
    peer.enable()
    peer.mcu.corrupt_output("throttle", 5.0)
    peer.wait(0.001)
    assert (peer.mcu.mode, peer.mcu.facts.reason) == ("lockout", "state-invalid")
    assert peer.mcu.outputs == {"brake": 1.0, "throttle": 0.0}


def test_lockout_ends_only_with_a_reset(peer: Peer) -> None:
    peer.enable()
    peer.mcu.corrupt_output("throttle", -5.0)
    peer.wait(0.5)
    peer.open()
    for _ in range(10):
        peer.command()
        peer.wait(STEP)
    assert peer.mcu.facts.refusal == "locked-out"
    peer.ask_to_arm()
    assert peer.mcu.mode == "lockout"
    peer.mcu.reboot()
    assert peer.mcu.mode == "silent"


@pytest.mark.parametrize(
    ("key", "operator_key"),
    [
        (TEST_KEY, bytes(range(32))),
        (bytes(range(32)), TEST_OPERATOR_KEY),
        (TEST_OPERATOR_KEY, bytes(range(32))),
        (bytes(range(32)), TEST_KEY),
        (bytes(range(32)), bytes(range(32))),
        (bytes(32), bytes(range(32))),
        (bytes(range(32)), b"\xff" * 32),
    ],
)
def test_release_build_refuses_a_public_key_a_blank_one_and_one_key_for_both(
    program: Program, key: bytes, operator_key: bytes
) -> None:
    released = VirtualMcu(program, release=True, key=key, operator_key=operator_key)
    assert (released.mode, released.facts.reason) == ("lockout", "key-refused")


def test_release_build_takes_two_keys_of_its_own(program: Program) -> None:
    assert (
        VirtualMcu(program, release=True, key=bytes(range(32)), operator_key=bytes(31) + b"\x01").mode
        == "silent"
    )


def test_request_to_arm_that_is_withdrawn_arms_nobody(mcu: VirtualMcu, link: TransportLink) -> None:
    link.arm(0.0)
    link.withdraw()
    for step in range(1, 60):
        link.poll(step * 0.02)
        link.send({"brake": 1.0, "throttle": 0.0}, Authority.SAFE_STATE, step * 0.02)
    assert (mcu.mode, link.status.ready) == ("silent", True)


def test_host_link_arms_and_commands(mcu: VirtualMcu, link: TransportLink) -> None:
    link.arm(0.0)
    for step in range(60):
        link.poll(step * STEP)
        link.send({"brake": 0.2, "throttle": 0.3}, Authority.MODEL, step * STEP)
    status = link.status
    assert (status.state, status.mcu_mode, status.source, status.reason) == (
        "open",
        "enabled",
        "model",
        "armed",
    )
    assert status.outputs == {"brake": 0.2, "throttle": 0.3}
    assert (status.rejected, status.crc_errors) == (0, 0)
    link.close()
    assert mcu.mode == "fallback_only"
    mcu.advance(5.0)
    assert mcu.outputs == {"brake": 1.0, "throttle": 0.0}


def test_host_link_reopens_after_a_reboot_and_needs_the_operator(
    mcu: VirtualMcu, link: TransportLink
) -> None:
    link.arm(0.0)
    now = 0.0
    for step in range(100):
        if step == 30:
            assert mcu.mode == "enabled"
            mcu.reboot()
        now = step * STEP
        link.poll(now)
        link.send({"brake": 0.2, "throttle": 0.3}, Authority.MODEL, now)
    assert (link.status.state, mcu.mode) == ("open", "silent")
    link.arm(now)
    for step in range(100, 110):
        link.poll(step * STEP)
        link.send({"brake": 0.2, "throttle": 0.3}, Authority.MODEL, step * STEP)
    assert mcu.mode == "enabled"


def test_restarted_host_takes_a_new_session(
    mcu: VirtualMcu, link: TransportLink, make_host: Callable[[], TransportLink]
) -> None:
    for step in range(10):
        link.poll(step * STEP)
    assert link.status.state == "open"
    second = make_host()
    for step in range(10, 40):
        second.poll(step * STEP)
    assert second.status.state == "open"


def test_unlimited_rates_and_wide_values_fit(with_envelope: Callable[..., Program]) -> None:
    wide = with_envelope(ActuatorLimit("winch", -2000.0, 2000.0, math.inf, math.inf, -2000.0))
    assert VirtualMcu(wide, sanitize=True).outputs == {"winch": -2000.0}
