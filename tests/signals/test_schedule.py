"""A signal's turn comes by the frames that were seen; a condition that cannot be evaluated counts as yes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgeguard.decision.table import Truth
from edgeguard.program import Scheduled, SignalSpec, never
from edgeguard.signals.schedule import Schedule


class FakeProgram:
    """The part of a program that a schedule reads."""

    def __init__(self, *entries: Scheduled, due: Any = None) -> None:
        self.schedule = entries
        self.signals = tuple(SignalSpec(n, "primary", 0.0, 1.0, 0.1) for n in ("certainty", "a", "b"))
        self.due = due or (lambda _values, _healthy: tuple(Truth.FALSE for _ in entries))


def plan(*entries: Scheduled, due: Any = None) -> Schedule:
    program: Any = FakeProgram(*entries, due=due)
    return Schedule(program)


def test_without_a_schedule_every_signal_is_always_computed() -> None:
    program: Any = FakeProgram(due=never)
    schedule = Schedule(program)
    assert schedule.always
    assert not schedule.conditional
    assert schedule.due() == {"certainty", "a", "b"}


@given(every=st.integers(1, 9), offset=st.integers(0, 8), frames=st.integers(1, 40))
def test_a_signal_is_computed_on_every_nth_frame_from_its_offset(
    every: int, offset: int, frames: int
) -> None:
    entry = Scheduled("a", every, offset % every)
    schedule = plan(entry)
    seen = [n for n in range(frames) if "a" in schedule.due()]
    assert seen == list(range(entry.offset, frames, every))
    assert not schedule.always


def test_signals_without_an_entry_are_due_on_every_frame() -> None:
    schedule = plan(Scheduled("a", 3, 1))
    assert [schedule.due() for _ in range(3)] == [
        {"certainty", "b"},
        {"certainty", "a", "b"},
        {"certainty", "b"},
    ]


def test_a_condition_that_holds_or_faults_makes_its_signal_due_besides() -> None:
    def due(values: Sequence[float], healthy: Sequence[bool]) -> tuple[Truth, ...]:
        first = Truth.FAULT if not healthy[0] else Truth.TRUE if values[0] < 0.9 else Truth.FALSE
        return (first, Truth.FALSE)

    schedule = plan(Scheduled("a", 4), Scheduled("b", 2), due=due)
    assert schedule.conditional
    assert schedule.besides([0.95, 0, 0], [True] * 3) == frozenset()
    assert schedule.besides([0.5, 0, 0], [True] * 3) == {"a"}
    assert schedule.besides([0.95, 0, 0], [False] * 3) == {"a"}


def test_a_background_signal_has_no_turn() -> None:
    schedule = plan(Scheduled("a", background=True), Scheduled("b", 2))
    assert [schedule.due() for _ in range(2)] == [{"certainty", "b"}, {"certainty"}]
    assert schedule.besides([0.0] * 3, [False] * 3) == frozenset()


def test_a_condition_that_is_constant_is_none() -> None:
    assert not plan(replace(Scheduled("a"), every=2)).conditional


def test_conditions_are_found_by_what_they_say_where_no_signal_is_healthy() -> None:
    asked: list[tuple[Sequence[float], Sequence[bool]]] = []

    def due(values: Sequence[float], healthy: Sequence[bool]) -> tuple[Truth, ...]:
        asked.append((values, healthy))
        return (Truth.FALSE if all(healthy) else Truth.FAULT,)

    assert plan(Scheduled("a", 2), due=due).conditional
    assert asked == [([0.0] * 3, [False] * 3)]
