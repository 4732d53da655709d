"""The four messages between host and microcontroller as plain values, and their bytes.

Layout only, as in `firmware_stubs/link/edgeguard.xml`: what a value means and whether it is fresh is the session's.
Values are integers in 1e-6 of the actuator's unit; times are in the unit of their field's name.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from types import MappingProxyType
from typing import NamedTuple

PROTOCOL = 1
FLAG_ALWAYS = 0x80
"""Keeps the last payload byte from being zero: MAVLink 2 would truncate it."""
DEGRADED = 0x01
READY = 0x02
IN_SESSION = 0x01
DATA_ID = 0xE600
SCALE = 1_000_000
INT32_MAX = 0x7FFF_FFFF


class Action(IntEnum):
    """What a COMMAND asks for."""

    SET = 1
    ARM = 2
    DISARM = 3


MCU_MODES = ("silent", "enabled", "fallback_only", "lockout")
REASONS = (
    "booted",
    "armed",
    "host-lost",
    "disarmed",
    "session-replaced",
    "policy-mismatch",
    "table-invalid",
    "state-invalid",
    "key-refused",
)
"""Why the microcontroller's mode is what it is, by its code."""

REFUSALS = MappingProxyType(
    {
        0: "",
        1: "not-the-policy",
        2: "too-old",
        3: "no-such-source",
        4: "no-such-actuator",
        5: "no-such-action",
        6: "not-ready",
        7: "not-the-operator",
        8: "locked-out",
        9: "no-session",
        16: "signature-wrong",
        17: "direction-wrong",
        18: "flags-wrong",
        19: "nonce-wrong",
        20: "protocol-wrong",
        21: "session-wrong",
        22: "counter-old",
        23: "data-id-wrong",
    }
)
"""Why the microcontroller refused a frame, by its code."""

_HELLO = Struct("<8sIHH16sBBBB")
_OPEN = Struct("<8s8s16sBB")
_COMMAND = Struct("<8sIIIiHHBBBB")
_STATUS = Struct("<8sIIIiHHHHBBBBBB")


class Hello(NamedTuple):
    """Microcontroller to host: open a session with this nonce."""

    nonce: bytes
    firmware: int
    lost_ms: int
    valid_max_ms: int
    policy: bytes
    protocol: int
    actuators: int
    mode: int
    flags: int

    @classmethod
    def parse(cls, payload: bytes) -> Hello:
        """Read a payload of the declared size."""
        return cls(*_HELLO.unpack(payload))

    def encode(self) -> bytes:
        """Payload bytes."""
        return _HELLO.pack(*self)


class Open(NamedTuple):
    """Host to microcontroller: open a session."""

    mcu_nonce: bytes
    host_nonce: bytes
    policy: bytes
    protocol: int = PROTOCOL
    flags: int = FLAG_ALWAYS

    def encode(self) -> bytes:
        """Payload bytes."""
        return _OPEN.pack(*self)


class Request(NamedTuple):
    """Host to microcontroller: one request about one actuator (the message EG_COMMAND)."""

    session: bytes
    counter: int
    mcu_ms_echo: int
    policy_hash: int
    value: int
    valid_ms: int
    data_id: int
    source: int
    actuator: int
    action: int
    flags: int = FLAG_ALWAYS

    def encode(self) -> bytes:
        """Payload bytes."""
        return _COMMAND.pack(*self)


class Status(NamedTuple):
    """Microcontroller to host: one actuator's output and the state of the machine. `age` in 100 us."""

    session: bytes
    counter: int
    mcu_ms: int
    counter_echo: int
    value: int
    age: int
    rejected: int
    crc_errors: int
    dropped: int
    mode: int
    source: int
    reason: int
    refusal: int
    actuator: int
    flags: int

    @classmethod
    def parse(cls, payload: bytes) -> Status:
        """Read a payload of the declared size."""
        return cls(*_STATUS.unpack(payload))

    def encode(self) -> bytes:
        """Payload bytes."""
        return _STATUS.pack(*self)
