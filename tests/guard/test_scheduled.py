"""A guard with a schedule: what is not computed ages, what is due besides is computed, and lost workers show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from edgeguard.explain import explain
from edgeguard.guard import Guard
from edgeguard.inference.looks import Canonical, Reply, Scores
from edgeguard.inference.perception import Perception
from edgeguard.policy.compiler import compile_policy
from edgeguard.policy.document import parse
from edgeguard.types import Authority, Event, Frame, Mode, Reading, Status, Verdict

POLICY = """
edgeguard: 1
policy: {{name: scheduled, version: 1}}
models: {{primary: {{bundle: p}}, redundant: {{bundle: r}}}}
admission: {{signers: [{{key: k.pub, sha256: "{zeros}"}}]}}
isolation: {{workers: {{second: {{runs: [redundant], restarts: {{most: 0, within: 60s, then: lockout}}}}}}}}
frame: {{period: 50ms}}
signals:
  certainty: {{of: primary, range: [0, 1], max_age: 150ms, nominal: 1}}
  disagreement: {{of: [primary, redundant], range: [0, 1], max_age: 250ms, on_fault: rules}}
  other: {{of: redundant, type: class, labels: [stop, yield], max_age: 250ms, on_fault: rules}}
  workers_down: {{from: runtime, range: [0, 9], max_age: 100ms}}
schedule:
  disagreement: {{every: 4 frames{besides}}}
  other: {{every: 4 frames}}
rules:
  - {{id: split, when: disagreement > 0.6, then: rules}}
  - {{id: crippled, when: workers_down > 0.0, then: human, within: 4s, otherwise: safe_state}}
fallback: [{{command: {{use_answer: 0}}}}]
envelope: {{use_answer: {{min: 0, max: 1, safe: 0}}}}
"""
CLASSES = ("none", "stop", "yield")
SURE, UNSURE = (0.0, 1.0, 0.0), (0.0, 0.6, 0.4)


def scores(row: Sequence[float]) -> Scores:
    return Scores(np.array(row, np.float32), -1.0, None, "aa")


@dataclass
class FakeMember:
    name: str
    looks: tuple[str, ...]
    says: Scores
    kinds: tuple[Canonical, ...] = (Canonical(4, 4, "area"),)
    answering: bool = True
    within: bool = True
    asked: int = 0
    why: str | None = ""
    scoring: Any = field(default_factory=lambda: SimpleNamespace(energy=False))

    def begin(self, number: int) -> Sequence[Any] | None:
        return [kind.blank() for kind in self.kinds] if self.answering else None

    def submit(self, looks: Sequence[str]) -> None:
        self.asked += 1

    def collect(self) -> Reply:
        return Reply(0, dict.fromkeys(self.looks, self.says))

    def poll(self) -> Reply | None:
        return self.collect()

    def tend(self, now: float) -> bool:
        return self.within

    def describe(self) -> Mapping[str, str]:
        if self.why is None:
            raise OSError
        return {"why": self.why}

    def close(self) -> None:
        pass


class Drive:
    """A guard over fake members, a frame every step."""

    def __init__(self, besides: str = "") -> None:
        text = POLICY.format(zeros="0" * 64, besides=besides)
        self.program = compile_policy(parse(text.encode(), file="p.yaml"), base=Path("/"), calibration=None)
        self.first = FakeMember("host", ("primary", "squeezed"), scores(SURE))
        self.second = FakeMember("second", ("redundant",), scores(SURE))
        manifest = SimpleNamespace(name="m", classes=CLASSES, outputs=())
        models: Any = {
            role: SimpleNamespace(digest="aa", manifest=manifest) for role in ("primary", "redundant")
        }
        members: Any = (self.first, self.second)
        perception = Perception(members, models, lambda: 0.0, specs=self.program.signals)
        self.guard = Guard(self.program, perception, planner=lambda _answer, _context: {"use_answer": 1.0})
        self.now, self.number = 10.0, 0

    def step(self, *, frame: bool = True) -> Verdict:
        self.now += 0.05
        self.number += frame
        shot = Frame(np.full((4, 4, 3), self.number, np.uint8), self.number, self.now) if frame else None
        return self.guard.step(shot, {}, self.now)

    def armed(self) -> Drive:
        for _ in range(3):
            self.step()
        self.guard.operator(Event.ARM)
        assert self.step().authority is Authority.MODEL
        return self


def reading(verdict: Verdict, name: str) -> Reading:
    return next(r for r in verdict.readings if r.name == name)


def test_a_scheduled_signal_keeps_its_value_and_its_age_until_its_turn() -> None:
    drive = Drive()
    ages = [reading(drive.step(), "disagreement").age for _ in range(8)]
    np.testing.assert_allclose(ages, [0.0, 0.05, 0.1, 0.15] * 2, atol=1e-9)
    assert drive.second.asked == 2
    assert reading(drive.step(), "other").value == 0.0


def test_a_scheduled_signal_that_misses_its_turn_goes_stale_like_any_other() -> None:
    drive = Drive().armed()
    drive.second.answering = False  # from the fifth frame on: its turn brings no value
    verdicts = [drive.step() for _ in range(4)]
    assert reading(verdicts[0], "disagreement").status is Status.UNKNOWN
    assert all(v.authority is not Authority.MODEL for v in verdicts)


def test_frames_that_stop_coming_let_it_go_stale() -> None:
    drive = Drive().armed()
    statuses = [reading(drive.step(frame=False), "disagreement").status for _ in range(6)]
    assert statuses[-1] is Status.STALE


def test_a_doubtful_answer_makes_the_signal_due_at_once() -> None:
    drive = Drive(besides=", or_when: certainty < 0.9").armed()
    drive.first.says = scores(UNSURE)
    asked = drive.second.asked
    verdicts = [drive.step() for _ in range(3)]
    assert drive.second.asked == asked + 3
    assert [reading(v, "disagreement").age for v in verdicts] == [0.0] * 3
    drive.first.says = scores(SURE)
    asked = drive.second.asked
    for _ in range(4):
        drive.step()
    assert drive.second.asked == asked + 1


def test_an_answer_that_is_missing_makes_the_signal_due() -> None:
    drive = Drive(besides=", or_when: certainty < 0.9").armed()
    drive.first.says = scores((0.0, 1.0, 0.0))
    drive.first.looks = ("squeezed",)  # the primary look is not answered any more
    asked = drive.second.asked
    assert drive.step().authority is not Authority.MODEL
    assert drive.second.asked == asked + 1


def test_a_worker_that_is_down_shows_as_a_signal() -> None:
    drive = Drive().armed()
    assert reading(drive.step(frame=False), "workers_down").value == 0.0
    drive.second.answering = False
    verdict = drive.step(frame=False)
    assert reading(verdict, "workers_down").value == 1.0
    assert verdict.authority is Authority.HUMAN


def test_a_worker_that_does_not_answer_is_told_with_its_reason_and_since_when() -> None:
    drive = Drive().armed()
    assert drive.step(frame=False).notices == ()
    drive.second.answering, drive.second.why = False, "broke the protocol"
    first, later = drive.step(frame=False), drive.step(frame=False)
    (notice,) = later.notices
    assert (notice.rule, notice.text, notice.mode) == ("worker:second", "broke the protocol", "warn")
    assert notice.since == first.at < later.at
    told = "`worker:second` (warn): the worker `second` does not answer: broke the protocol"
    assert told in explain(later)
    drive.second.answering = True
    assert drive.step(frame=False).notices == ()


def test_words_about_a_worker_that_cannot_be_had_do_not_stop_a_verdict() -> None:
    drive = Drive().armed()
    drive.second.answering, drive.second.why = False, None
    assert drive.step(frame=False).notices == ()


def test_used_up_restarts_lock_out() -> None:
    drive = Drive().armed()
    drive.second.within = False
    assert drive.step(frame=False).mode is Mode.LOCKOUT


def test_a_guard_that_never_waits_for_a_model_starts_without_waiting_for_it() -> None:
    drive = Drive()
    manifest = SimpleNamespace(name="m", classes=CLASSES, outputs=())
    models: Any = {role: SimpleNamespace(digest="aa", manifest=manifest) for role in ("primary", "redundant")}
    members: Any = (drive.first, drive.second)
    background = ("disagreement", "other")
    Perception(members, models, lambda: 0.0, specs=drive.program.signals, background=background).warm_up()
    assert drive.second.asked == 0
