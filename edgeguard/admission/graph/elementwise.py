"""Shapes and small values of operators that work value by value, or along axes that stay."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping

from edgeguard.admission.graph.call import Call, OpenError, Value, broadcast
from edgeguard.admission.graph.values import (
    BITS,
    BOOL,
    DOUBLE,
    FLOAT,
    FLOAT16,
    INT64,
    MAX_KNOWN,
    RANGES,
    UINT8,
    Dims,
    Known,
    Number,
    product,
)

Values = tuple[Value, ...]
_REAL = (FLOAT, FLOAT16, DOUBLE)


def same(call: Call) -> Values:
    """The first input's type and shape."""
    return (Value(call.given(0).dtype, call.dims()),)


def unchanged(call: Call) -> Values:
    """The first input itself."""
    return (call.given(0),)


def sloped(call: Call) -> Values:
    """`PRelu`: a runtime would let a slope that is larger than the tensor make it larger."""
    dims = call.dims()
    if broadcast(call, dims, call.dims(1)) != dims:
        call.misfit(f"a slope {list(call.dims(1))} does not fit {list(dims)}")
    return (Value(call.given(0).dtype, dims),)


def truth(call: Call) -> Values:
    """The first input's shape, true or false."""
    return (Value(BOOL, call.dims()),)


def negated(call: Call) -> Values:
    """`Neg`."""
    given = call.given(0)
    return (
        Value(given.dtype, given.dims).with_known(given.known and tuple(-value for value in given.known)),
    )


def rounded(call: Call) -> Values:
    """`Floor` and `Ceil`: also of scales from which a graph works out a size."""
    given = call.given(0)
    step = math.floor if call.node.operator == "Floor" else math.ceil
    known = given.known
    if known is None or not all(map(math.isfinite, known)):
        return (Value(given.dtype, given.dims),)
    return (Value(given.dtype, given.dims).with_known(tuple(float(step(value)) for value in known)),)


def cast(call: Call) -> Values:
    """`Cast` and `CastLike`."""
    given = call.given(0)
    dtype = call.given(1).dtype if call.node.operator == "CastLike" else call.number("to", 0)
    if dtype not in BITS:
        raise OpenError("it makes text or an unknown type")
    known: Known | None = None
    if given.known is not None and dtype in RANGES:
        known = _as_whole(given.known, dtype)
    elif given.known is not None and dtype in _REAL:
        known = tuple(float(value) for value in given.known)
    return (Value(dtype, given.dims).with_known(known),)


def _as_whole(known: Known, dtype: int) -> Known | None:
    if not all(math.isfinite(value) for value in known):
        return None
    return tuple(int(value != 0) if dtype == BOOL else int(value) for value in known)


def _divided(a: Number, b: Number) -> Number:
    if isinstance(a, int) and isinstance(b, int):
        quotient = abs(a) // abs(b)  # runtimes cut towards zero
        return quotient if (a < 0) == (b < 0) else -quotient
    return a / b


def _remainder(a: Number, b: Number) -> Number:
    return a % b


_FOLDED: Mapping[str, Callable[[Number, Number], Number]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "Div": _divided,
    "Mod": _remainder,
    "Max": max,
    "Min": min,
    "Equal": lambda a, b: int(a == b),
    "Greater": lambda a, b: int(a > b),
    "GreaterOrEqual": lambda a, b: int(a >= b),
    "Less": lambda a, b: int(a < b),
    "LessOrEqual": lambda a, b: int(a <= b),
    "And": lambda a, b: int(bool(a) and bool(b)),
    "Or": lambda a, b: int(bool(a) or bool(b)),
}


def together(call: Call) -> Values:
    """Operators of inputs that are broadcast: the first one's type."""
    given = call.all_given()
    dims = broadcast(call, *(value.dims for value in given))
    made = Value(given[0].dtype, dims)
    step = _FOLDED.get(call.node.operator)
    if step is None or (call.node.operator == "Mod" and call.number("fmod", 0)):
        return (made,)
    return (made.with_known(_fold(step, given, dims)),)


def compared(call: Call) -> Values:
    """As `together`, true or false."""
    (made,) = together(call)
    return (Value(BOOL, made.dims, made.known),)


def chosen(call: Call) -> Values:
    """`Where`."""
    condition, yes, no = call.given(0), call.given(1), call.given(2)
    dims = broadcast(call, condition.dims, yes.dims, no.dims)
    made = Value(yes.dtype, dims)
    if condition.known is None or yes.known is None or no.known is None or product(dims) > MAX_KNOWN:
        return (made,)
    truths, ones, others = (_spread(value.known or (), value.dims, dims) for value in (condition, yes, no))
    return (made.with_known(tuple(a if t else b for t, a, b in zip(truths, ones, others))),)


def _fold(step: Callable[[Number, Number], Number], given: Values, dims: Dims) -> Known | None:
    if product(dims) > MAX_KNOWN or any(value.known is None for value in given):
        return None
    first, *others = (_spread(value.known or (), value.dims, dims) for value in given)
    try:
        for other in others:
            first = tuple(step(a, b) for a, b in zip(first, other))
    except (ZeroDivisionError, OverflowError):
        return None
    return first


def _spread(known: Known, dims: Dims, wanted: Dims) -> Known:
    """Values repeated to a shape."""
    if dims == wanted:
        return known
    padded = (1,) * (len(wanted) - len(dims)) + dims
    places = [0]
    step = product(dims)
    for have, want in zip(padded, wanted):
        step = step // have if have else 0
        places = [place + (i if have > 1 else 0) * step for place in places for i in range(want)]
    return tuple(known[place] for place in places)


def reduced(call: Call) -> Values:
    """Operators that reduce axes."""
    since = 13 if call.node.operator == "ReduceSum" else 18
    return (Value(call.given(0).dtype, _reduced(call, call.setting("axes", 1, since))),)


def found_at(call: Call) -> Values:
    """`ArgMax` and `ArgMin`."""
    return (Value(INT64, _reduced(call, (call.number("axis", 0),))),)


def _reduced(call: Call, axes: tuple[int, ...] | None) -> Dims:
    dims = call.dims()
    if not axes:
        if call.number("noop_with_empty_axes", 0):
            return dims
        axes = tuple(range(len(dims)))
    gone = set(call.axes(axes, len(dims)))
    if call.number("keepdims", 1):
        return tuple(1 if i in gone else size for i, size in enumerate(dims))
    return tuple(size for i, size in enumerate(dims) if i not in gone)


def dropped(call: Call) -> Values:
    """`Dropout`: its values may change, in training mode."""
    return Value(call.given(0).dtype, call.dims()), Value(BOOL, call.dims())


def batch_normalised(call: Call) -> Values:
    """`BatchNormalization`, and its running figures."""
    dims = call.dims(least=1)
    figures = Value(call.given(0).dtype, dims[1:2])
    return (Value(call.given(0).dtype, dims), *[figures] * 4)


def layer_normalised(call: Call) -> Values:
    """`LayerNormalization`, with mean and deviation."""
    dims = call.dims(least=1)
    axis = call.axis(call.number("axis", -1), len(dims))
    figures = Value(FLOAT, tuple(size if i < axis else 1 for i, size in enumerate(dims)))
    return Value(call.given(0).dtype, dims), figures, figures


def quantised(call: Call) -> Values:
    """`QuantizeLinear`."""
    dtype = call.given(2).dtype if call.has(2) else call.number("output_dtype", 0) or UINT8
    if dtype not in BITS:
        call.misfit("`output_dtype` is no type")
    return (Value(dtype, call.dims()),)


def dequantised(call: Call) -> Values:
    """`DequantizeLinear`."""
    return (Value(call.given(1).dtype, call.dims()),)


def dynamically_quantised(call: Call) -> Values:
    """`DynamicQuantizeLinear`."""
    return Value(UINT8, call.dims()), Value(FLOAT, ()), Value(UINT8, ())
