"""Counterexamples are run through the real runtime before anybody is told of them. Nothing is believed without it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from edgeguard.desk.prove.result import Trace
from edgeguard.desk.prove.subject import Cause, Subject, shown
from edgeguard.desk.solve.backend import z3
from edgeguard.desk.solve.search import Answer
from edgeguard.desk.trial import ONE_FRAME, NotArmable, Phase, Seen, Trial
from edgeguard.types import Authority, Event, Mode

Judge = Callable[[Sequence[Seen]], bool]
"""Whether the run so far shows what was looked for, at its last step."""

_LONGEST = 20_000
"""Steps of the longest run that is tried."""
_DEPTH = 5
_MOST = 4_000
"""How deep, and over how many states, the runtime is searched for a run of what the mode layer allows."""


def play(subject: Subject, phases: Sequence[Phase], judge: Judge) -> Trace | None:
    """Run `phases` from an armed, calm start; the trace up to the first step that `judge` accepts, or None."""
    if not _affordable(subject, phases):
        return None
    trial = Trial(subject.program)
    try:
        seen = [trial.arm()]
    except NotArmable:
        return None
    starts: list[int] = []
    for phase in phases:
        starts.append(len(seen))
        for step in trial.run(phase):
            seen.append(step)
            if judge(seen):
                return Trace(tuple(phases[: len(starts)]), tuple(starts), tuple(seen))
    return None


def _affordable(subject: Subject, phases: Sequence[Phase]) -> bool:
    """Whether the run is short enough to be run at all: a rule may wait for a day."""
    frame = subject.program.frame_period
    seconds = sum(max(phase.span.seconds, phase.span.frames * frame) for phase in phases)
    return seconds <= _LONGEST * subject.program.period


class _Run(NamedTuple):
    trial: Trial
    phases: tuple[Phase, ...]
    starts: tuple[int, ...]
    seen: tuple[Seen, ...]


def hunt(subject: Subject, judge: Judge) -> Trace | None:
    """The shortest run, over a small alphabet of inputs and events, that `judge` accepts; None: none was found."""
    trial = Trial(subject.program)
    try:
        waiting = deque([_Run(trial, (), (), (trial.arm(),))])
    except NotArmable:
        return None
    letters = [phase for phase in _letters(subject) if _affordable(subject, [phase])]
    known: set[object] = set()
    while waiting and len(known) < _MOST:
        here = waiting.popleft()
        for letter in letters:
            run = _on(here, letter)
            for end in range(len(here.seen) + 1, len(run.seen) + 1):
                if judge(run.seen[:end]):
                    return Trace(run.phases, run.starts, run.seen[:end])
            if (key := _key(run.seen)) not in known and len(run.phases) < _DEPTH:
                known.add(key)
                waiting.append(run)
    return None


def _on(run: _Run, letter: Phase) -> _Run:
    trial = run.trial.fork()
    seen = trial.run(letter)
    return _Run(trial, (*run.phases, letter), (*run.starts, len(run.seen)), (*run.seen, *seen))


def _letters(subject: Subject) -> Iterator[Phase]:
    """All is well, or one cause for each demand; with every event of an operator, or none."""
    causes: dict[Authority, Cause] = {}
    for cause in sorted(subject.causes, key=lambda c: (c.trigger is not None, not c.at_once)):
        causes.setdefault(cause.row.then, cause)
    inputs = [Phase({}), *(phase for c in causes.values() if (phase := setting_off(subject, c)))]
    for event in (None, Event.TAKE, Event.STOP, Event.RESET, Event.RELEASE, Event.ARM):
        yield from (replace(phase, event=event) for phase in inputs)


def setting_off(subject: Subject, cause: Cause) -> Phase | None:
    """A phase after which the cause is active, with as little else as can be; None: none was found."""
    if cause.trigger is None:
        return Phase({cause.signal: "missing"})
    others = [c for c in subject.causes if c is not cause and c.row.then > cause.row.then]
    alone = [z3.Not(subject.counts(c)) for c in others]
    for facts in (alone, []):
        found = subject.ask(subject.space.all_healthy(), subject.holds(cause), *facts)
        if found.answer is Answer.WITNESS:
            span = cause.row.hold if not cause.at_once else ONE_FRAME
            return Phase(subject.given(found.values[0]), span)
    return None


def _key(seen: Sequence[Seen]) -> tuple[object, ...]:
    """What two runs have in common that go on alike, as far as the mode layer is concerned."""
    last = seen[-1]
    entries = sum(a.mode is Mode.SAFE_STATE is not b.mode for a, b in zip(seen[1:], seen))
    return last.mode, entries, last.events, tuple(sorted(c.rule for c in last.causes))


def told(trace: Trace) -> Iterator[str]:
    """The trace in words: every step that begins a phase or changes who acts, and the last."""
    before: object = None
    for count, step in enumerate(trace.seen):
        acts = f"{step.mode.value}, authority {step.authority.name.lower()}"
        why = ", ".join(cause.rule for cause in step.causes)
        if count in trace.starts or (acts, why) != before or count == len(trace.seen) - 1:
            said = f"{_input(trace, count)}: " if count in (0, *trace.starts) else ""
            yield f"{step.now:8.3f} s  {said}{acts}, {_command(step)}{f' ({why})' if why else ''}"
        before = (acts, why)


def _input(trace: Trace, count: int) -> str:
    if count == 0:
        return "armed, every signal nominal"
    phase = trace.phases[trace.starts.index(count)]
    parts = [shown(phase.values)]
    if phase.event is not None:
        parts.insert(0, f"the operator's {phase.event.value}")
    if phase.suggest is not None:
        parts.append(f"the model suggests {shown(phase.suggest) if phase.suggest else 'nothing'}")
    if phase.manual is not None:
        parts.append(f"the human commands {shown(phase.manual)}")
    return "; ".join(parts)


def _command(step: Seen) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in step.command.values.items())
