"""Runs perception over clean pictures and takes one threshold a signal, so that all together refuse a stated share.

The share is split equally over the calibrated signals (Bonferroni): whatever their correlation, together they refuse at
most the whole of it. Frame health is not calibrated: its limits follow from the camera, not from a model's doubt.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeguard.calibrate.quantile import frames_needed, lower, rank, upper, wrong_at_most
from edgeguard.errors import ContractError, UsageError
from edgeguard.types import Frame

if TYPE_CHECKING:
    from edgeguard.calibrate.source import ImageSet
    from edgeguard.inference.perception import Observation, Perception

CALIBRATED = ("certainty", "disagreement", "reconstruction", "squeezing", "novelty")
"""Signals of doubt that take a threshold from data. Larger is worse, except `certainty`."""

HELD_OUT = 3
"""Where a certificate is asked for, the last third of the frames takes no part in the thresholds."""

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
        if self.risk is not None:
            document["risk"] = dict(self.risk)
        return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"

    def table(self) -> str:
        """For people: one line a signal, then the totals."""
        lines = [f"{'signal':<16}{'refuses when':<24}{'clean frames refused':>20}"]
        for name, threshold in self.thresholds.items():
            side = "below" if name == "certainty" else "above"
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
    names: Sequence[str] | None = None,
    confidence: float | None = None,
) -> Calibrated:
    """Measure thresholds on clean pictures.

    `policy`: name of the policy they are for. `abstain`: share of clean frames that may be refused, in (0, 0.5].
    `names`: the signals to calibrate, such as those the policy's `calibrated.NAME` asks for, so that no budget goes to
    others; None: every signal of doubt that the models give. `confidence`: also bound how often an accepted answer is
    wrong, with this probability, on the last third of the pictures, which then take no part in the thresholds.

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
    share = abstain / len(chosen)
    count = images.count if confidence is None else images.count - images.count // HELD_OUT
    if rank(count, share) < 1:
        raise UsageError(
            f"{count} pictures are too few to refuse at most {abstain:g} of the frames with "
            f"{len(chosen)} signals: at least {frames_needed(share)} are needed, or a larger share"
        )
    values, answers = _measure(perception, images, chosen)
    thresholds = {
        name: (lower if name == "certainty" else upper)(values[name][:count].tolist(), share)
        for name in chosen
    }
    beyond = {
        name: values[name] < limit if name == "certainty" else values[name] > limit
        for name, limit in thresholds.items()
    }
    any_beyond = np.logical_or.reduce(list(beyond.values()))
    accuracy = accepted_wrong = risk = None
    if images.labels is not None:
        wrong = np.array([answer != label for answer, label in zip(answers, images.labels)])
        accuracy = float(1.0 - wrong.mean())
        accepted_wrong = float((wrong & ~any_beyond).mean())
        if confidence is not None:
            risk = _certificate(wrong[count:][~any_beyond[count:]], confidence)
    return Calibrated(
        policy=policy,
        models=perception.digests,
        frames=count,
        abstain=abstain,
        thresholds=thresholds,
        refused={name: float(mask.mean()) for name, mask in beyond.items()},
        abstained=float(any_beyond.mean()),
        accuracy=accuracy,
        accepted_wrong=accepted_wrong,
        risk=risk,
    )


def _certificate(
    wrong: np.ndarray[tuple[int], np.dtype[np.bool_]], confidence: float
) -> dict[str, float | int]:
    """`wrong`: of every accepted frame that was held out, whether its answer was."""
    errors = int(wrong.sum())
    bound = wrong_at_most(errors, wrong.size, confidence)
    return {"at_most": bound, "confidence": confidence, "accepted": wrong.size, "wrong": errors}


def _chosen(perception: Perception, names: Sequence[str] | None) -> tuple[str, ...]:
    """The signals to calibrate, in the order of `CALIBRATED`."""
    made = {name for name, _ in perception.signal_names}
    possible = tuple(name for name in CALIBRATED if name in made)
    if names is None:
        return possible
    for name in names:
        if name not in possible:
            raise UsageError(
                f"`{name}` cannot be calibrated: with these models, use one of {', '.join(possible)}"
            )
    if not names:
        raise UsageError("there is no signal to calibrate: the policy uses no `calibrated.NAME`")
    return tuple(name for name in possible if name in names)


def _measure(
    perception: Perception, images: ImageSet, chosen: Sequence[str]
) -> tuple[dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]], list[str]]:
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
