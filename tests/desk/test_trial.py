"""A trial decides what the guard decides; and whatever is wrong with a value gives the safe verdict."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.decision.table import Span
from edgeguard.desk.trial import NotArmable, Phase, Seen, Trial, Values
from edgeguard.errors import PolicyError, UsageError
from edgeguard.guard import Guard
from edgeguard.policy import compile_draft, compile_policy
from edgeguard.policy.document import parse
from edgeguard.program import Program
from edgeguard.types import Answer, Authority, Event, Frame, GateDecision, Mode, Signal

ROOT = Path(__file__).parents[2]
DOOR = """\
edgeguard: 1
policy: {name: door, version: 1}
frame: {period: 50ms}
signals:
  certain:  {from: context, range: [0, 1],  max_age: 300ms, worse: lower, on_fault: rules}
  distance: {from: context, range: [0, 20], max_age: 300ms, worse: lower}
  open:     {from: context, type: bool,     max_age: 100ms, on_fault: human, within: 300ms}
rules:
  - {id: unsure, when: certain < 0.5, for: 2 frames, clear: {when: certain > 0.6, for: 3 frames}, then: rules}
  - {id: near, when: distance < 1.0, for: 100ms, latch: true, then: human, within: 200ms}
  - {id: crash, when: distance < 0.1 && open, then: safe_state}
  - {id: odd, when: certain * distance > 19.9 && open, mode: warn, then: rules}
fallback:
  - {when: distance < 5.0, command: {lock: 0.9}}
  - {command: {lock: 0.7}}
envelope: {lock: {min: 0, max: 1, rise: 4/s, fall: 4/s, safe: 1.0}}
lockout_after: 3
"""


@pytest.fixture(scope="module")
def sign_gate() -> Program:
    return compile_draft(ROOT / "policies" / "sign_gate.yaml").program


@pytest.fixture(scope="module")
def door() -> Program:
    return compiled(DOOR)


def compiled(text: str) -> Program:
    return compile_policy(parse(text.encode(), file="door.yaml"), base=Path())


def armed(program: Program) -> Trial:
    trial = Trial(program)
    trial.arm()
    return trial


# --- whatever is wrong with a value takes authority away --------------------------------------------------------------


def test_a_misspelt_signal_is_refused_before_anything_is_decided() -> None:
    text = (ROOT / "policies" / "sign_gate.yaml").read_text()
    misspelt = text.replace("contrast < 0.02", "contrats < 0.02")
    assert misspelt != text
    with pytest.raises(
        PolicyError, match=r"EG1203: nothing is called `contrats` \(did you mean `contrast`\?\)"
    ):
        parse(misspelt.encode(), file="sign_gate.yaml")


def test_a_misspelt_signal_of_the_world_leaves_the_true_one_missing_and_yields_the_safe_verdict(
    sign_gate: Program,
) -> None:
    trial = armed(sign_gate)
    with pytest.raises(UsageError, match="`sped`"):
        trial.step({"sped": 3.0}, new_frame=True)
    seen = trial.step({"speed": "missing"}, new_frame=True)  # what a guard sees when the world says `sped`
    assert (seen.authority, seen.mode) == (Authority.SAFE_STATE, Mode.SAFE_STATE)


@pytest.mark.parametrize(
    ("signal", "value"),
    [
        pytest.param("certainty", "nan", id="a NaN certainty"),
        pytest.param("certainty", math.nan, id="a NaN certainty, given as such"),
        pytest.param("speed", "stale", id="a stale signal"),
        pytest.param("distance", "missing", id="a missing context value"),
        pytest.param("speed", math.inf, id="an infinite value"),
        pytest.param("speed", 60.1, id="a value above its range"),
        pytest.param("certainty", -0.1, id="a value below its range"),
    ],
)
def test_a_bad_value_yields_the_safe_verdict(sign_gate: Program, signal: str, value: float | str) -> None:
    seen = armed(sign_gate).step({signal: value}, new_frame=True, suggest={"brake": 0.0, "throttle": 0.5})
    assert seen.authority is Authority.SAFE_STATE
    assert seen.mode is Mode.SAFE_STATE
    assert seen.gate is GateDecision.BLOCK
    assert seen.command.values["throttle"] == 0.0
    assert f"signal:{signal}" in [cause.rule for cause in seen.causes]
    assert seen.values[signal] is None


def test_a_nan_certainty_yields_the_safe_verdict(sign_gate: Program) -> None:
    assert armed(sign_gate).step({"certainty": "nan"}, new_frame=True).authority is Authority.SAFE_STATE


def test_a_stale_signal_yields_the_safe_verdict(sign_gate: Program) -> None:
    assert armed(sign_gate).step({"speed": "stale"}, new_frame=False).authority is Authority.SAFE_STATE


def test_a_missing_context_value_yields_the_safe_verdict(sign_gate: Program) -> None:
    assert armed(sign_gate).step({"distance": "missing"}, new_frame=False).authority is Authority.SAFE_STATE


@pytest.mark.parametrize("value", [0.5, 2.0, -1.0, "nan"])
def test_a_truth_that_is_neither_0_nor_1_is_a_fault(door: Program, value: float | str) -> None:
    seen = armed(door).step({"open": value}, new_frame=True)
    assert seen.authority is Authority.SAFE_STATE  # `crash` reads it, and a condition that is a fault holds
    assert [cause.rule for cause in seen.causes] == ["crash", "signal:open"]
    assert seen.values["open"] is None


# --- how it runs ------------------------------------------------------------------------------------------------------


def test_a_trial_is_armed_with_the_model_acting_and_nothing_to_say(door: Program) -> None:
    seen = Trial(door).arm()
    assert (seen.mode, seen.authority, seen.causes, seen.notices) == (Mode.NOMINAL, Authority.MODEL, (), ())


def test_a_policy_whose_calm_sets_a_rule_off_cannot_be_armed() -> None:
    program = compiled(DOOR.replace("distance < 1.0, for: 100ms", "distance < 20.5, for: 2000 frames"))
    with pytest.raises(NotArmable, match="`near`") as caught:
        Trial(program).arm()
    assert [cause.rule for cause in caught.value.causes] == ["near"]
    assert caught.value.exit_code == 5


def test_a_rule_of_so_many_frames_acts_at_the_end_of_a_phase_of_as_many(door: Program) -> None:
    phase = Phase({"certain": 0.4}, Span(frames=2))
    steps = armed(door).run(phase)
    assert [seen.authority for seen in steps] == [Authority.MODEL] * (len(steps) - 1) + [Authority.RULES]
    assert sum(seen.new_frame for seen in steps) == 2


def test_a_rule_of_a_duration_acts_at_the_end_of_a_phase_as_long(door: Program) -> None:
    steps = armed(door).run(Phase({"distance": 0.5}, Span(seconds=0.1)))
    assert [seen.authority for seen in steps] == [Authority.MODEL] * (len(steps) - 1) + [Authority.HUMAN]


def test_frames_come_with_the_frame_period_and_begin_with_the_phase(door: Program) -> None:
    trial = armed(door)
    steps = trial.run(Phase({}, Span(seconds=0.2)))
    assert [round(s.now - steps[0].now, 9) for s in steps if s.new_frame] == [0.0, 0.06, 0.1, 0.16, 0.2]
    assert trial.run(Phase({}))[0].new_frame


def test_an_event_comes_with_the_first_step_of_its_phase_only(door: Program) -> None:
    steps = armed(door).run(Phase({}, Span(frames=3), Event.TAKE))
    assert [seen.events for seen in steps] == [(Event.TAKE,), *[()] * (len(steps) - 1)]
    assert steps[-1].mode is Mode.MANUAL


def test_the_human_s_command_acts_after_a_takeover(door: Program) -> None:
    phase = Phase({}, Span(seconds=1.0), Event.TAKE, manual={"lock": 0.2})
    assert armed(door).run(phase)[-1].command.values == {"lock": 0.2}


def test_a_suggestion_defaults_to_the_safe_command_and_none_at_all_leaves_the_rules_acting(
    door: Program,
) -> None:
    trial = armed(door)
    assert trial.step({}, new_frame=True).command.values == {"lock": 1.0}
    seen = trial.step({}, new_frame=True, suggest={})
    assert seen.authority is Authority.RULES
    assert [cause.rule for cause in seen.causes] == ["event:no-suggestion"]


def test_a_rule_that_only_tells_takes_nothing(door: Program) -> None:
    seen = armed(door).step({"certain": 1.0, "open": 1.0}, new_frame=True)
    assert seen.authority is Authority.MODEL
    assert [cause.rule for cause in seen.notices] == ["odd"]


def test_a_fork_goes_on_from_here_and_leaves_this_one_alone(door: Program) -> None:
    trial = armed(door)
    trial.run(Phase({"certain": 0.4}))
    fork = trial.fork()
    phase = Phase({"certain": 0.4}, Span(frames=2))
    first, second = fork.run(phase), trial.run(phase)
    assert first == second
    assert first[-1].authority is Authority.RULES
    assert first[-1].causes[0].values == {"certain": 0.4}
    fork.step({}, new_frame=True, event=Event.STOP)
    assert trial.step({}, new_frame=True).mode is Mode.DEGRADED


# --- it decides what the guard decides --------------------------------------------------------------------------------


@dataclass
class NoPerception:
    """Answers every frame; the signals of these policies are all the world's."""

    observed: list[int] = field(default_factory=list)
    down: int = 0

    def fallen(self, now: float) -> tuple[Any, ...]:
        return ()

    def tend(self, now: float) -> bool:
        return True

    def observe(self, frame: Frame, now: float) -> Any:
        self.observed.append(frame.number)
        answer = Answer(frame.number, now, 0, "yes", 0.9, (0.9, 0.1), "d")

        @dataclass
        class Observation:
            answer: Answer
            signals: tuple[Signal, ...] = ()
            named: Mapping[str, Any] = field(default_factory=dict)

        return Observation(answer)

    def close(self) -> None:
        pass


@dataclass
class Twin:
    """A real guard that is told what a trial is told."""

    program: Program
    suggest: Mapping[str, float] | None = None
    frames: int = 0

    def __post_init__(self) -> None:
        def planner(answer: Answer, context: Mapping[str, float]) -> Mapping[str, float]:
            return {"lock": 1.0} if self.suggest is None else self.suggest

        self.guard = Guard(self.program, cast("Any", NoPerception()), planner=planner)

    def step(self, values: Values, now: float, *, new_frame: bool, event: Event | None) -> Any:
        context = {
            spec.name: signal
            for spec in self.program.signals
            if (signal := self.signal(spec.name, values.get(spec.name, spec.nominal), now)) is not None
        }
        frame = None
        if new_frame:
            self.frames += 1
            frame = Frame(np.zeros((2, 2, 3), np.uint8), self.frames, now)
        if event is not None and event is not Event.READY:
            self.guard.operator(event)
        return self.guard.step(frame, context, now)

    @staticmethod
    def signal(name: str, value: float | str, now: float) -> Signal | None:
        if value == "missing":
            return None
        at = now - 10.0 if value == "stale" else now
        return Signal(name, {"stale": 1.0, "nan": math.nan}.get(cast("Any", value), value), at, "context")  # type: ignore[arg-type]


SIGNALS: dict[str, list[float | str]] = {
    "certain": [1.0, 0.55, 0.4, "missing", "nan", 1.5],
    "distance": [20.0, 3.0, 0.5, 0.05, "stale"],
    "open": [0.0, 1.0, 0.5, "missing"],
}
INPUT = st.tuples(
    st.fixed_dictionaries({name: st.sampled_from(values) for name, values in SIGNALS.items()}),
    st.booleans(),
    st.sampled_from([None, None, None, None, *(e for e in Event if e not in (Event.READY, Event.INTEGRITY))]),
    st.sampled_from([None, {"lock": 0.3}, {}]),
)


@settings(max_examples=int(os.environ.get("EDGEGUARD_TRIAL_EXAMPLES", "150")))
@given(st.lists(INPUT, max_size=40))
def test_a_trial_decides_what_the_guard_decides(inputs: list[Any]) -> None:
    program = compiled(DOOR)
    trial, twin = Trial(program), Twin(program)
    calm: Values = {}
    script: list[Any] = [
        (calm, False, Event.READY, None),
        (calm, True, None, None),
        (calm, True, Event.ARM, None),
    ]
    for values, new_frame, event, suggest in [*script, *inputs]:
        seen = trial.step(values, new_frame=new_frame, event=event, suggest=suggest)
        twin.suggest = suggest
        assert_same(seen, twin.step(values, seen.now, new_frame=new_frame, event=event))


def assert_same(seen: Seen, verdict: Any) -> None:
    if (
        verdict.answer is not None or seen.mode is not Mode.NOMINAL
    ):  # before its first frame a guard has no suggestion
        assert (seen.mode, seen.authority) == (verdict.mode, verdict.authority)
        assert seen.causes == verdict.causes
        assert seen.command == verdict.command
        assert seen.gate is verdict.gate
    assert seen.notices == verdict.notices
    assert (seen.deadline, seen.alerts) == (verdict.takeover_deadline, verdict.alerts)
