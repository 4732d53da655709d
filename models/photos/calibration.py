"""Cuts pictures to build and calibrate with out of photographs: `... -m models.photos.calibration OUT.npz`.

Used by `edgeguard build` in the run-time environment: numpy and Pillow only, no model, nothing committed. The
photographs have no ImageNet labels: what is measured on them is agreement, never accuracy.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HERE = Path(__file__).parent
FOLDERS = (HERE / "images", HERE.parents[1] / "hil" / "assets" / "photographs")
SIDE = 224  # pixels
SMALLEST = 160  # pixels of the photograph
NOISE = 1.5  # standard deviation in 8-bit counts: as of a camera, no two pictures are equal


def photographs() -> list[Image.Image]:
    """Return every photograph of the demo, each name once."""
    files = {file.stem: file for folder in FOLDERS for file in sorted(folder.glob("*.jpg"))}
    found = []
    for file in files.values():
        with Image.open(file) as picture:
            found.append(picture.convert("RGB"))
    return found


def render(count: int, *, seed: int = 7) -> NDArray[np.uint8]:
    """Return (count, 224, 224, 3) uint8: square cuts of random place and size, half of them mirrored, lit and noisy."""
    rng = np.random.default_rng(seed)
    sources = photographs()
    out = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for i in range(count):
        source = sources[i % len(sources)]
        side = int(rng.integers(SMALLEST, min(source.size) + 1))
        left, top = (int(rng.integers(0, edge - side + 1)) for edge in source.size)
        cut = source.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
        pixels = np.asarray(cut, np.float32) * rng.uniform(0.6, 1.2) + rng.normal(0.0, NOISE, out.shape[1:])
        out[i] = np.clip(pixels[:, :: int(rng.choice((1, -1)))], 0, 255)
    return out


def main() -> None:
    """Write one npz with `images`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    images = render(arguments.frames, seed=arguments.seed)
    np.savez(arguments.out, images=images)
    print(f"{len(images)} pictures in {arguments.out}")


if __name__ == "__main__":
    main()
