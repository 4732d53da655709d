"""What is refused before the first frame, and what is no frame: models, looks and pictures that do not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgeguard.errors import ContractError
from edgeguard.inference.looks import PRIMARY
from edgeguard.inference.runner import FILTER

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
    from edgeguard.program import SignalSpec

_LATEST = 1 << 62
"""No time lies beyond it (s): much larger whole numbers cannot be made floats."""


def named_models(specs: Sequence[SignalSpec]) -> dict[str, str]:
    """The class signals of further models: name -> role. The primary's are the answer's own."""
    return {
        spec.name: spec.of[0] for spec in specs if spec.kind == "class" and spec.of and spec.of[0] != PRIMARY
    }


def check_looks(needed: Mapping[str, frozenset[str]], looks: frozenset[str]) -> None:
    """Refuse signals that no member answers.

    Raises:
        ContractError: names the signal and what is missing.
    """
    for name, views in needed.items():
        lacking = sorted(views - looks)
        if lacking:
            what = f"the signal `{name}` needs" if name else "there is no primary model: every guard needs"
            raise ContractError(
                f"{what} the look `{lacking[0]}`, which nobody answers: name its model in the policy"
            )


def check_fit(models: Mapping[str, AdmittedModel]) -> None:
    """Hold admitted models against one another.

    Raises:
        ContractError: no primary, or a classifier with other classes than the primary's.
    """
    if PRIMARY not in models:
        raise ContractError("there is no primary model: the policy's `models` must name one")
    primary = models[PRIMARY].manifest
    for role, model in models.items():
        if role != FILTER and model.manifest.classes != primary.classes:
            raise ContractError(
                f"bundle `{model.manifest.name}` has other classes, or another order, than the primary "
                f"`{primary.name}`: both must list the same `classes`"
            )


def is_time(at: object) -> bool:
    """Whether it is a number at all; NaN and infinity are: they fail where ages are compared."""
    return isinstance(at, float) or (isinstance(at, int) and abs(at) < _LATEST)


def is_picture(image: object) -> bool:
    """Whether it is uint8, (height, width, 3) with at least one pixel."""
    return (
        isinstance(image, np.ndarray)
        and image.dtype == np.uint8
        and image.ndim == 3
        and image.shape[2] == 3
        and image.size > 0
    )
