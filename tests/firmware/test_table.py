from __future__ import annotations

import math
from dataclasses import replace

import pytest

from edgeguard.errors import LinkError, PolicyError
from edgeguard.link import link_over
from edgeguard.link.keys import TEST_KEY
from edgeguard.policy.emit_c import emit
from edgeguard.policy.fits import MOST_ACTUATORS
from edgeguard.program import ActuatorLimit, LinkSettings, Program
from edgeguard.types import Authority
from hil import firmware
from hil.mcu import VirtualMcu, build

BRAKE = ActuatorLimit("brake", 0.0, 1.0, 4.0, 4.0, 1.0)


def test_same_policy_gives_the_same_bytes(program: Program) -> None:
    assert emit(program) == emit(replace(program))


def test_numbers_are_those_of_the_policy(program: Program) -> None:
    text = emit(program)
    assert (
        "{.min = 0, .max = 1000000, .rise = 4000000, .fall = 4000000, .safe = 1000000, .lead = 0, "
        ".feedback_age_us = 0u, .authority = 0u}, /* brake */" in text
    )
    assert ".rise = 1000000, .fall = 2147483647, .safe = 0, .lead = 0, " in text
    assert ".lost_us = 120000u" in text
    assert ".degraded_us = 50000u" in text
    assert f".policy_hash = 0x{int.from_bytes(bytes.fromhex(program.digest)[:4], 'little'):08x}u" in text


def test_policy_without_a_link_gets_the_default_times(program: Program) -> None:
    assert ".lost_us = 120000u" in emit(replace(program, link=None))


def test_name_of_the_policy_cannot_end_the_comment(program: Program) -> None:
    assert "*/ int evil" not in emit(replace(program, name="x */ int evil; /*"))


@pytest.mark.parametrize(
    ("limit", "problem"),
    [
        (replace(BRAKE, name="a b"), "`a b` is no actuator name"),
        (replace(BRAKE, name='x"'), "is no actuator name"),
        (replace(BRAKE, high=math.inf), "min, max and safe must lie within"),
        (replace(BRAKE, low=math.nan), "min, max and safe must lie within"),
        (replace(BRAKE, high=2001.0), "min, max and safe must lie within"),
        (replace(BRAKE, safe=1.5), "safe must lie between min and max"),
        (replace(BRAKE, rise=0.0), "rise must be 0.001/s to 2000/s, or absent"),
        (replace(BRAKE, fall=-1.0), "fall must be"),
        (replace(BRAKE, fall=math.nan), "fall must be"),
        (replace(BRAKE, rise=2001.0), "rise must be"),
    ],
)
def test_envelope_that_the_microcontroller_cannot_hold_is_refused(
    program: Program, limit: ActuatorLimit, problem: str
) -> None:
    with pytest.raises(PolicyError, match=problem):
        emit(replace(program, envelope=(limit,)))


@pytest.mark.parametrize(
    "envelope",
    [(), (BRAKE, BRAKE), tuple(replace(BRAKE, name=f"a{i}") for i in range(MOST_ACTUATORS + 1))],
)
def test_number_and_names_of_actuators_are_checked(
    program: Program, envelope: tuple[ActuatorLimit, ...]
) -> None:
    with pytest.raises(PolicyError):
        emit(replace(program, envelope=envelope))


@pytest.mark.parametrize("lost", [0.001, 11.0, math.nan])
def test_times_that_the_microcontroller_cannot_keep_are_refused(program: Program, lost: float) -> None:
    with pytest.raises(PolicyError, match=r"`lost_after`"):
        emit(replace(program, link=LinkSettings(lost_after=lost)))


@pytest.mark.parametrize(("baud", "most"), [(921_600, 16), (115_200, 2), (9600, 0)])
def test_more_actuators_than_the_line_carries_are_refused(program: Program, baud: int, most: int) -> None:
    """Both directions at their rates may fill at most three quarters of the line: 10 bits a byte."""
    for count in range(1, MOST_ACTUATORS + 1):
        many = replace(
            program,
            envelope=tuple(replace(BRAKE, name=f"a{i}") for i in range(count)),
            link=LinkSettings(baud=baud),
        )
        if count <= most:
            emit(many)
        else:
            with pytest.raises(PolicyError, match=rf"a line of {baud} baud carries {most} "):
                emit(many)


def test_control_period_at_which_nobody_could_ever_arm_is_refused(program: Program) -> None:
    """Arming takes five commands, each within a third of `lost_after` of the one before."""
    emit(replace(program, link=LinkSettings(lost_after=0.060), period=0.020))
    with pytest.raises(PolicyError, match=r"could never be armed: make `lost_after` at least 0\.06 s"):
        emit(replace(program, link=LinkSettings(lost_after=0.059), period=0.020))


def test_commands_faster_than_the_line_carries_are_refused(program: Program) -> None:
    many = tuple(replace(BRAKE, name=f"a{i}") for i in range(12))
    emit(replace(program, envelope=many))
    with pytest.raises(PolicyError, match=r"a line of 921600 baud carries 6 "):
        emit(replace(program, envelope=many, period=0.005))


def test_reports_of_the_most_actuators_find_room(program: Program) -> None:
    many = tuple(replace(BRAKE, name=f"a{i}") for i in range(MOST_ACTUATORS))
    program = replace(program, envelope=many)
    mcu = VirtualMcu(program)
    link = link_over(mcu.transport(), key=TEST_KEY, policy_hash=bytes.fromhex(program.digest), actuators=many)
    for step in range(50):
        link.poll(step * 0.02)
        link.send({}, Authority.SAFE_STATE, step * 0.02)
    assert len(link.status.outputs) == MOST_ACTUATORS
    assert mcu.facts.dropped == 0


def test_most_actuators_build_and_answer(program: Program) -> None:
    many = tuple(replace(BRAKE, name=f"a{i}") for i in range(MOST_ACTUATORS))
    assert len(VirtualMcu(replace(program, envelope=many)).outputs) == MOST_ACTUATORS


def test_missing_compiler_is_a_clear_error(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(LinkError, match=r"built with `no-such-compiler` and `make`.*apt-get install"):
        build(program, "lib")


def test_failing_compiler_is_a_clear_error(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firmware, "emit", lambda _: "#error not a table\n")
    with pytest.raises(LinkError, match=r"(?s)building the firmware failed: .*not a table"):
        build(program, "lib")
