"""The kinds of single values in a policy as an editor knows them: text patterns, examples and bounds.

A pattern says the same as the reader of `policy.units` or `policy.fields`; tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from pydantic import BeforeValidator

from edgeguard.policy import fields
from edgeguard.policy.dimension import LONGEST_UNIT, UNITS
from edgeguard.policy.sources import FAULT_WORDS

Schema = dict[str, object]

_NUMBER = r"(?![0.]+ ?[a-z/])(0|[1-9][0-9]{0,8}(\.[0-9]{1,9})?|0\.[0-9]{1,9})"
_SMALL = r"(0|[1-9][0-9]?)(\.[0-9]{1,9})?"
"""A number below 100, for a percentage."""
_DURATION = rf"{_NUMBER} ?(us|ms|s|min)"

_FACTOR = f"(1|{'|'.join(sorted(UNITS))})[2-9]?"
_BOUND: Schema = {"anyOf": [{"type": "number"}, {"enum": ["inf", "-inf"]}]}


def _validator(kind: object) -> BeforeValidator:
    return next(part for part in get_args(kind) if isinstance(part, BeforeValidator))


NAMES: Mapping[BeforeValidator, str] = {
    _validator(fields.Digest): "Digest",
    _validator(fields.Duration): "Duration",
    _validator(fields.SpanField): "Span",
    _validator(fields.Rate): "Rate",
    _validator(fields.Limits): "Range",
    _validator(fields.Given): "Given",
    _validator(fields.Share): "Share",
    _validator(fields.Bound): "Bound",
    _validator(fields.Frames): "Frames",
    _validator(fields.Memory): "Memory",
    _validator(fields.TensorMemory): "Memory",
    _validator(fields.Opset): "Opset",
    _validator(fields.Operator): "Operator",
    _validator(fields.KeyPlace): "KeyPlace",
    _validator(fields.UnitText): "Unit",
}
"""What a value with this validator is called. Validators not listed only word a refusal: the type says enough."""

VALUES: Mapping[str, Schema] = {
    "Digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "Duration": {"type": "string", "pattern": f"^{_DURATION}$", "examples": ["100ms", "3s", "2min"]},
    "Span": {
        "type": "string",
        "pattern": rf"^([1-9][0-9]{{0,5}} frames?|{_DURATION})$",
        "examples": ["2 frames", "300ms"],
    },
    "Rate": {"type": "string", "pattern": rf"^{_NUMBER} ?/ ?s$", "examples": ["4/s"]},
    "Range": {
        "type": "array",
        "items": _BOUND,
        "minItems": 2,
        "maxItems": 2,
        "examples": [[0, 1], [0, "inf"]],
    },
    "Given": {
        "anyOf": [{"type": "number"}, {"type": "boolean"}, {"enum": list(FAULT_WORDS)}, {"type": "string"}]
    },
    "Share": {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            {"type": "string", "pattern": rf"^(?!0(\.0+)? ?%)({_SMALL}) ?%$"},
        ],
        "examples": [0.01, "1%"],
    },
    "Bound": {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": 1},
            {"type": "string", "pattern": rf"^({_SMALL}|100(\.0{{1,9}})?) ?%$"},
        ],
        "examples": [0.005, "0.5%"],
    },
    "Frames": {"type": "string", "pattern": "^[1-9][0-9]{0,5} frames?$", "examples": ["4 frames"]},
    "Memory": {
        "type": "string",
        "pattern": "^[1-9][0-9]{0,8} ?(KiB|MiB|GiB)$",
        "examples": ["512MiB", "1GiB"],
    },
    "Opset": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1, "maximum": fields.MOST_OPSET},
        "minItems": 2,
        "maxItems": 2,
        "examples": [[11, 21]],
    },
    "Operator": {
        "type": "string",
        "pattern": "^([A-Za-z][A-Za-z0-9_.-]*::)?[A-Za-z_][A-Za-z0-9_]*$",
        "maxLength": 128,
        "examples": ["com.microsoft::QLinearAdd"],
    },
    "KeyPlace": {
        "type": "string",
        "pattern": "^((tpm|pkcs11):.|(?![a-z][a-z0-9+.-]+:).)",
        "maxLength": fields.LONGEST_PLACE,
        "examples": ["keys/content.key", "tpm:keys/content.sealed", "pkcs11:token=edge;object=content"],
    },
    "Unit": {
        "type": "string",
        "pattern": f"^({_FACTOR}([*/]{_FACTOR})*)?$",
        "maxLength": LONGEST_UNIT,
        "examples": ["m/s", "m/s2", "m", "s", "deg", "degC"],
    },
}

ONE_OR_MORE = _validator(fields.OneOrMore)
"""Takes one entry without its list as well."""
