"""The microcontroller's table: one policy, two machines, so its numbers are printed here and nowhere else.

Pure: a compiled policy in, the text of `policy_table.h` out, the same bytes for the same policy. Opens nothing.
Values travel as signed 32-bit integers in 1e-6 of the actuator's unit, rates in 1e-6 of it a second.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from edgeguard.errors import Diagnostic, PolicyError
from edgeguard.program import LinkSettings

if TYPE_CHECKING:
    from edgeguard.program import ActuatorLimit, Program

SCALE = 1_000_000
"""Steps a unit."""
NO_LIMIT = 0x7FFF_FFFF
"""A rate without a limit."""
SLOWEST = 1_000
"""Smallest rate (1e-6 a second): outputs move in steps of 1 ms, so a slower one would round to standing still."""
LARGEST_VALUE = 2_000.0
MOST_ACTUATORS = 16
"""What a line of 921,600 baud carries at 50 Hz in both directions with room to spare."""
LINE_SHARE = 0.75
"""Of the line, at most, for frames: above it frames wait for one another, and the last actuators are never reported."""
COMMAND_BYTES = 57
STATUS_BYTES_A_SECOND = 63 * 50
HELLO_BYTES_A_SECOND = 61 * 5
BITS_A_BYTE = 10
LOST_SHARE = 0.8
"""The core falls back at this share of the policy's `lost_after`, so that polling and jitter still fit in it."""
DEGRADED_SHARE = 1.0 / 3.0
ARM_COMMANDS = 5
SHORTEST_LOST = 0.010
LONGEST_LOST = 10.0

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}\Z")


def emit(program: Program) -> str:
    """Print `policy_table.h` for the policy.

    Raises:
        PolicyError: the microcontroller cannot hold the envelope or the times; carries every reason.
    """
    problems = _problems(program)
    if problems:
        raise PolicyError(tuple(problems))
    digest = bytes.fromhex(program.digest)
    lost = _lost_after(program)
    rows = "\n".join(_row(limit) for limit in program.envelope)
    names = ", ".join(f'"{limit.name}"' for limit in program.envelope)
    return _HEADER.format(
        name=re.sub(r"[^A-Za-z0-9_. -]", "?", program.name),
        version=program.version,
        actuators=len(program.envelope),
        names=names,
        digest=", ".join(f"0x{byte:02x}u" for byte in digest),
        hash=int.from_bytes(digest[:4], "little"),
        degraded=round(lost * DEGRADED_SHARE * SCALE),
        lost=round(lost * LOST_SHARE * SCALE),
        valid=round(lost * 1000),
        arm=ARM_COMMANDS,
        rows=rows.replace("\n", " \\\n"),
    )


def fixed(value: float) -> int:
    """Value in 1e-6 of its unit, rounded to the nearest (ties to even)."""
    return round(value * SCALE)


def _lost_after(program: Program) -> float:
    return (program.link or LinkSettings()).lost_after


def _row(limit: ActuatorLimit) -> str:
    return (
        f"        {{.min = {fixed(limit.low)}, .max = {fixed(limit.high)}, .rise = {_rate(limit.rise)}, "
        f".fall = {_rate(limit.fall)}, .safe = {fixed(limit.safe)}}}, /* {limit.name} */"
    )


def _rate(rate: float) -> int:
    return NO_LIMIT if math.isinf(rate) else fixed(rate)


def _problems(program: Program) -> list[Diagnostic]:
    envelope = [Diagnostic("EG1304", text, program.name, 1, 1) for text in _envelope_problems(program)]
    return [*envelope, *(Diagnostic("EG1315", text, program.name, 1, 1) for text in _line_problems(program))]


def _line_problems(program: Program) -> list[str]:
    found: list[str] = []
    lost = _lost_after(program)
    if not SHORTEST_LOST <= lost <= LONGEST_LOST:
        found.append(
            f"`lost_after` is {lost:g} s; the microcontroller takes {SHORTEST_LOST:g} to {LONGEST_LOST:g} s"
        )
    elif round(program.period * SCALE) > round(lost * DEGRADED_SHARE * SCALE):
        found.append(
            f"with a command every {program.period:g} s and `lost_after` {lost:g} s the microcontroller could never be "
            f"armed: make `lost_after` at least {program.period / DEGRADED_SHARE:g} s"
        )
    link = program.link or LinkSettings()
    room = link.baud / BITS_A_BYTE * LINE_SHARE
    there = math.floor(room * program.period / COMMAND_BYTES)
    back = math.floor((room - HELLO_BYTES_A_SECOND) / STATUS_BYTES_A_SECOND)
    carried, count = min(there, back), len(program.envelope)
    if count > carried:
        found.append(
            f"a line of {link.baud} baud carries {carried} actuators at a period of {program.period:g} s, "
            f"the envelope has {count}: raise `baud`, or make `period` longer"
        )
    return found


def _envelope_problems(program: Program) -> list[str]:
    found: list[str] = []
    if not 1 <= len(program.envelope) <= MOST_ACTUATORS:
        count = len(program.envelope)
        found.append(f"the envelope has {count} actuators; the microcontroller takes 1 to {MOST_ACTUATORS}")
    if len({limit.name for limit in program.envelope}) != len(program.envelope):
        found.append("the envelope names an actuator twice")
    for limit in program.envelope:
        found.extend(_limit_problems(limit))
    return found


def _limit_problems(limit: ActuatorLimit) -> list[str]:
    found: list[str] = []
    if not _NAME.match(limit.name):
        found.append(f"`{limit.name}` is no actuator name: letters, digits and `_`, at most 32")
    values = (limit.low, limit.safe, limit.high)
    if not all(math.isfinite(v) and abs(v) <= LARGEST_VALUE for v in values):
        found.append(f"`{limit.name}`: min, max and safe must lie within {LARGEST_VALUE:g} units of zero")
    elif not limit.low <= limit.safe <= limit.high:
        found.append(f"`{limit.name}`: safe must lie between min and max")
    for side, rate in (("rise", limit.rise), ("fall", limit.fall)):
        if not (rate == math.inf or SLOWEST / SCALE <= rate <= LARGEST_VALUE):
            found.append(
                f"`{limit.name}`: {side} must be {SLOWEST / SCALE:g}/s to {LARGEST_VALUE:g}/s, or absent"
            )
    return found


_HEADER = """\
/* Generated from policy `{name}`, version {version}, by `edgeguard policy table --c`: do not edit.
 * Values in 1e-6 of the actuator's unit, rates in 1e-6 of it a second, times in the unit of their name.
 * The same policy gives the same bytes. */
#ifndef EG_POLICY_TABLE_H
#define EG_POLICY_TABLE_H

#define EG_ACTUATORS {actuators}u
#define EG_ACTUATOR_NAMES {{{names}}}

/* clang-format off */
#define EG_POLICY_TABLE {{ \\
    .digest = {{{digest}}}, \\
    .policy_hash = 0x{hash:08x}u, \\
    .degraded_us = {degraded}u, \\
    .lost_us = {lost}u, \\
    .valid_max_ms = {valid}u, \\
    .arm_commands = {arm}u, \\
    .actuator = {{ \\
{rows} \\
    }}, \\
}}
/* clang-format on */

#endif
"""
