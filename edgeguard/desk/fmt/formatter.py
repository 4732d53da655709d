"""Formats a policy file: the same policy, every comment kept, laid out in the one way. Opens no file.

What comes out is read again and compared with what went in: a fault here may never change a policy.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgeguard.desk.fmt.align import align, comment_columns
from edgeguard.desk.fmt.layout import is_expression, lay_out
from edgeguard.desk.fmt.lines import Line, Paragraph
from edgeguard.desk.fmt.syntax import Syntax, parse_syntax
from edgeguard.desk.fmt.weave import weave
from edgeguard.desk.unparse import same_expression
from edgeguard.errors import EdgeguardError, PolicyError, UsageError
from edgeguard.policy.diagnostics import Report
from edgeguard.policy.reader import MOST_BYTES, read
from edgeguard.policy.source import Path, Value


def format_policy(data: bytes, *, file: str) -> str:
    """The formatted text of a policy file; `file` is only for messages.

    The policy need not be valid, but it must read: mistakes in its meaning are no obstacle.

    Raises:
        PolicyError: it is not one mapping in the strict subset of YAML, with every finding.
        UsageError: formatted, it would be larger than a policy may be.
        EdgeguardError: it cannot be laid out without changing it.
    """
    values, syntax = _read(data, file)
    text = "".join(f"{line}\n" for line in _lines(syntax))
    if len(text.encode()) > MOST_BYTES:
        raise UsageError(
            f"{file}: formatted, it would be more than the {MOST_BYTES} bytes allowed; nothing is written"
        )
    if not _same(data, text, values, syntax, file):
        message = (
            f"{file}: cannot be formatted without changing what it says; nothing is written. Please report it"
        )
        raise EdgeguardError(message)
    return text


def _read(data: bytes, file: str) -> tuple[Mapping[str, Value], Syntax]:
    report = Report(file)
    values, source = read(data, report)
    report.raise_if_any()
    return values, parse_syntax(source.text)


def _lines(syntax: Syntax) -> list[str]:
    result: list[str] = []
    for paragraph in weave(syntax, lay_out(syntax)):
        align(paragraph)
        if result:
            result.append("")
        result += _render(paragraph)
    return result


def _render(paragraph: Paragraph) -> list[str]:
    columns = iter(comment_columns(paragraph))
    result: list[str] = []
    for part in paragraph.parts:
        if isinstance(part, Line):
            text = part.render()
            result.append(f"{text:<{next(columns)}}{part.comment}" if part.comment else text)
            result += part.tail
        else:
            result.append(" " * part.indent + part.text)
    return result


def _same(data: bytes, text: str, values: Mapping[str, Value], before: Syntax, file: str) -> bool:
    if text.encode() == data:
        return True
    try:
        after, syntax = _read(text.encode(), file)
    except PolicyError:
        return False
    return _equal(values, after, ()) and [c.text for c in before.comments] == [
        c.text for c in syntax.comments
    ]


def _equal(one: Value, other: Value, path: Path) -> bool:
    """Whether two values are the same, with keys in the same order and expressions compared as trees."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        keys = list(one)
        return keys == list(other) and all(_equal(one[k], other[k], (*path, k)) for k in keys)
    if isinstance(one, tuple) and isinstance(other, tuple):
        pairs = enumerate(zip(one, other, strict=False))
        return len(one) == len(other) and all(_equal(a, b, (*path, i)) for i, (a, b) in pairs)
    if isinstance(one, str) and isinstance(other, str) and is_expression(path):
        return same_expression(one, other)
    return type(one) is type(other) and one == other
