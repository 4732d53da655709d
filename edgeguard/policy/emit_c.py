"""The microcontroller's table: one policy, two machines, so its numbers are printed here and nowhere else.

Pure: a compiled policy in, the text of `policy_table.h` out, the same bytes for the same policy. Opens nothing.
Values travel as signed 32-bit integers in 1e-6 of the actuator's unit, rates in 1e-6 of it a second.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from edgeguard.errors import PolicyError
from edgeguard.policy.fits import DEGRADED_SHARE, SCALE, lost_after, objections

if TYPE_CHECKING:
    from edgeguard.program import ActuatorLimit, LocalRule, Program, SensorSpec

NO_LIMIT = 0x7FFF_FFFF
"""A rate without a limit."""
LOST_SHARE = 0.8
"""The core falls back at this share of the policy's `lost_after`, so that polling and jitter still fit in it."""
ARM_COMMANDS = 5


def emit(program: Program) -> str:
    """Print `policy_table.h` for the policy.

    Raises:
        PolicyError: the microcontroller cannot hold the envelope or the times; carries every reason.
    """
    problems = objections(program)
    if problems:
        raise PolicyError(problems)
    digest = bytes.fromhex(program.digest)
    lost = lost_after(program)
    own = program.microcontroller
    rows = [_row(limit) for limit in program.envelope]
    sensors = [_sensor(sensor) for sensor in own.sensors] or ["{0},"]
    rules = [_rule(rule, program) for rule in own.rules] or ["{0},"]
    return _HEADER.format(
        name=re.sub(r"[^A-Za-z0-9_. -]", "?", program.name),
        version=program.version,
        actuators=len(program.envelope),
        names=_names(limit.name for limit in program.envelope),
        sensor_names=_names(sensor.name for sensor in own.sensors) or '""',
        sensors=len(own.sensors),
        sensors_room=max(1, len(own.sensors)),
        rules=len(own.rules),
        rules_room=max(1, len(own.rules)),
        terms_room=max(1, *(len(rule.terms) for rule in own.rules), 1),
        stop=int(own.stop),
        digest=", ".join(f"0x{byte:02x}u" for byte in digest),
        hash=int.from_bytes(digest[:4], "little"),
        degraded=round(lost * DEGRADED_SHARE * SCALE),
        lost=round(lost * LOST_SHARE * SCALE),
        valid=round(lost * 1000),
        arm=ARM_COMMANDS,
        rows=_lines(rows),
        sensor_rows=_lines(sensors),
        rule_rows=_lines(rules),
    )


def fixed(value: float) -> int:
    """Value in 1e-6 of its unit, rounded to the nearest (ties to even)."""
    return round(value * SCALE)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _lines(rows: Sequence[str]) -> str:
    """Lines of an initialiser inside a macro."""
    return " \\\n".join(f"        {row}" for row in rows)


def _row(limit: ActuatorLimit) -> str:
    feedback = limit.feedback
    lead = 0 if feedback is None else fixed(feedback.lead)
    age = 0 if feedback is None else fixed(feedback.max_age)
    return (
        f"{{.min = {fixed(limit.low)}, .max = {fixed(limit.high)}, .rise = {_rate(limit.rise)}, "
        f".fall = {_rate(limit.fall)}, .safe = {fixed(limit.safe)}, .lead = {lead}, .feedback_age_us = {age}u, "
        f".authority = {int(limit.authority)}u}}, /* {limit.name} */"
    )


def _sensor(sensor: SensorSpec) -> str:
    return (
        f"{{.min = {fixed(sensor.low)}, .max = {fixed(sensor.high)}, .max_age_us = {fixed(sensor.max_age)}u}}, "
        f"/* {sensor.name} */"
    )


def _rule(rule: LocalRule, program: Program) -> str:
    terms = "".join(
        f"{{.limit = {fixed(term.limit)}, .sensor = {term.sensor}u, .relation = {int(term.relation)}u}}, "
        for term in rule.terms
    )
    values = "".join(f"{fixed(rule.command.values[limit.name])}, " for limit in program.envelope)
    return (
        f"{{.terms = {len(rule.terms)}u, .term = {{{terms or '{0}'}}}, .value = {{{values}}}}}, "
        f"/* line {rule.line} */"
    )


def _rate(rate: float) -> int:
    return NO_LIMIT if math.isinf(rate) else fixed(rate)


_HEADER = """\
/* Generated from policy `{name}`, version {version}, by `edgeguard policy table --c`: do not edit.
 * Values in 1e-6 of the actuator's unit, rates in 1e-6 of it a second, times in the unit of their name.
 * The same policy gives the same bytes. */
#ifndef EG_POLICY_TABLE_H
#define EG_POLICY_TABLE_H

#define EG_ACTUATORS {actuators}u
#define EG_ACTUATOR_NAMES {{{names}}}
#define EG_SENSOR_NAMES {{{sensor_names}}}
#define EG_SENSORS_ROOM {sensors_room}u
#define EG_RULES_ROOM {rules_room}u
#define EG_TERMS_ROOM {terms_room}u

/* clang-format off */
#define EG_POLICY_TABLE {{ \\
    .digest = {{{digest}}}, \\
    .policy_hash = 0x{hash:08x}u, \\
    .degraded_us = {degraded}u, \\
    .lost_us = {lost}u, \\
    .valid_max_ms = {valid}u, \\
    .arm_commands = {arm}u, \\
    .stop = {stop}u, \\
    .sensors = {sensors}u, \\
    .rules = {rules}u, \\
    .actuator = {{ \\
{rows} \\
    }}, \\
    .sensor = {{ \\
{sensor_rows} \\
    }}, \\
    .rule = {{ \\
{rule_rows} \\
    }}, \\
}}
/* clang-format on */

#endif
"""
