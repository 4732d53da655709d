"""The host's side of the shared memory: pictures and requests out, one checked suggestion in.

Every byte from a worker is hostile: it is copied out whole before it is looked at, and nothing a worker does to what it
holds can make the host wait. What a suggestion's numbers mean is checked after this, in `inference.scoring`.
"""

from __future__ import annotations

import contextlib
import os
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from edgeguard.isolation import memory
from edgeguard.isolation.layout import (
    COUNTER_AT,
    HEAD,
    MASK32,
    MASK64,
    REQUEST,
    REQUESTS,
    SLOTS,
    Layout,
    Suggestion,
    checksum,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeguard.inference.scoring import Raw
    from edgeguard.inference.session import Tensor

_CLOSED = -1
"""Instead of a descriptor."""


class Asked(NamedTuple):
    """A request that was sent and not answered yet."""

    counter: int
    number: int
    """Of the frame, as the caller gave it."""
    slot: int
    wanted: int


class Heard(Enum):
    """What lies in a worker's memory, instead of an answer."""

    NOTHING = "nothing new"
    LATE = "an answer to a request that was given up"
    BROKEN = "what no honest worker writes"


class Pictures:
    """Memory for pictures and requests. Outlives its workers: they can only read it."""

    def __init__(self, layout: Layout) -> None:
        """Make it.

        Raises:
            ContractError: the system has no sealable memory, or is of an unknown kind.
        """
        self.descriptor, self._room = memory.written_here("frames", layout.frames_size)
        self._rooms = [layout.pictures(self._room, slot) for slot in range(SLOTS)]
        self._words = memoryview(self._room).cast("I")
        self._bell = memory.Bell(self._room)
        self._counter = 0
        self._slot = 0
        self._number: int
        self.begun = False

    def begin(self, number: int, keep: Asked | None) -> tuple[Tensor, ...]:
        """The rooms of a slot that is not the one of `keep`, for frame `number`."""
        self._slot = (self._slot + 1) % SLOTS
        if keep is not None and keep.slot == self._slot:
            self._slot = (self._slot + 1) % SLOTS
        self._number = number
        self.begun = True
        return self._rooms[self._slot]

    def ask(self, wanted: int) -> Asked:
        """Publish a request about the slot begun last, and wake the worker. Takes the place of any earlier one."""
        self._counter += 1
        asked = Asked(self._counter, self._number, self._slot, wanted)
        bell = self._counter & MASK32
        REQUEST.pack_into(
            self._room,
            64 + 64 * (bell % REQUESTS),
            self._counter,
            self._number & MASK64,
            self._slot,
            wanted,
        )
        self._words[0] = bell
        self._bell.wake()
        return asked

    def close(self) -> None:
        """Give the memory back, at the latest when the last view of a room is gone. May be called twice."""
        if self.descriptor != _CLOSED:
            os.close(self.descriptor)
            self.descriptor = _CLOSED
            self._rooms.clear()
            self._words.release()
            with contextlib.suppress(BufferError):  # somebody still looks at a room
                self._room.close()


class Suggestions:
    """Memory for the answers of one process, and the eventfd that it rings. A new process gets new ones."""

    def __init__(self, layout: Layout) -> None:
        """Make both.

        Raises:
            ContractError: the system has no sealable memory.
        """
        self._layout = layout
        self.descriptor, self._room = memory.written_there("suggestions", layout.suggestions_size)
        self.bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._last = 0

    def read(self, asked: Asked) -> Mapping[str, Raw] | Heard:
        """The answer to `asked`: sizes are exact, values are anything. Reads each byte of the worker's once."""
        room, size = self._room, self._layout.answer_size
        newest = int.from_bytes(room[COUNTER_AT], "little")
        if newest <= self._last and newest < asked.counter:
            return Heard.NOTHING  # still what was dealt with before: not worth a copy
        before = room[:4]
        answer = room[:size]
        if not before == answer[:4] == room[:4]:
            return Heard.NOTHING  # it changed meanwhile
        head = Suggestion(*HEAD.unpack_from(answer))
        if head.sequence % 2 or head.counter == 0:
            return Heard.NOTHING  # being written, or nothing was ever
        if head.counter < asked.counter:
            late = head.counter > self._last
            self._last = max(self._last, head.counter)
            return Heard.LATE if late else Heard.NOTHING
        if head.crc != checksum(answer):
            return Heard.NOTHING  # seen half, on a machine that reorders memory: it will be whole
        if not self._fits(head, asked):
            return Heard.BROKEN
        self._last = head.counter
        return self._layout.unpack(answer, head.done)

    def _fits(self, head: Suggestion, asked: Asked) -> bool:
        """Whether it is the answer to the one open request, by the models it was given."""
        return (
            head.counter == asked.counter
            and head.frame == asked.number & MASK64
            and head.wanted == asked.wanted
            and head.done & ~asked.wanted == 0
            and head.size == self._layout.answer_size
            and head.digest == self._layout.digest
        )

    def close(self) -> None:
        """Give both back. May be called twice."""
        if self.descriptor != _CLOSED:
            os.close(self.descriptor)
            os.close(self.bell)
            self.descriptor = _CLOSED
            self._room.close()
