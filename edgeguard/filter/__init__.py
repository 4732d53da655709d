"""Input transformations that undo or expose an attack, where they are not an ONNX model of their own.

Works on canonical pictures only (float32, [0, 1]); opens no file and imports nothing of the house.
"""

from __future__ import annotations

from edgeguard.filter.squeeze import LEVELS, Squeezer, squeeze

__all__ = ["LEVELS", "Squeezer", "squeeze"]
