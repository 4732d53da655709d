"""Runs perception over clean pictures and takes one threshold a signal, so that all together refuse a stated share.

The share is split equally over the calibrated signals (Bonferroni): whatever their correlation, together they refuse at
most the whole of it. Frame health is not calibrated: its limits follow from the camera, not from a model's doubt.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from edgeguard.calibrate.quantile import at_most, frames_needed, lower, rank, upper
from edgeguard.calibrate.source import HELD_OUT
from edgeguard.errors import ContractError, UsageError
from edgeguard.types import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeguard.calibrate.source import ImageSet
    from edgeguard.inference.perception import Observation, Perception
    from edgeguard.policy.qualification import Qualified

CALIBRATED: Mapping[str, str] = MappingProxyType({
    "certainty": "below", "margin": "below", "energy": "above", "disagreement": "above", "reconstruction": "above",
    "squeezing": "above", "novelty": "above",
})  # fmt: skip
"""Measures of doubt that take a threshold from data, and the side of it that is refused."""

_FRAME_PERIOD = 0.05


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Thresholds, and what was measured while taking them."""

    policy: str
    models: Mapping[str, str]
    """Admitted digest (hex) by role."""
    frames: int
    """How many the thresholds were taken from."""
    abstain: float
    """The stated share: at most this many clean frames are refused, by all signals together."""
    thresholds: Mapping[str, float]
    refused: Mapping[str, float]
    """Measured share of the frames beyond each threshold, of those that were held out, too."""
    abstained: float
    """Measured share of the frames beyond any threshold."""
    accuracy: float | None
    """Share of right answers, where labels are known."""
    accepted_wrong: float | None
    """Share of frames that are accepted and answered wrongly, where labels are known."""
    risk: Mapping[str, float | int] | None = None
    """The certificate: `at_most`, `confidence`, `accepted`, `wrong`."""
    below: frozenset[str] = frozenset()
    """The signals that refuse below their threshold; the others do above it."""
    qualified: Qualified | None = None
    """What the models beside the primary were measured to be worth."""
    security_version: int = 0
    """A device refuses a lower one than it ran."""

    def to_json(self) -> bytes:
        """The calibration file, unsigned: canonical JSON (sorted keys, no spaces, a newline at the end)."""
        notes: dict[str, object] = {"abstained": self.abstained, "refused": dict(self.refused)}
        if self.accuracy is not None:
            notes |= {"accuracy": self.accuracy, "accepted_wrong": self.accepted_wrong}
        document: dict[str, object] = {
            "edgeguard_calibration": 1,
            "policy": self.policy,
            "models": dict(self.models),
            "frames": self.frames,
            "abstain": self.abstain,
            "thresholds": dict(self.thresholds),
            "notes": notes,
        }
        if self.security_version:
            document["security_version"] = self.security_version
        if self.risk is not None:
            document["risk"] = dict(self.risk)
        if self.qualified is not None:
            document["qualification"] = self.qualified.to_json()
        return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"

    def table(self) -> str:
        """For people: one line a signal, then the totals."""
        lines = [f"{'signal':<16}{'refuses when':<24}{'clean frames refused':>20}"]
        for name, threshold in self.thresholds.items():
            side = "below" if name in self.below else "above"
            lines.append(f"{name:<16}{f'{side} {threshold:.6g}':<24}{self.refused[name]:>20.2%}")
        lines.append(f"{'any of them':<40}{self.abstained:>20.2%}")
        lines.append(
            f"stated: at most {self.abstain:.2%} of clean frames; thresholds from {self.frames} of them"
        )
        if self.accuracy is not None:
            lines.append(f"right answers: {self.accuracy:.2%}; accepted and wrong: {self.accepted_wrong:.2%}")
        if self.risk is not None:
            lines.append(
                f"certified: an answer that acts is wrong at most {self.risk['at_most']:.3%} of the time, with "
                f"{self.risk['confidence']:.0%} confidence ({self.risk['wrong']} of {self.risk['accepted']} held out)"
            )
        return "\n".join(lines)


def calibrate(
    perception: Perception,
    images: ImageSet,
    *,
    policy: str,
    abstain: float,
    names: Mapping[str, str] | None = None,
    confidence: float | None = None,
    alternates: Sequence[Perception] = (),
    models: Mapping[str, str] | None = None,
) -> Calibrated:
    """Measure thresholds on clean pictures.

    `policy`: name of the policy they are for. `abstain`: share of clean frames that may be refused, in (0, 0.5].
    `names`: the signals to calibrate with what each measures, such as those the policy's `calibrated.NAME` asks for, so
    that no budget goes to others, and perhaps none; None: every signal of doubt that the models give. `confidence`:
    also bound how often an accepted answer is wrong, with this probability, on the last third of the pictures, which
    then take no part in the thresholds. `alternates`: the same with each other primary that may take the first one's
    turn: a threshold is the quantile over all of them. `models`: digests by role; None: those of `perception`.

    Raises:
        ContractError: a picture for which a model gives no answer.
        UsageError: a share out of range, too few pictures for it, a signal that these models do not give.
        SourceError: a picture that cannot be read.
    """
    chosen = _chosen(perception, names)
    if not 0.0 < abstain <= 0.5:
        raise UsageError(f"`{abstain}` is not a share of frames to refuse: give one above 0 and up to 0.5")
    if confidence is not None and images.labels is None:
        raise UsageError(
            "the policy states a `risk`: the pictures need labels, so that wrong answers can be counted"
        )
    count = images.count if confidence is None else held_out(images)
    share = _share(abstain, chosen, count)
    every = (perception, *alternates)
    seen = [_measure(p, images, tuple(chosen)) for p in every]
    thresholds = {
        name: (lower if side == "below" else upper)(
            [value for values, _ in seen for value in values[name][:count].tolist()], share, len(every)
        )
        for name, side in chosen.items()
    }
    beyond = {
        name: np.stack([v[name] < limit if chosen[name] == "below" else v[name] > limit for v, _ in seen])
        for name, limit in thresholds.items()
    }
    any_beyond = np.logical_or.reduce([np.zeros((len(every), images.count), np.bool_), *beyond.values()])
    accuracy = accepted_wrong = risk = None
    if images.labels is not None:
        wrong = np.array([[a != t for a, t in zip(answers, images.labels)] for _, answers in seen])
        accuracy = float(1.0 - wrong.mean(axis=1).max())
        accepted_wrong = float((wrong & ~any_beyond).mean(axis=1).max())
        if confidence is not None:
            risk = _certificate(wrong[:, count:], ~any_beyond[:, count:], confidence)
    return Calibrated(
        policy=policy,
        models=perception.digests if models is None else models,
        frames=count,
        abstain=abstain,
        thresholds=thresholds,
        refused={name: float(mask.mean()) for name, mask in beyond.items()},
        abstained=float(any_beyond.mean()),
        accuracy=accuracy,
        accepted_wrong=accepted_wrong,
        risk=risk,
        below=frozenset(name for name, side in chosen.items() if side == "below"),
    )


def held_out(images: ImageSet) -> int:
    """Index of the first picture of the last third."""
    return images.count - images.count // HELD_OUT


def _share(abstain: float, chosen: Mapping[str, str], count: int) -> float:
    """What each signal may refuse. Raises: UsageError: so little that `count` frames are too few for it."""
    share = abstain / max(len(chosen), 1)
    if chosen and rank(count, share) < 1:
        raise UsageError(
            f"{count} pictures are too few to refuse at most {abstain:g} of the frames with "
            f"{len(chosen)} signals: at least {frames_needed(share)} are needed, or a larger share"
        )
    return share


def _certificate(
    wrong: NDArray[np.bool_], accepted: NDArray[np.bool_], confidence: float
) -> dict[str, float | int]:
    """The worst of the primaries' (rows), of every frame that was held out. All of their bounds hold at once."""
    each = 1.0 - (1.0 - confidence) / len(wrong)
    found = [(int((w & a).sum()), int(a.sum())) for w, a in zip(wrong, accepted)]
    bound, errors, of = max((at_most(errors, of, each), errors, of) for errors, of in found)
    return {"at_most": bound, "confidence": confidence, "accepted": of, "wrong": errors}


def _chosen(perception: Perception, names: Mapping[str, str] | None) -> dict[str, str]:
    """For each signal to calibrate, in the order of `CALIBRATED`, the side of its threshold that is refused."""
    made = [name for name, _ in perception.signal_names]
    if names is None:
        return {name: side for name, side in CALIBRATED.items() if name in made}
    possible = {name: measure for name, measure in names.items() if name in made and measure in CALIBRATED}
    for name in names:
        if name not in possible:
            known = ", ".join(name for name in CALIBRATED if name in made)
            raise UsageError(f"`{name}` cannot be calibrated: with these models, use one of {known}")
    order = tuple(CALIBRATED)
    ranked = sorted(possible, key=lambda name: (order.index(possible[name]), name))
    return {name: CALIBRATED[possible[name]] for name in ranked}


def _measure(
    perception: Perception, images: ImageSet, chosen: Sequence[str]
) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """Every chosen signal of every picture, and the answers' class names."""
    values = {name: np.empty(images.count, np.float64) for name in chosen}
    answers = []
    for i, image in enumerate(images.images()):
        at = i * _FRAME_PERIOD
        observation = perception.observe(Frame(image, i, at), at)
        measured = {signal.name: signal.value for signal in observation.signals}
        for name in chosen:
            values[name][i] = _sound(measured[name], name, images.name(i))
        answers.append(_label(observation))
    return values, answers


def _sound(value: float | None, name: str, picture: str) -> float:
    if value is None or not math.isfinite(value):
        raise ContractError(
            f"{picture}: the models give no `{name}` for it: calibrate with pictures they can answer"
        )
    return value


def _label(observation: Observation) -> str:
    return "" if observation.answer is None else observation.answer.name
