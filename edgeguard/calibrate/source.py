"""Pictures to calibrate with: a folder of PNG and JPEG files, or one .npz file. Reads, and changes nothing.

Pictures of a folder are read one by one; what cannot be read is refused by name, never skipped.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeguard.errors import SourceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeguard.types import Image

SUFFIXES = (".png", ".jpg", ".jpeg")

HELD_OUT = 3
"""The last of so many parts of a set takes no part in thresholds: what is bounded is counted on it."""


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Pictures, uint8 RGB (height, width, 3), and where it is known the name of the class each one shows."""

    count: int
    images: Callable[[], Iterator[Image]]
    labels: tuple[str, ...] | None
    name: Callable[[int], str]
    """What to call the picture of an index in a message."""


def open_images(path: str | Path, classes: tuple[str, ...]) -> ImageSet:
    """The pictures at `path`: a folder, searched recursively, or an .npz file.

    A folder gives labels when each picture lies in a top folder named like one of the model's `classes`. Its pictures
    come in the order of their names; with labels, the last third of each class comes after all others. The .npz file
    holds `images`, uint8 (N, height, width, 3), and optionally `labels` (whole numbers) with `classes` (their names;
    without them, the model's).

    Raises:
        SourceError: nothing there, or not such a file.
    """
    where = Path(path)
    if where.is_dir():
        return _folder(where, classes)
    if where.is_file():
        return _archive(where, classes)
    raise SourceError(f"{where}: no such folder or file: give a folder of pictures or an .npz file")


def _folder(root: Path, classes: tuple[str, ...]) -> ImageSet:
    files = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise SourceError(f"{root}: holds no pictures ({', '.join(SUFFIXES)})")
    tops = [file.relative_to(root).parts[0] for file in files]
    if not all(top in classes for top in tops):
        return ImageSet(len(files), lambda: map(_read, files), None, lambda i: str(files[i]))
    order = _every_class_last(tops)
    files, labels = [files[i] for i in order], tuple(tops[i] for i in order)
    return ImageSet(len(files), lambda: map(_read, files), labels, lambda i: str(files[i]))


def _every_class_last(tops: Sequence[str]) -> list[int]:
    """Indices, the last part of each class at the end: in the order of names it would be the last classes alone."""
    sizes, seen = Counter(tops), Counter[str]()
    early: list[int] = []
    late: list[int] = []
    for i, top in enumerate(tops):
        (early if seen[top] < sizes[top] - sizes[top] // HELD_OUT else late).append(i)
        seen[top] += 1
    return early + late


def _read(file: Path) -> Image:
    try:
        from PIL import Image as Pillow  # noqa: PLC0415  # an extra: only folders of pictures need it
    except ImportError:
        raise SourceError(
            "reading pictures needs Pillow: install `edgeguard-runtime[images]`, or give an .npz file"
        ) from None
    try:
        with Pillow.open(file) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError) as error:
        raise SourceError(f"{file}: cannot be read as a picture: {error}") from error


def _archive(file: Path, classes: tuple[str, ...]) -> ImageSet:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays: dict[str, NDArray[np.generic]] = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise SourceError(f"{file}: cannot be read as an .npz file: {error}") from error
    images = arrays.get("images")
    if (
        images is None
        or images.dtype != np.uint8
        or images.ndim != 4
        or images.shape[3] != 3
        or images.size == 0
    ):
        raise SourceError(f"{file}: needs an array `images` of uint8 with the shape (N, height, width, 3)")
    names = tuple(str(name) for name in arrays["classes"]) if "classes" in arrays else classes
    labels = None
    if "labels" in arrays:
        labels = _labels(arrays["labels"], len(images), names, file)
    return ImageSet(
        len(images),
        lambda: iter(images.astype(np.uint8, copy=False)),
        labels,
        lambda i: f"{file}: picture {i}",
    )


def _labels(numbers: NDArray[np.generic], count: int, names: tuple[str, ...], file: Path) -> tuple[str, ...]:
    """The class name of each picture."""
    whole = np.issubdtype(numbers.dtype, np.integer) and numbers.shape == (count,)
    indices = [int(i) for i in numbers] if whole else []
    if not indices or min(indices) < 0 or max(indices) >= len(names):
        raise SourceError(
            f"{file}: `labels` must hold a whole number from 0 to {len(names) - 1} for each picture"
        )
    return tuple(names[i] for i in indices)
