"""Trains the three networks of the signs demo from rendered frames, with fixed seeds; resumable per network.

`python -m models.signs.train denoise|primary|redundant`. Checkpoints go to `.work/`; nothing is exported here.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.signs.artwork import CLASSES
from models.signs.data import TRAINING, WORK
from models.signs.frames import area, exposures, mixed
from models.signs.nets import Denoise, Primary, Redundant, squeeze

FRAMES = 44_000
BATCH = 128
EPOCHS = {"denoise": 4, "primary": 7, "redundant": 9}
RATE = {"denoise": 3e-3, "primary": 3e-3, "redundant": 2e-3}
EPSILON = 8 / 255  # the redundant model's adversary, largest change of a channel in [0, 1]


def training_set() -> tuple[Tensor, Tensor]:
    """Return (N, 3, 32, 32) uint8 frames and their labels, rendered once and kept."""
    cache = WORK / "train.npz"
    if not cache.exists():
        images, labels, _ = exposures(
            FRAMES, split="train", seed=11, weather=mixed, per_scene=8, assets=TRAINING
        )
        partial = cache.with_suffix(".partial.npz")
        np.savez(partial, images=area(images), labels=labels)
        partial.replace(cache)
    with np.load(cache) as file:
        return torch.from_numpy(file["images"]), torch.from_numpy(file["labels"])


def checkpoint(name: str) -> Path:
    return WORK / f"{name}.pt"


def load(name: str) -> nn.Module:
    net = _build(name)
    net.load_state_dict(torch.load(checkpoint(name), weights_only=True))
    return net.eval()


def _build(name: str) -> nn.Module:
    return (
        Denoise() if name == "denoise" else {"primary": Primary, "redundant": Redundant}[name](len(CLASSES))
    )


def _dirty(x: Tensor) -> Tensor:
    """Return the batch with one kind of disturbance a row: Gaussian, uniform, impulse, or none."""
    kind = torch.randint(0, 4, (len(x), 1, 1, 1))
    strength = torch.rand(len(x), 1, 1, 1)
    gaussian = torch.randn_like(x) * (0.08 * strength)
    uniform = (torch.rand_like(x) * 2 - 1).sign() * (12 / 255 * strength)
    impulse = (torch.rand_like(x[:, :1]) < 0.06 * strength) * (torch.randint_like(x[:, :1], 0, 2) - x)
    return (x + (kind == 0) * gaussian + (kind == 1) * uniform + (kind == 2) * impulse).clamp(0, 1)


def _occlude(x: Tensor) -> Tensor:
    """Cover a rectangle of random texture in half of the batch, so that no single spot decides."""
    x = x.clone()
    for row in range(0, len(x), 2):
        h, w = (int(v) for v in torch.randint(3, 9, (2,)))
        top, left = int(torch.randint(4, 28 - h, (1,))), int(torch.randint(4, 28 - w, (1,)))
        coarse = torch.rand(1, 3, max(1, h // 2), max(1, w // 2))
        x[row, :, top : top + h, left : left + w] = F.interpolate(coarse, (h, w))[0]
    return x


def _loss_denoise(net: nn.Module, x: Tensor, _: Tensor) -> Tensor:
    out = net(_dirty(x))
    return F.mse_loss(out, x) + 0.1 * F.l1_loss(out, x)


def _views(filtered: nn.Module, x: Tensor) -> Tensor:
    """Return the batch as the run time may show it: raw, filtered, squeezed; a third each.

    Ordinary training on purpose, no adversary and no artificial noise: the primary stands for the network that a user
    brings, and what protects it has to come from around it.
    """
    raw, passed, squeezed = x.chunk(3)
    return torch.cat((raw, filtered(passed), squeeze(squeezed))).detach()


def _primary_loss(filtered: nn.Module) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
    def loss(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(net(_views(filtered, x)), y, label_smoothing=0.02)

    return loss


def _loss_redundant(net: nn.Module, x: Tensor, y: Tensor, epsilon: float) -> Tensor:
    x = _occlude(x)
    delta = ((torch.rand_like(x) * 2 - 1) * epsilon).requires_grad_()
    F.cross_entropy(net((x + delta).clamp(0, 1)), y).backward()
    assert delta.grad is not None
    step = (delta.detach() + 1.25 * epsilon * delta.grad.sign()).clamp(-epsilon, epsilon)
    net.zero_grad(set_to_none=True)
    step[: len(x) // 4] = 0  # a quarter stays clean, so that clean accuracy does not suffer
    return F.cross_entropy(net((x + step).clamp(0, 1)), y, label_smoothing=0.02)


def train(name: str) -> None:
    if checkpoint(name).exists():
        print(f"{name}: checkpoint exists, not trained again")
        return
    images, labels = training_set()
    torch.manual_seed({"denoise": 1, "primary": 2, "redundant": 3}[name])
    net = _build(name).train()
    print(f"{name}: {sum(p.numel() for p in net.parameters())} parameters", flush=True)
    steps = EPOCHS[name] * (len(images) // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), RATE[name], weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE[name], total_steps=steps, pct_start=0.15)
    loss_of = _primary_loss(load("denoise")) if name == "primary" else _loss_denoise
    began, step = time.monotonic(), 0
    for epoch in range(EPOCHS[name]):
        order, running = torch.randperm(len(images)), 0.0
        for k in range(len(images) // BATCH):
            rows = order[k * BATCH : (k + 1) * BATCH]
            x, y = images[rows].float() / 255, labels[rows]
            if name == "redundant":
                loss = _loss_redundant(net, x, y, EPSILON * min(1.0, step / (0.3 * steps)))
            else:
                loss = loss_of(net, x, y)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            running, step = running + loss.item(), step + 1
            if step == 20:
                print(f"{name}: about {(time.monotonic() - began) / 20 * steps:.0f} s to go", flush=True)
        print(
            f"{name}: epoch {epoch + 1}, loss {running / (k + 1):.4f}, {time.monotonic() - began:.0f} s",
            flush=True,
        )
    torch.save(net.state_dict(), checkpoint(name))


def main() -> None:
    torch.set_num_threads(int(os.environ.get("TRAIN_THREADS", "1")))  # one: two networks train side by side
    if sys.argv[1:] == ["--render"]:
        print(f"frames: {len(training_set()[0])}")
        return
    for name in sys.argv[1:] or ["denoise", "primary", "redundant"]:
        train(name)


if __name__ == "__main__":
    main()
