"""Theorems over all runs: the machine passes, and a machine broken on purpose is refuted with a run that shows it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from edgeguard.decision import machine
from edgeguard.decision.machine import RuleState, Seat, Summary
from edgeguard.decision.table import RuleRow, Span, Truth
from edgeguard.desk.prove import modes as layer
from edgeguard.desk.prove.replay import told
from edgeguard.desk.prove.result import Objection, Result, Status
from edgeguard.desk.prove.rules import broken, turns
from edgeguard.desk.prove.runs import fail_closed, no_loop, safe_exit, takeover
from edgeguard.desk.prove.subject import Subject
from edgeguard.policy import compile_draft
from edgeguard.types import Authority, Event, Mode

POLICY = Path(__file__).parent / "violations" / "invariant.yaml"
ROWS = (
    RuleRow("plain", 1, "x", Authority.RULES),
    RuleRow("slow", 2, "x", Authority.HUMAN, Span(frames=2), Span(frames=3), within=1.0),
    RuleRow("timed", 3, "x", Authority.SAFE_STATE, Span(seconds=0.5), Span(seconds=1.0), latch=True),
)
real_mode, real_advance = machine.next_mode, machine.advance


def subject(moves: layer.NextMode = real_mode, rules: Callable[..., Any] = real_advance) -> Subject:
    draft = compile_draft(POLICY)
    return Subject.of(draft.document, draft.program, moves=moves, rules=rules)


def only(result: Result) -> Objection:
    assert result.status is Status.REFUTED
    (objection,) = result.objections
    assert objection.trace is not None
    return objection


def shown(result: Result) -> list[str]:
    trace = only(result).trace
    assert trace is not None
    return [line.strip() for line in told(trace)]


@pytest.mark.parametrize("lockout_after", [0, 2, 3, 8, 9, 1000])
def test_the_machine_passes_for_every_lockout_limit(lockout_after: int) -> None:
    modes = layer.explore(real_mode, lockout_after, ROWS)
    assert layer.model_while_active(modes) == []
    assert layer.safe_state_left(modes) == []
    assert layer.no_takeover(modes) == []
    assert layer.locked_out_unasked(modes) == []
    assert layer.unsettled(modes) == []
    assert layer.longest_way(modes) == 1
    assert {seat.mode for seat in modes.seats} == set(Mode) - (
        {Mode.LOCKOUT} if not lockout_after else set()
    ) | {Mode.LOCKOUT}


def test_the_first_safe_state_may_not_lock_out() -> None:
    assert layer.locked_out_unasked(layer.explore(real_mode, 1, ROWS))


def test_every_set_of_events_and_every_summary_is_tried() -> None:
    modes = layer.explore(real_mode, 3, ROWS)
    assert len(layer.EVENT_SETS) == 2 ** len(Event)
    assert len(modes.summaries) == 10
    assert len(modes.moves) == len(modes.seats) * len(modes.summaries) * len(layer.EVENT_SETS)


def test_what_a_policy_cannot_demand_is_not_tried() -> None:
    demands = {s.demand for s in layer.summaries((ROWS[0],))}
    assert demands == {Authority.MODEL, Authority.RULES}
    fresh = {s.fresh for s in layer.summaries((ROWS[1],))}
    assert fresh == {False}


def test_no_limit_means_that_entries_are_never_looked_at() -> None:
    def looks(_: int, seat: Seat, summary: Summary, events: Collection[Event]) -> Seat:
        return real_mode(5, seat, summary, events)

    with pytest.raises(AssertionError, match="no limit"):
        layer.explore(looks, 0, ROWS)


def stays_nominal(limit: int, seat: Seat, summary: Summary, events: Collection[Event]) -> Seat:
    """Broken: the demand for the rules is not heard while the model acts."""
    if seat.mode is Mode.NOMINAL and summary.demand is Authority.RULES and not events:
        return seat
    return real_mode(limit, seat, summary, events)


def forgives(limit: int, seat: Seat, summary: Summary, events: Collection[Event]) -> Seat:
    """Broken: the safe state ends by itself when no rule holds any more."""
    if seat.mode is Mode.SAFE_STATE and not summary.active:
        return Seat(Mode.STANDBY, None, seat.entries)
    return real_mode(limit, seat, summary, events)


def refuses(limit: int, seat: Seat, summary: Summary, events: Collection[Event]) -> Seat:
    """Broken: in the safe state the operator cannot take over."""
    if seat.mode is Mode.SAFE_STATE and Event.TAKE in events:
        return seat
    return real_mode(limit, seat, summary, events)


def swings(limit: int, seat: Seat, summary: Summary, events: Collection[Event]) -> Seat:
    """Broken: while a rule demands the safe state, it goes to and fro between two modes."""
    if summary.demand is Authority.SAFE_STATE and seat.mode is Mode.SAFE_STATE and not events:
        return Seat(Mode.DEGRADED, None, seat.entries)
    return real_mode(limit, seat, summary, events)


def test_a_machine_that_does_not_hear_a_rule_is_refuted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.read_text().replace("for: 2 frames, then", "then"))
    monkeypatch.setattr(machine, "next_mode", stays_nominal)
    draft = compile_draft(policy)
    result = fail_closed(Subject.of(draft.document, draft.program, moves=stays_nominal))
    assert only(result).code == "EG1603"
    assert only(result).message == "from nominal the machine goes to nominal while a rule is active"
    assert shown(result) == [
        "0.040 s  armed, every signal nominal: nominal, authority model, brake 1",
        "0.060 s  confidence 0: nominal, authority model, brake 1",
    ]


def test_a_safe_state_that_ends_by_itself_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "next_mode", forgives)
    result = safe_exit(subject(forgives))
    assert only(result).code == "EG1605"
    assert only(result).message == "safe_state is left for standby without the operator"
    assert shown(result) == [
        "0.040 s  armed, every signal nominal: nominal, authority model, brake 1",
        "0.060 s  the operator's stop; confidence 0: safe_state, authority safe_state, brake 1 (event:stop)",
        "0.080 s  standby, authority safe_state, brake 1",
    ]


def test_a_safe_state_that_refuses_the_human_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "next_mode", refuses)
    result = takeover(subject(refuses))
    assert only(result).code == "EG1606"
    assert "a human cannot take over within two steps" in only(result).message
    assert shown(result)[-1].startswith("0.080 s  the operator's take")


def test_a_machine_that_swings_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "next_mode", swings)
    result = no_loop(subject(swings))
    assert only(result).code == "EG1608"
    assert only(result).message == "nothing changes, and the mode does: safe_state -> degraded -> safe_state"
    trace = only(result).trace
    assert trace is not None
    modes = [seen.mode for seen in trace.seen]
    assert modes[-1] is modes[-3]
    assert {modes[-1], modes[-2]} == {Mode.SAFE_STATE, Mode.DEGRADED}


def test_what_no_run_of_the_policy_shows_is_unknown() -> None:
    result = safe_exit(subject(forgives))  # the runtime itself is sound: there is nothing to be seen
    assert result.status is Status.UNKNOWN
    assert result.objections[0].code == "EG1610"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_rule_of_the_machine_keeps_its_word(row: RuleRow) -> None:
    assert broken(real_advance, row) == ""
    assert len(list(turns(real_advance, row))) >= 3 * 36 * 4


def altered(change: Callable[[RuleRow, RuleState, RuleState, Any, bool], RuleState]) -> Callable[..., Any]:
    """`advance` with one thing changed: from the row, the states before and after, the inputs, and whether opened."""

    def advance(rows: Any, rules: Any, inputs: Any, now: Any, *, opened: bool) -> tuple[RuleState, ...]:
        after = real_advance(rows, rules, inputs, now, opened=opened)
        return tuple(change(r, b, a, inputs, opened) for r, b, a in zip(rows, rules, after))

    return advance


@pytest.mark.parametrize(
    ("said", "change"),
    [
        (
            "lets go while its condition holds",
            lambda _, b, a, i, __: RuleState() if b.active and i.clear[0] is Truth.TRUE else a,
        ),
        (
            "lets go although its clear condition is not true",
            lambda _, b, a, i, __: RuleState() if b.active and i.when[0] is Truth.FALSE else a,
        ),
        (
            "becomes active while its condition is false",
            lambda *given: given[2]._replace(active=True),
        ),
        ("does not become active at once", lambda *given: given[2] if given[1].active else given[1]),
    ],
)
def test_a_broken_rule_layer_is_told(said: str, change: Callable[..., RuleState]) -> None:
    assert broken(altered(change), ROWS[0]) == said


def test_a_rule_layer_that_forgets_its_run_is_told() -> None:
    forgets = altered(lambda *given: given[2] if given[2].active else given[2]._replace(frames=0, start=None))
    assert broken(forgets, ROWS[1]) in ("does not begin a run", "loses its run while its condition holds")


def test_a_rule_layer_that_opens_latches_is_told() -> None:
    def opens(rows: Any, rules: Any, inputs: Any, now: Any, *, opened: bool) -> tuple[RuleState, ...]:
        return real_advance(rows, rules, inputs, now, opened=True)

    assert broken(opens, ROWS[2]) == "lets go although it is latched"


def test_a_rule_layer_that_is_late_is_told() -> None:
    def late(rows: Any, rules: Any, inputs: Any, now: Any, *, opened: bool) -> tuple[RuleState, ...]:
        after = real_advance(rows, rules, inputs, now, opened=opened)
        return tuple(b if a.active and not b.active else a for b, a in zip(rules, after))

    assert broken(late, ROWS[1]) == "does not become active although its condition held long enough"


def test_a_rule_layer_that_clears_too_early_is_told() -> None:
    hasty = altered(
        lambda _, b, a, i, o: (
            RuleState() if b.active and i.when[0] is Truth.FALSE and i.clear[0] is Truth.TRUE and o else a
        )
    )
    assert broken(hasty, ROWS[1]) == "lets go too early"


def test_a_broken_rule_layer_leaves_two_theorems_open() -> None:
    hasty = altered(lambda *given: RuleState() if given[1].active else given[2])
    for theorem in (fail_closed, no_loop):
        assert theorem(subject(rules=hasty)).status is not Status.PROVED
