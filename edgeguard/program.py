"""A compiled policy: everything the frame path needs, as plain values and one function.

No file, no YAML and no pydantic here: `edgeguard.policy` builds a `Program`, the other rooms only read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from edgeguard.decision.table import RuleRow, Table, Truth
from edgeguard.terms import AdmissionTerms
from edgeguard.types import Authority, Command, no_values

OF_ANSWER = frozenset({"certainty", "energy", "margin", "novelty", "held_for"})
"""Measures of the primary's answer alone: known as soon as it is."""


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
    measure: str = ""
    """What of the models it is: `certainty`, `disagreement`, `votes`, ...; empty: what its name says."""
    of: tuple[str, ...] = ()
    """The models it is taken from, `primary` first; empty: it comes from elsewhere."""
    whole: bool = field(init=False, default=False)
    """Whether only whole numbers are values of it: of kinds other than `number`, and of votes."""

    def __post_init__(self) -> None:
        measure = self.measure or self.name
        object.__setattr__(self, "measure", measure)
        object.__setattr__(self, "whole", self.kind != "number" or (measure == "votes" and bool(self.of)))


@dataclass(frozen=True, slots=True)
class Feedback:
    """The microcontroller measures where this actuator is: the output stays within `lead` of it (in its unit)."""

    lead: float
    max_age: float
    """s that a measured position counts."""


@dataclass(frozen=True, slots=True)
class ActuatorLimit:
    """The envelope of one actuator. `rise`/`fall`: largest change a second, inf for none. `safe`: its safe value."""

    name: str
    low: float
    high: float
    rise: float
    fall: float
    safe: float
    feedback: Feedback | None = None
    authority: Authority = Authority.MODEL
    """The least restrictive source that may act on it; the microcontroller refuses every other one."""


@dataclass(frozen=True, slots=True)
class FallbackRow:
    """One fallback rule: what to command when its condition is the first that holds."""

    line: int
    text: str
    command: Command


class Relation(IntEnum):
    """How a sensor's value is compared with a constant. The numbers are those of the microcontroller's table."""

    ABOVE = 0
    AT_LEAST = 1
    BELOW = 2
    AT_MOST = 3


class SensorSpec(NamedTuple):
    """One quantity that the microcontroller itself measures. A reading outside [low, high] is a fault."""

    name: str
    low: float
    high: float
    max_age: float
    """s that a reading counts."""


class Term(NamedTuple):
    """One comparison of a local rule. `sensor`: its place among the microcontroller's sensors."""

    sensor: int
    relation: Relation
    limit: float


@dataclass(frozen=True, slots=True)
class LocalRule:
    """One rule of the microcontroller's own fallback: it holds when every term does; without terms always."""

    line: int
    text: str
    terms: tuple[Term, ...]
    command: Command


@dataclass(frozen=True, slots=True)
class Microcontroller:
    """What the microcontroller knows and does by itself, without the host."""

    stop: bool = False
    """There is an emergency stop."""
    sensors: tuple[SensorSpec, ...] = ()
    rules: tuple[LocalRule, ...] = ()
    """The first that holds acts while the host does not; without one every actuator goes to its safe value."""


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """The line to the microcontroller. Times in s."""

    port: str = "auto"
    baud: int = 921_600
    heartbeat: float = 0.020
    lost_after: float = 0.150
    key: str = ""
    """Path of the device key file, as resolved from the policy."""
    operator_key: str = ""
    """Path of the operator's key file, where this host may speak for the operator; empty: it may not."""


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Where a model bundle lies and how it is run."""

    role: str
    """`primary`, its alternates `primary.1`, `primary.2`, ..., `filter`, `fused`, or the name of a redundant model."""
    path: str
    """Absolute folder of the bundle."""
    backend: str = "onnxruntime"
    cpu_fallback: bool = False
    """Whether a provider may leave parts of the graph to the CPU."""
    pin: str = ""
    """Digest (hex) over names and contents of the one bundle that may stand here, whoever signed it; empty: none."""
    manifest: str = ""
    """Absolute path of a signed `edgeguard.json` for a pinned bundle that has none; empty: the bundle's own."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """A process of its own for some looks, and what it may have. Times in s."""

    name: str
    looks: tuple[str, ...]
    """`primary`, `plain`, `squeezed`, names of redundant models."""
    sandbox: str = "preferred"
    """`off`, `preferred`, `required` or `strict`: the least level it may start at."""
    memory: int | None = None
    """Most bytes of data it may allocate."""
    cpus: tuple[int, ...] = ()
    """The cores it may run on; empty: any."""
    fifo: int | None = None
    """Real-time priority, 1 to 99; None: the ordinary scheduler."""
    gpu: bool = False
    """Whether it may talk to a GPU's device files."""
    deadline: float = 0.05
    """Longest time from a request to its answer."""
    restarts_most: int = 3
    restarts_within: float = 60.0
    """How often it is started again, at most `restarts_most` times in so long; after that it stays down."""
    lockout: bool = False
    """Whether the guard locks out when the restarts are used up."""
    hears: bool = True
    """Whether a channel carries frames to it."""
    speaks: bool = True
    """Whether a channel carries its suggestions to the decision."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A signal that is not computed on every frame. What is not computed is not updated, and ages."""

    name: str
    every: int = 1
    """One frame in so many."""
    offset: int = 0
    """Which of these frames, below `every`."""
    background: bool = False
    """Asked for whenever its worker is idle, and never waited for."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Moving target: which of several admitted primaries answers changes every so many frames, unpredictably."""

    every: int
    seed: int | None = None
    """None: drawn when the guard starts."""


@dataclass(frozen=True, slots=True)
class Realtime:
    """What the host's process should have of the operating system. What it cannot have is reported."""

    fifo: int | None = None
    cpus: tuple[int, ...] = ()
    lock_memory: bool = False
    freeze_gc: bool = False
    required: bool = False
    """Whether the guard refuses to start without all of it."""


Conditions = Callable[[Sequence[float], Sequence[bool]], tuple[Truth, ...]]
"""(values, healthy) by signal index -> one truth a rule. An unhealthy value is never read. Total: it never raises."""

Choice = Callable[[Sequence[float], Sequence[bool]], int]
"""(values, healthy) by signal index -> index of the first fallback rule that holds; -1: none, so the safe command."""


def never(values: Sequence[float], healthy: Sequence[bool]) -> tuple[Truth, ...]:  # noqa: ARG001 - as every `Conditions`
    """The conditions of nothing."""
    return ()


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
    workers: tuple[WorkerSpec, ...] = ()
    """Looks that no worker has run in the host's own process."""
    schedule: tuple[Scheduled, ...] = ()
    """Signals that are computed less often; every other one on every frame."""
    due: Conditions = never
    """When a signal of `schedule` is computed besides, in its order; a fault counts as yes."""
    switch: Switch | None = None
    realtime: Realtime | None = None
    security_version: int = 0
    """Of the policy itself: a device that remembers a higher one refuses it."""
    admission: AdmissionTerms = field(default_factory=AdmissionTerms)
    """Who may sign the models and the calibration, and what a model must be."""
    calibration: str = ""
    """Absolute path of the calibration file; empty: the policy names none."""
    thresholds: Mapping[str, float] = field(default_factory=no_values)
    link: LinkSettings | None = None
    microcontroller: Microcontroller = Microcontroller()
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
