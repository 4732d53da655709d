"""The worker's side of the shared memory: sleeps until a request is there, runs the models, writes the answer.

After the sandbox is sealed nothing else runs in a worker: no import, no file, no new thread.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from edgeguard.isolation import memory
from edgeguard.isolation.layout import HEAD, MASK32, REQUEST, REQUESTS, SLOTS, Layout, checksum

if TYPE_CHECKING:
    from edgeguard.inference.runner import Runner
    from edgeguard.isolation.spawn import Handed

_RING = (1).to_bytes(8, "little")
_WORD = struct.Struct("=I")


class Request(NamedTuple):
    """What the host asks: `wanted` looks, as bits, at the pictures in `slot`."""

    counter: int
    frame: int
    slot: int
    wanted: int


class Desk:
    """Takes requests and gives answers."""

    def __init__(self, layout: Layout, handed: Handed) -> None:
        """Map the memory that was handed over."""
        self.layout = layout
        self.frames = memory.to_read(handed.frames)
        self.suggestions = memory.to_write(handed.suggestions)
        self.bell = handed.bell
        self._pictures = [layout.pictures(self.frames, slot) for slot in range(SLOTS)]
        self._answer = bytearray(layout.answer_size)
        self._waiting = memory.Bell(self.frames)
        self._words = memoryview(self.frames).cast("I")
        self._sequence = 0
        # What was asked before is not this process's to answer: it may be what ended the one before.
        self._seen = int(self._words[0])

    def serve(self, runner: Runner) -> None:
        """Answer for ever: the host ends this process, or the kernel does when the host is gone."""
        while True:
            request = self.wait()
            pictures = self._pictures[request.slot % SLOTS]
            raws = runner.run(pictures, self.layout.named(request.wanted))
            self.give(request, self.layout.pack(self._answer, raws))

    def wait(self) -> Request:
        """The newest request, once there is one that was not seen."""
        while True:
            newest = int(self._words[0])
            if newest == self._seen:
                self._waiting.sleep(newest)
                continue
            request = Request(*REQUEST.unpack_from(self.frames, 64 + 64 * (newest % REQUESTS)))
            if request.counter & MASK32 == newest:
                self._seen = newest
                return request

    def give(self, request: Request, done: int) -> None:
        """Write the answer whose scores were packed, and ring."""
        answer, layout = self._answer, self.layout
        self._sequence = (self._sequence + 2) & MASK32
        head = (
            self._sequence,
            layout.answer_size,
            request.counter,
            request.frame,
            request.wanted,
            done,
            layout.digest,
        )
        HEAD.pack_into(answer, 0, *head, 0)
        HEAD.pack_into(answer, 0, *head, checksum(answer))
        room = self.suggestions
        room[:4] = _WORD.pack(self._sequence - 1)
        room[4 : layout.answer_size] = memoryview(answer)[4:]
        room[:4] = _WORD.pack(self._sequence)
        os.write(self.bell, _RING)
