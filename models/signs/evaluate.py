"""Measures the signs bundles on clean, shifted and attacked frames and writes `REPORT.md` and `report.json`.

Thresholds come from calibration frames only and are the report's own; nothing here feeds the run time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hil.camera import Camera, Condition
from models.signs.artwork import CLASSES
from models.signs.attacks import pgd
from models.signs.data import WORK
from models.signs.export import HERE, Novelty, fit_novelty
from models.signs.frames import Bytes, Weather, area, clean, exposures, mixed, night
from models.signs.nets import doubt, squeeze
from models.signs.train import load

BUDGET = 0.01  # share of clean calibration frames that all signals together may refuse
SIGNALS = ("certainty", "disagreement", "reconstruction", "squeezing", "novelty")
BRAKING_M = 35.0  # metres: from here on a stop sign must be read


@dataclass(frozen=True)
class System:
    """The three networks with their temperatures, as the run time uses them."""

    primary: nn.Module
    redundant: nn.Module
    denoise: nn.Module
    novelty: Novelty
    warm: tuple[float, float]  # temperatures of primary and redundant

    def signals(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the answers (N,) and the doubts (N, 5), larger is worse, in the order of `SIGNALS`."""
        answers, doubts = [], []
        with torch.no_grad():
            for part in x.split(500):
                filtered = self.denoise(part)
                logits = self.primary(filtered)
                answer, raw, squeezed = (
                    F.softmax(z / self.warm[0], 1)
                    for z in (logits, self.primary(part), self.primary(squeeze(part)))
                )
                other = F.softmax(self.redundant(part) / self.warm[1], 1)
                strange = self.novelty(self.primary.features(filtered))
                columns = (
                    1 - answer.max(1).values,
                    doubt(answer, other),
                    doubt(raw, answer),
                    doubt(raw, squeezed),
                )
                answers.append(logits.argmax(1))
                doubts.append(torch.stack([*columns, strange], 1))
        return torch.cat(answers), torch.cat(doubts)


def assemble() -> System:
    """Return the system from the checkpoints and the exported manifests' temperatures."""
    primary, redundant, denoise = load("primary"), load("redundant"), load("denoise")
    warm = [
        json.loads((HERE / n / "edgeguard.json").read_text())["temperature"] for n in ("primary", "redundant")
    ]
    return System(primary, redundant, denoise, fit_novelty(primary, denoise), (warm[0], warm[1]))


def tensor(images: Bytes) -> Tensor:
    """Return float32 (N, 3, 32, 32) of (N, 64, 64, 3) frames."""
    return torch.from_numpy(area(images)).float() / 255


def thresholds(doubts: Tensor, budget: float = BUDGET) -> Tensor:
    """Return one threshold a signal, at one common quantile, such that all together refuse `budget`."""
    low, high = 1 - budget, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        limit = torch.quantile(doubts, middle, dim=0)
        low, high = (
            (middle, high) if float((doubts > limit).any(1).float().mean()) > budget else (low, middle)
        )
    return torch.quantile(doubts, high, dim=0)


def adaptive(system: System, x: Tensor, y: Tensor, epsilon: float, steps: int = 40) -> Tensor:
    """Return x + delta, pushed through filter, primary, squeezer and redundant model to one common wrong sign."""
    with torch.no_grad():
        scores = system.redundant(x).scatter(
            1, y[:, None], -1e9
        )  # the wrong sign the robust model finds likeliest
    wanted = scores.argmax(1)
    delta = (torch.rand_like(x) * 2 - 1) * epsilon
    for _ in range(steps):
        delta.requires_grad_()
        seen = (x + delta).clamp(0, 1)
        outs = (system.primary(system.denoise(seen)), system.primary(seen), system.primary(squeeze(seen)))
        loss = sum(
            F.cross_entropy(z, wanted) for z in (*outs, system.redundant(seen), system.redundant(seen))
        )
        (grad,) = torch.autograd.grad(loss, delta)
        delta = (delta.detach() - 2.5 * epsilon / steps * grad.sign()).clamp(-epsilon, epsilon)
    return (x + delta).clamp(0, 1)


def _sticky(_: np.random.Generator) -> Condition:
    return Condition(patch=True)


def _played(count: int) -> tuple[Tensor, Tensor]:
    """Return the committed PGD frames as the camera plays them, and their label."""
    camera, rng = Camera(split="test", seed=5), np.random.default_rng(5)
    frames = []
    for _ in range(count):
        camera.new_approach()
        frames.append(camera.frame("stop", float(rng.uniform(2, BRAKING_M)), Condition(attack="pgd")))
    return tensor(np.stack(frames)), torch.full((count,), CLASSES.index("stop"))


def suites(system: System) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the named test suites: frames and labels (-1: no label is right)."""

    def drive(
        count: int,
        seed: int,
        split: str = "test",
        weather: Weather = clean,
        **more: Any,  # noqa: ANN401
    ) -> tuple[Tensor, Tensor]:
        images, labels, _ = exposures(count, split=split, seed=seed, weather=weather, **more)
        return tensor(images), torch.from_numpy(labels)

    plain, labels = drive(4000, 41)
    attacked, truth = drive(400, 47, within=BRAKING_M, per_scene=2)
    nets = [(system.primary, system.denoise)]
    return {
        "clean drive, 75 to 2 m": (plain, labels),
        "clean, at most 35 m": drive(4000, 42, within=BRAKING_M),
        "stop sign, at most 35 m": drive(2000, 43, within=BRAKING_M, signs=("stop",)),
        "night and noise": drive(2000, 44, weather=night),
        "mixed weather": drive(2000, 45, weather=mixed),
        "new artwork": drive(2000, 46, split="shift", within=BRAKING_M),
        "unknown objects, at most 35 m": drive(2000, 48, within=BRAKING_M, signs=("unknown",), per_scene=5),
        "background only": drive(2000, 49, signs=("none",), per_scene=5),
        "patch on stop, at most 35 m": drive(1500, 50, within=BRAKING_M, signs=("stop",), weather=_sticky),
        "played PGD frames, at most 35 m": _played(1000),
        **{f"PGD {k}/255": (pgd(nets, attacked, truth, k / 255), truth) for k in (4, 8, 16)},
        **{f"adaptive PGD {k}/255": (adaptive(system, attacked, truth, k / 255), truth) for k in (8, 16)},
    }


def _share(mask: Tensor) -> float:
    return round(float(mask.float().mean()), 4)


def row(system: System, x: Tensor, y: Tensor, limits: Tensor) -> dict[str, Any]:
    """Return one suite's figures, all as shares of its frames."""
    answers, doubts = system.signals(x)
    with torch.no_grad():
        raw = torch.cat([system.primary(p).argmax(1) for p in x.split(500)])
        other = torch.cat([system.redundant(p).argmax(1) for p in x.split(500)])
    # an unknown object may be read as `none` or refused; any sign is a wrong answer
    wrong = torch.where(y >= 0, answers != y, answers != 0)
    over = doubts > limits
    refused = over.any(1)
    share = _share
    return {
        "frames": len(x),
        "accuracy": share(~wrong),
        "raw_accuracy": share(torch.where(y >= 0, raw == y, raw == 0)),
        "redundant_accuracy": share(torch.where(y >= 0, other == y, other == 0)),
        "wrong": share(wrong),
        "refused": share(refused),
        "accepted_and_wrong": share(wrong & ~refused),
        "wrong_caught": round(float((wrong & refused).sum() / max(1, int(wrong.sum()))), 4),
        "by_signal": {name: share(over[:, k]) for k, name in enumerate(SIGNALS)},
    }


def markdown(report: dict[str, Any]) -> str:
    """Return the report as a page."""
    limits = ", ".join(f"{k} {v:.3g}" for k, v in report["thresholds"].items())
    lines = [
        "# What the signs models can and cannot do",
        "",
        "Printed by `python -m models.signs.evaluate`. Semi-synthetic frames of `hil/camera.py`; photographs of the",
        "test split were never trained on. One common quantile gives each signal its threshold so that all together",
        f"refuse {BUDGET:.0%} of clean calibration frames. Thresholds, as doubt (larger is worse; certainty: 1 - p):",
        f"{limits}.",
        "",
        "The answer is primary(filter(x)). For unknown objects and background `none` counts as right. *Raw* is",
        "primary(x), *redundant* the adversarially trained mixer. PGD is white-box on filter and primary, *adaptive*",
        "also on squeezer and redundant model. The last columns say which share of frames each signal alone refuses.",
        "",
        "| suite | answer right | raw | redundant | refused | accepted and wrong | "
        + " | ".join(SIGNALS)
        + " |",
        "|---|" + "---|" * (5 + len(SIGNALS)),
    ]
    for name, r in report["suites"].items():
        cells = [
            r["accuracy"],
            r["raw_accuracy"],
            r["redundant_accuracy"],
            r["refused"],
            r["accepted_and_wrong"],
        ]
        cells += list(r["by_signal"].values())
        lines.append(f"| {name} | " + " | ".join(f"{c:.1%}" for c in cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    torch.manual_seed(9)
    system = assemble()
    images, _, _ = exposures(6000, split="calibration", seed=22)
    limits = thresholds(system.signals(tensor(images))[1])
    report: dict[str, Any] = {
        "thresholds": {n: round(float(v), 5) for n, v in zip(SIGNALS, limits)},
        "target": json.loads((WORK / "target.json").read_text())["target"],
        "suites": {n: row(system, x, y, limits) for n, (x, y) in suites(system).items()},
    }
    Path(HERE / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (HERE / "REPORT.md").write_text(markdown(report), encoding="utf-8")
    print(markdown(report))


if __name__ == "__main__":
    main()
