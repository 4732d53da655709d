"""Everything in a policy that can take authority or tell about itself, in one plain form: rules and broken relations.

Data only. `document` makes them from the checked sections; the compiler, the linter and the prover read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeguard.decision.table import Span
from edgeguard.policy.expr import tree
from edgeguard.policy.source import Path
from edgeguard.types import Authority


@dataclass(frozen=True, slots=True)
class Trigger:
    """One declared rule or redundancy relation, its macros expanded. Implicit fault rules are the compiler's."""

    id: str
    path: Path
    """Where it stands, like `("rules", 0)` or `("redundancy", 2)`."""
    line: int
    text: str
    """The condition as written, for people."""
    when: tree.Node
    clear: tree.Node | None
    """None: not `when`, and a fault where `when` is one."""
    clear_text: str
    hold: Span
    let_go: Span
    """How long the clear condition must hold; never zero."""
    then: Authority
    latch: bool = False
    within: float = 0.0
    otherwise: Authority = Authority.SAFE_STATE
    mode: Literal["enforce", "warn", "audit"] = "enforce"
    cause: str = ""
