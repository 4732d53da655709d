"""Everything that measures doubt or health, as pure functions from values to values, and the check of every reading.

Larger is worse except where named certainty. No model, no file, no clock: time is an argument.
"""

from __future__ import annotations

from edgeguard.signals.doubt import probabilities, total_variation
from edgeguard.signals.health import FrameHealth, frame_age
from edgeguard.signals.readings import readings

__all__ = ["FrameHealth", "frame_age", "probabilities", "readings", "total_variation"]
