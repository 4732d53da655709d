"""Makes the demo's adversarial patch and PGD frames, white-box against the unguarded answer.

Targets are harmless signs. Results are pictures in `hil/assets`; the networks are only read here.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from hil.camera import DEFAULT, SIZE, Camera, Condition
from models.signs.artwork import CLASSES
from models.signs.data import TRAINING
from models.signs.train import load

# 26 of 64 sprite pixels, 41 % of the sign's width, 16 % of its area.
# With 18 pixels (28 %) no harmless sign was ever read.
TEXELS, TEXEL = 13, 2  # texels a side, sprite pixels a texel
TARGETS = ("no_pedestrians", "speed_100", "end_limits")  # signs that let the vehicle drive on
POSES = 300
RUNS, STEP_M = 4, 1.3  # PGD: approaches, and metres between two frames of one
COUNTS = 12  # PGD: largest change of a pixel, 8-bit counts

Networks = tuple[nn.Module, nn.Module]  # primary, denoise


def _answers(nets: Networks, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits of the filtered and of the raw pass: the attacker wants both, so that they agree."""
    primary, denoise = nets
    return primary(denoise(x)), primary(x)


def _blocks(pixels: Tensor) -> Tensor:
    """Return (..., 32, 32) from (..., 64, 64): the area resize of the manifests."""
    return F.avg_pool2d(pixels, 2)


def pgd(nets: list[Networks], x: Tensor, y: Tensor, epsilon: float, steps: int = 30) -> Tensor:
    """Return x + delta, untargeted on label y through the filtered and the raw pass."""
    delta = (torch.rand_like(x) * 2 - 1) * epsilon
    for _ in range(steps):
        delta.requires_grad_()
        loss = sum(F.cross_entropy(a, y) for n in nets for a in _answers(n, (x + delta).clamp(0, 1)))
        (grad,) = torch.autograd.grad(loss, delta)
        delta = (delta.detach() + 2.5 * epsilon / steps * grad.sign()).clamp(-epsilon, epsilon)
    return (x + delta).clamp(0, 1)


# --- the patch: a frame is a linear function of the patch's texels, so the camera itself gives the derivative ---------


def _solid(texels: np.ndarray) -> Image.Image:
    """Return the patch picture of (TEXELS, TEXELS, 3) uint8."""
    return Image.fromarray(texels).resize((TEXELS * TEXEL,) * 2, Image.Resampling.NEAREST).convert("RGBA")


def _responses(camera: Camera, distance: float) -> tuple[Tensor, Tensor]:
    """Return the frame under a black patch (3, 32, 32) and its change per texel (3, 81, 32, 32), for values 0..1."""
    sticky = Condition(patch=True)
    black = camera.expose(distance, sticky, _solid(np.zeros((TEXELS, TEXELS, 3), np.uint8)))
    white = camera.expose(distance, sticky, _solid(np.full((TEXELS, TEXELS, 3), 255, np.uint8)))
    count = -(-TEXELS * TEXELS // 3) * 3  # whole triples: the last may have texels that do not exist
    change = np.zeros((count, SIZE, SIZE), np.float32)
    for first in range(0, count, 3):  # three texels a picture, one a colour channel
        lit = np.zeros((count, 3), np.uint8)
        for channel in range(3):
            lit[first + channel, channel] = 255
        shown = (
            camera.expose(distance, sticky, _solid(lit[: TEXELS * TEXELS].reshape(TEXELS, TEXELS, 3))) - black
        )
        change[first : first + 3] = shown.transpose(2, 0, 1)
    gain = (white - black).sum((0, 1)) + 1e-6  # light each channel gets from the whole patch
    change = change.reshape(-1, 3, SIZE, SIZE) / gain[None, :, None, None]
    shares = torch.from_numpy(change.reshape(-1, SIZE, SIZE)[: TEXELS * TEXELS])
    per_channel = torch.from_numpy(gain)[:, None, None, None] * shares[None]
    return _blocks(torch.from_numpy(black.transpose(2, 0, 1).copy())) / 255, _blocks(per_channel) / 255


def _poses(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return responses at `count` poses of training stop signs, most of them where the vehicle must brake."""
    rng = np.random.default_rng(seed)
    camera = Camera(split="train", seed=seed, assets=TRAINING)
    bases, changes = [], []
    for _ in range(count):
        distance = float(rng.uniform(3.0, 40.0))
        camera.new_approach()
        camera.frame("stop", distance)
        base, change = _responses(camera, distance)
        bases.append(base)
        changes.append(change)
    return torch.stack(bases), torch.stack(changes)


def _apply(base: Tensor, change: Tensor, patch: Tensor) -> Tensor:
    frames = base + torch.einsum("ct,nctyx->ncyx", patch, change)
    return (frames + 0.01 * torch.randn_like(frames)).clamp(0, 1)


def _optimise(nets: Networks, poses: tuple[Tensor, Tensor], target: int, steps: int) -> tuple[Tensor, float]:
    torch.manual_seed(target)
    raw = torch.randn(3, TEXELS * TEXELS).requires_grad_()
    optimiser = torch.optim.Adam([raw], 0.15)
    rate = 0.0
    for _ in range(steps):
        rows = torch.randint(0, len(poses[0]), (32,))
        answers = _answers(nets, _apply(poses[0][rows], poses[1][rows], raw.sigmoid()))
        wanted = torch.full((len(rows),), target)
        loss = sum(F.cross_entropy(a, wanted) for a in answers)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        hit = sum(float((a.argmax(1) == target).float().mean()) for a in answers) / 2
        rate = 0.95 * rate + 0.05 * hit
    return raw.detach().sigmoid(), rate


def make_patch(nets: Networks, folder: Path = DEFAULT) -> str:
    """Optimise the patch for the harmless sign it reaches most often; write `patch.png`; return that sign."""
    poses = _poses(POSES, seed=31)
    tried = {t: _optimise(nets, poses, CLASSES.index(t), 100)[1] for t in TARGETS}
    best = max(tried, key=lambda t: tried[t])
    print("patch targets tried:", {t: round(r, 2) for t, r in tried.items()}, flush=True)
    patch, rate = _optimise(nets, poses, CLASSES.index(best), 400)
    texels = (patch.T.reshape(TEXELS, TEXELS, 3) * 255).round().to(torch.uint8).numpy()
    _solid(texels).save(folder / "patch.png", optimize=True)
    (TRAINING / "patch.png").write_bytes((folder / "patch.png").read_bytes())
    print(f"patch: `{best}` in {rate:.0%} of training poses", flush=True)
    return best


# --- PGD frames -------------------------------------------------------------------------------------------------------


def _approach(run: int) -> tuple[np.ndarray, np.ndarray]:
    camera = Camera(split="test", seed=900 + run)
    distances = np.arange(60.0, 1.9, -STEP_M)
    frames = []
    for distance in distances:
        camera.frame("stop", float(distance))
        frames.append(np.rint(camera.expose(float(distance), Condition())).astype(np.uint8))
    return np.stack(frames), distances


def _perturb(nets: Networks, frames: np.ndarray, target: int, steps: int = 40) -> np.ndarray:
    """Return frames changed by at most `COUNTS` counts, read as `target`; whole 2x2 blocks move together."""
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    wanted = torch.full((len(pixels),), target)
    delta = torch.zeros(len(pixels), 3, 32, 32)
    for _ in range(steps):
        delta.requires_grad_()
        moved = (pixels + F.interpolate(delta, scale_factor=2.0)).clamp(0, 255) / 255
        noisy = _blocks(moved + torch.randn_like(moved) / 255)
        loss = sum(F.cross_entropy(a, wanted) for a in _answers(nets, noisy))
        (grad,) = torch.autograd.grad(loss, delta)
        delta = (delta.detach() - 1.0 * grad.sign()).clamp(-COUNTS, COUNTS)
    final = (pixels + F.interpolate(delta.round(), scale_factor=2.0)).clamp(0, 255)
    return final.permute(0, 2, 3, 1).to(torch.uint8).numpy()


def make_pgd(nets: Networks, target: str, folder: Path = DEFAULT) -> None:
    """Write `pgd.npz`: images (N, 64, 64, 3), runs (N,) and distances (N,) in metres."""
    images, runs, distances = [], [], []
    for run in range(RUNS):
        frames, along = _approach(run)
        images.append(_perturb(nets, frames, CLASSES.index(target)))
        runs.append(np.full(len(along), run, np.int8))
        distances.append(along.astype(np.float32))
    np.savez_compressed(
        folder / "pgd.npz",
        images=np.concatenate(images),
        runs=np.concatenate(runs),
        distances=np.concatenate(distances),
    )
    with torch.no_grad():
        shown = torch.from_numpy(np.concatenate(images)).permute(0, 3, 1, 2).float()
        seen = _answers(nets, _blocks((shown + torch.randn_like(shown)).clamp(0, 255) / 255))
    print(
        "pgd: reached in",
        [f"{float((a.argmax(1) == CLASSES.index(target)).float().mean()):.0%}" for a in seen],
    )
    print(f"pgd: {sum(map(len, images))} frames towards `{target}`", flush=True)


def main() -> None:
    """Make both and note the target in `models/signs/.work`."""
    torch.manual_seed(5)
    nets = load("primary"), load("denoise")
    target = make_patch(nets)
    (TRAINING.parent / "target.json").write_text(json.dumps({"target": target}), encoding="utf-8")
    make_pgd(nets, target)


if __name__ == "__main__":
    main()
