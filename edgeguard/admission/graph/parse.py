"""An ONNX file's bytes as values, in one pass over all of it: graphs, attributes, functions, training graphs.

What must not be there wherever it hides (values from other files, compiled engines) is refused while it is read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from edgeguard.admission.graph import values
from edgeguard.admission.graph.tensors import MAX_RANK, read_sparse, read_tensor
from edgeguard.admission.graph.values import Attribute, Declared, Function, Graph, Model, Node, Tensor
from edgeguard.admission.graph.wire import NOTHING, Fields, Reader
from edgeguard.admission.protobuf import WireError

_INT, _TENSOR, _GRAPH, _INTS, _TENSORS, _GRAPHS, _SPARSE, _SPARSES = 2, 4, 5, 7, 9, 10, 11, 12
_FLOAT, _STRING, _FLOATS, _STRINGS, _TYPE, _TYPES = 1, 3, 6, 8, 13, 14
_VALUE_OF: Mapping[int, int] = MappingProxyType(
    {
        _FLOAT: 2,
        _INT: 3,
        _STRING: 4,
        _TENSOR: 5,
        _GRAPH: 6,
        _FLOATS: 7,
        _INTS: 8,
        _STRINGS: 9,
        _TENSORS: 10,
        _GRAPHS: 11,
        _SPARSE: 22,
        _SPARSES: 23,
        _TYPE: 14,
        _TYPES: 15,
    }
)
"""Field of an attribute's value by the number of its type."""
_MAX_ENTRIES = 100_000
"""Numbers, or bytes of text, of one attribute."""
ENGINE = "EPContext"


class EngineError(Exception):
    """The file carries an engine that was compiled for one device."""


def parse_model(data: bytes) -> Model:
    """Read a whole file.

    Raises:
        WireError: it is not ONNX, or not what every parser would read alike.
        ExternalError: a tensor takes its values from somewhere else.
        EngineError: it carries a compiled engine.
    """
    return _Parser(data).model()


class _Parser:
    """Reads one file; counts its tensors on the way."""

    def __init__(self, data: bytes) -> None:
        self._reader = Reader(data)
        self._tensors = self._weights = 0

    def model(self) -> Model:
        read = self._reader
        fields = read.fields("model", 0, len(read.data), 0)
        graphs = [self._graph(a, b, 1) for a, b in fields.get(7, NOTHING)]
        for a, b in fields.get(20, NOTHING):
            self._training(a, b)
        made = [self._function(a, b, 1) for a, b in fields.get(25, NOTHING)]
        if len(graphs) != 1:
            raise WireError("it has no graph" if not graphs else "it has more than one graph")
        if 20 in fields:
            raise WireError("it holds graphs for training")
        functions = {(function.domain, function.name, function.overload): function for function in made}
        if len(functions) != len(made):
            raise WireError("it defines a function twice")
        return Model(
            ir_version=read.number(fields, 1),
            opsets=self._opsets(fields.get(8, NOTHING), 1),
            graph=graphs[0],
            functions=functions,
            producer=f"{read.text(fields, 2)} {read.text(fields, 3)}".strip(),
            tensors=self._tensors,
            weight_bytes=self._weights,
        )

    def _opsets(self, spans: Iterable[tuple[int, int]], depth: int) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for a, b in spans:
            fields = self._reader.fields("opset", a, b, depth)
            domain = values.standard(self._reader.text(fields, 1))
            if domain in found:
                raise WireError(f"it imports the operators of `{domain or 'ai.onnx'}` twice")
            found[domain] = self._reader.number(fields, 2)
        return found

    def _training(self, start: int, end: int) -> None:
        fields = self._reader.fields("training", start, end, 1)
        for number in (1, 2):
            for a, b in fields.get(number, NOTHING):
                self._graph(a, b, 2)

    def _function(self, start: int, end: int, depth: int) -> Function:
        read = self._reader
        fields = read.fields("function", start, end, depth)
        defaults = self._attributes(fields.get(11, NOTHING), depth + 1)
        return Function(
            domain=values.standard(read.text(fields, 10)),
            name=read.text(fields, 1),
            overload=read.text(fields, 13),
            inputs=read.texts(fields, 4),
            outputs=read.texts(fields, 5),
            attributes=read.texts(fields, 6),
            defaults=defaults,
            nodes=tuple(self._node(a, b, depth + 1) for a, b in fields.get(7, NOTHING)),
            opsets=self._opsets(fields.get(9, NOTHING), depth + 1),
        )

    def _graph(self, start: int, end: int, depth: int) -> Graph:
        fields = self._reader.fields("graph", start, end, depth)
        tensors = [self._tensor(a, b, depth + 1) for a, b in fields.get(5, NOTHING)]
        tensors += [self._sparse(a, b, depth + 1) for a, b in fields.get(15, NOTHING)]
        nodes = tuple(self._node(a, b, depth + 1) for a, b in fields.get(1, NOTHING))
        inputs, outputs, inner = (
            tuple(self._declared(a, b, depth + 1) for a, b in fields.get(number, NOTHING))
            for number in (11, 12, 13)
        )
        named = {value.name: value for value in (*inner, *outputs)}
        if len({tensor.name for tensor in tensors}) != len(tensors) or any(not t.name for t in tensors):
            raise WireError(f"two weights near byte {start} have the same name, or one has none")
        return Graph(inputs, outputs, tuple(tensors), nodes, named)

    def _tensor(self, start: int, end: int, depth: int) -> Tensor:
        return self._counted(read_tensor(self._reader, start, end, depth))

    def _sparse(self, start: int, end: int, depth: int) -> Tensor:
        return self._counted(read_sparse(self._reader, start, end, depth))

    def _counted(self, tensor: Tensor) -> Tensor:
        self._tensors += 1
        self._weights += tensor.size
        return tensor

    def _node(self, start: int, end: int, depth: int) -> Node:
        read = self._reader
        fields = read.fields("node", start, end, depth)
        attributes = self._attributes(fields.get(5, NOTHING), depth + 1)
        operator = read.text(fields, 4)
        if not operator:
            raise WireError(f"a node near byte {start} has no operator")
        if operator == ENGINE:
            raise EngineError
        return Node(
            domain=values.standard(read.text(fields, 7)),
            operator=operator,
            inputs=read.texts(fields, 1),
            outputs=read.texts(fields, 2),
            attributes=attributes,
            name=read.text(fields, 3),
            overload=read.text(fields, 8),
        )

    def _attributes(self, spans: Iterable[tuple[int, int]], depth: int) -> Mapping[str, Attribute]:
        found: dict[str, Attribute] = {}
        for a, b in spans:
            attribute = self._attribute(a, b, depth)
            if attribute.name in found or not attribute.name:
                raise WireError(f"an attribute near byte {a} has no name, or one that is taken")
            found[attribute.name] = attribute
        return found

    def _attribute(self, start: int, end: int, depth: int) -> Attribute:
        read = self._reader
        fields = read.fields("attribute", start, end, depth)
        held = {kind: self._value(kind, fields, depth + 1) for kind, n in _VALUE_OF.items() if n in fields}
        kind, ref = read.number(fields, 20), read.text(fields, 21)
        if kind not in _VALUE_OF or any(other != kind for other in held) or (ref and held):
            raise WireError(f"an attribute near byte {start} does not hold what its type says")
        empty: object = () if kind in (_FLOATS, _INTS, _STRINGS, _TENSORS, _GRAPHS, _SPARSES) else None
        zero = {_INT: 0, _FLOAT: 0.0, _STRING: b""}.get(kind, empty)
        return Attribute(read.text(fields, 1), kind, held.get(kind, zero), ref)

    def _value(self, kind: int, fields: Fields, depth: int) -> object:
        read = self._reader
        spans = fields[_VALUE_OF[kind]]
        a, b = spans[0]
        if kind == _INT:
            return read.number(fields, 3)
        if kind == _FLOAT:
            return struct.unpack("<f", read.data[a:b])[0]
        if kind == _INTS:
            return self._numbers(fields, a)
        if kind in (_STRING, _STRINGS):
            return self._strings(spans, several=kind == _STRINGS)
        if kind == _FLOATS:
            return self._floats(spans)
        if kind in (_TENSOR, _TENSORS, _GRAPH, _GRAPHS, _SPARSE, _SPARSES):
            return self._parts(kind, spans, depth)
        return None

    def _parts(self, kind: int, spans: list[tuple[int, int]], depth: int) -> object:
        if kind in (_TENSOR, _TENSORS):
            tensors = tuple(self._tensor(a, b, depth) for a, b in spans)
            return tensors[0] if kind == _TENSOR else tensors
        if kind in (_GRAPH, _GRAPHS):
            graphs = tuple(self._graph(a, b, depth) for a, b in spans)
            return graphs[0] if kind == _GRAPH else graphs
        sparse = tuple(self._sparse(a, b, depth) for a, b in spans)
        return sparse[0] if kind == _SPARSE else sparse

    def _strings(self, spans: list[tuple[int, int]], *, several: bool) -> object:
        if sum(b - a for a, b in spans) > _MAX_ENTRIES:
            raise WireError(
                f"an attribute near byte {spans[0][0]} has more than {_MAX_ENTRIES} bytes of text"
            )
        found = tuple(self._reader.data[a:b] for a, b in spans)
        return found if several else found[0]

    def _numbers(self, fields: Fields, start: int) -> tuple[int, ...]:
        found = self._reader.numbers(fields, _VALUE_OF[_INTS], longest=10 * _MAX_ENTRIES)
        if len(found) > _MAX_ENTRIES:
            raise WireError(f"an attribute near byte {start} has more than {_MAX_ENTRIES} numbers")
        return found

    def _floats(self, spans: list[tuple[int, int]]) -> tuple[float, ...]:
        size = sum(b - a for a, b in spans)
        if size > 4 * _MAX_ENTRIES or any((b - a) % 4 for a, b in spans):
            raise WireError(f"an attribute near byte {spans[0][0]} is no list of numbers, or too long")
        return struct.unpack(f"<{size // 4}f", b"".join(self._reader.data[a:b] for a, b in spans))

    def _declared(self, start: int, end: int, depth: int) -> Declared:
        read = self._reader
        fields = read.fields("value", start, end, depth)
        name, dtype, dims = read.text(fields, 1), 0, None
        for a, b in fields.get(2, NOTHING):
            dtype, dims = self._type(a, b, depth + 1)
        if not name:
            raise WireError(f"a value near byte {start} has no name")
        return Declared(name, dtype, dims)

    def _type(self, start: int, end: int, depth: int) -> tuple[int, tuple[int | str | None, ...] | None]:
        read = self._reader
        fields = read.fields("type", start, end, depth)
        for a, b in fields.get(1, NOTHING):
            tensor = read.fields("tensor type", a, b, depth + 1)
            dims = [self._dims(c, d, depth + 2) for c, d in tensor.get(2, NOTHING)]
            return read.number(tensor, 1), dims[0] if dims else None
        return 0, None

    def _dims(self, start: int, end: int, depth: int) -> tuple[int | str | None, ...]:
        read = self._reader
        found: list[int | str | None] = []
        for a, b in read.fields("shape", start, end, depth).get(1, NOTHING):
            fields = read.fields("dimension", a, b, depth + 1)
            if 1 in fields and 2 in fields:
                raise WireError(f"a size near byte {a} is a number and a name")
            size = read.number(fields, 1)
            if size < 0:
                raise WireError(f"a size near byte {a} is negative")
            found.append(size if 1 in fields else read.text(fields, 2) or None)
        if len(found) > MAX_RANK:
            raise WireError(f"a value near byte {start} has more than {MAX_RANK} axes")
        return tuple(found)
