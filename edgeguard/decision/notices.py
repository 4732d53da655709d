"""Rules that only tell: they run exactly as the others do, and take nothing. One a guard.

Pure but for what it remembers, like `causes`. Nothing here reaches the decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgeguard.decision.causes import CauseChain
from edgeguard.decision.machine import Because, Inputs, advance, idle
from edgeguard.decision.table import RuleRow, Table
from edgeguard.types import Cause, Event, Mode, Status


class Notices:
    """The state of every rule in mode `warn` or `audit`."""

    def __init__(
        self, rows: Sequence[RuleRow], signals: Sequence[str], thresholds: Mapping[str, float]
    ) -> None:
        self._rows = tuple(rows)
        self._rules = idle(len(self._rows))
        self._chain = CauseChain(Table(self._rows), signals, thresholds)

    @property
    def active(self) -> bool:
        """Whether some rule is active or on its way: only then are clear conditions asked for."""
        return self._rules is not idle(len(self._rows))

    def step(
        self, mode: Mode, inputs: Inputs, values: Sequence[float], statuses: Sequence[Status], now: float
    ) -> tuple[Cause, ...]:
        """Advance them as the machine in `mode` does its own, and return those that hold, in file order."""
        if mode is Mode.INIT:
            return ()
        opened = mode is Mode.STANDBY or Event.RESET in inputs.events
        self._rules = advance(self._rows, self._rules, inputs, now, opened=opened)
        self._chain.remember(inputs.when, values, statuses)
        held = [Because(i, rule.since) for i, rule in enumerate(self._rules) if rule.active]
        return tuple(self._chain.cause(because, now) for because in held)
