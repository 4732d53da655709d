"""The page: one self-contained HTML file with the policy's tables, its controls and the engine that evaluates them.

No network, no other file, no inline handler: the page's own security policy allows exactly its own style and scripts,
by hash. Every text of the policy is escaped before it is put in.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

from edgeguard.desk.cases import Case, Expect, embedded_cases
from edgeguard.desk.page.controls import commands, controls
from edgeguard.desk.page.data import embedded, table
from edgeguard.desk.page.diagram import svg
from edgeguard.desk.page.facts import Cell, Code, Sheet, head
from edgeguard.desk.page.markdown import sheets
from edgeguard.policy import DraftPolicy
from edgeguard.policy.describe import Json

SCRIPTS = ("engine", "trial", "words", "show", "view")
"""In the order in which they build on each other."""
_MARKER = re.compile(r"@@([a-z]+)@@")
_LIVE = ("decisions", "fallback")
"""Tables in which the page marks rows: they get a column for it."""


def html(draft: DraftPolicy) -> str:
    """The whole page."""
    program = draft.program
    css = asset("page.css")
    scripts = {name: asset(f"{name}.js") for name in SCRIPTS}
    parts: Mapping[str, str] = {
        **scripts,
        "css": css,
        "csp": _security(css, tuple(scripts.values())),
        "title": escape(f"{program.name} version {program.version}"),
        "name": escape(program.name),
        "version": str(program.version),
        "facts": "".join(
            f"<div><dt>{escape(key)}</dt><dd>{_text(cell)}</dd></div>" for key, cell in head(draft)
        ),
        "controls": controls(draft),
        "commands": commands(program.envelope),
        "modes": svg(program.table.lockout_after),
        "sheets": "\n".join(_sheet(sheet) for sheet in sheets(draft)),
        "data": embedded({"table": table(draft), "cases": _cases(draft)}),
    }
    # in one pass: a marker in the text of a policy stays what it is
    return _MARKER.sub(lambda found: parts[found[1]], asset("page.html"))


def asset(name: str) -> str:
    """A file of this folder."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _security(css: str, scripts: Sequence[str]) -> str:
    """What the browser may load and run: nothing but these texts."""
    allowed = " ".join(_hash(text) for text in scripts)
    return f"default-src 'none'; script-src {allowed}; style-src {_hash(css)}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _sheet(sheet: Sheet) -> str:
    title = f'<h2 id="{sheet.id}-title">{escape(sheet.title)}</h2>'
    opened = f'<section class="panel sheet" id="{sheet.id}" aria-labelledby="{sheet.id}-title">{title}'
    if not sheet.rows:
        return f'{opened}<p class="soft">{escape(sheet.empty)}</p></section>'
    live = sheet.id in _LIVE
    columns = (*(["now"] if live else []), *sheet.columns)
    heads = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    rows = "\n".join(_row(sheet, i, live=live) for i in range(len(sheet.rows)))
    return (
        f'{opened}<p class="soft">{escape(sheet.about)}</p>'
        f'<div class="scroll" tabindex="0" role="region" aria-labelledby="{sheet.id}-title">'
        f"<table><thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table></div></section>"
    )


def _row(sheet: Sheet, i: int, *, live: bool) -> str:
    key = f' data-key="{escape(sheet.keys[i])}"' if sheet.keys else ""
    now = '<td class="now" data-now data-column="now"></td>' if live else ""
    cells = "".join(
        f'<td data-column="{escape(column)}"{"" if cell else " class=none"}>{_text(cell)}</td>'
        for column, cell in zip(sheet.columns, sheet.rows[i])
    )
    return f"<tr{key}>{now}{cells}</tr>"


def _text(cell: Cell) -> str:
    return f"<code>{escape(cell)}</code>" if isinstance(cell, Code) else escape(cell)


def _cases(draft: DraftPolicy) -> list[Json]:
    return [_case(case) for case in embedded_cases(draft.document, draft.program)]


def _case(case: Case) -> Json:
    return {
        "name": case.name,
        "phases": [
            {
                "values": dict(step.phase.values),
                "span": {"frames": step.phase.span.frames, "seconds": step.phase.span.seconds},
                "event": step.phase.event.value if step.phase.event else None,
                "suggest": None if step.phase.suggest is None else dict(step.phase.suggest),
                "manual": None if step.phase.manual is None else dict(step.phase.manual),
                "expect": _expect(step.expect),
            }
            for step in case.steps
        ],
    }


def _expect(expect: Expect) -> Json:
    return {
        "authority": None if expect.authority is None else expect.authority.name.lower(),
        "mode": None if expect.mode is None else expect.mode.value,
        "rule": expect.rule,
        "command": dict(expect.command),
    }
