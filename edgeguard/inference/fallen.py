"""Which members cannot answer, since when and why, in the form of a rule that only tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeguard.types import Authority, Cause

if TYPE_CHECKING:
    from edgeguard.inference.looks import Member

PREFIX = "worker:"
"""What such a notice's `rule` begins with; no rule of a policy can."""

_LATE = "did not answer in time"


class Fallen:
    """Steps over the members of one guard."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = tuple(members)
        self._since: dict[str, float] = {}

    def step(self, now: float) -> tuple[Cause, ...]:
        """One notice for each member that cannot answer at time `now` (s)."""
        down = [member for member in self._members if not member.answering]
        if not down:
            self._since.clear()
            return ()
        self._since = {member.name: self._since.get(member.name, now) for member in down}
        return tuple(self._notice(member) for member in down)

    def _notice(self, member: Member) -> Cause:
        why = member.describe().get("why", _LATE)
        return Cause(
            rule=f"{PREFIX}{member.name}",
            line=0,
            text=why,
            demands=Authority.MODEL,
            since=self._since[member.name],
            mode="warn",
            says=f"the worker `{member.name}` does not answer: {why}",
        )
