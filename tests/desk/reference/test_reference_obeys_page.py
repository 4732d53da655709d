"""The reference engine against the tables and worked examples of the page that it was written from."""

from __future__ import annotations

import itertools

import pytest

from edgeguard.desk.reference.conditions import Truth, condition, truth
from edgeguard.desk.reference.engine import facts
from edgeguard.desk.reference.gate import Candidates, acting, decision, inside_envelope
from edgeguard.desk.reference.modes import AUTHORITY, Facts, ModeState, row, step
from edgeguard.desk.reference.rows import Row, Span
from edgeguard.desk.reference.triggers import Moment, Standing, move
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.schema import Actuator
from edgeguard.types import Authority, Event, Mode
from tests.decision.test_semantics_page import (
    Example,
    conditions,
    event_sets,
    examples,
    first_that_fits,
    table_after,
)
from tests.decision.test_semantics_page import Facts as PageFacts


@pytest.mark.parametrize("mode", Mode)
def test_reference_takes_the_row_of_the_table(mode: Mode) -> None:
    state = ModeState(mode, 1.0, Event.ARM, 0)
    for demand, events in itertools.product(Authority, event_sets()):
        for active, pending, fresh in itertools.product((False, True), repeat=3):
            said = first_that_fits(mode, PageFacts(events, demand, active, pending, fresh))
            event = {"kept": state.event, "none": None, **Event.__members__}[said.event]
            assert row(state, Facts(demand, active, pending, fresh), events) == (said.to, event), said


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_reference_does_what_the_worked_timeline_says(example: Example) -> None:
    said = example.table.rules[0]
    trigger = Row(
        name=said.id,
        when=None,
        clear=None,
        hold=Span(said.hold.frames, said.hold.seconds),
        let_go=Span(said.clear.frames, said.clear.seconds),
        then=said.then,
        latch=said.latch,
        within=said.within,
        otherwise=said.otherwise,
        mode="enforce",
    )
    state, standing = ModeState(example.state.mode, example.state.since), Standing()
    for t, frame, when, clear, event, run, active, mode in example.rows:
        now, events = float(t), {Event[event]} if event else set()
        moment = Moment(now, frame == "yes", state.mode is Mode.STANDBY or Event.RESET in events)
        standing = move(trigger, standing, Truth[when], Truth[clear], moment)
        seen = facts([trigger], [standing], state, now)
        state = step(state, seen, events, example.table.lockout_after, now)
        frames = "none" if standing.run is None else str(standing.run.frames)
        assert (frames, "yes" if standing.active else "no", f"`{state.mode.name}`") == (run, active, mode), t


@pytest.mark.parametrize(("text", "said", "_"), conditions())
def test_reference_gives_a_worked_condition_its_truth(text: str, said: str, _: str) -> None:
    node = parse_expression(text.strip("`"))
    assert not isinstance(node, Problem)
    values = {"a": 2.0, "b": 0.0, "m": None, "h": 1e308}
    assert truth(condition(node), values, {}) is Truth[said.strip("`")]


def test_reference_holds_the_worked_command_inside_the_envelope() -> None:
    envelope = {"brake": Actuator.model_validate({"min": 0.0, "max": 1.0, "rise": "4/s", "safe": 1.0})}
    previous, elapsed = {"brake": 1.0}, 0.0
    for mode, suggestion, acts, _, sent, gate in table_after("Worked: `brake:", 6):
        said = Mode[mode.strip("`")]
        given = {"brake": float(suggestion)}
        who = Candidates(given if suggestion != "NaN" else None, None, {"brake": 0.5}, {"brake": 1.0})
        found = acting(said, AUTHORITY[said], who)
        command = inside_envelope(found, previous, elapsed, envelope)
        assert found.command["brake"] == float(acts)
        assert command["brake"] == pytest.approx(float(sent))
        assert f"`{decision(found, command).name}`" == gate
        previous, elapsed = dict(command), 0.05
