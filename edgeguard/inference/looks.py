"""Looks: one model at one view of one picture, and the protocol of whoever answers them (a member).

Data and protocols only: no runtime is imported here, no process started, nothing decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from edgeguard.inference.session import ModelContract

if TYPE_CHECKING:
    from edgeguard.admission import InputSpec
    from edgeguard.inference.scoring import Scoring
    from edgeguard.inference.session import Tensor

PRIMARY = "primary"
"""The primary on the filtered picture, or on the plain one where there is no filter: the answer."""
PLAIN = "plain"
"""The primary on the plain picture; only where there is a filter."""
SQUEEZED = "squeezed"
"""The primary on the squeezed picture."""
FUSED = "fused"
"""One graph that gives the answer and the signals at once. Every other look is named like a redundant model."""

OF_PRIMARY = (PRIMARY, PLAIN, SQUEEZED)


class Scores(NamedTuple):
    """What a classifier said about one picture, once it is known to be a sane answer."""

    probabilities: Tensor
    """(classes,), at the manifest's temperature."""
    energy: float
    """-log sum exp of the logits at the temperature; NaN where the model gives probabilities only. Larger is worse.
    Source: Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020."""
    novelty: float | None
    digest: str
    """Of the bundle that answered."""


NO_SIGNALS: Mapping[str, float] = MappingProxyType({})


class Reply(NamedTuple):
    """What a member answered about one picture. A look that it could not answer usably is missing."""

    number: int
    """Of the frame."""
    scores: Mapping[str, Scores]
    signals: Mapping[str, float] = NO_SIGNALS
    """Signals that were computed in a fused graph, by measure, finite."""


class Found(NamedTuple):
    """What all members said about one frame: scores by view of the primary and by further model, and ready signals."""

    scores: Mapping[str, Scores]
    signals: Mapping[str, float]


class Canonical(NamedTuple):
    """A kind of canonical picture: RGB, float32 in [0, 1], (3, height, width)."""

    height: int
    width: int
    resize: str

    def blank(self) -> Tensor:
        """Room for one picture."""
        return np.zeros((3, self.height, self.width), np.float32)


@dataclass(frozen=True, slots=True)
class Part:
    """One model of a member, as whoever runs it needs it: no path, no key, no policy."""

    role: str
    contract: ModelContract
    input: InputSpec
    backend: str
    cpu_fallback: bool = False


class Member(Protocol):
    """Answers some looks. Used by one thread. Never raises on a frame: what fails is missing from the reply.

    The order for each frame: `begin`, write a picture into every room, then once or more `submit` and `collect`.
    """

    scoring: Scoring
    """What checks its answers."""

    @property
    def name(self) -> str:
        """`host`, or the worker's name in the policy."""

    @property
    def looks(self) -> tuple[str, ...]:
        """What it can be asked for."""

    @property
    def kinds(self) -> tuple[Canonical, ...]:
        """The canonical pictures it wants, one a room."""

    @property
    def answering(self) -> bool:
        """Whether it is able to answer now: a worker that ended or is being started again is not."""

    def begin(self, number: int) -> Sequence[Tensor] | None:
        """Rooms for the pictures of frame `number`, in the order of `kinds`; None: it cannot take a frame now."""

    def submit(self, looks: Sequence[str]) -> None:
        """Ask for `looks` at the frame begun last. A worker starts on it at once."""

    def collect(self) -> Reply:
        """The answer to the last submit. Waits for it until the member's deadline, and no longer."""

    def poll(self) -> Reply | None:
        """The answer to the last submit if it is there by now. Does not wait. None: not yet, or nothing was asked."""

    def tend(self, now: float) -> bool:
        """Once a step: notice an ended worker, start it again within its budget. False: it must lock out (s)."""

    def describe(self) -> Mapping[str, str]:
        """Where it runs, its backends and its sandbox, for the log."""

    def close(self) -> None:
        """End and free everything. May be called twice."""
