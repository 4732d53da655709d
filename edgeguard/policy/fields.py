"""The kinds of single values in a policy: names, durations, spans, rates, ranges, commands.

Each is a plain Python type with a validator that speaks the policy author's language; no section is known here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from edgeguard.decision.table import Span
from edgeguard.policy import units
from edgeguard.policy.diagnostics import suggest
from edgeguard.policy.dimension import (
    LONGEST_UNIT,
    OTHERWISE_CALLED,
    UNITS,
    UnknownUnitError,
    parse_unit,
)

LONGEST_DURATION = 86_400.0

LEAST_MEMORY = 64 * 2**20
LEAST_TENSORS = 2**20
MOST_MEMORY = 2**40
MOST_OPSET = 99
LONGEST_PLACE = 1024

_OPERATOR = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*::)?[A-Za-z_][A-Za-z0-9_]*")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]+:")
_KEY_HELP = "write a path, `tpm:PATH` or `pkcs11:…`"


def _fail(code: str, message: str, hint: str = "") -> PydanticCustomError:
    """The one way a field says no: the code is the error's type, the hint travels in its context."""
    return PydanticCustomError(code, "{message}", {"message": message, "hint": hint})


def _text(value: object, kind: str, hint: str) -> str:
    if isinstance(value, str):
        return value
    raise _fail(
        "EG1105",
        f"`{value}` is not {kind}" if isinstance(value, (int, float)) else f"this is not {kind}",
        hint,
    )


def _digest(value: object) -> str:
    hint = "in quotes, as `edgeguard keys show` prints it for a key and `edgeguard inspect` for a bundle"
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        shown = f"`{str(value)[:40]}`" if isinstance(value, (str, int, float)) else "this"
        raise _fail("EG1106", f"{shown} is not a sha-256 of 64 hex digits", hint)
    return value


def _duration(value: object) -> float:
    text = _text(value, "a duration", units.DURATION_HELP)
    seconds = units.duration(text)
    if seconds is None:
        raise _fail("EG1105", f"`{text[:40]}` is not a duration", units.DURATION_HELP)
    if not 0.0 < seconds <= LONGEST_DURATION:
        raise _fail("EG1106", f"`{text[:40]}` is not between 0 and one day")
    return seconds


def _span(value: object) -> Span:
    text = _text(value, "a span", units.SPAN_HELP)
    found = units.span(text)
    if found is None:
        raise _fail("EG1105", f"`{text[:40]}` is not a span", units.SPAN_HELP)
    if found.seconds > LONGEST_DURATION or not (found.frames or found.seconds):
        raise _fail("EG1106", f"`{text[:40]}` is not between 0 and one day")
    return found


def _rate(value: object) -> float:
    text = _text(value, "a rate", units.RATE_HELP)
    found = units.rate(text)
    if found is None:
        raise _fail("EG1105", f"`{text[:40]}` is not a rate", units.RATE_HELP)
    if found <= 0.0:
        raise _fail("EG1106", "a rate of zero would hold the actuator where it is for ever")
    return found


def _bound(value: object) -> float:
    if value in ("inf", "-inf"):
        return math.inf if value == "inf" else -math.inf
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _fail("EG1103", "a range is two numbers, like `[0, 1]`", "an open end is `inf` or `-inf`")
    return float(value)


def _limits(value: object) -> tuple[float, float]:
    if not isinstance(value, tuple) or len(value) != 2:
        raise _fail("EG1103", "a range is two numbers, like `[0, 1]`", "an open end is `inf` or `-inf`")
    low, high = _bound(value[0]), _bound(value[1])
    if not low < high:
        raise _fail(
            "EG1106", f"the range from {low:g} to {high:g} is empty", "write the smaller number first"
        )
    return low, high


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _given(value: object) -> object:
    if isinstance(value, (tuple, Mapping)):
        hint = "as a number, `true`, `false` or a label, or as `missing`, `stale` or `nan`"
        raise _fail("EG1103", "a signal is given as one value", hint)
    return value


def _meaning(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        hint = "write an expression, a number, or `{is: 5.0, unit: m/s2}`"
        raise _fail("EG1103", "this cannot have a name", hint)
    return value


def _part(value: object) -> float:
    """`0.005` or `0.5%`."""
    found = units.percent(value) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise _fail("EG1103", "this must be a number between 0 and 1", units.PERCENT_HELP)
    return float(found)


def _share(value: object) -> float:
    found = _part(value)
    if not 0.0 < found < 1.0:
        raise _fail("EG1106", f"`{value}` is not between 0 and 1", "both ends are excluded")
    return found


def _bound_of(value: object) -> float:
    found = _part(value)
    if not 0.0 <= found <= 1.0:
        raise _fail("EG1106", f"`{value}` is not from 0 to 1", units.PERCENT_HELP)
    return found


def _frames(value: object) -> int:
    text = _text(value, "a number of frames", units.FRAMES_HELP)
    found = units.frames(text)
    if found is None:
        raise _fail("EG1105", f"`{text[:40]}` is not a number of frames", units.FRAMES_HELP)
    return found


def _amount(value: object, least: int, hint: str = "") -> int:
    text = _text(value, "an amount of memory", units.MEMORY_HELP)
    found = units.memory(text)
    if found is None:
        raise _fail("EG1105", f"`{text[:40]}` is not an amount of memory", units.MEMORY_HELP)
    if not least <= found <= MOST_MEMORY:
        allowed = f"between {units.memory_text(least)} and {units.memory_text(MOST_MEMORY)}"
        raise _fail("EG1106", f"`{text[:40]}` is not {allowed}", hint)
    return found


def _memory(value: object) -> int:
    return _amount(value, LEAST_MEMORY, "a runtime alone needs as much")


def _tensors(value: object) -> int:
    return _amount(value, LEAST_TENSORS)


def _opset(value: object) -> tuple[int, int]:
    if not isinstance(value, tuple) or [type(part) for part in value] != [int, int]:
        hint = "the lowest and the highest version of the standard operators"
        raise _fail("EG1103", "this must be two whole numbers, like `[11, 21]`", hint)
    low, high = value
    if low > high:
        raise _fail("EG1106", f"there is no version from {low} to {high}", "write the smaller number first")
    if not 1 <= low <= high <= MOST_OPSET:
        raise _fail("EG1106", f"versions of operators go from 1 to {MOST_OPSET}")
    return low, high


def _operator(value: object) -> str:
    hint = "write `Name`, or `domain::Name` for one that is not of the standard"
    if not isinstance(value, str) or len(value) > 128 or not _OPERATOR.fullmatch(value):
        shown = f"`{str(value)[:40]}`" if isinstance(value, (str, int, float)) else "this"
        raise _fail("EG1106", f"{shown} is not the name of an operator", hint)
    return value


def _key_place(value: object) -> str:
    text = _text(value, "a place where a key is kept", _KEY_HELP)
    scheme, colon, rest = text.partition(":")
    known = bool(colon) and scheme in ("tpm", "pkcs11")
    if not 0 < len(text) <= LONGEST_PLACE or (not rest if known else _ELSEWHERE.match(text)):
        raise _fail("EG1106", f"`{text[:40]}` is not a place where a key is kept", _KEY_HELP)
    return text


def _toggle(value: object) -> bool:
    if not isinstance(value, bool):
        raise _fail("EG1103", "this must be `true` or `false`", "without quotes")
    return value


def _unit(value: object) -> str:
    if not isinstance(value, str):
        raise _fail("EG1103", "a unit is text", "like `m/s` or `ms`")
    if len(value) > LONGEST_UNIT:
        raise _fail("EG1106", f"a unit has at most {LONGEST_UNIT} characters")
    try:
        parse_unit(value)
    except UnknownUnitError as error:
        raise _fail("EG1110", f"`{error.symbol}` is not a known unit", _near(error.symbol)) from None
    return value


def _near(symbol: str) -> str:
    if symbol in OTHERWISE_CALLED:
        return f"write `{OTHERWISE_CALLED[symbol]}`"
    return suggest(symbol, UNITS) or "like `m/s`, `m/s2`, `ms`, `N*m`; leave it out for a plain number"


def _cleared(value: object) -> object:
    if isinstance(value, str):
        hint = (
            "write `clear: {when: CONDITION, for: SPAN}`, and `latch: true` to wait for the operator besides"
        )
        raise _fail("EG1103", "this is not a condition to clear by", hint)
    return value


Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
"""A name that expressions can use."""
SensorName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=32)]
"""A name that the microcontroller's own rules can use."""
Label = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=64)]
"""A name that people read: of a policy, a rule, a worker."""
Digest = Annotated[str, BeforeValidator(_digest)]
"""A SHA-256 in hex, of a key, a certificate, a file or a bundle."""
Text = Annotated[str, Field(min_length=1, max_length=1024)]
Expression = str
Duration = Annotated[float, BeforeValidator(_duration)]
"""Seconds, more than 0."""
SpanField = Annotated[Span, BeforeValidator(_span)]
Rate = Annotated[float, BeforeValidator(_rate)]
Limits = Annotated[tuple[float, float], BeforeValidator(_limits)]
OneOrMore = Annotated[
    tuple[Identifier, ...],
    BeforeValidator(_one_or_more),
    Field(min_length=1, max_length=16),
]
Frames = Annotated[int, BeforeValidator(_frames)]
"""A number of frames, at least 1."""
Memory = Annotated[int, BeforeValidator(_memory)]
"""Bytes."""
TensorMemory = Annotated[int, BeforeValidator(_tensors)]
"""Bytes."""
Opset = Annotated[tuple[int, int], BeforeValidator(_opset)]
"""Lowest and highest version of the standard operators."""
Operator = Annotated[str, BeforeValidator(_operator)]
"""`Name` or `domain::Name`."""
KeyPlace = Annotated[str, BeforeValidator(_key_place)]
"""A path, `tpm:PATH` or `pkcs11:...`."""
Choice = Literal["frame", "context", "link", "runtime"]
Command = Annotated[Mapping[Identifier, float], Field(min_length=1)]
Given = Annotated[float | bool | str, BeforeValidator(_given)]
"""What a signal is given as: a number, a truth, or a word (a label, `missing`, `stale`, `nan`)."""
Meaning = Annotated[str | float, BeforeValidator(_meaning)]
"""What a name stands for: an expression, or a number, which is one too."""
NotAWord = BeforeValidator(_cleared)
"""For `clear`: says what to write instead of a word."""
Share = Annotated[float, BeforeValidator(_share)]
"""More than 0, less than 1."""
Bound = Annotated[float, BeforeValidator(_bound_of)]
"""From 0 to 1."""
Toggle = Annotated[bool, BeforeValidator(_toggle)]
UnitText = Annotated[str, BeforeValidator(_unit)]
"""A unit that `dimension.parse_unit` reads; empty: a plain number."""
