"""The guard: a frame goes the whole way, and whatever breaks on it only removes authority."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.decider import Decider
from edgeguard.decision.table import RuleRow, Span, Table, Truth
from edgeguard.errors import UsageError
from edgeguard.guard import Guard
from edgeguard.program import ActuatorLimit, FallbackRow, Program, SignalSpec
from edgeguard.types import (
    Answer,
    Authority,
    Command,
    Event,
    Frame,
    GateDecision,
    Mode,
    Signal,
    Status,
    Verdict,
)

SAFE = Authority.SAFE_STATE
IMAGE = np.zeros((4, 4, 3), np.uint8)
SPECS = (
    SignalSpec("certainty", "primary", 0.0, 1.0, 0.2),
    SignalSpec("speed", "context", 0.0, 60.0, 0.2),
    SignalSpec("frame_age", "frame", 0.0, 0.2, 0.2),
)
TABLE = Table(
    (
        RuleRow("unsure", 7, "certainty < calibrated.certainty", Authority.RULES, Span(2), Span(2), reads=(0,),
                thresholds=("certainty",)),
        *(
            RuleRow(f"signal:{spec.name}", 20 + i, f"{spec.name} is unhealthy", Authority.SAFE_STATE,
                    clear=Span(frames=2), reads=(i,))
            for i, spec in enumerate(SPECS)
        ),
    )
)  # fmt: skip


def conditions(values: Sequence[float], healthy: Sequence[bool]) -> tuple[Truth, ...]:
    unsure = Truth(values[0] < 0.9) if healthy[0] else Truth.FAULT
    return (unsure, *(Truth.FALSE if ok else Truth.FAULT for ok in healthy))


def clears(values: Sequence[float], healthy: Sequence[bool]) -> tuple[Truth, ...]:
    return tuple(Truth.TRUE if w is Truth.FALSE else Truth.FALSE for w in conditions(values, healthy))


PROGRAM = Program(
    name="test",
    version=1,
    digest="00" * 32,
    signals=SPECS,
    table=TABLE,
    when=conditions,
    clear=clears,
    choose=lambda _values, _healthy: 0,
    fallback=(FallbackRow(40, "true", Command({"brake": 0.4})),),
    envelope=(ActuatorLimit("brake", 0.0, 1.0, 100.0, 100.0, 1.0),),
    thresholds={"certainty": 0.9},
)


@dataclass
class Seen:
    answer: Answer | None
    signals: tuple[Signal, ...]
    named: Mapping[str, tuple[str | None, float]] = field(default_factory=dict)


@dataclass
class FakePerception:
    certainty: float | None = 0.99
    closed: bool = False
    fails: bool = False
    seen: list[int] = field(default_factory=list)
    down: int = 0
    within_budget: bool = True

    def fallen(self, now: float) -> tuple[Any, ...]:
        return ()

    def tend(self, now: float) -> bool:
        return self.within_budget

    def observe(self, frame: Frame, now: float) -> Seen:
        if self.fails:
            raise MemoryError
        self.seen.append(frame.number)
        sure = self.certainty
        answer = (
            None if sure is None else Answer(frame.number, frame.at, 0, "go", sure, (sure, 1 - sure), "d")
        )
        return Seen(answer, (Signal("certainty", sure, frame.at, "primary"),))

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeStatus:
    mcu_mode: str = "enabled"
    last_heard: float = 0.0
    rejected: int = 0
    round_trip: float | None = None
    round_trip_at: float = -math.inf
    dropped: int = 0
    lost: int = 0
    crc_errors: int = 0
    latches: tuple[str, ...] = ()


@dataclass
class FakeLink:
    status: FakeStatus = field(default_factory=FakeStatus)
    sent: list[tuple[Mapping[str, float], Authority]] = field(default_factory=list)
    polled: int = 0
    armed: int = 0
    released: int = 0
    withdrawn: int = 0
    closed: bool = False

    def poll(self, now: float) -> None:
        self.polled += 1

    def arm(self, now: float) -> None:
        self.armed += 1

    def release(self, now: float) -> None:
        self.released += 1

    def withdraw(self) -> None:
        self.withdrawn += 1

    def send(self, command: Mapping[str, float], source: Authority, now: float) -> None:
        self.sent.append((command, source))

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeLog:
    failures: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    closed: bool = False

    def append(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)

    def close(self) -> None:
        self.closed = True


def cruise(answer: Answer, context: Mapping[str, float]) -> Mapping[str, float]:
    return {"brake": 0.0}


class Drive:
    """A guard on a clock the test moves, with a planner that always wants to go."""

    def __init__(
        self, planner: Callable[[Answer, Mapping[str, float]], Mapping[str, float]] | None = cruise
    ) -> None:
        self.perception = FakePerception()
        self.link = FakeLink()
        self.log = FakeLog()
        parts: Any = {
            "link": self.link,
            "log": self.log,
            "planner": planner,
        }  # doubles of what is not tested here
        self.guard = Guard(PROGRAM, cast("Any", self.perception), digests={"policy": "00"}, **parts)
        self.now = 10.0
        self.number = 0

    def step(self, *, frame: bool = True, context: Mapping[str, float | Signal] | None = None) -> Verdict:
        self.now += 0.05
        self.number += frame
        shot = Frame(IMAGE, self.number, self.now) if frame else None
        return self.guard.step(shot, {"speed": 10.0} if context is None else context, self.now)

    def arm(self) -> Drive:
        for _ in range(3):
            self.step()
        self.guard.operator(Event.ARM)
        assert self.step().authority is Authority.MODEL
        return self


def test_the_model_acts_only_after_arming() -> None:
    drive = Drive()
    verdict = drive.step()
    assert (verdict.mode, verdict.gate, verdict.command.values) == (
        Mode.STANDBY,
        GateDecision.BLOCK,
        {"brake": 1.0},
    )
    verdict = drive.arm().step()
    assert (verdict.authority, verdict.gate, verdict.causes) == (Authority.MODEL, GateDecision.ALLOW, ())
    assert drive.link.armed == 1
    assert drive.link.sent[-1] == ({"brake": 0.0}, Authority.MODEL)
    assert drive.log.verdicts[-1] is verdict
    assert verdict.digests == {"policy": "00"}


def test_an_early_arm_request_waits_for_the_end_of_the_start_up() -> None:
    drive = Drive()
    drive.guard.operator(Event.ARM)
    assert drive.step().mode is Mode.STANDBY
    assert drive.step().mode is Mode.NOMINAL


def test_low_certainty_hands_to_the_rules_with_a_cause() -> None:
    drive = Drive().arm()
    drive.perception.certainty = 0.5
    assert drive.step().authority is Authority.MODEL
    verdict = drive.step()
    assert (verdict.authority, verdict.gate, verdict.command.values) == (
        Authority.RULES,
        GateDecision.SUBSTITUTE,
        {"brake": 0.4},
    )
    assert verdict.causes[0].values == {"certainty": 0.5}
    assert verdict.readings[0].status is Status.SUSPECT
    assert verdict.suggested == Command({"brake": 0.0})


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -0.1, 1.1])
def test_a_missing_nan_or_out_of_range_signal_gives_the_safe_verdict(bad: float | None) -> None:
    drive = Drive().arm()
    drive.perception.certainty = bad
    verdict = drive.step()
    assert (verdict.authority, verdict.command.values) == (Authority.SAFE_STATE, {"brake": 1.0})
    assert "signal:certainty" in {cause.rule for cause in verdict.causes}


def test_a_missing_context_value_gives_the_safe_verdict() -> None:
    assert Drive().arm().step(context={}).authority is Authority.SAFE_STATE


def test_a_stale_context_value_gives_the_safe_verdict() -> None:
    drive = Drive().arm()
    old = Signal("speed", 10.0, drive.now - 1.0, "context")
    assert drive.step(context={"speed": old}).authority is Authority.SAFE_STATE


def test_a_camera_that_stops_gives_the_safe_verdict() -> None:
    drive = Drive().arm()
    verdicts = [drive.step(frame=False) for _ in range(6)]
    assert verdicts[0].authority is Authority.MODEL
    assert verdicts[-1].authority is Authority.SAFE_STATE


def test_a_replayed_frame_is_no_frame() -> None:
    drive = Drive().arm()
    verdict = drive.step()
    for _ in range(6):
        drive.now += 0.05
        verdict = drive.guard.step(Frame(IMAGE, drive.number, drive.now), {"speed": 10.0}, drive.now)
    assert drive.perception.seen.count(drive.number) == 1
    assert verdict.authority is Authority.SAFE_STATE


def test_a_frame_from_the_future_gives_the_safe_verdict() -> None:
    drive = Drive().arm()
    verdict = drive.guard.step(Frame(IMAGE, 999, drive.now + 5.0), {"speed": 10.0}, drive.now + 0.05)
    assert verdict.authority is Authority.SAFE_STATE


@pytest.mark.parametrize("at", [None, "now", 10**400, True, math.nan, -math.inf])
def test_a_frame_without_a_sane_time_gives_the_safe_verdict(at: Any) -> None:
    drive = Drive().arm()
    assert drive.guard.step(Frame(IMAGE, 999, at), {"speed": 10.0}, drive.now + 0.05).authority is SAFE


@pytest.mark.parametrize("number", [None, "7", math.nan, 1e9, math.inf])
def test_a_frame_without_a_whole_number_is_no_frame(number: Any) -> None:
    drive = Drive().arm()
    before = list(drive.perception.seen)
    drive.guard.step(Frame(IMAGE, number, drive.now), {"speed": 10.0}, drive.now)
    assert drive.perception.seen == before
    assert drive.step().frame == drive.number


def test_a_frame_taken_while_the_step_began_is_not_from_the_future() -> None:
    drive = Drive().arm()
    shot = Frame(IMAGE, 999, drive.now + 0.0501)  # the camera's thread read the clock 0.1 ms after the loop
    verdict = drive.guard.step(shot, {"speed": 10.0}, drive.now + 0.05)
    assert verdict.authority is Authority.MODEL
    assert verdict.readings[2].value == 0.0


def test_perception_that_falls_over_gives_the_safe_verdict_and_no_older_answer() -> None:
    drive = Drive().arm()
    drive.perception.fails = True
    verdict = drive.step()
    assert (verdict.authority, verdict.answer, verdict.suggested) == (SAFE, None, None)
    assert verdict.readings[0].status is Status.UNKNOWN
    assert (verdict.frame, drive.guard.perception_failures) == (drive.number, 1)


def test_a_clock_that_goes_back_locks_out() -> None:
    drive = Drive().arm()
    drive.now -= 5.0
    verdict = drive.step()
    assert (verdict.mode, verdict.causes[0].rule) == (Mode.LOCKOUT, "event:integrity")


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf])
def test_a_time_that_is_none_is_the_callers_mistake(now: float) -> None:
    drive = Drive().arm()
    sent = len(drive.link.sent)
    with pytest.raises(UsageError, match="finite number of seconds"):
        drive.guard.step(None, {"speed": 10.0}, now)
    assert len(drive.link.sent) == sent
    assert drive.step().authority is Authority.MODEL


def test_a_clock_that_stands_still_does_not_lock_out() -> None:
    drive = Drive().arm()
    assert drive.guard.step(None, {"speed": 10.0}, drive.now).authority is Authority.MODEL


@pytest.mark.parametrize("value", [10**400, -(10**400), None, "1", [1.0]])
def test_a_command_of_no_sane_number_does_not_act(value: Any) -> None:
    drive = Drive(lambda _answer, _context: {"brake": value})
    for _ in range(3):
        drive.step()
    drive.guard.operator(Event.ARM)
    assert drive.step().command.values == {"brake": 0.4}
    drive.guard.operator(Event.TAKE)
    drive.now += 0.05
    verdict = drive.guard.step(None, {"speed": 10.0}, drive.now, manual={"brake": value})
    assert (verdict.mode, verdict.command.values) == (Mode.MANUAL, {"brake": 0.4})


def broken(answer: Answer, context: Mapping[str, float]) -> Mapping[str, float]:
    raise RuntimeError("planner fell over")


def not_a_mapping(answer: Answer, context: Mapping[str, float]) -> Mapping[str, float]:
    return 3  # type: ignore[return-value]


def unlisted(answer: Answer, context: Mapping[str, float]) -> Mapping[str, float]:
    return {"brake": 0.0, "horn": 1.0}


@pytest.mark.parametrize("planner", [broken, not_a_mapping, unlisted, None])
def test_a_planner_that_fails_is_replaced_by_the_rules(
    planner: Callable[[Answer, Mapping[str, float]], Mapping[str, float]] | None,
) -> None:
    drive = Drive(planner)
    for _ in range(3):
        drive.step()
    drive.guard.operator(Event.ARM)
    verdict = drive.step()
    assert (verdict.gate, verdict.command.values) == (GateDecision.SUBSTITUTE, {"brake": 0.4})
    assert (verdict.mode, verdict.authority) == (Mode.NOMINAL, Authority.RULES)
    since = drive.now
    (cause,) = drive.step().causes
    assert (cause.rule, cause.demands, cause.since) == ("event:no-suggestion", Authority.RULES, since)


def test_planner_failures_are_counted() -> None:
    drive = Drive(broken)
    drive.step()
    assert drive.guard.planner_failures == 1


def test_the_planner_sees_only_the_context() -> None:
    got: list[dict[str, float]] = []

    def spy(answer: Answer, context: Mapping[str, float]) -> Mapping[str, float]:
        got.append(dict(context))
        return {"brake": 0.0}

    Drive(spy).step()
    assert got == [{"speed": 10.0}]


def test_the_human_drives_after_taking_over() -> None:
    drive = Drive().arm()
    drive.guard.operator(Event.TAKE)
    drive.now += 0.05
    verdict = drive.guard.step(None, {"speed": 10.0}, drive.now, manual={"brake": 0.2})
    assert (verdict.mode, verdict.command.values) == (Mode.MANUAL, {"brake": 0.2})
    assert drive.link.sent[-1][1] is Authority.HUMAN


def test_without_actuators_and_without_a_planner_the_model_is_given_nothing() -> None:
    drive = Drive(None)
    drive.guard = Guard(replace(PROGRAM, envelope=(), fallback=()), cast("Any", drive.perception))
    for _ in range(3):
        drive.step()
    drive.guard.operator(Event.ARM)
    verdict = drive.step()
    assert verdict.mode is Mode.NOMINAL
    assert (verdict.authority, verdict.command.values) == (Authority.SAFE_STATE, {})


def test_the_runtime_and_the_line_are_signals_too() -> None:
    drive = Drive().arm()
    drive.log.failures, drive.link.status.mcu_mode, drive.link.status.rejected = 2, "fallback_only", 7
    drive.step()
    names = ("log_failures", "mcu_fallback", "link_rejected")
    assert [drive.guard._signals[name].value for name in names] == [2.0, 1.0, 7.0]


@pytest.mark.parametrize(
    ("mode", "alone"), [("silent", 1.0), ("lockout", 1.0), ("unknown", None), ("code 9", None)]
)
def test_a_microcontroller_nobody_hears_is_not_taken_to_follow_the_host(
    mode: str, alone: float | None
) -> None:
    drive = Drive().arm()
    drive.step()
    drive.link.status.mcu_mode = mode
    drive.step()
    assert drive.guard._signals["mcu_fallback"].value == alone


def test_a_microcontroller_that_was_silent_from_the_start_waits_for_the_host() -> None:
    drive = Drive()
    drive.link.status.mcu_mode = "silent"
    drive.arm()
    drive.step()
    assert drive.guard._signals["mcu_fallback"].value == 0.0


def test_a_microcontroller_that_comes_back_silent_follows_nobody_until_the_host_gives_up() -> None:
    drive = Drive().arm()
    drive.step()
    drive.link.status.mcu_mode = "silent"  # it lost its power, and with it every latch
    for _ in range(3):
        drive.step()
        assert drive.guard._signals["mcu_fallback"].value == 1.0
    drive.guard.operator(Event.STOP)
    drive.step()
    drive.step()
    assert drive.guard._signals["mcu_fallback"].value == 0.0  # and the operator may reset, and arm anew


def test_what_the_line_measures_is_a_signal() -> None:
    drive = Drive().arm()
    status = drive.link.status
    status.round_trip, status.round_trip_at = 0.004, drive.now
    status.dropped, status.lost, status.crc_errors, status.latches = 3, 2, 6, ("stop",)
    drive.step()
    signals = drive.guard._signals
    names = ("link_latency", "link_drops", "link_crc_errors", "mcu_latched")
    assert [signals[name].value for name in names] == [0.004, 5.0, 6.0, 1.0]
    assert signals["link_latency"].at == status.round_trip_at  # an old measurement must not look new
    status.round_trip, status.latches = None, ()
    drive.step()
    assert [signals[name].value for name in names] == [None, 5.0, 6.0, 0.0]


def test_nothing_is_known_of_the_latches_of_a_microcontroller_nobody_hears() -> None:
    drive = Drive().arm()
    drive.link.status.mcu_mode = "unknown"
    drive.step()
    assert drive.guard._signals["mcu_latched"].value is None


def test_resetting_releases_the_microcontroller_and_arms_nothing() -> None:
    drive = Drive().arm()
    drive.guard.operator(Event.STOP)
    drive.step()
    assert (drive.link.armed, drive.link.released) == (1, 0)
    drive.guard.operator(Event.RESET)
    assert drive.step().mode is Mode.STANDBY
    assert (drive.link.armed, drive.link.released) == (1, 1)


def test_arming_releases_nothing_and_is_asked_for_again_only_by_the_operator() -> None:
    drive = Drive().arm()
    for _ in range(3):
        drive.step()
    assert (drive.link.armed, drive.link.released) == (1, 0)
    drive.guard.operator(Event.ARM)  # the microcontroller fell back by itself, and the host was never told
    drive.step()
    assert (drive.link.armed, drive.link.released) == (2, 0)


def test_stop_ends_a_request_to_arm_the_microcontroller() -> None:
    drive = Drive().arm()
    drive.step()
    assert drive.link.withdrawn == 0
    drive.guard.operator(Event.STOP)
    drive.step()
    assert drive.link.withdrawn == 1


def test_giving_control_back_releases_no_latch() -> None:
    drive = Drive().arm()
    for event in (Event.TAKE, Event.RELEASE):
        drive.guard.operator(event)
        drive.step()
    assert drive.link.released == 0


def test_closing_ends_every_part() -> None:
    drive = Drive()
    drive.guard.close()
    assert drive.perception.closed
    assert drive.link.closed
    assert drive.log.closed


def test_a_part_that_fails_to_close_keeps_none_of_the_others_open() -> None:
    drive = Drive()

    def fail() -> None:
        assert drive.link.closed  # authority is given up before anybody waits for a process
        raise OSError("no such process")

    drive.perception.close = fail  # type: ignore[method-assign]
    with pytest.raises(OSError, match="no such process"):
        drive.guard.close()
    assert drive.log.closed


def test_closing_needs_neither_line_nor_log() -> None:
    drive = Drive()
    Guard(PROGRAM, cast("Any", drive.perception)).close()
    assert drive.perception.closed


frames = st.one_of(
    st.none(),
    st.tuples(st.integers(-5, 400), st.one_of(st.floats(), st.sampled_from([10.2, 10.5, 11.0]))),
)
contexts = st.dictionaries(
    st.sampled_from(["speed", "other"]), st.one_of(st.floats(), st.none(), st.just("fast")), max_size=2
)


@given(
    st.lists(
        st.tuples(frames, contexts, st.one_of(st.none(), st.floats()), st.sampled_from(Event)), max_size=30
    )
)
def test_no_input_raises_and_the_model_never_acts_on_bad_signals(
    trace: list[tuple[tuple[int, float] | None, dict[str, float], float | None, Event]],
) -> None:
    drive = Drive().arm()
    for shot, context, certainty, event in trace:
        drive.perception.certainty = certainty
        drive.now += 0.02
        drive.guard.operator(event)
        frame = None if shot is None else Frame(IMAGE, *shot)
        verdict = drive.guard.step(frame, context, drive.now)
        assert 0.0 <= verdict.command.values["brake"] <= 1.0
        if any(reading.status > Status.SUSPECT for reading in verdict.readings):
            assert verdict.authority is not Authority.MODEL


def test_a_rule_without_a_condition_is_never_taken_for_one_that_does_not_hold() -> None:
    for short in (
        replace(PROGRAM, when=lambda values, healthy: conditions(values, healthy)[:-1]),
        replace(PROGRAM, clear=lambda values, healthy: clears(values, healthy)[:-1]),
    ):
        with pytest.raises(AssertionError, match="not as many conditions"):
            Decider(short)
