"""The operator's page: what an operator must be able to see at a glance is on it, whatever the verdict holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType
from rich.text import Text

from edgeguard.console import Extra, TableScreen, View, thumbnail
from edgeguard.console.thumbnail import shrink
from edgeguard.console.view import BAR, bar, what_waits
from edgeguard.link import LinkStatus
from edgeguard.program import Program, SignalSpec
from edgeguard.types import Authority, Cause, Mode, Reading, Status, Verdict

Make = Callable[..., Verdict]
Draw = Callable[[RenderableType], str]
CAUSE = Cause(
    "unsure", 31, "certainty < 0.8", Authority.HUMAN, 9.0, {"certainty": 0.3}, clears="certainty > 0.8"
)
OPEN = LinkStatus("open", "enabled", 9.9, 0.0005, 10, 10, 2, 1, {"brake": 0.2}, "in time")


def test_authority_mode_signals_thresholds_and_answer_are_on_the_page(
    program: Program, make: Make, draw: Draw
) -> None:
    page = draw(View(program).render(make(), None, Extra(start=9.0)))
    for word in (
        "sign-gate version 7",
        " MODEL ",
        "nominal",
        "1.00 s",
        "stop  0.97",
        "brake: 0.25",
        "gate: allow",
    ):
        assert word in page
    for word in (
        "certainty",
        "0.9",
        "limit 0.8",
        "PASS",
        "limit 4",
        "SUSPECT",
        "no value",
        "STALE",
        "FAIL",
        "UNKNOWN",
    ):
        assert word in page
    assert "nothing speaks against the model" in page


def test_a_requested_takeover_counts_down(program: Program, make: Make, draw: Draw) -> None:
    verdict = make(
        mode=Mode.TAKEOVER_REQUEST, authority=Authority.HUMAN, causes=(CAUSE,), takeover_deadline=11.5
    )
    page = draw(View(program).render(verdict, None))
    assert "TAKE OVER: 1.5 s" in page
    assert "`unsure` (line 31): certainty < 0.8 [certainty 0.3]  for 1.0 s" in page
    assert "the operator takes over within 1.5 s" in page
    assert "TAKE OVER: 0.0 s" in draw(View(program).render(make(takeover_deadline=1.0), None))


def test_what_a_person_did_is_shown_without_a_line(program: Program, make: Make, draw: Draw) -> None:
    took = Cause("event:take", 0, "the operator took over", Authority.HUMAN, 9.0)
    page = draw(View(program).render(make(mode=Mode.MANUAL, authority=Authority.HUMAN, causes=(took,)), None))
    assert "• the operator took over" in page


def test_the_line_the_keys_and_a_broken_log_are_shown(program: Program, make: Make, draw: Draw) -> None:
    page = draw(
        View(program).render(make(), None, Extra(link=OPEN, log_healthy=False, note="camera:0", keys=True))
    )
    for word in (
        "line: open",
        "microcontroller: enabled",
        "0.5 ms",
        "2 rejected",
        "1 checksum errors",
        "in time",
    ):
        assert word in page
    assert "the decision log cannot be written" in page
    assert "camera:0   a arm" in page


def test_a_line_that_never_answered_has_no_round_trip(program: Program, make: Make, draw: Draw) -> None:
    silent = LinkStatus("waiting", "unknown", float("-inf"), None, 0, 0, 0, 0, {}, "nothing heard")
    assert "round trip –" in draw(View(program).render(make(answer=None), None, Extra(link=silent)))


@pytest.mark.parametrize(
    ("latches", "stopped", "words"),
    [
        (("stop",), True, "EMERGENCY STOP pressed; latched: stop; let it go, then x releases and a arms"),
        ((), True, "EMERGENCY STOP pressed; let it go, then x releases and a arms"),
        (("memory", "reset"), False, "microcontroller latched: memory, reset; x releases, then a arms"),
    ],
)
def test_what_the_microcontroller_waits_for_and_what_to_press_are_shown(
    program: Program, make: Make, draw: Draw, latches: tuple[str, ...], stopped: bool, words: str
) -> None:
    status = replace(OPEN, latches=latches, stopped=stopped)
    assert words in draw(View(program).render(make(), None, Extra(link=status)))
    table = TableScreen(Console(file=StringIO()), "t", ["a"])
    table.show("a", make(), Extra(link=status))
    out = StringIO()
    Console(file=out, width=400).print(table.render())
    assert words in out.getvalue()


def test_nothing_is_waited_for_while_nothing_is_latched() -> None:
    assert what_waits(OPEN) == what_waits(None) == ""


def test_a_picture_is_shown_only_where_the_terminal_can(program: Program, make: Make, draw: Draw) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    assert "▀" in draw(View(program).render(make(), image))
    assert "▀" not in draw(View(program, pictures=False).render(make(), image))


def test_a_bar_is_filled_by_its_range_and_marked_at_its_threshold() -> None:
    spec = SignalSpec("certainty", "primary", 0.0, 1.0, 0.1)
    text = bar(Reading("certainty", 0.25, 0.0, Status.PASS), spec, 0.75, "green").plain
    assert text == "█████··········│····"


def test_an_open_range_ends_at_twice_the_threshold() -> None:
    spec = SignalSpec("novelty", "primary", 0.0, float("inf"), 0.1)
    assert bar(Reading("novelty", 2.0, 0.0, Status.PASS), spec, 4.0, "green").plain == "█████·····│·········"


@given(
    value=st.none() | st.floats(),
    low=st.floats(),
    high=st.floats(),
    limit=st.none() | st.floats(),
)
def test_any_bar_can_be_drawn(value: float | None, low: float, high: float, limit: float | None) -> None:
    spec = SignalSpec("x", "primary", low, high, 0.1)
    assert len(bar(Reading("x", value, 0.0, Status.FAIL), spec, limit, "red").plain) == BAR


def test_a_thumbnail_keeps_colours_and_proportions() -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[:20] = (255, 0, 0)
    image[20:] = (0, 0, 255)
    text = thumbnail(image, 8)
    assert text.plain == "▀▀▀▀▀▀▀▀\n▀▀▀▀▀▀▀▀"
    top = text.spans[0].style
    assert not isinstance(top, str)
    assert top.color is not None
    assert tuple(top.color.triplet or ()) == (255, 0, 0)


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 4), (4, 4, 1)])
def test_an_odd_image_is_no_picture(shape: tuple[int, ...]) -> None:
    assert thumbnail(np.zeros(shape, np.uint8)) == Text()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 20), st.integers(1, 20), st.integers(0, 255))
def test_shrinking_or_growing_a_plain_picture_keeps_it_plain(
    h: int, w: int, rows: int, columns: int, grey: int
) -> None:
    small = shrink(np.full((h, w, 3), grey, np.uint8), rows, columns)
    assert small.shape == (rows, columns, 3)
    assert np.all(np.abs(small.astype(int) - grey) <= 1)
