"""What takes authority in one policy and in the other: every trigger that the other policy does not cover.

OLD's uncovered triggers make NEW more permissive, NEW's make it stricter; each with a run that shows it if one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from edgeguard.decision.table import RuleRow
from edgeguard.desk.compare.order import Difference, Order
from edgeguard.desk.compare.pairing import Logic, Pairing
from edgeguard.desk.compare.rows import Row, cover
from edgeguard.desk.compare.scripts import Half, Scripts
from edgeguard.desk.compare.witness import Runner, who_acts
from edgeguard.policy.units import duration_text, span_text
from edgeguard.program import Program
from edgeguard.types import Authority


def triggers(old: Half, new: Half, pairing: Pairing, runner: Runner) -> Iterator[Difference]:
    """Every trigger of one policy that the other does not cover, in NEW's order, then what only OLD has."""
    found = [*_uncovered(new, old, pairing, runner, Order.STRICTER)]
    found += _uncovered(old, new, pairing, runner, Order.PERMISSIVE)
    places = {row.path: i for i, row in enumerate(new.rows)}
    yield from sorted(found, key=lambda d: places.get(d.new, len(places)) if d.new else len(places))


def _uncovered(
    strong: Half, weak: Half, pairing: Pairing, runner: Runner, order: Order
) -> Iterator[Difference]:
    """Triggers of `strong` that may be active while `weak` demands less."""
    for row in strong.rows:
        before = pairing.logic.unsolved
        if cover(row, weak.rows, pairing.logic):
            continue
        unsolved = pairing.logic.unsolved > before
        twin = weak.twin(row)
        loses = 1 if order is Order.PERMISSIVE else 0
        scripts = Scripts(row, twin, strong, weak, pairing).all()
        witness = runner.first(scripts, who_acts(loses))
        text = _text(row, twin, weak.program, pairing.logic, order)
        if unsolved and witness is None:
            text += f"; the solver gave no answer within {pairing.logic.timeout:g} s"
        elif witness is None:
            text += "; no run was found that shows it"
        paths = (row.path, twin.path if twin else None)
        here, there = paths if order is Order.PERMISSIVE else reversed(paths)
        known = order if witness or not unsolved else Order.INCOMPARABLE
        yield Difference(known, text, here, there, witness)


def _text(row: Row, twin: Row | None, weak: Program, logic: Logic, order: Order) -> str:
    """What became of a trigger, in words. `weak`: the policy that does not cover it."""
    name = _called(row)
    if twin is None:
        watched = next((other for other in weak.watched if other.id == row.id), None)
        if watched:
            now, was = (watched.mode, "enforce") if order is Order.PERMISSIVE else ("enforce", watched.mode)
            return f"{name} has mode {now}, was {was}"
        if order is Order.PERMISSIVE:
            return f"{name} is gone, and nothing else takes as much"
        return f"{name} is new"
    before, after = (twin, row) if order is Order.STRICTER else (row, twin)
    parts = [*_conditions(row, twin, logic, _WORDS[order]), *_changes(before.row, after.row)]
    otherwise = "who was asked may be given up on by then" if twin.row.within else "it acts otherwise"
    return f"{name}: {'; '.join(parts) or otherwise}"


def _called(row: Row) -> str:
    if row.path[0] == "signals":
        return f"signal `{row.path[1]}`"
    return f"{'relation' if row.path[0] == 'redundancy' else 'rule'} `{row.id}`"


class _Words(NamedTuple):
    """What is said of a condition that is not as wide as the other policy's."""

    faults: str
    holds: str
    clears: str


_WORDS = {
    Order.STRICTER: _Words(
        "it is at fault where it was not",
        "its condition holds where it did not",
        "it does not clear where it did",
    ),
    Order.PERMISSIVE: _Words(
        "it is not at fault where it was",
        "its condition does not hold where it did",
        "it clears where it did not",
    ),
}


def _conditions(row: Row, twin: Row, logic: Logic, words: _Words) -> Iterator[str]:
    if row.says == twin.says:
        return
    if not logic.implies(row.holds, twin.holds):
        yield words.faults if row.path[0] == "signals" else words.holds
    if row.path[0] != "signals" and not logic.implies(twin.counts, row.counts):
        yield words.clears


def _changes(old: RuleRow, new: RuleRow) -> Iterator[str]:
    """What differs between two rows besides their conditions."""
    if old.hold != new.hold:
        yield f"debounce {span_text(new.hold)}, was {span_text(old.hold)}"
    if old.clear != new.clear:
        yield f"lets go after {span_text(new.clear)}, was {span_text(old.clear)}"
    if old.latch != new.latch:
        yield "it latches now" if new.latch else "it no longer latches"
    if old.then != new.then:
        yield f"demands {_word(new.then)}, was {_word(old.then)}"
    if old.within != new.within and old.within and new.within:
        yield f"within {duration_text(new.within)}, was {duration_text(old.within)}"
    if old.otherwise != new.otherwise and old.within and new.within:
        yield f"otherwise {_word(new.otherwise)}, was {_word(old.otherwise)}"


def _word(authority: Authority) -> str:
    return authority.name.lower()
