"""Looks that are never waited for: a worker is asked whenever it is idle, and its answer counts for its own frame.

Such a signal carries the time of the frame it is about, so it ages like any other while the next one is computed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeguard.errors import ContractError
from edgeguard.inference.looks import NO_SIGNALS, PRIMARY, Found, Member, Reply, Scores
from edgeguard.inference.runner import view_of

if TYPE_CHECKING:
    from edgeguard.inference.asking import Asking


@dataclass(slots=True)
class _Pending:
    """A frame that a member was asked about. `primary`: what the primary said about it, once that is known."""

    at: float
    primary: Scores | None = None

    def found(self, reply: Reply) -> Found:
        """The late answer together with the primary's to the same frame."""
        primary = {} if self.primary is None else {PRIMARY: self.primary}
        return Found({**primary, **{view_of(look): s for look, s in reply.scores.items()}}, NO_SIGNALS)


@dataclass(frozen=True, slots=True)
class Late:
    """An answer that came for an earlier frame: the signals to take from it, and what they are taken from."""

    names: frozenset[str]
    at: float
    found: Found


class Background:
    """The members of one guard that only signals of the background need."""

    def __init__(
        self, members: Sequence[Member], needs: Mapping[str, frozenset[str]], names: Collection[str]
    ) -> None:
        """`needs`: views by signal; `names`: the signals of the background.

        Raises:
            ContractError: such a signal needs a look of a member that others wait for.
        """
        self.names = frozenset(names)
        waited = frozenset().union(*(views for name, views in needs.items() if name not in self.names))
        views = {member.name: frozenset(map(view_of, member.looks)) for member in members}
        self.members = tuple(m for m in members if not views[m.name] & waited)
        self.others = tuple(m for m in members if views[m.name] & waited)
        own = frozenset().union(*(views[member.name] for member in self.members))
        for name in self.names:
            if not needs[name] & own:
                raise ContractError(
                    f"`{name}` is to be computed in the background, but other signals wait for every look it needs: "
                    "run its model in a worker of its own"
                )
        self._own = {
            member.name: frozenset(name for name in self.names if needs[name] & views[member.name])
            for member in self.members
        }
        self._pending: dict[str, _Pending] = {}
        self._newest: list[_Pending] = []
        """Those of the frame that was shown last: its time alone may be another frame's, too."""

    def take(self) -> list[Late]:
        """The answers that came since the last frame."""
        late = []
        for member in self.members:
            pending = self._pending.get(member.name)
            if pending is None:
                continue
            reply: Reply | None = member.poll()
            if reply is not None:
                late.append(Late(self._own[member.name], pending.at, pending.found(reply)))
            if reply is not None or not member.answering:
                del self._pending[member.name]
        return late

    def ask(self, asking: Asking, at: float) -> None:
        """Show the frame of time `at` to every idle member."""
        self._newest.clear()
        for member in self.members:
            if member.name not in self._pending and member.answering and asking.show(member):
                member.submit(asking.looks(member, map(view_of, member.looks)))
                pending = self._pending[member.name] = _Pending(at)
                self._newest.append(pending)

    def remember(self, primary: Scores | None) -> None:
        """Keep what the primary said about the frame that was shown last, for the answers that will come."""
        for pending in self._newest:
            pending.primary = primary
