"""Which of the signals that are not computed on every frame are computed on this one.

Counts the frames that the guard saw, not the camera's numbers: those an attacker may choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeguard.decision.table import Truth

if TYPE_CHECKING:
    from edgeguard.program import Program


class Schedule:
    """The schedule of one policy. Knows no model and no value but those given."""

    def __init__(self, program: Program) -> None:
        self._entries = tuple(s for s in program.schedule if not s.background)
        self._conditions = program.due
        self._index = tuple(i for i, s in enumerate(program.schedule) if not s.background)
        scheduled = {s.name for s in program.schedule}
        self._unscheduled = frozenset(spec.name for spec in program.signals if spec.name not in scheduled)
        self.always = not program.schedule
        """Whether every signal is computed on every frame."""
        nothing = [False] * len(program.signals)
        # where no signal is healthy, whatever reads one is at fault: the others are the constant `never`
        self.conditional = any(truth is not Truth.FALSE for truth in program.due(nothing, nothing))
        """Whether some signal is computed besides when a condition holds."""
        self._count = -1

    def due(self) -> frozenset[str]:
        """The names to compute on the next frame: those of no schedule, and those whose turn it is."""
        self._count += 1
        turn = (entry.name for entry in self._entries if self._count % entry.every == entry.offset)
        return self._unscheduled.union(turn)

    def besides(self, values: Sequence[float], healthy: Sequence[bool]) -> frozenset[str]:
        """The names whose condition holds, or cannot be evaluated."""
        truths = self._conditions(values, healthy)
        return frozenset(
            entry.name for entry, i in zip(self._entries, self._index) if truths[i] is not Truth.FALSE
        )
