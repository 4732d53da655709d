"""Whether a loaded graph has the names, types and shapes that its manifest declares. One check for every runtime.

Pure: it compares descriptions, it opens and runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from edgeguard.errors import ContractError
from edgeguard.inference.session import ModelContract, Shape

MOST_ROWS = 3
"""Largest batch of the frame path: the filtered, the plain and the squeezed picture."""


class Edge(NamedTuple):
    """A graph's input or output as its runtime describes it. `shape`: what is not a number is left open."""

    name: str
    dtype: str
    """`float32`, or what the runtime calls it."""
    shape: Sequence[int | str | None]


def check_edges(contract: ModelContract, inputs: Sequence[Edge], outputs: Sequence[Edge]) -> None:
    """Hold a graph to its declaration.

    Raises:
        ContractError: names the bundle and every difference.
    """
    have = {edge.name: edge for edge in inputs}
    differences: list[str] = []
    extra = sorted(set(have) - {contract.input_name})
    if extra:
        differences.append(f"the graph also wants the input `{'`, `'.join(extra)}`")
    differences += _differences("input", contract.input_name, contract.input_shape, have)
    have = {edge.name: edge for edge in outputs}
    for output in contract.outputs:
        differences += _differences("output", output.name, output.shape, have)
    if differences:
        raise ContractError(
            f"bundle `{contract.bundle}`: the graph is not what `edgeguard.json` declares: {'; '.join(differences)}. "
            "correct the manifest or export the model again, then sign the bundle"
        )


def _differences(kind: str, name: str, shape: Shape, edges: Mapping[str, Edge]) -> list[str]:
    """In words, how the graph's tensor differs from its declaration."""
    edge = edges.get(name)
    if edge is None:
        have = f"`{'`, `'.join(edges)}`" if edges else "none"
        return [f"it has no {kind} `{name}` (it has {have})"]
    found = []
    if edge.dtype != "float32":
        found.append(f"{kind} `{name}` is {edge.dtype}, not float32")
    # What the graph leaves open, the warm-up run checks.
    fits = len(edge.shape) == len(shape) and all(
        not isinstance(size, int) or size == declared for size, declared in zip(edge.shape, shape)
    )
    batch_open = not edge.shape or not isinstance(edge.shape[0], int) or not isinstance(shape[0], str)
    if not (fits and batch_open):
        found.append(f"{kind} `{name}` has the shape {list(edge.shape)}, declared is {list(shape)}")
    return found
