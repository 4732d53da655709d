"""What models said, checked: raw outputs become scores once everything in them is a sane number.

Runs in the host, whoever ran the model: a worker is believed nothing. Pure but for the models' declarations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgeguard.errors import ContractError
from edgeguard.inference.looks import FUSED, PRIMARY, Reply, Scores
from edgeguard.inference.session import SIGNALS, ModelContract
from edgeguard.signals.doubt import energies, margin, probabilities

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
    from edgeguard.inference.session import Outputs, Tensor

COLDEST = 0.01
"""Smallest temperature that a manifest may ask for: below it, float32 overflows."""

_BEYOND = 1e9
"""No signal of a fused graph lies beyond it."""

_ROUNDED = 1e-2
"""How far what a fused graph says of its answer may lie from the answer: room for float16 and int8 graphs."""


class Raw(NamedTuple):
    """What one model gave: a row of each output for each of its looks that was answered."""

    looks: tuple[str, ...]
    outputs: Outputs


class Scorer:
    """Checks and scores the answers of one classifier, or of a fused graph."""

    def __init__(self, model: AdmittedModel) -> None:
        """Take what an admitted model declares.

        Raises:
            ContractError: it has no score for each class, fewer than two, or a temperature that cannot be used.
        """
        manifest = model.manifest
        self.contract = ModelContract.of(model)
        self.classes: tuple[str, ...] = tuple(manifest.classes)
        meanings = {o.meaning: o for o in self.contract.outputs}
        self._meaning = "logits" if "logits" in meanings else "probabilities"
        score = meanings.get(self._meaning)
        if score is None or score.shape[1:] != (len(self.classes),) or len(self.classes) < 2:
            raise ContractError(
                f"bundle `{manifest.name}`: a {manifest.role} model needs an output of meaning `logits` or "
                f"`probabilities` with one score for each of its {len(self.classes)} classes, and two classes at least"
            )
        if not manifest.temperature >= COLDEST:
            raise ContractError(f"bundle `{manifest.name}`: `temperature` must be at least {COLDEST}")
        self.novelty = "novelty" in meanings
        self.signals = tuple(name for name in SIGNALS if name in meanings)
        """The signals that a fused graph gives by itself."""
        for name in (*self.signals, *(("novelty",) if self.novelty else ())):
            if meanings[name].shape[1:] not in ((), (1,)):
                raise ContractError(f"bundle `{manifest.name}`: `{name}` must be one number a picture")
        # A fused graph has its temperature inside.
        self._temperature = 1.0 if manifest.role == FUSED else manifest.temperature

    def scores(self, outputs: Outputs, *, energy: bool) -> list[Scores] | None:
        """One row of scores for each row of `outputs`; None: something in them is no usable answer.

        `energy`: whether it is wanted; NaN otherwise, and where the model gives no logits.
        """
        raw = outputs[self._meaning]
        logits = self._meaning == "logits"
        rows = probabilities(raw, self._temperature, logits=logits)
        if rows is None:
            return None
        free = energies(raw, self._temperature) if energy and logits else [math.nan] * len(rows)
        novelty: list[float | None] = [None] * len(rows)
        if self.novelty:
            values = outputs["novelty"].reshape(len(rows)).tolist()
            if not all(map(math.isfinite, values)):
                return None
            novelty = values
        digest = self.contract.digest
        return [Scores(row, e, n, digest) for row, e, n in zip(rows, free, novelty)]

    def doubts(self, outputs: Outputs, answer: Tensor) -> dict[str, float] | None:
        """The signals of a fused graph for one picture; None: one is no sane number, or belied by the `answer`.

        `answer`: (classes,), its probabilities.
        """
        values = {name: float(outputs[name].reshape(())) for name in self.signals}
        own = {"certainty": float(answer.max()), "margin": margin(answer)}
        fitting = all(abs(values[name] - own[name]) <= _ROUNDED for name in own if name in values)
        sane = all(
            abs(value) <= _BEYOND for value in values.values()
        )  # false for NaN, as the comparison above
        return values if fitting and sane else None


class Scoring:
    """Turns what all models of one member gave into its reply."""

    def __init__(self, models: Mapping[str, AdmittedModel]) -> None:
        """`models`: the classifiers, or the fused graph, by role.

        Raises:
            ContractError: as `Scorer`.
        """
        self.scorers: Mapping[str, Scorer] = {role: Scorer(model) for role, model in models.items()}
        self.energy = False
        """Whether energies are wanted: they cost a little."""

    def reply(self, number: int, raws: Mapping[str, Raw]) -> Reply:
        """The reply about frame `number` from raw outputs by role; what is not sane is missing."""
        found: dict[str, Scores] = {}
        signals: dict[str, float] = {}
        for role, raw in raws.items():
            scorer = self.scorers[role]
            scores = scorer.scores(raw.outputs, energy=self.energy)
            if scores is None:
                continue
            if role == FUSED:
                doubts = scorer.doubts(raw.outputs, scores[0].probabilities)
                if doubts is not None:
                    found[PRIMARY], signals = scores[0], doubts
                continue
            found.update(zip(raw.looks, scores))
        return Reply(number, found, signals)


def stacked(parts: list[Outputs]) -> Outputs:
    """Rows of several runs in one."""
    return {meaning: np.concatenate([p[meaning] for p in parts]) for meaning in parts[0]}
