"""The policy language as JSON Schema: up to date, complete, and right about every policy there is."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.desk.schema import SHIPPED, modeline, policy_schema, schema_text
from edgeguard.desk.schema.values import VALUES
from edgeguard.desk.schema.wording import KEYS, SIGNALS
from edgeguard.errors import PolicyError
from edgeguard.policy import sources, units
from edgeguard.policy.diagnostics import Report
from edgeguard.policy.dimension import UNITS, UnknownUnitError, parse_unit
from edgeguard.policy.reader import read
from edgeguard.policy.shape import shape
from edgeguard.policy.source import Value

ROOT = Path(__file__).parents[2]
POLICIES = sorted([*(ROOT / "policies").glob("*.yaml"), *(ROOT / "hil").glob("*.yaml")])
HOSTILE = sorted((ROOT / "tests" / "hostile" / "policies").glob("*.yaml"))
BEYOND = {
    "duration-too-long",
    "empty-range",
    "limits-memory-too-small",
    "limits-opset-the-wrong-way-round",
    "span-too-long",
    "worker-memory-too-small",
}
"""Hostile files that the models refuse by arithmetic or algebra, which JSON Schema does not have."""

WORDS = {
    "$schema", "$id", "$defs", "$ref", "title", "description", "default", "examples", "type", "enum", "const",
    "anyOf", "properties", "required", "additionalProperties", "propertyNames", "minProperties", "maxProperties",
    "items", "minItems", "maxItems", "minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum",
}  # fmt: skip


def plain(value: Value) -> Any:
    """A value of the reader as JSON has it."""
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, tuple) else value


def values_of(path: Path) -> Any:
    report = Report(path.name)
    found, _ = read(path.read_bytes(), report)
    report.raise_if_any()
    return plain(found)


def is_type(value: Any, kind: str) -> bool:
    if kind in ("integer", "number"):
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return not isinstance(value, bool) and (
            whole if kind == "integer" else isinstance(value, (int, float))
        )
    kinds = {"string": str, "boolean": bool, "object": dict, "array": list}
    return isinstance(value, kinds[kind])


def complaints(value: Any, schema: Any, root: Any, at: str = "") -> Iterator[str]:
    """What JSON Schema finds wrong; knows the words that this schema uses, and a test sees that they are all."""
    if schema is False:
        yield f"{at} is not known"
        return
    if "$ref" in schema:
        yield from complaints(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, at)
    if "anyOf" in schema and all([*complaints(value, s, root, at)] for s in schema["anyOf"]):
        yield f"{at} fits none"
    if "type" in schema and not is_type(value, schema["type"]):
        yield f"{at} is no {schema['type']}"
        return
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else [value])
    if not any(value == v and type(value) is type(v) for v in allowed):
        yield f"{at} is none of {allowed}"
    yield from inside(value, schema, root, at)


def inside(value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if isinstance(value, str):
        yield from sizes(len(value), schema, "Length", at)
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{at} does not match"
    elif isinstance(value, (int, float)):
        yield from bounds(value, schema, at)
    elif isinstance(value, list):
        yield from sizes(len(value), schema, "Items", at)
        for i, item in enumerate(value):
            yield from complaints(item, schema.get("items", {}), root, f"{at}[{i}]")
    elif isinstance(value, dict):
        yield from sizes(len(value), schema, "Properties", at)
        yield from entries(value, schema, root, at)


def entries(value: dict[str, Any], schema: Any, root: Any, at: str) -> Iterator[str]:
    known = schema.get("properties", {})
    yield from (f"{at} needs {key}" for key in schema.get("required", ()) if key not in value)
    for key, item in value.items():
        yield from complaints(key, schema.get("propertyNames", {}), root, f"{at}.{key}")
        yield from complaints(
            item, known.get(key, schema.get("additionalProperties", {})), root, f"{at}.{key}"
        )


def sizes(size: int, schema: Any, what: str, at: str) -> Iterator[str]:
    if not schema.get(f"min{what}", 0) <= size <= schema.get(f"max{what}", size):
        yield f"{at} has {size}"


def bounds(value: float, schema: Any, at: str) -> Iterator[str]:
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if (
        not low <= value <= high
        or (above is not None and value <= above)
        or (below is not None and value >= below)
    ):
        yield f"{at} is out of bounds"


def parts(schema: Any) -> Iterator[Any]:
    """A schema and every schema in it."""
    if not isinstance(schema, dict):
        return
    yield schema
    for word in ("properties", "$defs"):
        for inner in schema.get(word, {}).values():
            yield from parts(inner)
    for word in ("items", "additionalProperties", "propertyNames"):
        yield from parts(schema.get(word))
    for inner in schema.get("anyOf", ()):
        yield from parts(inner)


SCHEMA: Any = policy_schema()


def test_the_shipped_schema_is_up_to_date() -> None:
    message = "run `edgeguard policy schema -o edgeguard/policy/schema.json`"
    assert SHIPPED.read_text(encoding="utf-8") == schema_text(), message


def test_the_schema_is_the_same_every_time() -> None:
    assert schema_text() == schema_text()
    assert json.loads(schema_text()) == SCHEMA
    assert (SCHEMA["$id"], SCHEMA["title"]) == ("urn:edgeguard:policy:1", "edgeguard policy")


def test_the_schema_uses_only_words_of_json_schema_that_are_checked_here() -> None:
    assert {word for part in parts(SCHEMA) for word in part} <= WORDS


def test_every_reference_leads_somewhere_and_every_definition_is_used() -> None:
    used = {part["$ref"].removeprefix("#/$defs/") for part in parts(SCHEMA) if "$ref" in part}
    assert used == set(SCHEMA["$defs"])


def test_the_schema_is_a_valid_one_by_the_library_of_the_field() -> None:
    library = pytest.importorskip("jsonschema")
    library.Draft202012Validator.check_schema(SCHEMA)


def test_every_section_is_closed_and_every_key_is_explained() -> None:
    sections = [SCHEMA, *(s for s in SCHEMA["$defs"].values() if "additionalProperties" in s)]
    assert len(sections) > 20
    for section in sections:
        assert section["additionalProperties"] is False
        assert section["description"]
        missing = [key for key, value in section["properties"].items() if not value["description"]]
        assert missing == [], "explain these keys in edgeguard/desk/schema/wording.py"


def test_no_explanation_is_of_a_key_that_is_gone() -> None:
    shown = {
        value["description"]
        for part in parts(SCHEMA)
        for value in part.get("properties", {}).values()
        if "description" in value
    }
    assert [key for key, text in KEYS.items() if text not in shown] == []


def test_every_signal_of_the_guard_is_suggested() -> None:
    assert set(SIGNALS) == set(sources.every_name())
    assert set(SCHEMA["properties"]["signals"]["properties"]) == set(SIGNALS)


def test_keys_are_named_as_authors_write_them() -> None:
    keys = {key for part in parts(SCHEMA) for key in part.get("properties", {})}
    assert {"for", "from", "if", "is"} <= keys
    assert not [key for key in keys if key.endswith("_")]


def test_defaults_are_written_as_authors_write_them() -> None:
    assert SCHEMA["properties"]["period"]["default"] == "20ms"
    assert SCHEMA["$defs"]["Link"]["properties"]["lost_after"]["default"] == "150ms"
    for part in parts(SCHEMA):
        if "default" in part:
            assert [*complaints(part["default"], part, SCHEMA)] == [], part


@pytest.mark.parametrize("path", POLICIES, ids=lambda p: p.stem)
def test_the_policies_of_the_repository_fit(path: Path) -> None:
    assert [*complaints(values_of(path), SCHEMA, SCHEMA)] == []


def well_shaped(path: Path) -> bool:
    """Whether the models of the language accept a file, whatever it means."""
    report = Report(path.name)
    found, source = read(path.read_bytes(), report)
    return shape(found, source, report) is not None


def readable(path: Path) -> bool:
    try:
        values_of(path)
    except PolicyError:
        return False
    return True


@pytest.mark.parametrize("path", [p for p in HOSTILE if readable(p)], ids=lambda p: p.stem)
def test_a_hostile_policy_fits_exactly_when_the_models_accept_it(path: Path) -> None:
    fits = not [*complaints(values_of(path), SCHEMA, SCHEMA)]
    assert fits is (well_shaped(path) or path.stem in BEYOND)


WHOLE: dict[str, Any] = {
    "edgeguard": 1,
    "policy": {"name": "a", "version": 1},
    "models": {"primary": {"bundle": "a"}, "redundant": {"bundle": "b", "backend": "auto"}},
    "admission": {"signers": [{"key": "k.pub", "sha256": "0" * 64}], "require": {"security_version": 1}},
    "isolation": {"workers": {"second": {"runs": ["redundant"]}}},
    "let": {"near": "a < 1", "hard": {"is": 5.0, "unit": "m/s2"}, "half": 0.5},
    "signals": {
        "certainty": {
            "of": ["primary"],
            "range": [0, "inf"],
            "max_age": "1s",
            "worse": "lower",
            "nominal": 0.9,
        },
        "door": {"from": "context", "type": "bool", "max_age": "1s", "on_fault": "human", "within": "4s"},
        "answer": {"of": "primary", "type": "class", "labels": ["stop", "go"], "max_age": "1s"},
    },
    "redundancy": [{"id": "two", "agree": ["a", "b"], "tolerance": 0.5, "for": "3 frames", "then": "rules"}],
    "rules": [
        {
            "id": "r",
            "when": "a",
            "clear": {"when": "b", "for": "2s"},
            "latch": True,
            "then": "human",
            "mode": "warn",
        }
    ],
    "risk": {"at_most": 0.01, "confidence": 0.95},
    "fallback": [{"when": "a", "command": {"brake": 1.0}}, {"command": {"brake": 0}}],
    "envelope": {"brake": {"min": 0, "max": 1, "rise": "4/s", "safe": 1.0}},
    "handover": {"escalate": [{"after": "1s", "alert": "visual"}]},
    "link": {"port": "auto", "baud": 9600, "heartbeat": "20ms", "key": "k"},
    "lockout_after": 3,
    "invariants": [{"never": "a", "for": "2 frames"}, {"leave": "safe_state", "only_by": "operator"}],
    "tests": [
        {
            "name": "t",
            "given": {"a": 1, "b": "nan", "door": True},
            "each": [{"a": 2}],
            "event": "take",
            "steps": [{"for": "1 frame", "expect": {"authority": "human", "command": {"brake": 0.5}}}],
        }
    ],
}
"""Every section with most of its keys."""

ANYTHING = st.sampled_from(
    (0, 1, -1, 0.5, 7, 10**10, True, False, "", "a", "A b", "x-y", "1s", "0s", "2 frames", "4/s", "inf", "nan", "rules",
     "primary", "operator", "m/s", [], [1], [0, 1], ["primary"], ["a", "b", "c"], {}, {"a": 1}, {"when": "a"},
     {"brake": 1}, {"is": 1}, "0" * 64, "x" * 1025)
)  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a value: what holds it, and its key or index."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


@given(st.integers(min_value=0), st.sampled_from(("remove", "rename", "replace", "add")), ANYTHING)
def test_a_policy_changed_anywhere_fits_exactly_when_the_models_accept_it(
    at: int, how: str, what: Any
) -> None:
    policy = copy.deepcopy(WHOLE)
    spots = [*places(policy)]
    holder, key = spots[at % len(spots)]
    old = holder.pop(key) if how in ("remove", "rename") else None
    if how == "rename" and isinstance(holder, dict):
        holder["extra_key"] = old
    elif how == "replace":
        holder[key] = what
    elif how == "add" and isinstance(holder, dict):
        holder["extra"] = what
    report = Report("x")
    found, source = read(json.dumps(policy).encode(), report)
    accepted = shape(found, source, report) is not None
    arithmetic = all("is empty" in finding.message for finding in report.found)
    assert (not [*complaints(plain(found), SCHEMA, SCHEMA)]) is (accepted or arithmetic), report.found


SAID = st.text(alphabet="0123456789. msuinfraeh/", max_size=12) | st.sampled_from(
    (
        "0ms",
        "0.0 s",
        "0.5ms",
        "1min",
        "10 frames",
        "1 frame",
        "0 frames",
        "4/s",
        "0/s",
        "0.1 / s",
        "01s",
        "1.s",
        "5us",
    )
)


@given(SAID)
def test_the_patterns_say_what_the_reader_says(text: str) -> None:
    def fits(name: str) -> bool:
        return re.search(str(VALUES[name]["pattern"]), text) is not None

    span = units.span(text)
    assert fits("Duration") == bool(units.duration(text))
    assert fits("Span") == (span is not None and bool(span.frames or span.seconds))
    assert fits("Rate") == bool(units.rate(text))


@given(st.lists(st.sampled_from((*UNITS, "2", "9", "1", "*", "/", "x", "0")), max_size=6).map("".join))
def test_the_pattern_of_a_unit_says_what_its_reader_says(text: str) -> None:
    try:
        known = bool(parse_unit(text))
    except UnknownUnitError:
        known = False
    assert (re.search(str(VALUES["Unit"]["pattern"]), text) is not None) is known


def test_the_modeline_names_the_schema() -> None:
    assert modeline(Path("a/b.json")) == "# yaml-language-server: $schema=a/b.json"
