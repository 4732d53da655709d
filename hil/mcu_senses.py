"""What a rig lets a running microcontroller measure: names to places, and the eight-byte record of a reading.

The record's format is in `firmware_stubs/board/README.md`. Pure: nothing here sends anything.
"""

from __future__ import annotations

import math
import struct
from typing import Final

from edgeguard.errors import UsageError
from edgeguard.link.messages import SCALE
from edgeguard.program import Program

MEASURED: Final = 1
SENSOR: Final = 2
STOP: Final = 3
CONTACT_CLOSED: Final = 0x5AC3_0F96
"""The word that stands for the level of the emergency stop's pin, on the emulated boards. Any other: open."""

_START: Final = 0xA5
_VALID: Final = 0x01
_LARGEST: Final = 2**31 - 1


def record(kind: int, index: int, value: int, *, valid: bool = True) -> bytes:
    """Return one reading as the emulated boards take it. `value` in 1e-6 of the unit, -2**31 to 2**31 - 1."""
    body = struct.pack("<BBBi", _START, kind << 4 | index, _VALID if valid else 0, value)
    return body + bytes((_check(body),))


def fixed(value: float) -> int | None:
    """Return a value in 1e-6 of its unit; None if no reading can say it."""
    whole = round(value * SCALE) if math.isfinite(value) else None
    return whole if whole is not None and abs(whole) < _LARGEST else None


class Places:
    """Where a policy's actuators and the microcontroller's own sensors are in its table."""

    def __init__(self, program: Program) -> None:
        self._actuators = tuple(limit.name for limit in program.envelope)
        self._sensors = tuple(sensor.name for sensor in program.microcontroller.sensors)

    def actuator(self, name: str) -> int:
        """Return an actuator's index.

        Raises:
            UsageError: the policy has none of that name.

        """
        return _place(name, self._actuators, "actuator")

    def sensor(self, name: str) -> int:
        """Return a sensor's index.

        Raises:
            UsageError: the policy gives the microcontroller none of that name.

        """
        return _place(name, self._sensors, "sensor of the microcontroller's own")


def _place(name: str, names: tuple[str, ...], what: str) -> int:
    if name not in names:
        raise UsageError(f"the policy has no {what} `{name}`: choose one of {', '.join(names) or 'none'}")
    return names.index(name)


def _check(data: bytes) -> int:
    """CRC-8, polynomial 0x07, start 0xFF."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc
