"""A camera frame as coloured half blocks, two pixels a character cell, for terminals that have the colours.

Pure: an image in, a text out. The picture is for orientation only; nothing may be measured on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.color import Color
from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeguard.types import Image

HALF_BLOCK = "▀"


def thumbnail(image: Image, width: int = 32) -> Text:
    """Draw `image` (uint8, (h, w, 3), RGB) `width` characters wide, its proportions kept. An odd image: empty text."""
    if image.ndim != 3 or image.shape[2] != 3 or not image.size or width < 1:
        return Text()
    height = max(2, round(width * image.shape[0] / image.shape[1] / 2) * 2)
    small = shrink(image, height, width)
    text = Text(no_wrap=True)
    for row in range(0, height, 2):
        for top, bottom in zip(small[row].tolist(), small[row + 1].tolist()):
            style = Style(color=Color.from_rgb(*top), bgcolor=Color.from_rgb(*bottom))
            text.append(HALF_BLOCK, style)
        text.append("\n")
    text.rstrip()
    return text


def shrink(image: Image, height: int, width: int) -> NDArray[np.uint8]:
    """Resize to (height, width, 3): the mean of the pixels each cell covers, at least one."""
    rows = np.arange(height + 1) * image.shape[0] // height
    columns = np.arange(width + 1) * image.shape[1] // width
    out = np.empty((height, width, 3), np.uint8)
    for y in range(height):
        band = image[rows[y] : max(rows[y + 1], rows[y] + 1)].astype(np.float32).mean(axis=0)
        for x in range(width):
            out[y, x] = band[columns[x] : max(columns[x + 1], columns[x] + 1)].mean(axis=0)
    return out
