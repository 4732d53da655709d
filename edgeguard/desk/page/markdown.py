"""A policy on paper: every table as Markdown, the modes as a Mermaid diagram. The same bytes for the same policy.

Formats only. Text of the policy is escaped: it cannot become markup, end a table cell or start one.
"""

from __future__ import annotations

import re

from edgeguard.desk.page import facts, microcontroller, promises, running, trust
from edgeguard.desk.page.diagram import mermaid
from edgeguard.desk.page.facts import Cell, Code, Sheet
from edgeguard.policy import DraftPolicy

_SPECIAL = re.compile(r"([\\`*_\[\]#|~])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def markdown(draft: DraftPolicy) -> str:
    """The whole document; ends with a newline."""
    program = draft.program
    parts = [
        f"# {_prose(f'Policy {program.name}, version {program.version}')}",
        "Made by `edgeguard policy doc`. Do not edit: change the policy and make it again.",
        "\n".join(
            [_line(("", "")), _line(("---", "---")), *(_line(_cells(row)) for row in facts.head(draft))]
        ),
    ]
    for sheet in sheets(draft):
        parts += _section(sheet)
    parts += [
        "## Modes",
        "`armed` stands for each of the modes in it. Whatever is not drawn does not happen.",
        f"```mermaid\n{mermaid(program.table.lockout_after)}```",
    ]
    return "\n\n".join(parts) + "\n"


def sheets(draft: DraftPolicy) -> tuple[Sheet, ...]:
    """Every table in the order of the document."""
    program = draft.program
    found = [
        facts.decisions(program),
        facts.fallback(program),
        facts.envelope(draft),
        *microcontroller.sheets(draft),
        facts.handover(program),
        facts.signals(program),
        promises.names(draft),
        facts.thresholds(program),
        *trust.sheets(draft),
        *running.sheets(draft),
        promises.timing(draft),
        promises.invariants(draft),
        promises.tests(draft),
    ]
    return tuple(sheet for sheet in found if sheet.rows or sheet.empty)


def _section(sheet: Sheet) -> list[str]:
    title = f"## {_prose(sheet.title)}"
    if not sheet.rows:
        return [title, _prose(sheet.empty)]
    lines = [_line(sheet.columns), _line(("---",) * len(sheet.columns))]
    return [title, _prose(sheet.about), "\n".join([*lines, *(_line(_cells(row)) for row in sheet.rows)])]


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: tuple[Cell, ...]) -> tuple[str, ...]:
    return tuple(_code(cell) if isinstance(cell, Code) else _prose(cell) for cell in row)


def _prose(text: str) -> str:
    """Text that means only itself."""
    flat = " ".join(text.split())
    return _SPECIAL.sub(r"\\\1", re.sub("[&<>]", lambda found: _ENTITIES[found[0]], flat))


def _code(text: str) -> str:
    """Text in a code span, with as many backticks around it as it takes; a bar would end the cell even there."""
    flat = " ".join(text.split()).replace("|", "\\|")
    if not flat:
        return ""
    longest = max((len(run) for run in re.findall("`+", flat)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{pad}{flat}{pad}{fence}"
