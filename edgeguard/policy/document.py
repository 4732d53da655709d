"""A policy file, read and checked: from bytes to a typed tree with positions, or to every finding at once.

No file is opened here and no calibration is needed; what it takes to run a policy is added by `compiler`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from edgeguard.policy.conditions import conditions
from edgeguard.policy.diagnostics import Report
from edgeguard.policy.expr import tree
from edgeguard.policy.meaning import check_meaning
from edgeguard.policy.reader import read
from edgeguard.policy.relations import agreement
from edgeguard.policy.schema import Policy
from edgeguard.policy.shape import shape
from edgeguard.policy.source import Path, Source
from edgeguard.policy.triggers import Trigger, triggers


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A policy that passed every check that needs nothing but its text."""

    file: str
    digest: str
    """Hex SHA-256 of the file's bytes."""
    policy: Policy
    source: Source
    conditions: Mapping[Path, tree.Node]
    """The checked tree of every expression, by its path, like `("rules", 0, "when")`, with named expressions filled in;
    of two signals that `agree` the condition that they do not, by `("redundancy", 0, "agree")`, its offsets counting
    in `relations.agreement_text`."""
    written: Mapping[Path, tree.Node]
    """The tree of every expression as it stands, names and all; also of `let`, by `("let", NAME)`."""
    triggers: tuple[Trigger, ...]
    """Every rule, then every relation, in file order."""
    local: Mapping[Path, tree.Node]
    """The tree of every condition of the microcontroller's own rules, by `("microcontroller", "fallback", 0, "when")`,
    filled in. They read its sensors, whose names are their own: a signal may be called the same."""

    def line(self, path: Path) -> int:
        """Line (from 1) where the thing at `path` stands."""
        return self.source.key(path).line

    def thresholds(self) -> tuple[str, ...]:
        """The name of every `calibrated.NAME` in the policy, each once, in file order: what to calibrate."""
        return tuple(
            dict.fromkeys(name for node in self.conditions.values() for name in tree.thresholds(node))
        )


def parse(data: bytes, *, file: str) -> PolicyDocument:
    """Read and check the bytes of a policy file; `file` is only for messages.

    Raises:
        PolicyError: with every finding, in file order.
    """
    report = Report(file)
    values, source = read(data, report)
    found = conditions(values, source, report)
    policy = shape(values, source, report)
    if policy is None or source.tainted:
        raise report.error()
    trees = {**found.filled, **_agreements(policy)}
    rules = triggers(policy, trees, source)
    check_meaning(policy, trees, rules, source, report)
    report.raise_if_any()
    digest = hashlib.sha256(data).hexdigest()
    return PolicyDocument(file, digest, policy, source, trees, found.written, rules, found.local)


def _agreements(policy: Policy) -> dict[Path, tree.Node]:
    found = ((("redundancy", i, "agree"), agreement(policy, r)) for i, r in enumerate(policy.redundancy))
    return {path: node for path, node in found if node is not None}
