"""Changes ONNX models through their own schema, for the fuzzer: protobuf comes out, mostly no good model."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from bench.strange_bundles import Choices, pick

Message = Any
"""A protobuf message, or the description of one of its fields."""


def change_model(choices: Choices, model: Message) -> None:
    """Change one field of one message of a model, wherever it lies."""
    message = model
    for _ in range(choices.below(8)):
        children = [(f, v) for f, v in message.ListFields() if f.type == FieldDescriptor.TYPE_MESSAGE]
        if not children:
            break
        found, value = pick(choices, children)
        message = pick(choices, list(value)) if found.is_repeated and len(value) else value
        if found.is_repeated and not hasattr(message, "ListFields"):
            return
    fields = [f for f in message.DESCRIPTOR.fields if f.type != FieldDescriptor.TYPE_MESSAGE]
    if fields:
        _change_field(choices, message, pick(choices, fields))


def _change_field(choices: Choices, message: Message, found: Message) -> None:
    name: str = found.name
    if choices.below(4) == 0:
        message.ClearField(name)
        return
    kind = found.cpp_type
    value: object
    if kind == found.CPPTYPE_STRING:
        text = pick(
            choices, ("", "x", "EPContext", "Relu", "ConstantOfShape", "../w", "com.microsoft", "image")
        )
        value = text if found.type == found.TYPE_STRING else choices.data(64)
    elif kind in (found.CPPTYPE_FLOAT, found.CPPTYPE_DOUBLE):
        value = pick(choices, (0.0, -1.0, 1e30, float("nan")))
    elif kind == found.CPPTYPE_ENUM:
        value = pick(choices, [v.number for v in found.enum_type.values])
    else:
        value = pick(choices, (0, 1, 2, 7, 1000, 2**31 - 1))
    if found.is_repeated:
        values = getattr(message, name)
        if len(values) and choices.below(2):
            values[choices.below(len(values))] = value
        else:
            values.append(value)
    else:
        setattr(message, name, value)
