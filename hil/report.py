"""The report: one HTML page with everything inside it, from the drives of a campaign.

No script, no font and no picture is fetched by the page. It measures nothing: see `hil.trace` and `hil.results`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from edgeguard.types import Authority
from hil.figures import BANDS, as_data_uri, as_svg, bare_figure, drive_figure
from hil.results import Claim, Row
from hil.scenario import Scenario
from hil.trace import Drive

_MOST_THUMBNAILS: Final = 8


@dataclass(frozen=True, slots=True)
class Shot:
    """One thumbnail as the page shows it."""

    uri: str
    time: str
    authority: str
    colour: str
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """One scenario as the page shows it."""

    name: str
    title: str
    story: str
    figure: str
    shots: tuple[Shot, ...]
    facts: tuple[tuple[str, str], ...]
    row: Row


def write_report(
    path: Path,
    scenarios: Sequence[Scenario],
    drives: Sequence[Drive],
    rows: Sequence[Row],
    claims: Sequence[Claim],
    thresholds: Mapping[str, float],
    facts: Mapping[str, str],
) -> None:
    """Write the page to `path`. Each scenario shows the seed that tells most: one that differs between the arms."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    known = {row.scenario: row for row in rows}
    sections = [_section(s, drives, known[s.scenario], thresholds) for s in scenarios if s.scenario in known]
    page = environment.get_template("report.html.j2").render(
        sections=sections, rows=rows, claims=claims, facts=facts,
        held=all(claim.held for claim in claims),
        drives=len(drives),
        prevented=sum(row.unguarded_violations for row in rows),
        bands=[BANDS[a] for a in Authority],
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def telling(drives: Sequence[Drive], scenario: str) -> tuple[Drive | None, Drive | None]:
    """Return (guarded, unguarded) of the most telling seed of a scenario; a failure of the guard tells most."""
    guarded = {d.seed: d for d in drives if d.scenario == scenario and d.arm == "guarded"}
    bare = {d.seed: d for d in drives if d.scenario == scenario and d.arm == "unguarded"}
    if not guarded:
        return None, None

    def weight(seed: int) -> tuple[bool, bool, int]:
        other = bare.get(seed)
        return guarded[seed].violation, other is not None and other.violation, -seed

    seed = max(guarded, key=weight)
    return guarded[seed], bare.get(seed)


def _section(
    scenario: Scenario, drives: Sequence[Drive], row: Row, thresholds: Mapping[str, float]
) -> Section:
    guarded, bare = telling(drives, scenario.scenario)
    figure = ""
    if guarded is not None and guarded.trace.time:
        figure = as_svg(drive_figure(guarded, bare, thresholds))
    elif bare is not None and bare.trace.time:
        figure = as_svg(bare_figure(bare))
    shots = tuple(
        Shot(
            uri=as_data_uri(t.image),
            time=f"{t.time:.2f} s",
            authority=BANDS[t.authority][0],
            colour=BANDS[t.authority][1],
            text=f"model says `{t.label}`" + (f"; rule `{t.cause}`" if t.cause else ""),
        )
        for t in (guarded.thumbnails[:_MOST_THUMBNAILS] if guarded is not None else ())
    )
    facts = tuple(_facts(guarded, bare))
    return Section(scenario.scenario, scenario.title, scenario.story, figure, shots, facts, row)


def _facts(guarded: Drive | None, bare: Drive | None) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    if guarded is not None:
        facts.append(("seed", str(guarded.seed)))
        facts.append(("guarded", _ending(guarded)))
    if bare is not None:
        facts.append(("unguarded", _ending(bare)))
    if guarded is None:
        return facts
    if guarded.detected is not None and guarded.onset is not None:
        facts.append(("onset to detection", f"{(guarded.detected - guarded.onset) * 1e3:.0f} ms"))
    if guarded.reaction is not None:
        facts.append(("detection to safe command", f"{guarded.reaction * 1e3:.1f} ms"))
    if guarded.fallback is not None:
        facts.append(("host's death to firmware fallback", f"{guarded.fallback * 1e3:.0f} ms"))
    return facts


def _ending(drive: Drive) -> str:
    if drive.refused:
        return f"never armed: {drive.refused}"
    if drive.violation and drive.crossed_at is not None:
        return f"runs the stop line at {drive.crossed_at * 3.6:.0f} km/h"
    if drive.violation:
        return "leaves the envelope"
    if drive.rest is not None and drive.rest >= 0.0:
        return f"stands {drive.rest:.1f} m before the line"
    if drive.crossed_at is not None:
        return f"passes at {drive.crossed_at * 3.6:.0f} km/h"
    return "still under way"
