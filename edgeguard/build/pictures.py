"""Pictures for building: which of a set a model is fitted to, and which it is then judged on.

Every third picture is held out. The split depends on the order of the set alone, so that a build can be repeated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from edgeguard.errors import UsageError
from edgeguard.inference.preprocess import Normaliser, Resizer, geometry

if TYPE_CHECKING:
    from edgeguard.admission import InputSpec, Manifest
    from edgeguard.calibrate import ImageSet
    from edgeguard.inference.session import Tensor
    from edgeguard.types import Image

HELD_OUT = 3
"""One picture in so many takes no part in the fitting."""
FEWEST = 30
"""Pictures below which no share is worth stating."""
MOST_FITTED = 200
"""Pictures that ranges are taken from: more change them little and cost memory."""


def fitted(images: ImageSet) -> Iterator[Image]:
    """At most `MOST_FITTED` pictures, evenly spread over those that are not held out."""
    count = images.count - images.count // HELD_OUT
    chosen = set(np.linspace(0, count - 1, min(count, MOST_FITTED)).astype(int).tolist())
    rest = (image for i, image in enumerate(images.images()) if not _is_held_out(i))
    return (image for i, image in enumerate(rest) if i in chosen)


def held_out(images: ImageSet) -> Iterator[tuple[Image, str, str]]:
    """(picture, label or empty, what to call it in a message) of every picture that is held out."""
    return (labelled for i, labelled in enumerate(everything(images)) if _is_held_out(i))


def everything(images: ImageSet) -> Iterator[tuple[Image, str, str]]:
    """As `held_out`, of every picture: where nothing is fitted, nothing need be kept back."""
    for i, image in enumerate(images.images()):
        yield image, "" if images.labels is None else images.labels[i], images.name(i)


def least_for(share: float) -> int:
    """How many pictures it takes before one of them makes less than what a share leaves over."""
    return max(FEWEST, math.ceil(1.0 / (1.0 - share)) if share < 1.0 else FEWEST)


def need(images: ImageSet, least: int) -> None:
    """Refuse a set that holds out fewer than `least` pictures.

    Raises:
        UsageError: with how many are needed.
    """
    if images.count // HELD_OUT < least:
        raise UsageError(
            f"{images.count} pictures are too few: every third is held out to measure with, and the bound that was "
            f"asked for can only be told from {least} of them: give at least {least * HELD_OUT}"
        )


class Tensors:
    """A model's input tensors, of pictures, by the very code of the frame path."""

    def __init__(self, manifest: Manifest) -> None:
        """Take the manifest of an admitted model."""
        spec: InputSpec = manifest.input
        height, width = geometry(spec, manifest.name)
        self._resize = Resizer(height, width, spec.resize)
        self._normalise = Normaliser(spec, manifest.name)
        self._canonical = np.zeros((3, height, width), np.float32)
        self._shape = tuple(int(size) for size in spec.shape[1:])

    def __call__(self, image: Image) -> Tensor:
        """One picture (uint8, (h, w, 3)) as a new batch of one."""
        self._resize(image, self._canonical)
        batch = np.zeros((1, *self._shape), np.float32)
        self._normalise(self._canonical, batch[0])
        return batch


def _is_held_out(index: int) -> bool:
    return index % HELD_OUT == HELD_OUT - 1
