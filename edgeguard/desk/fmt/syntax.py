"""A policy file as it is written: its tree with every style and position, and its comments, which no parser keeps.

Reads only what the strict reader accepts; says nothing about what a value means.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from edgeguard.policy.reader import Mark

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_COMMENT = re.compile("#[^\n]*")


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value or key. `style`: its quote, `|` or `>`, or empty. `end` of a block scalar is that of its sign."""

    start: int
    end: int
    value: str
    style: str


@dataclass(frozen=True, slots=True)
class Group:
    """A mapping (with `keys`) or a sequence. Offsets are half open."""

    start: int
    end: int
    flow: bool
    keys: tuple[Scalar, ...] | None
    items: tuple[Node, ...]


Node = Scalar | Group


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment, from its `#` to the end of its line. `alone`: nothing stands before it there."""

    at: int
    text: str
    alone: bool


@dataclass(frozen=True, slots=True)
class Syntax:
    """A whole file."""

    text: str
    root: Node
    comments: tuple[Comment, ...]
    starts: tuple[int, ...]
    """The offset at which each line begins."""

    def line(self, offset: int) -> int:
        """The line of a character, from 0."""
        return bisect_right(self.starts, offset) - 1

    def column(self, offset: int) -> int:
        """The column of a character, from 0."""
        return offset - self.starts[self.line(offset)]

    def blank(self, line: int) -> bool:
        """Whether nothing stands on a line; it is not the last one."""
        return not self.text[self.starts[line] : self.starts[line + 1]].strip()

    def comments_in(self, node: Node) -> bool:
        """Whether a comment stands inside a node."""
        at = bisect_left(self.comments, node.start, key=_offset)
        return at < len(self.comments) and self.comments[at].at < node.end


def parse_syntax(text: str) -> Syntax:
    """The tree and the comments of a text that the strict reader accepted."""
    starts = (0, *(m.end() for m in re.finditer("\n", text)))
    builder = _Builder(text, starts)
    for event in yaml.parse(text, Loader=_Loader):
        builder.take(event)
    return Syntax(text, builder.done[0], tuple(_comments(text, builder.spans)), starts)


def _offset(comment: Comment) -> int:
    return comment.at


@dataclass(slots=True)
class _Open:
    start: int
    flow: bool
    mapping: bool
    inside: list[Node] = field(default_factory=list)

    def close(self, end: int) -> Group:
        if not self.mapping:
            return Group(self.start, end, self.flow, None, tuple(self.inside))
        keys = tuple(key for key in self.inside[::2] if isinstance(key, Scalar))
        return Group(self.start, end, self.flow, keys, tuple(self.inside[1::2]))


@dataclass(slots=True)
class _Builder:
    text: str
    starts: tuple[int, ...]
    stack: list[_Open] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    done: list[Node] = field(default_factory=list)

    def take(self, event: yaml.Event) -> None:
        start, end = self._at(event.start_mark), self._at(event.end_mark)
        if isinstance(event, yaml.ScalarEvent):
            self._put(self._scalar(event, start, end))
        elif isinstance(event, yaml.CollectionStartEvent):
            mapping = isinstance(event, yaml.MappingStartEvent)
            self.stack.append(_Open(start, bool(event.flow_style), mapping))
        elif isinstance(event, yaml.CollectionEndEvent):
            self._put(self.stack.pop().close(end))

    def _scalar(self, event: yaml.ScalarEvent, start: int, end: int) -> Scalar:
        style = event.style or ""
        if style in ("|", ">"):
            content = self.text.find("\n", start)
            self.spans += [(start, start + 1), (end if content < 0 else min(content, end), end)]
            return Scalar(start, start + 1, event.value, style)
        self.spans.append((start, end))
        return Scalar(start, end, event.value, style)

    def _put(self, node: Node) -> None:
        (self.stack[-1].inside if self.stack else self.done).append(node)

    def _at(self, mark: Mark | None) -> int:
        if mark is None:
            return 0
        return min(self.starts[min(mark.line, len(self.starts) - 1)] + mark.column, len(self.text))


def _comments(text: str, spans: list[tuple[int, int]]) -> Iterator[Comment]:
    """Outside of scalars every `#` begins a comment."""
    before = 0
    for start, end in (*spans, (len(text), len(text))):
        for match in _COMMENT.finditer(text, before, max(start, before)):
            line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
            yield Comment(match.start(), match.group().rstrip(), not line.strip())
        before = max(before, end)
