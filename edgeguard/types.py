"""The plain values that pass from stage to stage: frames, signals, suggestions, verdicts, commands.

Data only: nothing here opens, computes or decides, and nothing here imports another room of the house.
Times are seconds on one monotonic clock that the runtime owns. Names follow `docs/reference/words.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    """One picture: uint8, shape (height, width, 3), RGB."""

NO_VALUES: Mapping[str, float] = MappingProxyType({})


def no_values() -> Mapping[str, float]:
    """The empty mapping, as the default of frozen fields."""
    return NO_VALUES


class Authority(IntEnum):
    """Who may act. Ordered: of two demands the more restrictive (larger) wins."""

    MODEL = 0
    RULES = 1
    HUMAN = 2
    SAFE_STATE = 3


class Mode(str, Enum):
    """Modes of the host's decision machine."""

    INIT = "init"
    STANDBY = "standby"
    NOMINAL = "nominal"
    DEGRADED = "degraded"
    TAKEOVER_REQUEST = "takeover_request"
    MANUAL = "manual"
    SAFE_STATE = "safe_state"
    LOCKOUT = "lockout"


class Event(str, Enum):
    """What a person or the runtime may tell the decision machine, besides signals."""

    READY = "ready"
    """The runtime finished admission and warm-up."""
    ARM = "arm"
    """The operator allows the machine to act."""
    TAKE = "take"
    """The operator takes control."""
    RELEASE = "release"
    """The operator gives control back."""
    RESET = "reset"
    """The operator clears operator latches and leaves the safe state."""
    STOP = "stop"
    """The operator demands the safe state."""
    INTEGRITY = "integrity"
    """The runtime found a broken invariant of its own (log, model digest, policy hash): LOCKOUT."""


class Status(IntEnum):
    """Health of one signal now. Everything but PASS fails closed."""

    PASS = 0
    SUSPECT = 1
    """Fresh and in range, but a rule about it holds."""
    FAIL = 2
    """Not a number, or outside its declared range."""
    STALE = 3
    """Older than its declared maximum age."""
    UNKNOWN = 4
    """Never seen, or its source said that it has no value."""


class GateDecision(str, Enum):
    """What the gate did with the suggested command."""

    ALLOW = "allow"
    LIMIT = "limit"
    """The envelope changed it."""
    SUBSTITUTE = "substitute"
    """Another source's command took its place."""
    BLOCK = "block"
    """Nobody may act: the safe command."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One camera frame. `at` is the time of capture (s), `number` strictly increases per camera."""

    image: Image
    number: int
    at: float


class Signal(NamedTuple):
    """One measurement of doubt, health or context. `value` None: the source has none. `at`: s, when it was true."""

    # a named tuple, as `Reading` is: a dozen are made every step, and a frozen dataclass costs three times as much

    name: str
    value: float | None
    at: float
    source: str


class Reading(NamedTuple):
    """A signal as the decision saw it: its value, its age (s) and its health."""

    name: str
    value: float | None
    age: float
    status: Status


@dataclass(frozen=True, slots=True)
class Answer:
    """What the primary model said about one frame. `probabilities`: one entry a class, summing to 1; read only, not
    hashable. Empty where it comes from a log and there were too many classes to record."""

    frame: int
    at: float
    label: int
    name: str
    certainty: float
    probabilities: Sequence[float]
    digest: str
    """Hex SHA-256 of the admitted bundle's root digest."""


@dataclass(frozen=True, slots=True)
class Command:
    """Values for actuators, by the names of the policy's envelope."""

    values: Mapping[str, float] = field(default_factory=no_values)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What the complex function proposes. A suggestion acts only when the gate allows it."""

    command: Command
    answer: Answer


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why authority is where it is: which rule, at which line, on which values, since when (s)."""

    rule: str
    line: int
    text: str
    demands: Authority
    since: float
    values: Mapping[str, float | None] = field(default_factory=no_values)
    """The signals the rule reads, as they were when it last held."""
    thresholds: Mapping[str, float] = field(default_factory=no_values)
    """The calibrated thresholds the rule names."""
    clears: str = ""
    """What would give authority back, in words."""
    expired: bool = False
    """A human was asked and nobody took over in time: `demands` is what followed."""
    mode: str = "enforce"
    """`warn` or `audit`: the rule only tells, `demands` is what it would have demanded."""
    says: str = ""
    """What the policy's author wants people to be told about it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The guard's decision for one step. Always carries why."""

    number: int
    frame: int | None
    at: float
    mode: Mode
    authority: Authority
    gate: GateDecision
    command: Command
    causes: tuple[Cause, ...] = ()
    readings: tuple[Reading, ...] = ()
    answer: Answer | None = None
    suggested: Command | None = None
    takeover_deadline: float | None = None
    """When the safe state follows unless a human takes over (s), while a takeover is requested."""
    alerts: tuple[str, ...] = ()
    """How the human is to be told now, while a takeover is requested: `visual`, `audible`, `haptic`, as the policy's
    ladder has them."""
    notices: tuple[Cause, ...] = ()
    """Rules in mode `warn` or `audit` that hold: they took nothing."""
    digests: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Admitted digest (hex) of every model, the policy and the calibration."""
