"""The compiled form of a policy's rules, as data: what the decision machine steps over.

Imports only `edgeguard.types`. Built by `edgeguard.policy`, consumed by `edgeguard.decision.machine`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from edgeguard.types import Authority


class Truth(IntEnum):
    """A condition's value this step. FAULT: something it reads is missing, stale, not a number or out of range."""

    FALSE = 0
    TRUE = 1
    FAULT = 2


@dataclass(frozen=True, slots=True)
class Span:
    """How long a condition must hold without a break: both `frames` decision steps with a new frame and `seconds`."""

    frames: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One trigger. It demands `then` from when its condition held for `hold` until its clear condition held for
    `clear`; with `operator` it also needs the operator's reset."""

    id: str
    line: int
    text: str
    then: Authority
    hold: Span = Span()
    clear: Span = Span()
    clear_text: str = ""
    operator: bool = False
    within: float = 0.0
    """Takeover time budget (s); only where `then` is HUMAN."""
    otherwise: Authority = Authority.SAFE_STATE
    """Who acts when nobody took over in time."""
    reads: tuple[int, ...] = ()
    """Indices of the signals its condition reads."""
    thresholds: tuple[str, ...] = ()
    """Names of the calibrated thresholds its condition reads."""


@dataclass(frozen=True, slots=True)
class Table:
    """Every trigger in file order (declared rules, then one implicit fault rule a signal), and the lockout limit."""

    rules: tuple[RuleRow, ...]
    lockout_after: int = 3
    """Entries into the safe state since start after which only a restart helps; 0: never."""
