"""Every call to CUDA and TensorRT fails in turn: never a wrong answer, never another exception, nothing left behind."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from edgeguard.admission.manifest import Engine
from edgeguard.errors import ContractError
from edgeguard.inference.backends import open_backend
from edgeguard.inference.session import InferenceError, ModelContract
from edgeguard.inference.tensorrt.backend import here
from tests.inference.strict_cuda import Cuda, Machine
from tests.inference.strict_tensorrt import MAGIC, VERSION, Settings, module

ROWS = (1, 2, 3, 1)


class Trial:
    """Load, run some frames and close on one machine, as far as it goes."""

    def __init__(self, contract: ModelContract, model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        engine = Engine("tensorrt", VERSION, "any", here())
        self.contract = dataclasses.replace(contract, engine=engine)
        self.model = model
        self.monkeypatch = monkeypatch
        random = np.random.default_rng(7)
        self.frames = [random.random(contract.input_of(rows), np.float32) for rows in ROWS]
        plain = open_backend("onnxruntime").load_bytes(contract, model)
        self.expected = [plain.run(frame) for frame in self.frames]

    def __call__(self, kind: str, machine: Machine, settings: Settings) -> tuple[int, int]:
        """(frames answered, frames refused)."""
        self.monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", Cuda(machine))
        name = kind.replace("-", "_")
        self.monkeypatch.setitem(sys.modules, name, module(machine, settings, rtx=kind == "tensorrt-rtx"))
        contract = dataclasses.replace(
            self.contract,
            engine=dataclasses.replace(self.contract.engine, kind=kind),  # type: ignore[type-var]  # set above
        )
        answered = 0
        with suppress(ContractError):
            session = open_backend(kind).load_bytes(contract, MAGIC + self.model)
            for frame, expected in zip(self.frames, self.expected):
                with suppress(InferenceError):
                    for meaning, values in session.run(frame).items():
                        np.testing.assert_allclose(values, expected[meaning], rtol=1e-6)
                    answered += 1
            session.close()
            session.close()
            return answered, len(ROWS) - answered
        return 0, 0


@pytest.mark.parametrize("kind", ["tensorrt", "tensorrt-rtx"])
@pytest.mark.parametrize("integrated", [False, True], ids=["discrete", "integrated"])
@pytest.mark.parametrize("manner", ["refuses", "raises", "breaks for good"])
def test_any_call_may_fail(
    tiny: Any, monkeypatch: pytest.MonkeyPatch, kind: str, integrated: bool, manner: str
) -> None:
    model = tiny.classifier(novelty=True)
    trial = Trial(ModelContract.of(model), model.model, monkeypatch)
    settings = Settings()
    settings.raises = manner == "raises"
    whole = Machine(integrated=integrated)
    assert trial(kind, whole, settings) == (len(ROWS), 0)
    total, graphless = len(whole.calls), 0
    for number in range(total):
        machine = Machine(integrated=integrated, fail_at=number, sticky=manner == "breaks for good")
        answered, refused = trial(kind, machine, settings)
        where = f"call {number}, `{whole.calls[number]}`"
        assert machine.violations == [], where
        assert machine.leaks() == [], where
        # What failed once answers again; only a wait that failed leaves the session dead.
        assert (
            manner == "breaks for good"
            or not answered
            or refused <= 1
            or machine.calls[number] == "cudaStreamSynchronize"
        )
        graphless += answered == len(ROWS)
    # Some failures cost nothing but a graph, or come only when everything is given back.
    assert 0 < graphless < total


def test_the_fake_counts_what_is_left_behind(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    cuda = Cuda(machine)
    cuda.cudaHostAlloc(16, 0)
    cuda.cudaMalloc(16)
    cuda.cudaStreamCreateWithFlags(1)
    assert machine.leaks() == ["pinned memory", "device memory", "stream"]
