"""The lines that a formatted file is made of, before and after they are lined up. Data and widths only."""

from __future__ import annotations

from dataclasses import dataclass

WIDEST = 120
"""Columns that a line may take, as far as it can be laid out otherwise."""


@dataclass(frozen=True, slots=True)
class Level:
    """A block that is open on a line. `column`: where its entries began in the source, `indent`: where they do now."""

    column: int
    indent: int
    end: int
    flow: bool
    """Written on one line until now: what stands before `end` is inside, wherever it stands."""

    def holds(self, at: int, column: int) -> bool:
        """Whether a comment at offset `at`, in source column `column`, belongs to this block."""
        return at < self.end if self.flow else column >= self.column


@dataclass(slots=True)
class Line:
    """One line: `lead` (dashes and key), then its value as one text, or as the cells of a mapping on one line."""

    indent: int
    lead: str
    first: int
    """Offset of its first character in the source."""
    last: int
    """Offset past its last character in the source."""
    levels: tuple[Level, ...]
    text: str = ""
    cells: tuple[tuple[str, str], ...] = ()
    """Key, and `key: value`."""
    tail: tuple[str, ...] = ()
    """What follows on lines of its own, one step further in: a folded or literal text."""
    keyed: bool = False
    """It has a key of its own, not a dash alone."""
    named: bool = False
    """Its key is a name of the author's that lines up with its neighbours whatever its value is."""
    comment: str = ""
    column: int = 0
    """Where its value begins."""
    body: str = ""
    """Its value, lined up."""

    def __post_init__(self) -> None:
        self.column = self.indent + len(self.lead) + bool(self.lead)
        self.body = "{" + ", ".join(text for _, text in self.cells) + "}" if self.cells else self.text

    @property
    def header(self) -> bool:
        """Whether its value stands below it."""
        return not self.body

    @property
    def width(self) -> int:
        """Columns it takes, without its comment."""
        return self.column + len(self.body) if self.body else self.column - 1

    def render(self) -> str:
        """The line as it stands in the file, without its comment."""
        start = " " * self.indent + self.lead
        return f"{start:<{self.column}}{self.body}" if self.body else start


@dataclass(slots=True)
class Remark:
    """A comment on a line of its own."""

    indent: int
    text: str


@dataclass(slots=True)
class Paragraph:
    """Lines without a blank line between them."""

    parts: list[Line | Remark]

    @property
    def lines(self) -> list[Line]:
        """Its lines without those that are only a comment."""
        return [part for part in self.parts if isinstance(part, Line)]
