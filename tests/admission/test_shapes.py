"""Shapes by the rules are those that a real runtime makes: of ONNX's own cases, of our models, of random graphs."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.admission.graph.call import MisfitError, OpenError
from edgeguard.admission.graph.operators import OPERATORS
from edgeguard.admission.graph.values import NAMES
from edgeguard.admission.protobuf import WireError
from tests.admission.graphs import Shapes, all_shown, ruled, run, worked_out
from tests.admission.random_graphs import SHAPE, Grower
from tests.inference.networks import efficientnet_lite0

ROOT = Path(__file__).parents[2]
OURS = sorted(map(str, ROOT.glob("models/signs/*/model.onnx")))
BUILT = sorted(map(str, ROOT.glob("out/build/*/*/model.onnx")))

OPEN_CASES = {
    "einsum_batch_diagonal": "dots",
    "einsum_inner_prod": "no arrow",
    "if_seq": "a sequence",
    "if_opt": "an optional value",
    "range_float16_type_positive_delta": "half precision is not worked out",
    "affine_grid_2d_expanded": "branches of different shapes",
    "affine_grid_2d_align_corners_expanded": "branches of different shapes",
    "affine_grid_3d_expanded": "more parts than go into the side",
    "affine_grid_3d_align_corners_expanded": "more parts than go into the side",
}
"""Of ONNX's own cases with known operators only: what the rules refuse, and why. Besides: attention, see below."""


def _catalogue() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case import node

        return list(node.collect_testcases(None))


def _is_plain(value: Any) -> bool:
    return hasattr(value, "shape") and value.dtype.kind in "fiub"


def test_every_case_of_onnx_itself_has_the_shapes_and_values_of_the_rules() -> None:
    """ONNX's reference data for every operator: types, shapes, and values where the rules know them."""
    checked, refused, seen = 0, set(), set()
    for case in _catalogue():
        operators = {node.op_type for node in case.model.graph.node}
        if not operators <= set(OPERATORS):
            continue
        for inputs, outputs in case.data_sets:
            if not all(map(_is_plain, inputs)):
                continue
            names = [value.name for value in case.model.graph.input]
            try:
                made = worked_out(case.model.SerializeToString(), dict(zip(names, inputs)), secret=False)
            except (OpenError, MisfitError, WireError):
                refused.add(case.name.removeprefix("test_"))
                continue
            for (_, value), output in zip(made, outputs):
                if not _is_plain(output):
                    continue
                assert (NAMES[value.dtype], value.dims) == (str(output.dtype), output.shape), case.name
                if value.known is not None:
                    assert np.array_equal(np.reshape(value.known, value.dims), output), case.name
                checked += 1
            seen |= operators
    assert {name for name in refused if "attention" not in name} == set(OPEN_CASES)
    assert checked > 1200
    assert set(OPERATORS) - seen == {"GlobalLpPool"}


def _pictures(data: bytes, rows: int) -> dict[str, Any]:
    """A random feed for a model of pictures."""
    graph = onnx.load_from_string(data).graph
    (edge,) = [v for v in graph.input if v.name not in {t.name for t in graph.initializer}]
    sizes = [dim.dim_value or rows for dim in edge.type.tensor_type.shape.dim]
    return {edge.name: np.random.default_rng(0).random(sizes, np.float32)}


@pytest.mark.parametrize(
    ("path", "rows"),
    [*((path, rows) for path in OURS for rows in (1, 3)), *((path, 1) for path in BUILT)],
    ids=lambda value: (
        str(Path(value).parent.relative_to(ROOT)) if isinstance(value, str) else f"{value} rows"
    ),
)
def test_every_value_of_our_models_has_the_shape_of_the_rules(path: str, rows: int) -> None:
    data = all_shown(Path(path).read_bytes())
    feeds = _pictures(data, rows)
    assert ruled(data, feeds) == run(data, feeds)


@pytest.mark.parametrize("rows", [1, 3])
def test_every_value_of_a_large_network_has_the_shape_of_the_rules(rows: int) -> None:
    data = all_shown(efficientnet_lite0(64))
    feeds = _pictures(data, rows)
    assert ruled(data, feeds) == run(data, feeds)


@pytest.mark.parametrize("path", OURS, ids=lambda p: Path(p).parent.name)
def test_our_models_have_the_shapes_that_onnx_infers(path: str) -> None:
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    data = all_shown(model.SerializeToString())
    made = ruled(data, _pictures(data, 1))
    for value in inferred.graph.value_info:
        dims = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        assert made[value.name][1] == dims, value.name


@settings(max_examples=int(os.environ.get("EDGEGUARD_GRAPHS", "60")), deadline=None)
@given(data=st.data())
def test_random_graphs_have_the_shapes_that_onnxruntime_makes(data: st.DataObject) -> None:
    """Where the runtime runs a graph, the rules know every shape; but for empty tensors, where runtimes differ."""
    grower = Grower(data.draw)
    feeds = {"x": np.ones(SHAPE, np.float32)}
    kept: list[Any] = []
    for _ in range(data.draw(st.integers(1, 10))):
        before, ranks = len(grower.nodes), dict(grower.ranks)
        grower.grow()
        tried = [*kept, *grower.nodes[before:]]
        try:
            made = run(grower.model(tried), feeds)
        except Exception:  # whatever the runtime raises: the rules need not say anything
            made = {}
        sizes = [int(np.prod(dims)) for _, dims in made.values()]
        if not made or 0 in sizes or sum(sizes) > 10**6:
            grower.ranks = ranks
            continue
        kept = tried
        _check_same(grower.model(kept), feeds, made)


def _check_same(model: bytes, feeds: dict[str, Any], made: Shapes) -> None:
    try:
        by_rule = ruled(model, feeds)
    except MisfitError as error:
        if "does not fit a side" not in str(
            error
        ):  # a window that is too large, taken by an accident of rounding
            raise
        return
    assert {name: (by_rule[name], made[name]) for name in made if by_rule[name] != made[name]} == {}
