"""One bit flips in the running ARM firmware: no output leaves its envelope. A slice of `make flip-bits`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from hil.flips import Bench
from hil.flips_machine import CODE_SIZE, RAM, RAM_SIZE, RESET, Change, Machine, missing
from hil.flips_oracle import BREACH, DETECTED, MASKED, Track, breaches, judge, tracks
from hil.flips_places import REGISTER, REGISTERS, STACKED
from hil.flips_scenario import DIES, LIVES, PAGE, PROGRAM, Flip, Golden, Outcome, live, live_on

SEED = 2
SLICE = 100
DEPTH = 240
"""Bytes of stack to look at while both copies are stepped."""
PAIR_ROOM = 1

emulated = pytest.mark.skipif(bool(missing()), reason=missing() or "it runs")


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


def outcome_of(*log: Change, **changes: object) -> Outcome:
    plain = Outcome(log, (100_000,), 300_000, 1_000_000, 0, 0, 0, 0, 0, 0, (0, 0), False, b"", ())
    return replace(plain, **changes)  # type: ignore[arg-type]


def found(outcome: Outcome, script: object = LIVES) -> list[str]:
    assert script in (LIVES, DIES)
    chosen = LIVES if script is LIVES else DIES
    return list(breaches(chosen, outcome, tracks(outcome.log), outcome.until_us))


START = (Change(21_000, 0, 1_000_000), Change(21_000, 1, 0), Change(21_000, 2, 0))


# ---- the oracle ------------------------------------------------------------------------------------------------------


def test_outputs_that_stay_safe_are_no_breach() -> None:
    assert found(outcome_of(*START)) == []


def test_output_outside_its_limits_is_a_breach() -> None:
    (reason,) = found(outcome_of(*START, Change(300_000, 1, -1)))
    assert "outside its limits" in reason


def test_output_may_catch_up_with_one_leap_and_no_more() -> None:
    allowed = outcome_of(*START, Change(300_000, 2, 5_000_000))
    assert found(allowed) == []
    assert "rose too fast" in found(outcome_of(*START, Change(300_000, 2, 6_000_000)))[0]
    assert "fell too fast" in found(outcome_of(*START, Change(300_000, 2, -6_000_000)))[0]


def test_two_leaps_one_after_the_other_are_a_breach() -> None:
    twice = outcome_of(*START, Change(300_000, 2, 4_000_000), Change(310_000, 2, 8_000_000))
    assert "rose too fast" in found(twice)[0]


def test_output_that_moves_before_anybody_is_armed_is_a_breach() -> None:
    early = outcome_of(*START, Change(90_000, 0, 950_000), asked_us=(100_000,))
    assert "without authority" in found(early)[0]


def test_output_that_moves_after_a_reset_without_a_new_arm_request_is_a_breach() -> None:
    moves = outcome_of(*START, Change(400_000, RESET, 0), Change(500_000, 0, 950_000))
    assert "without authority" in found(moves)[0]
    assert found(replace(moves, asked_us=(100_000, 450_000))) == []


def test_output_that_is_not_safe_in_time_after_the_host_died_is_a_breach() -> None:
    stays = outcome_of(*START, Change(300_000, 0, 900_000), until_us=DIES.end_us)
    assert "without authority" in found(stays, DIES)[0]
    ramps = outcome_of(
        *START, Change(300_000, 0, 900_000), Change(640_000, 0, 1_000_000), until_us=DIES.end_us
    )
    assert found(ramps, DIES) == []


def test_hung_core_has_until_the_watchdog_and_no_longer() -> None:
    hung = (*START, Change(540_000, 0, 900_000))
    reset = outcome_of(
        *hung, Change(750_000, RESET, 0), Change(790_000, 0, 1_000_000), flip_us=560_000, until_us=DIES.end_us
    )
    assert found(reset, DIES) == []
    assert found(replace(reset, flip_us=500_000), DIES) != []


def test_core_that_pauses_on_the_way_has_no_longer_than_the_watchdog_gives_it() -> None:
    """Brake, 4/s from 0.9: 25 ms to go when the host is lost at 600 ms."""
    before = (*START, Change(300_000, 0, 900_000), Change(601_000, 0, 904_000))
    late = outcome_of(*before, Change(790_000, 0, 1_000_000), flip_us=605_000, until_us=DIES.end_us)
    assert found(late, DIES) == []
    later = outcome_of(*before, Change(810_000, 0, 1_000_000), flip_us=605_000, until_us=DIES.end_us)
    assert "without authority" in found(later, DIES)[0]


def test_track_tells_what_was_held_when() -> None:
    track = Track((10, 20), (1, 2))
    assert [track.at(us) for us in (9, 10, 19, 20)] == [None, 1, 1, 2]
    assert track.between(12, 25) == (1, 2)


# ---- the firmware ----------------------------------------------------------------------------------------------------


@emulated
def test_firmware_without_a_flip_follows_its_host_and_falls_safe_in_time(bench: Bench) -> None:
    for _, golden, _ in bench.lives:
        plain = outcome_of(*golden.log, asked_us=golden.asked_us, until_us=golden.script.end_us)
        assert found(plain, golden.script) == []
        assert b" enabled\n" in golden.records
        assert min(change.value for change in golden.log if change.actuator == 0) < 300_000


@emulated
def test_no_flip_lets_an_output_leave_its_envelope(bench: Bench) -> None:
    kinds: Counter[str] = Counter()
    for number in range(SLICE):
        injection, _, _ = bench.run(SEED, number)
        assert injection.kind != BREACH, f"{SEED}:{number} {injection.reasons}"
        kinds[injection.kind] += 1
    assert kinds[MASKED] > SLICE // 3
    assert kinds[DETECTED] > SLICE // 15


@emulated
def test_seed_and_number_give_the_same_run_again(bench: Bench) -> None:
    first = [bench.run(SEED, number)[2] for number in range(8)]
    assert [bench.run(SEED, number)[2] for number in reversed(range(8))] == first[::-1]


@pytest.fixture(scope="module")
def pair_steps(bench: Bench) -> Iterator[tuple[Machine, Golden, list[int]]]:
    """A life, and the first instruction of each stay in the function that steps both copies of the core."""
    symbol = bench.firmware.named()["eg_pair_step"]
    rooms = bytearray(CODE_SIZE // 2)
    rooms[symbol.address // 2 : (symbol.address + symbol.size) // 2] = bytes((PAIR_ROOM,)) * (
        symbol.size // 2
    )
    machine = Machine(bench.firmware.elf, PAGE, rooms=bytes(rooms))
    golden = live(machine, DIES, bench.firmware.named())
    yield machine, golden, [at for at, room in golden.segments if room == PAIR_ROOM]
    machine.close()


@emulated
def test_pointer_that_bends_before_both_computations_does_not_bend_both(
    bench: Bench, pair_steps: tuple[Machine, Golden, list[int]]
) -> None:
    machine, golden, stays = pair_steps
    first = next(i for i, at in enumerate(stays) if at > golden.first_after(400_000))
    for at in (stays[first] - 8, stays[first] - 2, stays[first], stays[first + 1], stays[first + 2]):
        for register in range(12):
            flip = Flip(at, REGISTER, register, 1 << 2, REGISTERS[register])
            verdict = judge(golden, live_on(machine, golden, flip, bench.firmware.used))
            assert verdict.kind != BREACH, f"{flip} {verdict.reasons}"


@emulated
def test_word_on_the_stack_that_bends_by_one_shifts_no_value(
    bench: Bench, pair_steps: tuple[Machine, Golden, list[int]]
) -> None:
    machine, golden, stays = pair_steps
    at = next(at for at in stays if at > golden.first_after(400_000))
    for where in range(0, DEPTH, 4):
        flip = Flip(at, STACKED, where, 1, "stack")
        verdict = judge(golden, live_on(machine, golden, flip, bench.firmware.used))
        assert verdict.kind != BREACH, f"{flip} {verdict.reasons}"


@emulated
def test_what_survives_a_reset_lies_behind_a_gap_that_nothing_may_touch(bench: Bench) -> None:
    eighth = RAM_SIZE // 8
    named = bench.firmware.named()
    kept = (named["retained"].address - RAM) // eighth
    others = [
        s for s in named.values() if RAM <= s.address < RAM + RAM_SIZE and s.address - RAM < kept * eighth
    ]
    last = max(s.address + s.size - 1 - RAM for s in others) // eighth
    gaps = bench.lives[0][0].facts().gaps
    assert last + 1 < kept
    assert gaps == sum(1 << i for i in range(last + 1, kept))


def test_actuators_of_the_rig_have_every_kind_of_rate() -> None:
    assert {limit.feedback is None for limit in PROGRAM.envelope} == {True, False}
    assert any(limit.fall == float("inf") for limit in PROGRAM.envelope)


@emulated
def test_core_that_has_nothing_sound_to_begin_anew_from_drives_nothing_until_the_watchdog_resets_it(
    bench: Bench,
) -> None:
    machine, golden, _ = bench.lives[0]
    moment = next(m for m in golden.moments if m.us == 400_000)
    pieces = {place.name: place.pieces for place in bench.firmware.places}
    machine.load(moment.snapshot)
    for offset, size in pieces["retained"][:1] + pieces["core, second copy"]:
        for at in range(offset, offset + size, 4):
            machine.poke(RAM + at, 0x5A5A5A5A)
    machine.run(moment.us + 400_000)
    log = (*golden.log[: moment.logged], *machine.log()[moment.logged :])
    later = [change for change in log if change.us > moment.us + 1_000]
    assert later[0].actuator == RESET
    assert machine.facts().refused > 100
    outcome = outcome_of(*log, asked_us=golden.asked_us, flip_us=moment.us, until_us=moment.us + 400_000)
    assert found(outcome) == []
