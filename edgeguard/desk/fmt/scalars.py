"""How one value of a policy file is written: plain where YAML allows it, in quotes where it does not.

Whatever is written here reads as the very same value; which values are expressions is the layout's to know.
"""

from __future__ import annotations

import re

from edgeguard.policy.scalars import read_plain

_START = re.compile(r"[-?:](?:\s|\Z)|[,\[\]{}#&*!|>'\"%@`]|---|\.\.\.")
_INSIDE = re.compile(r":(?:\s|\Z)|\s#|\s\Z|\A\s")
_FLOW = re.compile(r"[,\[\]{}:]|\A\?")
_DIGEST = re.compile("[0-9a-f]{64}")
_SHORT = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}
_FOLDABLE = re.compile(r"\S+(?: \S+)+")
_OPERATOR = re.compile(r" (?=(?:&&|\|\||\?|:) )")


def written(value: str, style: str, *, flow: bool) -> str:
    """A scalar on one line. `style`: the author's; of two kinds of quotes theirs stays, where there must be any."""
    if style == "" and not isinstance(read_plain(value).value, str):
        return value
    if _is_plain(value, flow=flow):
        return value
    return quoted(value, "'" if style == "'" or (style != '"' and "\\" in value) else '"')


def quoted(value: str, mark: str = '"') -> str:
    """A text in quotes; in double quotes where single ones cannot hold it."""
    if mark == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return '"' + "".join(_SHORT.get(c) or _escaped(c) for c in value) + '"'


def literal(value: str) -> tuple[str, ...] | None:
    """A text of several lines as a block: its sign, then its lines; None where only quotes can hold it."""
    body = value.removesuffix("\n")
    lines = body.split("\n")
    if len(lines) < 2 or not lines[0] or not lines[-1] or lines[0].startswith(" "):
        return None
    if any(line != line.rstrip() or not line.isprintable() for line in lines):
        return None
    return ("|" if value.endswith("\n") else "|-", *lines)


def folded(value: str, width: int, *, expression: bool) -> tuple[str, ...] | None:
    """A text too long for its line, in lines of at most `width`; None where a fold would change it.

    An expression breaks before an operator, other text between words.
    """
    if not _FOLDABLE.fullmatch(value) or not value.isprintable():
        return None
    lines: list[str] = []
    for piece in _OPERATOR.split(value) if expression else value.split(" "):
        if lines and len(lines[-1]) + 1 + len(piece) <= width:
            lines[-1] += f" {piece}"
        else:
            lines.append(piece)
    return (">-", *lines) if len(lines) > 1 else None


def _is_plain(value: str, *, flow: bool) -> bool:
    """In flow style a colon is quoted: older readers of YAML stop at it. A digest always is: it may be all digits."""
    if not value.isprintable() or _DIGEST.fullmatch(value):
        return False
    reading = read_plain(value)
    if reading.code or not isinstance(reading.value, str) or value == "<<":
        return False
    return not (_START.match(value) or _INSIDE.search(value) or (flow and _FLOW.search(value)))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
