"""Looks for a run that breaks a `never`: inputs from the solver, tried in the real runtime, commands at their limits.

What it does not find proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from edgeguard.decision.table import Span
from edgeguard.desk.monitor import Monitor
from edgeguard.desk.prove import commands
from edgeguard.desk.prove.promise import Promise
from edgeguard.desk.prove.replay import Judge, play, setting_off
from edgeguard.desk.prove.result import Trace
from edgeguard.desk.prove.subject import Cause, Subject
from edgeguard.desk.solve.backend import Formula, z3
from edgeguard.desk.solve.encode import Space
from edgeguard.desk.solve.search import Answer, ask
from edgeguard.desk.trial import Phase, Seen, Values
from edgeguard.policy.expr import tree
from edgeguard.types import Authority, Event

_CORNERS = 16
_UNROLLED = 8
"""Up to so many frames each may differ; above, up to four inputs take turns."""

_Command = Mapping[str, float]
_NOTHING: _Command = {}


def attack(promise: Promise, authorities: Sequence[Authority]) -> Trace | None:
    """The first run found that breaks the promise, the plainest first."""
    for authority in authorities:
        for phases in _plans(promise, authority):
            trace = play(promise.subject, phases, _judge(promise))
            if trace is not None:
                return trace
    return None


def _judge(promise: Promise) -> Judge:
    """Whether the invariant breaks in the last step. One judge a run: it remembers the steps before."""
    subject = promise.subject
    monitor = Monitor(subject.document, subject.program.thresholds)
    line = subject.document.line(promise.path)
    fed = 0

    def judge(seen: Sequence[Seen]) -> bool:
        nonlocal fed
        new, fed = seen[fed:], len(seen)
        broken = [found for one in new for found in monitor.step(one)]
        return any(found.line == line for found in broken)

    return judge


def _plans(promise: Promise, authority: Authority) -> Iterator[tuple[Phase, ...]]:
    if authority is Authority.MODEL:
        for values, suggested in _unnoticed(promise):
            for command in suggested:
                yield (*_before(promise, command), *_turns(promise, values, command))
        return
    for given, starts in _inputs(promise, authority):
        for command in starts:
            before = _before(promise, command)
            yield from ((*before, *phases) for phases in _ways(promise, authority, given, command))


def _ways(
    promise: Promise, authority: Authority, values: Values, command: _Command | None
) -> Iterator[tuple[Phase, ...]]:
    """How authority gets to where the promise is to be broken."""
    subject, span = promise.subject, _long(promise)
    yield (Phase(values, span, suggest=command),)
    if authority in (Authority.RULES, Authority.SAFE_STATE):
        yield (Phase(values, span, suggest=_NOTHING),)  # while all is well the rules fill in for the planner
    if authority is Authority.SAFE_STATE:
        yield (Phase(values, span, Event.STOP, suggest=command),)
    if authority is Authority.HUMAN:
        take = Phase(values, span, Event.TAKE, manual=command)
        yield from (
            (take,),
            (Phase(values), take),
        )  # from where the safe state is demanded, it takes two steps
    for cause in subject.causes:
        if cause.row.then is authority and (first := setting_off(subject, cause)):
            yield (first, Phase(values, span, suggest=command))


def _before(promise: Promise, command: _Command | None) -> tuple[Phase, ...]:
    """The model drives the actuators to where they are to start from."""
    if command is None:
        return ()
    subject = promise.subject
    time = max(
        abs(command[e.name] - e.safe) / (e.rise if command[e.name] > e.safe else e.fall)
        for e in subject.program.envelope
    )
    return (Phase({}, Span(seconds=time + 2 * subject.program.period), suggest=command),)


def _long(promise: Promise) -> Span:
    """A little longer than the promise says, so that it may begin late."""
    subject = promise.subject
    if promise.span.frames:
        return Span(frames=promise.span.frames + 2)
    return Span(seconds=promise.span.seconds + 2 * subject.program.frame_period)


def _inputs(promise: Promise, authority: Authority) -> Iterator[tuple[Values, list[_Command | None]]]:
    """Inputs at which the condition is true: with a cause that gives this authority, and for each fallback row."""
    subject = promise.subject
    standing = promise.standing(authority, promise.at_once(authority))
    causes = [subject.counts(c) for c in subject.causes if c.row.then is authority]
    for fact in (*causes, *subject.rows(), z3.BoolVal(val=True)):
        found = _ask(subject, z3.And(standing, fact), (subject.space,))
        if found is not None:
            values, command = found
            yield subject.given(values[0]), _suggestions(promise, command)


def _unnoticed(promise: Promise) -> Iterator[tuple[list[Values], list[_Command | None]]]:
    """Inputs that take turns so that the condition stays true and no rule is active while the model acts."""
    subject = promise.subject
    steps = _steps(promise)
    most = min(steps, 4) if steps > _UNROLLED else steps
    for count in sorted({1, *range(2, min(most, 4) + 1), most}):
        spaces = [_copy(subject, k) for k in range(count)]
        facts = [_unnoticed_facts(promise, spaces, steps)]
        found = _ask(subject, z3.And(facts), spaces)
        if found is not None:
            values, command = found
            yield [subject.given(v) for v in values], _suggestions(promise, command)


def _unnoticed_facts(promise: Promise, spaces: Sequence[Space], steps: int) -> Formula:
    subject = promise.subject
    inside = commands.within(subject, commands.anywhere(subject))
    facts = [inside]
    for space in spaces:
        facts += [space.all_healthy(), promise.broken(Authority.MODEL, space)]
    for cause in subject.declared:
        needed = _held(subject, cause)
        for start in range(min(len(spaces), steps - needed + 1)):
            taking = {(start + k) % len(spaces) for k in range(needed)}
            facts.append(z3.Or([z3.Not(_counts(cause, spaces[k])) for k in taking]))
    return z3.And(facts)


def _counts(cause: Cause, space: Space) -> Formula:
    if cause.trigger is None:
        raise AssertionError(cause)
    return space.truths(cause.trigger.when).holds


def _held(subject: Subject, cause: Cause) -> int:
    """After how many steps, each with a new frame, the rule is active."""
    timed = math.ceil(cause.row.hold.seconds / subject.program.period) + 1 if cause.row.hold.seconds else 1
    return max(cause.row.hold.frames, timed)


def _steps(promise: Promise) -> int:
    span = promise.span
    timed = math.ceil(span.seconds / promise.subject.program.period) + 2 if span.seconds else 1
    return max(span.frames, timed)


def _turns(promise: Promise, values: Sequence[Values], command: _Command | None) -> Iterator[Phase]:
    if len(values) == 1:
        yield Phase(values[0], promise.span if promise.span != Span() else Span(frames=1), suggest=command)
        return
    for k in range(_steps(promise)):
        yield Phase(values[k % len(values)], suggest=command)


def _copy(subject: Subject, number: int) -> Space:
    program = subject.program
    return Space.of(program.signals, program.thresholds, tag=f" {number}") if number else subject.space


def _ask(
    subject: Subject, formula: Formula, spaces: Sequence[Space]
) -> tuple[tuple[Mapping[str, float | None], ...], dict[str, float]] | None:
    terms = commands.variables(subject)
    found = ask(formula, *spaces, timeout=subject.timeout, terms=list(terms.values()))
    if found.answer is not Answer.WITNESS:
        return None
    names = (name.removeprefix("command.") for name in terms)
    return found.values, dict(zip(names, found.numbers))


def _suggestions(promise: Promise, command: _Command) -> list[_Command | None]:
    """Where the actuators may start from: what the solver says, then every corner of the envelope."""
    mentioned = any(isinstance(n, tree.Member) and n.base == "command" for n in tree.walk(promise.node))
    if not mentioned:
        return [None]
    envelope = promise.subject.program.envelope
    inside = {e.name: min(max(command[e.name], e.low), e.high) for e in envelope}
    corners = [dict(zip(inside, ends)) for ends in product(*((e.low, e.high) for e in envelope))]
    return [inside, *corners[:_CORNERS]]
