"""Shapes and small values of operators that make tensors of a size that they are told, or change one's size."""

from __future__ import annotations

import math

from edgeguard.admission.graph.call import Call, OpenError, Value, stored
from edgeguard.admission.graph.values import (
    FLOAT,
    INT64,
    MAX_KNOWN,
    RANGES,
    STRING,
    Dims,
    Known,
    Number,
    Tensor,
    product,
)

Values = tuple[Value, ...]


def constant(call: Call) -> Values:
    """`Constant`."""
    if len(call.attributes) != 1:
        call.misfit("it must have one value")
    name = next(iter(call.attributes))
    if name in ("value", "sparse_value"):
        tensor = call.tensor(name)
        return (
            (Value(tensor.dtype, tensor.dims, tensor.known),)
            if tensor
            else call.misfit("its value is missing")
        )
    if name in ("value_int", "value_ints"):
        whole = (call.numbers(name) or ()) if name == "value_ints" else (call.number(name, 0),)
        return (_listed(INT64, whole, one=name == "value_int"),)
    if name in ("value_float", "value_floats"):
        value = call.attributes[name].value
        reals = (
            call.reals(name)
            if name == "value_floats"
            else (value if isinstance(value, (int, float)) else 0.0,)
        )
        return (_listed(FLOAT, reals or (), one=name == "value_float"),)
    texts = call.attributes[name].value
    return (Value(STRING, (len(texts),) if isinstance(texts, tuple) else ()),)


def _listed(dtype: int, values: Known, *, one: bool) -> Value:
    return Value(dtype, () if one else (len(values),)).with_known(values)


def filled(call: Call) -> Values:
    """`ConstantOfShape`."""
    dims = call.whole(0)
    if min(dims, default=0) < 0 or len(call.dims()) != 1:
        call.misfit("its shape is no list of sizes")
    value: Tensor | None = call.tensor("value")
    if value is None:
        return (_filled(Value(FLOAT, dims), (0.0,)),)
    return (_filled(Value(value.dtype, dims), value.known or ()),)


def _filled(made: Value, item: Known) -> Value:
    count = product(made.dims)
    return made.with_known(item * count) if len(item) == 1 and count <= MAX_KNOWN else made


def counted(call: Call) -> Values:
    """`Range`."""
    start, limit, step = (_single(call, i) for i in range(3))
    dtype = call.given(0).dtype
    apart = stored((limit - start,), dtype)
    if apart is None:
        raise OpenError("how far it counts does not fit its own type")
    if step == 0:
        call.misfit("its step is 0")
    whole = dtype in RANGES
    count = max(-(-apart[0] // step) if whole else math.ceil(apart[0] / step), 0)
    made = Value(dtype, (int(count),))
    if not whole or count > MAX_KNOWN:
        return (made,)
    return (made.with_known(tuple(start + i * step for i in range(int(count)))),)


def _single(call: Call, index: int) -> Number:
    known = call.known(index)
    return known[0] if len(known) == 1 else call.misfit(f"its input {index} is not one number")


def one_hot(call: Call) -> Values:
    """`OneHot`."""
    dims, depth = call.dims(), _single(call, 1)
    if not isinstance(depth, int) and not depth.is_integer():
        raise OpenError("its depth is no whole number")
    if depth < 0:
        call.misfit("its depth is negative")
    axis = call.axis(call.number("axis", -1), len(dims) + 1)
    return (Value(call.given(2).dtype, (*dims[:axis], int(depth), *dims[axis:])),)


def top(call: Call) -> Values:
    """`TopK`: values and places."""
    dims = call.dims(least=1)
    axis = call.axis(call.number("axis", -1), len(dims))
    count = _single(call, 1) if call.opset >= 10 else call.number("k", -1)
    if not isinstance(count, int) or not 0 <= count <= dims[axis]:
        call.misfit(f"it wants the first {count} of {dims[axis]}")
    made = (*dims[:axis], count, *dims[axis + 1 :])
    return Value(call.given(0).dtype, made), Value(INT64, made)


def upsampled(call: Call) -> Values:
    """`Upsample`."""
    scales = call.known(1) if call.opset >= 9 else call.reals("scales")
    return (Value(call.given(0).dtype, _scaled(call, scales or (), tuple(range(len(call.dims()))))),)


def resized(call: Call) -> Values:
    """`Resize`: by factors, or to a size."""
    dims = call.dims()
    axes = call.axes(call.numbers("axes") or tuple(range(len(dims))), len(dims))
    scales_at = 1 if call.opset < 11 else 2
    if call.has(3) and call.given(3).dims != (0,) and call.opset >= 11:
        return (Value(call.given(0).dtype, _to_size(call, call.whole(3), axes)),)
    if call.text("coordinate_transformation_mode", "") == "tf_crop_and_resize":
        raise OpenError("it cuts out a region and resizes it by factors; give it `sizes`")
    return (Value(call.given(0).dtype, _scaled(call, call.known(scales_at), axes)),)


def _scaled(call: Call, scales: Known, axes: tuple[int, ...]) -> Dims:
    dims = list(call.dims())
    if len(scales) != len(axes) or not all(math.isfinite(scale) and scale > 0 for scale in scales):
        call.misfit("its factors do not fit its axes")
    for axis, scale in zip(axes, scales):
        sides = stored((dims[axis],), FLOAT) or (math.inf,)
        size = stored((sides[0] * scale,), FLOAT)
        if size is None:
            raise OpenError("its size is too large to say")
        dims[axis] = int(size[0])
    return tuple(dims)


def _to_size(call: Call, sizes: tuple[int, ...], axes: tuple[int, ...]) -> Dims:
    dims = list(call.dims())
    if len(sizes) != len(axes) or min(sizes, default=0) < 0:
        call.misfit("its sizes do not fit its axes")
    policy = call.text("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        for axis, size in zip(axes, sizes):
            dims[axis] = size
        return tuple(dims)
    ratios = [size / dims[axis] for axis, size in zip(axes, sizes) if dims[axis]]
    scale = (min if policy == "not_larger" else max)(ratios, default=1.0)
    for axis in axes:
        dims[axis] = math.floor(dims[axis] * scale + 0.5)
    return tuple(dims)
