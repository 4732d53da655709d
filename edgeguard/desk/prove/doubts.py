"""Theorem 4: more doubt never gives more authority. Two inputs that differ in one signal, solved and then replayed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgeguard.decision.table import Truth
from edgeguard.desk.prove.replay import play, setting_off
from edgeguard.desk.prove.result import Objection, Result, Trace, doubt
from edgeguard.desk.prove.subject import Cause, Subject, counted, shown
from edgeguard.desk.solve.backend import Formula, z3
from edgeguard.desk.solve.search import Answer, Found, Values
from edgeguard.desk.trial import ONE_FRAME, Phase, Seen
from edgeguard.policy.expr import tree
from edgeguard.program import SignalSpec
from edgeguard.types import Authority


def monotone(subject: Subject) -> Result:
    """4: for each signal with a direction of doubt, no rule holds less or lets go more where it is worse."""
    doubted = [s for s in subject.program.signals if s.worse]
    pairs = [(c, s) for c in subject.declared for s in doubted if s.name in _reads(c)]
    return Result(
        "monotone",
        "more doubt never gives more authority",
        f"solved for all pairs of inputs: {counted(len(pairs), 'use')} of {counted(len(doubted), 'signal')}; over runs "
        "by induction",
        tuple(o for cause, signal in pairs for o in _objections(subject, cause, signal)),
    )


def _reads(cause: Cause) -> set[str]:
    trigger = cause.trigger
    if trigger is None:
        return set()
    nodes = [trigger.when] if trigger.clear is None else [trigger.when, trigger.clear]
    return {name for node in nodes for name in tree.names(node)}


def _objections(subject: Subject, cause: Cause, signal: SignalSpec) -> Iterator[Objection]:
    """At most one: how the rule holds is looked at first."""
    better, worse = subject.truths(cause), subject.truths(cause, later=True)
    lets = subject.truths(cause, clear=True)
    lets_worse = subject.truths(cause, clear=True, later=True)
    differ = _worse(subject, cause, signal)
    place, name = subject.cause_place(cause), cause.row.id
    found = subject.ask(differ, better.true, worse.false, two=True)
    if found.answer is Answer.WITNESS:
        trace = _holds_less(subject, cause, found)
        said = f"`{name}` holds at {_pair(subject, signal, found, 'not')}"
        yield _told(said, subject, cause, signal, trace)
        return
    if found.answer is Answer.UNKNOWN:
        yield doubt(f"it is not known whether more doubt in `{signal.name}` can end `{name}`", place)
        return
    stays = z3.Not(z3.And(lets.true, better.false))
    found = subject.ask(differ, lets_worse.true, worse.false, stays, two=True)
    if found.answer is Answer.WITNESS:
        trace = _lets_go_more(subject, cause, found)
        said = f"`{name}` does not let go at {_pair(subject, signal, found, 'does')}"
        yield _told(said, subject, cause, signal, trace)
    elif found.answer is Answer.UNKNOWN:
        yield doubt(f"it is not known whether more doubt in `{signal.name}` can clear `{name}`", place)


def _told(said: str, subject: Subject, cause: Cause, signal: SignalSpec, trace: Trace | None) -> Objection:
    place = subject.cause_place(cause)
    if trace is None:
        return doubt(f"in real numbers {said}, but no run in doubles shows it", place)
    return Objection(
        "EG1604",
        said,
        place,
        f"`{signal.name}` is worse when {signal.worse}: turn a comparison, or end a range",
        trace,
    )


def _pair(subject: Subject, signal: SignalSpec, found: Found, word: str) -> str:
    better, worse = found.values
    first = subject.given({**better})
    name = signal.name
    return f"{shown({name: better[name] or 0.0, **first})}, and {word} with {name} {worse[name]:g}, which is worse"


def _worse(subject: Subject, cause: Cause, signal: SignalSpec) -> Formula:
    """The later input is the first one, all healthy, but with the signal worse."""
    first, later = subject.space, subject.other
    same = [first.values[n] == later.values[n] for n in _reads(cause) - {signal.name}]
    before, after = first.values[signal.name], later.values[signal.name]
    truth = signal.kind == "bool"
    rises = z3.And(z3.Not(before), after) if truth else before < after
    falls = z3.And(before, z3.Not(after)) if truth else before > after
    direction = rises if signal.worse == "higher" else falls
    return z3.And(*same, direction, first.all_healthy(), later.all_healthy())


def _span(cause: Cause) -> Phase:
    return Phase({}, cause.row.hold if not cause.at_once else ONE_FRAME)


def _holds_less(subject: Subject, cause: Cause, found: Found) -> Trace | None:
    """First the worse input, at which the rule does not hold, then the better one, at which it takes authority."""
    better, worse = (subject.given(values) for values in found.values)
    index, span = subject.index(cause), _span(cause).span

    def judge(seen: Sequence[Seen]) -> bool:
        quiet = seen[1].when[index] is Truth.FALSE
        return quiet and any(c.rule == cause.row.id for c in seen[-1].causes)

    return play(subject, (Phase(worse, span), Phase(better, span)), judge)


def _lets_go_more(subject: Subject, cause: Cause, found: Found) -> Trace | None:
    """The rule set off, then the better input, at which it stays, then the worse one, at which it lets go."""
    better, worse = (subject.given(values) for values in found.values)
    index = subject.index(cause)
    first = setting_off(subject, cause)
    if first is None:
        return None
    kept = cause.row.latch or cause.row.then is Authority.SAFE_STATE

    def judge(seen: Sequence[Seen]) -> bool:
        lets = seen[-1].clear[index] is Truth.TRUE and seen[-1].when[index] is Truth.FALSE
        stayed = any(_same(s, found.values[0]) and s.clear[index] is not Truth.TRUE for s in seen)
        gone = all(c.rule != cause.row.id for c in seen[-1].causes)
        return lets and stayed and (kept or gone)

    return play(subject, (first, Phase(better, cause.row.clear), Phase(worse, cause.row.clear)), judge)


def _same(seen: Seen, values: Values) -> bool:
    return dict(seen.values) == dict(values)
