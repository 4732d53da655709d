"""Theorem 9: the policy's own invariants. Proved by what takes authority away in time, authority by authority.

A run that breaks one is looked for only where that fails; what is neither proved nor shown stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgeguard.decision.table import Span
from edgeguard.desk.prove import commands
from edgeguard.desk.prove.attack import attack
from edgeguard.desk.prove.result import Objection, Result, doubt
from edgeguard.desk.prove.runs import safe_exit
from edgeguard.desk.prove.subject import AT_ONCE, Cause, Subject, no_longer, shown
from edgeguard.desk.solve.backend import Formula, z3
from edgeguard.desk.solve.bounds import Bounds
from edgeguard.desk.solve.encode import Space, real
from edgeguard.desk.solve.search import Answer
from edgeguard.policy.expr import tree
from edgeguard.policy.schema import Never
from edgeguard.policy.source import Path
from edgeguard.types import Authority

_ONE_FRAME = Span(frames=1)
_WHO = {
    Authority.MODEL: "the model acts",
    Authority.RULES: "the rules act",
    Authority.HUMAN: "a human acts",
    Authority.SAFE_STATE: "nobody acts",
}


@dataclass(frozen=True, slots=True)
class Promise:
    """One `never`, as formulas."""

    subject: Subject
    path: Path
    node: tree.Node
    span: Span

    def broken(self, authority: Authority, space: Space | None = None) -> Formula:
        """Its condition is true, with this authority. What it mentions is healthy, and its sums are finite."""
        words = {a.name.lower(): real(float(a)) for a in Authority}
        words["authority"] = real(float(authority))
        bounds = {name: Bounds(0.0, 3.0) for name in words}
        terms = {**words, **commands.variables(self.subject)}
        named = (space or self.subject.space).naming(terms, {**bounds, **commands.anywhere(self.subject)})
        return named.truths(self.node).true

    def enders(self, authority: Authority) -> tuple[Cause, ...]:
        """Causes that take authority away from `authority` for as long as they are active."""
        if authority not in (Authority.MODEL, Authority.RULES):
            return ()
        return tuple(c for c in self.subject.causes if _least(c) > authority)

    def at_once(self, authority: Authority) -> tuple[Cause, ...]:
        """Those of them that are active in every step in which they hold."""
        return tuple(c for c in self.enders(authority) if c.at_once)

    def at_frames(self, authority: Authority) -> tuple[Cause, ...]:
        """Those of them that are active in every step with a new frame in which they hold."""
        return tuple(c for c in self.enders(authority) if no_longer(c.row.hold, _ONE_FRAME))

    def standing(self, authority: Authority, against: tuple[Cause, ...]) -> Formula:
        """In one step the condition is true with this authority, and none of `against` holds."""
        quiet = [z3.Not(self.subject.counts(c)) for c in against]
        inside = commands.within(self.subject, commands.anywhere(self.subject))
        return z3.And(self.broken(authority), inside, *quiet)


def _least(cause: Cause) -> Authority:
    row = cause.row
    return min(row.then, row.otherwise) if row.then is Authority.HUMAN else row.then


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
