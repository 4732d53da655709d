"""Where everything in a policy file stands: the position of every key, value and character of an expression.

Built once by the reader, read by every later stage; computes positions and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeguard.policy.diagnostics import START, Place

Path = tuple[str | int, ...]
"""The way from the root to a value: keys of mappings, indices of sequences."""

Value = str | int | float | bool | tuple["Value", ...] | Mapping[str, "Value"]
"""What a policy file can hold, once read."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where everything stands. `keys` holds the place of a mapping's key, `values` that of its value."""

    file: str
    text: str
    values: Mapping[Path, Place]
    keys: Mapping[Path, Place]
    texts: Mapping[Path, tuple[int, int, str]]
    """Of each text scalar: the offset of its first character in `text`, one past its last, and what it says."""
    tainted: frozenset[Path]
    """Values about which there already is a finding."""

    def key(self, path: Path) -> Place:
        """Place of the key that leads to `path`, or of the nearest thing around it."""
        return self.keys.get(path) or self.value(path)

    def value(self, path: Path) -> Place:
        """Place of the value at `path`, or of the nearest value around it."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, START)

    def inside(self, path: Path, offset: int) -> Place:
        """Place of character `offset` of the text at `path`, through quotes, folds and line breaks.

        Folding only changes white space, so the n-th visible character of the value is the n-th visible one of
        the source. With escapes that is not so: then the start of the value is the answer.
        """
        first, end, value = self.texts.get(path, (0, 0, ""))
        raw = self.text[first:end]
        if raw[:1] in ("|", ">"):
            first += raw.find("\n") + 1
        elif raw[:1] in ("'", '"'):
            first += 1
        visible = len("".join(value[:offset].split()))
        if not value or "".join(self.text[first:end].split()).rstrip("'\"") != "".join(value.split()).rstrip(
            "'\""
        ):
            return self.value(path)
        spots = [i for i in range(first, end) if not self.text[i].isspace()]
        at = spots[visible] if visible < len(spots) else end
        return place_of(self.text, min(at, end))


def place_of(text: str, offset: int) -> Place:
    """Line and column of character `offset` of `text`."""
    line = text.count("\n", 0, offset) + 1
    return Place(line, offset - text.rfind("\n", 0, offset))
