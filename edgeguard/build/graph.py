"""Weaves ONNX graphs into one: operators, constants, and whole models under a prefix. Knows no role and no signal.

A name is given once and never changed; what no output depends on is left out at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgeguard.build import needs
from edgeguard.build.needs import Proto
from edgeguard.errors import ContractError, first_line

OLDEST_OPSET = 13
"""From here on softmax is by axis, and so are the operators used here."""
_AXES_ARE_INPUTS = 18
"""Opset from which reductions take their axes as an input; sums do from the oldest on."""


class Weaver:
    """One graph in the making. `model` ends it."""

    def __init__(self, models: Sequence[bytes]) -> None:
        """`models`: ONNX, all that will be embedded: the newest opset among them is that of the whole.

        Raises:
            UsageError: the `onnx` package is missing.
        """
        self._onnx: Proto = needs.onnx()
        loaded = [self._onnx.load_from_string(model) for model in models]
        self._opsets: dict[str, int] = {"": max([OLDEST_OPSET, *map(_opset, loaded)])}
        self._ir = max([8, *(model.ir_version for model in loaded)])
        self._nodes: list[Proto] = []
        self._weights: dict[str, Proto] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._count = 0

    def constant(self, value: object, dtype: str = "float32") -> str:
        """The name of a constant; equal ones are one."""
        array = np.asarray(value, dtype)
        key = (dtype, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant.{len(self._constants)}"
            self._constants[key] = name
            self._weights[name] = self._onnx.numpy_helper.from_array(array, name)
        return self._constants[key]

    def op(self, kind: str, *inputs: str, **attributes: object) -> str:
        """Add an operator with one output; returns the output's name."""
        return self.op_of(kind, inputs, 1, **attributes)[0]

    def op_of(self, kind: str, inputs: Sequence[str], outputs: int, **attributes: object) -> list[str]:
        """Add an operator with several outputs."""
        self._count += 1
        names = [f"{kind.lower()}.{self._count}" + (f".{i}" if i else "") for i in range(outputs)]
        self._nodes.append(
            self._onnx.helper.make_node(kind, list(inputs), names, name=names[0], **attributes)
        )
        return names

    def reduce(self, kind: str, tensor: str, *, keep: bool) -> str:
        """Reduce (rows, columns) over the columns, to (rows, 1) where `keep`, else to (rows,)."""
        if kind == "ReduceSum" or self._opsets[""] >= _AXES_ARE_INPUTS:
            return self.op(kind, tensor, self.constant([1], "int64"), keepdims=int(keep))
        return self.op(kind, tensor, axes=[1], keepdims=int(keep))

    def split(self, tensor: str, axis: int, count: int) -> list[str]:
        """Cut a tensor along an axis of `count` into its single lines."""
        if count == 1:
            return [tensor]
        return self.op_of("Split", [tensor, self.constant([1] * count, "int64")], count, axis=axis)

    def embed(self, data: bytes, what: str, instance: str, feed: str, wanted: Sequence[str]) -> list[str]:
        """Add a whole model whose one input is the tensor `feed`; returns its outputs `wanted` by their new names.

        `what`: prefix of its weights, which every instance of it shares; `instance`: prefix of this one's values.

        Raises:
            ContractError: the model uses something that cannot be woven into another graph.
        """
        model = self._prepared(data, what)
        graph = model.graph
        names = {"": ""}
        for weight in graph.initializer:
            names[weight.name] = f"{what}/{weight.name}"
            if names[weight.name] not in self._weights:
                copy = self._onnx.TensorProto()
                copy.CopyFrom(weight)
                copy.name = names[weight.name]
                self._weights[copy.name] = copy
        inputs = [value.name for value in graph.input if value.name not in names]
        if len(inputs) != 1:
            raise ContractError(
                f"the {what} model wants {len(inputs)} inputs: only models of one can be fused"
            )
        names[inputs[0]] = feed
        self._nodes += [_renamed(node, names, instance) for node in graph.node]
        return [names[name] for name in wanted]

    def model(
        self, name: str, feed: tuple[str, Sequence[int]], outputs: Mapping[str, tuple[str, Sequence[int]]]
    ) -> bytes:
        """The ONNX model. `feed`: name and shape of its input. `outputs`: by new name, a tensor and its shape.

        Raises:
            ContractError: what came out is not valid ONNX.
        """
        helper, kind = self._onnx.helper, self._onnx.TensorProto.FLOAT
        self._call({tensor: new for new, (tensor, _) in outputs.items()})
        nodes, used = _needed(self._nodes, set(outputs))
        graph = helper.make_graph(
            nodes,
            name,
            [helper.make_tensor_value_info(feed[0], kind, list(feed[1]))],
            [helper.make_tensor_value_info(new, kind, list(shape)) for new, (_, shape) in outputs.items()],
            [weight for key, weight in self._weights.items() if key in used],
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in sorted(self._opsets.items())]
        made = helper.make_model(
            graph, opset_imports=opsets, ir_version=self._ir, producer_name="edgeguard build"
        )
        try:
            self._onnx.checker.check_model(made)
        except self._onnx.checker.ValidationError as error:
            raise ContractError(f"the fused graph is not valid ONNX: {str(error).splitlines()[0]}") from error
        return bytes(made.SerializeToString(deterministic=True))

    def _call(self, names: Mapping[str, str]) -> None:
        """Give values new names."""
        for node in self._nodes:
            for values in (node.input, node.output):
                for i, value in enumerate(values):
                    values[i] = names.get(value, value)

    def _prepared(self, data: bytes, what: str) -> Proto:
        """A model without functions of its own, at the opset of the whole."""
        model = self._onnx.load_from_string(data)
        if len(model.graph.sparse_initializer):
            raise ContractError(
                f"the {what} model has sparse weights, which cannot be fused: export it with dense ones"
            )
        try:
            if len(model.functions):
                model = self._onnx.inliner.inline_local_functions(model)
            if _opset(model) < self._opsets[""]:
                model = self._onnx.version_converter.convert_version(model, self._opsets[""])
        except Exception as error:  # the tools raise kinds of their own
            raise ContractError(
                f"the {what} model cannot be brought to ONNX opset {self._opsets['']} "
                f"({first_line(error)}): export all models with the same opset"
            ) from error
        for opset in model.opset_import:
            domain = "" if opset.domain == "ai.onnx" else opset.domain
            if self._opsets.setdefault(domain, opset.version) != opset.version:
                raise ContractError(
                    f"the {what} model uses `{domain}` operators of version {opset.version}, another one "
                    f"{self._opsets[domain]}: export all models with the same versions"
                )
        return model


def _opset(model: Proto) -> int:
    return next((int(o.version) for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)


def _renamed(node: Proto, names: dict[str, str], prefix: str) -> Proto:
    """A copy of a node under the names of the whole graph. Adds the names of its outputs."""
    copy = type(node)()
    copy.CopyFrom(node)
    copy.name = f"{prefix}/{node.name or node.op_type + str(len(names))}"
    for i, name in enumerate(node.input):
        copy.input[i] = names[name]
    for attribute in copy.attribute:
        for graph in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
            _rename_inside(graph, dict(names), prefix)
    for i, name in enumerate(node.output):
        if name:
            names[name] = f"{prefix}/{name}"
            copy.output[i] = names[name]
    return copy


def _rename_inside(graph: Proto, names: dict[str, str], prefix: str) -> None:
    """Rename the values of a subgraph in place; `names` are those of the graphs around it."""
    for value in (*graph.input, *graph.initializer):
        names[value.name] = f"{prefix}/{value.name}"
        value.name = names[value.name]
    for i, node in enumerate(list(graph.node)):
        graph.node[i].CopyFrom(_renamed(node, names, prefix))
    for value in graph.output:
        value.name = names[value.name]
    del graph.value_info[:]


def _needed(nodes: Sequence[Proto], outputs: set[str]) -> tuple[list[Proto], set[str]]:
    """The nodes that some outputs depend on, in order, and every name that is used."""
    used, kept = set(outputs), []
    for node in reversed(nodes):
        if used.intersection(node.output):
            kept.append(node)
            used |= reads(node)
    return kept[::-1], used


def reads(node: Proto) -> set[str]:
    """What a node reads, its subgraphs included."""
    read = set(node.input)
    for attribute in node.attribute:
        for graph in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
            read |= {output.name for output in graph.output}
            for inner in graph.node:
                read |= reads(inner)
    return read
