"""Semi-synthetic tracking camera: real photographs and real sign artwork, put together by this file.

It gives the rig and the training scripts one and the same 64x64 RGB crop around a roadside object, deterministic
from the seed and the order of calls. It may use numpy and Pillow only: no network, no model, no clock, no torch.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

DEFAULT: Final = Path(__file__).parent / "assets"
SIZE: Final = 64  # pixels: side of a frame
UNKNOWN: Final = "unknown"
VISIBLE_M: Final = 60.0  # metres: where the tracker first holds the object
NEAREST_M: Final = 2.0  # metres: closer than this the sign has left the picture

# A 0.75 m sign behind a lens of 800 pixels focal length is 600/d pixels wide at d metres: 10 pixels at 60 m.
SIGN_PIXEL_METRES: Final = 600.0
SIGN_WIDTH: Final = 42.0  # pixels: the tracker keeps the sign about this wide in the frame
SENSOR_NOISE: Final = 1.5  # 8-bit counts, always there: two real frames are never equal
MEMORY: Final = 0.97  # per frame: how much of the pose survives to the next frame
JITTER: Final = 8  # slowly wandering quantities, see `_Pose`

Frame = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Condition:
    """What the weather, the sensor or an attacker does to a frame."""

    light: float = 1.0  # factor on the light that reaches the sensor; 0.25 is a lit street at night
    noise: float = 0.0  # 8-bit counts, standard deviation, on top of the sensor's own
    blur: float = 0.0  # pixels, standard deviation of a Gaussian
    patch: bool = False  # the adversarial patch sticks on the sign
    attack: str | None = None  # "pgd": play the precomputed adversarial frames of a stop sign


@dataclass(frozen=True, slots=True)
class _Scene:
    """What stays the same over one approach."""

    sign: str | None
    sprite: Image.Image | None
    photo: Image.Image
    crop: float  # photograph pixels: side of the background crop
    centre: tuple[float, float]  # photograph pixels
    yaw: float  # radians: the sign's plate turned away from the road
    tilt: float  # radians: the post does not stand straight
    gain: NDArray[np.float32]  # per colour channel: exposure, white balance, faded paint
    run: int  # which precomputed attack sequence plays


class Camera:
    """One camera on one vehicle; every call of `frame` is one exposure."""

    def __init__(self, *, split: str = "test", seed: int, assets: Path = DEFAULT) -> None:
        index: dict[str, Any] = json.loads((assets / "assets.json").read_text(encoding="utf-8"))
        self.classes: tuple[str, ...] = tuple(index["classes"])
        self._index = index
        self._assets = assets
        self._rng = np.random.default_rng(seed)
        self._photos = [_photo(assets / p["file"]) for p in index["photographs"] if split in p["splits"]]
        self._sprites: dict[str, list[Image.Image]] = {}
        for entry in index["sprites"]:
            if split in entry["splits"] or entry["sign"] == UNKNOWN:
                self._sprites.setdefault(entry["sign"], []).append(_sprite(assets / entry["file"]))
        if not self._photos:
            raise LookupError(f"no photographs for split `{split}` in `{assets}`")
        self._patch = _load_patch(assets, index)
        self._attack: tuple[Frame, NDArray[np.int64], Floats] | None = None
        self._scene: _Scene | None = None
        self._pose = np.zeros(JITTER)
        self._distance = math.inf

    def signs(self) -> tuple[str, ...]:
        """Return the signs that `frame` can show: the classes with artwork in this split, and `unknown`."""
        return tuple(sorted(self._sprites))

    def new_approach(self) -> None:
        """Make the next frame start a new approach even if its sign and distance would continue the last."""
        self._scene = None

    def frame(self, sign: str | None, distance: float, condition: Condition = Condition()) -> Frame:
        """Return one exposure, (64, 64, 3) uint8 RGB, of `sign` at `distance` metres.

        A change of sign, or a distance more than 5 m longer than the last, starts a new approach: another
        artwork, background and light. Raises: LookupError for a sign without artwork in this split.
        """
        scene = self._advance(sign, distance)
        if condition.attack == "pgd" and sign == "stop" and NEAREST_M <= distance <= VISIBLE_M:
            pixels = self._attacked(scene.run, distance)
        else:
            pixels = self.expose(distance, condition)
        sigma = math.hypot(SENSOR_NOISE if condition.attack is None else 1.0, condition.noise)
        noise = self._rng.standard_normal(pixels.shape, dtype=np.float32)
        noise *= np.float32(sigma)
        noise += pixels
        np.rint(noise, out=noise)
        return np.clip(noise, 0, 255, out=noise).astype(np.uint8)

    def expose(self, distance: float, condition: Condition, patch: Image.Image | None = None) -> Floats:
        """Return the light of the current pose before sensor noise, float32 in 8-bit counts.

        `patch` overrides the committed one; the training scripts optimise it through this function.
        """
        scene = self._scene
        if scene is None:
            raise LookupError("no scene yet: call `frame` first")
        image = self._background(scene)
        if scene.sprite is not None and NEAREST_M <= distance <= VISIBLE_M:
            sprite = scene.sprite
            if condition.patch:
                sprite = self._stick(sprite, patch)
            warped = sprite.transform(
                (SIZE, SIZE), Image.Transform.PERSPECTIVE, self._warp(scene), Image.Resampling.BILINEAR
            )
            image.paste(warped, (0, 0), warped)
        image = _resolve(image, distance)
        if condition.blur > 0.0:
            image = image.filter(ImageFilter.GaussianBlur(condition.blur))
        wander = math.exp(0.04 * self._pose[6]) * condition.light
        pixels: Floats = np.asarray(image, dtype=np.float32) * (scene.gain * np.float32(wander))
        return np.clip(pixels, 0.0, 255.0, out=pixels)

    def _advance(self, sign: str | None, distance: float) -> _Scene:
        if self._scene is None or sign != self._scene.sign or distance > self._distance + 5.0:
            self._scene = self._new_scene(sign)
            self._pose = self._rng.standard_normal(JITTER)
        self._distance = distance
        kick = math.sqrt(1.0 - MEMORY * MEMORY)
        self._pose = np.clip(MEMORY * self._pose + kick * self._rng.standard_normal(JITTER), -2.5, 2.5)
        return self._scene

    def _new_scene(self, sign: str | None) -> _Scene:
        rng = self._rng
        sprite = None
        if sign is not None and sign != "none":
            choices = self._sprites.get(sign)
            if not choices:
                raise LookupError(f"no artwork of `{sign}` in this split")
            sprite = choices[int(rng.integers(len(choices)))]
        photo = self._photos[int(rng.integers(len(self._photos)))]
        width, height = photo.size
        crop = float(rng.uniform(0.25, 0.7)) * min(width, height)
        room = crop / 2 + 12.0
        centre = (float(rng.uniform(room, width - room)), float(rng.uniform(room, height - room)))
        if rng.random() < 0.5:
            photo = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            centre = (width - centre[0], centre[1])
        gain = rng.uniform(0.75, 1.15) * np.exp(rng.normal(0.0, 0.05, 3))
        yaw, tilt = float(rng.uniform(-0.6, 0.6)), float(rng.normal(0.0, 0.05))
        return _Scene(
            sign, sprite, photo, crop, centre, yaw, tilt, gain.astype(np.float32), int(rng.integers(1 << 16))
        )

    def _background(self, scene: _Scene) -> Image.Image:
        x, y = scene.centre[0] + 4.0 * self._pose[7], scene.centre[1] + 3.0 * self._pose[1]
        half = scene.crop / 2
        return scene.photo.resize(
            (SIZE, SIZE),
            Image.Resampling.BILINEAR,
            (x - half, y - half, x + half, y + half),
            reducing_gap=2.0,
        )

    def _warp(self, scene: _Scene) -> tuple[float, ...]:
        """Return Pillow's eight coefficients from frame to sprite coordinates."""
        pose = self._pose
        width = SIGN_WIDTH * math.exp(0.06 * pose[2])
        turn = scene.tilt + 0.03 * pose[3]
        cosine, sine = math.cos(turn), math.sin(turn)
        across = SIZE / (width * math.cos(scene.yaw + 0.06 * pose[4]))
        down = SIZE / width
        centre_x, centre_y = 31.5 + 1.6 * pose[0], 31.5 + 1.6 * pose[1]
        far = 0.004 * math.sin(scene.yaw), 0.0006 * pose[5]  # 1/pixel: the far edge is smaller
        to_centre = np.array([[1, 0, -centre_x], [0, 1, -centre_y], [0, 0, 1]], dtype=float)
        keystone = np.array([[1, 0, 0], [0, 1, 0], [far[0], far[1], 1]])
        rotate = np.array([[across * cosine, across * sine, 0], [-down * sine, down * cosine, 0], [0, 0, 1]])
        to_sprite = np.array([[1, 0, SIZE / 2], [0, 1, SIZE / 2], [0, 0, 1]], dtype=float)
        matrix = to_sprite @ rotate @ keystone @ to_centre
        return tuple((matrix / matrix[2, 2]).ravel()[:8].tolist())

    def _stick(self, sprite: Image.Image, patch: Image.Image | None) -> Image.Image:
        """Return the sprite with the patch on its surface, in sprite coordinates, before the warp."""
        stuck = sprite.copy()
        chosen = patch if patch is not None else self._patch
        if chosen is None:
            raise LookupError(f"no adversarial patch in `{self._assets}`")
        stuck.paste(chosen, patch_corner(chosen.width))
        return stuck

    def _attacked(self, run: int, distance: float) -> Floats:
        if self._attack is None:
            with np.load(self._assets / "pgd.npz") as file:
                self._attack = (
                    file["images"],
                    file["runs"].astype(np.int64),
                    file["distances"].astype(np.float32),
                )
        images, runs, distances = self._attack
        rows = np.flatnonzero(runs == run % (int(runs.max()) + 1))
        nearest = rows[int(np.argmin(np.abs(distances[rows] - distance)))]
        chosen: Floats = images[nearest].astype(np.float32)
        return chosen


def patch_corner(side: int) -> tuple[int, int]:
    """Return the patch's upper left corner in sprite pixels: it sticks on the middle of the sign."""
    return (SIZE - side) // 2, (SIZE - side) // 2


def _resolve(image: Image.Image, distance: float) -> Image.Image:
    """Take away the detail that the lens cannot resolve at `distance` metres."""
    side = SIZE * SIGN_PIXEL_METRES / (SIGN_WIDTH * min(max(distance, NEAREST_M), VISIBLE_M))
    if side >= SIZE:
        return image
    small = image.resize((round(side), round(side)), Image.Resampling.BOX)
    return small.resize((SIZE, SIZE), Image.Resampling.BILINEAR)


def _photo(path: Path) -> Image.Image:
    with Image.open(path) as image:
        converted: Image.Image = image.convert("RGB")
    return converted


def _sprite(path: Path) -> Image.Image:
    with Image.open(path) as image:
        sprite: Image.Image = image.convert("RGBA").resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    return sprite


def _load_patch(assets: Path, index: dict[str, Any]) -> Image.Image | None:
    """Return the committed patch; a set that is still being made has none."""
    name = index.get("patch")
    if name is None or not (assets / name).exists():
        return None
    with Image.open(assets / name) as image:
        patch: Image.Image = image.convert("RGBA")
    return patch
