"""Which of two policies is stricter, and where they differ: for people who review a change before it is signed.

What "stricter" means, piece by piece, is in `docs/how-to/compare-policies.md`. Needs the extra `verify`.
"""

from __future__ import annotations

from edgeguard.desk.compare.compare import Comparison, compare
from edgeguard.desk.compare.order import Difference, Order, Witness
from edgeguard.desk.compare.side import Side, sides

__all__ = ["Comparison", "Difference", "Order", "Side", "Witness", "compare", "sides"]
