"""Everything in a policy that can take authority or tell about itself, in one plain form: rules and broken relations.

`document` makes them from the checked sections; the compiler, the linter and the prover read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from edgeguard.decision.table import Span
from edgeguard.policy.expr import tree
from edgeguard.policy.relations import agreement_text, broken
from edgeguard.policy.schema import Clear, Policy, Reaction
from edgeguard.policy.source import Path, Source
from edgeguard.types import Authority

_AUTHORITY: Mapping[str, Authority] = {a.name.lower(): a for a in Authority}


@dataclass(frozen=True, slots=True)
class Trigger:
    """One declared rule or redundancy relation, its macros expanded. Implicit fault rules are the compiler's."""

    id: str
    path: Path
    """Where it stands, like `("rules", 0)` or `("redundancy", 2)`."""
    line: int
    text: str
    """The condition as written, for people; of a relation: when it is broken."""
    when: tree.Node
    """Its offsets count in `text`."""
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


class _Condition(NamedTuple):
    node: tree.Node
    text: str


def triggers(policy: Policy, trees: Mapping[Path, tree.Node], source: Source) -> tuple[Trigger, ...]:
    """The policy's rules, then its relations, each in file order; one whose conditions have a finding is left out."""
    found: list[Trigger] = []
    for path, entry, when in _entries(policy, trees):
        cleared = trees.get((*path, "clear", "when"))
        if when is None or (entry.clear is not None and cleared is None):
            continue
        hold = entry.for_ or Span()
        trigger = Trigger(
            id=entry.id,
            path=path,
            line=source.key(path).line,
            text=when.text,
            when=when.node,
            clear=cleared,
            clear_text=entry.clear.when if entry.clear else f"!({when.text})",
            hold=hold,
            let_go=_let_go(entry.clear, hold),
            then=_AUTHORITY[entry.then],
            latch=entry.latch,
            within=entry.within or 0.0,
            otherwise=_AUTHORITY[entry.otherwise or "safe_state"],
            mode=entry.mode,
            cause=entry.cause or "",
        )
        found.append(trigger)
    return tuple(found)


def _entries(
    policy: Policy, trees: Mapping[Path, tree.Node]
) -> Iterator[tuple[Path, Reaction, _Condition | None]]:
    """Every rule and relation with its path and the condition that sets it off, if that could be read."""
    for i, rule in enumerate(policy.rules):
        node = trees.get(("rules", i, "when"))
        yield ("rules", i), rule, _Condition(node, rule.when) if node else None
    for i, relation in enumerate(policy.redundancy):
        path: Path = ("redundancy", i)
        agree, holds, expected = (trees.get((*path, key)) for key in ("agree", "if", "expect"))
        if agree is not None:
            yield path, relation, _Condition(agree, agreement_text(relation))
        elif holds is None or expected is None:
            yield path, relation, None
        else:
            yield (
                path,
                relation,
                _Condition(*broken(holds, expected, (relation.if_ or "", relation.expect or ""))),
            )


def _let_go(clear: Clear | None, hold: Span) -> Span:
    """As declared, else as long as the debounce; never at once, so that a single good frame gives nothing back."""
    chosen = (clear.for_ if clear else None) or hold
    return chosen if chosen.frames or chosen.seconds else Span(frames=1)
