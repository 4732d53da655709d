"""Which alerts of the handover ladder are due: how a human is told, louder and louder, that they are needed."""

from __future__ import annotations

from collections.abc import Sequence

from edgeguard.decision.machine import State
from edgeguard.types import Mode


def due(ladder: Sequence[tuple[float, str]], state: State, now: float) -> tuple[str, ...]:
    """Return every alert whose time has come, in the ladder's order; none unless a takeover is requested.

    `ladder`: (s after the request, alert). The request began when the mode was entered.
    """
    if state.mode is not Mode.TAKEOVER_REQUEST:
        return ()
    return tuple(alert for after, alert in ladder if not now - state.since < after)
