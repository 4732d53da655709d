"""What is measured: the demo's models as they were admitted, cheaper ones made from them, and frames with labels.

Nothing is trained and nothing is signed here. What cannot be had is missing, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeguard.admission import AdmittedModel, admit_bundle, trust_keys
from edgeguard.errors import EdgeguardError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeguard.types import Image

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"primary": "primary", "redundant": "redundant", "filter": "denoise"}
NAMES = ("signs", "photos")
LEAST = 0.7
"""Least share of a photograph's side that a crop shows: what it shows must still be in it."""


class SkippedError(EdgeguardError):
    """Something cannot be measured here; says what is missing."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Models by role, frames to show them, and what else belongs to one demo."""

    name: str
    models: Mapping[str, AdmittedModel]
    frames: tuple[Image, ...]
    int8: Mapping[str, AdmittedModel] = field(default_factory=dict)
    """Roles of which there is a quantised model."""
    fused: Mapping[str, AdmittedModel] = field(default_factory=dict)
    """`fp32` and `int8`: one graph for everything."""
    labels: NDArray[np.int64] | None = None
    """Of `held_out`: the class, or the place in `wholes` where there are such."""
    held_out: tuple[Image, ...] = ()
    """Pictures that no model was made with: accuracy is measured on them."""
    wholes: tuple[Image, ...] = ()
    """Photographs that `held_out` was cut from: nobody labelled them, so their class is what fp32 sees in them."""
    missing: tuple[str, ...] = ()
    """What is left out, and why."""

    def with_int8(self, *roles: str) -> dict[str, AdmittedModel]:
        """The models with some of them quantised, as far as there are such."""
        return {
            role: self.int8[role] if role in roles and role in self.int8 else model
            for role, model in self.models.items()
        }


def load(name: str, *, held_out: int = 0) -> Profile:
    """The demo's models and frames of a profile; `held_out`: how many pictures to measure accuracy on.

    Raises:
        SkippedError: its models were not exported here.
        AdmissionError: they are not signed with `keys/demo.key`.
    """
    folder = ROOT / "models" / name
    missing = [where for where in FOLDERS.values() if not (folder / where / "model.onnx").is_file()]
    if missing:
        raise SkippedError(
            f"profile `{name}` is skipped: {folder / missing[0]} is not exported; `make models` makes it"
        )
    signers = trust_keys([ROOT / "keys" / "demo.pub"])
    models = {role: admit_bundle(folder / where, signers) for role, where in FOLDERS.items()}
    if name == "signs":
        images, labels = _signs(held_out)
        return Profile(name, models, _sign_frames(), labels=labels, held_out=images)
    images, labels = _crops(folder, held_out)
    wholes = tuple(_photographs(folder))
    return Profile(name, models, _photos(folder), labels=labels, held_out=images, wholes=wholes)


def _sign_frames(count: int = 240) -> tuple[Image, ...]:
    from models.signs.calibration import render

    return tuple(render(count)[0])


def _signs(count: int) -> tuple[tuple[Image, ...], NDArray[np.int64] | None]:
    if not count:
        return (), None
    from models.signs.calibration import render

    images, labels, _ = render(count, seed=501, split="test")
    return tuple(images), np.asarray(labels, np.int64)


def _photos(folder: Path) -> tuple[Image, ...]:
    """The photographs at 448 x 448 pixels, four times each with a little noise: a frame never is the last one."""
    noise = np.random.default_rng(7)
    return tuple(_grained(picture, noise) for picture in _photographs(folder) for _ in range(4))


def _photographs(folder: Path) -> list[Image]:
    from edgeguard.calibrate import open_images

    return [np.asarray(picture) for picture in open_images(folder / "images", ()).images()]


def _grained(picture: Image, noise: np.random.Generator) -> Image:
    grained = np.clip(picture.astype(np.int16) + noise.integers(-2, 3, picture.shape), 0, 255)
    return np.asarray(grained, np.uint8)


def _crops(folder: Path, count: int) -> tuple[tuple[Image, ...], NDArray[np.int64]]:
    """Square cuts of the four photographs, at least `LEAST` of their side, half of them mirrored, lit and noisy.

    Each is labelled with the number of its photograph.
    """
    rng = np.random.default_rng(501)
    sources, images, labels = _photographs(folder), [], []
    for i in range(count):
        source = sources[i % len(sources)]
        side = int(rng.integers(int(LEAST * len(source)), len(source) + 1))
        top, left = (int(rng.integers(0, edge - side + 1)) for edge in source.shape[:2])
        cut = source[top : top + side, left : left + side, :][:, :: int(rng.choice((1, -1)))]
        lit = np.clip(cut * rng.uniform(0.7, 1.2), 0, 255).astype(np.uint8)
        images.append(_grained(lit, rng))
        labels.append(i % len(sources))
    return tuple(images), np.array(labels, np.int64)
