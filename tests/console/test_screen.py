"""Screens: a live page on a terminal, one line a change everywhere else."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

from rich.console import Console

from edgeguard.console import Extra, LiveScreen, PlainScreen, View, open_screen
from edgeguard.link import LinkStatus
from edgeguard.program import Program
from edgeguard.types import Answer, Authority, Mode, Verdict

Make = Callable[..., Verdict]


def test_where_there_is_no_terminal_one_line_a_change_is_printed(program: Program, make: Make) -> None:
    out = io.StringIO()
    with open_screen(Console(file=out), program) as screen:
        assert isinstance(screen, PlainScreen)
        screen.show(make(0, answer=None), None, Extra(start=10.0))
        screen.show(make(1, answer=None), None, Extra(start=10.0))
        screen.show(make(2), None, Extra(start=10.0))
        screen.show(make(3), None, Extra(start=10.0))
        screen.show(make(4, mode=Mode.DEGRADED, authority=Authority.RULES), None, Extra(start=10.0))
    assert out.getvalue().splitlines() == [
        "    0.000 s  start -> model (nominal)",
        "    0.040 s  the model says `stop`",
        "    0.080 s  model (nominal) -> rules (degraded)",
    ]


def test_names_are_printed_as_they_are_and_never_as_markup(program: Program, make: Make) -> None:
    out = io.StringIO()
    with PlainScreen(Console(file=out)) as screen:
        screen.show(make(0), None, Extra())
        screen.show(make(1, answer=Answer(1, 1.0, 0, "[red]x[/]", 0.5, (0.5,), "d")), None, Extra())
    assert "`[red]x[/]`" in out.getvalue()


def test_what_latches_is_a_line_of_its_own_and_silence_is_no_release(program: Program, make: Make) -> None:
    out = io.StringIO()
    status = LinkStatus("open", "fallback_only", 1.0, None, 0, 0, 0, 0, {}, "stopped")
    unknown = replace(status, state="waiting", mcu_mode="unknown")
    with PlainScreen(Console(file=out)) as screen:
        for number, link in enumerate((status, replace(status, latches=("stop",)), unknown, status)):
            screen.show(make(number), None, Extra(start=10.0, link=link))
    assert out.getvalue().splitlines() == [
        "    0.000 s  start -> model (nominal)",
        "    0.020 s  microcontroller latched: stop; x releases, then a arms",
        "    0.060 s  the microcontroller's latches are released",
    ]


def terminal(out: io.StringIO) -> Console:
    return Console(
        file=out,
        force_terminal=True,
        color_system="truecolor",
        width=100,
        height=40,
        _environ={"TERM": "xterm"},
    )


def test_a_terminal_gets_the_page_unless_headless_is_wanted(program: Program) -> None:
    console = terminal(io.StringIO())
    assert isinstance(open_screen(console, program), LiveScreen)
    assert isinstance(open_screen(console, program, headless=True), PlainScreen)


def test_the_page_is_drawn_in_time_and_at_every_change(program: Program, make: Make) -> None:
    drawn: list[float] = []

    class Counting(View):
        def render(self, verdict: Verdict, image: object, extra: Extra | None = None) -> str:
            drawn.append(verdict.at)
            return "page"

    with LiveScreen(terminal(io.StringIO()), Counting(program)) as screen:
        for number in range(8):
            screen.show(make(at=number * 0.025), None, Extra())
        screen.show(make(at=0.19, authority=Authority.RULES), None, Extra())
        screen.show(make(at=0.195, authority=Authority.RULES), None, Extra())
    assert drawn == [0.0, 0.1, 0.19]
