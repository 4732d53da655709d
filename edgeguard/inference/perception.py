"""The models of one guard, wired: frame -> pictures -> looks of all members -> signals of doubt and of health.

Never raises on a frame: whatever fails has no value, and a signal without a value fails closed further on. Opens no
file, decides nothing. The clock given to it is read for the `latency` signal alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeguard.errors import ContractError
from edgeguard.inference.asking import Asking
from edgeguard.inference.background import Background, Late
from edgeguard.inference.fallen import Fallen
from edgeguard.inference.fit import check_fit, check_looks, is_picture, is_time, named_models
from edgeguard.inference.looks import FUSED, OF_PRIMARY, PRIMARY, Found, Member, Scores
from edgeguard.inference.measures import getter, measured, needs, usual
from edgeguard.inference.member import HostMember, all_looks
from edgeguard.inference.moving import MovingTarget
from edgeguard.inference.runner import look_of, role_of, view_of
from edgeguard.inference.steady import Steady
from edgeguard.program import OF_ANSWER
from edgeguard.signals.health import FrameHealth, Health
from edgeguard.types import Answer, Cause, Frame, Signal

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
    from edgeguard.inference.preprocess import Picture
    from edgeguard.program import ModelRef, SignalSpec, Switch

_WARM_UP_FRAMES = 3
_WARM_UP_MOST = 20

_OF_FRAME = (("frame_age", "frame"), ("frozen_for", "frame"), ("contrast", "frame"), ("latency", "runtime"))

Besides = Callable[[Sequence[Signal], "Answer | None"], Collection[str]]
"""The answer and the signals known with it -> names of scheduled signals to compute on this frame after all."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What perception made of one frame. `answer` None: the primary gave none.

    `signals`: every signal that was computed, with or without a value; one that its schedule left out is not there.
    `named`: for each class signal of a further model that was computed, the class (None: no answer) and its time (s).
    """

    answer: Answer | None
    signals: tuple[Signal, ...]
    named: Mapping[str, tuple[str | None, float]]


class Perception:
    """Observes frames with admitted models. Not for use by two threads at once. Close it: it may own processes."""

    def __init__(
        self,
        members: Sequence[Member],
        models: Mapping[str, AdmittedModel],
        clock: Callable[[], float],
        *,
        specs: Sequence[SignalSpec] | None = None,
        background: Collection[str] = (),
        switch: Switch | None = None,
    ) -> None:
        """Wire ready members; `build` makes the one that runs everything in the host.

        `specs`: the signals that a policy declares; None: every one that the models allow. `background`: names of
        signals that are never waited for. `switch`: how the answering primary changes.

        Raises:
            ContractError: models that do not fit one another, or a signal that no member can answer.
        """
        check_fit(models)
        self._models = models
        self._members = tuple(members)
        self._clock = clock
        self._health = FrameHealth()
        self.looks = frozenset(view_of(look) for member in members for look in member.looks)
        """The views of the primary and the further models that can be asked."""
        primary = models[FUSED if FUSED in self.looks else PRIMARY].manifest
        self.classes: tuple[str, ...] = tuple(primary.classes)
        """Names of the primary's classes, by label."""
        novelty = any(output.meaning == "novelty" for output in primary.outputs)
        self._signals = usual(self.looks, novelty=novelty) if specs is None else measured(specs)
        self._named = named_models(specs or ())
        wanted = {signal.name: needs(signal.measure, signal.of, self.looks) for signal in self._signals}
        self._needs = wanted | {name: frozenset((role,)) for name, role in self._named.items()}
        self._answer_views = frozenset((FUSED if FUSED in self.looks else PRIMARY,))
        self._quick = frozenset(signal.name for signal in self._signals if signal.measure in OF_ANSWER)
        waited = {"": self._answer_views, **self._needs}
        check_looks(waited, self.looks)
        self._background = Background(self._members, waited, background)
        self._foreground = frozenset(self._needs) - self._background.names
        self._views_of: dict[frozenset[str], frozenset[str]] = {}
        self._asking = Asking(self._members, self._background.others)
        self._target = MovingTarget(switch, 1 + sum(role.startswith("primary.") for role in models))
        self._steady = Steady()
        self._fallen = Fallen(self._members)
        self._getters = tuple(
            (s.name, s.source, None if s.measure == "held_for" else getter(s, self.looks))
            for s in self._signals
        )
        self._count = -1
        for member in self._members:
            member.scoring.energy = any(signal.measure == "energy" for signal in self._signals)

    @classmethod
    def build(
        cls,
        models: Mapping[str, AdmittedModel],
        refs: Sequence[ModelRef],
        clock: Callable[[], float],
        *,
        specs: Sequence[SignalSpec] | None = None,
    ) -> Perception:
        """Every model in the host's own process. `models` by role, `refs`: the backends they run on.

        Raises:
            ContractError: no primary, a graph that breaks its manifest, or models that do not fit one another.
            UsageError: an unknown backend.
        """
        check_fit(models)
        member = HostMember.load(all_looks(models), models, {ref.role: ref for ref in refs})
        return cls((member,), models, clock, specs=specs)

    @property
    def signal_names(self) -> tuple[tuple[str, str], ...]:
        """(signal, source) of everything that `observe` can give."""
        return (*((signal.name, signal.source) for signal in self._signals), *_OF_FRAME)

    @property
    def digests(self) -> dict[str, str]:
        """Admitted digest (hex) of each role's bundle."""
        return {role: model.digest for role, model in self._models.items()}

    @property
    def members(self) -> tuple[Member, ...]:
        """Who answers."""
        return self._members

    @property
    def down(self) -> int:
        """How many members cannot answer now."""
        return sum(not member.answering for member in self._members)

    def fallen(self, now: float) -> tuple[Cause, ...]:
        """Who cannot answer at time `now` (s), and why, as notices for the verdict."""
        return self._fallen.step(now)

    def describe(self) -> dict[str, dict[str, str]]:
        """For the log: by member, what it runs and where; and the seed of a moving target."""
        words = {member.name: dict(member.describe()) for member in self._members}
        return words | ({"switch": {"seed": str(self._target.seed)}} if self._target.variants > 1 else {})

    def tend(self, now: float) -> bool:
        """Once a step: let members restart what ended. False: the restarts are used up, and it must lock out."""
        within = [
            member.tend(now) for member in self._members
        ]  # every one of them, also after the first that is out
        return all(within)

    def observe(
        self, frame: Frame, now: float, *, due: Collection[str] | None = None, besides: Besides | None = None
    ) -> Observation:
        """Look at a frame. Never raises: a frame that is no picture gives signals without values.

        `frame.image`: uint8, (height, width, 3), RGB, any size. `now`: s, on the clock of `frame.at`. `due`: names of
        the scheduled signals to compute, None: every signal; those of no schedule must be among them. `besides`: asked
        once the answer is known which ones to add.
        """
        started = self._clock()
        image, at = frame.image, frame.at
        if not (is_picture(image) and is_time(at)):
            return self._nothing(at)
        chosen = self._chosen(due)
        late = self._background.take()
        self._count += 1
        self._asking.begin(image, frame.number, self._target.variant(self._count))
        self._background.ask(self._asking, at)
        health: list[Health] = []
        found = self._asking.ask(self._views(chosen), lambda: health.append(self._health.step(image, at)))
        answer = self._answer(frame, found)
        self._background.remember(found.scores.get(PRIMARY))
        stood = self._steady.step(None if answer is None else answer.label, at)
        if besides is not None:
            known = self._values(chosen & self._quick, found, at, stood)
            chosen, found = self._add(chosen, self._chosen(besides(known, answer)), found)
        signals = self._values(chosen, found, at, stood)
        for reply in late:
            signals += self._values(reply.names, reply.found, reply.at, None)
        values = (now - at, health[0].frozen_for, health[0].contrast, self._clock() - started)
        signals += [Signal(name, v, at, source) for (name, source), v in zip(_OF_FRAME, values)]
        return Observation(answer, tuple(signals), self._namings(chosen, found, at, late))

    def scores(self, image: Picture) -> Mapping[str, Scores]:
        """What every look says about one picture, for measuring: it counts as no frame. A failed one is missing.

        `image`: uint8, (height, width, 3), RGB.
        """
        self._asking.begin(image, 0, 0)
        return self._asking.ask(self.looks).scores

    def warm_up(self) -> None:
        """Run a few grey frames through everything.

        Raises:
            ContractError: a model does not answer.
        """
        kind = self._members[0].kinds[0]
        image = np.full((kind.height, kind.width, 3), 128, np.uint8)
        missing: set[str] = set()
        for number in range(_WARM_UP_MOST):
            missing = self._missing(image)
            # A process of its own may be late on a machine that is still starting everything else.
            if not missing and number + 1 >= _WARM_UP_FRAMES:
                return
        raise ContractError(
            f"no usable answer to a grey picture from `{'`, `'.join(sorted(missing))}`: the outputs of a model (and of "
            "the filter before it) must be finite numbers of the declared meaning, in time"
        )

    def close(self) -> None:
        """End the worker processes, whatever fails. May be called twice."""
        with ExitStack() as stack:
            for member in self._members:
                stack.callback(member.close)

    def _missing(self, image: Picture) -> set[str]:
        """The looks without a usable answer to a picture, as bundles where that is known; not of the background."""
        missing: set[str] = set()
        asked = frozenset(view_of(look) for member in self._background.others for look in member.looks)
        wanted = (asked - {FUSED}) | {PRIMARY}
        for variant in range(self._target.variants):
            self._asking.begin(image, 0, variant)
            found = self._asking.ask(asked).scores
            for look in wanted - set(found):
                role = role_of(look_of(look, variant) if look in OF_PRIMARY else look)
                missing.add(self._models[role if role in self._models else FUSED].manifest.name)
        return missing

    def _chosen(self, names: Collection[str] | None) -> frozenset[str]:
        """The signals of the foreground among `names`; None: all of them."""
        return self._foreground if names is None else self._foreground & frozenset(names)

    def _views(self, names: frozenset[str]) -> frozenset[str]:
        """What must be asked for the answer and for some signals."""
        views = self._views_of.get(names)
        if views is None:
            views = self._answer_views.union(*(self._needs[name] for name in names))
            self._views_of[names] = views
        return views

    def _add(
        self, chosen: frozenset[str], more: frozenset[str], found: Found
    ) -> tuple[frozenset[str], Found]:
        """Ask for the signals that are wanted besides."""
        views = self._views(more) - self._views(chosen)
        if views:
            added = self._asking.ask(views)
            found = Found({**found.scores, **added.scores}, {**found.signals, **added.signals})
        return chosen | more, found

    def _values(self, names: Collection[str], found: Found, at: float, stood: float | None) -> list[Signal]:
        """The chosen signals, in the policy's order. `stood`: s that the answer has been the same."""
        return [
            Signal(name, stood if get is None else get(found), at, source)
            for name, source, get in self._getters
            if name in names
        ]

    def _answer(self, frame: Frame, found: Found) -> Answer | None:
        seen = found.scores.get(PRIMARY)
        if seen is None:
            return None
        # A view: to make a thousand numbers of it costs more than the decision.
        # Numbers from a driver's memory are of a type that is equal and has another format, which no view can read.
        probabilities = np.ascontiguousarray(seen.probabilities, np.float32).data.toreadonly()
        label = int(seen.probabilities.argmax())
        return Answer(
            frame=frame.number,
            at=frame.at,
            label=label,
            name=self.classes[label],
            certainty=min(1.0, probabilities[label]),
            probabilities=probabilities,
            digest=seen.digest,
        )

    def _namings(
        self, chosen: frozenset[str], found: Found, at: float, late: Sequence[Late]
    ) -> dict[str, tuple[str | None, float]]:
        """The class that each further model named, and of when, for the class signals of the policy."""
        named: dict[str, tuple[str | None, float]] = {}
        if not self._named:
            return named
        for names, scores, when in (
            (chosen, found.scores, at),
            *((r.names, r.found.scores, r.at) for r in late),
        ):
            for name, role in self._named.items():
                if name in names:
                    seen = scores.get(role)
                    named[name] = (
                        None if seen is None else self.classes[int(seen.probabilities.argmax())],
                        when,
                    )
        return named

    def _nothing(self, at: float) -> Observation:
        """What is seen where there is no picture: every signal without a value."""
        when = at if is_time(at) else math.nan
        self._steady.step(None, when)
        silent = tuple(Signal(name, None, when, source) for name, source in self.signal_names)
        return Observation(None, silent, dict.fromkeys(self._named, (None, when)))
