"""The firmware on every board that can be started here: each test runs as a process and on both emulated boards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edgeguard.errors import UsageError
from edgeguard.link import open_link
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.link.link import TransportLink
from edgeguard.program import (
    Feedback,
    LinkSettings,
    LocalRule,
    Microcontroller,
    Program,
    Relation,
    SensorSpec,
    Term,
)
from edgeguard.types import Authority, Command
from hil import mcu_qemu
from hil.gdbstub import PC, SP
from hil.mcu import OutputRecord, ProcessMcu, start_mcu
from hil.mcu_qemu import QemuMcu
from hil.mcu_senses import SENSOR, record

pytestmark = pytest.mark.process
Mcu = ProcessMcu | QemuMcu

EMULATED = (
    pytest.mark.qemu,
    pytest.mark.skipif(not mcu_qemu.available(), reason="no qemu-system-arm or arm-none-eabi-gcc"),
)
QEMU = pytest.param("qemu", marks=EMULATED)
NETDUINO = pytest.param("qemu-netduino", marks=EMULATED)
ON_EVERY_BOARD = pytest.mark.parametrize("kind", ["process", QEMU, NETDUINO])
ON_TWO_BOARDS = pytest.mark.parametrize("kind", ["process", QEMU])
ON_EMULATED_BOARDS = pytest.mark.parametrize("kind", [QEMU, NETDUINO])
SAFE = {"brake": 1.0, "throttle": 0.0}
COMMAND = {"brake": 0.2, "throttle": 0.3}


@pytest.fixture
def program(program: Program) -> Program:
    """The policy of the other tests, with times that a busy machine keeps, too."""
    return replace(program, link=LinkSettings(lost_after=1.0))


@pytest.fixture
def cell(program: Program) -> Program:
    """A machine with an emergency stop, a measured brake, a sensor and a rule of its own."""
    brake, throttle = program.envelope
    rule = LocalRule(1, "", (Term(0, Relation.BELOW, 3.0),), Command({"brake": 0.6, "throttle": 0.1}))
    return replace(
        program,
        envelope=(replace(brake, feedback=Feedback(lead=1.0, max_age=1.0)), throttle),
        microcontroller=Microcontroller(
            stop=True, sensors=(SensorSpec("ground", 0.0, 40.0, 1.0),), rules=(rule,)
        ),
    )


@dataclass
class Host:
    """A host with the operator's key, which commands at 50 Hz for as long as it is told to wait for something."""

    mcu: Mcu
    link: TransportLink
    measured: bool = False
    ground: float | None = None
    talks: bool = True
    arms: bool = False

    def until(self, condition: Callable[[], object], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"it did not happen: {self.mcu.mode}, {self.link.status}"
            self.turn()

    def pass_time(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.turn()

    def turn(self) -> None:
        now = time.monotonic()
        if self.measured:
            self.mcu.measure("brake", 0.5)
        if self.ground is not None:
            self.mcu.sense("ground", self.ground)
        self.link.poll(now)
        if self.talks:
            if self.arms and self.link.status.mcu_mode != "enabled":
                self.link.arm(now)
            self.link.send(COMMAND, Authority.MODEL, now)
        time.sleep(0.02)

    def enable(self) -> None:
        self.talks = self.arms = True
        self.until(lambda: self.mcu.mode == "enabled" and self.mcu.outputs_now() == COMMAND)
        self.arms = False


@contextmanager
def host(mcu: Mcu, program: Program) -> Iterator[Host]:
    link = open_link(
        mcu.port,
        key=TEST_KEY,
        operator_key=TEST_OPERATOR_KEY,
        policy_hash=bytes.fromhex(program.digest),
        actuators=program.envelope,
        valid=1.0,
    )
    try:
        own = program.microcontroller
        yield Host(
            mcu, link, measured=program.envelope[0].feedback is not None, ground=10.0 if own.sensors else None
        )
    finally:
        link.close()


def brakes(mcu: Mcu, since: float) -> list[OutputRecord]:
    return [r for r in mcu.records() if r.actuator == "brake" and r.at > since]


# ---- every board -----------------------------------------------------------------------------------------------------


@ON_EVERY_BOARD
def test_board_boots_silent_and_safe(program: Program, kind: str) -> None:
    with start_mcu(kind, program) as mcu, host(mcu, program) as peer:
        peer.until(lambda: peer.link.status.ready)
        assert {r.mode for r in mcu.records()} == {"silent"}
        assert mcu.outputs_now() == SAFE


@ON_EVERY_BOARD
def test_stop_button_overrides_everything_until_the_operator_releases_it(cell: Program, kind: str) -> None:
    with start_mcu(kind, cell) as mcu, host(mcu, cell) as peer:
        peer.enable()
        mcu.press_stop()
        peer.until(lambda: mcu.mode == "fallback_only" and mcu.outputs_now() == SAFE)
        peer.arms = True
        peer.until(lambda: peer.link.status.latches == ("stop",))
        mcu.release_stop()
        peer.pass_time(0.3)
        assert mcu.mode == "fallback_only"
        peer.link.release(time.monotonic())
        peer.until(lambda: mcu.mode == "enabled")


@ON_TWO_BOARDS
def test_stop_button_held_at_the_start_latches(cell: Program, kind: str) -> None:
    with start_mcu(kind, cell, stop_pressed=True) as mcu, host(mcu, cell) as peer:
        peer.until(lambda: peer.link.status.latches == ("stop",))
        assert peer.link.status.stopped


@ON_EVERY_BOARD
def test_without_the_host_the_board_acts_on_what_it_measures(cell: Program, kind: str) -> None:
    with start_mcu(kind, cell) as mcu, host(mcu, cell) as peer:
        peer.enable()
        peer.ground, peer.talks = 2.0, False
        peer.until(lambda: mcu.outputs_now() == {"brake": 0.6, "throttle": 0.1})
        assert mcu.mode == "fallback_only"
        peer.ground = None  # a sensor that says nothing any more holds no rule up
        peer.until(lambda: mcu.outputs_now() == SAFE)


@ON_TWO_BOARDS
def test_lost_feedback_takes_the_hosts_authority(cell: Program, kind: str) -> None:
    with start_mcu(kind, cell) as mcu, host(mcu, cell) as peer:
        peer.enable()
        peer.measured = False
        mcu.measure("brake", 0.5, valid=False)
        peer.until(lambda: mcu.mode == "fallback_only")
        peer.until(lambda: peer.link.status.latches == ("feedback",))


@ON_TWO_BOARDS
def test_reading_of_something_that_is_not_there_is_refused(program: Program, kind: str) -> None:
    with start_mcu(kind, program) as mcu:
        with pytest.raises(
            UsageError, match=r"no sensor of the microcontroller's own `ground`: choose one of none"
        ):
            mcu.sense("ground", 1.0)
        with pytest.raises(UsageError, match=r"no actuator `wing`: choose one of brake, throttle"):
            mcu.measure("wing", 1.0)


# ---- resets ----------------------------------------------------------------------------------------------------------


def goes_on_from(records: list[OutputRecord], reached: float) -> None:
    """After a reset the brake begins where it was, or where its ramp had led, and takes no leap to the safe value."""
    first = next(r for r in records if r.mode == "silent")
    assert abs(first.value - reached) <= 0.1
    assert [r.value for r in records if r.mode == "silent"] == sorted(
        r.value for r in records if r.mode == "silent"
    )


def comes_back_silent_and_latched(mcu: Mcu, peer: Host, since: float, reached: float) -> None:
    peer.arms = True
    peer.until(lambda: mcu.mode == "silent")
    peer.until(lambda: peer.link.status.latches == ("reset",) and peer.link.status.ready is False)
    peer.pass_time(0.3)
    assert mcu.mode == "silent"
    assert "enabled" not in {r.mode for r in brakes(mcu, since) if r.at > since + 0.3}
    goes_on_from(brakes(mcu, since), reached)
    peer.link.release(time.monotonic())
    peer.until(lambda: mcu.mode == "enabled")


@pytest.mark.parametrize("kind", [QEMU])
def test_hung_core_is_reset_by_the_watchdog(program: Program, kind: str) -> None:
    with start_mcu(kind, program) as mcu, host(mcu, program) as peer:
        assert isinstance(mcu, QemuMcu)
        peer.enable()
        hung = time.monotonic()
        mcu.hang()
        comes_back_silent_and_latched(mcu, peer, hung, COMMAND["brake"])
        with mcu.debug() as gdb:
            boots = gdb.read(mcu.symbol("boots"), 4)
        assert int.from_bytes(boots, "little") >= 2  # on a machine that forgets the emulator for 200 ms, more


@pytest.mark.parametrize("kind", [QEMU])
@pytest.mark.parametrize(
    ("register", "value"),
    [
        pytest.param(SP, 0x2000_0010, id="stack-runs-out-of-its-room"),
        pytest.param(SP, 0x2000_8000, id="gap-below-what-survives-a-reset"),
        pytest.param(PC, 0x2000_2000, id="data-does-not-run"),
        pytest.param(PC, 0x6000_0000, id="nothing-there"),
    ],
)
def test_fault_ends_in_a_reset(program: Program, kind: str, register: int, value: int) -> None:
    with start_mcu(kind, program) as mcu, host(mcu, program) as peer:
        assert isinstance(mcu, QemuMcu)
        peer.enable()
        since = time.monotonic()
        with mcu.debug() as gdb:
            gdb.set_register(PC, mcu.symbol("eg_board_run"))
            gdb.set_register(register, value)
        comes_back_silent_and_latched(mcu, peer, since, COMMAND["brake"])


@ON_EMULATED_BOARDS
def test_reset_while_enabled_comes_back_silent_and_latched(program: Program, kind: str) -> None:
    with start_mcu(kind, program) as mcu, host(mcu, program) as peer:
        assert isinstance(mcu, QemuMcu)
        peer.enable()
        since = time.monotonic()
        mcu.reset()
        comes_back_silent_and_latched(mcu, peer, since, COMMAND["brake"])


@pytest.mark.parametrize("kind", [NETDUINO])
def test_stop_button_stays_pressed_over_a_reset(cell: Program, kind: str) -> None:
    with start_mcu(kind, cell) as mcu, host(mcu, cell) as peer:
        assert isinstance(mcu, QemuMcu)
        peer.enable()
        mcu.press_stop()
        peer.until(lambda: mcu.mode == "fallback_only")
        mcu.reset()
        peer.until(lambda: mcu.mode == "silent" and peer.link.status.mcu_mode == "silent")
        assert peer.link.status.stopped
        assert peer.link.status.latches == ("stop",)


def test_killed_process_goes_on_from_its_retained_file(program: Program, tmp_path: Path) -> None:
    kept = tmp_path / "retained"
    with ProcessMcu(program, retained_file=kept) as mcu, host(mcu, program) as peer:
        peer.enable()
        mcu.kill()
    since = time.monotonic()
    with ProcessMcu(program, retained_file=kept) as mcu, host(mcu, program) as peer:
        comes_back_silent_and_latched(mcu, peer, since, COMMAND["brake"])


def test_damaged_retained_file_is_not_believed(program: Program, tmp_path: Path) -> None:
    kept = tmp_path / "retained"
    with ProcessMcu(program, retained_file=kept) as mcu, host(mcu, program) as peer:
        peer.enable()
        mcu.kill()
    kept.write_bytes(bytes(255 - byte for byte in kept.read_bytes()))
    with ProcessMcu(program, retained_file=kept) as mcu, host(mcu, program) as peer:
        peer.until(lambda: peer.link.status.ready)
        assert mcu.records()[0].value == SAFE["brake"]
        assert mcu.mode == "silent"


def test_hung_process_falls_back_when_it_wakes(program: Program) -> None:
    with ProcessMcu(program) as mcu, host(mcu, program) as peer:
        peer.enable()
        mcu.hang()
        peer.pass_time(1.0)
        since = time.monotonic()
        mcu.unhang()
        peer.until(lambda: mcu.mode == "fallback_only")
        assert "enabled" not in {r.mode for r in brakes(mcu, since)}


# ---- the emulated boards' own ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [NETDUINO])
def test_output_stage_is_given_a_value_and_its_complement(program: Program, kind: str) -> None:
    with start_mcu(kind, program) as mcu, host(mcu, program) as peer:
        assert isinstance(mcu, QemuMcu)
        peer.enable()
        peer.pass_time(0.1)
        with mcu.debug() as gdb:
            words = gdb.read(0x2001_FF00, 16)
        value, check, other, other_check = (int.from_bytes(words[i : i + 4], "little") for i in (0, 4, 8, 12))
        assert (value, other) == (200_000, 300_000)
        assert (value ^ check, other ^ other_check) == (0xFFFF_FFFF, 0xFFFF_FFFF)


@pytest.mark.parametrize("kind", [QEMU])
def test_sense_record_with_a_wrong_check_is_no_reading(cell: Program, kind: str) -> None:
    with start_mcu(kind, cell) as mcu, host(mcu, cell) as peer:
        assert isinstance(mcu, QemuMcu)
        good = record(SENSOR, 0, 2_000_000)
        peer.ground = None
        for bit in range(8 * len(good)):
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            mcu.send_senses(bytes(bad))
        peer.enable()
        peer.talks = False
        peer.until(lambda: mcu.mode == "fallback_only" and mcu.outputs_now() == SAFE)
        mcu.send_senses(
            b"\xa5\xa5" + good + good
        )  # the next whole record is found behind whatever came before
        peer.until(lambda: mcu.outputs_now()["brake"] < 1.0)


@pytest.mark.parametrize("kind", [QEMU])
def test_seed_is_another_after_every_reset(program: Program, kind: str) -> None:
    with start_mcu(kind, program) as mcu:
        assert isinstance(mcu, QemuMcu)
        seeds = set()
        for _ in range(3):
            with mcu.debug() as gdb:
                gdb.monitor("system_reset")
            before = len(mcu.records())
            end = time.monotonic() + 5.0
            while len(mcu.records()) < before + 4 and time.monotonic() < end:
                time.sleep(0.01)
            with mcu.debug() as gdb:
                seeds.add(gdb.read(mcu.symbol("identity") + 64, 16))
        assert len(seeds) == 3
