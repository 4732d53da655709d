"""The way of the operator's frames through a host that cannot write them: bounded, unread and untrusted.

A panel elsewhere holds the operator's key. The host hands it the microcontroller's OFFERs and puts its answers on the
line; it can drop or hold them back, and what it holds back for too long the microcontroller refuses.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from edgeguard.link import wire

ROOM = 4
"""Frames of a panel that go on the line from one reading of it to the next: a panel cannot crowd the host out."""


@dataclass(slots=True)
class Relay:
    """What waits for the panel, and what may pass from it. Whoever fills it up loses the oldest, or is dropped."""

    dropped: int = 0
    _refused: int = 0
    _offers: deque[bytes] = field(default_factory=lambda: deque(maxlen=wire.FOREIGN_KEPT))
    _parser: wire.Parser = field(default_factory=lambda: wire.Parser(None))
    _room: int = ROOM

    @property
    def rejected(self) -> int:
        """Frames that nobody may send this way."""
        return self._refused + self._parser.signature_errors

    def keep(self, foreign: deque[bytes]) -> None:
        """Take the frames that the line brought for a key that is not here, and empty their queue."""
        while foreign:
            raw = foreign.popleft()
            if wire.link_of(raw) == wire.MCU_TO_OPERATOR:
                self._offers.append(raw)
            else:
                self._refused += 1  # a request of the operator's, reflected

    def take(self) -> bytes:
        """Frames for the panel since the last call, the newest: an old one is of no use to anybody."""
        offers = b"".join(self._offers)
        self._offers.clear()
        return offers

    def let_through(self, data: bytes, *, is_open: bool) -> list[bytes]:
        """Take bytes from the panel; return the frames in them that may go on the line. Half a frame waits.

        These are COMMANDs with link id 2 and a good checksum, the newest ROOM of them; none without a session.
        """
        tuple(self._parser.feed(data))  # nothing comes out of it: without a key nothing is authentic
        found = [raw for raw in self._parser.foreign if wire.link_of(raw) == wire.OPERATOR_TO_MCU]
        self._refused += len(self._parser.foreign) - len(found)
        self._parser.foreign.clear()
        taken = found[-self._room :] if is_open and self._room else []
        self._room -= len(taken)
        self.dropped += len(found) - len(taken)
        return taken

    def next_round(self) -> None:
        """The line was read: there is room again."""
        self._room = ROOM

    def reset(self) -> None:
        """Forget what waits, as when the port vanished."""
        self._offers.clear()
        self._parser.reset()
