"""Pictures from files and from strangers, as the one form that the guard takes: uint8 RGB, (height, width, 3)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeguard.errors import SourceError

if TYPE_CHECKING:
    from edgeguard.types import Image

IMAGES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm"})


def find_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder; those of its subfolders (such as one a class) when it has none itself."""
    for pattern in ("*", "*/*"):
        found = sorted(p for p in folder.glob(pattern) if p.suffix.lower() in IMAGES and p.is_file())
        if found:
            return found
    return []


def read_image(path: Path) -> Image:
    """Read one picture as uint8 RGB, (height, width, 3). Raises: SourceError."""
    try:
        from PIL import Image as Pillow  # noqa: PLC0415 - an extra, and not on the frame path of a camera
    except ImportError:
        message = "reading pictures needs pillow: pip install 'edgeguard-runtime[images]'"
        raise SourceError(message) from None
    try:
        with Pillow.open(path) as picture:
            return np.asarray(picture.convert("RGB"), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError) as error:
        message = f"cannot read the picture `{path}`: it is damaged or of an unknown format"
        raise SourceError(message) from error


def rgb_of(picture: object, *, blue_first: bool = True) -> Image:
    """A driver's picture as uint8 RGB in memory of its own: grey, three colours, or three and a fourth that is dropped.

    Raises: SourceError when it is anything else.
    """
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.size == 0:
        raise SourceError("the picture is not of 8 bits a colour: choose another pixel format of the camera")
    if picture.ndim == 2:
        picture = picture[:, :, None]
    if picture.ndim != 3 or picture.shape[2] not in (1, 3, 4):
        raise SourceError(
            "the picture is neither grey nor red-green-blue: choose another format of the camera"
        )
    if picture.shape[2] == 1:
        return np.repeat(picture, 3, axis=2)
    rgb = picture[:, :, 2::-1] if blue_first else picture[:, :, :3]
    return np.array(rgb, dtype=np.uint8, order="C")
