"""The loop of `run`: its pace, its end, arming, and that no camera and no guard holds up another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgeguard.cli.loop import Camera, Clock, Limits, Summary, run_loop, use_answer
from edgeguard.types import Answer, Authority, Command, Event, Frame, GateDecision, Mode, Verdict

if TYPE_CHECKING:
    from edgeguard.types import Image


class FakeTime:
    def __init__(self) -> None:
        self.t = 100.0
        self.slept: list[float] = []
        self.work = 0.0

    def now(self) -> float:
        return self.t

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.t += seconds


class FakeGuard:
    """Stands by until it is armed for the third time; each step takes `work` s."""

    def __init__(self, time: FakeTime) -> None:
        self.time = time
        self.events: list[Event] = []
        self.frames: list[Frame | None] = []
        self.context: list[Mapping[str, Any]] = []

    def operator(self, event: Event) -> None:
        self.events.append(event)

    def step(self, frame: Frame | None, context: Mapping[str, Any], now: float) -> Verdict:
        self.time.t += self.time.work
        self.frames.append(frame)
        self.context.append(context)
        armed = self.events.count(Event.ARM) >= 3
        mode, who = (Mode.NOMINAL, Authority.MODEL) if armed else (Mode.STANDBY, Authority.SAFE_STATE)
        answer = (
            Answer(0, now, 0, "stop", 0.9, (0.9, 0.1), "d") if frame is not None and frame.number else None
        )
        return Verdict(len(self.frames), 0, now, mode, who, GateDecision.ALLOW, Command(), answer=answer)


class FakeSource:
    name = "fake"
    trouble = ""

    def __init__(self, frames: int) -> None:
        self.left = frames
        self.ended = False
        self.given = 0

    def poll(self, now: float) -> Frame | None:
        if self.given == self.left:
            self.ended = True
            return None
        self.given += 1
        return Frame(np.full((1, 1, 3), self.given, np.uint8), self.given - 1, now)

    def close(self) -> None:
        pass


class FakeKeys:
    def __init__(self, presses: dict[int, list[Event]] | None = None, quits: int = -1) -> None:
        self.presses = presses or {}
        self.quits = quits
        self.calls = 0
        self.quit = False

    def poll(self) -> list[Event]:
        self.calls += 1
        self.quit = self.calls == self.quits
        return self.presses.get(self.calls, [])


class Stage:
    """One loop over fakes, with a notebook of what it did."""

    def __init__(self, *guards: FakeGuard, frames: Sequence[int] = (10_000,), idle: Any = None) -> None:
        self.time = guards[0].time
        self.shown: list[tuple[Verdict, Image | None]] = []
        self.said: list[tuple[float, bool, str]] = []
        self.cameras = [
            Camera(f"camera-{i}", guard, FakeSource(count), lambda *a: self.shown.append(a))
            for i, (guard, count) in enumerate(zip(guards, frames))
        ]
        self.clock = Clock(self.time.now, self.time.sleep, idle or (lambda: None))

    def stepped(self, now: float, *, healthy: bool, status: str) -> None:
        self.said.append((now, healthy, status))

    def run(
        self, *, keys: FakeKeys | None = None, seconds: float = float("inf"), arm: bool = True
    ) -> Summary:
        limits = Limits(0.02, seconds, arm=arm)
        run_loop(
            self.cameras,
            keys or FakeKeys(),
            context={"speed": 3.0},
            limits=limits,
            clock=self.clock,
            manager=self,
        )
        return self.cameras[0].summary


def loop(
    frames: int = 10_000,
    *,
    work: float = 0.0,
    keys: FakeKeys | None = None,
    seconds: float = float("inf"),
    arm: bool = True,
) -> tuple[FakeTime, FakeGuard, Stage, Summary]:
    time = FakeTime()
    time.work = work
    guard = FakeGuard(time)
    stage = Stage(guard, frames=(frames,))
    return time, guard, stage, stage.run(keys=keys, seconds=seconds, arm=arm)


def test_the_loop_ends_with_the_source_and_counts() -> None:
    _, guard, stage, summary = loop(4)
    assert (summary.frames, summary.steps) == (4, 5)
    assert len(stage.shown) == 5
    assert summary.labels == Counter({"stop": 3, "(no answer)": 1})
    assert guard.context[0] == {"speed": 3.0}
    assert stage.shown[-1][1] is stage.shown[-2][1]


def test_the_loop_keeps_the_policy_s_period() -> None:
    time, _, _, summary = loop(100, work=0.005)
    assert summary.seconds == pytest.approx(101 * 0.02)
    assert time.slept[0] == pytest.approx(0.015)


def test_a_late_loop_does_not_catch_up_in_a_burst() -> None:
    time, _, _, _ = loop(10, work=0.05)
    assert time.slept == []


def test_the_loop_ends_after_its_time() -> None:
    assert loop(seconds=0.99)[3].steps == 50


def test_the_loop_arms_until_it_is_armed_and_never_again() -> None:
    _, guard, _, _ = loop(20)
    assert guard.events == [Event.ARM] * 3


def test_a_stop_before_it_is_armed_keeps_the_loop_from_arming() -> None:
    _, guard, _, _ = loop(20, keys=FakeKeys({2: [Event.STOP]}))
    assert guard.events == [Event.ARM, Event.STOP]


def test_without_arm_only_the_operator_arms() -> None:
    _, guard, _, _ = loop(20, arm=False, keys=FakeKeys({2: [Event.TAKE, Event.STOP]}))
    assert guard.events == [Event.TAKE, Event.STOP]


def test_the_operator_can_quit() -> None:
    assert loop(keys=FakeKeys(quits=7))[3].steps == 7


def test_the_summary_says_who_could_act_and_what_was_said() -> None:
    text = str(
        Summary(4, 2, 1.5, Counter({Authority.MODEL: 3, Authority.SAFE_STATE: 1}), Counter({"stop": 2}))
    )
    assert text.splitlines() == [
        "2 frames and 4 steps in 1.5 s",
        "  model        75.0% of the steps",
        "  safe state   25.0% of the steps",
        "  the model said: stop 2",
    ]
    assert str(Summary()).endswith("the model said: nothing")


def test_the_planner_of_an_answer_gate_suggests_to_use_the_answer() -> None:
    assert use_answer(Answer(0, 0.0, 0, "stop", 0.9, (0.9,), "d"), {}) == {"use_answer": 1.0}


class BrokenGuard(FakeGuard):
    def step(self, frame: Frame | None, context: Mapping[str, Any], now: float) -> Verdict:
        if len(self.frames) == 3:
            raise RuntimeError("a fault of its own")
        return super().step(frame, context, now)


def test_every_guard_is_stepped_once_a_period() -> None:
    time = FakeTime()
    guards = [FakeGuard(time) for _ in range(3)]
    stage = Stage(*guards, frames=(10_000,) * 3)
    stage.run(seconds=0.99)
    assert [len(guard.frames) for guard in guards] == [50, 50, 50]
    assert guards[2].events == [Event.ARM] * 3


def test_a_source_that_has_ended_leaves_its_guard_without_pictures_and_the_others_go_on() -> None:
    time = FakeTime()
    guards = [FakeGuard(time) for _ in range(2)]
    stage = Stage(*guards, frames=(2, 6))
    stage.run()
    assert [len(guard.frames) for guard in guards] == [7, 7]
    assert guards[0].frames[2:] == [None] * 5
    assert [camera.summary.frames for camera in stage.cameras] == [2, 6]


def test_a_guard_that_fails_gives_up_at_once_and_the_others_go_on() -> None:
    time = FakeTime()
    broken, whole = BrokenGuard(time), FakeGuard(time)
    stage = Stage(broken, whole, frames=(10_000,) * 2)
    told: list[Exception] = []
    stage.cameras[0].give_up = told.append
    stage.run(seconds=0.49)
    assert [len(guard.frames) for guard in (broken, whole)] == [3, 25]
    assert [str(error) for error in told] == ["a fault of its own"]
    assert stage.said[-1][1:] == (True, "camera-0: failed; camera-1: model (nominal)")


def test_giving_up_that_fails_as_well_holds_nobody_up() -> None:
    time = FakeTime()
    stage = Stage(BrokenGuard(time), FakeGuard(time), frames=(10_000,) * 2)

    def fails(error: Exception) -> None:
        raise OSError("no line")

    stage.cameras[0].give_up = fails
    stage.run(seconds=0.49)
    assert stage.cameras[1].summary.steps == 25


def test_when_no_guard_is_left_the_loop_ends_with_the_first_fault_and_no_sign_of_life() -> None:
    time = FakeTime()
    stage = Stage(BrokenGuard(time), BrokenGuard(time), frames=(10_000,) * 2)
    with pytest.raises(RuntimeError, match="a fault of its own"):
        stage.run()
    assert [healthy for _, healthy, _ in stage.said] == [True] * 3 + [False]


def test_the_manager_hears_of_every_round_that_was_done() -> None:
    stage = loop(4)[2]
    assert len(stage.said) == 5
    assert stage.said[0][1:] == (True, "camera-0: safe_state (standby)")
    assert stage.said[-1][1:] == (True, "camera-0: model (nominal)")


@pytest.mark.parametrize(("work", "times"), [(0.001, 4), (0.016, 0)])
def test_idle_work_is_done_once_a_second_and_only_where_there_is_time(work: float, times: int) -> None:
    time = FakeTime()
    time.work = work
    idle: list[float] = []
    Stage(FakeGuard(time), idle=lambda: idle.append(time.t)).run(seconds=4.9)
    assert len(idle) == times
