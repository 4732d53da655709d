"""S7: the table of modes, row by row as it stands on the page.

Nothing here knows of triggers but the three facts and the demand that S7.2 names.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from edgeguard.types import Authority, Event, Mode

AUTHORITY = {
    Mode.INIT: Authority.SAFE_STATE,
    Mode.STANDBY: Authority.SAFE_STATE,
    Mode.SAFE_STATE: Authority.SAFE_STATE,
    Mode.LOCKOUT: Authority.SAFE_STATE,
    Mode.NOMINAL: Authority.MODEL,
    Mode.DEGRADED: Authority.RULES,
    Mode.TAKEOVER_REQUEST: Authority.HUMAN,
    Mode.MANUAL: Authority.HUMAN,
}
"""S7.7."""
FOLLOWS = {
    Authority.MODEL: Mode.NOMINAL,
    Authority.RULES: Mode.DEGRADED,
    Authority.HUMAN: Mode.TAKEOVER_REQUEST,
    Authority.SAFE_STATE: Mode.SAFE_STATE,
}
"""The modes of T15 to T18 and of T19 to T23."""


@dataclass(frozen=True, slots=True)
class ModeState:
    """S7.1."""

    mode: Mode = Mode.INIT
    since: float = 0.0
    event: Event | None = None
    entries: int = 0


class Facts(NamedTuple):
    """S7.2, and the demand of S6.3."""

    demand: Authority
    active: bool
    pending: bool
    fresh: bool


class Next(NamedTuple):
    """The last two columns of the table."""

    mode: Mode
    event: Event | None


def step(
    state: ModeState, facts: Facts, events: AbstractSet[Event], lockout_after: int, now: float
) -> ModeState:
    """S7.3 to S7.5: the state after this step."""
    mode, event = row(state, facts, events)
    entries = state.entries
    if mode is Mode.SAFE_STATE and state.mode is not Mode.SAFE_STATE:  # S7.4
        entries += 1
        if lockout_after != 0 and entries >= lockout_after:
            mode = Mode.LOCKOUT
    return ModeState(mode, now if mode is not state.mode else state.since, event, entries)  # S7.5


def row(state: ModeState, facts: Facts, events: AbstractSet[Event]) -> Next:
    """S7.3: the first row that fits."""
    mode = state.mode
    if Event.INTEGRITY in events:  # T1
        return Next(Mode.LOCKOUT, Event.INTEGRITY)
    if mode is Mode.LOCKOUT:  # T2
        return Next(Mode.LOCKOUT, state.event)
    if mode is Mode.INIT:  # T3, T4
        return Next(Mode.STANDBY, Event.READY) if Event.READY in events else Next(Mode.INIT, None)
    if mode is Mode.STANDBY:
        return _standby(state, facts, events)
    if Event.STOP in events:  # T9
        return Next(Mode.SAFE_STATE, Event.STOP)
    if mode is Mode.SAFE_STATE:
        return _safe_state(state, facts, events)
    return _manual(state, facts, events) if mode is Mode.MANUAL else _driving(facts, events)


def _standby(state: ModeState, facts: Facts, events: AbstractSet[Event]) -> Next:
    """T5 to T8."""
    if Event.STOP in events:
        return Next(Mode.STANDBY, state.event)
    if Event.TAKE in events:
        return Next(Mode.MANUAL, Event.TAKE)
    if Event.ARM in events and not facts.active and not facts.pending:
        return Next(Mode.NOMINAL, Event.ARM)
    return Next(Mode.STANDBY, state.event)


def _safe_state(state: ModeState, facts: Facts, events: AbstractSet[Event]) -> Next:
    """T10 to T12."""
    if Event.TAKE in events:
        return Next(Mode.MANUAL, Event.TAKE)
    if Event.RESET in events and not facts.active:
        return Next(Mode.STANDBY, Event.RESET)
    return Next(Mode.SAFE_STATE, state.event)


def _manual(state: ModeState, facts: Facts, events: AbstractSet[Event]) -> Next:
    """T13 to T18."""
    if facts.fresh:
        return Next(Mode.SAFE_STATE, None)
    if Event.RELEASE not in events:
        return Next(Mode.MANUAL, state.event)
    return Next(FOLLOWS[facts.demand], Event.RELEASE)


def _driving(facts: Facts, events: AbstractSet[Event]) -> Next:
    """T19 to T23."""
    if facts.demand is Authority.SAFE_STATE:
        return Next(Mode.SAFE_STATE, None)
    if Event.TAKE in events:
        return Next(Mode.MANUAL, Event.TAKE)
    return Next(FOLLOWS[facts.demand], None)
