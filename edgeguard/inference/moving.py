"""Moving target: which of several admitted primaries answers changes in an order that an attacker cannot know.

Deterministic from its seed, so that a log can be replayed. Reads no clock and, but for an unset seed, no random source.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeguard.program import Switch


class MovingTarget:
    """Says for each frame which variant answers: 0 is the primary, 1 and up its alternates."""

    def __init__(self, switch: Switch | None, variants: int) -> None:
        """`variants`: how many primaries there are, at least 1. Without a `switch` the first one always answers."""
        self._every = switch.every if switch is not None else 0
        given = switch.seed if switch is not None else None
        self.seed = secrets.randbits(63) if given is None else given
        """Goes into the log: with it, every choice can be repeated."""
        self.variants = variants
        """How many primaries take turns."""

    def variant(self, count: int) -> int:
        """The variant for the frame of that count (0 and up)."""
        if not self._every:
            return 0
        drawn = hashlib.sha256(f"{self.seed}:{count // self._every}".encode()).hexdigest()[:16]
        # 64 bits over a handful of variants: the bias of the remainder is below 1e-18
        return int(drawn, 16) % self.variants
