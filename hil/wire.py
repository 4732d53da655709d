"""What the process rig and its host process say to each other, over one inherited socket that keeps messages whole.

Layout only: fixed structs, no sockets opened here, no decision. Times are CLOCK_MONOTONIC seconds, the same in all
processes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeguard.types import Frame

if TYPE_CHECKING:
    from edgeguard.types import Image

SIDE: Final = 64  # pixels: side of a frame
_WORLD: Final = struct.Struct("<BQdddB")
_REPORT: Final = struct.Struct("<BdBddd24s24s")
LARGEST: Final = _WORLD.size + SIDE * SIDE * 3
READY: Final = b"ready"
ARM: Final = b"\x02arm"


@dataclass(frozen=True, slots=True)
class World:
    """Rig to host: a new picture (or none) and where the vehicle is."""

    frame: Frame | None
    speed: float
    distance: float

    def encode(self) -> bytes:
        """Return the message's bytes."""
        frame = self.frame
        head = _WORLD.pack(
            1,
            frame.number if frame else 0,
            frame.at if frame else 0.0,
            self.speed,
            self.distance,
            frame is not None,
        )
        return head + (frame.image.tobytes() if frame else b"")


@dataclass(frozen=True, slots=True)
class Report:
    """Host to rig: what the last control step decided. `authority` of an unguarded host is the model's."""

    at: float
    authority: int
    brake: float
    throttle: float
    memory: float
    """Resident memory of the host (MiB)."""
    mode: str
    label: str

    def encode(self) -> bytes:
        """Return the message's bytes."""
        return _REPORT.pack(
            3, self.at, self.authority, self.brake, self.throttle, self.memory,
            self.mode.encode()[:24], self.label.encode()[:24],
        )  # fmt: skip


def decode_world(data: bytes) -> World | None:
    """Return the message, or None if it is another."""
    if not data or data[0] != 1 or len(data) < _WORLD.size:
        return None
    _, number, at, speed, distance, has = _WORLD.unpack_from(data)
    frame = None
    if has:
        pixels: Image = np.frombuffer(data, np.uint8, offset=_WORLD.size).reshape(SIDE, SIDE, 3)
        frame = Frame(pixels, number, at)
    return World(frame, speed, distance)


def decode_report(data: bytes) -> Report | None:
    """Return the message, or None if it is another."""
    if len(data) != _REPORT.size or data[0] != 3:
        return None
    _, at, authority, brake, throttle, memory, mode, label = _REPORT.unpack(data)
    return Report(
        at, authority, brake, throttle, memory, mode.rstrip(b"\0").decode(), label.rstrip(b"\0").decode()
    )
