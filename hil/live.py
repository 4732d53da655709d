"""One drive to watch, at the pace it would really have, on the operator's own page; plain lines where no one watches.

Shows what the rig's steps say; decides and measures nothing. Sleeps, because somebody is watching.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeguard.console import Extra, Screen, open_screen
from edgeguard.log import DecisionLog
from edgeguard.types import Authority
from hil.approach import START
from hil.profile import shown
from hil.scenario import Scenario, draw
from hil.virtual import Workshop, guarded

if TYPE_CHECKING:
    from rich.console import Console

    from edgeguard.policy.load import LoadedPolicy
    from edgeguard.types import Image
    from hil.approach import Step

LONGEST: Final = 8.0  # s that anybody has to wait


@dataclass(slots=True)
class _Page:
    """Shows every step when somebody watches, only changes of authority otherwise."""

    screen: Screen
    watched: bool
    started: float = field(default_factory=time.monotonic)
    _image: Image | None = None
    _authority: Authority | None = None
    lost_at: float | None = None
    """When the model first lost its authority, on the verdicts' clock (s)."""

    def __call__(self, step: Step) -> None:
        verdict = step.verdict
        self._image = step.frame if step.frame is not None else self._image
        if verdict is not None and self.lost_at is None and verdict.authority is not Authority.MODEL:
            self.lost_at = verdict.at
        if verdict is None or (not self.watched and verdict.authority == self._authority):
            return
        self._authority = verdict.authority
        note = (
            f"{step.state.speed * 3.6:3.0f} km/h   {step.state.to_line:5.1f} m to the stop line   "
            f"brake {step.outputs.get('brake', 0.0):.2f}"
        )
        self.screen.show(verdict, self._image, Extra(start=verdict.at - step.time, note=note))
        ahead = min(step.time, LONGEST) - (time.monotonic() - self.started)
        if self.watched and ahead > 0.0:
            time.sleep(ahead)


def watch_drive(console: Console, scenario: Scenario, policy: LoadedPolicy, log_path: Path) -> None:
    """Drive one seed of a scenario on the terminal, and log it. Raises: what opening the models raises."""
    with suppress(FileNotFoundError):
        log_path.unlink()
    workshop = Workshop(policy)
    log = DecisionLog(log_path, flush=policy.program.log_flush)
    try:
        workshop.perception()  # loaded and warm before the clock counts
        console.print(f"watch one drive: {scenario.story}")
        with open_screen(console, policy.program) as screen:
            page = _Page(screen, watched=console.is_terminal)
            drive = guarded(scenario, draw(scenario, 0), policy, workshop, watch=page, log=log)
    finally:
        log.close()
        workshop.close()
    console.print("it ran the stop line" if drive.violation else "it stopped before the line")
    if page.lost_at is not None:
        ask = f"edgeguard explain {shown(log_path)} --at {page.lost_at - START:.2f}s"
        console.print(f"why the model lost its authority:  {ask}", soft_wrap=True)
