"""The operator's page: mode, authority, signals against their thresholds, causes, countdown, picture, line.

Renders what a verdict says; it measures, decides and prints nothing. Any verdict can be drawn, also a malformed one's
NaN: a broken display must never be the reason why an operator does not see the authority.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edgeguard.console.thumbnail import thumbnail
from edgeguard.explain import is_event, number, summary, what_gives_back
from edgeguard.types import Authority, Reading, Status, Verdict

if TYPE_CHECKING:
    from edgeguard.link import LinkStatus
    from edgeguard.program import Program, SignalSpec
    from edgeguard.types import Image

BAR = 20
AUTHORITY_STYLES: Mapping[Authority, str] = {
    Authority.MODEL: "green",
    Authority.RULES: "yellow",
    Authority.HUMAN: "bright_magenta",
    Authority.SAFE_STATE: "red",
}
STATUS_STYLES: Mapping[Status, str] = {
    Status.PASS: "green",
    Status.SUSPECT: "yellow",
    Status.FAIL: "red",
    Status.STALE: "red",
    Status.UNKNOWN: "red",
}
KEY_HELP = "a arm   t take   r release   x reset   s stop   q quit"


@dataclass(frozen=True, slots=True)
class Extra:
    """What the page shows besides the verdict. Times in s on the verdict's clock."""

    start: float = 0.0
    """What the shown time counts from."""
    link: LinkStatus | None = None
    log_healthy: bool = True
    note: str = ""
    """One line of the caller's own, such as the source and its frame rate."""
    keys: bool = False
    """Whether the operator's keys are read."""


class View:
    """Draws verdicts of one policy."""

    def __init__(self, program: Program, *, pictures: bool = True, width: int = 32) -> None:
        """`pictures`: the terminal shows 24-bit colour. `width`: of the picture, in characters."""
        self._title = f"{program.name} version {program.version}"
        self._specs = {spec.name: spec for spec in program.signals}
        self._thresholds = dict(program.thresholds)
        self._pictures = pictures
        self._width = width

    def render(self, verdict: Verdict, image: Image | None, extra: Extra | None = None) -> RenderableType:
        """Draw one verdict, with the newest frame where there is one."""
        shown = extra if extra is not None else Extra()
        style = AUTHORITY_STYLES[verdict.authority]
        body = Table.grid(padding=(0, 2))
        body.add_row(self._left(verdict, image), self._signals(verdict))
        parts: list[RenderableType] = [_head(verdict, shown, style), Text(), body, Text(), _why(verdict)]
        parts += _foot(shown)
        return Panel(Group(*parts), title=f"edgeguard · {self._title}", border_style=style)

    def _left(self, verdict: Verdict, image: Image | None) -> RenderableType:
        answer = verdict.answer
        said = "no answer" if answer is None else f"{answer.name}  {number(answer.certainty)}"
        lines: list[RenderableType] = [Text(f"model: {said}")]
        if self._pictures and image is not None:
            lines.insert(0, thumbnail(image, self._width))
        lines += [Text(f"{name}: {number(value)}") for name, value in verdict.command.values.items()]
        lines.append(Text(f"gate: {verdict.gate.value}", style="dim"))
        return Group(*lines)

    def _signals(self, verdict: Verdict) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for reading in verdict.readings:
            limit = self._thresholds.get(reading.name)
            style = STATUS_STYLES[reading.status]
            table.add_row(
                Text(reading.name),
                bar(reading, self._specs.get(reading.name), limit, style),
                Text(number(reading.value).rjust(9)),
                Text("" if limit is None else f"limit {number(limit)}", style="dim"),
                Text(reading.status.name, style=style),
            )
        return table


def bar(reading: Reading, spec: SignalSpec | None, limit: float | None, style: str) -> Text:
    """Draw a reading in its declared range, with a mark at its threshold; an open range ends at twice the threshold."""
    value = reading.value
    low = spec.low if spec is not None and math.isfinite(spec.low) else 0.0
    high = spec.high if spec is not None else 1.0
    if not math.isfinite(high):
        high = low + 2.0 * (limit - low) if limit is not None and limit > low else low + 1.0
    if value is None or not math.isfinite(value):
        return Text("?" * BAR, style="red")
    filled = _cells(value, low, high)
    cells = ["█"] * filled + ["·"] * (BAR - filled)
    text = Text("".join(cells), style=style)
    if limit is not None and math.isfinite(limit):
        place = min(BAR - 1, _cells(limit, low, high))
        text = Text.assemble(text[:place], ("│", "bold"), text[place + 1 :])
    return text


def _cells(value: float, low: float, high: float) -> int:
    share = (value - low) / (high - low) if high > low else 0.0
    return round(BAR * min(1.0, max(0.0, share)))


def _head(verdict: Verdict, extra: Extra, style: str) -> Text:
    name = verdict.authority.name.replace("_", " ")
    head = Text.assemble((f" {name} ", f"bold reverse {style}"), f"  {verdict.mode.value.replace('_', ' ')}")
    head.append(f"   {verdict.at - extra.start:8.2f} s", style="dim")
    if verdict.takeover_deadline is not None:
        left = max(0.0, verdict.takeover_deadline - verdict.at)
        head.append(f"   TAKE OVER: {left:.1f} s", style="bold blink bright_magenta")
        if verdict.alerts:
            head.append(f"  {' + '.join(verdict.alerts)} alert", style="bold bright_magenta")
    return head


def _why(verdict: Verdict) -> RenderableType:
    if not verdict.causes:
        return Text("nothing speaks against the model", style="dim")
    lines = [
        Text.assemble(
            ("• ", AUTHORITY_STYLES[cause.demands]),
            summary(cause),
            ("" if is_event(cause) else f"  for {max(0.0, verdict.at - cause.since):.1f} s", "dim"),
        )
        for cause in verdict.causes
    ]
    back = what_gives_back(verdict)
    if back:
        lines.append(Text(back, style="italic"))
    return Group(*lines)


def what_waits(status: LinkStatus | None) -> str:
    """What must happen before the microcontroller lets anybody arm it, and which keys do it; empty: nothing."""
    if status is None or not (status.latches or status.stopped):
        return ""
    latched = f"latched: {', '.join(status.latches)}; " if status.latches else ""
    if status.stopped:
        return f"EMERGENCY STOP pressed; {latched}let it go, then x releases and a arms"
    return f"microcontroller {latched}x releases, then a arms"


def _foot(extra: Extra) -> list[RenderableType]:
    lines: list[RenderableType] = []
    if extra.link is not None:
        status = extra.link
        trip = "–" if status.round_trip is None else f"{status.round_trip * 1e3:.1f} ms"
        healthy = status.state == "open"
        lines.append(
            Text(
                f"line: {status.state}   microcontroller: {status.mcu_mode}   round trip {trip}   "
                f"{status.rejected} rejected   {status.crc_errors} checksum errors   {status.reason}",
                style="green" if healthy else "red",
            )
        )
        waits = what_waits(status)
        if waits:
            lines.append(Text(waits, style="bold reverse red"))
    if not extra.log_healthy:
        lines.append(Text("the decision log cannot be written", style="bold red"))
    tail = "   ".join(part for part in (extra.note, KEY_HELP if extra.keys else "") if part)
    if tail:
        lines.append(Text(tail, style="dim"))
    return [Text(), *lines] if lines else []
