"""The sections of a policy about who runs what, where, with which means and how often, as strict, frozen models.

Kinds and bounds of single values only, as in `schema`; what they say together is checked in `models`, `isolation`,
`channels` and `schedule`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from edgeguard.policy.fields import (
    Bound,
    Digest,
    Duration,
    Expression,
    Frames,
    Identifier,
    Label,
    Memory,
    Text,
    Toggle,
)

Backend = Literal[
    "auto", "onnxruntime", "onnxruntime-cuda", "onnxruntime-tensorrt", "tensorrt", "tensorrt-rtx"
]
Sandbox = Literal["off", "preferred", "required", "strict"]
Cores = Annotated[tuple[Annotated[int, Field(ge=0, le=1023)], ...], Field(min_length=1, max_length=64)]


class Section(BaseModel):
    """Every section: no unknown keys, no conversions, no changes."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Bundle(Section):
    """One model bundle. `bundle` is a folder, relative to the policy file."""

    bundle: Text
    pin: Digest | None = None
    manifest: Text | None = None
    backend: Backend = "onnxruntime"
    cpu_fallback: Toggle = False


class Switching(Section):
    """Moving target: which of the admitted primaries answers changes unpredictably."""

    every: Frames
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None


class Model(Bundle):
    """One classifier: the primary, which may have alternates, or a redundant one."""

    alternates: Annotated[tuple[Text, ...], Field(min_length=1, max_length=8)] | None = None
    switch: Switching | None = None


class Scheduling(Section):
    """Real-time priority."""

    fifo: Annotated[int, Field(ge=1, le=99)]


class Restarts(Section):
    """How often a worker is started again, and what happens when that is used up."""

    most: Annotated[int, Field(ge=0, le=1000)] = 3
    within: Duration = 60.0
    then: Literal["stay_down", "lockout"] = "stay_down"


class Worker(Section):
    """A process of its own for the looks it runs, and what it may have."""

    runs: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=16)]
    sandbox: Sandbox | None = None
    memory: Memory | None = None
    cpus: Cores | None = None
    scheduling: Scheduling | None = None
    devices: Annotated[tuple[Literal["gpu"], ...], Field(min_length=1, max_length=1)] | None = None
    deadline: Duration = 0.050
    restarts: Restarts = Restarts.model_construct(most=3, within=60.0, then="stay_down")


class Channel(Section):
    """One line that exists: who may tell whom what."""

    from_: Label = Field(alias="from")
    to: Label
    carries: Literal["frame", "suggestion"]


class Isolation(Section):
    """Which looks run in which worker processes, how they are shut in, and which lines lead in and out."""

    sandbox: Sandbox = "preferred"
    workers: Annotated[Mapping[Label, Worker], Field(max_length=16)]
    channels: Annotated[tuple[Channel, ...], Field(max_length=64)] | None = None


class Pace(Section):
    """When a signal is computed, if not on every frame: every so many frames, or in the background."""

    every: Frames | None = None
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    or_when: Expression | None = None
    background: Toggle = False


class Realtime(Section):
    """What the host's process should have of the operating system."""

    scheduling: Scheduling | None = None
    cpus: Cores | None = None
    lock_memory: Toggle = False
    gc: Literal["freeze"] | None = None
    required: Toggle = False


class Qualification(Section):
    """What the calibration must have measured of one model: at most so much worse, at most so correlated."""

    accuracy_loss: Bound | None = None
    common_mode: Bound | None = None
