"""Shapes of layers: convolutions, pools, products of matrices."""

from __future__ import annotations

from edgeguard.admission.graph.call import Call, OpenError, Value, broadcast
from edgeguard.admission.graph.values import INT32, INT64, Dims

Values = tuple[Value, ...]
_MOST_FACTORS = 2
_SAME = ("SAME_UPPER", "SAME_LOWER")


def convolved(call: Call) -> Values:
    """`Conv`."""
    return (Value(call.given(0).dtype, _convolution(call, call.dims(least=3), call.dims(1))),)


def convolved_whole(call: Call) -> Values:
    """`ConvInteger`."""
    return (Value(INT32, _convolution(call, call.dims(least=3), call.dims(1))),)


def convolved_quantised(call: Call) -> Values:
    """`QLinearConv`."""
    return (Value(call.given(7).dtype, _convolution(call, call.dims(least=3), call.dims(3))),)


def _convolution(call: Call, x: Dims, w: Dims) -> Dims:
    group = call.number("group", 1)
    if len(w) != len(x) or group < 1 or x[1] != w[1] * group or w[0] % group:
        call.misfit(f"a filter {list(w)} in {group} groups does not fit {list(x)}")
    kernel = call.numbers("kernel_shape") or w[2:]
    if kernel != w[2:]:
        call.misfit(f"`kernel_shape` is {list(kernel)}, the filter {list(w)}")
    return (x[0], w[0], *_windows(call, x[2:], kernel))


def pooled(call: Call) -> Values:
    """`AveragePool`, `LpPool` and `MaxPool`, which also gives places."""
    dims = call.dims(least=3)
    kernel = call.numbers("kernel_shape")
    if kernel is None or len(kernel) != len(dims) - 2:
        call.misfit("`kernel_shape` does not fit")
    made = (*dims[:2], *_windows(call, dims[2:], kernel))
    return Value(call.given(0).dtype, made), Value(INT64, made)


def pooled_whole(call: Call) -> Values:
    """Pools over all places."""
    dims = call.dims(least=3)
    return (Value(call.given(0).dtype, (*dims[:2], *[1] * (len(dims) - 2))),)


def _lists(call: Call, count: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """(strides, dilations, pads), checked."""
    strides = call.numbers("strides") or (1,) * count
    dilations = call.numbers("dilations") or (1,) * count
    pads = call.numbers("pads") or (0,) * (2 * count)
    if len(strides) != count or len(dilations) != count or len(pads) != 2 * count:
        call.misfit("`strides`, `dilations` or `pads` do not fit its axes")
    if min(strides) < 1 or min(dilations) < 1 or min(pads) < 0:
        call.misfit("`strides`, `dilations` or `pads` are too small")
    return strides, dilations, pads


def _windows(call: Call, sides: Dims, kernel: tuple[int, ...]) -> Dims:
    """How often a window fits along each side."""
    strides, dilations, pads = _lists(call, len(sides))
    auto, up = call.text("auto_pad", "NOTSET"), call.number("ceil_mode", 0)
    found = []
    for i, (side, size) in enumerate(zip(sides, kernel)):
        begin, end = (pads[i], pads[i + len(sides)]) if auto == "NOTSET" else (0, 0)
        if auto in _SAME:
            found.append(-(-side // strides[i]))
            continue
        room = side + begin + end - ((size - 1) * dilations[i] + 1)
        if size < 1 or room < 0:
            call.misfit(f"a window of {size} does not fit a side of {side}")
        count = (-(-room // strides[i]) if up else room // strides[i]) + 1
        # No window may begin in the padding behind the picture.
        found.append(count - 1 if up and (count - 1) * strides[i] >= side + begin else count)
    return tuple(found)


def convolved_back(call: Call) -> Values:
    """`ConvTranspose`."""
    x, w = call.dims(least=3), call.dims(1)
    group, count = call.number("group", 1), len(x) - 2
    if len(w) != len(x) or group < 1 or x[1] != w[0]:
        call.misfit(f"a filter {list(w)} in {group} groups does not fit {list(x)}")
    kernel = call.numbers("kernel_shape") or w[2:]
    strides, dilations, pads = _lists(call, count)
    more = call.numbers("output_padding") or (0,) * count
    wanted = call.numbers("output_shape")
    if kernel != w[2:] or len(more) != count or min(more) < 0:
        call.misfit("`kernel_shape` or `output_padding` do not fit")
    if wanted is not None:
        if len(wanted) not in (count, count + 2) or min(wanted) < 0:
            call.misfit("`output_shape` does not fit")
        sides = wanted[-count:]
    else:
        sides = _grown(call, x[2:], kernel, (strides, dilations, pads, more))
    return (Value(call.given(0).dtype, (x[0], w[1] * group, *sides)),)


def _grown(call: Call, sides: Dims, kernel: tuple[int, ...], lists: tuple[tuple[int, ...], ...]) -> Dims:
    strides, dilations, pads, more = lists
    auto = call.text("auto_pad", "NOTSET")
    if auto in _SAME:
        return tuple(side * step for side, step in zip(sides, strides))
    found = []
    for i, side in enumerate(sides):
        taken = pads[i] + pads[i + len(sides)] if auto == "NOTSET" else 0
        found.append(strides[i] * (side - 1) + more[i] + (kernel[i] - 1) * dilations[i] + 1 - taken)
    if min(found) < 0:
        call.misfit("nothing is left of its output")
    return tuple(found)


def multiplied(call: Call) -> Values:
    """`MatMul`."""
    return (Value(call.given(0).dtype, _product(call, call.dims(), call.dims(1))),)


def multiplied_whole(call: Call) -> Values:
    """`MatMulInteger`."""
    return (Value(INT32, _product(call, call.dims(), call.dims(1))),)


def multiplied_quantised(call: Call) -> Values:
    """`QLinearMatMul`."""
    return (Value(call.given(7).dtype, _product(call, call.dims(), call.dims(3))),)


def _product(call: Call, a: Dims, b: Dims) -> Dims:
    if not a or not b:
        call.misfit("a single number is no matrix")
    left, right = (a if len(a) > 1 else (1, *a)), (b if len(b) > 1 else (*b, 1))
    if left[-1] != right[-2]:
        call.misfit(f"matrices {list(a)} and {list(b)} do not fit")
    rows, columns = left[-2:-1] if len(a) > 1 else (), right[-1:] if len(b) > 1 else ()
    return (*broadcast(call, left[:-2], right[:-2]), *rows, *columns)


def gemm(call: Call) -> Values:
    """`Gemm`."""
    a, b = call.dims(0, 2), call.dims(1, 2)
    a = a[::-1] if call.number("transA", 0) else a
    b = b[::-1] if call.number("transB", 0) else b
    made = (a[0], b[1])
    if a[1] != b[0] or (call.has(2) and broadcast(call, made, call.dims(2)) != made):
        call.misfit(f"matrices {list(a)} and {list(b)} or what is added do not fit")
    return (Value(call.given(0).dtype, made),)


def einsum(call: Call) -> Values:
    """`Einsum` without dots. Of more than two inputs, what lies between is a runtime's affair."""
    given = call.all_given()
    left, arrow, right = call.text("equation", "").replace(" ", "").partition("->")
    terms = left.split(",")
    if "." in left or not arrow or len(terms) != len(given):
        raise OpenError("its equation has dots or no arrow, or not one term an input")
    if len(given) > _MOST_FACTORS:
        raise OpenError("it multiplies more than two tensors at once")
    sizes: dict[str, int] = {}
    for term, value in zip(terms, given):
        if len(term) != len(value.dims):
            call.misfit(f"`{term}` does not fit {list(value.dims)}")
        for letter, size in zip(term, value.dims):
            if sizes.setdefault(letter, size) != size:
                call.misfit(f"`{letter}` has two sizes")
    if len(set(right)) != len(right) or any(letter not in sizes for letter in right):
        call.misfit("its equation makes an axis out of nothing")
    return (Value(given[0].dtype, tuple(sizes[letter] for letter in right)),)


def sampled(call: Call) -> Values:
    """`GridSample`."""
    x, grid = call.dims(least=3), call.dims(1, len(call.dims()))
    if x[0] != grid[0] or grid[-1] != len(x) - 2:
        call.misfit("its grid does not fit")
    return (Value(call.given(0).dtype, (*x[:2], *grid[1:-1])),)


def roi_aligned(call: Call) -> Values:
    """`RoiAlign`."""
    made = (
        call.dims(1, 2)[0],
        call.dims(0, 4)[1],
        call.number("output_height", 1),
        call.number("output_width", 1),
    )
    if min(made) < 0:
        call.misfit("its size is negative")
    return (Value(call.given(0).dtype, made),)
