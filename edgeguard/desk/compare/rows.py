"""Every enforced trigger of a policy as formulas, and when others take authority whenever it does: its cover.

Why a cover is one stands in `docs/how-to/compare-policies.md`. Sound, not complete: no cover is no refutation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgeguard.decision.table import RuleRow, Span
from edgeguard.desk.compare.pairing import Logic, seen
from edgeguard.desk.demands import covers, covers_in_step, least, most, no_longer
from edgeguard.desk.solve.backend import Formula, z3
from edgeguard.desk.solve.encode import Space
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.expr import tree
from edgeguard.policy.source import Path
from edgeguard.policy.sources import FAULT_PREFIX
from edgeguard.program import Program
from edgeguard.types import Authority


@dataclass(frozen=True, slots=True)
class Row:
    """One trigger that takes authority: a rule, a relation, or a signal's fault."""

    row: RuleRow
    path: Path
    holds: Formula
    """Its condition is true or a fault."""
    counts: Formula
    """A step that counts towards letting go: the clear condition is true, and the condition does not hold."""
    reads: frozenset[str]
    """Names of the signals that its condition and its clear condition mention."""
    says: tuple[object, ...]
    """Equal for two rows whose `holds` and `counts` are the same, without asking the solver."""

    @property
    def id(self) -> str:
        """Its name in the policy; `signal:NAME` of a fault."""
        return self.row.id

    @property
    def timing(self) -> tuple[object, ...]:
        """Equal for two rows that are active at the same times."""
        return (*self.says, self.row.hold, self.row.clear, self.row.latch)


def rows(document: PolicyDocument, program: Program, space: Space) -> tuple[Row, ...]:
    """The enforced rules and relations in file order, then one row a signal."""
    return (*_declared(document, program, space), *_faults(program, space))


def _declared(document: PolicyDocument, program: Program, space: Space) -> Iterator[Row]:
    table = {row.id: row for row in program.table.rules}
    specs = {spec.name: seen(spec) for spec in program.signals}
    for trigger in document.triggers:
        if trigger.mode != "enforce":
            continue
        when, clear = space.truths(trigger.when), space.clear(trigger.when, trigger.clear)
        trees = [node for node in (trigger.when, trigger.clear) if node is not None]
        reads = frozenset(name for node in trees for name in tree.names(node))
        levels = {(n, program.thresholds[n]) for node in trees for n in tree.thresholds(node)}
        says = (
            frozenset(specs[name] for name in reads),
            frozenset(levels),
            *(tree.skeleton(node) for node in trees),
        )
        counts = z3.And(clear.true, z3.Not(when.holds))
        yield Row(table[trigger.id], trigger.path, when.holds, counts, reads, says)


def _faults(program: Program, space: Space) -> Iterator[Row]:
    table = {row.id: row for row in program.table.rules}
    for spec in program.signals:
        fine = space.healthy[spec.name]
        path: Path = ("signals", spec.name)
        yield Row(
            table[FAULT_PREFIX + spec.name], path, z3.Not(fine), fine, frozenset({spec.name}), seen(spec)
        )


def stops_at_once(found: Sequence[Row]) -> Formula:
    """The inputs on which the safe state is demanded in the very step."""
    return z3.Or([r.holds for r in found if r.row.then is Authority.SAFE_STATE and r.row.hold == Span()])


def cover(row: Row, others: Sequence[Row], logic: Logic) -> tuple[Row, ...]:
    """Rows of `others` one of which is active, and demands as much, whenever `row` is; empty: none were found."""
    able = [other for other in others if _lets_go_no_sooner(other, row) and _demands_as_much(other, row)]
    able.sort(key=lambda other: (other.says != row.says, other.id != row.id))
    for other in able:
        if no_longer(other.row.hold, row.row.hold) and _as_wide(other, row, logic):
            return (other,)
    at_once = [other for other in able if no_longer(other.row.hold, Span()) and other.reads & row.reads]
    if len(at_once) > 1:
        return _together(row, at_once, logic)
    return ()


def _as_wide(other: Row, row: Row, logic: Logic) -> bool:
    if other.says == row.says:
        return True
    # a fault of what only `row` reads keeps it active and `other` not: no need to ask
    return row.reads <= other.reads and (
        logic.implies(row.holds, other.holds) and logic.implies(other.counts, row.counts)
    )


def _together(row: Row, at_once: Sequence[Row], logic: Logic) -> tuple[Row, ...]:
    """Rows without debounce whose conditions together are as wide as that of `row`."""
    # those that take turns begin anew, after `row` did: what they demand must not depend on since when
    steady = [other for other in at_once if least(other.row) >= most(row.row)]
    if steady and logic.implies(z3.Not(row.counts), z3.Or([other.holds for other in steady])):
        return tuple(steady)  # each step that keeps `row` active sets one of them off anew
    slow = [other for other in at_once if logic.implies(other.counts, row.counts)]
    if slow and logic.implies(row.holds, z3.Or([other.holds for other in slow])):
        return tuple(slow)
    return ()


def _lets_go_no_sooner(other: Row, row: Row) -> bool:
    return no_longer(row.row.clear, other.row.clear) and (other.row.latch or not row.row.latch)


def _demands_as_much(other: Row, row: Row) -> bool:
    """Whether `other`, active at least as long as `row`, demands at least as much at every time."""
    together = other.timing == row.timing
    return covers_in_step(other.row, row.row) if together else covers(other.row, row.row)
