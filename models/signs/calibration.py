"""Renders the calibration split's frames as the demo's drive shows them: `... -m models.signs.calibration OUT.npz`.

Used by `edgeguard calibrate` in the run-time environment: numpy and Pillow only, no model, nothing committed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hil.camera import Camera
from models.signs.frames import Bytes, Labels, exposures

FRAMES = 4500
PER_APPROACH = 10
HELD_OUT = 3
"""The last third, which certifies the risk, is of single pictures: frames of one approach are not independent."""


def render(
    count: int = FRAMES, *, seed: int = 77, split: str = "calibration"
) -> tuple[Bytes, Labels, tuple[str, ...]]:
    """Return (count, 64, 64, 3) uint8 frames, labels and class names: approaches of 10 frames, then single ones."""
    single = count // HELD_OUT
    drives = exposures(count - single, split=split, seed=seed, per_scene=PER_APPROACH)
    alone = exposures(single, split=split, seed=seed + 1, per_scene=1)
    images, labels = (np.concatenate(pair) for pair in zip(drives[:2], alone[:2]))
    return images, labels, Camera(split=split, seed=seed).classes


def main() -> None:
    """Write one npz with `images`, `labels` and `classes`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--seed", type=int, default=77)
    arguments = parser.parse_args()
    images, labels, classes = render(arguments.frames, seed=arguments.seed)
    np.savez(arguments.out, images=images, labels=labels, classes=np.array(classes))
    print(f"{len(images)} frames of {len(classes)} classes in {arguments.out}")


if __name__ == "__main__":
    main()
