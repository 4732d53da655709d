"""Lines up what stands below each other: values, the cells of mappings on one line, and comments behind lines.

Only columns are computed here, from the lines alone; what the author's columns were plays no part. Nothing is moved
past the last column, and a gap that would be wide begins a new table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from edgeguard.desk.fmt.lines import WIDEST, Line, Paragraph

_GAP = 16
"""Columns that cells left out of a row may leave empty."""
_BEFORE_COMMENT = 3


def align(paragraph: Paragraph) -> None:
    """Set the column of every value and the text of every row of a paragraph."""
    lines = paragraph.lines
    for run in _runs(lines, _same_table):
        for group in _stretches(run, lambda line: (line.column, len(line.body))):
            column = max(line.column for line in group)
            for line in group:
                line.column = column
    for run in _runs(lines, _same_rows):
        _tables(run)


def comment_columns(paragraph: Paragraph) -> list[int]:
    """The column of each comment behind a line, in order."""
    behind = [line for line in paragraph.lines if line.comment]
    columns: list[int] = []
    for group in _stretches(behind, lambda line: (line.width + _BEFORE_COMMENT, len(line.comment))):
        columns += [max(line.width for line in group) + _BEFORE_COMMENT] * len(group)
    return columns


def _runs(lines: Sequence[Line], together: Callable[[Line, Line], bool]) -> Iterator[list[Line]]:
    """Longest stretches in which each line goes with the one before it."""
    run: list[Line] = []
    for line in lines:
        if run and not together(run[-1], line):
            yield run
            run = []
        run.append(line)
    if run:
        yield run


def _stretches(lines: Sequence[Line], measure: Callable[[Line], tuple[int, int]]) -> Iterator[list[Line]]:
    """Stretches as long as they fit when all begin where the last of them must. `measure`: first column, columns."""
    group: list[Line] = []
    column = extent = 0
    for line in lines:
        first, length = measure(line)
        column, extent = max(column, first), max(extent, length)
        if group and column + extent > WIDEST:
            yield group
            group, column, extent = [], first, length
        group.append(line)
    if group:
        yield group


def _same_table(one: Line, other: Line) -> bool:
    if one.named and other.named:
        return True
    if not (one.keyed and other.keyed):
        return False
    return not {key for key, _ in one.cells}.isdisjoint(key for key, _ in other.cells)


def _same_rows(one: Line, other: Line) -> bool:
    if not one.cells or not other.cells or one.column != other.column or one.keyed != other.keyed:
        return False
    return one.cells[0][0] == other.cells[0][0]


def _tables(run: Sequence[Line]) -> None:
    table = _Table()
    for line in run:
        if line.cells and not table.take(line):
            table.apply()
            table = _Table()
            table.take(line)
    table.apply()


@dataclass(slots=True)
class _Table:
    """Rows that share their columns. A column is as wide as the widest cell that another cell follows."""

    order: list[str] = field(default_factory=list)
    widths: dict[str, int] = field(default_factory=dict)
    rows: list[Line] = field(default_factory=list)

    def take(self, line: Line) -> bool:
        """Add a row; False, and nothing is changed, when it does not go with the others."""
        order = _merged(self.order, [key for key, _ in line.cells])
        if order is None:
            return False
        widths = dict(self.widths)
        for key, text in line.cells[:-1]:
            widths[key] = max(widths.get(key, 0), len(text) + 2)
        grown = order != self.order or widths != self.widths
        starts = _starts(order, widths)
        if self.rows and not all(
            _in_place(r, starts, widths) for r in ((*self.rows, line) if grown else (line,))
        ):
            return False
        self.order, self.widths = order, widths
        self.rows.append(line)
        return True

    def apply(self) -> None:
        """Set the text of every row."""
        if len(self.rows) < 2:
            return
        starts = _starts(self.order, self.widths)
        for row in self.rows:
            row.body = _row(row, starts)


def _merged(order: list[str], keys: list[str]) -> list[str] | None:
    """Both orders in one, new keys before those that follow them; None where they contradict each other."""
    shared = set(order) & set(keys)
    if [k for k in order if k in shared] != [k for k in keys if k in shared]:
        return None
    result = list(order)
    at = len(result)
    for key in reversed(keys):
        if key in shared:
            at = result.index(key)
        else:
            result.insert(at, key)
    return result


def _starts(order: list[str], widths: dict[str, int]) -> dict[str, int]:
    starts: dict[str, int] = {}
    at = 1
    for key in order:
        starts[key] = at
        at += widths.get(key, 0)
    return starts


def _in_place(row: Line, starts: dict[str, int], widths: dict[str, int]) -> bool:
    keys = [key for key, _ in row.cells]
    gap = sum(starts[b] - starts[a] - widths[a] for a, b in pairwise(keys))
    return gap + starts[keys[0]] - 1 <= _GAP and row.column + len(_row(row, starts)) <= WIDEST


def _row(row: Line, starts: dict[str, int]) -> str:
    text = "{"
    for key, cell in row.cells:
        text = f"{text:<{starts[key]}}{cell}, "
    return text[:-2] + "}"
