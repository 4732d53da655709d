"""The two layers of the machine: the quick way is the long way, and the mode layer is a finite function."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edgeguard.decision.machine import (
    AUTHORITY,
    Inputs,
    RuleState,
    Seat,
    State,
    Summary,
    advance,
    idle,
    initial,
    next_mode,
    step,
    summarise,
)
from edgeguard.decision.table import RuleRow, Span, Table, Truth, calm
from edgeguard.types import Authority, Event, Mode

ROW = RuleRow("a", 1, "x", Authority.RULES, hold=Span(frames=2), clear=Span(frames=2))
STOP = RuleRow("b", 2, "y", Authority.SAFE_STATE)
TABLE = Table((ROW, STOP))
CLEAR = (Truth.TRUE, Truth.TRUE)
EVENTS = [frozenset(e) for n in range(len(Event) + 1) for e in itertools.combinations(Event, n)]


def test_a_calm_step_is_the_same_object_for_every_table_of_a_size() -> None:
    assert TABLE.calm is calm(2) is Table((STOP, ROW)).calm
    assert TABLE.calm == (Truth.FALSE, Truth.FALSE)
    assert idle(2) is idle(2) is initial(TABLE).rules


@given(
    st.sampled_from(Mode),
    st.sampled_from([None, *Event]),
    st.sampled_from(EVENTS),
    st.booleans(),
    st.sampled_from(
        [idle(2), (RuleState(frames=1, start=0.5), RuleState()), (RuleState(active=True), RuleState())]
    ),
)
def test_the_quick_way_through_a_calm_step_is_the_long_way(
    mode: Mode, event: Event | None, events: frozenset[Event], new_frame: bool, rules: tuple[RuleState, ...]
) -> None:
    state = State(mode, rules, 0.5, event)
    copied = tuple(Truth.FALSE for _ in TABLE.calm)
    assert copied is not TABLE.calm
    quick = step(TABLE, state, Inputs(TABLE.calm, CLEAR, new_frame, events), 1.0)
    long = step(TABLE, state, Inputs(copied, CLEAR, new_frame, events), 1.0)
    assert quick == long


def test_a_calm_day_stays_on_the_quick_way() -> None:
    state = State(Mode.NOMINAL, idle(2))
    after, outcome = step(TABLE, state, Inputs(TABLE.calm, CLEAR, new_frame=True), 1.0)
    assert after is state
    assert outcome.authority is Authority.MODEL
    held, _ = step(TABLE, state, Inputs((Truth.TRUE, Truth.FALSE), CLEAR, new_frame=True), 1.0)
    assert held.rules is not idle(2)
    back, _ = step(TABLE, held, Inputs(TABLE.calm, CLEAR, new_frame=True), 1.1)
    assert back.rules is idle(2)


def test_every_case_of_the_mode_layer_has_an_answer_with_an_authority() -> None:
    cases = itertools.product(
        Mode, (0, 1, 2), Authority, (False, True), (False, True), (False, True), EVENTS, (0, 1, 3)
    )
    for mode, entries, demand, active, pending, fresh, events, lockout_after in cases:
        seat = next_mode(
            lockout_after, Seat(mode, None, entries), Summary(demand, active, pending, fresh), events
        )
        assert seat.mode in AUTHORITY
        assert entries <= seat.entries <= entries + 1
        if Event.INTEGRITY in events or mode is Mode.LOCKOUT:
            assert seat.mode is Mode.LOCKOUT
        if seat.mode is Mode.NOMINAL and mode is not Mode.STANDBY:
            assert demand is Authority.MODEL


def test_by_hand_from_standby_and_never_against_a_stop() -> None:
    quiet = Summary(Authority.MODEL, active=False, pending=False, fresh=False)
    standby = Seat(Mode.STANDBY)
    assert next_mode(3, standby, quiet, {Event.TAKE}) == Seat(Mode.MANUAL, Event.TAKE)
    assert next_mode(3, standby, quiet, {Event.TAKE, Event.STOP}).mode is Mode.STANDBY
    assert next_mode(3, standby, quiet, {Event.ARM, Event.TAKE}).mode is Mode.MANUAL
    broken = Summary(Authority.SAFE_STATE, active=True, pending=False, fresh=True)
    assert next_mode(3, standby, broken, {Event.TAKE}).mode is Mode.MANUAL


def test_the_summary_is_all_the_mode_layer_is_told() -> None:
    rules = (RuleState(frames=1, start=3.0), RuleState(active=True, since=2.0))
    assert summarise(TABLE, rules, 2.0, 3.0) == Summary(Authority.SAFE_STATE, True, True, True)
    assert summarise(TABLE, rules, 2.5, 3.0) == Summary(Authority.SAFE_STATE, True, True, False)
    assert summarise(TABLE, idle(2), 0.0, 3.0) == Summary(Authority.MODEL, False, False, False)
    resting = (RuleState(active=True, since=1.0), RuleState())
    assert summarise(TABLE, resting, 0.0, 3.0) == Summary(Authority.RULES, True, False, False)


def test_a_latch_opens_only_where_it_is_opened() -> None:
    row = RuleRow("l", 1, "x", Authority.RULES, latch=True)
    held = (RuleState(active=True, since=1.0),)
    inputs = Inputs((Truth.FALSE,), (Truth.TRUE,), new_frame=True)
    (shut,) = advance((row,), held, inputs, 2.0, opened=False)
    assert (shut.active, shut.since) == (True, 1.0)
    assert advance((row,), held, inputs, 2.0, opened=True) is idle(1)
