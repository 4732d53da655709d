"""Theorems over all inputs of one step: total, reachable. Solved over the reals; witnesses are replayed in doubles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgeguard.decision.table import Truth
from edgeguard.desk.demands import covers, no_longer
from edgeguard.desk.prove.replay import play, setting_off
from edgeguard.desk.prove.result import Objection, Result, Trace, doubt
from edgeguard.desk.prove.subject import Cause, Subject, counted, shown
from edgeguard.desk.solve.backend import Formula, z3
from edgeguard.desk.solve.search import Answer, Values
from edgeguard.desk.trial import ONE_FRAME, Phase, Seen
from edgeguard.policy.expr import interpreter, tree
from edgeguard.policy.source import Path
from edgeguard.types import Authority, Mode

ASKED = frozenset({Mode.DEGRADED, Mode.TAKEOVER_REQUEST})
"""Modes in which the fallback rows command."""


def total(subject: Subject) -> Result:
    """1: every healthy input has a defined outcome."""
    objections = [*_overflows(subject), *_gaps(subject)]
    count = sum(path[0] != "invariants" for path in subject.document.conditions)
    return Result(
        "total",
        "every healthy input has a defined outcome",
        f"solved for all inputs: {counted(count, 'condition')} over {counted(len(subject.program.signals), 'signal')}"
        + ("" if subject.handed else "; nothing hands authority to the rules"),
        tuple(objections),
    )


def reachable(subject: Subject) -> Result:
    """2: every rule and row is there for something, and the machine can be armed."""
    objections = [*_vacuous(subject), *_shadowed(subject), *_unreached(subject), *_unarmable(subject)]
    return Result(
        "reachable",
        "every rule and fallback row is there for something, and the machine can be armed",
        f"solved for all inputs: {counted(len(subject.declared), 'rule')}, "
        f"{counted(len(subject.program.fallback), 'row')}",
        tuple(objections),
    )


def _overflows(subject: Subject) -> Iterator[Objection]:
    space = subject.space
    for path, node in subject.document.conditions.items():
        sums = space.overflows(node)
        if path[0] == "invariants" or not sums:
            continue
        place = subject.document.source.value(path)
        found = subject.ask(space.all_healthy(), z3.Or(space.overflows(node, surely=True)))
        if found.answer is Answer.WITNESS:
            trace = _seen_fault(subject, node, found.values[0])
            if trace is not None:
                said = f"a sum is no finite number at {shown(subject.given(found.values[0]))}"
                yield Objection("EG1601", said, place, "narrow the ranges of the signals", trace)
                continue
        if subject.answer(space.all_healthy(), z3.Or(sums)) is not Answer.NEVER:
            yield doubt("it is not known whether a sum is always a finite number", place)


def _seen_fault(subject: Subject, node: tree.Node, values: Values) -> Trace | None:
    """The trace of a healthy input that makes this condition a fault."""
    constants = subject.space.constants
    names = tree.names(node)

    def judge(seen: Sequence[Seen]) -> bool:
        now = seen[-1].values
        healthy = all(now[name] is not None for name in names)
        return healthy and interpreter.truth(node, {**now, **constants}) is Truth.FAULT

    return play(subject, (Phase(subject.given(values)),), judge)


def _gaps(subject: Subject) -> Iterator[Objection]:
    if not subject.handed:
        return
    place = subject.place(("fallback",))
    facts = (subject.space.all_healthy(), subject.rules_may_act(), z3.Not(z3.Or(subject.rows())))
    found = subject.ask(*facts)
    if found.answer is Answer.NEVER:
        return
    trace = uncommanded(subject, *facts) if found.answer is Answer.WITNESS else None
    if trace is not None:
        at = shown(trace.phases[-1].values)
        said = f"the rules are to act and no fallback row commands at {at}: the safe command follows"
        yield Objection("EG1601", said, place, "end `fallback` with a row without `when`", trace)
        return
    yield doubt("it is not known whether a fallback row always commands", place)


def uncommanded(subject: Subject, *facts: Formula, faults: frozenset[str] = frozenset()) -> Trace | None:
    """The trace of a run to an input with these `facts` at which the rules are to act, and no row commands.

    `faults`: the signals that are at fault there.
    """

    def judge(seen: Sequence[Seen]) -> bool:
        ill = {name for name, value in seen[-1].values.items() if value is None}
        return seen[-1].mode in ASKED and seen[-1].fallback == -1 and ill == faults

    # the plainest first: a fault acts at once, and needs nothing else
    causes = sorted(subject.causes, key=lambda c: (not c.at_once, c.trigger is not None))
    plans = (plan for cause in (*causes, None) for plan in _ways(subject, cause, facts))
    return next((trace for plan in plans if (trace := play(subject, plan, judge))), None)


def _ways(subject: Subject, cause: Cause | None, facts: Sequence[Formula]) -> Iterator[tuple[Phase, ...]]:
    """How the rules may come to act at such an input: a cause that holds there as well, or one that held before."""
    if cause is None:
        found = subject.ask(*facts)
        for first in handing(subject) if found.values else ():
            yield first, Phase(subject.given(found.values[0]))
        return
    if cause.row.then is Authority.SAFE_STATE:
        return
    found = subject.ask(*facts, subject.counts(cause))
    if found.values:
        last = Phase(subject.given(found.values[0]))
        yield (replace(last, span=cause.row.hold if not cause.at_once else ONE_FRAME),)
        if before := setting_off(subject, cause):
            yield before, last


def handing(subject: Subject) -> Iterator[Phase]:
    """Inputs that hand authority to the rules, or ask a human."""
    for cause in subject.causes:
        if cause.row.then is not Authority.SAFE_STATE and (phase := setting_off(subject, cause)):
            yield phase


def _vacuous(subject: Subject) -> Iterator[Objection]:
    for cause in subject.declared:
        found = subject.ask(subject.holds(cause))
        place = subject.cause_place(cause)
        if found.answer is Answer.NEVER:
            said = f"`{cause.row.id}` never holds: no input within the ranges makes its condition true"
            yield Objection("EG1602", said, place, "change the condition or the ranges")
        elif found.answer is Answer.UNKNOWN or _truth(subject, cause, found.values[0]) is not Truth.TRUE:
            yield doubt(f"it is not known whether `{cause.row.id}` can hold", place)


def _truth(subject: Subject, cause: Cause, values: Values) -> Truth:
    """What the compiled condition says of an input."""
    return subject.program.when(*raw(subject, values))[subject.index(cause)]


def raw(subject: Subject, values: Values) -> tuple[tuple[float, ...], tuple[bool, ...]]:
    """An input as the compiled conditions take it."""
    known = [values[s.name] for s in subject.program.signals]
    return tuple(v if v is not None else 0.0 for v in known), tuple(v is not None for v in known)


def _shadowed(subject: Subject) -> Iterator[Objection]:
    declared = subject.declared
    for i, rule in enumerate(declared):
        for j, other in enumerate(declared):
            if i == j or not _may_shadow(other, rule):
                continue
            known = _shadows(subject, other, rule)
            if known is Answer.NEVER and j > i and _may_shadow(rule, other):
                # of two that say the same, only the later one is too many
                known = _shadows(subject, rule, other)
                known = Answer.WITNESS if known is Answer.NEVER else Answer.NEVER
            place = subject.cause_place(rule)
            if known is Answer.NEVER:
                yield _overshadowed(subject, other, rule)
                break
            if known is Answer.UNKNOWN:
                yield doubt(f"it is not known whether `{other.row.id}` shadows `{rule.row.id}`", place)


def _may_shadow(one: Cause, other: Cause) -> bool:
    """Whether the spans and demands leave it possible that `one` always acts for `other`, too."""
    one_row, row = one.row, other.row
    return (
        covers(one_row, row)
        and no_longer(one_row.hold, row.hold)
        and no_longer(row.clear, one_row.clear)
        and one_row.latch >= row.latch
    )


def _shadows(subject: Subject, one: Cause, other: Cause) -> Answer:
    """NEVER: there is no input at which `other` acts or stays and `one` does not."""
    acts, clears = subject.truths(other), subject.truths(other, clear=True)
    one_acts, one_clears = subject.truths(one), subject.truths(one, clear=True)
    reads = {subject.program.signals[i].name for i in other.row.reads}
    faults = [c for c in subject.causes if c.signal in reads and covers(c.row, other.row)]
    told = z3.Or([subject.holds(c) for c in faults])
    questions = (
        (acts.true, z3.Not(one_acts.holds)),
        (acts.fault, z3.Not(told), z3.Not(one_acts.holds)),
        (one_clears.true, one_acts.false, z3.Not(z3.And(clears.true, acts.false)), z3.Not(acts.fault)),
    )
    answers = [subject.answer(*facts) for facts in questions]
    if Answer.WITNESS in answers:
        return Answer.WITNESS
    return Answer.UNKNOWN if Answer.UNKNOWN in answers else Answer.NEVER


def _overshadowed(subject: Subject, one: Cause, other: Cause) -> Objection:
    """With a run in which both hold, for whoever wants to see it."""
    both = {one.row.id, other.row.id}
    phase = setting_off(subject, other)
    trace = play(subject, (phase,), lambda seen: both <= {c.rule for c in seen[-1].causes}) if phase else None
    said = f"`{other.row.id}` is shadowed: whenever it acts, `{one.row.id}` acts at least as early, demands at least "
    return Objection(
        "EG1602",
        f"{said}as much and lets go no sooner",
        subject.cause_place(other),
        f"remove it, or let it demand more than line {one.row.line}",
        trace,
    )


def _unreached(subject: Subject) -> Iterator[Objection]:
    for i, formula in enumerate(subject.rows()):
        path: Path = ("fallback", i)
        place = subject.place(path)
        found = subject.ask(formula)
        if found.answer is Answer.NEVER:
            said = f"fallback row {i + 1} never commands: wherever it holds, a row before it does"
            yield Objection("EG1602", said, place, "remove it, or move it up")
        elif found.answer is Answer.UNKNOWN or subject.program.choose(*raw(subject, found.values[0])) != i:
            yield doubt(f"it is not known whether fallback row {i + 1} ever commands", place)


def _unarmable(subject: Subject) -> Iterator[Objection]:
    quiet = [z3.Not(subject.counts(c)) for c in subject.causes]
    found = subject.ask(*quiet)
    place = subject.place(("rules",))
    if found.answer is Answer.NEVER:
        said = "the machine can never be armed: at every input some rule holds"
        yield Objection("EG1602", said, place, "look for two rules of which one always holds")
    elif found.answer is Answer.UNKNOWN or any(
        subject.program.when(*raw(subject, found.values[0]))[: len(subject.program.table.rules)]
    ):
        yield doubt("it is not known whether the machine can be armed", place)
