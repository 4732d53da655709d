"""Several cameras on one page: a row each, with who may act, the answer, the first cause, and what is wrong.

Shows verdicts and decides nothing, as the page of one camera does.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edgeguard.console.screen import Drawing
from edgeguard.console.view import AUTHORITY_STYLES, KEY_HELP, Extra, what_waits
from edgeguard.explain import number, summary
from edgeguard.types import Verdict

_HEADINGS = ("camera", "authority", "mode", "the model says", "because", "note")


class TableScreen(Drawing):
    """A table on a terminal, used in a `with` block. Drawn at a limited rate; a change of authority shows at once."""

    def __init__(self, console: Console, title: str, names: Sequence[str]) -> None:
        super().__init__(console)
        self._title = title
        self._rows: dict[str, tuple[Verdict, Extra] | None] = dict.fromkeys(names)
        self._gone: dict[str, str] = {}

    def show(self, name: str, verdict: Verdict, extra: Extra) -> None:
        """Take a camera's verdict; draw it when it is due."""
        before = self._rows[name]
        self._rows[name] = (verdict, extra)
        if self.due(None if before is None else before[0], verdict):
            self._live.update(self.render(), refresh=True)

    def gone(self, name: str, why: str) -> None:
        """Show from now on that nobody decides on this camera any more."""
        self._gone[name] = why
        self._live.update(self.render(), refresh=True)

    def render(self) -> Panel:
        """Draw all rows."""
        table = Table(*_HEADINGS, box=None, pad_edge=False, header_style="dim")
        keys = False
        for name, row in self._rows.items():
            if name in self._gone:
                table.add_row(Text(name), Text("FAILED", style="bold red"), "", "", Text(self._gone[name]))
                continue
            if row is None:
                table.add_row(Text(name), Text("starting", style="dim"))
                continue
            keys = keys or row[1].keys
            table.add_row(Text(name), *_cells(*row))
        return Panel(table, title=f"edgeguard · {self._title}", subtitle=KEY_HELP if keys else None)


def _cells(verdict: Verdict, extra: Extra) -> list[Text]:
    answer = verdict.answer
    said = "no answer" if answer is None else f"{answer.name}  {number(answer.certainty)}"
    wrong = [] if extra.log_healthy else ["its log cannot be written"]
    if extra.link is not None and extra.link.state != "open":
        wrong.append(f"line {extra.link.state}")
    waits = what_waits(extra.link)
    if waits:
        wrong.append(waits)
    return [
        Text(verdict.authority.name.replace("_", " "), style=AUTHORITY_STYLES[verdict.authority]),
        _mode(verdict),
        Text(said),
        Text(summary(verdict.causes[0]) if verdict.causes else ""),
        Text("; ".join([*wrong, extra.note]), style="red" if wrong else "dim"),
    ]


def _mode(verdict: Verdict) -> Text:
    if verdict.takeover_deadline is None:
        return Text(verdict.mode.value.replace("_", " "))
    left = max(0.0, verdict.takeover_deadline - verdict.at)
    return Text(f"TAKE OVER: {left:.1f} s", style="bold blink bright_magenta")
