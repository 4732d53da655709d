"""Counterexamples are run through the real runtime before anybody is told of them. Nothing is believed without it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from edgeguard.desk.prove.result import Trace
from edgeguard.desk.prove.subject import Subject, shown
from edgeguard.desk.trial import NotArmable, Phase, Seen, Trial, Values
from edgeguard.types import Authority, Event, Mode

Judge = Callable[[Sequence[Seen]], bool]
"""Whether the run so far shows what was looked for, at its last step."""

_DEPTH = 5
_MOST = 4_000
"""How deep, and over how many states, the runtime is searched for a run of what the mode layer allows."""


def play(subject: Subject, phases: Sequence[Phase], judge: Judge) -> Trace | None:
    """Run `phases` from an armed, calm start; the trace up to the first step that `judge` accepts, or None."""
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


class _Run(NamedTuple):
    trial: Trial
    phases: tuple[Phase, ...]
    seen: tuple[Seen, ...]


def hunt(subject: Subject, judge: Judge) -> Trace | None:
    """The shortest run, over a small alphabet of inputs and events, that `judge` accepts; None: none was found."""
    trial = Trial(subject.program)
    try:
        waiting = deque([_Run(trial, (), (trial.arm(),))])
    except NotArmable:
        return None
    letters = list(_letters(subject))
    known: set[object] = set()
    while waiting and len(known) < _MOST:
        here = waiting.popleft()
        for letter in letters:
            there = here.trial.fork()
            run = _Run(there, (*here.phases, letter), (*here.seen, *there.run(letter)))
            if judge(run.seen):
                # every phase is one step
                return Trace(run.phases, tuple(range(1, len(run.seen))), run.seen)
            if (key := _key(run.seen)) not in known and len(run.phases) < _DEPTH:
                known.add(key)
                waiting.append(run)
    return None


def _letters(subject: Subject) -> Iterator[Phase]:
    """All is well, or one signal at fault for each demand; with every event of an operator, or none."""
    faults: dict[Authority, str] = {}
    for spec in subject.program.signals:
        faults.setdefault(spec.on_fault, spec.name)
    inputs: list[Values] = [{}]
    inputs.extend({name: "missing"} for name in faults.values())
    for event in (None, Event.TAKE, Event.STOP, Event.RESET, Event.RELEASE, Event.ARM):
        for values in inputs:
            yield Phase(values, event=event)


def _key(seen: Sequence[Seen]) -> tuple[object, ...]:
    """What two runs have in common that go on alike, as far as the mode layer is concerned."""
    last = seen[-1]
    entries = sum(a.mode is Mode.SAFE_STATE is not b.mode for a, b in zip(seen[1:], seen))
    return last.mode, entries, last.events, tuple(sorted(c.rule for c in last.causes))


def told(trace: Trace) -> Iterator[str]:
    """The trace in words: every step that begins a phase or changes who acts, and the last."""
    before: object = None
    for count, step in enumerate(trace.seen):
        acts = f"{step.mode.value}, {step.authority.name.lower()} acts"
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
        parts.append(f"the model suggests {shown(phase.suggest)}")
    if phase.manual is not None:
        parts.append(f"the human commands {shown(phase.manual)}")
    return "; ".join(parts)


def _command(step: Seen) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in step.command.values.items())
