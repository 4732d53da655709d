"""The structs of `firmware_stubs/core/eg_core.h` as numpy types: both machines work on the very same bytes.

Nothing here decides. `check_layout` refuses a library whose structs lie otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Records = npt.NDArray[Any]
"""Structured array of one of the types below, one entry a trace."""
Fields = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Layout:
    """The types for one table's sizes: actuators, and room for sensors, rules and terms."""

    actuators: int
    sensors: int
    rules: int
    terms: int

    @cached_property
    def table(self) -> np.dtype[Any]:
        """`eg_table`."""
        return _struct(
            [
                ("digest", "u1", (32,)),
                ("policy_hash", "u4"),
                ("degraded_us", "u4"),
                ("lost_us", "u4"),
                ("valid_max_ms", "u2"),
                ("arm_commands", "u1"),
                ("stop", "u1"),
                ("sensors", "u4"),
                ("rules", "u4"),
                ("actuator", _ACTUATOR, (self.actuators,)),
                ("sensor", _SENSOR, (self.sensors,)),
                ("rule", self.rule, (self.rules,)),
            ]
        )

    @cached_property
    def rule(self) -> np.dtype[Any]:
        """`eg_rule`."""
        return _struct([("terms", "u4"), ("term", _TERM, (self.terms,)), ("value", "i4", (self.actuators,))])

    @cached_property
    def inputs(self) -> np.dtype[Any]:
        """`eg_inputs`: a request, and what the board senses."""
        senses = _struct(
            [
                ("measured", _READING, (self.actuators,)),
                ("sensor", _READING, (self.sensors,)),
                ("stop_released", "u1"),
            ]
        )
        return _struct([("request", _REQUEST), ("senses", senses)])

    @cached_property
    def state(self) -> np.dtype[Any]:
        """`eg_state`."""
        return _struct(
            [
                ("stepped_us", "u8"),
                ("slewed_us", "u8"),
                ("channel", _CHANNEL, (self.actuators,)),
                ("mode", "u1"),
                ("reason", "u1"),
                ("latches", "u1"),
                ("session", "u1"),
                ("spare", "u1", (4,)),
            ]
        )

    @cached_property
    def outputs(self) -> np.dtype[Any]:
        """`eg_outputs`."""
        names = ("mode", "reason", "source", "refusal", "latches", "degraded", "ready", "stopped")
        return _struct([("value", "i4", (self.actuators,)), *((name, "u1") for name in names)])

    @cached_property
    def record(self) -> np.dtype[Any]:
        """`eg_record`."""
        return _struct(
            [
                ("turn", "u4"),
                ("output", "i4", (self.actuators,)),
                ("mode", "u1"),
                ("latches", "u1"),
                ("spare", "u1", (2,)),
                ("check", "u4"),
            ]
        )

    @cached_property
    def retained(self) -> np.dtype[Any]:
        """`eg_retained`: two records."""
        return _struct([("record", self.record, (2,))])

    def numbers(self) -> list[int]:
        """Rooms, then size and field offsets of every struct: what `eg_traces_layout` answers, in its order."""
        found = [self.actuators, self.sensors, self.rules, self.terms]
        for kind in (self.table, self.inputs, self.state, self.outputs, self.retained):
            found.append(kind.itemsize)
            found.extend(_offsets(kind))
        return found


def _struct(fields: Fields) -> np.dtype[Any]:
    return np.dtype(fields, align=True)


def _offsets(kind: np.dtype[Any], base: int = 0) -> Iterator[int]:
    """Where each plain field lies, depth first; of an array of structs those of the first and then its stride."""
    fields: Mapping[str, tuple[Any, ...]] = kind.fields or {}
    for name in kind.names or ():
        inner, offset = fields[name][:2]
        element = inner.base
        if element.names:
            yield from _offsets(element, base + offset)
            if inner.shape:
                yield element.itemsize
        else:
            yield base + offset


_ACTUATOR = _struct(
    [
        *((name, "i4") for name in ("min", "max", "rise", "fall", "safe", "lead")),
        ("feedback_age_us", "u4"),
        ("authority", "u1"),
    ]
)
_SENSOR = _struct([("min", "i4"), ("max", "i4"), ("max_age_us", "u4")])
_TERM = _struct([("limit", "i4"), ("sensor", "u1"), ("relation", "u1")])
_REQUEST = _struct(
    [
        *((name, "u1") for name in ("action", "source", "actuator", "by_operator")),
        ("valid_ms", "u2"),
        ("age_ms", "u4"),
        ("policy_hash", "u4"),
        ("value", "i4"),
    ]
)
_READING = _struct([("at_us", "u8"), ("value", "i4"), ("valid", "u1")])
_CHANNEL = _struct(
    [
        ("heard_us", "u8"),
        ("target", "i4"),
        ("output", "i4"),
        ("source", "u1"),
        ("in_time", "u1"),
        ("spare", "u1", (6,)),
    ]
)
