"""A slice of `make compare-machines`: both machines on the same traces, and that a difference would be noticed."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeguard.errors import LinkError
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
from hil.firmware import build
from tests.firmware.reference import campaign, core, machine, tables
from tests.firmware.reference.compare import Account, compare, difference, unlike_resets
from tests.firmware.reference.core import Rules
from tests.firmware.reference.gates import GateRun
from tests.firmware.reference.machine import Machine, compile_core
from tests.firmware.reference.policies import random_policy, repository_policies
from tests.firmware.reference.shrink import flat, literal, restored, shrink
from tests.firmware.reference.soundness import sound_table
from tests.firmware.reference.table import table_of
from tests.firmware.reference.words import Reason

TRACES, STEPS = 400, 12
REPOSITORY = list(repository_policies())
Patched = Callable[[str, str, str], Machine]


@pytest.fixture(scope="module")
def rich() -> Program:
    """A policy with something of everything that the microcontroller knows."""
    arm = ActuatorLimit("arm", -30.0, 30.0, 40.0, 33.3, 0.0, Feedback(2.0, 0.05), Authority.RULES)
    pump = ActuatorLimit("pump", 0.0, 1.0, 0.7, float("inf"), 0.25)
    rules = (LocalRule(1, "", (Term(0, Relation.BELOW, 3.0),), Command({"arm": -5.0, "pump": 0.5})),)
    own = Microcontroller(stop=True, sensors=(SensorSpec("ground", 0.0, 40.0, 0.1),), rules=rules)
    return replace(
        random_policy(np.random.default_rng(0), actuators=1, name="rich"),
        envelope=(arm, pump),
        microcontroller=own,
        link=None,
        period=0.02,
    )


@pytest.fixture(scope="module")
def whole(rich: Program) -> Machine:
    """The library of the firmware as `hil` builds it, with the sanitizer of undefined behaviour."""
    return Machine(build(rich, "lib", sanitize=True))


@pytest.fixture
def patched(rich: Program, tmp_path: Path) -> Patched:
    """The core with one place of its source changed."""

    def make(file: str, before: str, after: str) -> Machine:
        core = tmp_path / "core"
        shutil.copytree(machine.SOURCES / "core", core)
        text = (core / file).read_text(encoding="utf-8")
        assert before in text
        (core / file).write_text(text.replace(before, after), encoding="utf-8")
        return Machine(compile_core(rich, tmp_path / "built", core=core))

    return make


def test_both_machines_agree_on_the_firmware_as_it_is_built(whole: Machine) -> None:
    account, found = compare(whole, whole.table(), seed=1, traces=2_000, steps=STEPS)
    assert [literal(case) for case in found] == []
    assert account.steps == 2_000 * STEPS
    assert account.enabled > account.steps / 5
    assert (account.asked.sum(axis=(0, 1)) > 0).all()


@pytest.mark.parametrize("program", REPOSITORY, ids=[program.name for program in REPOSITORY])
def test_both_machines_agree_on_every_policy_of_the_repository(program: Program, tmp_path: Path) -> None:
    _agree(program, tmp_path, seed=2)


@pytest.mark.parametrize("actuators", [1, 7, 16])
def test_both_machines_agree_on_generated_policies(actuators: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(actuators)
    _agree(random_policy(rng, actuators=actuators, name="generated"), tmp_path, seed=3)


def _agree(program: Program, folder: Path, *, seed: int) -> None:
    """Table, traces and gate."""
    built = Machine(compile_core(program, folder))
    assert flat(built.table()) == flat(table_of(program, built.layout))
    _, found = compare(built, built.table(), seed=seed, traces=TRACES, steps=STEPS)
    assert [literal(case) for case in found] == []
    run = GateRun(built, program, seed=seed, traces=5).run(5)
    assert run.problems == []
    assert run.commands == 25 * len(program.envelope)


@pytest.fixture(scope="module")
def climbing(rich: Program, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The policy of the worked example of docs/reference/policy-semantics.md, S13; without rates, goals are outputs."""
    rules = tuple(
        LocalRule(line, "", (Term(0, Relation.BELOW, near),), Command({"climb": value}))
        for line, (near, value) in enumerate(((0.3, 0.0), (3.0, -0.3)))
    )
    own = Microcontroller(stop=False, sensors=(SensorSpec("ground", 0.0, 40.0, 0.1),), rules=rules)
    climb = ActuatorLimit("climb", -1.5, 2.0, float("inf"), float("inf"), -0.7)
    program = replace(rich, envelope=(climb,), microcontroller=own)
    return Machine(compile_core(program, tmp_path_factory.mktemp("climb")))


@pytest.mark.parametrize(
    ("mode", "ground", "age_ms", "stopped", "goal"),
    [
        (2, 20.0, 10, 0, -0.7),
        (2, 2.9, 10, 0, -0.3),
        (2, 3.0, 10, 0, -0.7),
        (2, 2.9999999, 10, 0, -0.7),
        (2, 0.2, 100, 0, 0.0),
        (2, 0.2, 101, 0, -0.7),
        (2, 40.0, 10, 0, -0.7),
        (2, -0.1, 10, 0, -0.7),
        (2, 0.2, 10, 1, -0.7),
        (0, 0.2, 10, 0, -0.7),
        (3, 0.2, 10, 0, -0.7),
    ],
)
def test_both_machines_carry_out_the_worked_example(
    climbing: Machine, mode: int, ground: float, age_ms: int, stopped: int, goal: float
) -> None:
    now, table = np.array([2_000_000], np.uint64), climbing.table()
    before = climbing.begin(table, None, now)
    before["mode"], before["reason"] = mode, Reason.STOPPED if stopped else Reason.BOOTED
    inputs = np.zeros(1, climbing.layout.inputs)
    reading = inputs["senses"]["sensor"]
    later = now + np.uint64(1_000)
    reading["value"], reading["valid"] = round(ground * 1e6), 1
    reading["at_us"] = later - np.uint64(age_ms * 1_000)
    for one in (core.step, climbing.step):
        assert one(table, before, inputs, later)[1]["value"][0, 0] == round(goal * 1e6)


def test_a_table_that_is_not_sound_locks_both_out(whole: Machine) -> None:
    unsound = 0
    for table in tables.many(np.random.default_rng(4), whole.table(), 150):
        found = unlike_resets(whole, table, seed=4)
        assert [literal(case) for case in found] == [], dict(flat(table))
        unsound += not sound_table(table)
    assert 20 < unsound < 130


def test_a_table_that_is_not_sound_releases_nothing(whole: Machine) -> None:
    """The latches are the operator's: a start that finds its table damaged writes them back to retained memory."""
    now, stopped = np.array([5], np.uint64), np.zeros(1, whole.layout.state)
    stopped["latches"] = 1
    kept = whole.retain(stopped, np.zeros(1, whole.layout.retained))
    table = whole.table().copy()
    table["arm_commands"] = 0
    state = whole.begin(table, kept, now)
    assert (int(state["mode"][0]), int(state["reason"][0]), int(state["latches"][0])) == (3, 6, 1)


@pytest.mark.parametrize("rules", [Rules(lost_is_late=False), Rules(rounds_down=False)])
def test_a_changed_reference_is_noticed(whole: Machine, rules: Rules) -> None:
    assert compare(whole, whole.table(), seed=5, traces=2_000, steps=STEPS, rules=rules)[1] != []


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("eg_core.c", "silent_for(state, table->lost_us, ", "silent_for(state, table->lost_us + 1u, "),
        ("eg_core.c", "(request->by_operator == 1u) && ", ""),
        ("eg_envelope.c", " || (state->reason == (uint8_t)EG_STOPPED)", ""),
        ("eg_retained.c", "turn % 2u", "turn % 1u"),
    ],
    ids=["deadline one us later", "anybody arms", "rules over the stop", "one record only"],
)
def test_a_changed_core_is_noticed(patched: Patched, file: str, before: str, after: str) -> None:
    changed = patched(file, before, after)
    assert compare(changed, changed.table(), seed=6, traces=2_000, steps=STEPS)[1] != []


def test_a_difference_is_printed_as_its_smallest_step(patched: Patched) -> None:
    """Without the clamp to the lead, what matters of a step is a mode, a session, times, a target and a position."""
    changed = patched(
        "eg_envelope.c", "goal = led(limits, &senses->measured[i], c->target)", "goal = c->target"
    )
    case = compare(changed, changed.table(), seed=7, traces=2_000, steps=STEPS)[1][0]

    def differs(*step: Any) -> bool:
        return bool(difference(changed, case.table, *step).fields)

    shown = ast.literal_eval(literal(shrink(case, differs)).split("  #")[0])
    assert sum(len(part) for part in shown.values()) <= 16
    step = restored(changed.layout, shown)
    assert "output" in difference(changed, case.table, *step).fields[0]


def test_a_core_that_differs_from_its_pair_is_noticed(patched: Patched) -> None:
    changed = patched("eg_pair.c", "*second = eg_step(", "*second = (eg_outputs){0};\n    (void)eg_step(")
    with pytest.raises(LinkError, match="the core and its pair differ in"):
        compare(changed, changed.table(), seed=8, traces=50, steps=2)


def test_structs_that_lie_otherwise_are_refused(patched: Patched) -> None:
    with pytest.raises(LinkError, match="do not lie as"):
        patched(
            "eg_core.h",
            "    uint8_t action;\n    uint8_t source;",
            "    uint8_t source;\n    uint8_t action;",
        )


def test_the_campaign_says_what_it_reached(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign, "repository_policies", lambda: iter(()))
    monkeypatch.setattr(campaign, "CHANGED_TABLES", 3)
    monkeypatch.setattr(
        "sys.argv", ["compare-machines", "--traces", "300", "--policies", "1", "--steps", "8"]
    )
    assert campaign.main() == 0
    said = capsys.readouterr().out
    assert "0 differences" in said
    assert "1 policies, 4 tables" in said
    assert "set accepted" in said


def test_a_campaign_that_reaches_too_little_fails() -> None:
    assert "refusal stop_pressed: 0" in campaign.unreached(Account())
