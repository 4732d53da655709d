"""From the models of the policy language to JSON Schema: walks their fields, whatever sections there are.

Knows types and bounds, never a section by name; what is written here does not depend on pydantic's own schemas, so
that the bytes stay the same from release to release.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from inspect import cleandoc
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from edgeguard.desk.schema.values import NAMES, ONE_OR_MORE, VALUES, Schema
from edgeguard.desk.schema.wording import KEYS
from edgeguard.policy.units import duration_text

_PLAIN: Mapping[object, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
}
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_SIZES = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}


class Walk:
    """Collects the definition of every section it meets."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def section(self, model: type[BaseModel]) -> Schema:
        """The schema of one section."""
        properties: Schema = {}
        required: list[str] = []
        for name, field in model.model_fields.items():
            key = field.alias or name
            properties[key] = {"description": description(model, key), **self._field(field)}
            if field.is_required():
                required.append(key)
        shape: Schema = {"description": summary(model), "type": "object", "properties": properties}
        if required:
            shape["required"] = required
        return {**shape, "additionalProperties": False}

    def _field(self, field: FieldInfo) -> Schema:
        schema = self._kind(field.annotation, tuple(field.metadata))
        default = field.default
        if schema == _reference("Duration") and isinstance(default, float):
            return {**schema, "default": duration_text(default)}
        return {**schema, "default": default} if isinstance(default, (str, int, float)) else schema

    def _kind(self, kind: object, metadata: tuple[object, ...] = ()) -> Schema:
        """The schema of a type and of what pydantic hangs on to it."""
        if get_origin(kind) is Annotated:
            inner, *more = get_args(kind)
            return self._kind(inner, (*metadata, *more))
        validators = [part for part in metadata if isinstance(part, BeforeValidator)]
        for validator in validators:
            if validator in NAMES:
                name = NAMES[validator]
                self.definitions[name] = dict(VALUES[name])
                return _reference(name)
        schema = _bounded(self._type(kind), metadata)
        return {"anyOf": [schema["items"], schema]} if ONE_OR_MORE in validators else schema

    def _type(self, kind: object) -> Schema:
        origin, inside = get_origin(kind), get_args(kind)
        if origin in (Union, types.UnionType):
            kinds = [self._kind(part) for part in inside if part is not type(None)]
            return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        if origin is Literal:
            return {"enum": list(inside)}
        if origin is tuple:
            return {"type": "array", "items": self._kind(inside[0])}
        if isinstance(origin, type) and issubclass(origin, Mapping):
            names = self._kind(inside[0])
            names.pop("type", None)
            return {"type": "object", "propertyNames": names, "additionalProperties": self._kind(inside[1])}
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return self._section_reference(kind)
        return dict(_PLAIN[kind])

    def _section_reference(self, model: type[BaseModel]) -> Schema:
        if model.__name__ not in self.definitions:
            self.definitions[model.__name__] = {}
            self.definitions[model.__name__] = self.section(model)
        return _reference(model.__name__)


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def description(model: type[BaseModel], key: str) -> str:
    """What the wording says about a key, of the section itself or of one that it extends; empty when nothing."""
    lines = (KEYS.get(f"{kind.__name__}.{key}", "") for kind in model.__mro__)
    return next(filter(None, lines), "")


def summary(model: type[BaseModel]) -> str:
    """The first paragraph of a section's docstring, on one line."""
    return " ".join(cleandoc(model.__doc__ or "").split("\n\n")[0].split())


def _bounded(schema: Schema, metadata: tuple[object, ...]) -> Schema:
    least, most = _SIZES.get(str(schema.get("type")), ("", ""))
    keywords = {**_BOUNDS, "pattern": "pattern", "min_length": least, "max_length": most}
    for name, keyword in keywords.items():
        for part in _constraints(metadata):
            value = getattr(part, name, None)
            if keyword and isinstance(value, (int, float, str)):
                schema[keyword] = value
    return schema


def _constraints(metadata: tuple[object, ...]) -> tuple[object, ...]:
    """The bounds among what hangs on a type; a nested `Field` holds its own."""
    return tuple(
        part for entry in metadata for part in (entry.metadata if isinstance(entry, FieldInfo) else (entry,))
    )
