"""From a JSON value to a dataclass, where an unknown key, a null or a wrong type is a problem, told in plain words.

Pure. It knows no format: what the values mean, and whether they fit together, is checked by who asks.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from edgeguard.admission.reasons import shown

Kind = TypeVar("Kind")


class ProblemError(Exception):
    """One thing that is wrong with the value, in words; the caller turns it into a refusal."""


def decode(value: Mapping[str, object], kind: type[Kind], below: Mapping[str, type]) -> Kind:
    """Make a dataclass of an object. `below`: the dataclasses of its parts, at any depth, by the key they stand under.

    Raises:
        ProblemError: with the first thing that is wrong.
    """
    _refuse_unknown(value, kind, below, "")
    try:
        return msgspec.convert(value, kind)  # strict, as it is unless told otherwise
    except msgspec.ValidationError as error:
        raise ProblemError(_in_words(str(error))) from None


def _refuse_unknown(value: object, kind: type, below: Mapping[str, type], where: str) -> None:
    if not isinstance(value, dict):
        return
    known = [field.name for field in dataclasses.fields(kind)]
    for key, item in value.items():
        if key not in known:
            close = difflib.get_close_matches(key, known)
            hint = f", did you mean `{where}{close[0]}`?" if close else ""
            raise ProblemError(f"unknown key `{where}{shown(key)}`{hint}")
        if item is None:
            raise ProblemError(f"`{where}{key}` is null: give it a value, or leave the key out")
        if key in below:
            parts = item if isinstance(item, list) else [item]
            for i, part in enumerate(parts):
                place = f"{where}{key}[{i}]." if isinstance(item, list) else f"{where}{key}."
                _refuse_unknown(part, below[key], below, place)


_WORDS = {
    "int": "whole number",
    "float": "number",
    "str": "text",
    "bool": "true or false",
    "array": "list",
    "object": "object",
    "null": "nothing",
}
_TYPES = re.compile(r"`(\w+(?: \| \w+)*)`")


def _in_words(message: str) -> str:
    """Turn the decoder's message into the words of the format."""
    text, _, place = message.partition(" - at ")
    where = place[3:-1]  # of "`$.input.shape`"
    if text.startswith("Expected"):
        text = text.replace(" | null", "").replace("of length >= 1", "that is not empty")
        text = _TYPES.sub(lambda m: " or ".join(_WORDS.get(t, t) for t in m[1].split(" | ")), text)
    text = text.replace("Object missing required field", "missing key")
    return text[0].lower() + text[1:] + (f" at `{where}`" if where else "")
