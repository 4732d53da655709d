"""Pictures and a camera that needs no hardware."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

Paint = Callable[[str, int], Path]


@pytest.fixture
def paint(tmp_path: Path) -> Paint:
    """Write a plain red picture of a given strength below the test's folder."""

    def painted(name: str, red: int) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.zeros((6, 8, 3), np.uint8)
        image[..., 0] = red
        Pillow.fromarray(image).save(path)
        return path

    return painted
