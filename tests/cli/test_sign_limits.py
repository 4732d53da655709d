"""sign --policy: a graph that only the policy's limits allow can be signed for that policy, and for no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import pytest

Call = Callable[..., Any]


@pytest.fixture
def odd(project: Any) -> Any:
    """A project whose model has an operator of another domain, in a place where nothing depends on it."""
    model = onnx.load(project.bundle / "model.onnx")
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    first = model.graph.input[0].name
    model.graph.node.append(onnx.helper.make_node("Odd", [first], ["odd"], domain="com.example"))
    model.graph.value_info.append(onnx.helper.make_tensor_value_info("odd", onnx.TensorProto.FLOAT, [1]))
    onnx.save(model, project.bundle / "model.onnx")
    return project


def test_a_graph_that_the_policy_allows_is_signed_for_it(call: Call, odd: Any) -> None:
    said = call("sign", odd.bundle, "--key", odd.key)
    assert said.code == 4
    assert "custom-operator" in said.err
    assert call("sign", odd.bundle, "--key", odd.key, "--policy", odd.policy).code == 4
    odd.change_policy(
        "require: {security_version: 1}",
        'require: {security_version: 1}\n  limits: {operators: ["com.example::Odd"]}',
    )
    assert call("sign", odd.bundle, "--key", odd.key, "--policy", odd.policy).code == 0
    held = ("verify", odd.bundle, "--trust", odd.pub)
    assert call(*held).code == 4
    assert call(*held, "--policy", odd.policy).code == 0
