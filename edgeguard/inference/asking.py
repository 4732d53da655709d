"""Shows one frame to the members that are asked about it, and puts their answers together. Never raises on a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgeguard.inference.looks import OF_PRIMARY, Canonical, Found, Member, Scores
from edgeguard.inference.member import HOST
from edgeguard.inference.preprocess import Resizer
from edgeguard.inference.runner import look_of, view_of

if TYPE_CHECKING:
    from edgeguard.inference.preprocess import Picture
    from edgeguard.inference.session import Tensor


class Asking:
    """One frame at a time: `begin`, then `ask` once or more. Each kind of picture is made once a frame."""

    def __init__(self, members: Sequence[Member], waited: Sequence[Member]) -> None:
        """`members`: all of one guard; `waited`: those of them that `ask` asks and waits for."""
        self._waited = sorted(waited, key=lambda member: member.name != HOST)
        kinds = {kind for member in members for kind in member.kinds}
        self._resizers = {kind: Resizer(kind.height, kind.width, kind.resize) for kind in kinds}
        self._plans: dict[tuple[frozenset[str], int], tuple[tuple[Member, tuple[str, ...]], ...]] = {}
        self._image: Picture
        self._number: int
        self._variant: int
        self._made: dict[Canonical, Tensor] = {}
        self._begun: dict[str, bool] = {}

    def begin(self, image: Picture, number: int, variant: int) -> None:
        """Take the next frame. `variant`: which of the primaries answers."""
        self._image, self._number, self._variant = image, int(number), variant  # numpy's numbers have ends
        self._made.clear()
        self._begun.clear()

    def ask(self, wanted: frozenset[str], meanwhile: Callable[[], None] | None = None) -> Found:
        """The answers to the views `wanted`, each member waited for until its deadline.

        `meanwhile`: done once every worker is at its looks, and before the host is at its own.
        """
        asked = [(member, looks) for member, looks in self._plan(wanted) if self.show(member)]
        for member, looks in asked:
            member.submit(looks)
        if meanwhile is not None:
            meanwhile()
        scores: dict[str, Scores] = {}
        signals: dict[str, float] = {}
        for member, _ in asked:  # the host's own looks come first: workers are at it meanwhile
            reply = member.collect()
            self._begun[member.name] = member.answering  # nobody is waited for twice on one frame
            signals.update(reply.signals)
            for look, score in reply.scores.items():
                scores[view_of(look)] = score
        return Found(scores, signals)

    def show(self, member: Member) -> bool:
        """Write this frame's pictures into a member's rooms, once a frame; False: it cannot take one now."""
        begun = self._begun.get(member.name)
        if begun is None:
            rooms = member.begin(self._number)
            begun = rooms is not None
            if rooms is not None:
                for kind, room in zip(member.kinds, rooms):
                    self._draw(kind, room)
            self._begun[member.name] = begun
        return begun

    def looks(self, member: Member, wanted: Iterable[str]) -> tuple[str, ...]:
        """Of the views `wanted`, the looks that a member has, by the primary whose turn it is."""
        names = {look_of(view, self._variant) if view in OF_PRIMARY else view for view in wanted}
        return tuple(look for look in member.looks if look in names)

    def _plan(self, wanted: frozenset[str]) -> tuple[tuple[Member, tuple[str, ...]], ...]:
        key = (wanted, self._variant)
        plan = self._plans.get(key)
        if plan is None:
            pairs = [(member, self.looks(member, wanted)) for member in self._waited]
            plan = self._plans[key] = tuple((member, looks) for member, looks in pairs if looks)
        return plan

    def _draw(self, kind: Canonical, room: Tensor) -> None:
        made = self._made.get(kind)
        if made is None:
            self._resizers[kind](self._image, room)
            self._made[kind] = room
        else:
            np.copyto(room, made)
