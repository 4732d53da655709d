"""S1.3, S1.5, S1.6, S2.8 and S2.9: what stands before a step, and what it hands to the engine.

It keeps the signals, the pictures, the queue of events and the time of the step before; it decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral

from edgeguard.desk.reference.signals import Seen
from edgeguard.policy.schema import Policy
from edgeguard.types import Event, Mode

EVERY_STEP = ("context", "link")
"""S2.8: where signals come from that are measured in every step; `frame_age` is, too."""
OF_A_FRAME = (None, "frame", "runtime")
"""S2.9: where signals come from that a failed frame takes away; None: models. `log_failures` is measured again."""


class Runtime:
    """What arrives between two steps of one policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._board: dict[str, Seen] = {}
        self._events: list[Event] = [Event.READY]
        self._picture = -1
        self._now = -math.inf

    def arrive(self, event: Event) -> None:
        """S1.4: an event, in the order of arrival."""
        self._events.append(event)

    def events(self, mode: Mode, now: float) -> frozenset[Event]:
        """S1.5, S1.6: what this step is handed."""
        handed = self._events[:1] if mode is Mode.INIT else list(self._events)
        del self._events[: len(handed)]
        fell, self._now = now < self._now, now
        return frozenset((*handed, Event.INTEGRITY) if fell else handed)

    def is_new(self, picture: object) -> bool:
        """S1.3: whether the number of a picture makes it a new frame."""
        if not isinstance(picture, Integral) or int(picture) <= self._picture:
            return False
        self._picture = int(picture)
        return True

    def measure(self, measured: Mapping[str, Seen], *, failed: bool = False) -> Mapping[str, Seen]:
        """S2.8, S2.9: what is known of every signal in this step. `failed`: perception failed on a new frame."""
        for name, signal in self._policy.signals.items():
            if signal.from_ in EVERY_STEP or name == "frame_age" or (failed and signal.from_ in OF_A_FRAME):
                self._board.pop(name, None)
        self._board.update(measured)
        return dict(self._board)
