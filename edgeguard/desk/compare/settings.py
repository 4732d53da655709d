"""What of a policy can be ordered without a solver: whom it trusts, how far actuators go, how soon loss is noticed.

One table of facts a policy, compared fact by fact. Who runs what, where and how often is in `running`, what may be
admitted in `trust`, what the microcontroller does by itself in `microcontroller`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from edgeguard.desk.compare.fact import Fact, floor, limit, number, other
from edgeguard.desk.compare.microcontroller import held, own
from edgeguard.desk.compare.order import Difference, Order, changed, falling, joined, rising
from edgeguard.desk.compare.running import running
from edgeguard.desk.compare.trust import trust
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.pace import frame_period
from edgeguard.policy.schema import Actuator, Policy, SignalDeclaration
from edgeguard.policy.source import Path
from edgeguard.policy.units import duration_text

DISCLOSURE = ("top1", "probabilities")
"""From the least that leaves the guard to the most."""


def settings(old: PolicyDocument, new: PolicyDocument) -> Iterator[Difference]:
    """Every difference outside of triggers and fallback rules."""
    before, after = dict(facts(old)), dict(facts(new))
    for path in dict.fromkeys((*after, *before)):
        one, other = before.get(path), after.get(path)
        known = one or other
        if known is None:
            continue
        was, now = one.value if one else None, other.value if other else None
        order = known.order(was, now)
        if order is not Order.EQUIVALENT:
            text = f"`{'.'.join(map(str, path))}` is {_said(known, now)}, was {_said(known, was)}"
            yield Difference(order, text, path if one else None, path if other else None)


def _said(fact: Fact, value: object) -> str:
    return "not stated" if value is None else fact.show(value)


def facts(document: PolicyDocument) -> Iterator[tuple[Path, Fact]]:
    """Every fact of a policy by its place. What it does not state is left out where nothing stands for it."""
    policy = document.policy
    yield ("period",), Fact(policy.period, changed, duration_text)
    yield ("frame", "period"), Fact(frame_period(policy), changed, duration_text)
    yield ("ftti",), Fact(policy.ftti, limit, duration_text)
    yield ("lockout_after",), Fact(policy.lockout_after or math.inf, falling, _entries)
    yield ("log", "flush"), Fact(policy.log.flush, falling, duration_text)
    yield ("disclosure", "outputs"), Fact(policy.disclosure.outputs, _disclosure)
    yield ("risk", "at_most"), Fact(policy.risk.at_most if policy.risk else None, limit, number)
    yield ("risk", "confidence"), Fact(policy.risk.confidence if policy.risk else None, floor, number)
    yield from running(policy)
    yield from trust(document)
    yield from _link(policy)
    for name, signal in policy.signals.items():
        yield from _signal(("signals", name), signal)
    for name, actuator in policy.envelope.items():
        yield from _actuator(("envelope", name), actuator)
    yield from own(document)
    if policy.handover:
        steps = tuple((step.after, step.alert) for step in policy.handover.escalate)
        yield ("handover", "escalate"), Fact(steps, _ladder, _steps)


def _link(policy: Policy) -> Iterator[tuple[Path, Fact]]:
    link = policy.link
    if link is None:
        return
    yield ("link",), Fact("declared", changed)
    yield ("link", "lost_after"), Fact(link.lost_after, limit, duration_text)
    yield ("link", "heartbeat"), Fact(link.heartbeat, changed, duration_text)
    for key in ("port", "baud", "key"):
        value = getattr(link, key)
        if value is not None:
            yield ("link", key), Fact(value, changed)
    yield ("link", "operator_key"), Fact(link.operator_key, _speaks)


def _signal(path: Path, signal: SignalDeclaration) -> Iterator[tuple[Path, Fact]]:
    """What the signal is. Its range, age and faults are compared as triggers; a missing one is no fact either."""
    source = signal.from_ or " and ".join(sorted(signal.of or ()))
    yield path, Fact(f"measured by {source}", other)
    yield (*path, "measure"), Fact(signal.measure, other)
    yield (*path, "type"), Fact(signal.type, other)
    yield (*path, "labels"), Fact(signal.labels or None, other, ", ".join)
    yield (*path, "unit"), Fact(signal.unit or None, other)


def _actuator(path: Path, actuator: Actuator) -> Iterator[tuple[Path, Fact]]:
    yield path, Fact("declared", changed)
    yield (*path, "min"), Fact(actuator.min, floor, number)
    yield (*path, "max"), Fact(actuator.max, limit, number)
    yield (*path, "rise"), Fact(actuator.rise, limit, _rate)
    yield (*path, "fall"), Fact(actuator.fall, limit, _rate)
    yield (*path, "safe"), Fact(actuator.safe, changed, number)
    yield (*path, "unit"), Fact(actuator.unit or None, other)
    yield from held(path, actuator)


def _speaks(old: str | None, new: str | None) -> Order:
    """A host that cannot speak for the operator is stricter than one that can."""
    if old is None or new is None:
        return falling(old is not None, new is not None)
    return changed(old, new)


def _disclosure(old: str, new: str) -> Order:
    return falling(DISCLOSURE.index(old), DISCLOSURE.index(new))


Ladder = tuple[tuple[float, str], ...]


def _ladder(old: Ladder | None, new: Ladder | None) -> Order:
    """The same alerts, each sooner, are stricter; so is any ladder than none."""
    if not old or not new:
        return rising(len(old or ()), len(new or ()))
    if [alert for _, alert in old] != [alert for _, alert in new]:
        return Order.INCOMPARABLE
    return joined(falling(before, after) for (before, _), (after, _) in zip(old, new))


def _rate(value: float) -> str:
    return f"{value:g}/s"


def _entries(value: float) -> str:
    return "0 (never)" if math.isinf(value) else f"{value:g}"


def _steps(ladder: Ladder) -> str:
    return ", ".join(f"{alert} after {duration_text(after)}" for after, alert in ladder)
