"""Typed access to one JSON object of a signature, where a wrong or unknown field is a refusal.

Used by the two halves of the trust core. It knows no format; no field is ever coerced or given a default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from edgeguard.admission.reasons import Reason, refusal, shown


class Fields:
    """One JSON object at `where` in the file `path`; all its refusals have the same `reason` and `advice`."""

    __slots__ = ("_advice", "_path", "_reason", "_values", "_where")

    def __init__(self, value: object, where: str, reason: Reason, path: str, advice: str) -> None:
        self._where = where
        self._reason: Reason = reason
        self._path = path
        self._advice = advice
        if not isinstance(value, dict):
            raise self._refuse(where or "it", "is not an object")
        self._values = cast("dict[str, object]", value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def only(self, *required: str, optional: Sequence[str] = ()) -> None:
        """Refuse unless exactly the required fields, and at most the optional ones, are there."""
        for name in required:
            if name not in self._values:
                raise self._refuse(self._at(name), "is missing")
        for name in self._values:
            if name not in required and name not in optional:
                raise self._refuse(self._at(name), "is unknown")

    def text(self, name: str) -> str:
        """Return the text at `name`."""
        value = self._values.get(name)
        if not isinstance(value, str):
            raise self._refuse(self._at(name), "is not text")
        return value

    def items(self, name: str) -> list[object]:
        """Return the list at `name`."""
        value = self._values.get(name)
        if not isinstance(value, list):
            raise self._refuse(self._at(name), "is not a list")
        return cast("list[object]", value)

    def child(self, name: str) -> Fields:
        """Return the object at `name`."""
        return self._wrap(self._values.get(name), self._at(name))

    def children(self, name: str) -> Sequence[Fields]:
        """Return the list of objects at `name`."""
        return [self._wrap(value, f"{self._at(name)}[{i}]") for i, value in enumerate(self.items(name))]

    def _wrap(self, value: object, where: str) -> Fields:
        return Fields(value, where, self._reason, self._path, self._advice)

    def _at(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name

    def _refuse(self, where: str, what: str) -> Exception:
        return refusal(self._reason, self._path, f"`{shown(where)}` {what}: {self._advice}")
