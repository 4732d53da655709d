"""Does what the microcontroller knows and does by itself hang together: sensors, own rules, feedback, keys?

The conditions of its rules are checked in `conditions` and `local`; its table is printed by `emit_c`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from edgeguard.policy.diagnostics import quote
from edgeguard.policy.findings import Findings
from edgeguard.policy.fits import LARGEST_VALUE, SHORTEST_AGE
from edgeguard.policy.fits import LONGEST_LOST as LONGEST_AGE
from edgeguard.policy.source import Path
from edgeguard.policy.timing import SLACK
from edgeguard.policy.units import duration_text


def check_microcontroller(findings: Findings) -> None:
    """Report every sensor, own rule and key that contradicts the rest, and every age that nothing could keep."""
    _sensors(findings)
    own = findings.policy.microcontroller
    if own is not None:
        findings.rows(own.fallback, ("microcontroller", "fallback"))
    for path, what, age in _ages(findings):
        _age(findings, path, what, age)
    _keys(findings)


def _sensors(findings: Findings) -> None:
    own = findings.policy.microcontroller
    for name, sensor in own.sensors.items() if own else ():
        path: Path = ("microcontroller", "sensors", name)
        if name in findings.policy.let:
            message = f"{quote(name)} is a name of `let` already"
            findings.at_key("EG1320", message, path, "choose another name")
        if max(map(abs, sensor.range)) > LARGEST_VALUE:
            message = f"the range of {quote(name)} does not lie within {LARGEST_VALUE:g} units of zero"
            findings.at_value("EG1333", message, (*path, "range"), "choose a larger unit")


def _ages(findings: Findings) -> Iterator[tuple[Path, str, float]]:
    """Every measurement of the microcontroller's, and how long it counts."""
    own = findings.policy.microcontroller
    for name, sensor in own.sensors.items() if own else ():
        yield ("microcontroller", "sensors", name, "max_age"), f"sensor {quote(name)}", sensor.max_age
    for name, actuator in findings.policy.envelope.items():
        if actuator.feedback is not None:
            path = ("envelope", name, "feedback", "max_age")
            yield path, f"the feedback of {quote(name)}", actuator.feedback.max_age


def _age(findings: Findings, path: Path, what: str, age: float) -> None:
    ftti = findings.policy.ftti
    if not SHORTEST_AGE <= age <= LONGEST_AGE:
        allowed = f"{duration_text(SHORTEST_AGE)} to {duration_text(LONGEST_AGE)}"
        findings.at_value("EG1333", f"{what} may count for {allowed}, not {duration_text(age)}", path)
    elif ftti is not None and age > ftti + SLACK:
        message = f"{what} may be {duration_text(age)} old, longer than `ftti` of {duration_text(ftti)}"
        findings.at_key("EG1309", message, path)


def _keys(findings: Findings) -> None:
    link = findings.policy.link
    if link is None or link.key is None or link.operator_key is None:
        return
    if os.path.normpath(link.key) == os.path.normpath(link.operator_key):
        message = "`operator_key` is the host's own `key`"
        hint = "give the operator a key of its own, or leave `operator_key` out"
        findings.at_value("EG1334", message, ("link", "operator_key"), hint)
