"""A slice of `make mutate-firmware` in every run: changes to the core, each to be noticed by its second implementation.

Written by hand, one for each thing that the core promises. The unchanged core must pass.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeguard.policy.emit_c import emit
from firmware_stubs.verify.mutate import cases, suite
from firmware_stubs.verify.mutate.builds import FIRMWARE, Workshop
from tests.firmware.reference.machine import Machine

SECONDS = 10
CORE, ENVELOPE, RETAINED, PAIR = (f"core/eg_{name}.c" for name in ("core", "envelope", "retained", "pair"))

CHANGES = (
    # what a command may do
    (CORE, "request->policy_hash != table->policy_hash", "false"),
    (CORE, "request->age_ms > request->valid_ms", "request->age_ms >= request->valid_ms"),
    (CORE, "request->age_ms > table->valid_max_ms", "false"),
    (CORE, "request->source > (uint8_t)EG_SAFE_STATE", "false"),
    (CORE, "request->actuator >= EG_ACTUATORS", "request->actuator > EG_ACTUATORS"),
    (CORE, "request->source < limits->authority", "false"),
    (CORE, "? limits->safe : request->value", "? request->value : request->value"),
    (CORE, "eg_clamp(wanted, limits->min, limits->max)", "wanted"),
    # what arming needs
    (CORE, "c->in_time >= table->arm_commands", "c->in_time + 1u >= table->arm_commands"),
    (CORE, "(request->by_operator == 1u) &&", ""),
    (CORE, "&& (request->source == (uint8_t)EG_HUMAN)", ""),
    (CORE, "return EG_LATCHED;", ";"),
    (CORE, "return EG_STOP_PRESSED;", ";"),
    (CORE, 'forget_commands(state); /* "consecutive"', ';  /* "consecutive"'),
    # what takes authority away
    (CORE, "silent_for(state, table->lost_us, now_us)", "silent_for(state, table->degraded_us, now_us)"),
    (CORE, "state->latches |= EG_LATCH_STOP;", ""),
    (CORE, "state->latches |= EG_LATCH_FEEDBACK;", ""),
    (CORE, "senses->stop_released != 1u", "senses->stop_released == 0u"),
    (CORE, "fall_back(state, EG_SESSION_REPLACED);", ""),
    (CORE, "fall_back(state, EG_DISARMED);", ""),
    # soundness and a reset
    (CORE, "(state->stepped_us <= now_us)", "true"),
    (CORE, "state->latches |= EG_LATCH_RESET;", ""),
    (CORE, "if ((output >= limits->min) && (output <= limits->max)) {", "if (false) {"),
    (
        RETAINED,
        "record->check == check_of(record->turn, record->output, record->mode, record->latches, record->spare)",
        "true",
    ),
    (RETAINED, "turn % 2u", "0u"),
    # where the outputs go
    (ENVELOPE, "(reading->at_us <= now_us) &&", ""),
    (ENVELOPE, "reading->valid == 1u", "reading->valid != 0u"),
    (ENVELOPE, "(state->reason == (uint8_t)EG_STOPPED)", "false"),
    (ENVELOPE, "span_us > EG_SLEW_SPAN_MAX_US", "false"),
    (ENVELOPE, "step = -down;", "step = -down - 1;"),
    (ENVELOPE, "goal = led(limits, &senses->measured[i], c->target);", "goal = c->target;"),
    (ENVELOPE, "return value >= limit;", "return value > limit;"),
    # the second copy
    (PAIR, "inputs_again, now_us", "inputs_again, now_us + 1u"),
)


class Judge:
    """The cases, worked out once, and a place to build in."""

    def __init__(self, folder: Path) -> None:
        sources = [p for p in suite.sources() if p.parent.name == "core" or p.stem == "eg_lib_traces"]
        self._workshop = Workshop(folder, emit(cases.largest_policy()), sources)
        layout = Machine(self._library({}, "layout")).layout
        self._cases = cases.make_cases(layout, seed=1, tables=10, traces=200, steps=8)

    def _library(self, changed: dict[Path, str], name: str) -> Path:
        library = self._workshop.library(changed, name)
        assert library is not None, "it does not compile"
        return library

    def passes(self, changed: dict[Path, str], name: str) -> bool:
        library = self._library(changed, name)

        def agrees() -> bool:
            machine = Machine(library)
            return all(case.holds(machine) for case in self._cases)

        return suite.forked(agrees, SECONDS)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    return Judge(tmp_path_factory.mktemp("mutants"))


def test_unchanged_core_passes(judge: Judge) -> None:
    assert judge.passes({}, "control")


@pytest.mark.parametrize(("name", "old", "new"), CHANGES)
def test_change_is_noticed(judge: Judge, name: str, old: str, new: str) -> None:
    source = FIRMWARE / name
    text = source.read_text()
    assert old in text, "its place in the source has changed: write the change anew"
    assert not judge.passes({source: text.replace(old, new, 1)}, "mutant")
