"""What of a policy binds the microcontroller, as facts: emergency stop, feedback, authority, sensors and own rules.

No emergency stop, a longer lead and a dropped rule are more permissive. Commands have no order, so a rule that is new
or commands otherwise is incomparable.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgeguard.desk.compare.fact import Fact, limit, number, other
from edgeguard.desk.compare.order import Order, rising
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.local import terms
from edgeguard.policy.schema import Actuator
from edgeguard.policy.source import Path
from edgeguard.policy.units import duration_text
from edgeguard.types import Authority

Rule = tuple[frozenset[tuple[object, ...]], tuple[tuple[str, float], ...]]
"""When an own rule holds, by the sensors' names, and what it commands."""


def own(document: PolicyDocument) -> Iterator[tuple[Path, Fact]]:
    """Every fact about what it knows and does by itself."""
    section = document.policy.microcontroller
    yield ("microcontroller", "stop"), Fact(bool(section and section.stop), rising, _yes)
    if section is None:
        return
    for name, sensor in section.sensors.items():
        path: Path = ("microcontroller", "sensors", name)
        yield (*path, "range"), Fact(sensor.range, other, _range)
        yield (*path, "max_age"), Fact(sensor.max_age, other, duration_text)
        yield (*path, "unit"), Fact(sensor.unit or None, other)
    yield ("microcontroller", "fallback"), Fact(_rules(document), _fewer, _said)


def held(path: Path, actuator: Actuator) -> Iterator[tuple[Path, Fact]]:
    """Every fact about what it holds the actuator at `path` to, whatever the host says."""
    feedback = actuator.feedback
    if feedback is not None:
        yield (*path, "feedback", "lead"), Fact(feedback.lead, limit, number)
        yield (*path, "feedback", "max_age"), Fact(feedback.max_age, limit, duration_text)
    if actuator.authority != "model":
        yield (*path, "authority"), Fact(actuator.authority, _rank)


def _rules(document: PolicyDocument) -> tuple[Rule, ...]:
    """The rules, without those at the end that only say what `safe` says."""
    section, policy = document.policy.microcontroller, document.policy
    found: list[Rule] = []
    names = tuple(section.sensors) if section else ()
    for i, row in enumerate(section.fallback if section else ()):
        node = document.local.get(("microcontroller", "fallback", i, "when"))
        holds = terms(node, names) if node is not None else ()
        when = frozenset((names[term.sensor], term.relation, term.limit) for term in holds)
        found.append((when, tuple((name, row.command[name]) for name in policy.envelope)))
    safe = tuple((name, actuator.safe) for name, actuator in policy.envelope.items())
    while found and found[-1][1] == safe:
        found.pop()
    return tuple(found)


def _fewer(old: tuple[Rule, ...] | None, new: tuple[Rule, ...] | None) -> Order:
    """The same rules, or some of them dropped; whatever else they say has no order."""
    before, after = old or (), new or ()
    if before == after:
        return Order.EQUIVALENT
    left = iter(before)
    return Order.PERMISSIVE if all(rule in left for rule in after) else Order.INCOMPARABLE


def _rank(old: str | None, new: str | None) -> Order:
    """The more restrictive the source must be, the stricter; without a word it is the model."""
    return rising(Authority[(old or "model").upper()], Authority[(new or "model").upper()])


def _yes(value: bool) -> str:  # noqa: FBT001 - a fact's own value
    return "true" if value else "false"


def _range(value: tuple[float, float]) -> str:
    return f"{number(value[0])} to {number(value[1])}"


def _said(rules: tuple[Rule, ...]) -> str:
    return "1 rule" if len(rules) == 1 else f"{len(rules)} rules"
