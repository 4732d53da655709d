"""Compares two policies piece by piece: settings, triggers, fallback rules. The whole is the product of the pieces.

Never says equivalent, or stricter, of what was not proved so. Reals stand for doubles: see the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgeguard.desk.compare.fallback import choices, fallback
from edgeguard.desk.compare.order import Difference, Order, joined
from edgeguard.desk.compare.pairing import Pairing, pair
from edgeguard.desk.compare.rows import rows, stops_at_once
from edgeguard.desk.compare.scripts import Half
from edgeguard.desk.compare.settings import settings
from edgeguard.desk.compare.side import Side
from edgeguard.desk.compare.triggers import triggers
from edgeguard.desk.compare.witness import Runner
from edgeguard.desk.solve.backend import z3
from edgeguard.desk.solve.search import TIMEOUT, Values
from edgeguard.program import Program


@dataclass(frozen=True, slots=True)
class Comparison:
    """How NEW stands to OLD, and everything in which they differ."""

    old: Side
    new: Side
    order: Order
    differences: tuple[Difference, ...]
    measured: bool
    """False: a calibration is not at hand, so that thresholds were taken as unknown, and as the same in both."""


def compare(old: Side, new: Side, *, timeout: float = TIMEOUT) -> Comparison:
    """Compare two checked policies. `timeout`: s for each question to the solver; no answer is incomparable."""
    pairing = pair(old, new, timeout=timeout)
    found = tuple(_differences(old, new, pairing))
    order = joined(difference.order for difference in found)
    return Comparison(old, new, order, found, pairing.measured)


def _differences(old: Side, new: Side, pairing: Pairing) -> Iterator[Difference]:
    yield from settings(old.document, new.document)
    yield from _calibration(old, new)

    def programs(thresholds: Values) -> tuple[Program, Program]:
        return old.program(thresholds), new.program(thresholds)

    before, after = programs({spec.name: spec.nominal for spec in pairing.thresholds.signals})
    halves = (
        Half(before, rows(old.document, before, pairing.old)),
        Half(after, rows(new.document, after, pairing.new)),
    )
    runner = Runner(programs)
    yield from triggers(*halves, pairing, runner)
    ways = choices(old.document, before, pairing.old), choices(new.document, after, pairing.new)
    stopped = z3.Or(*(stops_at_once(half.rows) for half in halves))
    # a human who has taken over and gives no command gets the fallback, also where the safe state is demanded
    healthy = z3.And(pairing.old.all_healthy(), pairing.new.all_healthy())
    yield from fallback(*ways, z3.Or(z3.Not(stopped), healthy), pairing, runner)


def _calibration(old: Side, new: Side) -> Iterator[Difference]:
    """Where the thresholds come from. Their values are compared with the conditions that name them."""
    paths = (
        ("calibration",) if old.document.policy.calibration else None,
        (("calibration",) if new.document.policy.calibration else None),
    )
    one, other = old.calibration, new.calibration
    if one and other:
        if dict(one.models) != dict(other.models):
            text = "the calibrations were measured with other models"
            yield Difference(Order.INCOMPARABLE, text, *paths)
    elif old.document.policy.calibration != new.document.policy.calibration:
        text = "another calibration is named, and its thresholds are not known"
        yield Difference(Order.INCOMPARABLE, text, *paths)
