"""Runs both policies over one script and finds the step at which they differ: what the solver said, seen to happen.

The runs are those of `desk.trial`: the real conditions, machine and gate. Nothing is claimed that no run has shown.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgeguard.desk.compare.order import Witness, number_text
from edgeguard.desk.compare.pairing import Point
from edgeguard.desk.solve.search import Values
from edgeguard.desk.trial import NotArmable, Seen, Trial
from edgeguard.errors import PolicyError
from edgeguard.policy.units import duration_text
from edgeguard.program import Program, SignalSpec
from edgeguard.types import Event

MOST_STEPS = 20_000
"""How long one difference is looked for; spans of hours are not worth waiting for."""

_ROUNDING = 1e-9


class Stage(NamedTuple):
    """Inputs that stay the same until both so many frames and so many seconds have passed."""

    point: Point
    frames: int
    seconds: float
    event: Event | None = None
    still: bool = False
    """No new frame comes."""


Differs = Callable[[Seen, Seen], tuple[str, str] | None]
"""(what OLD did, what NEW did), in words, where a step shows the difference that is looked for."""


@dataclass(frozen=True, slots=True)
class Runner:
    """Both policies, to be run side by side. `compile`: their programs with given thresholds."""

    compile: Callable[[Values], tuple[Program, Program]]

    def first(self, scripts: Iterator[Sequence[Stage]], differs: Differs) -> Witness | None:
        """The first difference that any of the scripts shows."""
        left = MOST_STEPS
        for script in scripts:
            found, steps = self.show(script, differs, most=left)
            left -= steps
            if found or left <= 0:
                return found
        return None

    def show(
        self, script: Sequence[Stage], differs: Differs, *, most: int = MOST_STEPS
    ) -> tuple[Witness | None, int]:
        """The first of at most so many steps of one script that differs, and how many were taken.

        None: no step differs, or a policy cannot be armed.
        """
        try:
            programs = self.compile(script[0].point.thresholds)
            trials = [Trial(program) for program in programs]
            start = max(trial.arm().now for trial in trials)
        except (NotArmable, PolicyError):
            return None, 0
        done: list[str] = []
        steps = 0
        for stage in script:
            shown = _shown(stage.point, programs)
            for frames, seconds, old, new in _side_by_side(trials, stage):
                said = differs(old, new)
                if said:
                    script_said = (*done, _phase(stage, shown, frames, seconds))
                    return Witness(script_said, old.now - start, *said, shown), steps
                steps += 1
                if steps >= most:
                    return None, steps
            done.append(_phase(stage, shown, frames, seconds))
        return None, steps


def who_acts(weaker: int) -> Differs:
    """Steps at which policy `weaker` (0: OLD, 1: NEW) leaves more authority than the other."""

    def differs(old: Seen, new: Seen) -> tuple[str, str] | None:
        pair = (old, new)
        if pair[weaker].authority < pair[1 - weaker].authority:
            return old.authority.name.lower(), new.authority.name.lower()
        return None

    return differs


def _side_by_side(trials: Sequence[Trial], stage: Stage) -> Iterator[tuple[int, float, Seen, Seen]]:
    """Both, step by step at the times of the first: (new frames so far, seconds so far, OLD, NEW)."""
    old, new = trials
    program, frames, event = old.program, 0, stage.event
    inputs = _inputs(stage.point, (old.program, new.program))
    for count in itertools.count():
        seconds = count * program.period
        due = not stage.still and math.floor((seconds + _ROUNDING) / program.frame_period) >= frames
        seen = [
            trial.step(values, new_frame=due, event=event, dt=program.period)
            for trial, values in zip((old, new), inputs)
        ]
        frames, event = frames + due, None
        yield frames, seconds, seen[0], seen[1]
        if frames >= stage.frames and not seconds < stage.seconds:
            return


def _inputs(point: Point, programs: tuple[Program, Program]) -> list[dict[str, float | str]]:
    """What each policy's sources say: a value that only the other accepts is given as it is, if its range shows why."""
    given: list[dict[str, float | str]] = []
    for program, mine, theirs in zip(programs, (point.old, point.new), (point.new, point.old)):
        values = {}
        for spec in program.signals:
            if spec.name in mine:
                values[spec.name] = _input(spec, mine[spec.name], theirs.get(spec.name))
        given.append(values)
    return given


def _input(spec: SignalSpec, mine: float | None, theirs: float | None) -> float | str:
    if mine is not None:
        return mine
    if theirs is None:
        return "missing"
    return "stale" if spec.low <= theirs <= spec.high else theirs


def _shown(point: Point, programs: tuple[Program, Program]) -> dict[str, float | str]:
    """The signals that are not nominal for one of the policies, as it would be said."""
    shown: dict[str, float | str] = {}
    old, new = _inputs(point, programs)
    nominal = {spec.name: spec.nominal for program in reversed(programs) for spec in program.signals}
    for name, usual in nominal.items():
        one, other = old.get(name), new.get(name)
        known = [value for value in (one, other) if value is not None]
        if one != other and "stale" in known:
            fresh, late = (other, "OLD") if one == "stale" else (one, "NEW")
            shown[name] = (
                f"= {number_text(fresh)}, too old for {late}" if isinstance(fresh, float) else "stale"
            )
        elif known and known[0] != usual:
            shown[name] = known[0]
    return shown


def _phase(stage: Stage, shown: Mapping[str, float | str], frames: int, seconds: float) -> str:
    """One phase in words: `unsure = 0.2 for 3 frames`."""
    given = ", ".join(
        f"{name} = {number_text(v)}" if isinstance(v, float) else f"{name} {v}" for name, v in shown.items()
    )
    span = "1 frame" if frames == 1 else f"{frames} frames" if frames else "1 step"
    lasting = duration_text(round(seconds, 6)) if stage.seconds and seconds else span
    event = f"{stage.event.value}, " if stage.event else ""
    still = " without a new frame" if stage.still else ""
    return f"{event}{given or 'all nominal'} for {lasting}{still}"
