"""Exports the trained networks as bundles: `model.onnx` and `edgeguard.json` per role, temperatures fitted.

Everything a consumer needs is inside the graph or the manifest. Signing is `edgeguard sign`'s, not done here.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.signs.artwork import CLASSES
from models.signs.frames import area, exposures, stressed
from models.signs.nets import Primary
from models.signs.train import load, training_set

HERE = Path(__file__).parent
VERSION, SECURITY_VERSION = "1.0.0", 1
OPSET, IR = 17, 9  # the newest that onnxruntime 1.23 and TensorRT 10.3 both read without a doubt
SHRINKAGE = 1e-2  # share of the mean variance added to every direction, so that the inverse exists


class Novelty(nn.Module):
    """Relative Mahalanobis distance of the primary's features (Ren et al. 2021): strangeness beyond the ordinary."""

    def __init__(self, features: Tensor, labels: Tensor) -> None:
        super().__init__()
        means = torch.stack([features[labels == c].mean(0) for c in range(len(CLASSES))])
        self._keep("near", features - means[labels], means)
        self._keep("wide", features - features.mean(0), features.mean(0, keepdim=True))

    def _keep(self, name: str, residual: Tensor, centres: Tensor) -> None:
        covariance = residual.T @ residual / len(residual)
        covariance += SHRINKAGE * covariance.diagonal().mean() * torch.eye(len(covariance))
        values, vectors = torch.linalg.eigh(covariance)
        whiten = vectors / values.sqrt()
        moved = centres @ whiten
        self.register_buffer(f"{name}_whiten", whiten)
        self.register_buffer(f"{name}_centres", moved.T.contiguous())
        self.register_buffer(f"{name}_lengths", moved.square().sum(1))

    def _squared(self, name: str, z: Tensor) -> Tensor:
        white = z @ getattr(self, f"{name}_whiten")
        cross = white @ getattr(self, f"{name}_centres")
        return white.square().sum(1, keepdim=True) - 2.0 * cross + getattr(self, f"{name}_lengths")

    def forward(self, z: Tensor) -> Tensor:
        """Return (N,): the squared distance to the nearest class less that to the whole training set."""
        return self._squared("near", z).min(1).values - self._squared("wide", z)[:, 0]


class PrimaryWithNovelty(nn.Module):
    """The primary's graph as deployed: logits and novelty from one pass."""

    def __init__(self, primary: Primary, novelty: Novelty) -> None:
        super().__init__()
        self.primary, self.novelty = primary, novelty

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (N, C) and novelty (N,)."""
        middle, top = self.primary.stages(image)
        features = torch.cat([middle.mean((2, 3)), top.mean((2, 3))], 1)
        return self.primary.classify(top), self.novelty(features)


def fit_novelty(primary: Primary, denoise: nn.Module, count: int = 12_000) -> Novelty:
    """Return the novelty fitted on filtered training frames, because that is the pass it is read from."""
    images, labels = training_set()
    with torch.no_grad():
        rows = [primary.features(denoise(b.float() / 255)) for b in images[:count].split(500)]
    return Novelty(torch.cat(rows), labels[:count])


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature with the least cross-entropy (Guo et al. 2017)."""
    grid = np.geomspace(0.2, 5.0, 121)
    losses = [float(F.cross_entropy(logits / t, labels)) for t in grid]
    return round(float(grid[int(np.argmin(losses))]), 4)


def write_onnx(net: nn.Module, path: Path, outputs: tuple[str, ...], size: int = 32) -> None:
    """Export with a dynamic batch, weights inside, opset 17 and IR 9."""
    net = net.eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    axes = {name: {0: "N"} for name in ("image", *outputs)}
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the legacy exporter is used on purpose: its graphs are plain and stable
        torch.onnx.export(
            net,
            (torch.zeros(1, 3, size, size),),
            str(path),
            input_names=["image"],
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load(path)
    model.ir_version = min(model.ir_version, IR)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def manifest(
    name: str, role: str, outputs: list[dict[str, Any]], size: int = 32, **more: object
) -> dict[str, Any]:
    """Return `edgeguard.json` as agreed: values mean x = (pixel * scale - mean) / std."""
    return {
        "edgeguard": 1,
        "name": name,
        "version": VERSION,
        "security_version": SECURITY_VERSION,
        "role": role,
        "file": "model.onnx",
        "input": {
            "name": "image",
            "dtype": "float32",
            "shape": ["N", 3, size, size],
            "layout": "NCHW",
            "color": "RGB",
            "resize": "area",
            "scale": 1 / 255,
            "mean": [0, 0, 0],
            "std": [1, 1, 1],
        },
        "outputs": outputs,
        **more,
    }


def output(name: str, shape: list[Any]) -> dict[str, Any]:
    """Return one entry of a manifest's outputs."""
    return {"name": name, "dtype": "float32", "shape": shape, "meaning": name}


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Write `edgeguard.json`."""
    (folder / "edgeguard.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Export the three bundles."""
    denoise, primary, redundant = load("denoise"), load("primary"), load("redundant")
    frames64, labels64, _ = exposures(4000, split="calibration", seed=21, weather=stressed, per_scene=2)
    images, labels = torch.from_numpy(area(frames64)).float() / 255, torch.from_numpy(labels64)
    with torch.no_grad():
        temperature = fit_temperature(primary(denoise(images)), labels)
        other = fit_temperature(redundant(images), labels)
    graph = PrimaryWithNovelty(primary, fit_novelty(primary, denoise))
    write_onnx(graph, HERE / "primary/model.onnx", ("logits", "novelty"))
    write_onnx(redundant, HERE / "redundant/model.onnx", ("logits",))
    write_onnx(denoise, HERE / "denoise/model.onnx", ("filtered",))
    logits = output("logits", ["N", len(CLASSES)])
    labelled = {"classes": list(CLASSES)}
    both = [logits, output("novelty", ["N"])]
    write_manifest(
        HERE / "primary", manifest("signs-primary", "primary", both, **labelled, temperature=temperature)
    )
    write_manifest(
        HERE / "redundant", manifest("signs-redundant", "redundant", [logits], **labelled, temperature=other)
    )
    picture = [{**output("filtered", ["N", 3, 32, 32]), "meaning": "image"}]
    write_manifest(HERE / "denoise", manifest("signs-denoise", "filter", picture))
    print(f"bundles written; temperatures {temperature} (primary), {other} (redundant)")


if __name__ == "__main__":
    main()
