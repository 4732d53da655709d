from __future__ import annotations

import pytest

from hil.association import HELD, NOTHING_AHEAD, Association


def test_an_object_without_a_name_is_counted() -> None:
    tracker = Association()
    assert tracker.step(30.0, "none", 1.0) == 0.0
    assert tracker.step(29.0, "none", 1.4) == pytest.approx(0.4)
    assert tracker.step(28.0, None, 1.6) == pytest.approx(0.6)


def test_a_name_ends_the_count() -> None:
    tracker = Association()
    tracker.step(30.0, "none", 1.0)
    assert tracker.step(29.0, "parking", 2.0) == 0.0
    assert tracker.step(28.0, "none", 3.0) == 0.0


@pytest.mark.parametrize("distance", [HELD, NOTHING_AHEAD])
def test_nothing_near_needs_no_name(distance: float) -> None:
    tracker = Association()
    tracker.step(distance, "none", 1.0)
    assert tracker.step(distance, "none", 9.0) == 0.0
