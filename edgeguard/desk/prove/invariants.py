"""Theorem 9: the policy's own invariants. Proved by what takes authority away in time, authority by authority.

A run that breaks one is looked for only where that fails; what is neither proved nor shown stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgeguard.decision.table import Span
from edgeguard.desk.demands import no_longer
from edgeguard.desk.prove import commands
from edgeguard.desk.prove.attack import attack
from edgeguard.desk.prove.promise import Promise
from edgeguard.desk.prove.result import Objection, Result, doubt
from edgeguard.desk.prove.runs import safe_exit
from edgeguard.desk.prove.subject import AT_ONCE, Cause, Subject, shown
from edgeguard.desk.solve.backend import z3
from edgeguard.desk.solve.search import Answer
from edgeguard.policy.schema import Never
from edgeguard.policy.source import Path
from edgeguard.types import Authority

_WHO = {
    Authority.MODEL: "the model acts",
    Authority.RULES: "the rules act",
    Authority.HUMAN: "a human acts",
    Authority.SAFE_STATE: "nobody acts",
}


def invariants(subject: Subject) -> tuple[Result, ...]:
    """9: one result an invariant, in file order."""
    found = []
    for i, invariant in enumerate(subject.document.policy.invariants):
        path: Path = ("invariants", i)
        name = f"invariant-{i + 1}"
        if not isinstance(invariant, Never):
            found.append(_leave(subject, path, name))
            continue
        span = invariant.for_ or AT_ONCE
        at: Path = (*path, "never")
        promise = Promise(subject, path, subject.document.conditions[at], span)
        lasting = f" for {_span(span)}" if span != AT_ONCE else ""
        found.append(_never(promise, name, f"never {invariant.never}{lasting}"))
    return tuple(found)


def _leave(subject: Subject, path: Path, name: str) -> Result:
    """The same as the theorem of the safe state's exit."""
    known = safe_exit(subject)
    codes = {"EG1605": "EG1609"}
    place = subject.place(path)
    objections = tuple(replace(o, code=codes.get(o.code, o.code), place=place) for o in known.objections)
    return replace(known, name=name, statement="leave safe_state only by the operator", objections=objections)


def _never(promise: Promise, name: str, statement: str) -> Result:
    """Proved by `_proof`, or broken by a run, or neither."""
    reasons, left = _proof(promise)
    if not left:
        return Result(name, statement, f"inductive over all runs: {_by_reason(reasons)}")
    place = promise.subject.place(promise.path)
    trace = attack(promise, left)
    if trace is None:
        who = " or ".join(_WHO[a] for a in left)
        said = f"not proved while {who}, and no run was found that breaks it"
        hint = "give it a longer `for`, or a rule that ends it within that time"
        return Result(
            name, statement, "looked for a run that breaks it, in vain", (doubt(said, place, hint),)
        )
    who = _WHO[trace.seen[-1].authority]
    said = f"`{statement}` is broken while {who}, at {shown(trace.phases[-1].values)}"
    hint = "give it a `for` as long as the rule that ends it needs, or let a rule end it sooner"
    objection = Objection("EG1609", said, place, hint, trace)
    return Result(name, statement, "found a run that breaks it", (objection,))


def _by_reason(reasons: Mapping[Authority, str]) -> str:
    """Why it cannot be, in words: who acts, and why not then."""
    whose: dict[str, list[str]] = {}
    for authority, why in reasons.items():
        whose.setdefault(why, []).append(authority.name.lower())
    return "; ".join(f"{', '.join(names)}: {why}" for why, names in whose.items())


def _proof(promise: Promise) -> tuple[dict[Authority, str], list[Authority]]:
    """Why it cannot be, for each authority, and those for which that is not known.

    First: it is broken in no single step, or, where frames are counted, in none with a new frame, with which its span
    ends. Else: in all but one authority it cannot be in any step, so that this one has to last; and lasting ends it.
    """
    last = promise.at_frames if promise.span.frames else promise.at_once
    ends = {a: _impossible(promise, a, last(a), 0.0) for a in Authority}
    left = [a for a, why in ends.items() if not why]
    if not left or promise.span == AT_ONCE:
        return ends, left
    steps = {a: _impossible(promise, a, promise.at_once(a), 0.0) for a in Authority}
    lasting = [a for a, why in steps.items() if not why]
    if len(lasting) != 1:  # none: the solver had no answer for `ends`
        return (ends, left) if lasting else (steps, [])
    (only,) = lasting
    time = promise.subject.seconds(promise.span)
    steps[only] = _ended(promise, only) or _impossible(promise, only, promise.at_once(only), time)
    return steps, [a for a, why in steps.items() if not why]


def _impossible(promise: Promise, authority: Authority, against: tuple[Cause, ...], lasting: float) -> str:
    """Why the condition cannot be true, with none of `against` holding, in a step that ends `lasting` s of this
    authority; empty: it is not known to be so."""
    subject = promise.subject
    standing = promise.standing(authority, against)
    if subject.answer(standing) is Answer.NEVER:
        return "cannot be"
    rows = {
        i: row for i, row in enumerate(subject.rows()) if subject.answer(standing, row) is not Answer.NEVER
    }
    reached = commands.after(subject, authority, rows, lasting)
    return "the commands are not such" if subject.answer(standing, reached) is Answer.NEVER else ""


def _ended(promise: Promise, authority: Authority) -> str:
    """The rule that holds all the while and takes authority away within the span; empty: none is known to."""
    subject = promise.subject
    standing = promise.standing(authority, promise.at_once(authority))
    for cause in promise.enders(authority):
        within = no_longer(cause.row.hold, promise.span)
        if within and subject.answer(standing, z3.Not(subject.counts(cause))) is Answer.NEVER:
            return f"`{cause.row.id}` holds all the while and ends it"
    return ""


def _span(span: Span) -> str:
    if span.frames:
        return "1 frame" if span.frames == 1 else f"{span.frames} frames"
    return f"{span.seconds:g} s"
