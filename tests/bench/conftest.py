"""A profile of tiny models for the benches, and the tiny models themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.profiles import Profile
from tests.inference.conftest import tiny

__all__ = ["profile", "tiny"]

SOFT = 50.0
"""A temperature at which random networks do not contradict one another."""


@pytest.fixture
def profile(tiny: Any) -> Profile:
    models = {
        "primary": tiny.classifier(novelty=True, temperature=SOFT),
        "redundant": tiny.classifier(seed=1, role="redundant", temperature=SOFT),
        "filter": tiny.filter(),
    }
    frames = tuple(tiny.frame(i) for i in range(4))
    return Profile("tiny", models, frames, labels=np.zeros(4, np.int64), held_out=frames)
