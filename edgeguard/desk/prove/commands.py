"""How far a command can be from where it is headed, as intervals: what envelope and slew limits leave possible.

Only bounds, never too narrow: what was commanded before lies in the envelope, and each step moves towards the target.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from edgeguard.desk.prove.subject import Subject
from edgeguard.desk.solve.backend import Formula, Term, z3
from edgeguard.desk.solve.bounds import Bounds
from edgeguard.desk.solve.encode import real
from edgeguard.program import ActuatorLimit
from edgeguard.types import Authority


def variables(subject: Subject) -> dict[str, Term]:
    """One variable an actuator, by `command.NAME`."""
    return {f"command.{limit.name}": z3.Real(f"command.{limit.name}") for limit in subject.program.envelope}


def anywhere(subject: Subject) -> dict[str, Bounds]:
    """Every command within the envelope."""
    return {f"command.{limit.name}": Bounds(limit.low, limit.high) for limit in subject.program.envelope}


def after(subject: Subject, authority: Authority, rows: Mapping[int, Formula], lasting: float) -> Formula:
    """What can be commanded at the last step of a stretch of `lasting` s in which `authority` did not change.

    `rows`: the fallback rows that can be chosen during the stretch, with when. Steps are a control period apart, so
    even in the first one the command has moved for a period.
    """
    moved = lasting + subject.program.period
    inside = within(subject, anywhere(subject))
    if authority in (Authority.MODEL, Authority.HUMAN):
        return inside
    safe = {limit.name: limit.safe for limit in subject.program.envelope}
    if authority is Authority.SAFE_STATE:
        return z3.And(inside, _towards(subject, [safe], safe, moved))
    targets = {i: by_rules(subject, subject.program.fallback[i].command.values) for i in rows}
    every = [*targets.values(), safe]
    chosen = [z3.And(formula, _towards(subject, every, targets[i], moved)) for i, formula in rows.items()]
    none = z3.And(z3.Not(z3.Or(list(rows.values()))), _towards(subject, every, safe, moved))
    return z3.And(inside, z3.Or(*chosen, none))


def by_rules(subject: Subject, values: Mapping[str, float]) -> Mapping[str, float]:
    """What the gate lets rules command: the safe value of an actuator that they may not act on."""
    envelope = subject.program.envelope
    return {e.name: values[e.name] if e.authority <= Authority.RULES else e.safe for e in envelope}


def within(subject: Subject, bounds: Mapping[str, Bounds]) -> Formula:
    """The commands lie within these bounds."""
    terms = variables(subject)
    facts = []
    for name, (low, high) in bounds.items():
        facts += [terms[name] >= real(low), terms[name] <= real(high)]
    return z3.And(facts)


def _towards(
    subject: Subject, every: list[Mapping[str, float]], now: Mapping[str, float], moved: float
) -> Formula:
    """Headed for one of `every` all the time and for `now` in this step, having moved for `moved` s."""
    bounds = {}
    for limit in subject.program.envelope:
        headed = [target[limit.name] for target in every]
        bounds[f"command.{limit.name}"] = _reached(limit, min(headed), max(headed), now[limit.name], moved)
    return within(subject, bounds)


def _reached(limit: ActuatorLimit, least: float, most: float, now: float, moved: float) -> Bounds:
    """From anywhere in the envelope towards [least, most]; without a slew limit it is there at once."""
    up, down = limit.low + limit.rise * moved, limit.high - limit.fall * moved
    low = now if math.isinf(limit.rise) else min(least, up)
    high = now if math.isinf(limit.fall) else max(most, down)
    return Bounds(low, high)
