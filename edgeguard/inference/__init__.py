"""Runs admitted models and turns a frame into signals of doubt. Opens no file: models come as admitted bytes.

The frame path never raises: what a model cannot answer has no value, and what has no value fails closed further on.
"""

from __future__ import annotations

import os
import sys

from edgeguard.inference.session import Backend, InferenceError, ModelContract, Session

if "onnxruntime" not in sys.modules:
    # Before anything can import it: its Linux wheel starts telemetry at import (see `onnx_backend`).
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__all__ = ["Backend", "InferenceError", "ModelContract", "Session"]
