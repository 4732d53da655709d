"""Which backend a policy's name means. A name that cannot be had is refused: nothing falls back to another backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeguard.errors import EdgeguardError, UsageError
from edgeguard.inference.onnx_backend import PROVIDERS, OnnxBackend

if TYPE_CHECKING:
    from edgeguard.admission.manifest import Engine
    from edgeguard.inference.session import Backend

PLANS = ("tensorrt", "tensorrt-rtx")
"""Backends that run plans; the others run ONNX."""

NAMES = ("auto", *PROVIDERS, *PLANS)
"""Names a policy may use."""


def open_backend(name: str, *, cpu_fallback: bool = False, engine: Engine | None = None) -> Backend:
    """The backend called `name`.

    `auto` is the one that the model's `engine` was built for, and onnxruntime on the CPU where it is no plan.
    `cpu_fallback`: an onnxruntime provider may leave nodes to the CPU.

    Raises:
        ContractError: it is not available here.
        UsageError: an unknown name.
    """
    if name not in NAMES:
        raise UsageError(f"unknown backend `{name}`; use one of {', '.join(NAMES)}")
    if name == "auto":
        name = "onnxruntime" if engine is None else engine.kind
    if name in PLANS:
        from edgeguard.inference.tensorrt.backend import TensorRtBackend  # noqa: PLC0415 - only who has a GPU needs it

        return TensorRtBackend(name)
    return OnnxBackend(name, cpu_fallback=cpu_fallback)


def available() -> dict[str, str]:
    """By name, what each backend is here, or why it cannot be had. Imports them all: for a desk, not for a guard."""
    found = {}
    for name in (*PROVIDERS, *PLANS):
        try:
            facts = open_backend(name).describe()
        except EdgeguardError as error:
            found[name] = f"no: {error}"
        else:
            found[name] = ", ".join(f"{key} {value}" for key, value in facts.items() if key != "backend")
    return found
