"""The operators of a fused graph are the frame path's own arithmetic, and what is not sane stays so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import helper

from edgeguard.build import operators
from edgeguard.build.graph import Weaver
from edgeguard.filter.squeeze import squeeze
from edgeguard.inference.onnx_backend import import_onnxruntime
from edgeguard.inference.preprocess import Normaliser
from edgeguard.signals import doubt
from tests.build.small import Kind

Array = np.ndarray[Any, Any]
Build = Callable[[Weaver, str], str]


def run(build: Build, value: Array, opset: int = 17) -> Array:
    """What one function of `operators` computes of `value`."""
    empty = helper.make_model(
        helper.make_graph([], "e", [], []), opset_imports=[helper.make_opsetid("", opset)], ir_version=8
    )
    weaver = Weaver([empty.SerializeToString()])
    tensor = weaver.op("Identity", build(weaver, "given"))
    open_shape: Any = [f"side{axis}" for axis in range(value.ndim)]
    data = weaver.model("one", ("given", value.shape), {"out": (tensor, open_shape)})
    session = import_onnxruntime().InferenceSession(data, providers=["CPUExecutionProvider"])
    found: Array = session.run(["out"], {"given": value})[0]
    return found


def likely(rows: Array, temperature: float, *, logits: bool = True) -> Array:
    """The frame path's probabilities, which must be there."""
    found = doubt.probabilities(rows, temperature, logits=logits)
    assert found is not None
    return found


PICTURES = hnp.arrays(
    np.float32,
    st.tuples(st.just(1), st.just(3), st.integers(1, 7), st.integers(1, 7)),
    elements=st.integers(0, 255).map(lambda v: float(np.float32(v / 255))) | st.floats(0, 1, width=32),
)
ROWS = hnp.arrays(np.float32, (3, 5), elements=st.floats(-40, 40, width=32))


@settings(max_examples=40)
@given(PICTURES)
def test_squeezing_in_the_graph_is_the_frame_paths_to_the_last_bit(picture: Array) -> None:
    size = (picture.shape[2], picture.shape[3])
    found = run(lambda w, x: operators.squeeze(w, x, size), picture)
    assert np.array_equal(found, squeeze(picture))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("color", ["RGB", "BGR"])
@pytest.mark.parametrize("normalised", [True, False])
def test_a_models_input_in_the_graph_is_the_normalisers(layout: str, color: str, normalised: bool) -> None:
    spec = Kind(layout=layout, color=color, normalised=normalised).spec
    picture = np.random.default_rng(1).random((1, 3, 6, 8), np.float32)
    wanted = np.zeros(tuple(int(s) for s in (1, *spec.shape[1:])), np.float32)
    Normaliser(spec, "m")(picture[0], wanted[0])
    found = run(lambda w, x: operators.normalise(w, x, spec), picture)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("opset", [13, 17, 18])
@pytest.mark.parametrize("temperature", [1.0, 0.35, 4.0])
@given(rows=ROWS)
@settings(max_examples=10)
def test_probabilities_are_those_of_the_frame_path(rows: Array, temperature: float, opset: int) -> None:
    found = run(lambda w, x: operators.softmax(w, x, [temperature] * 3)[1], rows, opset)
    np.testing.assert_allclose(found, likely(rows, temperature), atol=2e-6)


@given(rows=ROWS, temperature=st.sampled_from([1.0, 0.5, 3.0]))
@settings(max_examples=10)
def test_declared_probabilities_take_the_same_temperature(rows: Array, temperature: float) -> None:
    declared = likely(rows, 1.0)

    def build(weaver: Weaver, x: str) -> str:
        logs = operators.log_scores(weaver, x, logits=False)
        return operators.softmax(weaver, logs, [temperature] * 3)[1]

    wanted = likely(declared, temperature, logits=False)
    np.testing.assert_allclose(run(build, declared), wanted, atol=2e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2e6, -2e6])
def test_a_row_with_a_score_that_is_not_sane_is_no_answer(bad: float) -> None:
    rows = np.zeros((3, 5), np.float32)
    rows[1, 2] = bad
    found = run(lambda w, x: operators.softmax(w, x, [1.0] * 3)[1], rows)
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[[0, 2]]).all()


@pytest.mark.parametrize("bad", [[0.5, 0.7, 0, 0, 0], [-0.2, 1.2, 0, 0, 0], [np.nan, 1, 0, 0, 0]])
def test_what_is_declared_as_probabilities_and_is_none_is_no_answer(bad: list[float]) -> None:
    rows = np.full((3, 5), 0.2, np.float32)
    rows[0] = bad

    def build(weaver: Weaver, x: str) -> str:
        return operators.softmax(weaver, operators.log_scores(weaver, x, logits=False), [1.0] * 3)[1]

    found = run(build, rows)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1:]).all()


@given(rows=ROWS, temperature=st.sampled_from([1.0, 0.5, 3.0]))
@settings(max_examples=10)
def test_energy_certainty_margin_and_distances_are_those_of_the_frame_path(
    rows: Array, temperature: float
) -> None:
    def energy(weaver: Weaver, x: str) -> str:
        return operators.energy(weaver, operators.softmax(weaver, x, [temperature] * 3)[0], temperature)

    np.testing.assert_allclose(
        run(energy, rows)[:, 0], doubt.energies(rows, temperature), rtol=1e-5, atol=1e-5
    )
    sure = likely(rows, temperature)
    certainty = run(lambda w, x: operators.certainty_and_margin(w, operators.row(w, x, 0))[0], sure)
    margin = run(lambda w, x: operators.certainty_and_margin(w, operators.row(w, x, 0))[1], sure)
    assert certainty[0, 0] == min(1.0, sure[0].max())
    assert margin[0, 0] == pytest.approx(doubt.margin(sure[0]), abs=1e-6)
    pairs = [(0, 1), (2, 0)]

    def both(weaver: Weaver, x: str) -> str:
        return weaver.op("Concat", *operators.total_variations(weaver, x, 3, pairs), axis=0)

    for far, (left, right) in zip(run(both, sure)[:, 0], pairs):
        assert far == pytest.approx(doubt.total_variation(sure[left], sure[right]), abs=1e-6)
        assert far <= 1.0
