"""Restarts are counted in a window, and one too many is the end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgeguard.isolation.budget import Budget


def test_within_the_window_there_are_only_so_many() -> None:
    budget = Budget(2, 60.0)
    assert [budget.take(now) for now in (0.0, 30.0, 59.9)] == [True, True, False]
    assert budget.spent
    assert not budget.take(1000.0)
    assert budget.count == 2


def test_what_is_as_old_as_the_window_does_not_count() -> None:
    budget = Budget(1, 60.0)
    assert (budget.spent, budget.count) == (False, 0)
    assert [budget.take(now) for now in (0.0, 60.0, 120.0)] == [True, True, True]
    assert budget.spent is False


def test_a_budget_of_nothing_gives_nothing() -> None:
    budget = Budget(0, 60.0)
    assert not budget.take(0.0)
    assert budget.spent


@given(most=st.integers(0, 5), gaps=st.lists(st.floats(0.0, 50.0), max_size=40))
def test_no_window_ever_holds_more(most: int, gaps: list[float]) -> None:
    budget, now, taken = Budget(most, 60.0), 0.0, []
    for gap in gaps:
        now += gap
        if budget.take(now):
            taken.append(now)
    for at in taken:
        assert sum(at - 60.0 < other <= at for other in taken) <= most
