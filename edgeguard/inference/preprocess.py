"""From a camera frame to a model's input, as the bundle's manifest declares it and nothing else.

Two steps: `Resizer` makes the canonical picture (RGB, float32, [0, 1], channels first, at the model's size), which
filters and checks work on; `Normaliser` turns canonical pictures into one model's tensor. Neither knows a model.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeguard.errors import ContractError

if TYPE_CHECKING:
    from edgeguard.admission import InputSpec
    from edgeguard.inference.session import Tensor

Picture = NDArray[np.uint8]

RESIZES = ("area", "bilinear")


def geometry(spec: InputSpec, bundle: str) -> tuple[int, int]:
    """(height, width) of a model's input.

    Raises:
        ContractError: layout, size or channels are not ones this version knows; names the bundle.
    """
    shape = spec.shape
    if spec.layout not in ("NCHW", "NHWC"):
        raise ContractError(f"bundle `{bundle}`: unknown layout `{spec.layout}`; use NCHW or NHWC")
    channels, height, width = shape[1:] if spec.layout == "NCHW" else (shape[3], shape[1], shape[2])
    if channels != 3:
        raise ContractError(
            f"bundle `{bundle}`: layout {spec.layout} and shape {list(shape)} give {channels} channels; 3 are needed"
        )
    return int(height), int(width)


class Resizer:
    """Makes canonical pictures of one size from frames of any size. Keeps the scratch memory of the last frame size.

    The picture is stretched to the model's size: crop before, where the aspect ratio matters.

    `area`: the mean over each output pixel's area of the frame; exact also where the factor is not whole. Does not
    alias. `bilinear`: between the four nearest pixels, centres at half pixels, edges repeated; like the usual
    library function without anti-aliasing, so it aliases beyond a factor of two.
    """

    __slots__ = ("_frame_shape", "_height", "_method", "_plan", "_width")

    def __init__(self, height: int, width: int, method: str) -> None:
        """Sizes in pixels.

        Raises:
            ContractError: unknown `method`.
        """
        if method not in RESIZES:
            raise ContractError(f"unknown resize `{method}`; use {' or '.join(f'`{r}`' for r in RESIZES)}")
        self._height, self._width, self._method = height, width, method
        self._frame_shape: tuple[int, ...] = ()
        self._plan: _BoxPlan | _TapPlan | None = None

    def __call__(self, image: Picture, out: Tensor) -> None:
        """Write the canonical picture of `image` (uint8, (h, w, 3)) to `out` (float32, (3, height, width))."""
        if self._plan is None or image.shape != self._frame_shape:
            self._plan = self._plan_for(image.shape[0], image.shape[1])
            self._frame_shape = image.shape
        self._plan(image, out)

    def _plan_for(self, height: int, width: int) -> _BoxPlan | _TapPlan:
        whole = height % self._height == 0 and width % self._width == 0
        down, across = height // self._height, width // self._width
        # A bilinear step by exactly two lands half-way between two pixels: the box mean.
        if whole and (self._method == "area" or (down <= 2 and across <= 2)):
            return _BoxPlan(self._height, self._width, down, across)
        taps = area_taps if self._method == "area" else bilinear_taps
        return _TapPlan(taps(height, self._height), taps(width, self._width), width)


class _BoxPlan:
    """Mean over boxes of `down` x `across` pixels: whole numbers until the last step, plane by plane."""

    __slots__ = ("_across", "_down", "_gain", "_planes", "_rows", "_total")

    def __init__(self, height: int, width: int, down: int, across: int) -> None:
        self._total = np.uint16 if down * across * 255 <= 65_535 else np.uint32
        self._down, self._across = down, across
        self._rows = np.empty((height, width * across * 3), self._total)
        self._planes = np.empty((3, height, width), self._total)
        self._gain = np.float32(1.0 / (255.0 * down * across))

    def __call__(self, image: Picture, out: Tensor) -> None:
        if self._down == 1 and self._across == 1:
            np.multiply(image.transpose(2, 0, 1), self._gain, out=out)
            return
        rows, lines, down = self._rows, image.reshape(image.shape[0], -1), self._down
        if down == 1:
            np.copyto(rows, lines)
        else:
            np.add(lines[::down], lines[1::down], out=rows, dtype=self._total)
        for k in range(2, down):
            np.add(rows, lines[k::down], out=rows)
        # colours apart: numpy's innermost loop is then a row of the picture, not its three colours
        step = 3 * self._across
        for colour, plane in enumerate(self._planes):
            if self._across == 1:
                np.copyto(plane, rows[:, colour::3])
            else:
                np.add(rows[:, colour::step], rows[:, colour + 3 :: step], out=plane)
            for k in range(2, self._across):
                np.add(plane, rows[:, colour + 3 * k :: step], out=plane)
        np.multiply(self._planes, self._gain, out=out)


Taps = tuple[NDArray[np.intp], NDArray[np.float32]]
"""(index, weight), each (taps, outputs): an output is the sum of weight * input[index]; the weights sum to 1."""


class _TapPlan:
    """Weighted sums of rows; then the picture is turned, and its columns are rows."""

    __slots__ = ("_columns", "_columns_part", "_picked", "_rows", "_rows_part", "_turned", "_x", "_y")

    def __init__(self, y: Taps, x: Taps, width: int) -> None:
        self._y = [(index, weight[:, None]) for index, weight in zip(*y)]
        self._x = [(index, weight[:, None] / np.float32(255.0)) for index, weight in zip(*x)]
        height, out_width = y[0].shape[1], x[0].shape[1]
        self._picked = np.empty((height, width * 3), np.uint8)
        self._rows = np.empty((height, width * 3), np.float32)
        self._rows_part = np.empty_like(self._rows)
        self._turned = np.empty((width, 3, height), np.float32)
        self._columns = np.empty((out_width, 3 * height), np.float32)
        self._columns_part = np.empty_like(self._columns)

    def __call__(self, image: Picture, out: Tensor) -> None:
        rows, columns, lines = self._rows, self._columns, image.reshape(image.shape[0], -1)
        into = rows
        for index, weight in self._y:
            np.take(lines, index, axis=0, out=self._picked, mode="clip")
            np.multiply(self._picked, weight, out=into)
            if into is not rows:
                np.add(rows, into, out=rows)
            into = self._rows_part
        height, width = rows.shape[0], rows.shape[1] // 3
        np.copyto(self._turned, rows.reshape(height, width, 3).transpose(1, 2, 0))
        turned, into = self._turned.reshape(width, -1), columns
        for index, weight in self._x:
            np.take(turned, index, axis=0, out=into, mode="clip")
            np.multiply(into, weight, out=into)
            if into is not columns:
                np.add(columns, into, out=columns)
            into = self._columns_part
        # the weights' rounding may leave 1 + 1e-7
        np.minimum(columns.reshape(-1, 3, height).transpose(1, 2, 0), np.float32(1.0), out=out)


def area_taps(size: int, outputs: int) -> Taps:
    """Taps that average `size` inputs over the `outputs` equal spans they fall into, partly where a span cuts one."""
    factor = size / outputs
    low = np.arange(outputs) * factor
    first = np.floor(low + 1e-9).astype(np.intp)
    count = math.ceil(factor) + 1
    index = first[None, :] + np.arange(count)[:, None]
    overlap = np.minimum(index + 1, low + factor) - np.maximum(index, low)
    weight = np.where(overlap > 1e-9, overlap, 0.0)
    return np.minimum(index, size - 1), (weight / weight.sum(axis=0)).astype(np.float32)


def bilinear_taps(size: int, outputs: int) -> Taps:
    """Taps between the two nearest inputs, pixel centres at half-integers, edges repeated."""
    centre = np.clip((np.arange(outputs) + 0.5) * size / outputs - 0.5, 0.0, size - 1.0)
    first = np.floor(centre).astype(np.intp)
    share = centre - first
    index = np.stack([first, np.minimum(first + 1, size - 1)])
    return index, np.stack([1.0 - share, share]).astype(np.float32)


class Normaliser:
    """Turns canonical pictures into one model's tensor: (x * 255 * scale - mean) / std, colour order, layout."""

    __slots__ = ("_bgr", "_gain", "_nhwc", "_offset")

    def __init__(self, spec: InputSpec, bundle: str) -> None:
        """`mean` and `std` are in the units after `scale`, in the model's colour order.

        Raises:
            ContractError: colours or constants are not usable; names the bundle.
        """
        if spec.color not in ("RGB", "BGR"):
            raise ContractError(f"bundle `{bundle}`: unknown color `{spec.color}`; use RGB or BGR")
        if len(spec.mean) != 3 or len(spec.std) != 3:
            raise ContractError(f"bundle `{bundle}`: `mean` and `std` need three numbers each")
        numbers = (spec.scale, *spec.mean, *spec.std)
        if not all(math.isfinite(n) for n in numbers) or min(*spec.std, spec.scale) <= 0:
            raise ContractError(f"bundle `{bundle}`: `scale` and `std` must be positive, and `mean` numbers")
        self._bgr = spec.color == "BGR"
        self._nhwc = spec.layout == "NHWC"
        std = np.asarray(spec.std, np.float64).reshape(3, 1, 1)
        gain = 255.0 * spec.scale / std
        offset = -np.asarray(spec.mean, np.float64).reshape(3, 1, 1) / std
        plain = bool(np.all(np.abs(gain - 1.0) < 1e-9) and np.all(offset == 0.0))
        self._gain: Tensor | None = None if plain else gain.astype(np.float32)
        self._offset = offset.astype(np.float32)

    def __call__(self, picture: Tensor, out: Tensor) -> None:
        """Write the model's tensor of a canonical `picture` ((3, height, width)) to `out` (a picture in its layout)."""
        source = picture[::-1] if self._bgr else picture
        target = out.transpose(2, 0, 1) if self._nhwc else out
        if self._gain is None:
            np.copyto(target, source)
        else:
            np.multiply(source, self._gain, out=target)
            np.add(target, self._offset, out=target)

    def canonical(self, image: Tensor) -> Tensor:
        """A picture that a filter gave (its layout and colours, [0, 1]) as a canonical one. May share its memory."""
        picture = image.transpose(2, 0, 1) if self._nhwc else image
        return picture[::-1] if self._bgr else picture
