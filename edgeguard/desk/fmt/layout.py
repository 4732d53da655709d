"""From the tree of a file to its lines: which value stands on its key's line, which below it, and how far in.

Lines nothing up and knows no comments but this: what has a comment inside cannot stand on one line.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from edgeguard.desk.fmt.lines import WIDEST, Level, Line
from edgeguard.desk.fmt.scalars import folded, literal, quoted, written
from edgeguard.desk.fmt.syntax import Group, Node, Scalar, Syntax
from edgeguard.desk.unparse import canonical
from edgeguard.policy.source import Path

_STEP = 2
_EXPRESSIONS = {
    "rules": ("when",),
    "redundancy": ("when", "if", "expect"),
    "fallback": ("when",),
    "invariants": ("never",),
}


def is_expression(path: Path) -> bool:
    """Whether text at this place of a policy is an expression."""
    if path[:1] == ("let",):
        return len(path) == 2
    if len(path) == 4:
        clears = path[0] in ("rules", "redundancy") and path[2:] == ("clear", "when")
        return clears or (path[:2] == ("microcontroller", "fallback") and path[3] == "when")
    if path[:1] == ("schedule",):
        return len(path) == 3 and path[2] == "or_when"
    return len(path) == 3 and path[2] in _EXPRESSIONS.get(str(path[0]), ())


def lay_out(syntax: Syntax) -> list[Line]:
    """The lines of a file, top to bottom."""
    layout = _Layout(syntax)
    layout.place(syntax.root, _Spot("", "", 0, syntax.root.start, syntax.root.start, (), ()))
    return layout.lines


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a value goes: after `dashes` and the key `own`, which stands in column `at`."""

    dashes: str
    own: str
    at: int
    first: int
    key_end: int
    levels: tuple[Level, ...]
    path: Path
    spread: bool = False
    """It has to stand below, because another of its list does."""

    @property
    def lead(self) -> str:
        return (self.dashes + self.own).rstrip()

    @property
    def indent(self) -> int:
        return self.at - len(self.dashes)

    @property
    def room(self) -> int:
        """Columns left for the value on this line."""
        return WIDEST - self.indent - len(self.lead) - bool(self.lead)


@dataclass(slots=True)
class _Layout:
    syntax: Syntax
    lines: list[Line] = field(default_factory=list)

    def place(self, node: Node, spot: _Spot) -> None:
        if isinstance(node, Scalar):
            self._scalar(node, spot)
        elif not node.items:
            self._line(spot, node.end, text="[]" if node.keys is None else "{}")
        elif not spot.spread and self._fits(node, spot):
            self._flow(node, spot)
        else:
            self._block(node, spot)

    def _fits(self, node: Node, spot: _Spot) -> bool:
        """Whether a value that the author wrote on one line can stand on one."""
        if isinstance(node, Scalar) or not node.flow or self.syntax.comments_in(node):
            return False
        return len(self._flat(node, spot.path)) <= spot.room

    def _line(
        self,
        spot: _Spot,
        last: int,
        *,
        text: str = "",
        cells: tuple[tuple[str, str], ...] = (),
        tail: tuple[str, ...] = (),
    ) -> None:
        indent = " " * (spot.at + (_STEP if spot.own else 0))
        inside = tuple(indent + line if line else "" for line in tail)
        named = spot.path[:1] == ("let",) and len(spot.path) == 2 and bool(text or cells)
        line = Line(spot.indent, spot.lead, spot.first, last, spot.levels, text, cells, inside)
        line.keyed, line.named = bool(spot.own), named and not tail
        self.lines.append(line)

    def _scalar(self, node: Scalar, spot: _Spot) -> None:
        expression = is_expression(spot.path)
        value = canonical(node.value) if expression else node.value
        text = written(value, node.style, flow=False)
        block = literal(value) if "\n" in value else None
        if block is None and len(text) > spot.room:
            width = WIDEST - spot.at - _STEP
            block = folded(value, width, expression=expression)
        text, *tail = block or (text,)
        self._line(spot, node.end, text=text, tail=tuple(tail))

    def _flow(self, node: Group, spot: _Spot) -> None:
        if node.keys is None:
            self._line(spot, node.end, text=self._flat(node, spot.path))
            return
        cells = (
            (key.value, f"{_key(key, flow=True)}: {self._flat(item, (*spot.path, key.value))}")
            for key, item in zip(node.keys, node.items, strict=True)
        )
        self._line(spot, node.end, cells=tuple(cells))

    def _flat(self, node: Node, path: Path) -> str:
        """A value on one line, in flow style."""
        if isinstance(node, Scalar):
            value = canonical(node.value) if is_expression(path) else node.value
            return written(value, node.style, flow=True)
        if node.keys is None:
            return "[" + ", ".join(self._flat(item, (*path, i)) for i, item in enumerate(node.items)) + "]"
        pairs = zip(node.keys, node.items, strict=True)
        inside = (f"{_key(key, flow=True)}: {self._flat(item, (*path, key.value))}" for key, item in pairs)
        return "{" + ", ".join(inside) + "}"

    def _block(self, node: Group, spot: _Spot) -> None:
        at, dashes = spot.at, spot.dashes
        if spot.own:
            self._line(spot, spot.key_end)
            at, dashes = at + _STEP, ""
        level = Level(self.syntax.column(node.start), at, node.end, node.flow)
        levels = (*spot.levels, level)
        if node.keys is None:
            self._items(node.items, _Spot(dashes, "", at, node.start, node.start, levels, spot.path))
            return
        for key, item in zip(node.keys, node.items, strict=True):
            own = f"{_key(key, flow=False)}:"
            self.place(item, _Spot(dashes, own, at, key.start, key.end, levels, (*spot.path, key.value)))
            dashes = ""

    def _items(self, items: tuple[Node, ...], spot: _Spot) -> None:
        """The items of a list, each behind its dash. Where one mapping has to stand below, all do."""
        spots = [
            replace(
                spot,
                dashes=f"{spot.dashes if i == 0 else ''}- ",
                at=spot.at + _STEP,
                first=item.start,
                key_end=item.start,
                path=(*spot.path, i),
            )
            for i, item in enumerate(items)
        ]
        below = any(
            _is_record(item) and not self._fits(item, at) for item, at in zip(items, spots, strict=True)
        )
        for item, at in zip(items, spots, strict=True):
            self.place(item, replace(at, spread=below and _is_record(item)))


def _is_record(node: Node) -> bool:
    return isinstance(node, Group) and node.flow and bool(node.keys)


def _key(key: Scalar, *, flow: bool) -> str:
    # a key keeps its quotes where it would read as a number or a truth without them
    if key.value == "" or "\n" in key.value:
        return quoted(key.value)
    return written(key.value, key.style or '"', flow=flow)
