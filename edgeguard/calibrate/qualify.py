"""Measures the models beside the primary: what each costs in right answers, and how often it fails together with it.

Runs at a desk. Takes pictures with labels and built `Perception`s; writes nothing, decides nothing: the policy does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeguard.calibrate.quantile import at_least, at_most, loss_at_most
from edgeguard.calibrate.stress import stressed
from edgeguard.errors import UsageError
from edgeguard.policy.qualification import CLEAN, CONFIDENCE, STRESS, CommonMode, Loss, Qualified

if TYPE_CHECKING:
    from edgeguard.calibrate.source import ImageSet
    from edgeguard.inference.perception import Perception
    from edgeguard.types import Image

_PLAIN, _ACTS = "plain", "primary"
"""The looks of the primary alone, and of what acts: behind the filter where there is one."""

_OF_PRIMARY = (_ACTS, "squeezed")
"""The looks of a primary that has nothing beside it."""
_Labels = NDArray[np.int64]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Answers:
    """What every look answered on one series of pictures."""

    sets: tuple[str, ...]
    """Which set each picture is of."""
    truth: _Labels
    looks: Mapping[str, _Labels]
    """Class index by look; -1: no answer, which is a wrong one."""

    def wrong(self, look: str) -> _Mask:
        """Which pictures a look answers wrongly."""
        wrong: _Mask = self.looks[look] != self.truth
        return wrong

    def alone(self) -> _Mask:
        """Which pictures the primary answers wrongly without the filter."""
        return self.wrong(_PLAIN if _PLAIN in self.looks else _ACTS)

    def redundant(self) -> tuple[str, ...]:
        """The further models."""
        return tuple(look for look in self.looks if look not in (*_OF_PRIMARY, _PLAIN))


def qualify(
    primaries: Mapping[str, Perception],
    images: ImageSet,
    *,
    models: Mapping[str, str],
    first: int = 0,
    stress: bool = True,
    confidence: float = CONFIDENCE,
) -> Qualified:
    """Hold every model against every primary, on clean pictures and (`stress`) on corrupted ones.

    `primaries`: one `Perception` for each primary that may act, by role (`primary`, `primary.1`, ...), the other models
    the same. `models`: digests (hex) of all models that take part, by role. `first`: index of the first picture to use.

    Raises:
        UsageError: no labels, a label that the models do not know, no picture from `first` on, or one model alone.
        SourceError: a picture that cannot be read.
    """
    if images.labels is None:
        raise UsageError("a qualification needs pictures with labels, so that wrong answers can be counted")
    if first >= images.count:
        raise UsageError(f"{images.count} pictures are too few for a qualification: give more")
    if len(primaries) == 1 and all(look in _OF_PRIMARY for p in primaries.values() for look in p.looks):
        message = (
            "one model is nothing to qualify: name a filter, a redundant model or an alternate in the policy"
        )
        raise UsageError(message)
    clean = {role: _answers(p, images, first, stress=False) for role, p in primaries.items()}
    under = {role: _answers(p, images, first, stress=True) for role, p in primaries.items()} if stress else {}
    common = [
        row
        for role, answers in clean.items()
        for row in (
            *_common(role, answers, (CLEAN,), confidence),
            *(
                _common(role, under[role], (*dict.fromkeys(under[role].sets), STRESS), confidence)
                if stress
                else ()
            ),
        )
    ]
    return Qualified(confidence, models, tuple(_losses(clean, confidence)), tuple(common))


def _answers(perception: Perception, images: ImageSet, first: int, *, stress: bool) -> Answers:
    """Ask every look of every picture from `first` on."""
    number = {name: i for i, name in enumerate(perception.classes)}
    labels = (images.labels or ())[first:]
    unknown = sorted(set(labels) - set(number))
    if unknown:
        raise UsageError(f"`{unknown[0]}` is a label of the pictures and no class of the models")
    looks = {look: np.full(len(labels), -1, np.int64) for look in sorted(perception.looks)}
    sets = []
    for i, (kind, image) in enumerate(_series(images.images(), first, stress=stress)):
        sets.append(kind)
        for look, scores in perception.scores(image).items():
            looks[look][i] = int(scores.probabilities.argmax())
    return Answers(tuple(sets), np.array([number[label] for label in labels], np.int64), looks)


def _series(images: Iterable[Image], first: int, *, stress: bool) -> Iterator[tuple[str, Image]]:
    for i, image in enumerate(images):
        if i >= first:
            yield stressed(image, i - first) if stress else (CLEAN, image)


def _losses(clean: Mapping[str, Answers], confidence: float) -> Iterator[Loss]:
    """What filter, redundant models and alternates cost, each against the primary alone."""
    for role, answers in clean.items():
        alone = answers.alone()
        if _PLAIN in answers.looks:
            yield _loss("filter", role, alone, answers.wrong(_ACTS), confidence)
        for model in answers.redundant():
            yield _loss(model, role, alone, answers.wrong(model), confidence)
    (first, main), *others = clean.items()
    for role, answers in others:
        yield _loss(role, first, main.alone(), answers.alone(), confidence)


def _loss(model: str, primary: str, alone: _Mask, wrong: _Mask, confidence: float) -> Loss:
    lost, gained = int((wrong & ~alone).sum()), int((alone & ~wrong).sum())
    return Loss(
        model=model,
        primary=primary,
        pictures=wrong.size,
        right=int((~wrong).sum()),
        lost=lost,
        gained=gained,
        at_most=loss_at_most(lost, gained, wrong.size, confidence),
    )


def _common(role: str, answers: Answers, sets: Sequence[str], confidence: float) -> Iterator[CommonMode]:
    """A row for every redundant model and set."""
    of_set = np.array(answers.sets)
    for model in answers.redundant():
        for name in sets:
            rows = np.ones(of_set.size, np.bool_) if name == STRESS else of_set == name
            yield _beta(model, role, name, answers, rows, confidence)


def _beta(model: str, role: str, name: str, answers: Answers, rows: _Mask, confidence: float) -> CommonMode:
    wrong, failed = answers.wrong(model) & rows, answers.wrong(_ACTS) & rows
    acts = answers.looks[_ACTS]
    alike = (acts == answers.looks[model]) & (acts >= 0)
    failures, common, same = (int(mask.sum()) for mask in (failed, failed & wrong, failed & wrong & alike))
    return CommonMode(
        model=model,
        primary=role,
        of_set=name,
        pictures=int(rows.sum()),
        wrong=int(wrong.sum()),
        failures=failures,
        common=common,
        same=same,
        at_least=at_least(common, failures, confidence),
        at_most=at_most(common, failures, confidence),
        same_at_most=at_most(same, failures, confidence),
    )
