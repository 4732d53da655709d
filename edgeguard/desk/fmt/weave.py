"""Puts the comments and blank lines of a file back between its lines, each where it stood.

Every comment is placed, in the order of the file; none is rewrapped.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edgeguard.desk.fmt.lines import Line, Paragraph, Remark
from edgeguard.desk.fmt.syntax import Comment, Syntax


def weave(syntax: Syntax, lines: list[Line]) -> list[Paragraph]:
    """The paragraphs of the file: a blank line of the source begins a new one, but not right below a header."""
    loom = _Loom(syntax)
    waiting = list(reversed(syntax.comments))
    for line in lines:
        while waiting and waiting[-1].at < line.last:
            loom.comment(waiting.pop(), line.first, line.indent)
        loom.line(line)
    while waiting:
        loom.comment(waiting.pop(), len(syntax.text), 0)
    return loom.done


@dataclass(slots=True)
class _Loom:
    syntax: Syntax
    done: list[Paragraph] = field(default_factory=lambda: [Paragraph([])])
    previous: Line | None = None
    source_line: int = -1

    def line(self, line: Line) -> None:
        self._break_before(self.syntax.line(line.first))
        self.done[-1].parts.append(line)
        self.previous, self.source_line = line, self.syntax.line(max(line.last - 1, 0))

    def comment(self, comment: Comment, following: int, indent: int) -> None:
        """Place a comment behind the line before it, if it stood there, or on a line of its own."""
        before, here = self.previous, self.syntax.line(comment.at)
        behind = before is not None and self.syntax.line(before.last - 1) == here and comment.at < following
        if before and behind and not comment.alone and not before.comment:
            before.comment = comment.text
            return
        self._break_before(here)
        self.done[-1].parts.append(Remark(self._indent(comment, indent), comment.text))
        self.source_line = here

    def _break_before(self, line: int) -> None:
        parts = self.done[-1].parts
        below_header = parts and isinstance(parts[-1], Line) and parts[-1].header
        if parts and not below_header and line > self.source_line and self.syntax.blank(line - 1):
            self.done.append(Paragraph([]))

    def _indent(self, comment: Comment, least: int) -> int:
        """As far in as the innermost block, open on the line before, that the comment's column says it belongs to."""
        column = self.syntax.column(comment.at) if comment.alone else -1
        outer, indent = -1, least
        for level in self.previous.levels if self.previous else ():
            if level.holds(comment.at, column) and (level.flow or level.column > outer):
                indent = max(indent, level.indent)
            outer = level.column
        return indent
