"""What of a policy can be ordered without a solver: whom it trusts, how far actuators go, how soon loss is noticed.

One table of facts a policy, compared fact by fact. A fact whose order is not known for certain is `changed`: then the
policies are incomparable as soon as it differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any, NamedTuple

from edgeguard.desk.compare.order import Difference, Order, changed, falling, joined, rising
from edgeguard.policy.looks import bundles
from edgeguard.policy.pace import frame_period
from edgeguard.policy.schema import Actuator, Policy, SignalDeclaration
from edgeguard.policy.source import Path
from edgeguard.policy.units import duration_text

DISCLOSURE = ("top1", "probabilities")
"""From the least that leaves the guard to the most."""


class Fact(NamedTuple):
    """One value of a policy: how two of them are ordered, and how one is said. None: the policy has no such thing."""

    value: Any
    order: Callable[[Any, Any], Order]
    show: Callable[[Any], str] = str


def settings(old: Policy, new: Policy) -> Iterator[Difference]:
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


def facts(policy: Policy) -> Iterator[tuple[Path, Fact]]:
    """Every fact of a policy by its place. What it does not state is left out where nothing stands for it."""
    yield ("period",), Fact(policy.period, changed, duration_text)
    yield ("frame", "period"), Fact(frame_period(policy), changed, duration_text)
    yield ("ftti",), Fact(policy.ftti, _limit, duration_text)
    yield ("lockout_after",), Fact(policy.lockout_after or math.inf, falling, _entries)
    yield ("log", "flush"), Fact(policy.log.flush, falling, duration_text)
    yield ("disclosure", "outputs"), Fact(policy.disclosure.outputs, _disclosure)
    yield ("risk", "at_most"), Fact(policy.risk.at_most if policy.risk else None, _limit, _number)
    yield ("risk", "confidence"), Fact(policy.risk.confidence if policy.risk else None, _floor, _number)
    yield from _trusted(policy)
    yield from _link(policy)
    for name, signal in policy.signals.items():
        yield from _signal(("signals", name), signal)
    for name, actuator in policy.envelope.items():
        yield from _actuator(("envelope", name), actuator)
    if policy.handover:
        steps = tuple((step.after, step.alert) for step in policy.handover.escalate)
        yield ("handover", "escalate"), Fact(steps, _ladder, _steps)


def _trusted(policy: Policy) -> Iterator[tuple[Path, Fact]]:
    """Which models run, who may sign them, and which of them share a process."""
    models = {
        ("models", role) if role in (policy.models or {}) else (role,): model
        for role, model in bundles(policy).items()
    }
    for path, model in models.items():
        yield path, Fact((model.bundle, model.backend), changed, " on ".join)
    if policy.admission:
        keys = frozenset(signer.sha256 for signer in policy.admission.signers)
        yield ("admission", "signers"), Fact(keys, _fewer, _keys)
    version = policy.admission.require.security_version if policy.admission else 0
    yield ("admission", "require", "security_version"), Fact(version, rising)
    shared = frozenset(_shared(policy, [path[-1] for path in models]))
    yield ("isolation", "workers"), Fact(shared, _fewer, _together)


def _shared(policy: Policy, roles: list[str | int]) -> Iterator[tuple[str | int, str | int]]:
    """Which models share a process with which other, or with the host."""
    workers = policy.isolation.workers if policy.isolation else {}
    process: dict[str, str] = {role: name for name, worker in workers.items() for role in worker.runs}
    homes: dict[str | int, str | None] = {**{role: process.get(str(role)) for role in roles}, "host": None}
    return ((a, b) for a, b in combinations(homes, 2) if homes[a] == homes[b])


def _link(policy: Policy) -> Iterator[tuple[Path, Fact]]:
    link = policy.link
    if link is None:
        return
    yield ("link",), Fact("declared", changed)
    yield ("link", "lost_after"), Fact(link.lost_after, _limit, duration_text)
    yield ("link", "heartbeat"), Fact(link.heartbeat, changed, duration_text)
    for key in ("port", "baud", "key"):
        value = getattr(link, key)
        if value is not None:
            yield ("link", key), Fact(value, changed)


def _signal(path: Path, signal: SignalDeclaration) -> Iterator[tuple[Path, Fact]]:
    """What the signal is. Its range, age and faults are compared as triggers; a missing one is no fact either."""
    source = signal.from_ or " and ".join(sorted(signal.of or ()))
    yield path, Fact(f"measured by {source}", _other)
    yield (*path, "type"), Fact(signal.type, _other)
    yield (*path, "labels"), Fact(signal.labels or None, _other, ", ".join)
    yield (*path, "unit"), Fact(signal.unit or None, _other)


def _actuator(path: Path, actuator: Actuator) -> Iterator[tuple[Path, Fact]]:
    yield path, Fact("declared", changed)
    yield (*path, "min"), Fact(actuator.min, _floor, _number)
    yield (*path, "max"), Fact(actuator.max, _limit, _number)
    yield (*path, "rise"), Fact(actuator.rise, _limit, _rate)
    yield (*path, "fall"), Fact(actuator.fall, _limit, _rate)
    yield (*path, "safe"), Fact(actuator.safe, changed, _number)
    yield (*path, "unit"), Fact(actuator.unit or None, _other)


def _limit(old: float | None, new: float | None) -> Order:
    """The lower the stricter; what is not stated is no limit."""
    return falling(math.inf if old is None else old, math.inf if new is None else new)


def _floor(old: float | None, new: float | None) -> Order:
    """The higher the stricter; what is not stated is none."""
    return rising(-math.inf if old is None else old, -math.inf if new is None else new)


def _other(old: object, new: object) -> Order:
    """Two different statements cannot be compared; where one policy says nothing, nothing is computed otherwise."""
    return Order.EQUIVALENT if old is None or new is None else changed(old, new)


def _fewer(old: frozenset[object] | None, new: frozenset[object] | None) -> Order:
    """The fewer the stricter, of sets that contain each other."""
    before, after = old or frozenset(), new or frozenset()
    if before == after:
        return Order.EQUIVALENT
    if after < before:
        return Order.STRICTER
    return Order.PERMISSIVE if before < after else Order.INCOMPARABLE


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


def _number(value: float) -> str:
    return f"{value:g}"


def _rate(value: float) -> str:
    return f"{value:g}/s"


def _entries(value: float) -> str:
    return "0 (never)" if math.isinf(value) else f"{value:g}"


def _keys(keys: frozenset[str]) -> str:
    return ", ".join(sorted(key[:12] for key in keys))


def _together(pairs: frozenset[tuple[str, str]]) -> str:
    listed = ", ".join(sorted(" with ".join(pair) for pair in pairs))
    return f"one process for {listed}" if listed else "a process each"


def _steps(ladder: Ladder) -> str:
    return ", ".join(f"{alert} after {duration_text(after)}" for after, alert in ladder)
