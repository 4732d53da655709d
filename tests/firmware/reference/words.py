"""The words of `firmware_stubs/core/eg_core.h`: modes, sources, actions, reasons, latches, refusals, constants."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]
Times = npt.NDArray[np.uint64]
Table = Any
"""One record of `Layout.table`."""

NO_LIMIT = 2**31 - 1
GRAIN_US = 1_000
SPAN_MOST_US = 50_000
UNIT = 1_000_000


class Mode(IntEnum):
    """What the microcontroller lets happen."""

    SILENT = 0
    ENABLED = 1
    FALLBACK_ONLY = 2
    LOCKOUT = 3


class Source(IntEnum):
    """Whose command; of two the larger is the more restrictive."""

    MODEL = 0
    RULES = 1
    HUMAN = 2
    SAFE_STATE = 3


class Action(IntEnum):
    """What a request asks for."""

    NOTHING = 0
    SET = 1
    ARM = 2
    DISARM = 3
    RELEASE = 4
    OPENED = 5


class Reason(IntEnum):
    """Why the mode is what it is."""

    BOOTED = 0
    ARMED = 1
    HOST_LOST = 2
    DISARMED = 3
    SESSION_REPLACED = 4
    POLICY_MISMATCH = 5
    TABLE_INVALID = 6
    STATE_INVALID = 7
    KEY_REFUSED = 8
    STOPPED = 9
    FEEDBACK_LOST = 10
    RESET = 11


class Latch(IntFlag):
    """What only the operator clears."""

    STOP = 1
    FEEDBACK = 2
    MEMORY = 4
    RESET = 8


ALL_LATCHES = np.uint8(0x0F)


class Refusal(IntEnum):
    """What became of a request."""

    ACCEPTED = 0
    NOT_THE_POLICY = 1
    TOO_OLD = 2
    NO_SUCH_SOURCE = 3
    NO_SUCH_ACTUATOR = 4
    NO_SUCH_ACTION = 5
    NOT_READY = 6
    NOT_THE_OPERATOR = 7
    LOCKED_OUT = 8
    NO_SESSION = 9
    LATCHED = 10
    STOP_PRESSED = 11
    NOT_ALLOWED = 12


RESTARTS_THE_COUNT = (
    Refusal.NOT_THE_POLICY,
    Refusal.TOO_OLD,
    Refusal.NO_SUCH_SOURCE,
    Refusal.LOCKED_OUT,
    Refusal.NO_SESSION,
)
"""Refusals after which the way to arming begins anew."""
