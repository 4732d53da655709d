"""The demonstration: one drive to watch, then the campaign, the table, the report, and whether every claim held.

Shows and writes; measures nothing itself. Exit code 5 when a claim does not hold.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hil import results
from hil.campaign import run_campaign
from hil.figures import add_frame, drive_figure, save_png
from hil.live import watch_drive
from hil.profile import OUT, PROFILE, Profile, facts, shown, thresholds_of
from hil.report import telling, write_report
from hil.results import Claim, Row
from hil.scenario import FOLDER, Scenario, load_all
from hil.trace import Drive
from hil.virtual import policy_of

FINDINGS: Final = 5  # exit code
SHOWN_SCENARIO: Final = "patch"
PICTURE: Final = "demo.png"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for."""

    seeds: int = 5
    live: bool = True
    out: Path = OUT
    folder: Path = FOLDER
    emulated: bool = False
    """The real-time drives run the firmware under QEMU."""
    only: tuple[str, ...] = ()
    """Scenarios to drive; empty: all."""


ISOLATION: Final = "the guard's models ran in"


def demo(options: Options, profile: Profile = PROFILE) -> int:
    """Run everything. Returns the exit code. Raises: EdgeguardError when the policy or the rig cannot be opened."""
    started = time.monotonic()
    console = Console(highlight=False)
    scenarios = _chosen(options)
    options.out.mkdir(parents=True, exist_ok=True)
    policy = policy_of(profile)
    _prepare(console, profile, emulated=options.emulated)
    watched = next((s for s in scenarios if s.scenario == SHOWN_SCENARIO), None)
    if options.live and watched is not None:
        watch_drive(console, watched, policy, options.out / "live.log")
    drives = _drive_all(console, scenarios, options, profile)
    rows = results.tabulate(scenarios, drives)
    made = results.claims(scenarios, drives)
    surroundings = {**facts(), "policy": f"{policy.program.name} version {policy.program.version}"}
    memory = max((d.memory for d in drives if d.memory and d.arm == "guarded"), default=None)
    if memory is not None:
        surroundings["resident memory of the guarded host"] = f"{memory:.0f} MiB"
    surroundings[ISOLATION] = next((d.isolation for d in drives if d.isolation), "")
    _write(options.out, scenarios, drives, rows, made, thresholds_of(policy.program), surroundings)
    console.print(_table(rows))
    _say_claims(console, made, memory)
    console.print(f"{ISOLATION}: {surroundings[ISOLATION]}")
    console.print(
        f"report   {shown(options.out / 'report.html')}\nfigures  {shown(options.out / 'results.json')}"
    )
    console.print(f"{len(drives)} drives in {time.monotonic() - started:.0f} s")
    return 0 if all(claim.held for claim in made) else FINDINGS


def _chosen(options: Options) -> tuple[Scenario, ...]:
    from edgeguard.errors import UsageError

    scenarios = load_all(options.folder)
    unknown = sorted(set(options.only) - {s.scenario for s in scenarios})
    if unknown:
        known = ", ".join(s.scenario for s in scenarios)
        raise UsageError(f"there is no scenario `{unknown[0]}`: choose of {known}")
    return tuple(s for s in scenarios if not options.only or s.scenario in options.only)


def _prepare(console: Console, profile: Profile, *, emulated: bool) -> None:
    """Build the firmware before anything is timed."""
    from hil.firmware import build

    console.print("[bold]edgeguard[/bold] first light: the same drives with and without the guard")
    console.print(
        "[dim]scenes are semi-synthetic: real photographs and real sign artwork, put together by the camera model[/dim]"
    )
    program = policy_of(profile).program
    for target in ("lib", "qemu" if emulated else "host"):
        build(program, target)


def _drive_all(
    console: Console, scenarios: Sequence[Scenario], options: Options, profile: Profile
) -> tuple[Drive, ...]:
    total = 2 * options.seeds * len(scenarios)
    heard: list[Drive] = []
    left = {s.scenario: 2 * options.seeds for s in scenarios}
    titles = {s.scenario: s.title for s in scenarios}

    def progress(drive: Drive) -> None:
        heard.append(drive)
        left[drive.scenario] -= 1
        if left[drive.scenario] == 0:
            console.print(f"[dim]{len(heard):4d}/{total}[/dim]  {titles[drive.scenario]}")

    console.print(f"driving {len(scenarios)} scenarios x {options.seeds} seeds x 2 arms")
    return run_campaign(scenarios, options.seeds, progress, profile, emulated=options.emulated)


def _write(
    out: Path,
    scenarios: Sequence[Scenario],
    drives: Sequence[Drive],
    rows: Sequence[Row],
    made: Sequence[Claim],
    thresholds: dict[str, float],
    surroundings: dict[str, str],
) -> None:
    text = json.dumps(results.as_json(rows, made, surroundings), indent=2)
    (out / "results.json").write_text(text + "\n", encoding="utf-8")
    write_report(out / "report.html", scenarios, drives, rows, made, thresholds, surroundings)
    guarded, bare = telling(drives, SHOWN_SCENARIO)
    if guarded is not None and guarded.trace.time:
        figure = drive_figure(
            guarded,
            bare,
            thresholds,
            title="A sticker on a stop sign: the same drive with and without edgeguard",
        )
        if guarded.thumbnails:
            last = guarded.thumbnails[-1]
            add_frame(
                figure,
                last.image,
                f"the camera's frame after {last.time:.1f} s:\nthe model says “{last.label}”",
            )
        save_png(figure, out / PICTURE)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(
        title="\ndrives that ran the stop line, and what the guard cost",
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        header_style="bold",
    )
    table.add_column("scenario", no_wrap=True)
    for heading in (
        "unguarded", "guarded", "false\nhandover", "under\nrules", "safe cmd\np50/max",
        "fallback\np50/max",
    ):  # fmt: skip
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.title,
            Text(f"{row.unguarded_violations}/{row.drives}", "red" if row.unguarded_violations else ""),
            Text(f"{row.guarded_violations}/{row.drives}", "bold red" if row.guarded_violations else "green"),
            "–" if row.false_handovers is None else f"{row.false_handovers}/{row.drives}",
            "refused" if row.refused == row.drives else f"{100 * row.rules_share:.0f} %",
            _times(row.reaction_p50, row.reaction_max),
            _times(row.fallback_p50, row.fallback_max),
        )
    return table


def _times(middle: float | None, most: float | None) -> str:
    return "–" if middle is None or most is None else f"{middle:.0f}/{most:.0f} ms"


def _say_claims(console: Console, made: Sequence[Claim], memory: float | None) -> None:
    for claim in made:
        mark = "[green]holds [/green]" if claim.held else "[bold red]BROKEN[/bold red]"
        console.print(f"{mark}  {claim.text} [dim]({claim.measured})[/dim]")
    if memory is not None:
        console.print(f"resident memory of the guarded host: {memory:.0f} MiB")
