"""The bench's results for people: Markdown tables, and the same tables between two markers of a page.

Copies figures; measures nothing and judges nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeguard.errors import UsageError

Row = Mapping[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; every column but the first is a number."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def profile_text(result: Row) -> list[str]:
    """All tables of one profile."""
    lines = [f"### {result['profile']}: {result['frames']} frames of {_size(result['frame shape'])}", ""]
    had = [f"{name} {state}" for name, state in result["real-time"].items()]
    lines += [f"Taken on {result['date']} on {result['machine']}.", ""]
    lines += (
        [f"At a real-time priority on one CPU ({', '.join(had)}); the cameras on any.", ""] if had else []
    )
    lines += [f"- {reason}" for reason in result["left out"]] + ([""] if result["left out"] else [])
    lines += _variants(result["variants"])
    for name, row in result["in situ"].items():
        lines += _parts(name, row)
    if "fidelity" in result:
        lines += _fidelity(result["fidelity"])
    for name, rows in result.get("cameras", {}).items():
        lines += [f"Cameras, {name}, a thread a camera, as quickly as they can:", ""]
        lines += table(
            ["cameras", "frames/s", "p50 ms", "p99 ms"],
            [[f"{r['cameras']}", f"{r['frames/s']:.0f}", _ms(r["p50"]), _ms(r["p99"])] for r in rows],
        )
    return lines


def _variants(variants: Mapping[str, Row]) -> list[str]:
    rows = []
    for name, r in variants.items():
        rows.append(
            [name, f"{r['ratio']:.2f}", f"{r['ratio p50']:.2f}"]
            + [f"{r[key]:.0f}" for key in ("mean", "p50", "p99", "p99.9")]
            + [f"{r['p99.9'] / r['p50']:.1f}"]
        )
    head = ["what", "ratio of means", "ratio of p50", "mean", "p50", "p99", "p99.9", "p99.9/p50"]
    return ["Times in µs; ratios to the bare fp32 primary with its preprocessing.", "", *table(head, rows)]


def _parts(name: str, row: Row) -> list[str]:
    head = ["part", "in the frame, p50", "p99", "alone, p50"]
    rows = [
        [part, f"{r['p50']:.1f}", f"{r['p99']:.1f}", _maybe(r["alone"])] for part, r in row["parts"].items()
    ]
    bold = [(f"**{title}**", r, None) for title, r in row["groups"].items()]
    bold[0] = (*bold[0][:2], row["work alone"])
    bold += [
        ("**orchestration, stamps included**", row["orchestration"], None),
        ("**whole frame, stamps included**", row["whole"], None),
        ("**whole frame**", row["unstamped"], None),
    ]
    rows += [[title, f"{r['p50']:.1f}", f"{r['p99']:.1f}", _maybe(alone)] for title, r, alone in bold]
    lines = [f"Where the time goes, {name}, in µs:", "", *table(head, rows)]
    if "over the parts" in row:
        lines += [f"The whole frame takes {row['over the parts']:.0f} µs more than the parts inline.", ""]
    return lines


def _fidelity(f: Row) -> list[str]:
    whose = (
        "labelled pictures" if f["labelled"] else "crops of four photographs, labelled as fp32 sees the whole"
    )
    lines = [
        f"Clean accuracy on {f['pictures']} {whose}; fp32 is sure (certainty 0.5 or more) of {f['sure']}:",
        "",
    ]
    keys = ("right", "right where sure", "as fp32", "as fp32 where sure")
    rows = [[name, *(_percent(r[key]) for key in keys)] for name, r in f["settings"].items()]
    return lines + table(["setting", *keys], rows)


def fill(page: Path, marker: str, text: str) -> None:
    """Put `text` between `<!-- MARKER -->` and `<!-- /MARKER -->` of a page.

    Raises:
        UsageError: the page has no such markers.
    """
    before = page.read_text()
    pattern = rf"(<!-- {marker}[^>]*-->\n).*?(<!-- /{marker} -->)"
    after, count = re.subn(pattern, lambda m: f"{m[1]}\n{text.strip()}\n\n{m[2]}", before, flags=re.DOTALL)
    if not count:
        raise UsageError(f"`{page}` has no `<!-- {marker} -->` and `<!-- /{marker} -->` to write between")
    page.write_text(after)


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]} x {shape[0]} pixels"


def _ms(microseconds: float) -> str:
    return f"{microseconds / 1000:.2f}"


def _maybe(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f} %"
