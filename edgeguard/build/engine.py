"""A plan of an admitted ONNX model for TensorRT, and whether it can be measured here. Runs no plan itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeguard.errors import ContractError
from edgeguard.inference.backends import open_backend
from edgeguard.inference.session import ModelContract
from edgeguard.inference.tensorrt.plan import build_plan

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
    from edgeguard.inference.tensorrt.plan import Plan


def plan(model: AdmittedModel, kind: str) -> Plan:
    """A plan of `model` for the backend `kind`: `tensorrt`, or `tensorrt-rtx`, which needs no device to build.

    Raises:
        ContractError: it is a plan already; or the backend cannot be had here, or does not take the graph.
    """
    if model.manifest.engine is not None:
        raise ContractError(
            f"bundle `{model.manifest.name}` is a plan already: build from the ONNX bundle that it names as its parent"
        )
    return build_plan(model.model, ModelContract.of(model), kind)


def why_not_measured(kind: str) -> str:
    """Why plans for `kind` cannot be run here; empty: they can."""
    try:
        open_backend(kind)
    except ContractError as error:
        return str(error)
    return ""
