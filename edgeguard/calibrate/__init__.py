"""From clean pictures to thresholds and bounds: how much doubt is ordinary, how much each model is worth.

Runs at a desk, never on the frame path. Reads pictures only; models come as built `Perception`s. Signs nothing and
writes nothing: the command line does.
"""

from __future__ import annotations

from edgeguard.calibrate.primaries import primaries
from edgeguard.calibrate.qualify import qualify
from edgeguard.calibrate.run import CALIBRATED, Calibrated, calibrate, held_out
from edgeguard.calibrate.source import ImageSet, open_images

__all__ = [
    "CALIBRATED",
    "Calibrated",
    "ImageSet",
    "calibrate",
    "held_out",
    "open_images",
    "primaries",
    "qualify",
]
