"""Lines up what stands below each other: values, the cells of mappings on one line, and comments behind lines.

Only columns are computed here, from the lines alone; what the author's columns were plays no part. Nothing is moved
past the last column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from edgeguard.desk.fmt.lines import WIDEST, Line, Paragraph

_GAP = 16
"""Columns that cells left out of a row may leave empty; where it would be more, the rest of the row follows at once."""
_MOST_COLUMNS = 32
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
    """The columns of a table, by key. Each begins behind the widest cell of all that stand before it in any row."""

    before: Mapping[str, frozenset[str]]
    """The keys that stand right before a key in some row."""
    widest: Mapping[str, int]
    far: Mapping[str, int]
    """Widths of all cells that another follows, and where columns would begin: how far rows keep to them."""
    widths: Mapping[str, int]
    starts: Mapping[str, int]
    """Widths of the cells that keep to their columns, and where those begin."""

    def kept(self, row: Line) -> int:
        """How many cells of a row stand in their columns: those before a wide gap."""
        gap, at = 0, 1
        for count, (key, _) in enumerate(row.cells):
            gap += self.far[key] - at
            if gap > _GAP:
                return count
            at = self.far[key] + self.widest.get(key, 0)
        return len(row.cells)

    def body(self, row: Line) -> str:
        """The row, its cells in their columns."""
        text, kept = "{", self.kept(row)
        for count, (key, cell) in enumerate(row.cells):
            text = (f"{text:<{self.starts[key]}}" if count < kept else text) + f"{cell}, "
        return text[:-2] + "}"

    def with_row(self, row: Line, rows: Sequence[Line]) -> _Columns | None:
        """The columns when a row joins `rows`; None where the order of its keys contradicts theirs."""
        before, widest = _preceded(self.before, row), _widened(self.widest, row.cells[:-1])
        same = before == self.before and widest == self.widest
        far = self.far if same else _starts(before, widest)
        if far is None:
            return None
        columns = replace(self, before=before, widest=widest, far=far)
        widths: Mapping[str, int] = self.widths if same else {}
        for other in (row,) if same else (*rows, row):
            widths = _widened(widths, other.cells[:-1][: columns.kept(other)])
        starts = self.starts if same and widths == self.widths else _starts(before, widths)
        return replace(columns, widths=widths, starts=starts or far)


@dataclass(slots=True)
class _Table:
    """Rows that share their columns."""

    columns: _Columns = field(default_factory=lambda: _Columns({}, {}, {}, {}, {}))
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


def _preceded(before: Mapping[str, frozenset[str]], row: Line) -> Mapping[str, frozenset[str]]:
    """What stands right before each key, in this row too."""
    keys = [key for key, _ in row.cells]
    merged = {**before, keys[0]: before.get(keys[0], frozenset())}
    for one, other in pairwise(keys):
        merged[other] = merged.get(other, frozenset()) | {one}
    return merged


def _starts(before: Mapping[str, frozenset[str]], widths: Mapping[str, int]) -> Mapping[str, int] | None:
    """Where each column begins, the brace being 0; None where the orders of rows contradict each other."""
    starts: dict[str, int] = {}
    left = [*before]
    while left and len(before) <= _MOST_COLUMNS:
        ready = [key for key in left if before[key] <= starts.keys()]
        if not ready:
            return None
        starts |= {key: max((starts[k] + widths.get(k, 0) for k in before[key]), default=1) for key in ready}
        left = [key for key in left if key not in starts]
    return None if left else starts


def _widened(widths: Mapping[str, int], cells: Sequence[tuple[str, str]]) -> Mapping[str, int]:
    """Widths that hold these cells too, each with its comma and a space."""
    return {**widths, **{key: max(widths.get(key, 0), len(text) + 2) for key, text in cells}}
