"""Which operators, versions and counts a model may have. Walks every node: branches, loops and functions included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from edgeguard.admission.graph.operators import OPERATORS
from edgeguard.admission.graph.values import Attribute, Graph, Model, Node
from edgeguard.admission.reasons import refusal, shown

if TYPE_CHECKING:
    from edgeguard.terms import Limits

_KNOWN = frozenset(OPERATORS)
_RUNTIMES = ("ai.onnx", "com.microsoft", "com.ms", "trt.plugins")
"""Domains whose operators runtimes bring along: which one would run, theirs or the file's, is theirs to say."""
_LIMITS = "export a smaller one, or raise `admission.limits` in the policy if it is meant to be so"
_EXPORT = "export the model again without it"


def every_node(nodes: Iterable[Node]) -> Iterator[Node]:
    """These nodes, and those in the graphs that they hold."""
    pending = list(nodes)
    while pending:
        node = pending.pop()
        yield node
        pending += _held(node.attributes)


def _held(attributes: Mapping[str, Attribute]) -> Iterator[Node]:
    for attribute in attributes.values():
        values = attribute.value if isinstance(attribute.value, tuple) else (attribute.value,)
        for graph in values:
            if isinstance(graph, Graph):
                yield from graph.nodes


def all_nodes(model: Model) -> Iterator[Node]:
    """Every node of a file once, wherever it is."""
    yield from every_node(model.graph.nodes)
    for function in model.functions.values():
        yield from every_node((*function.nodes, *_held(function.defaults)))


def stored_and_computed(model: Model, nodes: Iterable[Node]) -> int:
    """How many tensors a file has."""
    return model.tensors + sum(len(node.outputs) for node in nodes)


def check_graph(model: Model, limits: Limits, path: str) -> None:
    """Hold a model to limits that do not need its shapes.

    Raises:
        AdmissionError: `too-large`, `opset-unsupported`, `operator-unknown`, `custom-operator`, `model-invalid`.
    """
    nodes = list(all_nodes(model))
    counts = {
        "nodes": (len(nodes), limits.nodes),
        "tensors": (stored_and_computed(model, nodes), limits.tensors),
    }
    for what, (count, most) in counts.items():
        if count > most:
            raise refusal(
                "too-large", path, f"the model has {count} {what}, at most {most} are allowed: {_LIMITS}"
            )
    _check_functions(model, path)
    _check_versions(model, nodes, limits, path)
    _check_operators(model, nodes, limits, path)


def _check_functions(model: Model, path: str) -> None:
    for function in model.functions.values():
        if not function.domain or any(
            function.domain == own or function.domain.startswith(f"{own}.") for own in _RUNTIMES
        ):
            raise refusal(
                "custom-operator",
                path,
                f"it redefines `{shown(function.label)}`, an operator that runtimes bring along: {_EXPORT}",
            )
        for domain, version in function.opsets.items():
            if model.opsets.get(domain, version) != version:
                raise refusal(
                    "opset-unsupported",
                    path,
                    f"the function `{shown(function.label)}` uses version {version} of `{shown(domain) or 'ai.onnx'}`, "
                    f"the model {model.opsets[domain]}: export the model again with one version",
                )


def _check_versions(model: Model, nodes: Iterable[Node], limits: Limits, path: str) -> None:
    low, high = limits.opset
    version = model.opsets.get("")
    if version is not None and not low <= version <= high:
        raise refusal(
            "opset-unsupported",
            path,
            f"it uses version {version} of the standard operators, allowed are {low} to {high}: "
            f"export the model again with `opset_version={min(max(version, low), high)}`",
        )
    for domain in sorted({node.domain for node in nodes} - set(model.opsets)):
        raise refusal(
            "opset-unsupported",
            path,
            f"it uses operators of `{shown(domain) or 'ai.onnx'}` and does not say which version: "
            "export the model again",
        )


def _check_operators(model: Model, nodes: Iterable[Node], limits: Limits, path: str) -> None:
    for node in nodes:
        if node.label in limits.operators or (not node.domain and node.operator in _KNOWN):
            continue
        allow = f"or put `{shown(node.label)}` into `admission.limits.operators` of the policy"
        if not node.domain:
            raise refusal(
                "operator-unknown",
                path,
                f"the memory that the operator `{shown(node.operator)}` needs cannot be worked out beforehand: "
                f"export the model with fixed shapes and without it, {allow}",
            )
        if (node.domain, node.operator, node.overload) not in model.functions:
            raise refusal(
                "custom-operator",
                path,
                f"`{shown(node.label)}` is no standard operator: export the model with standard ones, {allow}",
            )


def operators_of(nodes: Iterable[Node]) -> Mapping[str, int]:
    """How often each operator is used, by name."""
    return dict(sorted(Counter(node.label for node in nodes).items()))
