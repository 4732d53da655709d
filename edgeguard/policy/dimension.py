"""Units of measurement as text and as algebra: `m/s2` times `m` is `m2/s2`, and `m/s` is not `km/h`.

Nothing is ever converted: two units are equal when dimension and scale are, and otherwise they do not fit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType

Powers = tuple[tuple[str, int], ...]
"""Names with their exponents, in the order of the names, none of them zero."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A scale times powers of base dimensions. `symbols` is only how it is written."""

    scale: Fraction
    powers: Powers
    symbols: Powers = field(compare=False, default=())

    def __mul__(self, other: Unit) -> Unit:
        return _product(self, other, 1)

    def __truediv__(self, other: Unit) -> Unit:
        return _product(self, other, -1)

    def __str__(self) -> str:
        above = [_power(name, n) for name, n in self.symbols if n > 0]
        below = [_power(name, -n) for name, n in self.symbols if n < 0]
        return "/".join(["*".join(above) or "1", *below])


LONGEST_UNIT = 24
"""Characters of a unit's text."""

ONE = Unit(Fraction(1), ())
"""A plain number: what a signal without a unit is, and what counts things."""

_KILO, _MILLI, _MICRO = Fraction(1000), Fraction(1, 1000), Fraction(1, 1_000_000)
_FORCE = {"mass": 1, "length": 1, "time": -2}
_PRESSURE = {"mass": 1, "length": -1, "time": -2}
_ENERGY = {"mass": 1, "length": 2, "time": -2}
_POWER = {"mass": 1, "length": 2, "time": -3}
_VOLTAGE = {**_POWER, "current": -1}
_TABLE: Mapping[str, tuple[Fraction | int, Mapping[str, int]]] = {
    "us": (_MICRO, {"time": 1}), "ms": (_MILLI, {"time": 1}), "s": (1, {"time": 1}),
    "min": (60, {"time": 1}), "h": (3600, {"time": 1}),
    "um": (_MICRO, {"length": 1}), "mm": (_MILLI, {"length": 1}), "cm": (Fraction(1, 100), {"length": 1}),
    "m": (1, {"length": 1}), "km": (_KILO, {"length": 1}),
    "g": (_MILLI, {"mass": 1}), "kg": (1, {"mass": 1}),
    "N": (1, _FORCE), "kN": (_KILO, _FORCE),
    "Pa": (1, _PRESSURE), "kPa": (_KILO, _PRESSURE), "bar": (100_000, _PRESSURE),
    "mmHg": (Fraction(133_322_387_415, 10**9), _PRESSURE),
    "J": (1, _ENERGY), "W": (1, _POWER), "kW": (_KILO, _POWER),
    "V": (1, _VOLTAGE), "mV": (_MILLI, _VOLTAGE), "A": (1, {"current": 1}), "mA": (_MILLI, {"current": 1}),
    "Hz": (1, {"time": -1}), "kHz": (_KILO, {"time": -1}),
    "rad": (1, {"angle": 1}), "deg": (Fraction(math.pi / 180.0), {"angle": 1}),
    "K": (1, {"temperature": 1}), "degC": (1, {"temperature above freezing": 1}),
    "px": (1, {"pixels": 1}), "lx": (1, {"illuminance": 1}), "%": (Fraction(1, 100), {}), "1": (1, {}),
}  # fmt: skip


def _entry(symbol: str, scale: Fraction | int, powers: Mapping[str, int]) -> Unit:
    shown: Powers = () if symbol == "1" else ((symbol, 1),)
    return Unit(Fraction(scale), tuple(sorted(powers.items())), shown)


UNITS: Mapping[str, Unit] = MappingProxyType({name: _entry(name, *row) for name, row in _TABLE.items()})
"""Every symbol that a unit may be made of. Angles, temperatures in degC, pixels and light keep to themselves."""

OTHERWISE_CALLED: Mapping[str, str] = MappingProxyType({
    "sec": "s", "msec": "ms", "usec": "us", "hr": "h", "hour": "h", "minute": "min",
    "kmh": "km/h", "kph": "km/h", "kmph": "km/h", "mps": "m/s", "rpm": "1/min", "fps": "1/s", "bpm": "1/min",
    "meter": "m", "metre": "m", "Newton": "N", "percent": "%", "degree": "deg", "degrees": "deg", "radian": "rad",
    "C": "degC", "celsius": "degC", "Kelvin": "K", "pixel": "px", "pixels": "px", "lux": "lx", "volt": "V",
})  # fmt: skip
"""How else people write a unit: only for the hint."""

_FACTOR = re.compile(r"([A-Za-z]+|%|1)([2-9]?)\Z")


class UnknownUnitError(Exception):
    """A part of a unit that is not in the table; never leaves the room."""

    def __init__(self, symbol: str) -> None:
        super().__init__(symbol)
        self.symbol = symbol


@lru_cache(maxsize=1024)
def parse_unit(text: str) -> Unit:
    """The unit of `m/s2`, `N*m`, `1/s`: factors joined by `*` and `/`, read from the left; empty: a plain number.

    Raises:
        UnknownUnitError: a factor is not a known symbol with an optional power from 2 to 9.
    """
    found = ONE
    for sign, factor in _factors(text):
        match = _FACTOR.match(factor)
        if match is None or match[1] not in UNITS:
            raise UnknownUnitError(match[1] if match else factor or text)
        for _ in range(int(match[2] or 1)):
            found = _product(found, UNITS[match[1]], sign)
    return found


def _factors(text: str) -> list[tuple[int, str]]:
    """Each factor with +1 or -1 for multiplied and divided."""
    if not text:
        return []
    parts = re.split(r"([*/])", text)
    signs = [1, *(1 if op == "*" else -1 for op in parts[1::2])]
    return list(zip(signs, parts[::2]))


def _product(left: Unit, right: Unit, sign: int) -> Unit:
    scale = left.scale * right.scale if sign > 0 else left.scale / right.scale
    return Unit(
        scale, _sum(left.powers, right.powers, sign), _sum(left.symbols, right.symbols, sign, in_order=False)
    )


def _sum(left: Powers, right: Powers, sign: int, *, in_order: bool = True) -> Powers:
    found = dict(left)
    for name, power in right:
        found[name] = found.get(name, 0) + sign * power
    kept = [(name, power) for name, power in found.items() if power]
    return tuple(sorted(kept)) if in_order else tuple(kept)


def _power(symbol: str, exponent: int) -> str:
    return symbol if exponent == 1 else f"{symbol}{exponent}"


def shown(unit: Unit) -> str:
    """A unit for a message: in backticks, or as words."""
    return f"`{unit}`" if unit.symbols else "a plain number"
