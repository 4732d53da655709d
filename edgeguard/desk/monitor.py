"""Watches a policy's invariants over the steps of a trial. Judges what was seen; changes nothing.

A step on which an invariant's condition is a fault does not break it: what is not known breaks no promise, and a fault
takes authority by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edgeguard.decision.table import Span, Truth
from edgeguard.desk.trial import Seen
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.expr import interpreter, tree
from edgeguard.policy.schema import Never
from edgeguard.types import Authority, Event, Mode

_AUTHORITIES = {authority.name.lower(): float(authority) for authority in Authority}
_OPERATORS = frozenset({Event.TAKE, Event.RESET})
_HELD = frozenset({Mode.SAFE_STATE, Mode.LOCKOUT})


class Broken(NamedTuple):
    """One broken invariant: its line in the policy, and what it says."""

    line: int
    text: str


def environment(seen: Seen, thresholds: Mapping[str, float]) -> dict[str, float | None]:
    """Everything that an expression can name, by name, as it was in one step."""
    env: dict[str, float | None] = dict(seen.values)
    env.update({f"calibrated.{name}": value for name, value in thresholds.items()})
    env.update({f"command.{name}": value for name, value in seen.command.values.items()})
    env.update(_AUTHORITIES)
    env["authority"] = float(seen.authority)
    return env


class Monitor:
    """Holds a policy's invariants against one run. Give it every step in order."""

    def __init__(self, document: PolicyDocument, thresholds: Mapping[str, float]) -> None:
        self._thresholds = thresholds
        self._nevers: list[_Watch] = []
        self._leaves: list[Broken] = []
        for i, invariant in enumerate(document.policy.invariants):
            path = ("invariants", i)
            if isinstance(invariant, Never):
                broken = Broken(document.line(path), f"never {invariant.never}")
                node = document.conditions["invariants", i, "never"]
                self._nevers.append(_Watch(broken, node, invariant.for_ or Span()))
            else:
                self._leaves.append(Broken(document.line(path), "leave safe_state only by the operator"))
        self._before: Mode | None = None

    def step(self, seen: Seen) -> tuple[Broken, ...]:
        """What this step breaks."""
        env = environment(seen, self._thresholds) if self._nevers else {}
        found = [watch.broken for watch in self._nevers if watch.breaks(env, seen)]
        left = self._before is Mode.SAFE_STATE and seen.mode not in _HELD
        if left and not _OPERATORS.intersection(seen.events):
            found += self._leaves
        self._before = seen.mode
        return tuple(found)


@dataclass(slots=True)
class _Watch:
    """One `never` and its run, counted as a rule counts towards its `for`."""

    broken: Broken
    node: tree.Node
    span: Span
    frames: int = 0
    start: float = math.nan

    def breaks(self, env: Mapping[str, float | None], seen: Seen) -> bool:
        if interpreter.truth(self.node, env) is not Truth.TRUE:
            self.frames, self.start = 0, math.nan
            return False
        self.frames += seen.new_frame
        self.start = seen.now if math.isnan(self.start) else self.start
        return self.frames >= self.span.frames and not seen.now - self.start < self.span.seconds
