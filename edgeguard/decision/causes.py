"""Why: turns the machine's outcome into the cause chain that every verdict carries.

Pure, and off the way of the decision itself: nothing here changes who acts. Remembers the values a rule last held on,
so that a latched cause still says what it saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgeguard.decision.machine import Because, Outcome, State
from edgeguard.decision.table import RuleRow, Table, Truth
from edgeguard.types import Authority, Cause, Event, Mode, Status

_EVENTS: dict[tuple[Mode, Event | None], str] = {
    (Mode.INIT, None): "models are being admitted and warmed up",
    (Mode.STANDBY, Event.READY): "ready, and not armed yet",
    (Mode.STANDBY, Event.RESET): "reset by the operator, and not armed yet",
    (Mode.MANUAL, Event.TAKE): "the operator took over",
    (Mode.SAFE_STATE, Event.STOP): "the operator demanded the safe state",
    (Mode.LOCKOUT, Event.STOP): "the operator demanded the safe state, which was entered too often",
    (Mode.LOCKOUT, Event.INTEGRITY): "the runtime found its own integrity broken",
}
_CLEARS: dict[Mode, str] = {
    Mode.INIT: "the end of warm-up",
    Mode.STANDBY: "the operator arms",
    Mode.MANUAL: "the operator releases",
    Mode.SAFE_STATE: "the operator resets when no rule holds, then arms; or takes over",
    Mode.LOCKOUT: "a restart",
}


class CauseChain:
    """Holds, for every rule, the signal values on which it last held. One a guard."""

    def __init__(self, table: Table, signals: Sequence[str], thresholds: Mapping[str, float]) -> None:
        self._table = table
        self._signals = tuple(signals)
        self._thresholds = [{name: thresholds[name] for name in row.thresholds} for row in table.rules]
        self._held: dict[int, dict[str, float | None]] = {}

    def remember(self, when: Sequence[Truth], values: Sequence[float], statuses: Sequence[Status]) -> None:
        """Note the values of every rule that holds in this step. `values` and `statuses` go by signal index."""
        for index, truth in enumerate(when):
            if truth is not Truth.FALSE:
                self._held[index] = {
                    self._signals[i]: values[i] if statuses[i] <= Status.SUSPECT else None
                    for i in self._table.rules[index].reads
                }

    def causes(self, state: State, outcome: Outcome, now: float) -> tuple[Cause, ...]:
        """Return the causes of this outcome, the most restrictive first; empty only while the model acts."""
        rules = tuple(self.cause(because, now) for because in outcome.causes)
        text = _EVENTS.get((outcome.mode, outcome.event))
        if text is None:
            return rules
        said = f"event:{outcome.event.value if outcome.event else outcome.mode.value}"
        return (
            Cause(said, 0, text, outcome.authority, state.since, clears=_CLEARS[outcome.mode]),
            *rules,
        )

    def cause(self, because: Because, now: float) -> Cause:
        """Return one reason in full."""
        index, since = because
        row = self._table.rules[index]
        expired = row.then is Authority.HUMAN and not now < since + row.within
        return Cause(
            rule=row.id,
            line=row.line,
            text=row.text,
            demands=row.otherwise if expired else row.then,
            since=since,
            values=self._held.get(index, {}),
            thresholds=self._thresholds[index],
            clears=_clears(row),
            expired=expired,
            mode=row.mode,
            says=row.cause,
        )


def _clears(row: RuleRow) -> str:
    """What gives authority back, in words."""
    parts = [row.clear_text or f"not ({row.text})"]
    if row.clear.frames:
        parts.append(f"for {row.clear.frames} frames")
    if row.clear.seconds:
        parts.append(f"for {row.clear.seconds:g} s")
    if row.latch:
        parts.append("and the operator's reset")
    return " ".join(parts)
