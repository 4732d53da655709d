"""The tiny models of the inference room's tests."""

from __future__ import annotations

from tests.inference.conftest import tiny

__all__ = ["tiny"]
