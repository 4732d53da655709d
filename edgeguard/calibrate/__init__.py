"""From clean pictures to thresholds: how much doubt is ordinary. Runs at a desk, never on the frame path.

Reads pictures only; models come as a built `Perception`. Signs nothing and writes nothing: the command line does.
"""

from __future__ import annotations

from edgeguard.calibrate.run import CALIBRATED, Calibrated, calibrate
from edgeguard.calibrate.source import ImageSet, open_images

__all__ = ["CALIBRATED", "Calibrated", "ImageSet", "calibrate", "open_images"]
