"""Cuts the text of an expression into tokens. Knows characters and numbers, nothing of grammar.

Nothing is skipped but white space: any other character that is not part of a token is a finding.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<op>&&|\|\||<=|>=|==|!=|[-+*/<>!?:().,\[\]])
    )""",
    re.VERBOSE | re.ASCII,
)
_AFTER_NUMBER = re.compile(r"[A-Za-z0-9_.]", re.ASCII)

_SPACE = " \t\n\r\f\v"
_INSTEAD = {
    "&": "write `&&` for and",
    "|": "write `||` for or",
    "=": "write `==` to compare",
    "%": "there is no remainder in this language",
    "^": "there is no power in this language",
    '"': "there is no text in expressions: compare numbers",
    "'": "there is no text in expressions: compare numbers",
}


class Token(NamedTuple):
    """One token. `kind`: `number`, `name`, `op`, or `end` past the last; `at`, `end`: offsets into the text."""

    kind: str
    text: str
    at: int
    end: int


class Problem(NamedTuple):
    """Why an expression is not accepted: code, message, offset into its text, hint."""

    code: str
    message: str
    at: int
    hint: str = ""


def tokenize(text: str) -> tuple[Token, ...] | Problem:
    """All tokens and one of kind `end`, or the first problem."""
    found: list[Token] = []
    at = 0
    while match := _TOKEN.match(text, at):
        kind = str(match.lastgroup)
        token = Token(kind, match[kind], match.start(kind), match.end(kind))
        if kind == "number" and _AFTER_NUMBER.match(text, token.end):
            return Problem(
                "EG1201",
                f"`{token.text}{text[token.end]}` is not a number",
                token.at,
                "write a plain decimal number",
            )
        if kind == "number" and (len(token.text) > 40 or float(token.text) == math.inf):
            return Problem("EG1206", f"`{token.text[:40]}` is too large or too long a number", token.at)
        found.append(token)
        at = token.end
    at += len(text[at:]) - len(text[at:].lstrip(_SPACE))
    return _strange(text, at) if at < len(text) else _closed(found, text)


def _closed(found: list[Token], text: str) -> tuple[Token, ...]:
    return (*found, Token("end", "", len(text.rstrip()), len(text)))


def _strange(text: str, at: int) -> Problem:
    spot = text[at]
    shown = spot if spot.isprintable() else f"U+{ord(spot):04X}"
    hint = _INSTEAD.get(spot, "")
    return Problem("EG1201", f"`{shown}` has no meaning here", at, hint)
