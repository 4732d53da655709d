"""Does a policy fit the microcontroller: its 32-bit numbers, its room, its times and its line?

Pure: a compiled policy in, every objection out. What fits is printed by `emit_c`. Opens nothing.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from edgeguard.errors import Diagnostic
from edgeguard.program import LinkSettings

if TYPE_CHECKING:
    from edgeguard.program import ActuatorLimit, LocalRule, Program

SCALE = 1_000_000
"""Steps a unit."""
SLOWEST = 1_000
"""Smallest rate (1e-6 a second): outputs move in steps of 1 ms, so a slower one would round to standing still."""
LARGEST_VALUE = 2_000.0
MOST_ACTUATORS = 16
"""What a line of 921,600 baud carries at 50 Hz in both directions with room to spare."""
LINE_SHARE = 0.75
"""Of the line, at most, for frames: above it frames wait for one another, and the last actuators are never reported."""
COMMAND_BYTES = 57
STATUS_BYTES_A_SECOND = 64 * 50
HELLO_AND_OFFER_BYTES_A_SECOND = 61 * 5 + 45 * 10
BITS_A_BYTE = 10
DEGRADED_SHARE = 1.0 / 3.0
"""Of `lost_after`: later than this, a command is not in time for arming."""
SHORTEST_LOST = 0.010
LONGEST_LOST = 10.0
SHORTEST_AGE = 0.001
"""s: a reading is looked at once a millisecond."""

MOST_SENSORS = MOST_RULES = 8
MOST_TERMS = 4

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}\Z")


def objections(program: Program) -> tuple[Diagnostic, ...]:
    """Why the policy does not fit, every reason; empty: it does."""
    limits = [*_envelope_problems(program), *_own_problems(program)]
    return (
        *(Diagnostic("EG1304", text, program.name, 1, 1) for text in limits),
        *(Diagnostic("EG1315", text, program.name, 1, 1) for text in _line_problems(program)),
    )


def lost_after(program: Program) -> float:
    """Time (s) without a command within which the microcontroller has to act by itself."""
    return (program.link or LinkSettings()).lost_after


def _line_problems(program: Program) -> list[str]:
    found: list[str] = []
    lost = lost_after(program)
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
    back = math.floor((room - HELLO_AND_OFFER_BYTES_A_SECOND) / STATUS_BYTES_A_SECOND)
    carried, count = max(0, min(there, back)), len(program.envelope)
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
    feedback = limit.feedback
    if feedback is not None and not 1 / SCALE <= feedback.lead <= LARGEST_VALUE:
        found.append(
            f"`{limit.name}`: the lead over feedback must be positive, and at most {LARGEST_VALUE:g}"
        )
    if feedback is not None and not SHORTEST_AGE <= feedback.max_age <= LONGEST_LOST:
        found.append(f"`{limit.name}`: feedback must count for {SHORTEST_AGE:g} to {LONGEST_LOST:g} s")
    return found


def _own_problems(program: Program) -> list[str]:
    """What the microcontroller knows by itself, and its own rules."""
    own = program.microcontroller
    found: list[str] = []
    if len(own.sensors) > MOST_SENSORS or len(own.rules) > MOST_RULES:
        found.append(f"the microcontroller takes {MOST_SENSORS} sensors and {MOST_RULES} rules of its own")
    for sensor in own.sensors:
        if not _NAME.match(sensor.name):
            found.append(f"`{sensor.name}` is no sensor name: letters, digits and `_`, at most 32")
        if not -LARGEST_VALUE <= sensor.low < sensor.high <= LARGEST_VALUE:
            found.append(f"sensor `{sensor.name}`: its range must lie within {LARGEST_VALUE:g} of zero")
        if not SHORTEST_AGE <= sensor.max_age <= LONGEST_LOST:
            found.append(
                f"sensor `{sensor.name}`: readings must count for {SHORTEST_AGE:g} to {LONGEST_LOST:g} s"
            )
    for rule in own.rules:
        found.extend(_rule_problems(program, rule))
    return found


def _rule_problems(program: Program, rule: LocalRule) -> list[str]:
    where = f"the microcontroller's rule of line {rule.line}"
    found: list[str] = []
    if len(rule.terms) > MOST_TERMS:
        found.append(f"{where} has {len(rule.terms)} comparisons: at most {MOST_TERMS}")
    for term in rule.terms:
        if not 0 <= term.sensor < len(program.microcontroller.sensors):
            found.append(f"{where} reads a sensor that is not declared")
        if not abs(term.limit) <= LARGEST_VALUE:
            found.append(f"{where} compares with {term.limit:g}: at most {LARGEST_VALUE:g}")
    for limit in program.envelope:
        value = rule.command.values.get(limit.name, math.nan)
        if not limit.low <= value <= limit.high:
            found.append(f"{where} gives `{limit.name}` {value:g}, which is outside of its min and max")
    return found
