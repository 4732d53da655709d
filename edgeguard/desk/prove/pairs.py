"""Theorem 7: every pair of causes that can hold together has one outcome, in any order, that can be carried out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from edgeguard.decision.machine import Inputs, RuleState, State, step
from edgeguard.decision.table import RuleRow, Table
from edgeguard.desk.prove.inputs import uncommanded
from edgeguard.desk.prove.result import Objection, Result, doubt
from edgeguard.desk.prove.subject import Cause, Subject, counted, shown
from edgeguard.desk.solve.backend import z3
from edgeguard.desk.solve.search import Answer
from edgeguard.types import Authority, Mode

_WORDS = {Answer.WITNESS: True, Answer.NEVER: False, Answer.UNKNOWN: None}


def pairs(subject: Subject) -> Result:
    """7: the outcome of two causes at once."""
    table, objections = [], []
    for one, other in combinations(subject.causes, 2):
        together = _together(subject, one, other)
        now, later = outcome(one.row, other.row), outcome(one.row, other.row, expired=True)
        table.append(
            {
                "causes": [one.row.id, other.row.id],
                "together": _WORDS[together],
                "authority": _names(now),
                "when_nobody_took_over": _names(later),
            }
        )
        if together is not Answer.NEVER and (now, later) != _wanted(one.row, other.row):
            said = f"`{one.row.id}` and `{other.row.id}` together give {_names(now)}, then {_names(later)}"
            objections.append(doubt(f"{said}: not the more restrictive", subject.cause_place(one), ""))
    objections += _blind(subject)
    count = sum(row["together"] is not False for row in table)
    return Result(
        "pairs",
        "two causes together have one outcome, and it can be carried out",
        f"{counted(len(table), 'pair')} through the machine in both orders, {count} can hold together; fallback solved "
        "for all inputs and faults",
        tuple(objections),
        {"pairs": table},
    )


def _together(subject: Subject, one: Cause, other: Cause) -> Answer:
    """WITNESS: some input sets off both. A rule counts as set off by what it says, or by the fault of what it reads."""
    if one.trigger is not None and other.trigger is not None:
        return subject.answer(subject.holds(one), subject.holds(other))
    # a fault leaves all other signals free, and a rule that reads any signal is set off by the fault of that one
    rules = [c for c in (one, other) if c.trigger is not None and not c.row.reads]
    return subject.answer(*(subject.holds(c) for c in rules)) if rules else Answer.WITNESS


def outcome(one: RuleRow, other: RuleRow, *, expired: bool = False) -> frozenset[Authority]:
    """Who acts while both are active, as the machine itself says it, in either order: one answer, if all is well."""
    now = 1.0 + max(one.within, other.within) if expired else 0.0
    found = set()
    for rows in ((one, other), (other, one)):
        table = Table(rows, 0)
        active = State(Mode.NOMINAL, (RuleState(active=True),) * 2)
        _, seen = step(table, active, Inputs(table.calm, table.calm, new_frame=False), now)
        found.add(seen.authority)
    return frozenset(found)


def _wanted(one: RuleRow, other: RuleRow) -> tuple[frozenset[Authority], frozenset[Authority]]:
    later = [r.otherwise if r.then is Authority.HUMAN else r.then for r in (one, other)]
    return frozenset({max(one.then, other.then)}), frozenset({max(later)})


def _names(found: frozenset[Authority]) -> str:
    return " or ".join(authority.name.lower() for authority in sorted(found))


def _blind(subject: Subject) -> Iterator[Objection]:
    """Faults that leave the rules in charge of a row that reads the very signal.

    One signal at a time is enough: where several at fault stop the search for a row, the first row that is stopped
    reads one of them, and with that one alone it is stopped just the same, and no more demands the safe state.
    """
    space = subject.space
    commanded = z3.Or(subject.rows())
    well = z3.substitute(commanded, *((flag, z3.BoolVal(val=True)) for flag in space.healthy.values()))
    for cause in subject.causes:
        if cause.trigger is not None or not subject.handed:
            continue
        healthy = [flag for name, flag in space.healthy.items() if name != cause.signal]
        facts = (subject.holds(cause), *healthy, subject.rules_may_act(), z3.Not(commanded), well)
        found = subject.answer(*facts)
        if found is Answer.NEVER:
            continue
        place = subject.cause_place(cause)
        trace = (
            uncommanded(subject, *facts, faults=frozenset({cause.signal}))
            if found is Answer.WITNESS
            else None
        )
        if trace is None:
            yield doubt(f"it is not known whether the rules can act without `{cause.signal}`", place)
            continue
        why = f"with `{cause.signal}` at fault the rules are to act, and the fallback reads it"
        said = f"{why}: at {shown(trace.phases[-1].values)} the safe command follows"
        hint = "let its fault demand `safe_state`, or put a row that does not read it first"
        yield Objection("EG1607", said, place, hint, trace)
