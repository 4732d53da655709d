"""Works out the shape of every tensor of a model before anything runs it, and adds up their bytes.

The sum is what a runtime needs at most if it frees nothing; what a runtime needs besides for its own work is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeguard.admission.graph.call import Call, MisfitError, OpenError, ShapeError, Value
from edgeguard.admission.graph.operators import CHOICE, RULES
from edgeguard.admission.graph.tensors import MAX_RANK
from edgeguard.admission.graph.values import (
    BITS,
    Attribute,
    Declared,
    Dims,
    Function,
    Graph,
    Model,
    Node,
    Tensor,
    size_of,
)

_MAX_CALLS = 60
"""Functions that call functions, and branches in branches."""
_CONSTANT, _SPARSE = "Constant", "sparse_value"
"""A constant's values are in the file, but for a sparse one, which a runtime makes dense."""


class TooMuchError(Exception):
    """The tensors need more memory than allowed, or there are more of them. `place`: where it was passed."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a model may need."""

    memory: int
    nodes: int


@dataclass(frozen=True, slots=True)
class Sized:
    """A model whose shapes are known. `outputs`: of the graph, in order; `memory`: bytes of all computed tensors."""

    outputs: tuple[Value, ...]
    memory: int


class _Scope:
    """Names that can be seen at one place: its own and those of the graphs around it."""

    def __init__(self, around: _Scope | None = None) -> None:
        own: dict[str, Value] = {}
        self._own = own
        self._seen: tuple[dict[str, Value], ...] = (own, *(around.seen if around is not None else ()))

    @property
    def seen(self) -> tuple[dict[str, Value], ...]:
        """Values by name, the nearest graph's first."""
        return self._seen

    def find(self, name: str) -> Value | None:
        return next((values[name] for values in self._seen if name in values), None)

    def add(self, name: str, value: Value) -> None:
        if self.find(name) is not None:
            raise MisfitError(f"the value `{name}` is made twice")
        self._own[name] = value


@dataclass(slots=True)
class _Count:
    """What was worked out so far."""

    memory: int = 0
    nodes: int = 0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node stands: what it sees, what the graph declares, and attributes and version of the function around."""

    scope: _Scope
    declared: Mapping[str, Declared]
    attributes: Mapping[str, Attribute]
    depth: int


@dataclass(frozen=True, slots=True)
class Sizer:
    """One working out. `rows`: how many pictures at once."""

    model: Model
    budget: Budget
    rows: int
    _count: _Count = field(default_factory=_Count)

    def size(self, given: Mapping[str, Value]) -> Sized:
        """The model on inputs of these shapes, by name.

        Raises:
            MisfitError: no runtime could run it.
            OpenError: a shape depends on more than the shape of the input.
            TooMuchError: it is beyond the budget.
        """
        scope = _Scope()
        for name, value in given.items():
            scope.add(name, value)
        return Sized(self._graph(self.model.graph, scope, {}, 0), self._count.memory)

    def _graph(
        self, graph: Graph, scope: _Scope, attributes: Mapping[str, Attribute], depth: int
    ) -> tuple[Value, ...]:
        if depth > _MAX_CALLS:
            raise MisfitError("functions or branches are nested too deep")
        for tensor in graph.tensors:
            scope.add(tensor.name, self._stored(tensor))
        place = _Place(scope, graph.declared, attributes, depth)
        for node in graph.nodes:
            self._node(node, place)
        return tuple(_found(scope, output.name) for output in graph.outputs)

    def _stored(self, tensor: Tensor) -> Value:
        if tensor.sparse:  # a runtime makes it dense when it loads it
            self._spend(tensor.size, f"the sparse tensor `{tensor.name}`")
        return Value(tensor.dtype, tensor.dims, tensor.known)

    def _node(self, node: Node, place: _Place) -> None:
        self._count.nodes += 1
        if self._count.nodes > self.budget.nodes:
            raise TooMuchError(
                f"more than {self.budget.nodes} nodes are left once its functions are written out"
            )
        inputs = tuple(_found(place.scope, name) if name else None for name in node.inputs)
        try:
            made = self._made(node, inputs, place)
        except ShapeError as error:
            if error.placed:
                raise
            raise type(error)(f"{_where(node)}: {error}", placed=True) from None
        if len(made) < len(node.outputs):
            raise MisfitError(f"{_where(node)} has more outputs than it can have")
        for name, value in zip(node.outputs, made):
            if name:
                self._keep(node, name, value, place.scope)

    def _keep(self, node: Node, name: str, value: Value, scope: _Scope) -> None:
        if len(value.dims) > MAX_RANK:
            raise MisfitError(f"{_where(node)} makes more than {MAX_RANK} axes")
        constant = (node.domain, node.operator) == ("", _CONSTANT)
        if value.dtype not in BITS and not constant:
            raise OpenError(f"{_where(node)} makes text, whose size is not known", placed=True)
        if not constant or _SPARSE in node.attributes:
            self._spend(size_of(value.dtype, value.dims), f"{_where(node)} makes {list(value.dims)}")
        scope.add(name, value)

    def _spend(self, size: int, what: str) -> None:
        self._count.memory += size
        if self._count.memory > self.budget.memory:
            raise TooMuchError(f"{what}, and with it more than {self.budget.memory} bytes")

    def _made(self, node: Node, inputs: tuple[Value | None, ...], place: _Place) -> tuple[Value, ...]:
        function = self.model.functions.get((node.domain, node.operator, node.overload))
        attributes = _settled(node.attributes, place.attributes)
        if function is not None:
            return self._called(function, inputs, attributes, place.depth)
        if node.domain or (node.operator not in RULES and node.operator != CHOICE):
            return self._declared(node, place)
        if any(value is not None and value.dtype not in BITS for value in inputs):
            raise OpenError("it works on text, whose size is not known")
        call = Call(node, inputs, attributes, self.model.opsets.get("", 1))
        return self._choice(call, place) if node.operator == CHOICE else RULES[node.operator](call)

    def _choice(self, call: Call, place: _Place) -> tuple[Value, ...]:
        call.given(0)
        branches = [
            self._graph(call.graph(name), _Scope(place.scope), place.attributes, place.depth + 1)
            for name in ("then_branch", "else_branch")
        ]
        shapes = [[(value.dtype, value.dims) for value in values] for values in branches]
        if shapes[0] != shapes[1]:
            raise OpenError("its branches give different shapes")
        return tuple(Value(value.dtype, value.dims) for value in branches[0])

    def _called(
        self, function: Function, inputs: tuple[Value | None, ...], given: Mapping[str, Attribute], depth: int
    ) -> tuple[Value, ...]:
        if depth >= _MAX_CALLS:
            raise MisfitError("functions call each other without end")
        if len(inputs) > len(function.inputs):
            raise MisfitError("it has more inputs than its function")
        scope = _Scope()
        for name, value in zip(function.inputs, inputs):
            if value is not None:
                scope.add(name, value)
        place = _Place(scope, {}, {**function.defaults, **given}, depth + 1)
        for node in function.nodes:
            self._node(node, place)
        return tuple(_found(scope, name) for name in function.outputs)

    def _declared(self, node: Node, place: _Place) -> tuple[Value, ...]:
        """Of an operator without a rule, which a policy allows: what the file itself says of its outputs."""
        made = []
        for name in node.outputs:
            declared = place.declared.get(name)
            dims = opened(declared.dims, self.rows) if declared is not None and name else None
            if name and (declared is None or dims is None or declared.dtype not in BITS):
                raise OpenError(
                    f"no rule is known for it, and `value_info` does not say the shape of `{name}`"
                )
            made.append(
                Value(declared.dtype, dims) if declared is not None and dims is not None else Value(0, ())
            )
        return tuple(made)


def opened(dims: tuple[int | str | None, ...] | None, rows: int) -> Dims | None:
    """A declared shape for so many pictures: the first axis may be open. None: more is open."""
    if dims is None:
        return None
    sizes = [rows if i == 0 and not isinstance(size, int) else size for i, size in enumerate(dims)]
    return (
        tuple(size for size in sizes if isinstance(size, int))
        if all(isinstance(s, int) for s in sizes)
        else None
    )


def _settled(own: Mapping[str, Attribute], around: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """Attributes with those of the function around in their place; what is not given there is missing here, too."""
    found = {}
    for name, attribute in own.items():
        if not attribute.ref:
            found[name] = attribute
        elif attribute.ref in around:
            found[name] = around[attribute.ref]
    return found


def _found(scope: _Scope, name: str) -> Value:
    value = scope.find(name)
    if value is None:
        raise MisfitError(f"the value `{name}` is used before anything makes it")
    return value


def _where(node: Node) -> str:
    return f"`{node.label}`" + (f" (`{node.name}`)" if node.name else "")
