"""Strict YAML: bytes in, plain values and the position of every one of them out.

Built on the parser's event stream, never on a constructor: no anchors, tags, merge keys, second documents,
duplicate keys or implicit types, and nothing recursive that a hostile file could exhaust.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import yaml

from edgeguard.policy.diagnostics import START, Place, Report, quote
from edgeguard.policy.scalars import read_plain
from edgeguard.policy.source import Path, Source, Value, place_of

MOST_BYTES = 256 * 1024
MOST_DEPTH = 16
MOST_VALUES = 50_000


class Mark(Protocol):
    """A position as the parser gives it, counted from 0."""

    @property
    def line(self) -> int:
        """Lines before it."""

    @property
    def column(self) -> int:
        """Characters before it in its line."""


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SPOTS = re.compile("[^\t\n\r\x20-\x7e]|\r(?!\n)")


@dataclass(slots=True)
class _Open:
    """A mapping or sequence whose end has not come yet."""

    path: Path
    items: list[Value] | None
    pairs: dict[str, Value] | None
    key: str | None = None


@dataclass(slots=True)
class _Builder:
    """Turns events into values; knows nothing about policies."""

    report: Report
    text: str
    starts: list[int]
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    texts: dict[Path, tuple[int, int, str]] = field(default_factory=dict)
    tainted: set[Path] = field(default_factory=set)
    stack: list[_Open] = field(default_factory=list)
    root: Value | None = None
    documents: int = 0
    ignored: int = 0

    def take(self, event: yaml.Event) -> bool:
        """Use one event. False: stop reading."""
        place = _at(event.start_mark)
        if isinstance(event, yaml.DocumentStartEvent):
            return self._document(event, place)
        if isinstance(event, yaml.AliasEvent):
            self.report.add("EG1006", f"alias `*{quote(event.anchor)[1:]}", place, "write the value out")
            return self._scalar("?", place, None, tainted=True)
        tagged = isinstance(event, yaml.NodeEvent) and self._tagged(event, place)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event.value, place, event, tainted=tagged)
        if isinstance(event, yaml.CollectionStartEvent):
            return self._open(mapping=isinstance(event, yaml.MappingStartEvent), place=place, tainted=tagged)
        if isinstance(event, yaml.CollectionEndEvent):
            self._close()
        return True

    def _document(self, event: yaml.DocumentStartEvent, place: Place) -> bool:
        self.documents += 1
        if event.version or event.tags:
            self.report.add("EG1007", "a `%` directive", place, "remove it: the language has no directives")
        if self.documents > 1:
            self.report.add("EG1009", "a second document starts here", place, "one policy per file")
        return self.documents == 1

    def _tagged(self, event: yaml.NodeEvent, place: Place) -> bool:
        """Report what hangs on a value. True: a tag, so that its kind cannot be judged."""
        if event.anchor is not None:
            hint = "write the value out where it is used"
            self.report.add("EG1006", f"anchor `&{quote(event.anchor)[1:]}", place, hint)
        tag = getattr(event, "tag", None)
        if tag is not None:
            hint = "remove it: the kind of a value follows from its key"
            self.report.add("EG1007", f"tag {quote(tag)}", place, hint)
        return tag is not None

    def _open(self, *, mapping: bool, place: Place, tainted: bool) -> bool:
        top = self.stack[-1] if self.stack else None
        if top is not None and top.pairs is not None and top.key is None and not self.ignored:
            self.report.add("EG1012", "a key must be a plain name", place)
            self.ignored = 1
            return True
        if self.ignored:
            self.ignored += 1
            return self.ignored <= MOST_DEPTH or self._too_much(place)
        path = self._next_path()
        if len(self.stack) >= MOST_DEPTH:
            return self._too_much(place)
        self.values[path] = place
        if tainted:
            self.tainted.add(path)
        self.stack.append(_Open(path, None if mapping else [], {} if mapping else None))
        return len(self.values) <= MOST_VALUES or self._too_much(place)

    def _too_much(self, place: Place) -> bool:
        message = f"nested deeper than {MOST_DEPTH} levels, or more than {MOST_VALUES} values"
        self.report.add("EG1010", message, place)
        return False

    def _close(self) -> None:
        if self.ignored:
            self.ignored -= 1
            if not self.ignored:
                self.stack[-1].key = "?"
                self.tainted.add((*self.stack[-1].path, "?"))
            return
        done = self.stack.pop()
        self._put(done.pairs if done.pairs is not None else tuple(done.items or ()))

    def _scalar(self, text: str, place: Place, event: yaml.ScalarEvent | None, *, tainted: bool) -> bool:
        if self.ignored:
            return True
        plain = event is not None and event.style in (None, "")
        top = self.stack[-1] if self.stack else None
        if top is not None and top.pairs is not None and top.key is None:
            self._key(top, top.pairs, text, place, plain=plain)
            if tainted:
                self.tainted.add((*top.path, text))
            return True
        path = self._next_path()
        self.values[path] = place
        value: Value = text
        if event is not None:
            self.texts[path] = (self._offset(event.start_mark), self._offset(event.end_mark), text)
        if plain:
            value, code, message, hint = read_plain(text)
            if code:
                self.report.add(code, message, place, hint)
                tainted = True
        if tainted:
            self.tainted.add(path)
        self._put(value)
        return len(self.values) <= MOST_VALUES or self._too_much(place)

    def _key(self, top: _Open, pairs: dict[str, Value], text: str, place: Place, *, plain: bool) -> None:
        top.key = text
        path = (*top.path, text)
        if plain and text == "<<":
            self.report.add("EG1008", "merge key `<<`", place, "write the keys out")
        elif plain and not isinstance(read_plain(text).value, str):
            self.report.add("EG1012", f"key {quote(text)} is not a name", place)
        elif text in pairs:
            hint = f"the first is at line {self.keys[path].line}"
            self.report.add("EG1005", f"key {quote(text)} stands here a second time", place, hint)
        else:
            self.keys[path] = place
            return
        self.keys.setdefault(path, place)
        self.tainted.add(path)

    def _next_path(self) -> Path:
        if not self.stack:
            return ()
        top = self.stack[-1]
        return (*top.path, len(top.items) if top.items is not None else top.key or "")

    def _put(self, value: Value) -> None:
        if not self.stack:
            self.root = value
            return
        top = self.stack[-1]
        if top.items is not None:
            top.items.append(value)
        elif top.pairs is not None:
            top.pairs.setdefault(top.key or "", value)
            top.key = None

    def _offset(self, mark: Mark | None) -> int:
        place = _at(mark)
        return min(self.starts[min(place.line, len(self.starts)) - 1] + place.column - 1, len(self.text))


def read(data: bytes, report: Report) -> tuple[Mapping[str, Value], Source]:
    """The file's one mapping and its positions. What is wrong but readable goes into `report`.

    Raises:
        PolicyError: the bytes are not one YAML mapping at all.
    """
    text = _decode(data, report)
    builder = _Builder(report, text, _line_starts(text))
    try:
        for event in _events(text):
            if not builder.take(event):
                break
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = _at(mark)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        report.stop("EG1004", f"not YAML: {problem}", place)
    root = builder.root
    if not isinstance(root, Mapping):
        report.raise_if_any()
        place = builder.values.get((), START)
        report.stop("EG1013", "a policy is a mapping of sections", place, "start with `edgeguard: 1`")
    source = Source(
        report.file, text, builder.values, builder.keys, builder.texts, frozenset(builder.tainted)
    )
    return root, source


def _at(mark: Mark | None) -> Place:
    return START if mark is None else Place(mark.line + 1, mark.column + 1)


def _events(text: str) -> Iterator[yaml.Event]:
    return iter(yaml.parse(text, Loader=_Loader))


def _decode(data: bytes, report: Report) -> str:
    if len(data) > MOST_BYTES:
        report.stop("EG1001", f"more than the {MOST_BYTES} bytes allowed", START)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        report.stop("EG1002", message, place_of(before, len(before)), "save the file as UTF-8")
    for match in _SPOTS.finditer(text):
        spot = match.group()
        if unicodedata.category(spot) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            message = f"character U+{ord(spot):04X} may not stand in a policy"
            report.add("EG1003", message, place_of(text, match.start()), "remove it")
        if report.full:
            break
    report.raise_if_any()
    return text


def _line_starts(text: str) -> list[int]:
    return [0, *(m.end() for m in re.finditer("\n", text))]
