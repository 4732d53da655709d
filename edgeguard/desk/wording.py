"""A trial's step in words, and where an expression's parts stand, for reports. Pure text; decides nothing."""

from __future__ import annotations

from edgeguard.desk.trial import Seen
from edgeguard.explain import explain
from edgeguard.policy.diagnostics import Place
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.expr import tree
from edgeguard.policy.source import Path
from edgeguard.types import Verdict


def verdict_of(seen: Seen, number: int = 1) -> Verdict:
    """The verdict that a guard would have given for this step."""
    return Verdict(
        number=number,
        frame=None,
        at=seen.now,
        mode=seen.mode,
        authority=seen.authority,
        gate=seen.gate,
        command=seen.command,
        causes=seen.causes,
        readings=seen.readings,
        takeover_deadline=seen.deadline,
        alerts=seen.alerts,
        notices=seen.notices,
    )


def in_words(seen: Seen, *, policy: str = "", start: float = 0.0) -> str:
    """Who acts in this step, and why. Times count from `start` (s)."""
    return explain(verdict_of(seen), policy=policy, start=start)


def place(document: PolicyDocument, path: Path, node: tree.Node) -> Place:
    """Where a part of the expression at `path` stands; of what is not written as an expression, the key."""
    if path[-1] == "agree":
        return document.source.key(path)
    return document.source.inside(path, node.at)
