"""The demo's policy: every fault of a signal leads to the safe verdict, through the compiled rules and the machine."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.decision.machine import Inputs, initial, step
from edgeguard.decision.table import Truth
from edgeguard.desk.cases import embedded_cases, run_cases
from edgeguard.errors import PolicyError
from edgeguard.policy import Calibration, PolicyDocument, compile_policy, parse
from edgeguard.program import Program
from edgeguard.types import Authority, Event

GOOD = {
    "certainty": 0.97,
    "disagreement": 0.02,
    "reconstruction": 0.02,
    "squeezing": 0.02,
    "novelty": 0.5,
    "frame_age": 0.02,
    "frozen_for": 0.05,
    "contrast": 0.4,
    "latency": 0.02,
    "speed": 12.0,
    "distance": 120.0,
    "unexplained": 0.0,
}


@pytest.fixture(scope="module")
def program(sign_gate: PolicyDocument, sign_gate_calibration: Calibration) -> Program:
    return compile_policy(sign_gate, base=Path("policies"), calibration=sign_gate_calibration)


def authority_after(
    program: Program, given: dict[str, float | str], frames: int
) -> tuple[Authority, set[str]]:
    """Who may act after `frames` frames of `given` that follow a healthy start, and the rules that say so."""
    names = [spec.name for spec in program.signals]
    state, now = initial(program.table), 0.0
    state, _ = step(program.table, state, Inputs((), (), False, (Event.READY,)), now)
    outcome = None
    for i in range(30 + frames):
        now += 0.05
        row = {**dict.fromkeys(names, 0.0), **GOOD, **(given if i >= 30 else {})}
        values = [v if isinstance(v, float) else math.nan for v in (row[n] for n in names)]
        healthy = [isinstance(row[n], float) and math.isfinite(float(row[n])) for n in names]
        when, clear = program.when(values, healthy), program.clear(values, healthy)
        events = (Event.ARM,) if i == 20 else ()
        state, outcome = step(program.table, state, Inputs(when, clear, True, events), now)
        if i == 29:
            assert outcome.authority is Authority.MODEL
    assert outcome is not None
    return outcome.authority, {program.table.rules[b.rule].id for b in outcome.causes}


def test_a_healthy_drive_lets_the_model_act(program: Program) -> None:
    assert authority_after(program, {}, 100) == (Authority.MODEL, set())


def test_nan_certainty_is_safe(program: Program) -> None:
    authority, rules = authority_after(program, {"certainty": math.nan}, 1)
    assert authority is Authority.SAFE_STATE
    assert "signal:certainty" in rules


def test_stale_speed_is_safe(program: Program) -> None:
    assert authority_after(program, {"speed": "stale"}, 1)[0] is Authority.SAFE_STATE


def test_missing_context_value_is_safe(program: Program) -> None:
    authority, rules = authority_after(program, {"distance": "missing"}, 1)
    assert authority is Authority.SAFE_STATE
    assert rules == {"signal:distance"}


def test_misspelt_signal_never_becomes_a_program(sign_gate: PolicyDocument) -> None:
    bad = sign_gate.source.text.replace("certainty < enough", "certianty < enough").encode()
    with pytest.raises(PolicyError, match=r"EG1203.*did you mean `certainty`"):
        parse(bad, file="sign_gate.yaml")


def test_embedded_tests_hold(program: Program, sign_gate: PolicyDocument) -> None:
    results = run_cases(sign_gate, program, embedded_cases(sign_gate, program))
    assert [result for result in results if result.findings] == []
    assert len(results) >= 20


@given(picked=st.sets(st.integers(0, 63), min_size=1))
def test_any_set_of_broken_signals_takes_authority_from_the_model_at_once(
    program: Program, picked: set[int]
) -> None:
    broken = {program.signals[i % len(program.signals)].name for i in picked}
    authority, rules = authority_after(program, dict.fromkeys(broken, "missing"), 1)
    assert authority > Authority.MODEL
    assert {f"signal:{name}" for name in broken} <= rules or authority is Authority.SAFE_STATE


@given(
    values=st.lists(st.floats(), min_size=64, max_size=64),
    healthy=st.lists(st.booleans(), min_size=64, max_size=64),
)
def test_evaluation_is_total_and_a_fault_is_seen_by_every_rule_that_reads_it(
    program: Program, values: list[float], healthy: list[bool]
) -> None:
    count = len(program.signals)
    conditions = program.when(values[:count], healthy[:count])
    clears = program.clear(values[:count], healthy[:count])
    assert len(conditions) == len(clears) == len(program.table.rules)
    for row, when, clear in zip(program.table.rules, conditions, clears):
        if any(not healthy[i] or not math.isfinite(values[i]) for i in row.reads):
            assert when is Truth.FAULT
            assert clear is not Truth.TRUE or not row.reads


def test_fallback_brakes_to_a_stand_before_the_sign(program: Program) -> None:
    """A point mass with 8 m/s2 at full brake, braked by the fallback rows alone, from any speed up to 20 m/s."""
    names = [spec.name for spec in program.signals]
    for start in (3.0, 8.0, 14.0, 20.0):
        speed, distance, brake = start, start * start / (2 * 4.0) + 8.0, 0.0
        for _ in range(3000):
            row = {**dict.fromkeys(names, 0.0), **GOOD, "speed": speed, "distance": distance}
            chosen = program.choose([row[n] for n in names], [True] * len(names))
            wanted = program.fallback[chosen].command.values["brake"]
            brake = min(wanted, brake + 4.0 * 0.02)
            speed = max(0.0, speed - 8.0 * brake * 0.02)
            distance = max(0.0, distance - speed * 0.02)
        assert speed == 0.0
        assert distance > 0.0


def test_every_rule_reacts_within_the_stated_interval(sign_gate: PolicyDocument) -> None:
    assert sign_gate.policy.ftti is not None
    assert sign_gate.policy.link is not None
    slow = sign_gate.source.text.replace("lost_after: 100ms", "lost_after: 250ms").encode()
    with pytest.raises(PolicyError, match="EG1309"):
        parse(slow, file="sign_gate.yaml")
