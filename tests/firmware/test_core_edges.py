"""The core at every edge of soundness, against its second implementation: the last sound value and the first unsound.

What a random trace meets too seldom. The cases are those of `make mutate-firmware`.
"""

from __future__ import annotations

import numpy as np
import pytest

from edgeguard.policy.emit_c import emit
from firmware_stubs.verify.mutate import cases
from hil.firmware import build
from tests.firmware.reference.machine import Machine
from tests.firmware.reference.table import table_of

LOCKOUT, TABLE_INVALID = 3, 6


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine(build(cases.largest_policy(), "lib", sanitize=True))


def test_policy_of_the_cases_takes_all_the_room(machine: Machine) -> None:
    layout = machine.layout
    rooms = (layout.actuators, layout.sensors, layout.rules, layout.terms)
    assert rooms == (cases.ACTUATORS, cases.SENSORS, cases.RULES, cases.TERMS)
    assert f"EG_ACTUATORS {cases.ACTUATORS}u" in emit(cases.largest_policy())


def test_core_agrees_at_every_edge_of_a_table_and_of_a_state(machine: Machine) -> None:
    found = cases.edges(machine.layout, seed=1)
    assert sum(isinstance(case, cases.Starts) for case in found) > 500
    assert sum(len(case.now) for case in found if isinstance(case, cases.Steps)) > 500
    assert [case for case in found if not case.holds(machine)] == []


def test_core_agrees_on_starts_steps_locks_and_kept_records(machine: Machine) -> None:
    found = cases.make_cases(machine.layout, seed=2, tables=4, traces=100, steps=8)
    assert [case for case in found if not case.holds(machine)] == []


def test_table_that_counts_a_rule_more_than_there_is_room_for_locks_out_whatever_lies_behind_it(
    machine: Machine,
) -> None:
    """Behind the table lie zeros: a rule without terms that holds all outputs at 0, which is inside every envelope."""
    both = np.zeros(2, machine.layout.table)
    both[0] = table_of(cases.largest_policy(), machine.layout)
    both[0]["actuator"]["min"], both[0]["actuator"]["max"], both[0]["actuator"]["safe"] = -1, 1, 0
    both[0]["rule"]["value"] = 0
    now = np.zeros(1, np.uint64)
    assert machine.begin(both[0], None, now)["mode"] != LOCKOUT
    both[0]["rules"] += 1
    state = machine.begin(both[0], None, now)
    assert (state["mode"][0], state["reason"][0]) == (LOCKOUT, TABLE_INVALID)
