"""The decision machine: which mode the machine is in and who may act, as one pure step over a compiled table.

No clock, no I/O, no signal names: time and truths are arguments. Two layers: `advance` moves every rule by itself;
`next_mode` sees of the rules only a `Summary` of finitely many values, so that all of its runs can be enumerated.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import NamedTuple

from edgeguard.decision.table import RuleRow, Table, Truth
from edgeguard.types import Authority, Event, Mode


class RuleState(NamedTuple):
    """Where one rule stands. While inactive the run counts towards `hold`, while active towards `clear`."""

    active: bool = False
    since: float = 0.0
    """When it became active (s)."""
    frames: int = 0
    """New frames in the current run."""
    start: float | None = None
    """When the current run began (s); None: no run."""


class State(NamedTuple):
    """The whole memory of the machine."""

    mode: Mode
    rules: tuple[RuleState, ...]
    since: float = 0.0
    """When the mode was entered (s)."""
    event: Event | None = None
    """What a person or the runtime did that led to this mode, if that did."""
    latched: tuple[int, ...] = ()
    """Rules that led into SAFE_STATE or LOCKOUT."""
    latched_since: tuple[float, ...] = ()
    safe_entries: int = 0


class Inputs(NamedTuple):
    """What one step sees. `when` and `clear` have one entry a rule of the table."""

    when: tuple[Truth, ...]
    clear: tuple[Truth, ...]
    new_frame: bool
    events: Collection[Event] = ()


class Summary(NamedTuple):
    """All that the mode layer knows of the rules."""

    demand: Authority
    """The most restrictive demand of the active rules."""
    active: bool
    """Some rule is active."""
    pending: bool
    """Some rule is on its way: its condition holds and is not believed yet, or its clear condition does."""
    fresh: bool
    """Some active rule that demands the safe state became so since this mode was entered."""


class Seat(NamedTuple):
    """All that the mode layer remembers."""

    mode: Mode
    event: Event | None = None
    """What a person or the runtime did that led to this mode, if that did."""
    entries: int = 0
    """Entries into the safe state since start."""


class Because(NamedTuple):
    """One reason: the rule's index in the table, and since when it has held (s)."""

    rule: int
    since: float


class Outcome(NamedTuple):
    """What the step decided, and why, the most restrictive reason first."""

    mode: Mode
    authority: Authority
    causes: tuple[Because, ...]
    event: Event | None
    deadline: float | None
    """When a requested takeover expires (s)."""


AUTHORITY: dict[Mode, Authority] = {
    Mode.INIT: Authority.SAFE_STATE,
    Mode.STANDBY: Authority.SAFE_STATE,
    Mode.NOMINAL: Authority.MODEL,
    Mode.DEGRADED: Authority.RULES,
    Mode.TAKEOVER_REQUEST: Authority.HUMAN,
    Mode.MANUAL: Authority.HUMAN,
    Mode.SAFE_STATE: Authority.SAFE_STATE,
    Mode.LOCKOUT: Authority.SAFE_STATE,
}
"""Who may act in each mode. In TAKEOVER_REQUEST the fallback rules command until the human takes over."""

_DEMANDED: dict[Authority, Mode] = {
    Authority.MODEL: Mode.NOMINAL,
    Authority.RULES: Mode.DEGRADED,
    Authority.HUMAN: Mode.TAKEOVER_REQUEST,
    Authority.SAFE_STATE: Mode.SAFE_STATE,
}
_IDLE = RuleState()
_ACTS = Outcome(Mode.NOMINAL, Authority.MODEL, (), None, None)


@lru_cache(maxsize=8)
def idle(count: int) -> tuple[RuleState, ...]:
    """`count` idle rules; the same object every time, so that a quiet step is known at a glance."""
    return (_IDLE,) * count


def initial(table: Table) -> State:
    """The state at power-up: INIT, every rule idle."""
    return State(Mode.INIT, idle(len(table.rules)))


def step(table: Table, state: State, inputs: Inputs, now: float) -> tuple[State, Outcome]:
    """Advance every rule and the mode by one step at time `now` (s, monotonic).

    Total: any truths, any events, any mode. A rule whose condition is FAULT counts as holding and never clears.
    """
    rules = state.rules
    if (
        inputs.when is table.calm
        and rules is idle(len(table.rules))
        and state.mode is Mode.NOMINAL
        and state.event is None
        and not inputs.events
    ):
        return state, _ACTS  # what the rest of this function comes to, in most steps of most days
    if state.mode is not Mode.INIT:
        opened = state.mode is Mode.STANDBY or Event.RESET in inputs.events
        rules = advance(table.rules, rules, inputs, now, opened=opened)
    seat = Seat(state.mode, state.event, state.safe_entries)
    summary = summarise(table, rules, state.since, now)
    after = _enter(state, rules, next_mode(table.lockout_after, seat, summary, inputs.events), now)
    return after, _outcome(table, after, now)


def advance(
    rows: Sequence[RuleRow], rules: tuple[RuleState, ...], inputs: Inputs, now: float, *, opened: bool
) -> tuple[RuleState, ...]:
    """The rule layer: every rule by itself, one step. `opened`: latches are open (the operator's reset, or STANDBY)."""
    found: list[RuleState] = []
    for row, rule, when, clear in zip(rows, rules, inputs.when, inputs.clear):
        if when is Truth.FALSE and rule is _IDLE:  # most rules, most steps: nothing to ask
            found.append(rule)
        else:
            found.append(_advance(row, rule, when, clear, now, counted=inputs.new_frame, opened=opened))
    after, quiet = tuple(found), idle(len(found))
    return quiet if after == quiet else after


def _advance(
    row: RuleRow, rule: RuleState, when: Truth, clear: Truth, now: float, *, counted: bool, opened: bool
) -> RuleState:
    """One rule, one step. `counted`: this step has a new frame."""
    holds = when is not Truth.FALSE
    counts = (clear is Truth.TRUE and not holds) if rule.active else holds
    if not counts:
        return _still(rule)
    start = now if rule.start is None else rule.start
    frames = rule.frames + counted
    span = row.clear if rule.active else row.hold
    if rule.active:
        if frames >= span.frames and now - start >= span.seconds and (opened or not row.latch):
            return _IDLE
    elif frames >= span.frames and not now - start < span.seconds:  # a broken clock activates, never clears
        return RuleState(active=True, since=now)
    return rule._replace(frames=frames, start=start)


def _still(rule: RuleState) -> RuleState:
    """The rule without a run."""
    if not rule.active:
        return _IDLE
    return rule._replace(frames=0, start=None)


def _rule_demand(row: RuleRow, rule: RuleState, now: float) -> Authority:
    if row.then is Authority.HUMAN and not now < rule.since + row.within:
        return row.otherwise
    return row.then


def summarise(table: Table, rules: tuple[RuleState, ...], since: float, now: float) -> Summary:
    """What the rules come to for a mode entered at `since` (s)."""
    demand, active, pending, fresh = Authority.MODEL, False, False, False
    for row, rule in zip(table.rules, rules):
        if rule.active:
            active = True
            demand = max(demand, _rule_demand(row, rule, now))
            fresh = fresh or (row.then is Authority.SAFE_STATE and rule.since >= since)
        pending = pending or rule.start is not None
    return Summary(demand, active, pending, fresh)


def next_mode(lockout_after: int, seat: Seat, summary: Summary, events: Collection[Event]) -> Seat:
    """The mode layer: where to after this step. `lockout_after`: as in `Table`."""
    mode, event = _leave(seat, summary, events)
    entries = seat.entries
    if mode is Mode.SAFE_STATE and seat.mode is not mode:
        entries += 1
        if lockout_after and entries >= lockout_after:
            mode = Mode.LOCKOUT
    return Seat(mode, event, entries)


def _leave(seat: Seat, summary: Summary, events: Collection[Event]) -> tuple[Mode, Event | None]:
    """The next mode and the event that leads there, None where rules or nothing do."""
    mode = seat.mode
    if mode is Mode.LOCKOUT or Event.INTEGRITY in events:
        return Mode.LOCKOUT, Event.INTEGRITY if Event.INTEGRITY in events else seat.event
    if mode is Mode.INIT:
        return (Mode.STANDBY, Event.READY) if Event.READY in events else (Mode.INIT, None)
    if mode is Mode.STANDBY:
        return _leave_standby(seat, summary, events)
    if Event.STOP in events:
        return Mode.SAFE_STATE, Event.STOP
    if mode is Mode.SAFE_STATE:
        return _leave_safe_state(seat, summary, events)
    if mode is Mode.MANUAL:
        return _leave_manual(seat, summary, events)
    if Event.TAKE in events and summary.demand is not Authority.SAFE_STATE:
        return Mode.MANUAL, Event.TAKE
    return _DEMANDED[summary.demand], None


def _leave_standby(seat: Seat, summary: Summary, events: Collection[Event]) -> tuple[Mode, Event | None]:
    """By hand at once; to the model only while no rule holds, nor holds what is not believed yet."""
    if Event.STOP in events:
        return Mode.STANDBY, seat.event
    if Event.TAKE in events:
        return Mode.MANUAL, Event.TAKE
    if Event.ARM in events and not (summary.active or summary.pending):
        return Mode.NOMINAL, Event.ARM
    return Mode.STANDBY, seat.event


def _leave_safe_state(seat: Seat, summary: Summary, events: Collection[Event]) -> tuple[Mode, Event | None]:
    """Only the operator leaves the safe state: by hand at once, or back to standby when no rule holds any more."""
    if Event.TAKE in events:
        return Mode.MANUAL, Event.TAKE
    if Event.RESET in events and not summary.active:
        return Mode.STANDBY, Event.RESET
    return Mode.SAFE_STATE, seat.event


def _leave_manual(seat: Seat, summary: Summary, events: Collection[Event]) -> tuple[Mode, Event | None]:
    """What the human saw when they took over is theirs to bear; a safe-state rule that fires then or later wins."""
    if summary.fresh:
        return Mode.SAFE_STATE, None
    if Event.RELEASE in events:
        return _DEMANDED[summary.demand], Event.RELEASE
    return Mode.MANUAL, seat.event


def _enter(state: State, rules: tuple[RuleState, ...], seat: Seat, now: float) -> State:
    """The state after the step: remembers what led into a mode that holds everything safe."""
    mode, event, entries = seat
    if mode is state.mode:
        return state._replace(rules=rules, event=event)
    if AUTHORITY[mode] is Authority.SAFE_STATE and mode is not Mode.STANDBY:
        latched = tuple(i for i, rule in enumerate(rules) if rule.active)
        since = tuple(rules[i].since for i in latched)
        return State(mode, rules, now, event, latched, since, entries)
    return State(mode, rules, now, event, (), (), entries)


def _outcome(table: Table, state: State, now: float) -> Outcome:
    if state.mode is Mode.NOMINAL:  # no rule is active, or the mode would be another
        return _ACTS._replace(event=state.event)
    because = [Because(i, rule.since) for i, rule in enumerate(state.rules) if rule.active]
    seen = {cause.rule for cause in because}
    because += [Because(i, t) for i, t in zip(state.latched, state.latched_since) if i not in seen]
    because.sort(key=lambda cause: (-table.rules[cause.rule].then, cause.since, cause.rule))
    deadline = None
    if state.mode is Mode.TAKEOVER_REQUEST:
        deadline = min(
            rule.since + row.within
            for row, rule in zip(table.rules, state.rules)
            if rule.active and _rule_demand(row, rule, now) is Authority.HUMAN
        )
    return Outcome(state.mode, AUTHORITY[state.mode], tuple(because), state.event, deadline)
