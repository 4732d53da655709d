"""Where verdicts are shown: a live page on a terminal, one line a change everywhere else.

Both have the same three methods, so that a loop need not know which one it has. Drawing is limited in rate; a change of
authority is drawn at once.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.live import Live

from edgeguard.console.view import Extra, View, what_waits
from edgeguard.explain import change, changed
from edgeguard.types import Verdict

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgeguard.link import LinkStatus
    from edgeguard.program import Program
    from edgeguard.types import Image

REFRESH = 0.1
"""s between two drawings of an unchanged authority."""


class Screen(Protocol):
    """Something that shows verdicts, used in a `with` block."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, verdict: Verdict, image: Image | None, extra: Extra) -> None:
        """Take a verdict; draw it when it is due."""
        ...


class Drawing:
    """What is drawn on a terminal while a `with` block runs, at a limited rate."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._drawn = float("-inf")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def due(self, before: Verdict | None, verdict: Verdict) -> bool:
        """Whether a verdict is to be drawn now, which then counts. `before`: the last one of its camera."""
        due = changed(before, verdict) or verdict.at - self._drawn >= REFRESH
        if due:
            self._drawn = verdict.at
        return due


class LiveScreen(Drawing):
    """The page on a terminal."""

    def __init__(self, console: Console, view: View) -> None:
        super().__init__(console)
        self._view = view
        self._last: Verdict | None = None

    def show(self, verdict: Verdict, image: Image | None, extra: Extra) -> None:
        """Take a verdict; draw it when it is due."""
        if self.due(self._last, verdict):
            self._live.update(self._view.render(verdict, image, extra), refresh=True)
        self._last = verdict


class PlainScreen:
    """One line a change of authority, mode or answer, for pipes, files and service logs."""

    def __init__(self, console: Console, prefix: str = "") -> None:
        """`prefix`: what every line begins with, such as the camera's name."""
        self._console = console
        self._prefix = prefix
        self._last: Verdict | None = None
        self._waits = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, verdict: Verdict, image: Image | None, extra: Extra) -> None:  # noqa: ARG002 - lines have no picture
        """Take a verdict; print a line when something changed."""
        lines = []
        if changed(self._last, verdict):
            lines.append(change(self._last, verdict, start=extra.start))
        elif _label(self._last) != _label(verdict):
            lines.append(f"{verdict.at - extra.start:9.3f} s  the model says `{_label(verdict)}`")
        waits = self._waits if _silent(extra.link) else what_waits(extra.link)
        if waits != self._waits:
            told = waits or "the microcontroller's latches are released"
            lines.append(f"{verdict.at - extra.start:9.3f} s  {told}")
        for line in lines:
            self._console.print(self._prefix + line, markup=False, highlight=False, soft_wrap=True)
        self._last, self._waits = verdict, waits


def _silent(link: LinkStatus | None) -> bool:
    """Whether nobody knows what the microcontroller waits for."""
    return link is None or link.mcu_mode == "unknown"


def _label(verdict: Verdict | None) -> str:
    return verdict.answer.name if verdict is not None and verdict.answer is not None else "nothing"


def open_screen(console: Console, program: Program, *, headless: bool = False) -> Screen:
    """Return the page on a terminal, plain lines where there is none or `headless` is wanted."""
    if headless or not console.is_terminal or console.is_dumb_terminal:
        return PlainScreen(console)
    return LiveScreen(console, View(program, pictures=console.color_system == "truecolor"))
