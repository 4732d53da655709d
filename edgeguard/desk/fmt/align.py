"""Lines up what stands below each other: values, the cells of mappings on one line, and comments behind lines.

Only columns are computed here, from the lines alone; what the author's columns were plays no part. Nothing is moved
past the last column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgeguard.desk.fmt.lines import WIDEST, Line, Paragraph

_GAP = 16
"""Columns that cells left out of a row may leave empty; where it would be more, the rest of the row follows at once."""
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


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a table. Each is as wide as the widest cell in it that another cell follows."""

    order: tuple[str, ...]
    widest: Mapping[str, int]
    """Width of every column by all its cells: decides how far each row keeps to the columns."""
    widths: Mapping[str, int]
    """Width of every column by the cells that keep to it."""

    def kept(self, row: Line) -> int:
        """How many cells of a row stand in their columns: those before a wide gap."""
        gap = at = 0
        for count, (key, _) in enumerate(row.cells):
            here = self.order.index(key)
            gap += sum(self.widest.get(skipped, 0) for skipped in self.order[at:here])
            if gap > _GAP:
                return count
            at = here + 1
        return len(row.cells)

    def body(self, row: Line) -> str:
        """The row, its cells in their columns."""
        starts, at = {}, 1
        for key in self.order:
            starts[key] = at
            at += self.widths.get(key, 0)
        text, kept = "{", self.kept(row)
        for count, (key, cell) in enumerate(row.cells):
            text = (f"{text:<{starts[key]}}" if count < kept else text) + f"{cell}, "
        return text[:-2] + "}"

    def with_row(self, row: Line, rows: Sequence[Line]) -> _Columns | None:
        """The columns when a row joins `rows`; None where the order of its keys contradicts theirs."""
        order = _merged(self.order, [key for key, _ in row.cells])
        if order is None:
            return None
        columns = _Columns(order, _widened(self.widest, row.cells[:-1]), self.widths)
        same = order == self.order and columns.widest == self.widest
        widths: Mapping[str, int] = self.widths if same else {}
        for other in (row,) if same else (*rows, row):
            widths = _widened(widths, other.cells[:-1][: columns.kept(other)])
        return replace(columns, widths=widths)


@dataclass(slots=True)
class _Table:
    """Rows that share their columns."""

    columns: _Columns = field(default_factory=lambda: _Columns((), {}, {}))
    rows: list[Line] = field(default_factory=list)

    def take(self, row: Line) -> bool:
        """Add a row; False, and nothing is changed, when it does not go with the others."""
        columns = self.columns.with_row(row, self.rows)
        if columns is None:
            return False
        moved = (row,) if columns == self.columns else (*self.rows, row)
        if self.rows and any(line.column + len(columns.body(line)) > WIDEST for line in moved):
            return False
        self.columns = columns
        self.rows.append(row)
        return True

    def apply(self) -> None:
        """Set the text of every row."""
        for row in self.rows if len(self.rows) > 1 else ():
            row.body = self.columns.body(row)


def _merged(order: tuple[str, ...], keys: list[str]) -> tuple[str, ...] | None:
    """Both orders in one, new keys before those that follow them; None where they contradict each other."""
    shared = set(order) & set(keys)
    if [k for k in order if k in shared] != [k for k in keys if k in shared]:
        return None
    result = [*order]
    at = len(result)
    for key in reversed(keys):
        if key in shared:
            at = result.index(key)
        else:
            result.insert(at, key)
    return tuple(result)


def _widened(widths: Mapping[str, int], cells: Sequence[tuple[str, str]]) -> Mapping[str, int]:
    """Widths that hold these cells too, each with its comma and a space."""
    return {**widths, **{key: max(widths.get(key, 0), len(text) + 2) for key, text in cells}}
