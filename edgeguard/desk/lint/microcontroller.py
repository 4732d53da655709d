"""What the microcontroller is told in vain: sensors nobody reads, own rules that never act, limits that limit nothing.

Certain, in the microcontroller's own whole numbers. A sensor at fault makes no comparison true, so what reads one never
always holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from edgeguard.desk.findings import Finding, Severity
from edgeguard.desk.lint.subject import Subject
from edgeguard.policy.diagnostics import quote
from edgeguard.policy.emit_c import fixed
from edgeguard.policy.expr import tree
from edgeguard.policy.local import links, terms
from edgeguard.policy.schema import Sensor
from edgeguard.policy.source import Path
from edgeguard.program import Relation, Term

_RULES: Path = ("microcontroller", "fallback")


class Span(NamedTuple):
    """Readings from `low` to `high`, both included, in 1e-6 of the sensor's unit; none where `low` is above `high`."""

    low: int
    high: int


Box = Mapping[int, Span]
"""What sensors read, by their place."""


def unread_sensors(subject: Subject) -> Iterator[Finding]:
    """EG1401: no rule of the microcontroller reads it."""
    own = subject.document.policy.microcontroller
    read = {name for node in subject.document.local.values() for name in tree.names(node)}
    for name in own.sensors if own else ():
        if name not in read:
            place = subject.name("microcontroller", "sensors", name)
            message = f"no rule of the microcontroller reads {quote(name)}"
            yield subject.finding("EG1401", message, place, "read it in a rule, or remove it")


def constant_terms(subject: Subject) -> Iterator[Finding]:
    """EG1409: a comparison that is never true, or always while its sensor is healthy; and some that contradict."""
    for i, found in _terms(subject):
        path: Path = (*_RULES, i, "when")
        node = subject.document.local[path]
        spans = [_span(subject, term) for term in found]
        told = [_constant(subject, path, *one) for one in zip(links(node), found, spans)]
        yield from filter(None, told)
        if not any(told) and _box(subject, found) is None:
            message = "this rule never holds: its comparisons contradict each other"
            yield subject.finding("EG1409", message, subject.inside(path, node))


def _constant(subject: Subject, path: Path, link: tree.Node, term: Term, span: Span) -> Finding | None:
    name, sensor = list(_sensors(subject).items())[term.sensor]
    never, always = span.low > span.high, span == _whole(sensor)
    if not (never or always):
        return None
    comes = "never true" if never else "always true while its sensor is healthy"
    severity: Severity = "warning" if never else "note"  # on purpose, it asks whether the sensor is healthy
    message = f"{subject.written(path, link)} is {comes}"
    hint = f"{quote(name)} is {sensor.range[0]:g} to {sensor.range[1]:g}"
    return subject.finding("EG1409", message, subject.inside(path, link), hint, severity)


def shadowed_rules(subject: Subject) -> Iterator[Finding]:
    """EG1414: whenever it holds, a rule above it does."""
    boxes: list[tuple[int, Box]] = []
    for i, found in _terms(subject):
        box = _box(subject, found)
        if box is None:
            continue
        above = next((line for line, other in boxes if _covers(other, box)), None)
        if above is not None:
            message = f"this rule never acts: whenever it holds, the one at line {above} does"
            yield subject.finding("EG1414", message, subject.value(*_RULES, i), "move it up, or remove it")
        boxes.append((subject.document.line((*_RULES, i)), box))


def idle_rules(subject: Subject) -> Iterator[Finding]:
    """EG1411: the last rule commands what follows without it, or a rule what the next one does."""
    policy = subject.document.policy
    rows = policy.microcontroller.fallback if policy.microcontroller else ()
    safe = {name: actuator.safe for name, actuator in policy.envelope.items()}
    for i, row in enumerate(rows):
        last = i + 1 == len(rows)
        if last and dict(row.command) == safe:
            message = "this rule commands the safe values, which act anyway where no rule holds"
            yield subject.finding("EG1411", message, subject.value(*_RULES, i), "remove it", "note")
        elif not last and rows[i + 1].when is None and dict(row.command) == dict(rows[i + 1].command):
            message = "this rule commands what the last one does without a condition"
            yield subject.finding("EG1411", message, subject.value(*_RULES, i), "remove it")


def idle_leads(subject: Subject) -> Iterator[Finding]:
    """EG1415: the output can never be so far from the measured position, inside the envelope."""
    for name, actuator in subject.document.policy.envelope.items():
        width, feedback = actuator.max - actuator.min, actuator.feedback
        if feedback is not None and feedback.lead >= width:
            message = f"`lead` of {quote(name)} holds nothing back: its range is only {width:g} wide"
            place = subject.value("envelope", name, "feedback", "lead")
            yield subject.finding("EG1415", message, place, "make `lead` as small as the actuator follows")


def idle_without_link(subject: Subject) -> Iterator[Finding]:
    """EG1404: the policy tells a microcontroller what to do, and names no line to one."""
    policy = subject.document.policy
    if policy.link is None and policy.microcontroller is not None:
        message = "the policy has no `link`: no microcontroller carries this out"
        place = subject.name("microcontroller")
        yield subject.finding("EG1404", message, place, "add a `link` section")


def idle_commands(subject: Subject) -> Iterator[Finding]:
    """EG1404: a fallback rule of the host commands an actuator that rules may not move."""
    policy = subject.document.policy
    human = {name: actuator for name, actuator in policy.envelope.items() if actuator.authority == "human"}
    for i, row in enumerate(policy.fallback):
        for name, actuator in human.items():
            if row.command[name] != actuator.safe:
                message = f"rules may not act on {quote(name)}: it gets its `safe` value"
                place = subject.value("fallback", i, "command", name)
                yield subject.finding(
                    "EG1404", message, place, f"write {actuator.safe:g}, or `authority: rules`"
                )


def _sensors(subject: Subject) -> Mapping[str, Sensor]:
    own = subject.document.policy.microcontroller
    return own.sensors if own else {}


def _terms(subject: Subject) -> Iterator[tuple[int, tuple[Term, ...]]]:
    """Every rule with a condition: its place, and its comparisons."""
    own, names = subject.document.policy.microcontroller, tuple(_sensors(subject))
    for i in range(len(own.fallback) if own else 0):
        node = subject.document.local.get((*_RULES, i, "when"))
        if node is not None:
            yield i, terms(node, names)


def _whole(sensor: Sensor) -> Span:
    return Span(fixed(sensor.range[0]), fixed(sensor.range[1]))


def _span(subject: Subject, term: Term) -> Span:
    """The readings for which a comparison is true."""
    low, high = _whole(list(_sensors(subject).values())[term.sensor])
    limit = fixed(term.limit)
    if term.relation in (Relation.ABOVE, Relation.AT_LEAST):
        return Span(max(low, limit + (term.relation is Relation.ABOVE)), high)
    return Span(low, min(high, limit - (term.relation is Relation.BELOW)))


def _box(subject: Subject, found: tuple[Term, ...]) -> Box | None:
    """What each sensor reads while all comparisons are true; None: that cannot be."""
    box: dict[int, Span] = {}
    for term in found:
        span = _span(subject, term)
        before = box.get(term.sensor, span)
        box[term.sensor] = Span(max(before.low, span.low), min(before.high, span.high))
    return box if all(span.low <= span.high for span in box.values()) else None


def _covers(above: Box, below: Box) -> bool:
    """Whether one condition holds whenever the other does: a sensor at fault ends both."""
    return all(
        sensor in below and span.low <= below[sensor].low and below[sensor].high <= span.high
        for sensor, span in above.items()
    )
