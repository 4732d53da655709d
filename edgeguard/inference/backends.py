"""Which backend a policy's name means. A name that cannot be had is refused: nothing falls back to another backend."""

from __future__ import annotations

from edgeguard.errors import ContractError, UsageError
from edgeguard.inference.onnx_backend import PROVIDERS, OnnxBackend

NAMES = ("auto", *PROVIDERS)
"""Names a policy may use."""

_AUTO = "onnxruntime"


def open_backend(name: str) -> OnnxBackend:
    """The backend called `name`; `auto` is onnxruntime on the CPU.

    Raises:
        ContractError: a known backend that is not available here.
        UsageError: an unknown name.
    """
    if name == "tensorrt":
        raise ContractError(
            "backend `tensorrt` is not available in this version of edgeguard: let the policy say "
            "`backend: onnxruntime` (or `auto`)"
        )
    if name not in NAMES:
        raise UsageError(f"unknown backend `{name}`; use one of {', '.join(NAMES)}")
    return OnnxBackend(_AUTO if name == "auto" else name)
