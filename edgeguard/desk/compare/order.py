"""The four answers of a comparison, how they join, and one difference between two policies.

Plain values only: nothing here reads a policy or asks a solver.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from edgeguard.policy.source import Path


class Order(str, Enum):
    """How NEW stands to OLD. A product of pieces: stricter in one and more permissive in another is incomparable."""

    EQUIVALENT = "equivalent"
    STRICTER = "stricter"
    PERMISSIVE = "more permissive"
    INCOMPARABLE = "incomparable"


def joined(orders: Iterable[Order]) -> Order:
    """The order of the whole, from those of its pieces."""
    found = set(orders) - {Order.EQUIVALENT}
    if not found:
        return Order.EQUIVALENT
    return found.pop() if len(found) == 1 else Order.INCOMPARABLE


def reverse(order: Order) -> Order:
    """The same with OLD and NEW exchanged."""
    swapped = {Order.STRICTER: Order.PERMISSIVE, Order.PERMISSIVE: Order.STRICTER}
    return swapped.get(order, order)


def rising(old: float, new: float) -> Order:
    """Of a number that is the stricter the higher it is."""
    if old == new:
        return Order.EQUIVALENT
    return Order.STRICTER if new > old else Order.PERMISSIVE


def falling(old: float, new: float) -> Order:
    """Of a number that is the stricter the lower it is."""
    return rising(new, old)


def changed(old: object, new: object) -> Order:
    """Of what has no order: the same, or incomparable."""
    return Order.EQUIVALENT if old == new else Order.INCOMPARABLE


def number_text(value: float) -> str:
    """A number in words, as short as it can be without being another."""
    text = f"{value:g}"
    return text if float(text) == value else repr(value)


@dataclass(frozen=True, slots=True)
class Witness:
    """One run on which the two policies differ, as both were seen to behave on it."""

    script: tuple[str, ...]
    """What was given, phase by phase, in words; it starts armed, with every signal at its nominal value."""
    at: float
    """Seconds from the start of the script to the step that differs."""
    old: str
    """What OLD did there: who acts, or the fallback command."""
    new: str
    values: Mapping[str, float | str]
    """The signals of the last phase that are not nominal: a number, `missing` or `stale`."""

    def __str__(self) -> str:
        return f"{', then '.join(self.script)}: old: {self.old}, new: {self.new} (at {self.at:.3g} s)"


@dataclass(frozen=True, slots=True)
class Difference:
    """One piece in which the policies differ. A path is None where that policy has no such thing."""

    order: Order
    """EQUIVALENT: it is told, but it takes and gives nothing."""
    text: str
    old: Path | None
    new: Path | None
    witness: Witness | None = None
