"""From plain values to a typed policy: runs the models and says in the author's words what does not fit.

The only place that knows how pydantic reports; every finding gets its position, code and hint here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Union, get_args, get_origin

from pydantic import ValidationError

from edgeguard.policy.diagnostics import Report, quote, suggest
from edgeguard.policy.running import Section
from edgeguard.policy.schema import Policy
from edgeguard.policy.source import Path, Source, Value

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

LANGUAGE = 1
"""The version of the policy language that this package reads."""

LATER: frozenset[str] = frozenset({"rate"})
"""Keys of the language that a later version carries out. Refused, so that no policy relies on them in vain."""

_EXPECTS: Mapping[str, tuple[str, str]] = {
    "string_type": ("EG1103", "text"),
    "int_type": ("EG1103", "a whole number"),
    "int_from_float": ("EG1103", "a whole number"),
    "float_type": ("EG1103", "a number"),
    "bool_type": ("EG1103", "`true` or `false`"),
    "tuple_type": ("EG1103", "a list"),
    "dict_type": ("EG1103", "a mapping"),
    "mapping_type": ("EG1103", "a mapping"),
    "model_type": ("EG1103", "a mapping"),
    "model_attributes_type": ("EG1103", "a mapping"),
}
_BOUNDS: Mapping[str, str] = {
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "string_too_short": "not empty",
    "string_too_long": "at most {max_length} characters",
}


def shape(values: Mapping[str, Value], source: Source, report: Report) -> Policy | None:
    """The typed policy, or None after reporting every place where the values do not fit."""
    if not _language(values, source, report):
        return None
    try:
        return Policy.model_validate(values)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            if not report.full:
                _translate(details, values, source, report)
        return None


def _language(values: Mapping[str, Value], source: Source, report: Report) -> bool:
    version = values.get("edgeguard")
    if "edgeguard" not in values or (
        isinstance(version, int) and version == LANGUAGE and version is not True
    ):
        return True
    shown = quote(version) if isinstance(version, (str, int, float)) else "this"
    hint = f"this edgeguard reads `edgeguard: {LANGUAGE}`"
    report.add(
        "EG1108", f"{shown} is not a known version of the policy language", source.value(("edgeguard",)), hint
    )
    return False


def _translate(details: ErrorDetails, values: Mapping[str, Value], source: Source, report: Report) -> None:
    path, rest = _follow(details["loc"], values)
    if any(path[:i] in source.tainted for i in range(len(path) + 1)):
        return
    kind, context = details["type"], details.get("ctx", {})
    if kind == "missing":
        where = _named(path)
        report.add("EG1102", f"{where} needs `{rest[-1]}`", source.key(path))
    elif kind == "extra_forbidden":
        _unknown_key(path, source, report)
    elif kind == "string_pattern_mismatch":
        _bad_name(rest, path, str(details["input"]), source, report)
    elif kind == "literal_error":
        _bad_word(details, path, source, report)
    elif kind in _EXPECTS:
        code, expected = _EXPECTS[kind]
        report.add(code, f"{_named(path)} must be {expected}", source.value(path))
    elif kind == "too_short" and len(details["input"]) >= context["min_length"]:
        pass  # long enough, but for entries that have a finding of their own
    elif kind in _BOUNDS:
        report.add("EG1106", f"{_named(path)} must be {_BOUNDS[kind].format(**context)}", source.value(path))
    elif kind.startswith("EG"):
        report.add(kind, str(context["message"]), source.value(path), str(context["hint"]))
    else:
        report.add("EG1103", f"{_named(path)}: {details['msg'].lower()}", source.value(path))


def _follow(loc: tuple[int | str, ...], values: Value) -> tuple[Path, tuple[int | str, ...]]:
    """The part of `loc` that exists in the file, and what of it does not (a missing key, a union's tag)."""
    path: list[int | str] = []
    rest: list[int | str] = []
    here: Value = values
    for step in loc:
        if isinstance(here, Mapping) and step in here:
            here = here[str(step)]
        elif isinstance(here, tuple) and isinstance(step, int) and step < len(here):
            here = here[step]
        else:
            rest.append(step)
            continue
        path.append(step)
    return tuple(path), tuple(rest)


def _named(path: Path) -> str:
    """`rules[2].then` in backticks; the whole policy for the empty path."""
    text = "".join(f"[{p + 1}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
    return quote(text) if text else "the policy"


def _unknown_key(path: Path, source: Source, report: Report) -> None:
    key = str(path[-1])
    place = source.key(path)
    known = _keys_at(path[:-1])
    if key in LATER and key not in known:
        hint = "remove it: a policy must not rely on what does not happen"
        report.add("EG1109", f"{_named(path)} is not carried out by this version", place, hint)
        return
    hint = "it does not go with the other keys here" if key in known else suggest(key, known)
    report.add("EG1101", f"{_named(path)} is not a known key", place, hint)


def _keys_at(path: Path) -> tuple[str, ...]:
    """The keys that the section at `path` may have, for the hint."""
    kinds: list[object] = [Policy]
    for step in path:
        kinds = [inner for kind in kinds for inner in _inside(kind, step)]
    sections = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)]
    return tuple(field.alias or name for section in sections for name, field in section.model_fields.items())


def _inside(kind: object, step: str | int) -> list[object]:
    """The kinds of what stands at `step` of a value of `kind`: a field, or any entry of a mapping or list."""
    if isinstance(kind, type) and issubclass(kind, Section):
        fields = kind.model_fields.items()
        return [
            k for name, field in fields if step == (field.alias or name) for k in _plain(field.annotation)
        ]
    inner = get_args(kind)
    if not inner:
        return []
    return _plain(inner[1] if get_origin(kind) is Mapping else inner[0])


def _plain(annotation: object) -> list[object]:
    """The alternatives of an annotation, without unions and without what pydantic hangs on to them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _plain(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _plain(part)]
    return [annotation]


def _bad_name(rest: tuple[int | str, ...], path: Path, text: str, source: Source, report: Report) -> None:
    place = source.key(path) if "[key]" in rest else source.value(path)
    report.add(
        "EG1104", f"{quote(text)} is not a name", place, "lower-case letters, digits and one kind of joiner"
    )


def _as_written(value: str | float) -> str:
    """A plain value as the file has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bad_word(details: ErrorDetails, path: Path, source: Source, report: Report) -> None:
    allowed = [
        w.strip("'")
        for w in str(details.get("ctx", {}).get("expected", "")).replace(" or ", ", ").split(", ")
    ]
    given = details["input"]
    hint = suggest(given, allowed) if isinstance(given, str) else ""
    shown = quote(_as_written(given)) if isinstance(given, (str, int, float)) else _named(path)
    message = f"{shown} is not allowed here"
    report.add(
        "EG1107", message, source.value(path), hint or "known: " + ", ".join(f"`{w}`" for w in allowed)
    )
