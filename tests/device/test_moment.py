"""How late it is, from a clock that may lie and a floor that cannot; and the text of a signed time."""

from __future__ import annotations

import math

import pytest

from edgeguard.admission import Moment
from edgeguard.admission.floor import MemoryFloor
from edgeguard.device.moment import RELEASED, moment
from edgeguard.device.times import parse_time, text_of, time_file
from edgeguard.errors import UsageError

IN_2026 = 1795251600.0
IN_2027 = IN_2026 + 365 * 86400.0


@pytest.mark.parametrize(
    ("vouched", "clock", "wall", "expected"),
    [
        (None, "system", IN_2026, Moment(IN_2026)),
        (0.0, "system", IN_2026, Moment(IN_2026)),
        (IN_2026, "system", IN_2027, Moment(IN_2027)),
        (IN_2027, "system", IN_2026, Moment(IN_2027)),
        (IN_2026, "system", 0.0, Moment(IN_2026)),
        (IN_2026, "system", -5.0, Moment(IN_2026)),
        (None, "system", 0.0, None),
        (0.0, "system", RELEASED - 1.0, None),
        (0.0, "system", RELEASED, Moment(RELEASED)),
        (None, "none", IN_2026, None),
        (0.0, "none", IN_2026, None),
        (IN_2026, "none", IN_2027, Moment(IN_2026, exact=False)),
        (IN_2026, "none", None, Moment(IN_2026, exact=False)),
        (IN_2026, "system", None, Moment(IN_2026, exact=False)),
        (None, "system", None, None),
        (IN_2026, "system", math.nan, Moment(IN_2026, exact=False)),
        (None, "system", math.inf, None),
        (None, "sundial", IN_2026, None),
    ],
)
def test_time_is_the_later_of_the_clock_and_what_was_signed(
    vouched: float | None, clock: str, wall: float | None, expected: Moment | None
) -> None:
    floor = None if vouched is None else MemoryFloor(time=vouched)
    assert moment(floor, clock, wall) == expected


def test_no_clock_ever_raises_the_floor() -> None:
    floor = MemoryFloor(time=IN_2026)
    moment(floor, "system", IN_2027)
    assert floor.time == IN_2026


def test_the_year_of_the_release_is_where_it_is_said_to_be() -> None:
    assert text_of(RELEASED) == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize("text", ["2026-11-21T09:00:00Z", "1970-01-01T00:00:01Z", "9999-12-31T23:59:59Z"])
def test_a_time_is_read_as_it_was_written(text: str) -> None:
    assert text_of(parse_time(time_file(text), "now.json")) == text


def test_no_time_is_no_text() -> None:
    assert text_of(0.0) == ""
    assert text_of(253402300799.9) == "9999-12-31T23:59:59Z"


@pytest.mark.parametrize("text", ["", "now", "2026-11-21", "1969-12-31T23:59:59Z", "2026-02-30T00:00:00Z"])
def test_what_is_no_time_is_a_wrong_call(text: str) -> None:
    with pytest.raises(UsageError, match="is no time"):
        time_file(text)
