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
        self._block = -1
        self._current = 0

    def variant(self, count: int) -> int:
        """The variant for the frame of that count (0 and up)."""
        if self._every and count // self._every != self._block:
            self._block = count // self._every
            text = f"{self.seed}:{self._block}".encode()
            # 64 bits over a handful of variants: the bias of the remainder is below 1e-18
            self._current = int.from_bytes(hashlib.sha256(text).digest()[:8], "big") % self.variants
        return self._current
