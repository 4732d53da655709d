"""A compiled policy: everything the frame path needs, as plain values and one function.

No file, no YAML and no pydantic here: `edgeguard.policy` builds a `Program`, the other rooms only read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from edgeguard.decision.table import RuleRow, Table, Truth
from edgeguard.types import Authority, Command, no_values


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """One declared signal. `low`/`high`: inclusive range. `max_age` in s. `source`: a model role, `frame`, `runtime`,
    `link` or `context`."""

    name: str
    source: str
    low: float
    high: float
    max_age: float
    unit: str = ""
    line: int = 0
    on_fault: Authority = Authority.SAFE_STATE
    kind: str = "number"
    """`number`, `bool` (0 or 1) or `class` (the index of a label, -1 for every other class)."""
    labels: tuple[str, ...] = ()
    """Only of a `class`: the labels the policy tells apart, by index."""
    worse: str = ""
    """`higher` or `lower`: the direction of doubt; empty: neither."""
    nominal: float = 0.0
    """Its value when all is well: where tests, explanations and pages start from."""
    whole: bool = field(init=False, default=False)
    """Whether only whole numbers are values of it: of kinds other than `number`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "whole", self.kind != "number")


@dataclass(frozen=True, slots=True)
class ActuatorLimit:
    """The envelope of one actuator. `rise`/`fall`: largest change a second, inf for none. `safe`: its safe value."""

    name: str
    low: float
    high: float
    rise: float
    fall: float
    safe: float


@dataclass(frozen=True, slots=True)
class FallbackRow:
    """One fallback rule: what to command when its condition is the first that holds."""

    line: int
    text: str
    command: Command


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """The line to the microcontroller. Times in s."""

    port: str = "auto"
    baud: int = 921_600
    heartbeat: float = 0.020
    lost_after: float = 0.150
    key: str = ""
    """Path of the device key file, as resolved from the policy."""


class Signer(NamedTuple):
    """A key that may sign models and the calibration: its file, and the SHA-256 (hex) that the policy pins it to."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Where a model bundle lies and how it is run."""

    role: str
    """`primary`, `redundant` or `filter`."""
    path: str
    """Absolute folder of the bundle."""
    backend: str = "onnxruntime"
    worker: str = ""
    """Name of the worker process it runs in; empty: in the host's own process."""


Conditions = Callable[[Sequence[float], Sequence[bool]], tuple[Truth, ...]]
"""(values, healthy) by signal index -> one truth a rule. An unhealthy value is never read. Total: it never raises."""

Choice = Callable[[Sequence[float], Sequence[bool]], int]
"""(values, healthy) by signal index -> index of the first fallback rule that holds; -1: none, so the safe command."""


@dataclass(frozen=True, slots=True)
class Program:
    """A checked and compiled policy with its calibrated thresholds."""

    name: str
    version: int
    digest: str
    """Hex SHA-256 of the policy file's bytes."""
    signals: tuple[SignalSpec, ...]
    table: Table
    """The rules that take authority: declared ones in file order, then one fault rule a signal."""
    when: Conditions
    """The condition of every rule of `table`, then of every rule of `watched`."""
    clear: Conditions
    """The clear condition of the same rules; FAULT clears nothing. Only asked for while a rule is active."""
    choose: Choice
    fallback: tuple[FallbackRow, ...]
    envelope: tuple[ActuatorLimit, ...]
    watched: tuple[RuleRow, ...] = ()
    """Rules in mode `warn` and `audit`: they are told, and take nothing."""
    models: tuple[ModelRef, ...] = ()
    signers: tuple[Signer, ...] = ()
    """The public keys that may sign models and the calibration, by absolute path."""
    security_version: int = 0
    calibration: str = ""
    """Absolute path of the calibration file; empty: the policy names none."""
    thresholds: Mapping[str, float] = field(default_factory=no_values)
    link: LinkSettings | None = None
    handover: tuple[tuple[float, str], ...] = ()
    """Escalation ladder of a takeover request: (s after the request, `visual`, `audible` or `haptic`)."""
    ftti: float | None = None
    """Fault-tolerant time interval the policy states (s)."""
    period: float = 0.02
    """Control period (s): how often the runtime calls the decision, with or without a new frame."""
    frame_period: float = 0.05
    """Time between two pictures (s), as the policy states it."""
    disclosure: str = "top1"
    log_flush: float = 1.0
    """Longest time a log record stays unflushed (s); a change of authority is flushed at once."""
