"""Strict JSON: one object, no duplicate keys, finite numbers, every field of the stated kind. For signed side files.

Bytes in, checked values out; opens nothing. What does not fit is refused with the name of the key.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NoReturn

from edgeguard.errors import ContractError

MOST_BYTES = 256 * 1024

_MOST = 2**53
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")


def read_object(data: bytes, file: str) -> dict[str, object]:
    """One JSON object without duplicate keys, constants that are no numbers, or deep nesting."""
    if len(data) > MOST_BYTES:
        raise ContractError(f"{file}: the calibration is larger than {MOST_BYTES} bytes")

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(items)
        if len(found) != len(items):
            raise ContractError(f"{file}: the calibration has the same key twice")
        return found

    def constant(word: str) -> NoReturn:
        raise ContractError(f"{file}: `{word}` is not a number that a calibration may hold")

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant)
    except UnicodeDecodeError:
        raise ContractError(f"{file}: the calibration is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ContractError(f"{file}:{error.lineno}:{error.colno}: the calibration is not JSON") from None
    except (RecursionError, ValueError):
        raise ContractError(
            f"{file}: the calibration is nested too deeply or holds too long a number"
        ) from None
    if not isinstance(value, dict):
        raise ContractError(f"{file}: a calibration is one JSON object")
    return value


@dataclass(frozen=True, slots=True)
class Fields:
    """Typed access to a JSON object; every mismatch is a ContractError that names the key by its path from the top."""

    values: dict[str, object]
    file: str
    at: str = ""
    """Path of this object; empty: the top."""

    def refuse(self, message: str) -> NoReturn:
        """Raises: ContractError, always: the file, the message and what to do."""
        raise ContractError(f"{self.file}: {message}; calibrate again with `edgeguard calibrate`")

    def path(self, key: str) -> str:
        """What to call a key of this object in a message."""
        return f"`{self.at}.{key[:60]}`" if self.at else f"`{key[:60]}`"

    def only(self, known: Collection[str]) -> None:
        """Refuse any other key."""
        unknown = sorted(set(self.values) - set(known))
        if unknown:
            self.refuse(f"{self.path(unknown[0])} is not a known key")

    def get(self, key: str) -> object:
        """The value of a key that must be there."""
        if key not in self.values:
            self.refuse(f"{self.path(key)} is missing")
        return self.values[key]

    def text(self, key: str) -> str:
        """A string."""
        value = self.get(key)
        if not isinstance(value, str):
            self.refuse(f"{self.path(key)} must be text")
        return value

    def whole(self, key: str, least: int) -> int:
        """A whole number that a float can hold."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            self.refuse(f"{self.path(key)} must be a whole number of at least {least}")
        if value > _MOST:
            self.refuse(f"{self.path(key)} must be at most {_MOST}")
        return value

    def share(self, key: str) -> float:
        """At least 0 and below 1."""
        value = self.number(key)
        if not 0.0 <= value < 1.0:
            self.refuse(f"{self.path(key)} must be at least 0 and below 1")
        return value

    def within(self, key: str, low: float, high: float) -> float:
        """A number from `low` to `high`, both included."""
        value = self.number(key)
        if not low <= value <= high:
            self.refuse(f"{self.path(key)} must be from {low:g} to {high:g}")
        return value

    def number(self, key: str) -> float:
        """A finite number."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.refuse(f"{self.path(key)} must be a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self.refuse(f"{self.path(key)} must be a finite number")
        return number

    def inner(self, key: str) -> Fields:
        """An object."""
        return Fields(self._object(self.get(key), key), self.file, self.path(key).strip("`"))

    def rows(self, key: str, most: int) -> Iterator[Fields]:
        """A list of at most so many objects."""
        value = self.get(key)
        if not isinstance(value, list) or len(value) > most:
            self.refuse(f"{self.path(key)} must be a list of at most {most} objects")
        for i, row in enumerate(value):
            name = f"{key}[{i}]"
            yield Fields(self._object(row, name), self.file, self.path(name).strip("`"))

    def numbers(self, key: str) -> dict[str, float]:
        """An object from names of signals to finite numbers."""
        inner = self.inner(key)
        for name in inner.values:
            if not _NAME.match(name):
                self.refuse(f"{inner.path(name)} is not a signal's name")
        return {name: inner.number(name) for name in inner.values}

    def digests(self, key: str) -> dict[str, str]:
        """An object from roles to SHA-256 digests in hex."""
        inner = self.inner(key)
        found = {}
        for role in inner.values:
            value = inner.get(role)
            if not isinstance(value, str) or not _DIGEST.match(value):
                self.refuse(f"the digest of `{role[:60]}` in `{inner.at}` must be 64 hexadecimal digits")
            found[role] = value
        return found

    def _object(self, value: object, key: str) -> dict[str, object]:
        if not isinstance(value, dict):
            self.refuse(f"{self.path(key)} must be an object")
        return value
