"""Runs ONNX models for tests: every value of a graph by its name, from a real runtime and from the rules."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper

from edgeguard.admission.graph.call import Value
from edgeguard.admission.graph.contract import free_inputs
from edgeguard.admission.graph.parse import parse_model
from edgeguard.admission.graph.sizing import Budget, Sizer
from edgeguard.admission.graph.values import NAMES

Shapes = dict[str, tuple[str, tuple[int, ...]]]


def all_shown(data: bytes) -> bytes:
    """The same model with every value of the main graph as an output."""
    model = onnx.load_from_string(data)
    named = {value.name for value in model.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in named:
                model.graph.output.append(helper.make_empty_tensor_value_info(name))
                named.add(name)
    return bytes(model.SerializeToString())


def run(data: bytes, feeds: Mapping[str, Any]) -> Shapes:
    """Type and shape of every output, as onnxruntime makes it, without any optimisation."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return {name: (str(a.dtype), a.shape) for name, a in zip(names, session.run(names, dict(feeds)))}


def ruled(data: bytes, feeds: Mapping[str, Any], *, secret: bool = True) -> Shapes:
    """The same by the rules, from the shapes of the feeds alone."""
    return {name: (NAMES[value.dtype], value.dims) for name, value in worked_out(data, feeds, secret=secret)}


def worked_out(data: bytes, feeds: Mapping[str, Any], *, secret: bool = True) -> list[tuple[str, Value]]:
    """Every output by the rules. `secret`: the values of the feeds are not known."""
    model = parse_model(data)
    given = {}
    for edge in free_inputs(model):
        feed = np.asarray(feeds[edge.name])
        value = Value(helper.np_dtype_to_tensor_dtype(feed.dtype), feed.shape)
        given[edge.name] = value if secret else value.with_known(tuple(feed.reshape(-1).tolist()))
    sized = Sizer(model, Budget(1 << 62, 100_000), 1).size(given)
    return list(zip((output.name for output in model.graph.outputs), sized.outputs))
