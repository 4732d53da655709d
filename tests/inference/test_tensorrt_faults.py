"""Every call to CUDA and TensorRT fails in turn: never a wrong answer, never another exception, nothing left behind."""

from __future__ import annotations

import dataclasses
import os
import sys
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.admission.manifest import Engine
from edgeguard.errors import ContractError
from edgeguard.inference.backends import open_backend
from edgeguard.inference.session import InferenceError, ModelContract, Session
from edgeguard.inference.tensorrt.backend import here
from tests.inference.strict_cuda import Cuda, Machine
from tests.inference.strict_tensorrt import MAGIC, VERSION, Settings, module

ROWS = (1, 2, 3, 1)
ON_A_FRAME = ("cudaGraphLaunch", "cudaStreamSynchronize")
"""The calls that a frame makes."""


class Trial:
    """Load, run some frames and close on one machine, as far as it goes."""

    def __init__(self, contract: ModelContract, model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        self.contract = contract
        self.model = model
        self.monkeypatch = monkeypatch
        random = np.random.default_rng(7)
        self.frames = [random.random(contract.input_of(rows), np.float32) for rows in ROWS]
        self.plain = open_backend("onnxruntime").load_bytes(contract, model)
        self.expected = [self.plain.run(frame) for frame in self.frames]

    def open(self, kind: str, machine: Machine, plans: Settings) -> Session:
        """A session on `machine`.

        Raises:
            ContractError: it could not be had.
        """
        self.monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", Cuda(machine))
        name = kind.replace("-", "_")
        self.monkeypatch.setitem(sys.modules, name, module(machine, plans, rtx=kind == "tensorrt-rtx"))
        engine = Engine(kind, VERSION, "any", here())
        contract = dataclasses.replace(self.contract, engine=engine)
        return open_backend(kind).load_bytes(contract, MAGIC + self.model)

    def __call__(self, kind: str, machine: Machine, plans: Settings) -> tuple[int, int]:
        """(frames answered, frames refused)."""
        answered = 0
        with suppress(ContractError):
            session = self.open(kind, machine, plans)
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
    plans = Settings()
    plans.raises = manner == "raises"
    whole = Machine(integrated=integrated)
    assert trial(kind, whole, plans) == (len(ROWS), 0)
    total, graphless = len(whole.calls), 0
    for number in range(total):
        machine = Machine(integrated=integrated, fail_at=number, sticky=manner == "breaks for good")
        answered, refused = trial(kind, machine, plans)
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


@settings(max_examples=int(os.environ.get("EDGEGUARD_TENSORRT_EXAMPLES", "150")))
@given(
    integrated=st.booleans(),
    frames=st.lists(st.tuples(st.integers(0, 4), st.sampled_from((*ON_A_FRAME, ""))), max_size=8),
    close_after=st.integers(0, 9),
)
def test_any_run_of_frames_and_failures_gives_right_answers_or_none(
    tiny: Any, integrated: bool, frames: list[tuple[int, str]], close_after: int
) -> None:
    """Batches of any size, any call of a frame failing, and a close in the middle."""
    model = tiny.classifier()
    machine = Machine(integrated=integrated)
    with pytest.MonkeyPatch.context() as patch:
        trial = Trial(ModelContract.of(model), model.model, patch)
        session = trial.open("tensorrt", machine, Settings())
        for number, (rows, refused) in enumerate(frames):
            if number == close_after:
                session.close()
            machine.refuse = {refused}
            frame = np.random.default_rng(number).random((rows, 3, 8, 8), np.float32)
            answer = None
            with suppress(InferenceError):
                answer = session.run(frame)
            machine.refuse = set()
            assert answer is None or (1 <= rows <= 3 and number < close_after and not refused)
            if answer is not None:
                np.testing.assert_allclose(answer["logits"], trial.plain.run(frame)["logits"], rtol=1e-6)
        session.close()
        del session
    assert machine.violations == []
    assert machine.leaks() == []


def test_the_fake_counts_what_is_left_behind(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    cuda = Cuda(machine)
    cuda.cudaHostAlloc(16, 0)
    cuda.cudaMalloc(16)
    cuda.cudaStreamCreateWithFlags(1)
    assert machine.leaks() == ["pinned memory", "device memory", "stream"]
