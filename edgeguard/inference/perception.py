"""The models of one guard, wired: frame -> picture -> filter -> primary on three views || redundant -> signals.

Never raises on a frame: whatever fails has no value, and a signal without a value fails closed further on. Opens no
file, decides nothing. The clock given to it is read for the `latency` signal alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgeguard.errors import ContractError
from edgeguard.filter.squeeze import Squeezer
from edgeguard.inference.stages import Classifier, Filter, build_stages
from edgeguard.signals.doubt import total_variation
from edgeguard.signals.health import FrameHealth
from edgeguard.types import Answer, Frame, Signal

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
    from edgeguard.inference.session import Tensor
    from edgeguard.inference.worker import WorkerSession
    from edgeguard.program import ModelRef

_LATEST = 1 << 62
"""No time lies beyond it (s): much larger whole numbers cannot be made floats."""

_WARM_UP_FRAMES = 3
_WARM_UP_MOST = 20


@dataclass(frozen=True, slots=True)
class Observation:
    """What perception made of one frame. `answer` None: the primary gave none. Every signal it can make is there."""

    answer: Answer | None
    signals: tuple[Signal, ...]


class _Doubt(NamedTuple):
    """The models' part of an observation; None where a model failed."""

    answer: Answer | None = None
    disagreement: float | None = None
    reconstruction: float | None = None
    squeezing: float | None = None
    novelty: float | None = None


_NO_DOUBT = _Doubt()


class Perception:
    """Observes frames with admitted models. Not for use by two threads at once. Close it: it may own processes."""

    def __init__(
        self,
        primary: Classifier,
        filter_: Filter | None,
        redundant: Classifier | None,
        clock: Callable[[], float],
    ) -> None:
        """Wire ready stages; `build` makes them from admitted models."""
        self._primary = primary
        self._filter = filter_
        self._redundant = redundant
        self._clock = clock
        self._health = FrameHealth()
        height, width = primary.size
        self._squeeze = Squeezer((3, height, width))
        rows = 2 if filter_ is None else 3
        # Canonical pictures, in the order [F(x), x, squeeze(x)], or [x, squeeze(x)] without a filter.
        self._views: Tensor = np.zeros((rows, 3, height, width), np.float32)
        self._plain = self._views[rows - 2]
        self._squeezed = self._views[rows - 1]
        self._other = None if redundant is None or redundant.same_picture(primary) else redundant.blank()
        self.signal_names = self._names()

    @classmethod
    def build(
        cls,
        models: Mapping[str, AdmittedModel],
        refs: Sequence[ModelRef],
        clock: Callable[[], float],
        *,
        deadline: float = 0.05,
    ) -> Perception:
        """Sessions for admitted models by role (`primary`; optional `filter`, `redundant`), each where `refs` says.

        `clock`: seconds, for the `latency` signal. `deadline`: s that an answer of a worker process is waited for.

        Raises:
            ContractError: no primary, a graph that breaks its manifest, or models that do not fit one another.
            UsageError: an unknown backend.
        """
        stages = build_stages(models, refs, deadline)
        return cls(stages.primary, stages.filter, stages.redundant, clock)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the primary's classes, by label."""
        return self._primary.classes

    @property
    def digests(self) -> dict[str, str]:
        """Admitted digest (hex) of each role's bundle."""
        return {role: stage.contract.digest for role, stage in self._stages().items()}

    @property
    def workers(self) -> dict[str, WorkerSession]:
        """The roles that run in a process of their own."""
        return {role: s.worker for role, s in self._stages().items() if s.worker is not None}

    def describe(self) -> dict[str, dict[str, str]]:
        """For the log: by role, the bundle, its digest, backend, provider and where it runs."""
        return {role: stage.describe() for role, stage in self._stages().items()}

    def observe(self, frame: Frame, now: float) -> Observation:
        """Look at a frame. Never raises: a frame that is no picture gives signals without values.

        `frame.image`: uint8, (height, width, 3), RGB, any size. `now`: s, on the clock of `frame.at`.
        """
        started = self._clock()
        image, at = frame.image, frame.at
        if not (_is_picture(image) and _is_time(at)):
            at = at if _is_time(at) else math.nan
            silent = (Signal(name, None, at, source) for name, source in self.signal_names)
            return Observation(None, tuple(silent))
        health = self._health.step(image, at)
        doubt = self._doubt(frame)
        answer = doubt.answer
        values: list[float | None] = [None if answer is None else answer.certainty]
        if self._redundant is not None:
            values.append(doubt.disagreement)
        if self._filter is not None:
            values.append(doubt.reconstruction)
        values.append(doubt.squeezing)
        if self._primary.novelty:
            values.append(doubt.novelty)
        values += (now - at, health.frozen_for, health.contrast, self._clock() - started)
        signals = [
            Signal(name, value, at, source) for (name, source), value in zip(self.signal_names, values)
        ]
        return Observation(answer, tuple(signals))

    def warm_up(self) -> None:
        """Run a few grey frames through everything.

        Raises:
            ContractError: a model does not answer.
        """
        image = np.full((*self._primary.size, 3), 128, np.uint8)
        silent: str | None = "primary"
        for number in range(_WARM_UP_MOST):
            silent = self._silent(self._doubt(Frame(image, number, 0.0)))
            # A process of its own may be late on a machine that is still starting everything else.
            if silent is None and number + 1 >= _WARM_UP_FRAMES:
                return
        if silent is not None:
            raise ContractError(
                f"bundle `{self._stages()[silent].contract.bundle}` gives no usable answer for a grey picture: "
                "its outputs must be finite numbers of the declared meaning, in time"
            )

    def close(self) -> None:
        """End the worker processes. May be called twice."""
        for stage in self._stages().values():
            stage.close()

    def _doubt(self, frame: Frame) -> _Doubt:
        """Run the models. The redundant one is asked first, so that one in a process of its own works meanwhile."""
        primary, redundant = self._primary, self._redundant
        primary.resize(frame.image, self._plain)
        if redundant is not None:
            picture = self._plain
            if self._other is not None:
                redundant.resize(frame.image, self._other)
                picture = self._other
            redundant.submit(picture[np.newaxis])
        filtered = self._filter is None or self._filter.apply(self._plain, self._views[0])
        if not filtered:
            np.copyto(self._views[0], self._plain)  # the other views are worth looking at all the same
        self._squeeze(self._plain, self._squeezed)
        seen = primary.classify(self._views)
        second = None if redundant is None else redundant.collect()
        if seen is None:
            return _NO_DOUBT
        rows, novelty = seen
        plain = rows[-2]
        squeezing = total_variation(plain, rows[-1])
        if not filtered:
            return _Doubt(squeezing=squeezing)
        return _Doubt(
            answer=self._answer(frame, rows[0]),
            disagreement=None if second is None else total_variation(rows[0], second[0][0]),
            reconstruction=None if self._filter is None else total_variation(plain, rows[0]),
            squeezing=squeezing,
            novelty=None if novelty is None else float(novelty[0]),
        )

    def _silent(self, doubt: _Doubt) -> str | None:
        """The first role that did not do its part; None: all did."""
        if doubt.squeezing is None:
            return "primary"
        if doubt.answer is None:
            return "filter"
        if self._redundant is not None and doubt.disagreement is None:
            return "redundant"
        return None

    def _answer(self, frame: Frame, row: Tensor) -> Answer:
        label = int(row.argmax())
        probabilities = tuple(row.tolist())
        return Answer(
            frame=frame.number,
            at=frame.at,
            label=label,
            name=self._primary.classes[label],
            certainty=min(1.0, probabilities[label]),
            probabilities=probabilities,
            digest=self._primary.contract.digest,
        )

    def _names(self) -> tuple[tuple[str, str], ...]:
        """(signal, source) in the order `observe` gives them."""
        table = (
            ("certainty", "primary", True),
            ("disagreement", "redundant", self._redundant is not None),
            ("reconstruction", "filter", self._filter is not None),
            ("squeezing", "primary", True),
            ("novelty", "primary", self._primary.novelty),
            ("frame_age", "frame", True),
            ("frozen_for", "frame", True),
            ("contrast", "frame", True),
            ("latency", "runtime", True),
        )
        return tuple((name, source) for name, source, made in table if made)

    def _stages(self) -> dict[str, Classifier | Filter]:
        stages = {"primary": self._primary, "filter": self._filter, "redundant": self._redundant}
        return {role: stage for role, stage in stages.items() if stage is not None}


def _is_time(at: object) -> bool:
    """Whether it is a number at all; NaN and infinity are: they fail where ages are compared."""
    return isinstance(at, float) or (isinstance(at, int) and abs(at) < _LATEST)


def _is_picture(image: object) -> bool:
    """Whether it is uint8, (height, width, 3) with at least one pixel."""
    return (
        isinstance(image, np.ndarray)
        and image.dtype == np.uint8
        and image.ndim == 3
        and image.shape[2] == 3
        and image.size > 0
    )
