"""The linter: what loads and is still likely a mistake, by names, structure and interval arithmetic. It proves nothing.

What it says about values is certain; what it does not say may still be found by `policy prove` and `policy analyze`.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgeguard.desk.findings import Finding
from edgeguard.desk.lint import conditions, declared, evidence, microcontroller, trust
from edgeguard.desk.lint.subject import subject_of
from edgeguard.policy.document import PolicyDocument
from edgeguard.types import NO_VALUES

__all__ = ["lint"]

_CHECKS = (
    declared.unread_signals,
    declared.unused_macros,
    declared.idle_demands,
    declared.ladders,
    declared.repeated_conditions,
    declared.idle_rows,
    conditions.endless,
    conditions.holding_at_rest,
    conditions.flickering,
    conditions.overlapping,
    conditions.constant_comparisons,
    conditions.constant_conditions,
    evidence.counted_twice,
    evidence.vouched_by_one,
    evidence.agreed_by_one,
    microcontroller.unread_sensors,
    microcontroller.constant_terms,
    microcontroller.shadowed_rules,
    microcontroller.idle_rules,
    microcontroller.idle_leads,
    microcontroller.idle_without_link,
    microcontroller.idle_commands,
    trust.wide_authorities,
    trust.idle_signers,
    trust.forgetful_devices,
)


def lint(document: PolicyDocument, thresholds: Mapping[str, float] = NO_VALUES) -> tuple[Finding, ...]:
    """Everything worth a second look (EG1401 to EG1418), each once, in file order.

    `thresholds`: the calibrated ones by name. Without one, a check of values is left out where it would need it.
    """
    subject = subject_of(document, thresholds)
    found = dict.fromkeys(finding for check in _CHECKS for finding in check(subject))
    return tuple(sorted(found, key=lambda f: (f.line, f.column, f.code)))
