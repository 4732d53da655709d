"""One fact of a policy and the ways in which two of them can be ordered. Plain values: reads no policy.

A fact whose order is not known for certain is `changed`: then the policies are incomparable as soon as it differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from edgeguard.desk.compare.order import Order, changed, falling, rising


class Fact(NamedTuple):
    """One value of a policy: how two of them are ordered, and how one is said. None: the policy has no such thing."""

    value: Any
    order: Callable[[Any, Any], Order]
    show: Callable[[Any], str] = str


def limit(old: float | None, new: float | None) -> Order:
    """The lower the stricter; what is not stated is no limit."""
    return falling(math.inf if old is None else old, math.inf if new is None else new)


def floor(old: float | None, new: float | None) -> Order:
    """The higher the stricter; what is not stated is none."""
    return rising(-math.inf if old is None else old, -math.inf if new is None else new)


def other(old: object, new: object) -> Order:
    """Two different statements cannot be compared; where one policy says nothing, nothing is computed otherwise."""
    return Order.EQUIVALENT if old is None or new is None else changed(old, new)


def fewer(old: frozenset[object] | None, new: frozenset[object] | None) -> Order:
    """The fewer the stricter, of sets that contain each other."""
    before, after = old or frozenset(), new or frozenset()
    if before == after:
        return Order.EQUIVALENT
    if after < before:
        return Order.STRICTER
    return Order.PERMISSIVE if before < after else Order.INCOMPARABLE


def number(value: float) -> str:
    """As people write it."""
    return f"{value:g}"
