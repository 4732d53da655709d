"""The numbers of a policy's table a second time: from the compiled policy, by decimal arithmetic, not from the header.

What `edgeguard/policy/emit_c.py` prints and the compiler compiles must be this record, field by field.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import numpy as np

from edgeguard.program import LinkSettings, Program
from tests.firmware.reference.layout import Layout
from tests.firmware.reference.words import NO_LIMIT, UNIT

ARM_COMMANDS = 5


def table_of(program: Program, layout: Layout) -> Any:
    """The table of a policy: one record of `layout.table`. Room that the policy does not use is zero."""
    table = np.zeros((), layout.table)
    digest = bytes.fromhex(program.digest)
    lost = (program.link or LinkSettings()).lost_after
    table["digest"] = np.frombuffer(digest, np.uint8)
    table["policy_hash"] = int.from_bytes(digest[:4], "little")
    table["degraded_us"] = _times(lost, UNIT, Decimal(1) / 3)
    table["lost_us"] = _times(lost, UNIT, Decimal("0.8"))
    table["valid_max_ms"] = _times(lost, 1000)
    table["arm_commands"] = ARM_COMMANDS
    table["stop"] = program.microcontroller.stop
    table["sensors"] = len(program.microcontroller.sensors)
    table["rules"] = len(program.microcontroller.rules)
    _actuators(table, program)
    for row, sensor in zip(table["sensor"], program.microcontroller.sensors):
        row["min"], row["max"] = _times(sensor.low), _times(sensor.high)
        row["max_age_us"] = _times(sensor.max_age)
    for row, rule in zip(table["rule"], program.microcontroller.rules):
        row["terms"] = len(rule.terms)
        row["value"] = [_times(rule.command.values[limit.name]) for limit in program.envelope]
        for place, term in zip(row["term"], rule.terms):
            place["sensor"], place["relation"] = term.sensor, term.relation
            place["limit"] = _times(term.limit)
    return table[()]


def _actuators(table: Any, program: Program) -> None:
    for row, limit in zip(table["actuator"], program.envelope):
        row["min"], row["max"], row["safe"] = _times(limit.low), _times(limit.high), _times(limit.safe)
        row["rise"], row["fall"] = _rate(limit.rise), _rate(limit.fall)
        row["authority"] = limit.authority
        if limit.feedback is not None:
            row["lead"], row["feedback_age_us"] = _times(limit.feedback.lead), _times(limit.feedback.max_age)


def _rate(value: float) -> int:
    return NO_LIMIT if math.isinf(value) else _times(value)


def _times(value: float, unit: int = UNIT, share: Decimal = Decimal(1)) -> int:
    """`value` as it was written, in whole units; ties to even."""
    return int((Decimal(repr(value)) * unit * share).quantize(Decimal(1), ROUND_HALF_EVEN))
