"""The compiled form of a policy's rules, as data: what the decision machine steps over.

Imports only `edgeguard.types`. Built by `edgeguard.policy`, consumed by `edgeguard.decision.machine`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache

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
    `clear`; with `latch` it also needs the operator's reset."""

    id: str
    line: int
    text: str
    then: Authority
    hold: Span = Span()
    clear: Span = Span()
    clear_text: str = ""
    latch: bool = False
    """Once active it stays so until the operator's reset, and its clear condition has held besides."""
    within: float = 0.0
    """Takeover time budget (s); only where `then` is HUMAN."""
    otherwise: Authority = Authority.SAFE_STATE
    """Who acts when nobody took over in time."""
    reads: tuple[int, ...] = ()
    """Indices of the signals its condition reads."""
    thresholds: tuple[str, ...] = ()
    """Names of the calibrated thresholds its condition reads."""
    mode: str = "enforce"
    """`enforce`; or `warn` (told to the operator) and `audit` (only logged), which demand nothing."""
    cause: str = ""
    """What the policy's author wants people to be told, in words."""


@lru_cache(maxsize=64)
def calm(count: int) -> tuple[Truth, ...]:
    """No rule of `count` holds; the same object every time, so that a quiet step is known at a glance."""
    return (Truth.FALSE,) * count


@dataclass(frozen=True, slots=True)
class Table:
    """Every trigger in file order (declared rules, then one implicit fault rule a signal), and the lockout limit."""

    rules: tuple[RuleRow, ...]
    lockout_after: int = 3
    """Entries into the safe state since start after which only a restart helps; 0: never."""
    calm: tuple[Truth, ...] = field(init=False, repr=False, compare=False)
    """The conditions of a step in which no rule holds."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "calm", calm(len(self.rules)))
