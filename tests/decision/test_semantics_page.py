"""`docs/reference/policy-semantics.md` says what the engine does: its tables are read and run against the engine."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest

from edgeguard.decision.causes import CauseChain
from edgeguard.decision.machine import AUTHORITY, Inputs, RuleState, State, initial, step
from edgeguard.decision.table import RuleRow, Span, Table, Truth
from edgeguard.gate.gate import gate
from edgeguard.policy.expr import interpreter
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.units import span
from edgeguard.program import ActuatorLimit, FallbackRow
from edgeguard.types import Authority, Command, Event, Mode

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "policy-semantics.md").read_text("utf-8")
LOCKOUT_AFTER = 3


class Facts(NamedTuple):
    """What the page's guards speak of."""

    events: frozenset[Event]
    demand: Authority
    active: bool
    pending: bool
    fresh: bool


class Transition(NamedTuple):
    """One row of the page's transition table."""

    row: str
    modes: frozenset[Mode]
    guard: str
    to: Mode
    event: str

    def fits(self, mode: Mode, facts: Facts) -> bool:
        return mode in self.modes and all(_atom(part, facts) for part in self.guard.split(" and "))


def _atom(text: str, facts: Facts) -> bool:
    """One condition of a guard; a word that the page may not use is an error."""
    if text == "always":
        return True
    if text.startswith("not "):
        return not _atom(text[4:], facts)
    if text.startswith("demand = "):
        return facts.demand is Authority[text[9:].strip("`")]
    word = text.strip("`")
    if word in Event.__members__:
        return Event[word] in facts.events
    return {"active": facts.active, "pending": facts.pending, "fresh": facts.fresh}[word]


def table_after(marker: str, columns: int) -> list[list[str]]:
    """The cells of the first table of the page behind `marker`."""
    lines = PAGE[PAGE.index(marker) :].split("\n")
    start = next(i for i, line in enumerate(lines) if line.lstrip().startswith("| "))
    rows = list(itertools.takewhile(lambda line: line.lstrip().startswith("|"), lines[start:]))
    cells = [[c.strip() for c in row.strip().split("|")[1:-1]] for row in rows[2:]]
    assert cells
    assert all(len(row) == columns for row in cells)
    return cells


@lru_cache(maxsize=1)
def transitions() -> tuple[Transition, ...]:
    def modes(text: str) -> frozenset[Mode]:
        return frozenset(Mode if text == "any" else (Mode[m.strip("` ")] for m in text.split(",")))

    return tuple(
        Transition(row, modes(mode), guard, Mode[to.strip("`")], event.strip("`"))
        for row, mode, guard, to, event in table_after("- **S7.3**", 5)
    )


def first_that_fits(mode: Mode, facts: Facts) -> Transition:
    return next(row for row in transitions() if row.fits(mode, facts))


def expected(state: State, facts: Facts) -> tuple[str, Mode, Event | None, int]:
    """The row, the mode, its event and the entries after it, by the page (S7.3 to S7.5)."""
    row = first_that_fits(state.mode, facts)
    event = state.event if row.event == "kept" else None if row.event == "none" else Event[row.event]
    mode, entries = row.to, state.safe_entries
    if mode is Mode.SAFE_STATE and state.mode is not Mode.SAFE_STATE:
        entries += 1
        if entries >= LOCKOUT_AFTER:
            mode = Mode.LOCKOUT
    return row.row, mode, event, entries


ENTERED, NOW = 10.0, 20.0
ROWS = (
    RuleRow("rules", 1, "", Authority.RULES, latch=True),
    RuleRow("asked", 2, "", Authority.HUMAN, within=100.0),
    RuleRow("unanswered", 3, "", Authority.HUMAN, within=1.0, otherwise=Authority.RULES),
    RuleRow("expired", 4, "", Authority.HUMAN, within=1.0, otherwise=Authority.SAFE_STATE),
    RuleRow("before", 5, "", Authority.SAFE_STATE),
    RuleRow("since", 6, "", Authority.SAFE_STATE),
    RuleRow("on-its-way", 7, "", Authority.SAFE_STATE, hold=Span(frames=9)),
)
SINCE = (5.0, 15.0, 5.0, 5.0, 9.0, ENTERED, math.nan)
DEMANDS = (
    Authority.RULES,
    Authority.HUMAN,
    Authority.RULES,
    Authority.SAFE_STATE,
    Authority.SAFE_STATE,
    Authority.SAFE_STATE,
)
TABLE = Table(ROWS, LOCKOUT_AFTER)


def rule_sets() -> Iterator[tuple[tuple[bool, ...], bool]]:
    """Which of the first six triggers are active, and whether the last one has a run."""
    for chosen in itertools.product((False, True), repeat=len(ROWS)):
        yield chosen[:-1], chosen[-1]


def event_sets() -> Iterator[frozenset[Event]]:
    for chosen in itertools.product((False, True), repeat=len(Event)):
        yield frozenset(itertools.compress(Event, chosen))


def facts_of(active: tuple[bool, ...], run: bool, events: frozenset[Event]) -> Facts:
    demand = max(itertools.compress(DEMANDS, active), default=Authority.MODEL)
    return Facts(events, demand, any(active), run, active[-1])


def held(active: tuple[bool, ...], run: bool) -> tuple[tuple[RuleState, ...], tuple[Truth, ...]]:
    """The states of the triggers, and the conditions that leave them as they are."""
    states = [RuleState(active=on, since=t if on else 0.0) for on, t in zip(active, SINCE)]
    states.append(RuleState(frames=1, start=5.0) if run else RuleState())
    return tuple(states), tuple(Truth.TRUE if on else Truth.FALSE for on in (*active, run))


@pytest.mark.parametrize("mode", [m for m in Mode if m is not Mode.INIT])
@pytest.mark.parametrize("entries", [0, LOCKOUT_AFTER - 1])
def test_every_transition_is_that_of_the_page(mode: Mode, entries: int) -> None:
    for active, run in rule_sets():
        rules, when = held(active, run)
        clear = tuple(Truth.FALSE if truth is Truth.TRUE else Truth.TRUE for truth in when)
        state = State(mode, rules, ENTERED, Event.STOP, (), (), entries)
        for events in event_sets():
            after, outcome = step(TABLE, state, Inputs(when, clear, False, events), NOW)
            row, to, event, counted = expected(state, facts_of(active, run, events))
            assert (after.mode, after.event, after.safe_entries) == (to, event, counted), (
                row,
                active,
                events,
            )
            assert after.since == (ENTERED if to is mode else NOW)
            assert outcome.authority is AUTHORITY[to]


def test_initial_mode_is_left_as_the_page_says() -> None:
    start = initial(TABLE)
    for events in event_sets():
        for truth in Truth:
            truths = (truth,) * len(ROWS)
            after, _ = step(TABLE, start, Inputs(truths, truths, True, events), NOW)
            _, to, event, _ = expected(start, facts_of((False,) * 6, False, events))
            assert (after.mode, after.event, after.rules) == (to, event, start.rules)


def test_transition_table_is_complete_and_has_no_row_that_is_never_first() -> None:
    used = set()
    for mode, events, (active, run) in itertools.product(Mode, event_sets(), rule_sets()):
        used.add(first_that_fits(mode, facts_of(active, run, events)).row)
    assert used == {row.row for row in transitions()}
    assert [row.row for row in transitions()] == [f"T{i + 1}" for i in range(len(transitions()))]


def test_authority_of_each_mode_is_that_of_the_page() -> None:
    said = {
        Mode[mode.strip("` ")]: Authority[authority.strip("`")]
        for modes, authority in table_after("- **S7.7**", 2)
        for mode in modes.split(",")
    }
    assert said == AUTHORITY


def test_every_outcome_says_why_unless_the_model_acts() -> None:
    chosen = random.Random(7)
    table = Table(tuple(replace(row, hold=Span()) for row in ROWS[:5]), LOCKOUT_AFTER)
    seen = set()
    for _ in range(300):
        state, chain, now = initial(table), CauseChain(table, (), {}), 0.0
        for _ in range(40):
            now += chosen.choice((0.1, 1.5))
            when = tuple(chosen.choice((Truth.TRUE, *[Truth.FALSE] * 9)) for _ in table.rules)
            clear = tuple(Truth.TRUE if truth is Truth.FALSE else Truth.FALSE for truth in when)
            likely = [e for e in Event if e is not Event.INTEGRITY or chosen.random() < 0.1]
            state, outcome = step(table, state, Inputs(when, clear, True, (chosen.choice(likely),)), now)
            said = [cause.rule for cause in chain.causes(state, outcome, now)]
            assert bool(said) is (outcome.mode is not Mode.NOMINAL), (outcome, state)
            seen |= {(outcome.mode, name) for name in said if name.startswith("event:")}
    pages = re.findall(r"`([A-Z_]+)` \(([^)]*)\)", PAGE[PAGE.index("- **S8.5**") : PAGE.index("- **S8.6**")])
    said_by_page = {(Mode[m], f"event:{e.strip('` ')}") for m, events in pages for e in events.split(",")}
    assert seen == said_by_page | {(Mode.INIT, "event:init")}


class Example(NamedTuple):
    """One worked timeline of the page."""

    name: str
    table: Table
    state: State
    rows: list[list[str]]


def examples() -> list[Example]:
    found = []
    for match in re.finditer(r"^Example (E\d+)[^.:]*?: (.*?)\n\n", PAGE, re.MULTILINE | re.DOTALL):
        said = dict(part.split(": ") for part in re.findall(r"`([a-z_]+: [^`]+)`", match[2]))
        hold = span(said.get("for", "")) or Span()
        clear = span(said.get("clear", "")) or hold
        row = RuleRow(
            id=match[1],
            line=1,
            text="",
            then=Authority[said["then"].upper()],
            hold=hold,
            clear=clear if clear != Span() else Span(frames=1),
            latch=said.get("latch") == "true",
            within=(span(said.get("within", "")) or Span()).seconds,
            otherwise=Authority[said.get("otherwise", "safe_state").upper()],
        )
        starts = re.search(r"starts in\s+`([A-Z_]+)`", match[2])
        assert starts
        state = State(Mode[starts[1]], (RuleState(),), -1.0)
        rows = table_after(match[0], 8)
        found.append(Example(match[1], Table((row,), int(said.get("lockout_after", "0"))), state, rows))
    return found


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_worked_timeline_is_what_the_engine_does(example: Example) -> None:
    state = example.state
    for t, frame, when, clear, event, run, active, mode in example.rows:
        events = (Event[event],) if event else ()
        inputs = Inputs((Truth[when],), (Truth[clear],), frame == "yes", events)
        state, outcome = step(example.table, state, inputs, float(t))
        rule = state.rules[0]
        shown = "none" if rule.start is None else str(rule.frames)
        seen = (shown, "yes" if rule.active else "no", f"`{outcome.mode.name}`")
        assert seen == (run, active, mode), f"{example.name} at {t}"


def test_page_has_the_examples_that_it_promises() -> None:
    assert [example.name for example in examples()] == [f"E{i}" for i in range(1, 8)]


def conditions() -> list[list[str]]:
    return table_after("Worked, with `a` = 2", 3)


@pytest.mark.parametrize(("text", "truth", "_"), conditions())
def test_worked_condition_has_the_truth_of_the_page(text: str, truth: str, _: str) -> None:
    node = parse_expression(text.strip("`"))
    assert not isinstance(node, Problem)
    env = {"a": 2.0, "b": 0.0, "m": None, "h": 1e308}
    assert interpreter.truth(node, env) is Truth[truth.strip("`")]


def test_worked_gate_is_what_the_gate_does() -> None:
    envelope = (ActuatorLimit("brake", 0.0, 1.0, 4.0, math.inf, 1.0),)
    rows = (FallbackRow(1, "otherwise", Command({"brake": 0.5})),)
    previous, elapsed = Command({"brake": 1.0}), math.nan
    for mode, suggestion, _, before, sent, decision in table_after("Worked: `brake:", 6):
        assert previous.values["brake"] == pytest.approx(float(before))
        gated = gate(
            envelope,
            rows,
            mode=Mode[mode.strip("`")],
            authority=AUTHORITY[Mode[mode.strip("`")]],
            suggested={"brake": float(suggestion)},
            manual=None,
            chosen=0,
            previous=previous,
            elapsed=elapsed,
        )
        assert gated.command.values["brake"] == pytest.approx(float(sent))
        assert f"`{gated.decision.name}`" == decision
        previous, elapsed = gated.command, 0.05
