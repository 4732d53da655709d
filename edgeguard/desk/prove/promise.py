"""One `never` of a policy, as formulas: what would break it, and what takes authority away from who would.

Formulas only; what is proved of them, and how a run against them is looked for, stands in `invariants` and `attack`.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeguard.decision.table import Span
from edgeguard.desk.demands import least, no_longer
from edgeguard.desk.prove import commands
from edgeguard.desk.prove.subject import Cause, Subject
from edgeguard.desk.solve.backend import Formula, z3
from edgeguard.desk.solve.bounds import Bounds
from edgeguard.desk.solve.encode import Space, real
from edgeguard.policy.expr import tree
from edgeguard.policy.source import Path
from edgeguard.types import Authority

_ONE_FRAME = Span(frames=1)


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
        return tuple(c for c in self.subject.causes if least(c.row) > authority)

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
