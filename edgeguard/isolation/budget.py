"""How often a worker may be started again. Pure: time is an argument."""

from __future__ import annotations


class Budget:
    """At most so many restarts within so long (s); the first one too many ends it for good."""

    def __init__(self, most: int, within: float) -> None:
        self._most = most
        self._within = within
        self._taken: list[float] = []
        self.spent = False
        """Whether there will be no other."""
        self.count = 0
        """How many there were."""

    def take(self, now: float) -> bool:
        """Whether there may be one at time `now`, which then counts."""
        self._taken = [at for at in self._taken if now - at < self._within]
        self.spent = self.spent or len(self._taken) >= self._most
        if not self.spent:
            self._taken.append(now)
            self.count += 1
        return not self.spent
