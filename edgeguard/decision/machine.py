"""The decision machine: which mode the machine is in and who may act, as one pure step over a compiled table.

No clock, no I/O, no signal names: time and truths are arguments; only `edgeguard.types` and the table are imported.
Every branch fails closed: a rule clears only on its own evidence, the safe state is left only by the operator.
"""

from __future__ import annotations

from collections.abc import Collection
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


def initial(table: Table) -> State:
    """The state at power-up: INIT, every rule idle."""
    return State(Mode.INIT, (_IDLE,) * len(table.rules))


def step(table: Table, state: State, inputs: Inputs, now: float) -> tuple[State, Outcome]:
    """Advance every rule and the mode by one step at time `now` (s, monotonic).

    Total: any truths, any events, any mode. A rule whose condition is FAULT counts as holding and never clears.
    """
    rules = state.rules
    if state.mode is not Mode.INIT:
        reset = Event.RESET in inputs.events
        latching = state.mode is not Mode.STANDBY
        rules = tuple(
            rule
            if when is Truth.FALSE and rule is _IDLE  # nothing to do for most rules in most steps
            else _advance(
                row, rule, when, clear, now, counted=inputs.new_frame, released=reset or not latching
            )
            for row, rule, when, clear in zip(table.rules, rules, inputs.when, inputs.clear)
        )
    demand = _demand(table, rules, now)
    mode, event = _next_mode(table, state, rules, demand, inputs.events)
    after = _enter(table, state, rules, mode, event, now)
    return after, _outcome(table, after, now)


def _advance(
    row: RuleRow, rule: RuleState, when: Truth, clear: Truth, now: float, *, counted: bool, released: bool
) -> RuleState:
    """One rule, one step. `counted`: this step has a new frame. `released`: the operator's latch is open."""
    holds = when is not Truth.FALSE
    counts = (clear is Truth.TRUE and not holds) if rule.active else holds
    if not counts:
        return _still(rule)
    start = now if rule.start is None else rule.start
    frames = rule.frames + counted
    span = row.clear if rule.active else row.hold
    if rule.active:
        if frames >= span.frames and now - start >= span.seconds and (released or not row.operator):
            return _IDLE
    elif frames >= span.frames and not now - start < span.seconds:  # a broken clock activates, never clears
        return RuleState(active=True, since=now)
    return rule._replace(frames=frames, start=start)


def _still(rule: RuleState) -> RuleState:
    """The rule without a run."""
    if not rule.active:
        return _IDLE
    return rule if rule.start is None else rule._replace(frames=0, start=None)


def _rule_demand(row: RuleRow, rule: RuleState, now: float) -> Authority:
    if row.then is Authority.HUMAN and not now < rule.since + row.within:
        return row.otherwise
    return row.then


def _demand(table: Table, rules: tuple[RuleState, ...], now: float) -> Authority:
    """The most restrictive demand of all active rules; MODEL when there is none."""
    demand = Authority.MODEL
    for row, rule in zip(table.rules, rules):
        if rule.active:
            demand = max(demand, _rule_demand(row, rule, now))
    return demand


def _next_mode(
    table: Table, state: State, rules: tuple[RuleState, ...], demand: Authority, events: Collection[Event]
) -> tuple[Mode, Event | None]:
    """The mode after this step and the event that led there, None where rules or nothing did."""
    mode = state.mode
    if mode is Mode.LOCKOUT or Event.INTEGRITY in events:
        return Mode.LOCKOUT, Event.INTEGRITY if Event.INTEGRITY in events else state.event
    if mode is Mode.INIT:
        return (Mode.STANDBY, Event.READY) if Event.READY in events else (Mode.INIT, None)
    if mode is Mode.STANDBY:
        quiet = not any(
            rule.active or rule.start is not None for rule in rules
        )  # nor holds what is not believed yet
        ready = Event.ARM in events and Event.STOP not in events and quiet
        return (Mode.NOMINAL, Event.ARM) if ready else (Mode.STANDBY, state.event)
    if Event.STOP in events:
        return Mode.SAFE_STATE, Event.STOP
    if mode is Mode.SAFE_STATE:
        return _leave_safe_state(state, rules, events)
    if mode is Mode.MANUAL:
        return _leave_manual(table, state, rules, demand, events)
    if Event.TAKE in events and demand is not Authority.SAFE_STATE:
        return Mode.MANUAL, Event.TAKE
    return _DEMANDED[demand], None


def _leave_safe_state(
    state: State, rules: tuple[RuleState, ...], events: Collection[Event]
) -> tuple[Mode, Event | None]:
    """Only the operator leaves the safe state: by hand at once, or back to standby when no rule holds any more."""
    if Event.TAKE in events:
        return Mode.MANUAL, Event.TAKE
    if Event.RESET in events and not any(rule.active for rule in rules):
        return Mode.STANDBY, Event.RESET
    return Mode.SAFE_STATE, state.event


def _leave_manual(
    table: Table, state: State, rules: tuple[RuleState, ...], demand: Authority, events: Collection[Event]
) -> tuple[Mode, Event | None]:
    """What the human saw when they took over is theirs to bear; a safe-state rule that fires then or later wins."""
    for row, rule in zip(table.rules, rules):
        if rule.active and row.then is Authority.SAFE_STATE and rule.since >= state.since:
            return Mode.SAFE_STATE, None
    if Event.RELEASE in events:
        return _DEMANDED[demand], Event.RELEASE
    return Mode.MANUAL, state.event


def _enter(
    table: Table, state: State, rules: tuple[RuleState, ...], mode: Mode, event: Event | None, now: float
) -> State:
    """The state after the step: counts entries into the safe state and remembers what led there."""
    if mode is state.mode:
        return state._replace(rules=rules, event=event)
    entries = state.safe_entries
    if mode is Mode.SAFE_STATE:
        entries += 1
        if table.lockout_after and entries >= table.lockout_after:
            mode = Mode.LOCKOUT
    if AUTHORITY[mode] is Authority.SAFE_STATE and mode is not Mode.STANDBY:
        latched = tuple(i for i, rule in enumerate(rules) if rule.active)
        since = tuple(rules[i].since for i in latched)
        return State(mode, rules, now, event, latched, since, entries)
    return State(mode, rules, now, event, (), (), entries)


def _outcome(table: Table, state: State, now: float) -> Outcome:
    if state.mode is Mode.NOMINAL:  # no rule is active, or the mode would be another
        return Outcome(state.mode, Authority.MODEL, (), state.event, None)
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
