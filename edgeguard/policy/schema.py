"""The sections of a policy file as strict, frozen models: what keys there are and what kind of value each takes.

Kinds and bounds of single values only; what several values say together is checked in `meaning`. A key that this
version would not carry out is not here: a policy must never ask for something that silently does not happen. Who runs
what, and how often, is in `running`; whose word counts for it in `vouching`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from edgeguard.policy.fields import (
    Choice,
    Command,
    Duration,
    Expression,
    Given,
    Identifier,
    Label,
    Limits,
    Meaning,
    NotAWord,
    OneOrMore,
    Rate,
    SensorName,
    Share,
    SpanField,
    Text,
    Toggle,
    UnitText,
)
from edgeguard.policy.fits import LARGEST_VALUE, MOST_RULES, MOST_SENSORS, SCALE
from edgeguard.policy.running import (
    Bundle,
    Isolation,
    Model,
    Pace,
    Qualification,
    Realtime,
    Section,
)
from edgeguard.policy.vouching import Admission

Authority = Literal["rules", "human", "safe_state"]
AnyAuthority = Literal["model", "rules", "human", "safe_state"]
AnyMode = Literal["standby", "nominal", "degraded", "takeover_request", "manual", "safe_state", "lockout"]
AnyEvent = Literal["arm", "take", "release", "reset", "stop"]

MOST_NAMES = 256
"""Entries of `let`."""


class Head(Section):
    """Which policy this is."""

    name: Label
    version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    security_version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """A device refuses a policy with a lower one than it ran; where it is not stated it is `version`."""


class Constant(Section):
    """A number with its unit, by name."""

    is_: float = Field(alias="is")
    unit: UnitText = ""


def _let_tag(value: object) -> str:
    return "<section>" if isinstance(value, Mapping | Constant) else "<expression>"


# tags in angle brackets cannot be mistaken for a key of the file when an error is traced back to its place
LetField = Annotated[
    Annotated[Meaning, Tag("<expression>")] | Annotated[Constant, Tag("<section>")],
    Discriminator(_let_tag),
]


class SignalDeclaration(Section):
    """One signal: from models (`of`) or from elsewhere (`from`), with its range and how old it may be.

    What is left out has a default that depends on the type and the name: see `declared`.
    """

    of: OneOrMore | None = None
    measure: Identifier | None = None
    from_: Choice | None = Field(default=None, alias="from")
    type: Literal["number", "bool", "class"] = "number"
    labels: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=64)] | None = None
    unit: UnitText = ""
    range: Limits | None = None
    worse: Literal["lower", "higher"] | None = None
    nominal: Given | None = None
    max_age: Duration
    on_fault: Authority = "safe_state"
    within: Duration | None = None
    otherwise: Literal["rules", "safe_state"] | None = None


class Clear(Section):
    """Hysteresis: the condition under which a rule lets go, and for how long it must hold."""

    when: Expression
    for_: SpanField | None = Field(default=None, alias="for")


class Reaction(Section):
    """What rules and relations have in common: how long, who acts, and what gives authority back."""

    id: Label
    for_: SpanField | None = Field(default=None, alias="for")
    clear: Annotated[Clear | None, NotAWord] = None
    latch: Toggle = False
    then: Authority
    within: Duration | None = None
    otherwise: Literal["rules", "safe_state"] | None = None
    mode: Literal["enforce", "warn", "audit"] = "enforce"
    cause: Text | None = None


class Rule(Reaction):
    """One trigger: when what holds for how long, who acts, and what gives authority back."""

    when: Expression


class Relation(Reaction):
    """Redundancy: two signals that `agree` within a `tolerance`, or what to `expect` `if` something holds."""

    agree: Annotated[tuple[Identifier, ...], Field(min_length=2, max_length=2)] | None = None
    tolerance: Annotated[float, Field(ge=0)] | None = None
    if_: Expression | None = Field(default=None, alias="if")
    expect: Expression | None = None


class Risk(Section):
    """What the calibration's certificate must vouch for: a wrong answer acts at most so often, said so surely."""

    at_most: Share
    confidence: Share


class Fallback(Section):
    """One row of the rule-based logic: the first whose condition holds commands."""

    when: Expression | None = None
    command: Command


class Feedback(Section):
    """The microcontroller measures where the actuator is, and keeps the output within `lead` of that."""

    lead: Annotated[float, Field(ge=1 / SCALE, le=LARGEST_VALUE)]
    max_age: Duration


class Actuator(Section):
    """What an actuator may ever be told. `rise` and `fall`: largest change a second."""

    min: float
    max: float
    rise: Rate | None = None
    fall: Rate | None = None
    safe: float
    unit: UnitText = ""
    feedback: Feedback | None = None
    authority: Literal["model", "rules", "human"] = "model"


class Sensor(Section):
    """One quantity that the microcontroller itself measures. Only its own rules read it."""

    range: Limits
    max_age: Duration
    unit: UnitText = ""


class LocalRule(Section):
    """One row of the microcontroller's own fallback: the first whose condition holds commands."""

    when: Expression | None = None
    command: Command
    note: Text | None = None


class Microcontroller(Section):
    """What the microcontroller knows and does by itself, without the host."""

    stop: Toggle = False
    sensors: Annotated[Mapping[SensorName, Sensor], Field(max_length=MOST_SENSORS)] = {}
    fallback: Annotated[tuple[LocalRule, ...], Field(max_length=MOST_RULES)] = ()


class Escalation(Section):
    """One step of the ladder that asks a human to take over."""

    after: Duration
    alert: Literal["visual", "audible", "haptic"]


class Handover(Section):
    """How a human is asked to take over."""

    escalate: Annotated[tuple[Escalation, ...], Field(min_length=1, max_length=8)]


class Disclosure(Section):
    """How much of an answer leaves the guard."""

    outputs: Literal["top1", "probabilities"]


class Link(Section):
    """The line to the safety microcontroller. Key files are relative to the policy file."""

    port: Text = "auto"
    baud: Annotated[int, Field(ge=9600, le=12_000_000)] = 921_600
    heartbeat: Duration = 0.020
    lost_after: Duration = 0.150
    key: Text | None = None
    operator_key: Text | None = None


class FrameRate(Section):
    """How often the camera gives a new picture: what `N frames` means in seconds."""

    period: Duration


class Log(Section):
    """`flush`: the longest time a record stays unwritten."""

    flush: Duration


class Never(Section):
    """An invariant: this never holds; with `for`, never so long without a break."""

    never: Expression
    for_: SpanField | None = Field(default=None, alias="for")


class Leave(Section):
    """An invariant: this mode is left only this way."""

    leave: Literal["safe_state"]
    only_by: Literal["operator"]


def _invariant_tag(value: object) -> str:
    leave = isinstance(value, Leave) or (isinstance(value, Mapping) and "leave" in value)
    return "<leave>" if leave else "<never>"


Invariant = Annotated[
    Annotated[Never, Tag("<never>")] | Annotated[Leave, Tag("<leave>")], Discriminator(_invariant_tag)
]


Situation = Mapping[Identifier, Given]
"""Signals and what they are given as; those not named keep their nominal value."""


class Expectation(Section):
    """What an embedded test expects at the end of its span."""

    authority: AnyAuthority | None = None
    mode: AnyMode | None = None
    rule: Text | None = None
    command: Command | None = None


class Stage(Section):
    """What a test or one step of it does: these signals, commands and this event, for so long."""

    given: Situation | None = None
    suggest: Command | None = None
    manual: Command | None = None
    event: AnyEvent | None = None
    for_: SpanField | None = Field(default=None, alias="for")
    expect: Expectation | None = None


class Case(Stage):
    """An embedded test, from a healthy start: one stage, one for each of `each`, or `steps` one after another."""

    name: Text
    each: Annotated[tuple[Situation, ...], Field(min_length=1, max_length=256)] | None = None
    steps: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=256)] | None = None


class Policy(Section):
    """A whole policy file."""

    edgeguard: int
    policy: Head
    models: Annotated[Mapping[Identifier, Model], Field(min_length=1, max_length=16)] | None = None
    filter: Bundle | None = None
    fused: Bundle | None = None
    admission: Admission | None = None
    calibration: Text | None = None
    qualification: Mapping[Identifier, Qualification] = {}
    isolation: Isolation | None = None
    realtime: Realtime | None = None
    schedule: Mapping[Identifier, Pace] = {}
    frame: FrameRate | None = None
    let: Annotated[Mapping[Identifier, LetField], Field(max_length=MOST_NAMES)] = {}
    signals: Annotated[Mapping[Identifier, SignalDeclaration], Field(min_length=1)]
    redundancy: tuple[Relation, ...] = ()
    rules: tuple[Rule, ...] = ()
    risk: Risk | None = None
    fallback: Annotated[tuple[Fallback, ...], Field(max_length=64)] = ()
    envelope: Annotated[Mapping[Identifier, Actuator], Field(min_length=1, max_length=64)]
    microcontroller: Microcontroller | None = None
    handover: Handover | None = None
    disclosure: Disclosure = Disclosure(outputs="top1")
    link: Link | None = None
    ftti: Duration | None = None
    period: Duration = 0.02
    lockout_after: Annotated[int, Field(ge=0, le=1000)] = 3
    log: Log = Log.model_construct(flush=1.0)  # not from a file: there a duration has its unit
    invariants: tuple[Invariant, ...] = ()
    tests: tuple[Case, ...] = ()
