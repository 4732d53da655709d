"""Which signals exist: what each model and each part of the guard measures, so that a misspelt one is found at load.

A table and look-ups only. Signals `from: context` are the integrator's and may have any name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Takes(NamedTuple):
    """The models that a measure is computed from."""

    roles: tuple[str, ...] = ("primary",)
    least: int = 0
    """How many redundant models besides, at least and at most."""
    most: int = 0


MODEL_SIGNALS: Mapping[str, Takes] = MappingProxyType(
    {
        "certainty": Takes(),
        "energy": Takes(),
        "margin": Takes(),
        "novelty": Takes(),
        "held_for": Takes(),
        "squeezing": Takes(),
        "reconstruction": Takes(("primary", "filter")),
        "disagreement": Takes(least=1, most=1),
        "votes": Takes(least=1, most=15),
        "answer": Takes(),
    }
)
"""What can be measured of models, the answer itself too, and of which models each is computed."""

ANSWERS = frozenset({"answer"})
"""Signals of models that are a class; every other one that the guard measures is a number."""

TRUTHS = frozenset({"mcu_fallback", "mcu_latched"})
"""Numbers of the guard that are 0 or 1, and may be declared as truths."""

OTHER_SIGNALS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "frame": frozenset({"frame_age", "frozen_for", "contrast"}),
        "runtime": frozenset({"latency", "log_failures", "workers_down"}),
        "link": frozenset(
            {
                "link_age",
                "link_latency",
                "link_drops",
                "link_rejected",
                "link_crc_errors",
                "mcu_fallback",
                "mcu_latched",
            }
        ),
    }
)
"""Signals of the camera's picture, the guard's own running and its line. Sources not listed may give any name."""

SECONDS = frozenset({"frame_age", "frozen_for", "latency", "link_age", "link_latency", "held_for"})
"""Signals of the guard that are measured in seconds; every other one is a plain number."""

FAULT_WORDS = ("missing", "stale", "nan")
"""How a test says that a signal is at fault."""

WORSE: Mapping[str, str] = MappingProxyType({
    **dict.fromkeys(("certainty", "contrast", "margin", "held_for", "votes"), "lower"),
    **dict.fromkeys(("disagreement", "reconstruction", "squeezing", "novelty", "energy"), "higher"),
    **dict.fromkeys(("frame_age", "frozen_for", "latency", "log_failures", "workers_down"), "higher"),
    **dict.fromkeys(("link_age", "link_latency", "link_drops", "link_rejected", "link_crc_errors"), "higher"),
    **dict.fromkeys(("mcu_fallback", "mcu_latched"), "higher"),
})  # fmt: skip
"""The direction in which a known signal, or a known measure, tells of doubt, where the policy does not say."""

TAKEN_LOOKS = frozenset({"plain", "squeezed", "filter", "fused", "policy", "calibration"})
"""Names that models cannot have: of looks and roles, and of what stands beside the models in digests and memory."""

ENDS = frozenset({"camera", "decision", "host"})
"""Names that workers cannot have: what channels lead from and to, and the guard's own process."""

FAULT_PREFIX = "signal:"
"""A signal's implicit fault rule is called `signal:NAME`."""

RESERVED = frozenset({
    "authority", "model", "rules", "human", "safe_state", "mode", "command", "calibrated", "true", "false", "in",
    "and", "or", "not",
})  # fmt: skip
"""Names with a meaning of their own in conditions and invariants."""


def every_name() -> tuple[str, ...]:
    """All signal names of models, frame and runtime."""
    return (*MODEL_SIGNALS, *(name for names in OTHER_SIGNALS.values() for name in sorted(names)))


def bound_to_frames(source: str) -> bool:
    """Whether a signal of this source comes with each new frame rather than with each control step."""
    return source not in ("context", "link")
