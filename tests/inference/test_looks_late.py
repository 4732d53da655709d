"""A late answer belongs to the frame it was asked about, and a gap between frames is a gap, whatever made it."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeguard.types import Frame
from tests.inference.test_looks_asked import (
    STOP,
    YIELD,
    FakeMember,
    host,
    perception,
    second,
    see,
    spec,
    values,
)


def of(watcher: Any, number: int, at: float, name: str) -> list[tuple[Any, float]]:
    seen = watcher.observe(Frame(np.full((4, 4, 3), 51, np.uint8), number, at), at)
    return [(s.value, s.at) for s in seen.signals if s.name == name]


def test_a_late_answer_is_held_against_its_own_frame_also_where_two_have_one_time() -> None:
    first, other = host(primary=STOP), second(redundant=YIELD)
    other.ready = False
    watcher = perception(first, other, background={"disagreement"})
    assert of(watcher, 1, 1.0, "disagreement") == []
    first.says = {**first.says, "primary": YIELD}
    assert of(watcher, 2, 1.0, "disagreement") == []
    other.ready = True
    assert of(watcher, 3, 2.0, "disagreement") == [(0.5, 1.0)]


def test_a_primary_that_did_not_answer_is_not_replaced_by_a_later_one() -> None:
    first, other = host(), second()
    other.ready = False
    says, first.says = first.says, {}
    watcher = perception(first, other, background={"disagreement"})
    of(watcher, 1, 1.0, "disagreement")
    first.says = says
    of(watcher, 2, 1.0, "disagreement")
    other.ready = True
    assert of(watcher, 3, 2.0, "disagreement") == [(None, 1.0)]


def test_a_frame_that_is_no_picture_ends_the_time_that_the_answer_has_stood() -> None:
    watcher = perception(host(), specs=(spec("certainty", "primary"), spec("held_for", "primary")))
    assert [values(see(watcher, at))["held_for"] for at in (1.0, 1.5)] == [0.0, 0.5]
    assert values(see(watcher, 2.0, image="no picture"))["held_for"] is None
    assert values(see(watcher, 2.5))["held_for"] == 0.0


def test_a_frame_number_of_numpys_reaches_the_members_as_any_other() -> None:
    class Counting(FakeMember):
        def begin(self, number: int) -> Any:
            assert number & ((1 << 64) - 1) == 7
            return super().begin(number)

    first = Counting("host", ("primary",), {"primary": STOP})
    watcher = perception(first, specs=(spec("certainty", "primary"),))
    picture = np.full((4, 4, 3), 51, np.uint8)
    assert watcher.observe(Frame(picture, np.int64(7), 1.0), 1.0).answer is not None


def test_a_member_that_was_late_is_not_waited_for_twice_on_one_frame() -> None:
    class Late(FakeMember):
        def collect(self) -> Any:
            self.answering = False
            return super().collect()

    first = Late("eyes", ("primary", "squeezed"), {})
    specs = (spec("certainty", "primary"), spec("squeezing", "primary"))
    watcher = perception(first, specs=specs)
    for at in (1.0, 2.0):
        observed = see(watcher, at, due={"certainty"}, besides=lambda *_: {"squeezing"})
        assert values(observed)["squeezing"] is None
    assert first.asked == [("primary",), ("primary",)]
