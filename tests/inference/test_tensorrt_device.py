"""Plans on a real device: they answer like onnxruntime on the CPU, and a replayed CUDA graph like an eager run.

Skipped, with the reason, where there is no device, no driver or no TensorRT; run them wherever there is one.
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import numpy as np
import pytest

from edgeguard.errors import ContractError
from edgeguard.inference.backends import open_backend
from edgeguard.inference.session import ModelContract, OutputContract
from edgeguard.inference.tensorrt.backend import TensorRtBackend
from edgeguard.inference.tensorrt.cuda import BINDINGS, Cuda
from edgeguard.inference.tensorrt.plan import build_plan
from tests.inference.networks import efficientnet_lite0

BOUND = 2e-3
"""Largest difference of a logit, relative to the largest: float32 summed in another order."""
SIDE = 224


@pytest.fixture(params=["tensorrt", "tensorrt-rtx"])
def backend(request: pytest.FixtureRequest) -> TensorRtBackend:
    try:
        return TensorRtBackend(request.param)
    except ContractError as error:
        pytest.skip(str(error))


@pytest.fixture
def network() -> tuple[ModelContract, bytes]:
    outputs = (OutputContract("logits", "logits", ("N", 1000)),)
    return ModelContract("lite0", "0" * 64, "image", ("N", 3, SIDE, SIDE), outputs), efficientnet_lite0(SIDE)


def planned(backend: TensorRtBackend, contract: ModelContract, model: bytes) -> tuple[ModelContract, bytes]:
    plan = build_plan(model, contract, backend.name)
    return dataclasses.replace(contract, engine=plan.engine), plan.data


def pictures(rows: int) -> Any:
    return np.random.default_rng(rows).random((rows, 3, SIDE, SIDE), np.float32)


def close_to(answer: Any, expected: Any) -> None:
    assert np.abs(answer - expected).max() <= BOUND * np.abs(expected).max()


def test_a_plan_answers_like_onnxruntime_on_the_cpu(
    backend: TensorRtBackend, network: tuple[ModelContract, bytes]
) -> None:
    session = backend.load_bytes(*planned(backend, *network))
    plain = open_backend("onnxruntime").load_bytes(*network)
    for rows in (1, 2, 3, 1):
        close_to(session.run(pictures(rows))["logits"], plain.run(pictures(rows))["logits"])
    session.close()


def test_a_replayed_graph_answers_like_an_eager_run(
    backend: TensorRtBackend, network: tuple[ModelContract, bytes]
) -> None:
    session: Any = backend.load_bytes(*planned(backend, *network))
    assert session.describe()["cuda graph"] == "on"
    replayed = [session.run(pictures(rows))["logits"] for rows in (1, 2, 3)]
    for lane in session._lanes.values():
        lane._graph = None
    for rows, answer in zip((1, 2, 3), replayed):
        np.testing.assert_allclose(session.run(pictures(rows))["logits"], answer, rtol=1e-5, atol=1e-5)
    session.close()


def test_a_plan_that_was_cut_short_or_altered_is_refused(
    backend: TensorRtBackend, network: tuple[ModelContract, bytes]
) -> None:
    contract, plan = planned(backend, *network)
    for damaged in (plan[: len(plan) // 2], b"\0" * 64 + plan[64:]):
        with pytest.raises(ContractError, match="rebuild"):
            backend.load_bytes(contract, damaged)


def test_memory_is_given_back(backend: TensorRtBackend, network: tuple[ModelContract, bytes]) -> None:
    runtime: Any = importlib.import_module(BINDINGS)
    built = planned(backend, *network)
    backend.load_bytes(*built).close()  # what the runtime itself keeps is there now
    free = runtime.cudaMemGetInfo()[1]
    for _ in range(5):
        backend.load_bytes(*built).close()
    assert runtime.cudaMemGetInfo()[1] >= free - 32 * 2**20


@pytest.mark.parametrize("name", ["onnxruntime-cuda", "onnxruntime-tensorrt"])
def test_a_provider_answers_like_the_cpu(name: str, network: tuple[ModelContract, bytes]) -> None:
    try:
        Cuda.load().probe()
        device = open_backend(name)
    except ContractError as error:
        pytest.skip(str(error))
    session = device.load_bytes(*network)
    plain = open_backend("onnxruntime").load_bytes(*network)
    for rows in (1, 2, 3):
        close_to(session.run(pictures(rows))["logits"], plain.run(pictures(rows))["logits"])
    assert "CPU" not in session.describe()["runs on"]
