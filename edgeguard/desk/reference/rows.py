"""S4: the triggers of a policy, read from its checked sections, with every default of the page filled in.

Nothing here depends on a step; what a trigger does over time is in `triggers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edgeguard.desk.reference.conditions import Condition, condition
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.expr import tree
from edgeguard.policy.schema import Reaction, Relation, SignalDeclaration
from edgeguard.types import Authority

AUTHORITY: Mapping[str, Authority] = {
    "rules": Authority.RULES,
    "human": Authority.HUMAN,
    "safe_state": Authority.SAFE_STATE,
}
FRAME_PERIOD = 0.05
"""Seconds between two pictures where the policy does not say."""


class Span(NamedTuple):
    """S4.2: frames and seconds; what is not written is 0."""

    frames: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """S4.2: one trigger. `when` None: the fault trigger of `signal` (S4.5)."""

    name: str
    when: Condition | None
    clear: Condition | None
    """None: the opposite of `when`."""
    hold: Span
    let_go: Span
    then: Authority
    latch: bool
    within: float
    otherwise: Authority
    mode: str
    signal: str = ""


def enforced(document: PolicyDocument) -> tuple[Row, ...]:
    """S4.1: rules, relations, then one fault trigger a signal."""
    policy = document.policy
    period = policy.frame.period if policy.frame else FRAME_PERIOD
    faults = tuple(_fault(name, signal, period) for name, signal in policy.signals.items())
    return (*(row for row in _declared(document) if row.mode == "enforce"), *faults)


def watched(document: PolicyDocument) -> tuple[Row, ...]:
    """S4.6: the second list."""
    return tuple(row for row in _declared(document) if row.mode != "enforce")


def _declared(document: PolicyDocument) -> tuple[Row, ...]:
    """S4.1, S4.6: rules and then relations, in file order."""
    trees, policy = document.conditions, document.policy
    rules = [
        _row(rule, trees[("rules", i, "when")], trees.get(("rules", i, "clear", "when")))
        for i, rule in enumerate(policy.rules)
    ]
    relations = [
        _row(relation, _broken(document, i, relation), trees.get(("redundancy", i, "clear", "when")))
        for i, relation in enumerate(policy.redundancy)
    ]
    return (*rules, *relations)


def _row(entry: Reaction, when: tree.Node, clear: tree.Node | None) -> Row:
    """S4.3: what the file says, or what holds without it."""
    hold = Span(entry.for_.frames, entry.for_.seconds) if entry.for_ else Span()
    let_go = hold if hold != Span() else Span(frames=1)
    if entry.clear is not None and entry.clear.for_ is not None:
        let_go = Span(entry.clear.for_.frames, entry.clear.for_.seconds)
    return Row(
        name=entry.id,
        when=condition(when),
        clear=None if clear is None else condition(clear),
        hold=hold,
        let_go=let_go,
        then=AUTHORITY[entry.then],
        latch=entry.latch,
        within=entry.within or 0.0,
        otherwise=AUTHORITY[entry.otherwise or "safe_state"],
        mode=entry.mode,
    )


def _broken(document: PolicyDocument, index: int, relation: Relation) -> tree.Node:
    """S4.4: the condition under which a relation is broken."""
    if relation.agree is None:
        given = document.conditions[("redundancy", index, "if")]
        expected = document.conditions[("redundancy", index, "expect")]
        return tree.Logic(0, 0, "&&", given, tree.Unary(0, 0, "!", expected))
    a, b = (tree.Name(0, 0, name) for name in relation.agree)
    if document.policy.signals[a.name].type == "class":
        unlisted = tree.Compare(0, 0, "<", a, tree.Number(0, 0, 0.0))
        return tree.Logic(0, 0, "||", tree.Compare(0, 0, "!=", a, b), unlisted)
    tolerance = tree.Number(0, 0, relation.tolerance or 0.0)
    above = tree.Compare(0, 0, ">", tree.Arithmetic(0, 0, "-", a, b), tolerance)
    below = tree.Compare(0, 0, ">", tree.Arithmetic(0, 0, "-", b, a), tolerance)
    return tree.Logic(0, 0, "||", above, below)


def _fault(name: str, signal: SignalDeclaration, period: float) -> Row:
    """S4.5: the fault trigger of a signal."""
    return Row(
        name=f"signal:{name}",
        when=None,
        clear=None,
        hold=Span(),
        let_go=Span(seconds=5 * period) if signal.from_ in ("context", "link") else Span(frames=5),
        then=AUTHORITY[signal.on_fault],
        latch=False,
        within=signal.within or 0.0,
        otherwise=AUTHORITY[signal.otherwise or "safe_state"],
        mode="enforce",
        signal=name,
    )
