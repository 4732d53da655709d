"""What the microcontroller does whatever the host says, as tables for a reviewer: its limits, sensors and own rules.

Reads a compiled policy and its document, as `facts` does; formats nothing for any medium.
"""

from __future__ import annotations

from edgeguard.desk.page.facts import Code, Sheet, condition, number, words
from edgeguard.policy import DraftPolicy
from edgeguard.policy.units import duration_text
from edgeguard.types import Authority


def sheets(draft: DraftPolicy) -> tuple[Sheet, ...]:
    """What the microcontroller knows and does by itself; nothing where the policy says nothing about it."""
    policy = draft.document.policy
    measured = any(limit.feedback or limit.authority for limit in draft.program.envelope)
    if policy.microcontroller is None and not measured:
        return ()
    return _outputs(draft), _sensors(draft), _own_rules(draft)


def _outputs(draft: DraftPolicy) -> Sheet:
    stop = "There is an emergency stop: it sends every actuator to its safe value, past every rule."
    none = "There is no emergency stop."
    rows = []
    for limit in draft.program.envelope:
        feedback = limit.feedback
        rows.append(
            (
                Code(limit.name),
                "anybody"
                if limit.authority is Authority.MODEL
                else f"{words(limit.authority.name)} or safer",
                "not measured" if feedback is None else f"within {number(feedback.lead)} of where it is",
                "" if feedback is None else duration_text(feedback.max_age),
            )
        )
    return Sheet(
        "microcontroller",
        "Microcontroller",
        "What the microcontroller holds to whatever the host says. "
        + (stop if draft.program.microcontroller.stop else none),
        ("actuator", "may be moved by", "its output stays", "a measured position counts for"),
        tuple(rows),
    )


def _sensors(draft: DraftPolicy) -> Sheet:
    own = draft.document.policy.microcontroller
    units = {name: sensor.unit for name, sensor in own.sensors.items()} if own else {}
    return Sheet(
        "sensors",
        "Sensors of the microcontroller",
        "Measured without the host, and read only by the rules below. At fault, no comparison with it is true.",
        ("sensor", "unit", "range", "maximum age"),
        tuple(
            (
                Code(spec.name),
                units[spec.name],
                f"{number(spec.low)} to {number(spec.high)}",
                duration_text(spec.max_age),
            )
            for spec in draft.program.microcontroller.sensors
        ),
    )


def _own_rules(draft: DraftPolicy) -> Sheet:
    own, limits = draft.document.policy.microcontroller, draft.program.envelope
    notes = [row.note or "" for row in own.fallback] if own else []
    rows = [
        (
            str(rule.line),
            condition(rule.text),
            *(number(rule.command.values[limit.name]) for limit in limits),
            note,
        )
        for rule, note in zip(draft.program.microcontroller.rules, notes)
    ]
    if not notes or (own and own.fallback[-1].when is not None):
        rows.append(("", "none holds", *(number(limit.safe) for limit in limits), "the safe values"))
    return Sheet(
        "local",
        "Rules of the microcontroller",
        "While it acts without the host, the first whose condition holds commands. The emergency stop, a reset and a "
        "lockout go to the safe values.",
        ("line", "condition", *(limit.name for limit in limits), "why"),
        tuple(rows),
    )
