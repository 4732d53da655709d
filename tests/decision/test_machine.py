"""The decision machine: every mode x event, every rule life, and the properties no input may break."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.decision.machine import AUTHORITY, Inputs, Outcome, State, initial, step
from edgeguard.decision.table import RuleRow, Span, Table, Truth
from edgeguard.types import Authority, Event, Mode

T, F, X = Truth.TRUE, Truth.FALSE, Truth.FAULT
RULES = RuleRow("unsure", 10, "certainty < 0.9", Authority.RULES, hold=Span(frames=2), clear=Span(frames=3))
HUMAN = RuleRow("split", 20, "disagreement > 0.5", Authority.HUMAN, latch=True, within=3.0)
STOP = RuleRow("blind", 30, "frame_age > 0.2", Authority.SAFE_STATE, hold=Span(seconds=0.1))
TABLE = Table((RULES, HUMAN, STOP))
QUIET = (F, F, F)
CLEAR = (T, T, T)


class Machine:
    """A machine on a clock that the test moves."""

    def __init__(self, table: Table = TABLE, state: State | None = None) -> None:
        self.table = table
        self.state = state or initial(table)
        self.now = 100.0
        self.outcome: Outcome | None = None

    def __call__(
        self,
        when: Sequence[Truth] = QUIET,
        *events: Event,
        clear: Sequence[Truth] | None = None,
        dt: float = 0.05,
        frame: bool = True,
    ) -> Outcome:
        self.now += dt
        clears = tuple(T if w is F else F for w in when) if clear is None else tuple(clear)
        self.state, self.outcome = step(
            self.table, self.state, Inputs(tuple(when), clears, frame, events), self.now
        )
        return self.outcome


@pytest.fixture
def armed() -> Machine:
    return arm(Machine())


def arm(machine: Machine) -> Machine:
    quiet = (F,) * len(machine.table.rules)
    machine(quiet, Event.READY)
    assert machine(quiet, Event.ARM).mode is Mode.NOMINAL
    return machine


def test_starts_with_nobody_acting() -> None:
    machine = Machine()
    outcome = machine()
    assert (outcome.mode, outcome.authority, outcome.causes) == (Mode.INIT, Authority.SAFE_STATE, ())


def test_start_up_trips_are_not_remembered() -> None:
    machine = Machine()
    machine((X, X, X))
    machine((X, X, X), Event.READY)
    machine((X, X, X))
    machine((X, X, X), dt=1.0)
    assert machine((F, F, F)).mode is Mode.STANDBY
    for _ in range(3):
        machine()
    assert machine(QUIET, Event.ARM).mode is Mode.NOMINAL


def test_arming_is_refused_while_a_rule_holds() -> None:
    machine = Machine()
    machine(QUIET, Event.READY)
    assert machine((F, T, F), Event.ARM).mode is Mode.STANDBY
    assert machine(QUIET, Event.ARM, Event.STOP).mode is Mode.STANDBY


def test_a_rule_needs_its_frames_without_a_break(armed: Machine) -> None:
    assert armed((T, F, F)).mode is Mode.NOMINAL
    assert armed((F, F, F)).mode is Mode.NOMINAL
    assert armed((T, F, F)).mode is Mode.NOMINAL
    assert armed((T, F, F), frame=False).mode is Mode.NOMINAL
    outcome = armed((T, F, F))
    assert (outcome.mode, outcome.authority) == (Mode.DEGRADED, Authority.RULES)
    assert [(c.rule, c.since) for c in outcome.causes] == [(0, armed.now)]


def test_a_rule_needs_its_time_without_a_break(armed: Machine) -> None:
    assert armed((F, F, T), frame=False).mode is Mode.NOMINAL
    assert armed((F, F, T), frame=False).mode is Mode.NOMINAL
    assert armed((F, F, T), frame=False, dt=0.06).mode is Mode.SAFE_STATE


def test_a_fault_counts_as_holding(armed: Machine) -> None:
    armed((X, F, F))
    assert armed((X, F, F)).mode is Mode.DEGRADED


def test_what_led_to_a_mode_is_remembered_only_where_everything_is_held_safe(armed: Machine) -> None:
    both = Table((RULES, RuleRow("late", 11, "y", Authority.RULES)))
    machine = arm(Machine(both))
    machine((T, F))
    assert [c.rule for c in machine((T, F)).causes] == [0]
    assert [c.rule for c in machine((T, T)).causes] == [0, 1]
    for _ in range(2):
        assert [c.rule for c in machine((F, T)).causes] == [0, 1]
    assert [c.rule for c in machine((F, T)).causes] == [1]


def test_a_rule_clears_only_on_its_own_evidence(armed: Machine) -> None:
    armed((T, F, F))
    armed((T, F, F))
    for _ in range(5):
        assert armed(QUIET, clear=(F, T, T)).mode is Mode.DEGRADED
        assert armed(QUIET, clear=(X, T, T)).mode is Mode.DEGRADED
        assert armed((T, F, F), clear=CLEAR).mode is Mode.DEGRADED
    assert armed(QUIET).mode is Mode.DEGRADED
    assert armed(QUIET).mode is Mode.DEGRADED
    assert armed((X, F, F), clear=CLEAR).mode is Mode.DEGRADED
    for _ in range(2):
        assert armed(QUIET).mode is Mode.DEGRADED
    assert armed(QUIET).mode is Mode.NOMINAL


def test_a_broken_clock_activates_and_never_clears(armed: Machine) -> None:
    armed((F, F, T))
    assert armed((F, F, T), dt=math.nan).mode is Mode.SAFE_STATE
    machine = arm(Machine(Table((RuleRow("r", 1, "x", Authority.RULES, clear=Span(seconds=1.0)),))))
    machine((T,))
    machine((F,))
    assert machine((F,), dt=math.nan).mode is Mode.DEGRADED


def test_takeover_is_requested_with_a_deadline_then_the_safe_state(armed: Machine) -> None:
    outcome = armed((F, T, F))
    asked = armed.now
    assert (outcome.mode, outcome.authority) == (Mode.TAKEOVER_REQUEST, Authority.HUMAN)
    assert outcome.deadline == pytest.approx(asked + 3.0)
    assert armed(QUIET, dt=2.9).mode is Mode.TAKEOVER_REQUEST
    outcome = armed(QUIET, dt=0.2)
    assert (outcome.mode, outcome.deadline, outcome.causes[0].rule) == (Mode.SAFE_STATE, None, 1)


def test_an_unanswered_takeover_may_end_in_rules() -> None:
    row = RuleRow("ask", 5, "x", Authority.HUMAN, latch=True, within=1.0, otherwise=Authority.RULES)
    machine = arm(Machine(Table((row,))))
    assert machine((T,)).mode is Mode.TAKEOVER_REQUEST
    assert machine((T,), dt=1.1).mode is Mode.DEGRADED
    assert machine((T,), Event.TAKE).mode is Mode.MANUAL


def test_two_requests_take_the_nearer_deadline() -> None:
    rows = (
        RuleRow("slow", 1, "a", Authority.HUMAN, within=9.0),
        RuleRow("fast", 2, "b", Authority.HUMAN, within=2.0, otherwise=Authority.RULES),
    )
    machine = arm(Machine(Table(rows)))
    first = machine((T, T)).deadline
    assert first == pytest.approx(machine.now + 2.0)
    outcome = machine((T, T), dt=2.5)
    assert outcome.mode is Mode.TAKEOVER_REQUEST
    assert outcome.deadline == pytest.approx(first + 7.0 if first is not None else None)


def test_the_human_takes_over_and_gives_back(armed: Machine) -> None:
    armed((F, T, F))
    outcome = armed((F, T, F), Event.TAKE)
    assert (outcome.mode, outcome.authority, outcome.event) == (Mode.MANUAL, Authority.HUMAN, Event.TAKE)
    assert armed(QUIET, dt=10.0).mode is Mode.MANUAL
    armed(QUIET, Event.RESET)
    outcome = armed(QUIET, Event.RELEASE)
    assert (outcome.mode, outcome.event) == (Mode.NOMINAL, Event.RELEASE)
    assert armed().event is None


def test_letting_go_while_the_request_is_unanswered_falls_safe(armed: Machine) -> None:
    armed((F, T, F))
    armed((F, T, F), Event.TAKE)
    armed(QUIET, dt=10.0)
    assert armed(QUIET, Event.RELEASE).mode is Mode.SAFE_STATE


def test_what_held_at_takeover_is_the_humans_to_bear_and_what_comes_later_is_not(armed: Machine) -> None:
    armed((F, F, T), dt=1.0)
    assert armed((F, F, T), dt=1.0).mode is Mode.SAFE_STATE
    assert armed((F, F, T), Event.TAKE).mode is Mode.MANUAL
    assert armed((F, F, T)).mode is Mode.MANUAL
    armed(QUIET)
    armed((F, F, T), dt=1.0)
    assert armed((F, F, T), dt=1.0).mode is Mode.SAFE_STATE


def test_only_the_operator_leaves_the_safe_state_and_only_when_nothing_holds(armed: Machine) -> None:
    armed((F, F, T))
    armed((F, F, T), dt=1.0)
    outcome = armed(QUIET)
    for _ in range(10):
        outcome = armed(QUIET)
    assert outcome.mode is Mode.SAFE_STATE
    assert [c.rule for c in outcome.causes] == [2]
    armed((T, F, F))
    assert armed((T, F, F), Event.RESET).mode is Mode.SAFE_STATE
    for _ in range(4):
        armed(QUIET, Event.ARM, Event.RELEASE, Event.READY)
    assert armed.state.mode is Mode.SAFE_STATE
    assert armed(QUIET, Event.RESET).mode is Mode.STANDBY
    assert armed(QUIET).causes == ()


def test_reset_without_evidence_does_not_open_a_latch(armed: Machine) -> None:
    armed((F, T, F))
    armed((F, T, F), Event.RESET)
    armed((F, X, F), Event.RESET)
    assert armed.state.rules[1].active
    armed(QUIET)
    assert armed.state.rules[1].active
    armed(QUIET, Event.RESET)
    assert not armed.state.rules[1].active


def test_the_safe_state_too_often_locks_out() -> None:
    machine = arm(Machine(Table((STOP,), lockout_after=2)))
    machine((T,))
    assert machine((T,), dt=1.0).mode is Mode.SAFE_STATE
    machine((F,))
    assert machine((F,), Event.RESET).mode is Mode.STANDBY
    machine((F,), Event.ARM)
    machine((T,))
    outcome = machine((T,), dt=1.0)
    assert (outcome.mode, outcome.authority) == (Mode.LOCKOUT, Authority.SAFE_STATE)
    assert outcome.causes[0].rule == 0
    assert machine((F,), *Event).mode is Mode.LOCKOUT


def test_lockout_after_zero_never_locks_out() -> None:
    machine = arm(Machine(Table((STOP,), lockout_after=0)))
    for _ in range(5):
        machine((T,))
        assert machine((T,), dt=1.0).mode is Mode.SAFE_STATE
        machine((F,))
        machine((F,), Event.RESET)
        assert machine((F,), Event.ARM).mode is Mode.NOMINAL


def test_the_most_restrictive_demand_wins_and_is_named_first(armed: Machine) -> None:
    armed((T, T, F))
    outcome = armed((T, T, F))
    assert outcome.authority is Authority.HUMAN
    assert [c.rule for c in outcome.causes] == [1, 0]


def in_mode(mode: Mode) -> State:
    return initial(TABLE)._replace(mode=mode, since=99.0)


# what one event does in one mode while no rule holds; everything not named leaves the mode alone
QUIET_TRANSITIONS: dict[tuple[Mode, Event], Mode] = {
    **{(mode, Event.INTEGRITY): Mode.LOCKOUT for mode in Mode},
    **{
        (mode, Event.STOP): Mode.SAFE_STATE
        for mode in (Mode.NOMINAL, Mode.DEGRADED, Mode.TAKEOVER_REQUEST, Mode.MANUAL)
    },
    **{
        (mode, Event.TAKE): Mode.MANUAL
        for mode in (Mode.STANDBY, Mode.NOMINAL, Mode.DEGRADED, Mode.TAKEOVER_REQUEST, Mode.SAFE_STATE)
    },
    (Mode.INIT, Event.READY): Mode.STANDBY,
    (Mode.STANDBY, Event.ARM): Mode.NOMINAL,
    (Mode.SAFE_STATE, Event.RESET): Mode.STANDBY,
    (Mode.MANUAL, Event.RELEASE): Mode.NOMINAL,
}


@pytest.mark.parametrize(("mode", "event"), list(itertools.product(Mode, Event)))
def test_every_mode_and_event(mode: Mode, event: Event) -> None:
    machine = Machine(state=in_mode(mode))
    # with no rule holding, the two modes that a rule keeps up fall back to nominal by themselves
    rest = Mode.NOMINAL if mode in (Mode.DEGRADED, Mode.TAKEOVER_REQUEST) else mode
    outcome = machine(QUIET, event)
    assert outcome.mode is QUIET_TRANSITIONS.get((mode, event), rest)
    assert outcome.authority is AUTHORITY[outcome.mode]


@pytest.mark.parametrize(("mode", "event"), list(itertools.product(Mode, Event)))
def test_every_mode_and_event_while_a_safe_state_rule_fires(mode: Mode, event: Event) -> None:
    table = Table((RuleRow("now", 1, "x", Authority.SAFE_STATE),))
    outcome = Machine(table, initial(table)._replace(mode=mode, since=99.0))((T,), event)
    taken = mode in (Mode.SAFE_STATE, Mode.STANDBY) and event is Event.TAKE
    assert outcome.authority is (Authority.HUMAN if taken else Authority.SAFE_STATE)


truths = st.sampled_from(Truth)
authorities = st.sampled_from([Authority.RULES, Authority.HUMAN, Authority.SAFE_STATE])
spans = st.builds(Span, frames=st.integers(0, 3), seconds=st.sampled_from([0.0, 0.1, 1.0]))
rows = st.builds(
    RuleRow,
    id=st.just("r"),
    line=st.just(1),
    text=st.just("x"),
    then=authorities,
    hold=spans,
    clear=spans,
    latch=st.booleans(),
    within=st.sampled_from([0.0, 0.5, 3.0]),
    otherwise=st.sampled_from([Authority.RULES, Authority.SAFE_STATE]),
)
tables = st.builds(
    Table, rules=st.lists(rows, min_size=1, max_size=4).map(tuple), lockout_after=st.integers(0, 3)
)
steps = st.lists(
    st.tuples(
        st.lists(truths, min_size=4, max_size=4),
        st.lists(truths, min_size=4, max_size=4),
        st.booleans(),
        st.sets(st.sampled_from(Event), max_size=2),
        st.sampled_from([0.0, 0.02, 0.1, 1.0]),
    ),
    max_size=40,
)
Trace = list[tuple[list[Truth], list[Truth], bool, set[Event], float]]


def run(table: Table, trace: Trace, check: Callable[[State, Inputs, State, Outcome, float], None]) -> None:
    size = len(table.rules)
    state, now = initial(table), 0.0
    for when, clear, frame, events, dt in trace:
        now += dt
        inputs = Inputs(tuple(when[:size]), tuple(clear[:size]), frame, events)
        after, outcome = step(table, state, inputs, now)
        check(state, inputs, after, outcome, now)
        state = after


@given(tables, steps)
def test_no_run_gives_the_model_authority_while_a_rule_is_active(table: Table, trace: Trace) -> None:
    def check(before: State, inputs: Inputs, after: State, outcome: Outcome, now: float) -> None:
        assert outcome.authority is AUTHORITY[after.mode]
        if outcome.authority is Authority.MODEL:
            assert not any(rule.active for rule in after.rules)
            assert outcome.causes == ()

    run(table, trace, check)


@given(tables, steps)
def test_no_run_acts_below_the_most_restrictive_demand(table: Table, trace: Trace) -> None:
    def check(before: State, inputs: Inputs, after: State, outcome: Outcome, now: float) -> None:
        if outcome.mode in (Mode.MANUAL, Mode.STANDBY):
            return  # the human bears it, or nobody acts
        for row, rule in zip(table.rules, after.rules):
            if rule.active:
                expired = row.then is Authority.HUMAN and now >= rule.since + row.within
                assert outcome.authority >= (row.otherwise if expired else row.then)

    run(table, trace, check)


@given(tables, steps)
def test_no_run_leaves_the_safe_state_without_the_operator(table: Table, trace: Trace) -> None:
    def check(before: State, inputs: Inputs, after: State, outcome: Outcome, now: float) -> None:
        if before.mode is Mode.SAFE_STATE and after.mode not in (Mode.SAFE_STATE, Mode.LOCKOUT):
            assert {Event.RESET, Event.TAKE} & set(inputs.events)
        if before.mode is Mode.LOCKOUT:
            assert after.mode is Mode.LOCKOUT

    run(table, trace, check)


@given(tables, steps)
def test_no_run_opens_a_latch_without_the_operator(table: Table, trace: Trace) -> None:
    def check(before: State, inputs: Inputs, after: State, outcome: Outcome, now: float) -> None:
        for row, was, rule in zip(table.rules, before.rules, after.rules):
            if was.active and not rule.active and row.latch and before.mode is not Mode.STANDBY:
                assert Event.RESET in inputs.events

    run(table, trace, check)


@given(tables, steps)
def test_no_run_is_without_a_cause_when_a_rule_took_authority(table: Table, trace: Trace) -> None:
    def check(before: State, inputs: Inputs, after: State, outcome: Outcome, now: float) -> None:
        if outcome.mode in (Mode.DEGRADED, Mode.TAKEOVER_REQUEST, Mode.SAFE_STATE, Mode.LOCKOUT):
            assert outcome.causes or outcome.event is not None
        assert (outcome.deadline is not None) == (outcome.mode is Mode.TAKEOVER_REQUEST)

    run(table, trace, check)


def test_arming_is_refused_while_a_condition_holds_that_is_not_believed_yet() -> None:
    machine = Machine()
    machine(QUIET, Event.READY)
    assert machine((T, F, F), Event.ARM).mode is Mode.STANDBY
    assert machine(QUIET, Event.ARM).mode is Mode.NOMINAL


def test_nothing_is_counted_during_start_up() -> None:
    machine = Machine()
    assert machine((T, T, T)).causes == ()
    assert machine.state.rules == initial(TABLE).rules


def test_a_clear_condition_at_fault_clears_nothing(armed: Machine) -> None:
    machine = armed
    machine((T, F, F))
    assert machine((T, F, F)).authority is Authority.RULES
    for _ in range(9):
        assert machine(QUIET, clear=(X, T, T)).authority is Authority.RULES


def test_a_timed_clear_starts_again_after_a_break() -> None:
    table = Table((RuleRow("fast", 1, "speed > 5", Authority.RULES, clear=Span(seconds=0.2)),))
    machine = arm(Machine(table))
    machine((T,))
    machine((F,), dt=0.1)
    machine((T,), dt=0.1)
    machine((F,), dt=0.1)
    assert machine((F,), dt=0.1).authority is Authority.RULES
    assert machine((F,), dt=0.15).authority is Authority.MODEL


def test_a_takeover_expires_at_its_deadline_and_on_a_broken_clock(armed: Machine) -> None:
    deadline = armed((F, T, F)).deadline
    assert deadline is not None
    machine = Machine(state=armed.state)
    machine.now = math.nextafter(deadline, 0.0)
    assert machine((F, T, F), dt=0.0).mode is Mode.TAKEOVER_REQUEST
    for now in (deadline, math.nan):
        machine = Machine(state=armed.state)
        machine.now = now
        assert machine((F, T, F), dt=0.0).mode is Mode.SAFE_STATE


def test_only_rules_that_hold_set_the_deadline() -> None:
    other = RuleRow("other", 2, "b", Authority.HUMAN, within=2.0)
    machine = Machine(Table((RuleRow("asks", 1, "a", Authority.HUMAN, within=9.0), other)))
    machine.now = 0.0
    assert arm(machine)((T, F)).deadline == pytest.approx(9.15)


def test_a_request_that_fires_while_the_human_drives_changes_nothing(armed: Machine) -> None:
    armed(QUIET, Event.TAKE)
    assert armed((F, T, F)).mode is Mode.MANUAL


def test_a_safe_state_rule_that_fires_in_the_step_of_the_takeover_wins() -> None:
    table = Table((STOP, RuleRow("late", 2, "b", Authority.SAFE_STATE)))
    machine = arm(Machine(table))
    machine((F, F), Event.STOP)
    machine((F, T), Event.TAKE)
    assert machine((F, T)).mode is Mode.SAFE_STATE


@pytest.mark.parametrize(("event", "mode"), [(Event.STOP, Mode.SAFE_STATE), (Event.TAKE, Mode.MANUAL)])
def test_what_a_person_did_stays_the_cause(armed: Machine, event: Event, mode: Mode) -> None:
    armed(QUIET, event)
    for _ in range(3):
        outcome = armed()
        assert (outcome.mode, outcome.event) == (mode, event)
