"""Which signals exist: what each model and each part of the guard measures, so that a misspelt one is found at load.

A table and look-ups only. Signals `from: context` are the integrator's and may have any name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MODEL_SIGNALS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "certainty": frozenset({"primary"}),
        "disagreement": frozenset({"primary", "redundant"}),
        "reconstruction": frozenset({"primary", "filter"}),
        "squeezing": frozenset({"primary"}),
        "novelty": frozenset({"primary"}),
        "answer": frozenset({"primary"}),
    }
)
"""Signals of doubt, and the answer itself, with the models that they are computed from."""

ANSWERS = frozenset({"answer"})
"""Signals of models that are a class; every other one that the guard measures is a number."""

TRUTHS = frozenset({"mcu_fallback"})
"""Numbers of the guard that are 0 or 1, and may be declared as truths."""

OTHER_SIGNALS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "frame": frozenset({"frame_age", "frozen_for", "contrast"}),
        "runtime": frozenset({"latency", "log_failures"}),
        "link": frozenset({"link_age", "link_rejected", "mcu_fallback"}),
    }
)
"""Signals of the camera's picture, the guard's own running and its line. Sources not listed may give any name."""

SECONDS = frozenset({"frame_age", "frozen_for", "latency", "link_age"})
"""Signals of the guard that are measured in seconds; every other one is a plain number."""

FAULT_WORDS = ("missing", "stale", "nan")
"""How a test says that a signal is at fault."""

WORSE: Mapping[str, str] = MappingProxyType({
    **dict.fromkeys(("certainty", "contrast"), "lower"),
    **dict.fromkeys(("disagreement", "reconstruction", "squeezing", "novelty"), "higher"),
    **dict.fromkeys(("frame_age", "frozen_for", "latency", "log_failures"), "higher"),
    **dict.fromkeys(("link_age", "link_rejected", "mcu_fallback"), "higher"),
})  # fmt: skip
"""The direction in which a known signal tells of doubt, where the policy does not say."""

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
