"""The packages that only building needs, imported when they are used: extra `build`."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, TypeAlias

from edgeguard.errors import UsageError
from edgeguard.inference.onnx_backend import import_onnxruntime

Proto: TypeAlias = Any
"""A message of ONNX, or the tools that work on it: they carry no types."""


def onnx() -> ModuleType:
    """The `onnx` package with the submodules that are used here.

    Raises:
        UsageError: it is not installed.
    """
    try:
        for name in ("compose", "inliner", "version_converter"):
            importlib.import_module(f"onnx.{name}")
        return importlib.import_module("onnx")
    except ImportError:
        raise UsageError(
            "building models needs the `onnx` package: install `edgeguard-runtime[build]`"
        ) from None


def quantization() -> ModuleType:
    """The quantisation tools of onnxruntime, with its telemetry off.

    Raises:
        UsageError: `onnx` is not installed, which they need.
        ContractError: onnxruntime is not.
    """
    onnx()
    import_onnxruntime()
    importlib.import_module("onnxruntime.quantization.shape_inference")
    return importlib.import_module("onnxruntime.quantization")
