"""The five messages between host, operator and microcontroller as plain values, and their bytes.

Layout only, as in `firmware_stubs/link/edgeguard.xml`: what a value means and whether it is fresh is the session's.
Values are integers in 1e-6 of the actuator's unit; times are in the unit of their field's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from struct import Struct
from types import MappingProxyType
from typing import NamedTuple

PROTOCOL = 2
FLAG_ALWAYS = 0x80
"""Keeps the last payload byte from being zero: MAVLink 2 would truncate it."""
DEGRADED = 0x01
READY = 0x02
STOPPED = 0x04
IN_SESSION = 0x01
DATA_ID = 0xE600
SCALE = 1_000_000
INT32_MAX = 0x7FFF_FFFF


class Action(IntEnum):
    """What a COMMAND asks for."""

    SET = 1
    ARM = 2
    DISARM = 3
    RELEASE = 4


MCU_MODES = ("silent", "enabled", "fallback_only", "lockout")
ENABLED = MCU_MODES.index("enabled")
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
    "stopped",
    "feedback-lost",
    "reset",
)
"""Why the microcontroller's mode is what it is, by its code."""
LATCHES = ("stop", "feedback", "memory", "reset")
"""What the operator must release before the host may be armed again, by its bit."""

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
        10: "latched",
        11: "stop-pressed",
        12: "not-allowed",
        16: "signature-wrong",
        17: "direction-wrong",
        18: "flags-wrong",
        19: "nonce-wrong",
        20: "protocol-wrong",
        21: "session-wrong",
        22: "counter-old",
        23: "data-id-wrong",
        24: "key-wrong",
    }
)
"""Why the microcontroller refused a frame, by its code."""

_HELLO = Struct("<8sIHH16sBBBB")
_OPEN = Struct("<8s8s16sBB")
_COMMAND = Struct("<8sIIIiHHBBBB")
_STATUS = Struct("<8sIIIiHHHHBBBBBBB")
_OFFER = Struct("<8sIIBBBB")


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
    """To the microcontroller: one request about one actuator, of the host or the operator (the message EG_COMMAND)."""

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
    latches: int
    flags: int

    @classmethod
    def parse(cls, payload: bytes) -> Status:
        """Read a payload of the declared size."""
        return cls(*_STATUS.unpack(payload))

    def encode(self) -> bytes:
        """Payload bytes."""
        return _STATUS.pack(*self)


class Offer(NamedTuple):
    """Microcontroller to operator: what it would take a request for now. The answer echoes `mcu_ms`."""

    session: bytes
    mcu_ms: int
    policy_hash: int
    mode: int
    reason: int
    latches: int
    flags: int

    @classmethod
    def parse(cls, payload: bytes) -> Offer:
        """Read a payload of the declared size."""
        return cls(*_OFFER.unpack(payload))

    def encode(self) -> bytes:
        """Payload bytes."""
        return _OFFER.pack(*self)


def name_of(names: Sequence[str], code: int) -> str:
    """Name of a code; of one that a newer firmware has, its number."""
    return names[code] if code < len(names) else f"code {code}"


def latch_names(bits: int) -> tuple[str, ...]:
    """Names of the latches that are set, by their bits."""
    return tuple(name_of(LATCHES, bit) for bit in range(8) if bits >> bit & 1)
