"""One drive to watch, at the pace it would really have: the operator's view of the guard on a terminal.

Shows what the rig's steps say; decides and measures nothing. Sleeps, because somebody is watching.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edgeguard.log import DecisionLog
from edgeguard.types import Authority, Status
from hil.scenario import Scenario, draw
from hil.virtual import Workshop, guarded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeguard.policy.load import LoadedPolicy
    from edgeguard.types import Verdict
    from hil.approach import Step

PER_SECOND: Final = 12.5
LONGEST: Final = 8.0  # s
STYLES: Final = {
    Authority.MODEL: "green",
    Authority.RULES: "yellow",
    Authority.HUMAN: "bright_red",
    Authority.SAFE_STATE: "bold red",
}


@dataclass(slots=True)
class _Pace:
    """Draws every few steps, and waits for the drive's time to come."""

    live: Live
    thresholds: Mapping[str, float]
    started: float = field(default_factory=time.monotonic)
    drawn: float = -1.0

    def __call__(self, step: Step) -> None:
        if step.time - self.drawn < 1.0 / PER_SECOND or step.time > LONGEST or step.verdict is None:
            return
        self.drawn = step.time
        self.live.update(view(step, step.verdict, self.thresholds))
        ahead = step.time - (time.monotonic() - self.started)
        if ahead > 0.0:
            time.sleep(ahead)


def watch_drive(console: Console, scenario: Scenario, policy: LoadedPolicy, log_path: Path) -> None:
    """Drive one seed of a scenario on the terminal and log it. Raises: what opening the models raises."""
    with suppress(FileNotFoundError):
        log_path.unlink()
    workshop = Workshop(policy)
    log = DecisionLog(log_path, flush=policy.program.log_flush)
    try:
        workshop.perception()  # warm, before the clock counts
        console.print(f"watch: {scenario.story}")
        with Live(console=console, auto_refresh=False, transient=True) as live:
            pace = _Pace(live, policy.program.thresholds)
            drive = guarded(scenario, draw(scenario, 0), policy, workshop, watch=pace, log=log)
        rest = "" if drive.rest is None else f", {drive.rest:.1f} m before the line"
        console.print(
            f"it {'ran the line' if drive.violation else 'stopped'}{rest}; its log: {log_path.name}"
        )
    finally:
        log.close()
        workshop.close()


def view(step: Step, verdict: Verdict, thresholds: Mapping[str, float]) -> Panel:
    """Return one picture of the terminal."""
    style = STYLES[verdict.authority]
    head = Text.assemble(
        (f" {verdict.authority.name.replace('_', ' ')} ", f"reverse {style}"),
        f"  {verdict.mode.value}   {step.time:4.1f} s   {step.state.speed * 3.6:4.0f} km/h   "
        f"{step.state.to_line:5.1f} m to the line   brake {step.outputs.get('brake', 0.0):4.2f}",
    )
    signals = Table.grid(padding=(0, 2))
    for reading in verdict.readings:
        limit = thresholds.get(reading.name)
        bad = reading.status is not Status.PASS
        signals.add_row(
            Text(reading.name, "yellow" if bad else ""),
            "–" if reading.value is None else f"{reading.value:8.3f}",
            "" if limit is None else f"threshold {limit:.3f}",
            Text(reading.status.name.lower(), "yellow" if bad else "dim"),
        )
    said = verdict.answer.name if verdict.answer else "nothing"
    why = verdict.causes[0].text if verdict.causes else "nothing speaks against it"
    return Panel(
        Group(head, Text(f"the model says {said}; {why}"), signals), title="edgeguard", border_style=style
    )
