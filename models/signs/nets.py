"""The three networks of the signs demo: a CNN, an MLP-mixer of another family, and a denoising autoencoder.

All take float32 RGB in [0, 1], (N, 3, 32, 32), and normalise inside. Architectures only: no training, no files.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Primary(nn.Module):
    """A plain CNN, about 90,000 parameters."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(_block(3, 24, 1), _block(24, 40, 2))
        self.middle = _block(40, 64, 2)
        self.top = _block(64, 96, 2)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(4 * 96, classes)

    def stages(self, image: Tensor) -> tuple[Tensor, Tensor]:
        middle = self.middle(self.stem(image * 4.0 - 2.0))
        return middle, self.top(middle)

    def features(self, image: Tensor) -> Tensor:
        """Return (N, 160): channel means of the last two stages, where the novelty is measured."""
        middle, top = self.stages(image)
        return torch.cat([middle.mean((2, 3)), top.mean((2, 3))], 1)

    def classify(self, top: Tensor) -> Tensor:
        return self.head(self.drop(F.avg_pool2d(top, 2).flatten(1)))

    def forward(self, image: Tensor) -> Tensor:
        return self.classify(self.stages(image)[1])


class _Mix(nn.Module):
    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.norm_tokens, self.norm_width = nn.LayerNorm(width), nn.LayerNorm(width)
        self.across = nn.Sequential(nn.Linear(tokens, tokens), nn.ReLU(), nn.Linear(tokens, tokens))
        self.within = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.across(self.norm_tokens(x).transpose(1, 2)).transpose(1, 2)
        return x + self.within(self.norm_width(x))


class Redundant(nn.Module):
    """An MLP-mixer over 64 overlapping patches: no convolution after the first layer, trained adversarially."""

    def __init__(self, classes: int, width: int = 72, depth: int = 3) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 6, 4, 1)
        self.mixes = nn.Sequential(*(_Mix(64, width) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patches(image * 4.0 - 2.0).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.mixes(x)).mean(1))


class Denoise(nn.Module):
    """A denoising autoencoder with one skip: finer detail than the skip carries has to be explained or dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU())
        self.down = nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU())
        self.deep = nn.Sequential(
            nn.Conv2d(32, 48, 3, 2, 1), nn.ReLU(), nn.Conv2d(48, 48, 3, 1, 1), nn.ReLU()
        )
        self.rise = nn.Sequential(nn.ConvTranspose2d(48, 32, 2, 2), nn.ReLU())
        self.up = nn.Sequential(nn.ConvTranspose2d(32, 16, 2, 2), nn.ReLU())
        self.leave = nn.Conv2d(32, 3, 3, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        first = self.enter(image)
        second = self.down(first)
        back = self.up(self.rise(self.deep(second)) + second)
        return self.leave(torch.cat([first, back], 1)).clamp(0.0, 1.0)


class Squeeze(nn.Module):
    """The run time's feature squeezer: a 2x2 median (mean of the middle two), edges repeated to the right and below."""

    def forward(self, image: Tensor) -> Tensor:
        return squeeze(image)


def squeeze(image: Tensor) -> Tensor:
    padded = F.pad(image, (0, 1, 0, 1), mode="replicate")
    a, b = padded[..., :-1, :-1], padded[..., :-1, 1:]
    c, d = padded[..., 1:, :-1], padded[..., 1:, 1:]
    total = a + b + c + d
    high = torch.maximum(torch.maximum(a, b), torch.maximum(c, d))
    low = torch.minimum(torch.minimum(a, b), torch.minimum(c, d))
    return (total - high - low) / 2.0


def doubt(p: Tensor, q: Tensor) -> Tensor:
    """Return the total variation distance between two rows of probabilities, in [0, 1]."""
    return 0.5 * (p - q).abs().sum(-1)
