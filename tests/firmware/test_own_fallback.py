"""What the microcontroller knows and does by itself: emergency stop, feedback, its own rules, latches, two keys."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edgeguard.link import wire
from edgeguard.link.messages import Action, Offer
from edgeguard.program import (
    ActuatorLimit,
    Feedback,
    LocalRule,
    Microcontroller,
    Program,
    Relation,
    SensorSpec,
    Term,
)
from edgeguard.types import Authority, Command

Peer = Any
STEP = 0.02
GROUND, SPEED = 0, 1


@pytest.fixture
def cell(program: Program, make_peer: Callable[[Program], Peer]) -> Peer:
    """A machine with an emergency stop, a measured brake, two sensors and two rules of its own."""
    brake, throttle = program.envelope
    rules = (
        LocalRule(1, "", (Term(GROUND, Relation.BELOW, 3.0),), Command({"brake": 0.2, "throttle": 0.1})),
        LocalRule(
            2,
            "",
            (Term(GROUND, Relation.AT_LEAST, 3.0), Term(SPEED, Relation.ABOVE, 1.0)),
            Command({"brake": 0.6, "throttle": 0.0}),
        ),
    )
    peer = make_peer(
        replace(
            program,
            envelope=(replace(brake, feedback=Feedback(lead=0.25, max_age=0.050)), throttle),
            microcontroller=Microcontroller(
                stop=True,
                sensors=(SensorSpec("ground", 0.0, 40.0, 0.100), SensorSpec("speed", -5.0, 5.0, 0.100)),
                rules=rules,
            ),
        )
    )
    peer.mcu.measure("brake", 1.0)
    return peer


def follow(peer: Peer, seconds: float, ground: float = 10.0, speed: float = 0.0) -> None:
    """Let time pass while every sensor reads and the brake follows its output."""
    for _ in range(round(seconds / 0.01)):
        peer.mcu.measure("brake", peer.mcu.outputs["brake"])
        peer.mcu.sense("ground", ground)
        peer.mcu.sense("speed", speed)
        peer.wait(0.01)


def enable(peer: Peer) -> None:
    peer.open()
    for _ in range(6):
        peer.command()
        follow(peer, STEP)
    peer.ask_to_arm()
    assert peer.mcu.mode == "enabled"


# ---- the operator's key ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [Action.ARM, Action.RELEASE])
def test_the_hosts_key_neither_arms_nor_releases(peer: Peer, action: Action) -> None:
    peer.open()
    peer.make_ready()
    peer.mcu.feed(peer.request(action=int(action), source=int(Authority.HUMAN)))
    assert (peer.mcu.mode, peer.mcu.facts.refusal) == ("silent", "key-wrong")


def test_the_operators_key_does_not_command(peer: Peer) -> None:
    peer.enable()
    peer.mcu.feed(peer.by_operator(Action.SET, value=0))
    assert peer.mcu.facts.refusal == "key-wrong"


def test_the_operator_takes_authority_away(peer: Peer) -> None:
    peer.enable()
    peer.mcu.feed(peer.by_operator(Action.DISARM))
    assert (peer.mcu.mode, peer.mcu.facts.reason) == ("fallback_only", "disarmed")


def test_a_request_on_the_operators_link_signed_with_the_hosts_key_is_forged(peer: Peer) -> None:
    peer.open()
    peer.make_ready()
    peer.operator_key = peer.key
    peer.ask_to_arm()
    assert (peer.mcu.mode, peer.mcu.facts.refusal) == ("silent", "signature-wrong")


def test_the_operators_recorded_arm_request_is_refused(peer: Peer) -> None:
    peer.open()
    peer.make_ready()
    recorded = peer.by_operator(Action.ARM)
    peer.mcu.feed(recorded)
    assert peer.mcu.mode == "enabled"
    peer.mcu.feed(peer.request(action=int(Action.DISARM)))
    peer.make_ready()
    peer.mcu.feed(recorded)
    assert (peer.mcu.mode, peer.mcu.facts.refusal) == ("fallback_only", "counter-old")


def test_the_hosts_and_the_operators_counters_are_their_own(peer: Peer) -> None:
    peer.operator_counter = 1000
    peer.open()
    peer.operator_counter = 1000
    peer.make_ready()
    peer.ask_to_arm()
    peer.command()
    assert (peer.mcu.mode, peer.mcu.facts.rejected) == ("enabled", 0)


def test_the_operator_is_offered_the_state_ten_times_a_second_and_at_once_when_it_changes(peer: Peer) -> None:
    peer.open()
    peer.make_ready()
    peer.frames()
    offers = []
    for _ in range(10):
        peer.wait(0.1)
        offers += [f for f in peer.frames() if f.message == wire.OFFER]
    assert {frame.link for frame in offers} == {wire.MCU_TO_OPERATOR}
    assert 9 <= len(offers) <= 11
    peer.make_ready()
    peer.frames()
    peer.ask_to_arm()
    peer.wait(0.001)
    [offer] = [Offer.parse(f.payload) for f in peer.frames() if f.message == wire.OFFER]
    assert offer.mode == 1


# ---- emergency stop --------------------------------------------------------------------------------------------------


def test_emergency_stop_takes_authority_and_overrides_the_rules(cell: Peer) -> None:
    enable(cell)
    cell.mcu.press_stop()
    for _ in range(50):
        cell.command()
        follow(cell, STEP, ground=1.0)
    assert (cell.mcu.mode, cell.mcu.facts.reason) == ("fallback_only", "stopped")
    assert cell.mcu.outputs == {"brake": 1.0, "throttle": 0.0}


def test_emergency_stop_holds_until_the_operator_releases_it_and_arms_again(cell: Peer) -> None:
    enable(cell)
    cell.mcu.press_stop()
    follow(cell, STEP)
    cell.mcu.release_stop()
    assert cell.mcu.facts.latches == ("stop",)
    for _ in range(6):
        cell.command()
        follow(cell, STEP)
    cell.ask_to_arm()
    assert (cell.mcu.mode, cell.mcu.facts.refusal) == ("fallback_only", "latched")
    cell.ask_to_release()
    assert (cell.mcu.mode, cell.mcu.facts.latches) == ("fallback_only", ())
    cell.ask_to_arm()
    assert cell.mcu.mode == "enabled"


@pytest.mark.parametrize("pressed_when", ["enabled", "fallback_only"])
def test_releasing_the_stop_starts_no_rule_of_its_own(cell: Peer, pressed_when: str) -> None:
    enable(cell)
    if pressed_when == "fallback_only":
        follow(cell, 1.0, ground=2.9)
        assert cell.mcu.outputs == {"brake": 0.2, "throttle": 0.1}
    cell.mcu.press_stop()
    follow(cell, 1.0, ground=2.9)
    cell.mcu.release_stop()
    cell.command()
    cell.ask_to_release()
    assert (cell.mcu.facts.latches, cell.mcu.facts.reason) == ((), "stopped")
    follow(cell, 1.0, ground=2.9)
    assert (cell.mcu.mode, cell.mcu.outputs) == ("fallback_only", {"brake": 1.0, "throttle": 0.0})


def test_nothing_is_released_while_the_stop_is_pressed(cell: Peer) -> None:
    enable(cell)
    cell.mcu.press_stop()
    follow(cell, STEP)
    cell.ask_to_release()
    assert (cell.mcu.facts.refusal, cell.mcu.facts.latches) == ("stop-pressed", ("stop",))


def test_stop_pressed_while_silent_keeps_from_arming(cell: Peer) -> None:
    cell.mcu.press_stop()
    cell.open()
    for _ in range(6):
        cell.command()
        follow(cell, STEP)
    cell.ask_to_arm()
    assert (cell.mcu.mode, cell.mcu.facts.refusal) == ("silent", "latched")


def test_machine_without_an_emergency_stop_ignores_its_contact(peer: Peer) -> None:
    peer.enable()
    peer.mcu.press_stop()
    peer.command()
    peer.wait(STEP)
    assert (peer.mcu.mode, peer.mcu.facts.stopped) == ("enabled", False)


# ---- measured feedback -----------------------------------------------------------------------------------------------


def test_output_stays_within_its_lead_of_the_measured_position(cell: Peer) -> None:
    enable(cell)
    for _ in range(40):  # the brake is stuck where it was
        cell.command(brake=0.0)
        cell.mcu.measure("brake", 0.9)
        cell.wait(STEP)
    assert cell.mcu.mode == "enabled"
    assert cell.mcu.outputs["brake"] == pytest.approx(0.65)


@pytest.mark.parametrize("value", [-0.26, 1.26, 2000.0])
def test_impossible_position_takes_authority(cell: Peer, value: float) -> None:
    enable(cell)
    cell.mcu.measure("brake", value)
    cell.wait(0.001)
    assert (cell.mcu.mode, cell.mcu.facts.reason) == ("fallback_only", "feedback-lost")
    assert cell.mcu.facts.latches == ("feedback",)


def test_old_position_takes_authority(cell: Peer) -> None:
    enable(cell)
    cell.mcu.measure("brake", 0.5)
    cell.wait(0.050)
    assert cell.mcu.mode == "enabled"
    cell.wait(0.001)
    assert cell.mcu.facts.reason == "feedback-lost"


def test_position_that_the_board_calls_invalid_takes_authority(cell: Peer) -> None:
    enable(cell)
    cell.mcu.measure("brake", 0.5, valid=False)
    cell.wait(0.001)
    assert cell.mcu.facts.reason == "feedback-lost"


def test_nobody_is_armed_without_a_position(cell: Peer) -> None:
    cell.open()
    for _ in range(6):
        cell.command()
        cell.wait(STEP)
    cell.ask_to_arm()
    assert (cell.mcu.mode, cell.mcu.facts.refusal) == ("silent", "not-ready")


def test_lost_position_does_not_hold_the_fallback_up(cell: Peer) -> None:
    enable(cell)
    for _ in range(20):
        cell.command(brake=0.0)
        follow(cell, STEP)
    assert cell.mcu.outputs["brake"] < 0.1
    cell.wait(0.5)
    assert cell.mcu.outputs["brake"] == 1.0


# ---- its own rules ---------------------------------------------------------------------------------------------------


def test_first_local_rule_that_holds_acts_without_the_host(cell: Peer) -> None:
    enable(cell)
    follow(cell, 1.0, ground=2.9)
    assert cell.mcu.facts.reason == "host-lost"
    assert cell.mcu.outputs == {"brake": 0.2, "throttle": 0.1}
    follow(cell, 1.0, ground=3.0, speed=1.1)
    assert cell.mcu.outputs == {"brake": 0.6, "throttle": 0.0}
    follow(cell, 1.0, ground=3.0, speed=1.0)
    assert cell.mcu.outputs == {"brake": 1.0, "throttle": 0.0}


@pytest.mark.parametrize("fault", ["old", "invalid", "out of range"])
def test_rule_over_a_sensor_at_fault_does_not_hold(cell: Peer, fault: str) -> None:
    enable(cell)
    follow(cell, 1.0, ground=2.9)
    if fault == "invalid":
        cell.mcu.sense("ground", 1.0, valid=False)
    elif fault == "out of range":
        cell.mcu.sense("ground", -0.1)
    cell.wait(0.102 if fault == "old" else 0.001)
    cell.wait(1.0)
    assert cell.mcu.outputs == {"brake": 1.0, "throttle": 0.0}


def test_local_rules_have_no_say_before_anybody_was_armed(cell: Peer) -> None:
    follow(cell, 1.0, ground=1.0)
    assert (cell.mcu.mode, cell.mcu.outputs) == ("silent", {"brake": 1.0, "throttle": 0.0})


# ---- authority -------------------------------------------------------------------------------------------------------


def test_source_below_the_tables_authority_is_refused_and_is_no_sign_of_life(
    program: Program, make_peer: Callable[[Program], Peer]
) -> None:
    brake, throttle = program.envelope
    peer = make_peer(replace(program, envelope=(replace(brake, authority=Authority.RULES), throttle)))
    peer.open()
    for _ in range(6):
        peer.command(source=Authority.MODEL)
        peer.wait(STEP)
    assert not peer.mcu.facts.ready
    peer.mcu.feed(peer.request(source=int(Authority.MODEL)))
    assert peer.mcu.facts.refusal == "not-allowed"
    for _ in range(6):
        peer.command(source=Authority.RULES)
        peer.wait(STEP)
    peer.ask_to_arm()
    assert peer.mcu.mode == "enabled"


# ---- what survives a reset -------------------------------------------------------------------------------------------


def test_reset_while_enabled_latches_and_leaves_no_leap(peer: Peer) -> None:
    peer.enable()
    for _ in range(20):
        peer.command(brake=0.2)
        peer.wait(STEP)
    before = peer.mcu.outputs["brake"]
    peer.mcu.reset()
    assert (peer.mcu.mode, peer.mcu.facts.reason) == ("silent", "reset")
    assert peer.mcu.facts.latches == ("reset",)
    assert peer.mcu.outputs["brake"] == before
    peer.wait(0.1)
    assert peer.mcu.outputs["brake"] == pytest.approx(before + 0.4)
    peer.wait(0.2)
    assert peer.mcu.outputs == {"brake": 1.0, "throttle": 0.0}
    peer.open()
    peer.make_ready()
    peer.ask_to_arm()
    assert peer.mcu.facts.refusal == "latched"
    peer.ask_to_release()
    peer.ask_to_arm()
    assert peer.mcu.mode == "enabled"


def test_latches_survive_a_reset(cell: Peer) -> None:
    cell.mcu.press_stop()
    cell.wait(STEP)
    cell.mcu.reset()
    cell.mcu.release_stop()
    cell.wait(STEP)
    assert cell.mcu.facts.latches == ("stop",)


def test_lockout_of_damaged_memory_stays_latched_over_a_reset(peer: Peer) -> None:
    peer.enable()
    peer.mcu.corrupt_output("throttle", 0.1)  # inside the envelope: only the second copy knows better
    peer.wait(0.001)
    assert (peer.mcu.mode, peer.mcu.facts.reason) == ("lockout", "state-invalid")
    peer.mcu.reset()
    assert (peer.mcu.mode, peer.mcu.facts.latches) == ("silent", ("memory", "reset"))


def test_core_with_nothing_sound_to_begin_anew_from_gives_no_pair_that_a_stage_would_take(peer: Peer) -> None:
    peer.enable()
    peer.mcu.corrupt_kept()
    peer.mcu.corrupt_output("throttle", 0.1)
    for _ in range(3):
        peer.wait(0.001)
        assert (peer.mcu.mode, peer.mcu.facts.reason) == ("lockout", "state-invalid")
        for actuator in ("brake", "throttle"):
            value, check = peer.mcu.drive(actuator)
            assert check != value ^ 0xFFFF_FFFF


def test_loss_of_power_starts_at_the_safe_values(peer: Peer) -> None:
    peer.enable()
    peer.command(brake=0.0)
    peer.wait(0.1)
    peer.mcu.reboot()
    assert (peer.mcu.outputs, peer.mcu.facts.latches) == ({"brake": 1.0, "throttle": 0.0}, ())


# ---- the output stage ------------------------------------------------------------------------------------------------


def test_output_stage_gets_every_value_with_its_complement(
    program: Program, make_peer: Callable[[Program], Peer]
) -> None:
    limits = (ActuatorLimit("steer", -30.0, 30.0, math.inf, math.inf, -1.0), program.envelope[1])
    peer = make_peer(replace(program, envelope=limits))
    peer.wait(STEP)
    assert peer.mcu.drive("steer") == (2**32 - 1_000_000, 999_999)
    assert peer.mcu.drive("throttle") == (0, 2**32 - 1)
