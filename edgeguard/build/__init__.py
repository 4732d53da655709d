"""Makes models out of admitted models: 8-bit ones, plans, fused graphs. Each is measured against what it came from.

A desk room: the frame path never imports it. Reads pictures and admitted bytes only; signs nothing.
"""

from __future__ import annotations

from edgeguard.build.bundle import Made, fused_of, int8_of, plan_of, write_bundle
from edgeguard.build.comparison import Measured, compare, milliseconds
from edgeguard.build.engine import plan, why_not_measured
from edgeguard.build.fusion import fuse, signals_of
from edgeguard.build.int8 import quantise

__all__ = [
    "Made",
    "Measured",
    "compare",
    "fuse",
    "fused_of",
    "int8_of",
    "milliseconds",
    "plan",
    "plan_of",
    "quantise",
    "signals_of",
    "why_not_measured",
    "write_bundle",
]
