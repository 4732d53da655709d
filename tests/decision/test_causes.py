"""The cause chain: every verdict says why, on which values, since when, and what would give authority back."""

from __future__ import annotations

import math

import pytest

from edgeguard.decision.causes import CauseChain
from edgeguard.decision.machine import Because, Inputs, Outcome, State, initial, step
from edgeguard.decision.table import RuleRow, Span, Table, Truth
from edgeguard.types import Authority, Event, Mode, Status

T, F, X = Truth.TRUE, Truth.FALSE, Truth.FAULT
UNSURE = RuleRow(
    "unsure",
    10,
    "certainty < calibrated.certainty",
    Authority.RULES,
    clear=Span(frames=3, seconds=0.5),
    clear_text="certainty > 0.95",
    reads=(0,),
    thresholds=("certainty",),
)
SPLIT = RuleRow("split", 20, "disagreement > 0.5", Authority.HUMAN, latch=True, within=3.0, reads=(1,))
TABLE = Table((UNSURE, SPLIT))
NAMES = ("certainty", "disagreement")


@pytest.fixture
def chain() -> CauseChain:
    return CauseChain(TABLE, NAMES, {"certainty": 0.9, "other": 1.0})


def armed() -> State:
    return initial(TABLE)._replace(mode=Mode.NOMINAL)


def go(state: State, when: tuple[Truth, Truth], now: float, *events: Event) -> tuple[State, Outcome]:
    clear = tuple(T if truth is F else F for truth in when)
    return step(TABLE, state, Inputs(when, clear, True, events), now)


def test_no_cause_while_the_model_acts(chain: CauseChain) -> None:
    state, outcome = go(armed(), (F, F), 1.0)
    assert chain.causes(state, outcome, 1.0) == ()


def test_a_rule_says_where_it_stands_what_it_saw_and_what_clears_it(chain: CauseChain) -> None:
    state, outcome = go(armed(), (T, F), 1.0)
    chain.remember((T, F), (0.4, 0.1), (Status.SUSPECT, Status.PASS))
    (cause,) = chain.causes(state, outcome, 1.0)
    assert (cause.rule, cause.line, cause.demands, cause.since) == ("unsure", 10, Authority.RULES, 1.0)
    assert cause.values == {"certainty": 0.4}
    assert cause.thresholds == {"certainty": 0.9}
    assert cause.clears == "certainty > 0.95 for 3 frames for 0.5 s"
    assert not cause.expired


def test_a_cause_keeps_the_values_it_last_held_on(chain: CauseChain) -> None:
    state, outcome = go(armed(), (T, F), 1.0)
    chain.remember((T, F), (0.4, 0.1), (Status.SUSPECT, Status.PASS))
    state, outcome = go(state, (F, F), 1.1)
    chain.remember((F, F), (0.99, 0.1), (Status.PASS, Status.PASS))
    (cause,) = chain.causes(state, outcome, 1.1)
    assert cause.values == {"certainty": 0.4}


@pytest.mark.parametrize("status", [Status.FAIL, Status.STALE, Status.UNKNOWN])
def test_an_unhealthy_value_is_not_reported_as_a_number(chain: CauseChain, status: Status) -> None:
    state, outcome = go(armed(), (X, F), 1.0)
    chain.remember((X, F), (float("nan"), 0.1), (status, Status.PASS))
    (cause,) = chain.causes(state, outcome, 1.0)
    assert cause.values == {"certainty": None}


def test_an_expired_request_says_what_followed(chain: CauseChain) -> None:
    state, _ = go(armed(), (F, T), 1.0)
    state, outcome = go(state, (F, T), 5.0)
    (cause,) = chain.causes(state, outcome, 5.0)
    assert (cause.demands, cause.expired) == (Authority.SAFE_STATE, True)
    assert cause.clears == "not (disagreement > 0.5) and the operator's reset"


@pytest.mark.parametrize(
    ("mode", "event", "words"),
    [
        (Mode.STANDBY, Event.READY, "not armed"),
        (Mode.MANUAL, Event.TAKE, "took over"),
        (Mode.SAFE_STATE, Event.STOP, "operator demanded"),
        (Mode.LOCKOUT, Event.INTEGRITY, "integrity"),
    ],
)
def test_what_a_person_did_is_a_cause(chain: CauseChain, mode: Mode, event: Event, words: str) -> None:
    state = armed()._replace(mode=mode, event=event, since=7.0)
    outcome = Outcome(mode, Authority.SAFE_STATE, (), event, None)
    (cause,) = chain.causes(state, outcome, 8.0)
    assert words in cause.text
    assert (cause.rule, cause.line, cause.since) == (f"event:{event.value}", 0, 7.0)
    assert cause.demands is Authority.SAFE_STATE


def test_start_up_is_a_cause(chain: CauseChain) -> None:
    state, outcome = go(initial(TABLE), (F, F), 1.0)
    (cause,) = chain.causes(state, outcome, 1.0)
    assert cause.rule == "event:init"


def test_every_mode_that_withholds_authority_from_the_model_has_a_cause() -> None:
    chain = CauseChain(TABLE, NAMES, {"certainty": 0.9})
    state, now = initial(TABLE), 0.0
    script: list[tuple[tuple[Truth, Truth], tuple[Event, ...]]] = [
        ((F, F), (Event.READY,)),
        ((F, F), ()),
        ((F, F), (Event.ARM,)),
        ((T, F), ()),
        ((F, T), ()),
        ((F, T), (Event.TAKE,)),
        ((F, F), ()),
        ((F, F), (Event.STOP,)),
        ((F, F), (Event.RESET,)),
        ((F, F), ()),
        ((F, F), (Event.INTEGRITY,)),
        ((F, F), ()),
    ]
    for when, events in script:
        now += 0.05
        state, outcome = go(state, when, now, *events)
        assert bool(chain.causes(state, outcome, now)) == (outcome.authority is not Authority.MODEL)


@pytest.mark.parametrize(
    ("mode", "event", "clears"),
    [
        (Mode.INIT, None, "the end of warm-up"),
        (Mode.STANDBY, Event.RESET, "the operator arms"),
        (Mode.MANUAL, Event.TAKE, "the operator releases"),
        (Mode.SAFE_STATE, Event.STOP, "the operator resets when no rule holds, then arms; or takes over"),
        (Mode.LOCKOUT, Event.STOP, "a restart"),
    ],
)
def test_what_a_person_did_says_what_gives_authority_back(
    chain: CauseChain, mode: Mode, event: Event | None, clears: str
) -> None:
    state = armed()._replace(mode=mode, event=event, since=7.0)
    (cause,) = chain.causes(state, Outcome(mode, Authority.SAFE_STATE, (), event, None), 8.0)
    assert cause.clears == clears
    assert (cause.values, cause.thresholds, cause.expired) == ({}, {}, False)


def test_a_cause_repeats_the_text_of_its_rule(chain: CauseChain) -> None:
    assert chain.cause(Because(0, 1.0), 1.0).text == "certainty < calibrated.certainty"
    assert chain.cause(Because(1, 1.0), 1.0).text == "disagreement > 0.5"


def test_a_rule_whose_values_were_not_noted_has_none(chain: CauseChain) -> None:
    assert chain.cause(Because(0, 1.0), 1.0).values == {}


@pytest.mark.parametrize(("now", "expired"), [(1.0, False), (3.99, False), (4.0, True), (math.nan, True)])
def test_a_request_is_over_at_its_deadline_and_on_a_broken_clock(
    chain: CauseChain, now: float, expired: bool
) -> None:
    cause = chain.cause(Because(1, 1.0), now)
    assert cause.expired is expired
    assert cause.demands is (Authority.SAFE_STATE if expired else Authority.HUMAN)


def test_only_a_request_expires(chain: CauseChain) -> None:
    cause = chain.cause(Because(0, 1.0), 99.0)
    assert (cause.expired, cause.demands) == (False, Authority.RULES)
