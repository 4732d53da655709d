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
    cells = image.astype(np.float32)
    for axis, count in ((0, height), (1, width)):
        edges = np.arange(count + 1) * image.shape[axis] // count
        covered = np.maximum(np.diff(edges), 1)
        sums = np.add.reduceat(cells, edges[:-1], axis=axis)  # equal edges give the one pixel there
        cells = sums / (covered[:, None, None] if axis == 0 else covered[None, :, None])
    return cells.astype(np.uint8)
