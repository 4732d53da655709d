"""S1 and S11: one step, from the health of the signals to the command, in the order of the page.

A function of policy, state and inputs; nothing here reads a clock or remembers anything outside of the state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from edgeguard.desk.reference import gate, modes
from edgeguard.desk.reference.causes import Reason, Story, causes, notices, remembered
from edgeguard.desk.reference.conditions import Truth, condition, truth
from edgeguard.desk.reference.modes import AUTHORITY, Facts, ModeState
from edgeguard.desk.reference.rows import Row, enforced, watched
from edgeguard.desk.reference.signals import Seen, healthy_value, status
from edgeguard.desk.reference.triggers import Moment, Standing, demands, holds, move
from edgeguard.policy.document import PolicyDocument
from edgeguard.types import Authority, Event, GateDecision, Mode, Status

Values = Mapping[str, float | None]
OPPOSITE = {Truth.TRUE: Truth.FALSE, Truth.FALSE: Truth.TRUE, Truth.FAULT: Truth.FAULT}
"""S4.3: `clear` where none is written."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """S1.2. `now` in s; a signal that is not named was never seen."""

    now: float
    signals: Mapping[str, Seen]
    new_frame: bool
    events: AbstractSet[Event] = frozenset()
    suggestion: Mapping[str, object] | None = None
    manual: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """A list of triggers, what they are doing (S5.1), and the values when each last held (S8.4)."""

    triggers: tuple[Standing, ...]
    last_held: tuple[Values, ...]


@dataclass(frozen=True, slots=True)
class State:
    """S1.1: all that is remembered from one step to the next. Times in s."""

    enforced: Watch
    watched: Watch
    mode: ModeState
    remembered: Mapping[int, float]
    sent: Mapping[str, float]
    sent_at: float | None = None
    silent_since: float | None = None
    """S8.5: since when the model has authority and gives no command."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step says. `fallback`: the row of S9, -1 for none; `deadline` in s."""

    mode: Mode
    authority: Authority
    gate: GateDecision
    source: Authority
    command: Mapping[str, float]
    causes: tuple[Reason, ...]
    notices: tuple[Reason, ...]
    deadline: float | None
    alerts: tuple[str, ...]
    fallback: int
    status: Mapping[str, Status]
    values: Values = field(default_factory=dict)


class Reference:
    """The policy of `document` with its calibrated `thresholds`, ready to be stepped.

    `document` must have been checked without a finding; `thresholds` must hold every one that it names.
    """

    def __init__(self, document: PolicyDocument, thresholds: Mapping[str, float]) -> None:
        self._policy = document.policy
        self._thresholds = thresholds
        self._enforced = enforced(document)
        self._watched = watched(document)
        self._rows = tuple(
            None if row.when is None else condition(document.conditions[("fallback", i, "when")])
            for i, row in enumerate(self._policy.fallback)
        )

    def beginning(self) -> State:
        """S11.1."""
        safe = gate.safe_command(self._policy.envelope)
        return State(_nothing(self._enforced), _nothing(self._watched), ModeState(), {}, safe)

    def step(self, state: State, inputs: Inputs) -> tuple[State, Outcome]:
        """S1.7: the seven parts in their order."""
        values = self._values(inputs)
        moment = self._moment(state.mode.mode, inputs)
        whens = [self._when(row, values) for row in self._enforced]
        first = self._advance(self._enforced, whens, state.enforced, values, moment)
        told = [self._when(row, values) for row in self._watched]
        second = self._advance(self._watched, told, state.watched, values, moment)
        seen = facts(self._enforced, first.triggers, state.mode, inputs.now)
        mode = modes.step(state.mode, seen, inputs.events, self._policy.lockout_after, inputs.now)
        kept = remembered(state.mode, mode, state.remembered, first.triggers)
        fallback = self._fallback(values)
        acts, command = self._command(state, mode.mode, fallback, inputs)
        authority, silent = _authority(mode.mode, acts)
        silent_since = _first(state.silent_since, inputs.now) if silent else None
        story = Story(self._enforced, first.triggers, first.last_held, inputs.now)
        outcome = Outcome(
            mode=mode.mode,
            authority=authority,
            gate=gate.decision(acts, command),
            source=acts.source,
            command=command,
            causes=causes(story, mode, kept, authority=authority, silent_since=silent_since),
            notices=notices(Story(self._watched, second.triggers, second.last_held, inputs.now), mode),
            deadline=self._deadline(mode.mode, first.triggers, inputs.now),
            alerts=self._alerts(mode, inputs.now),
            fallback=fallback,
            status=self._status(whens, values, inputs),
            values=values,
        )
        return State(first, second, mode, kept, command, inputs.now, silent_since), outcome

    def _values(self, inputs: Inputs) -> Values:
        """S2.5: the value of every healthy signal."""
        signals = self._policy.signals.items()
        return {
            name: healthy_value(name, signal, inputs.signals.get(name), inputs.now)
            for name, signal in signals
        }

    def _status(self, whens: list[Truth], values: Values, inputs: Inputs) -> Mapping[str, Status]:
        """S2.3, S2.7."""
        suspect = {
            name
            for row, when in zip(self._enforced, whens, strict=True)
            if when is Truth.TRUE
            for name in _mentions(row)
        }
        signals = self._policy.signals.items()
        found = {name: status(name, signal, inputs.signals.get(name), inputs.now) for name, signal in signals}
        return {
            name: Status.SUSPECT if name in suspect and values[name] is not None else seen
            for name, seen in found.items()
        }

    def _moment(self, mode: Mode, inputs: Inputs) -> Moment | None:
        """S5.2, S5.8: what the step offers the triggers; None: they stand still."""
        if mode is Mode.INIT:
            return None
        return Moment(inputs.now, inputs.new_frame, Event.RESET in inputs.events or mode is Mode.STANDBY)

    def _advance(
        self, rows: tuple[Row, ...], whens: list[Truth], watch: Watch, values: Values, moment: Moment | None
    ) -> Watch:
        """S5.2: every trigger makes one move, by itself. S8.4: what it mentions, when it last held."""
        triggers, last = list(watch.triggers), list(watch.last_held)
        for i, (row, when) in enumerate(zip(rows, whens, strict=True)):
            if holds(when):
                last[i] = {name: values[name] for name in _mentions(row)}
            if moment is not None:
                triggers[i] = move(row, triggers[i], when, self._clear(row, when, values), moment)
        return Watch(tuple(triggers), tuple(last))

    def _when(self, row: Row, values: Values) -> Truth:
        """S3, S4.5."""
        if row.when is None:
            return Truth.FAULT if values[row.signal] is None else Truth.FALSE
        return truth(row.when, values, self._thresholds)

    def _clear(self, row: Row, when: Truth, values: Values) -> Truth:
        """S4.3, S4.5: a fault trigger's `clear` is the opposite of its `when`, too."""
        return truth(row.clear, values, self._thresholds) if row.clear is not None else OPPOSITE[when]

    def _deadline(self, mode: Mode, triggers: tuple[Standing, ...], now: float) -> float | None:
        """S7.8."""
        if mode is not Mode.TAKEOVER_REQUEST:
            return None
        active = [(r, t.since) for r, t in zip(self._enforced, triggers, strict=True) if t.since is not None]
        asking = [(row, since) for row, since in active if demands(row, since, now) is Authority.HUMAN]
        return min(since + row.within for row, since in asking)

    def _alerts(self, mode: ModeState, now: float) -> tuple[str, ...]:
        """S7.9."""
        if mode.mode is not Mode.TAKEOVER_REQUEST or self._policy.handover is None:
            return ()
        return tuple(s.alert for s in self._policy.handover.escalate if not now - mode.since < s.after)

    def _fallback(self, values: Values) -> int:
        """S9."""
        for i, when in enumerate(self._rows):
            found = Truth.TRUE if when is None else truth(when, values, self._thresholds)  # S9.2
            if found is not Truth.FALSE:  # S9.1
                return i if found is Truth.TRUE else -1
        return -1

    def _command(
        self, state: State, mode: Mode, fallback: int, inputs: Inputs
    ) -> tuple[gate.Acts, gate.Command]:
        """S10.2 to S10.5: who acts, and what is sent."""
        envelope = self._policy.envelope
        who = gate.Candidates(
            suggestion=gate.command(inputs.suggestion, envelope),
            manual=gate.command(inputs.manual, envelope),
            fallback=None if fallback < 0 else self._policy.fallback[fallback].command,
            safe=gate.safe_command(envelope),
        )
        acts = gate.acting(mode, AUTHORITY[mode], who)
        elapsed = 0.0 if state.sent_at is None else inputs.now - state.sent_at
        return acts, gate.inside_envelope(acts, state.sent, elapsed, envelope)


def facts(rows: Sequence[Row], triggers: Sequence[Standing], mode: ModeState, now: float) -> Facts:
    """S6.3, S7.2: all that the table of modes is told, with `mode` as it was before the step."""
    active = [(row, t.since) for row, t in zip(rows, triggers, strict=True) if t.since is not None]
    return Facts(
        demand=max((demands(row, since, now) for row, since in active), default=Authority.MODEL),
        active=bool(active),
        pending=any(trigger.run is not None for trigger in triggers),
        fresh=any(row.then is Authority.SAFE_STATE and since >= mode.since for row, since in active),
    )


def _authority(mode: Mode, acts: gate.Acts) -> tuple[Authority, bool]:
    """S10.7: the verdict's authority, and whether the model has authority and gives no command."""
    authority = AUTHORITY[mode]
    silent = authority is Authority.MODEL and acts.source is not Authority.MODEL
    return (acts.source if silent else authority), silent


def _first(before: float | None, now: float) -> float:
    """S8.5: since the first step in which it was so."""
    return now if before is None else before


def _mentions(row: Row) -> tuple[str, ...]:
    """S3.3; a fault trigger mentions its signal."""
    return (row.signal,) if row.when is None else row.when.mentions


def _nothing(rows: tuple[Row, ...]) -> Watch:
    """S11.1."""
    return Watch(tuple(Standing() for _ in rows), tuple({} for _ in rows))
