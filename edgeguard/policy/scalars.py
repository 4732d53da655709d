"""What one plain YAML scalar means: true, false, a decimal number, or text. Everything else is refused.

YAML readers disagree about `no`, `010`, `1_000`, `12:30:45` and `~`; here such a value is a finding, never a guess.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
LONGEST_NUMBER = 40

_WORDS = frozenset({
    "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "=", ".inf", "+.inf", "-.inf", ".nan",
})  # fmt: skip
_AMBIGUOUS = re.compile(
    r"""(?:
      [-+]?0[0-9_]+(?:\.[0-9_]*)?           # 010: octal here, decimal there
    | [-+]?0[xob][0-9a-fA-F_]+              # 0x1F, 0o17, 0b11
    | [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?   # 12:30:45: sexagesimal
    | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt\ ].*)?        # a date
    | \+[0-9.].*                            # +5
    | [-+]?\.[0-9_]+(?:[eE][-+]?[0-9]+)?    # .5
    | [-+]?[0-9][0-9_]*\.(?:[eE][-+]?[0-9]+)?            # 5.
    | [-+]?[0-9]+_[0-9_]*(?:\.[0-9_]*)?     # 1_000
    )\Z""",
    re.VERBOSE,
)

Scalar = str | int | float | bool


class Reading(NamedTuple):
    """A scalar's value, or the code, message and hint of why it has none."""

    value: Scalar
    code: str = ""
    message: str = ""
    hint: str = ""


def read_plain(text: str) -> Reading:
    """The value of an unquoted scalar."""
    if text in ("true", "false"):
        return Reading(text == "true")
    if not text:
        return Reading("", "EG1011", "there is no value here", "write the value, or remove the key")
    if DECIMAL.match(text):
        return _number(text)
    if text.lower() in _WORDS or _AMBIGUOUS.match(text):
        return Reading(text, "EG1011", f"YAML readers understand `{text[:40]}` differently", _advice(text))
    return Reading(text)


def _number(text: str) -> Reading:
    value = float(text) if len(text) <= LONGEST_NUMBER else math.inf
    if not math.isfinite(value):
        return Reading(0, "EG1014", f"`{text[:40]}` is too large or too long a number")
    return Reading(int(text) if INTEGER.match(text) else value)


def _advice(text: str) -> str:
    low = text.lower()
    if low in ("yes", "on", "y", "true"):
        return "write `true`, or put it in quotes if it is text"
    if low in ("no", "off", "n", "false"):
        return "write `false`, or put it in quotes if it is text"
    if low.lstrip("+-") in (".inf", ".nan"):
        return "write `inf` for an open end of a range; not a number is never allowed"
    return "write a plain decimal number, or put it in quotes if it is text"
