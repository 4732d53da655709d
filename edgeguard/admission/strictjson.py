"""JSON as a verifier must read it: one meaning for one text, or a refusal.

Pure: bytes in, plain values out. Duplicate keys, NaN, endless numbers, deep nesting and lone surrogates are refused;
no input, however hostile, may end in a traceback.
"""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

MAX_DEPTH = 32
MAX_DIGITS = 40

# A string that does not end reaches to the end of the text: each quote then matches, and the search stays linear.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


class NotStrictError(Exception):
    """The text is not JSON with a single meaning. The message says why; the caller turns it into a refusal."""


def outside_strings(data: bytes) -> bytes:
    """Return the text with every string literal emptied: only structure, numbers, literals and white space remain."""
    return _STRING.sub(b'""', data)


def parse(data: bytes) -> object:
    """Parse one JSON document.

    Raises:
        NotStrictError: with the reason in words.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotStrictError(f"it is not UTF-8 text (byte {error.start})") from None
    _check_depth(data)
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_whole_number,
            parse_float=_number,
            parse_constant=_constant,
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise NotStrictError(f"it is not JSON (line {error.lineno}, column {error.colno})") from None
    except UnicodeEncodeError:
        raise NotStrictError("it holds half a surrogate pair, which is no character") from None
    return value


def _check_depth(data: bytes) -> None:
    depth = 0
    for bracket in _BRACKET.finditer(outside_strings(data)):
        depth += 1 if bracket.group() in (b"[", b"{") else -1
        if depth > MAX_DEPTH:
            raise NotStrictError(f"it is nested deeper than {MAX_DEPTH} levels")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in pairs:
        if key in result:
            raise NotStrictError(f"the key {json.dumps(key[:80])} occurs twice in one object")
        result[key] = value
    return result


def _whole_number(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise NotStrictError(f"it holds a number of more than {MAX_DIGITS} digits")
    return int(digits)


def _number(digits: str) -> float:
    if len(digits) > MAX_DIGITS:
        raise NotStrictError(f"it holds a number of more than {MAX_DIGITS} digits")
    number = float(digits)
    if math.isinf(number):
        raise NotStrictError(f"`{digits}` is larger than any number it could be read as")
    return number


def _constant(name: str) -> NoReturn:
    raise NotStrictError(f"`{name}` is not a JSON number")
