"""Shapes and small values of operators that cut, join, move and repeat."""

from __future__ import annotations

from edgeguard.admission.graph.call import Call, Value, broadcast
from edgeguard.admission.graph.values import INT64, MAX_KNOWN, Dims, Known, product

Values = tuple[Value, ...]


def reshaped(call: Call) -> Values:
    """`Reshape`."""
    given, wanted = call.given(0), list(call.whole(1))
    keep_zero = call.number("allowzero", 0)
    for i, size in enumerate(wanted):
        if size == 0 and not keep_zero:
            wanted[i] = given.dims[i] if i < len(given.dims) else call.misfit(f"it has no axis {i} to keep")
    if wanted.count(-1) > 1 or min(wanted, default=0) < -1:
        call.misfit(f"a shape of {wanted} leaves more than one size open")
    count = product(given.dims)
    if -1 in wanted:
        rest = product(tuple(size for size in wanted if size != -1))
        if not rest or count % rest:
            call.misfit(f"{list(given.dims)} does not go into {wanted}")
        wanted[wanted.index(-1)] = count // rest
    if product(tuple(wanted)) != count:
        call.misfit(f"{list(given.dims)} does not go into {wanted}")
    return (Value(given.dtype, tuple(wanted)).with_known(given.known),)


def flattened(call: Call) -> Values:
    """`Flatten`."""
    given = call.given(0)
    axis = call.number("axis", 1)
    if not -len(given.dims) <= axis <= len(given.dims):
        call.misfit(f"it has no axis {axis}")
    axis = axis + len(given.dims) if axis < 0 else axis
    made = (product(given.dims[:axis]), product(given.dims[axis:]))
    return (Value(given.dtype, made).with_known(given.known),)


def transposed(call: Call) -> Values:
    """`Transpose`."""
    given = call.given(0)
    order = call.numbers("perm") or tuple(reversed(range(len(given.dims))))
    if len(call.axes(order, len(given.dims))) != len(given.dims) or min(order, default=0) < 0:
        call.misfit("`perm` does not name every axis once")
    made = Value(given.dtype, tuple(given.dims[i] for i in order))
    if given.known is None:
        return (made,)
    steps = _steps(given.dims)
    places = _places([[i * steps[axis] for i in range(given.dims[axis])] for axis in order])
    return (made.with_known(tuple(given.known[place] for place in places)),)


def squeezed(call: Call) -> Values:
    """`Squeeze`."""
    given = call.given(0)
    axes = call.setting("axes", 1, 13)
    if axes is None:
        made = tuple(size for size in given.dims if size != 1)
    else:
        gone = call.axes(axes, len(given.dims))
        if not gone:
            call.misfit("its axes are empty: some runtimes take that for all, some for none")
        if any(given.dims[i] != 1 for i in gone):
            call.misfit(f"axes {list(axes)} of {list(given.dims)} are not all 1")
        made = tuple(size for i, size in enumerate(given.dims) if i not in gone)
    return (Value(given.dtype, made).with_known(given.known),)


def unsqueezed(call: Call) -> Values:
    """`Unsqueeze`."""
    given = call.given(0)
    axes = call.setting("axes", 1, 13)
    if axes is None:
        call.misfit("its axes are missing")
    rank = len(given.dims) + len(axes)
    new, rest = set(call.axes(axes, rank)), iter(given.dims)
    made = tuple(1 if i in new else next(rest) for i in range(rank))
    return (Value(given.dtype, made).with_known(given.known),)


def joined(call: Call) -> Values:
    """`Concat`."""
    given = call.all_given()
    first = given[0].dims
    axis = call.axis(call.number("axis", 0), len(first))
    if any((*v.dims[:axis], *v.dims[axis + 1 :]) != (*first[:axis], *first[axis + 1 :]) for v in given):
        call.misfit(f"{[list(value.dims) for value in given]} differ in more than axis {axis}")
    if any(len(value.dims) != len(first) for value in given):
        call.misfit("its inputs have different numbers of axes")
    made = Value(given[0].dtype, (*first[:axis], sum(v.dims[axis] for v in given), *first[axis + 1 :]))
    if len(first) != 1 or made.dims[0] > MAX_KNOWN or any(value.known is None for value in given):
        return (made,)
    return (made.with_known(tuple(item for value in given for item in value.known or ())),)


def split(call: Call) -> Values:
    """`Split`."""
    given, count = call.given(0), len(call.node.outputs)
    axis = call.axis(call.number("axis", 0), len(given.dims))
    side = given.dims[axis]
    sizes = call.setting("split", 1, 13)
    if sizes is None:
        if count < 1 or call.number("num_outputs", count) != count or (call.opset < 18 and side % count):
            call.misfit(f"{side} cannot be cut into {count} equal parts")
        step = -(-side // count)
        sizes = (*[step] * (count - 1), side - step * (count - 1))
    if len(sizes) != count or sum(sizes) != side or min(sizes) < 0:
        call.misfit(f"{side} cannot be cut into {list(sizes)}")
    values, start = [], 0
    for size in sizes:
        known = (
            given.known[start : start + size] if given.known is not None and len(given.dims) == 1 else None
        )
        made = Value(given.dtype, (*given.dims[:axis], size, *given.dims[axis + 1 :]))
        values.append(made.with_known(known))
        start += size
    return tuple(values)


def sliced(call: Call) -> Values:
    """`Slice`."""
    given = call.given(0)
    starts, ends = call.setting("starts", 1, 10), call.setting("ends", 2, 10)
    if starts is None or ends is None:
        call.misfit("where to begin or to end is missing")
    axes = call.setting("axes", 3, 10) or tuple(range(len(starts)))
    steps = (call.setting("steps", 4, 10) if call.opset >= 10 else None) or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        call.misfit("its inputs differ in length, or a step is 0")
    kept = [range(side) for side in given.dims]
    for axis, *cut in zip(call.axes(axes, len(kept)), starts, ends, steps):
        side = given.dims[axis]
        kept[axis] = range(side)[slice(*cut)] if cut[2] > 0 else _backwards(side, *cut)
    made = Value(given.dtype, tuple(map(len, kept)))
    if given.known is None:
        return (made,)
    places = _places([[i * step for i in side] for side, step in zip(kept, _steps(given.dims))])
    return (made.with_known(tuple(given.known[place] for place in places)),)


def _steps(dims: Dims) -> list[int]:
    """How far apart neighbours along each axis are, in a list of all values."""
    return [product(dims[axis + 1 :]) for axis in range(len(dims))]


def _places(sides: list[list[int]]) -> list[int]:
    """Places of values in a list of all of them, from what each axis adds; the last axis runs fastest."""
    places = [0]
    for side in sides:
        places = [place + more for place in places for more in side]
    return places


def _backwards(side: int, start: int, end: int, step: int) -> range:
    """Places from behind: unlike a list's, a very negative end means the front."""
    start = start + side if start < 0 else start
    end = end + side if end < 0 else end
    return range(max(0, min(start, side - 1)), max(-1, min(end, side - 1)), step) if side else range(0)


def gathered(call: Call) -> Values:
    """`Gather`."""
    data, places = call.given(0), call.given(1)
    axis = call.axis(call.number("axis", 0), len(data.dims))
    made = Value(data.dtype, (*data.dims[:axis], *places.dims, *data.dims[axis + 1 :]))
    known, side = data.known, data.dims[axis]
    if known is None or places.known is None or len(data.dims) != 1:
        return (made,)
    if not all(isinstance(i, int) and -side <= i < side for i in places.known):
        call.misfit(f"it takes a place beyond {side}")
    return (made.with_known(tuple(known[int(i)] for i in places.known)),)


def gathered_elements(call: Call) -> Values:
    """`GatherElements`."""
    return (Value(call.given(0).dtype, call.dims(1, len(call.dims()))),)


def gathered_nd(call: Call) -> Values:
    """`GatherND`."""
    data, places, batch = call.dims(least=1), call.dims(1, least=1), call.number("batch_dims", 0)
    if not 0 <= batch < min(len(data), len(places)) or not 0 <= places[-1] <= len(data) - batch:
        call.misfit(f"places {list(places)} do not fit {list(data)}")
    return (Value(call.given(0).dtype, (*places[:-1], *data[batch + places[-1] :])),)


def padded(call: Call) -> Values:
    """`Pad`."""
    given = call.given(0)
    pads = call.setting("pads", 1, 11)
    axes = call.whole(3) if call.opset >= 18 and call.has(3) else tuple(range(len(given.dims)))
    if pads is None or len(pads) != 2 * len(axes):
        call.misfit("`pads` do not fit its axes")
    dims = list(given.dims)
    for i, axis in enumerate(call.axes(axes, len(dims))):
        dims[axis] += pads[i] + pads[i + len(axes)]
    if min(dims, default=0) < 0:
        call.misfit("it cuts away more than there is")
    return (Value(given.dtype, tuple(dims)),)


def expanded(call: Call) -> Values:
    """`Expand`."""
    given, wanted = call.given(0), call.whole(1)
    if min(wanted, default=0) < 0:
        call.misfit("a size is negative")
    made = Value(given.dtype, broadcast(call, given.dims, wanted))
    return (_repeated(made, given.known),)


def tiled(call: Call) -> Values:
    """`Tile`."""
    given, times = call.given(0), call.whole(1)
    if len(times) != len(given.dims) or min(times, default=0) < 0:
        call.misfit(f"{list(times)} does not fit {list(given.dims)}")
    made = Value(given.dtype, tuple(size * n for size, n in zip(given.dims, times)))
    if given.known is None or len(times) != 1 or made.dims[0] > MAX_KNOWN:
        return (made,)
    return (made.with_known(given.known * times[0]),)


def _repeated(made: Value, known: Known | None) -> Value:
    """A tensor whose values are all the same one."""
    count = product(made.dims)
    if known is None or count > MAX_KNOWN or len(set(known)) != 1:
        return made
    return made.with_known(known[:1] * count)


def to_blocks(call: Call) -> Values:
    """`SpaceToDepth`."""
    n, c, h, w = call.dims(0, 4)
    size = call.number("blocksize", 0)
    if size < 1 or h % size or w % size:
        call.misfit(f"{h} x {w} cannot be cut into blocks of {size}")
    return (Value(call.given(0).dtype, (n, c * size * size, h // size, w // size)),)


def from_blocks(call: Call) -> Values:
    """`DepthToSpace`."""
    n, c, h, w = call.dims(0, 4)
    size = call.number("blocksize", 0)
    if size < 1 or c % (size * size):
        call.misfit(f"{c} channels cannot be made into blocks of {size}")
    return (Value(call.given(0).dtype, (n, c // (size * size), h * size, w * size)),)


def shape_of(call: Call) -> Values:
    """`Shape`: known, whatever the values are."""
    dims = call.dims()
    start, end = call.number("start", 0), call.number("end", len(dims))
    kept: Dims = dims[max(start + len(dims) if start < 0 else start, 0) : end]
    return (Value(INT64, (len(kept),)).with_known(kept),)


def count_of(call: Call) -> Values:
    """`Size`."""
    return (Value(INT64, ()).with_known((product(call.dims()),)),)
