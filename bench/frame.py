"""What a guarded frame costs: the bare primary model, every part alone, and the whole guard, measured in one run.

`python -m bench.frame [--profile signs|photos|all] [--frames N] [--out out/bench]`. All variants take turns on the same
frames in one process, so that their ratios hold on a busy machine too; absolute times hold only where they were taken.
Judges nothing: it prints what it measured. Imports no part of the guard that a user could not import.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeguard.admission import AdmittedModel, admit_bundle, load_public_keys
from edgeguard.errors import EdgeguardError
from edgeguard.filter.squeeze import Squeezer
from edgeguard.guard import Guard
from edgeguard.inference.perception import Perception
from edgeguard.inference.preprocess import Normaliser
from edgeguard.inference.stages import build_stages
from edgeguard.policy.compiler import compile_policy
from edgeguard.policy.document import parse
from edgeguard.program import ModelRef
from edgeguard.signals.health import FrameHealth
from edgeguard.types import Event, Frame

if TYPE_CHECKING:
    from edgeguard.inference.session import Tensor
    from edgeguard.program import Program
    from edgeguard.types import Image

ROOT = Path(__file__).resolve().parents[1]
Times = NDArray[np.float64]

PERIOD = 0.05
WARM_UP = 30
PARTS = ("picture health", "preprocess", "filter", "squeeze", "primary x3", "redundant")
"""What the guard must do besides orchestration; the primary counts with the picture, its F(x) and its squeezed view."""

ISOLATED = "guarded, redundant in its own process"

POLICY = """
edgeguard: 1
policy: {{name: bench, version: 1}}
models:
  primary: {{bundle: primary}}
  redundant: {{bundle: redundant}}
filter: {{bundle: denoise}}
admission: {{signers: [{{key: key.pub, sha256: "0000000000000000000000000000000000000000000000000000000000000000"}}]}}
signals:
  certainty: {{of: primary, range: [0, 1], max_age: 150ms}}
  disagreement: {{of: [primary, redundant], range: [0, 1], max_age: 150ms, on_fault: rules}}
  reconstruction: {{of: [primary, filter], range: [0, 1], max_age: 150ms, on_fault: rules}}
  squeezing: {{of: primary, range: [0, 1], max_age: 150ms, on_fault: rules}}{novelty}
  frame_age: {{from: frame, unit: s, range: [0, 10], max_age: 150ms}}
  frozen_for: {{from: frame, unit: s, range: [0, 3600], max_age: 150ms}}
  contrast: {{from: frame, range: [0, 1], max_age: 150ms}}
  latency: {{from: runtime, unit: s, range: [0, 10], max_age: 150ms, on_fault: rules}}
  speed: {{from: context, unit: m/s, range: [0, 60], max_age: 100ms}}
rules:
  - {{id: unsure, when: certainty < 0.5, for: 2 frames, then: rules}}
  - {{id: disagree, when: disagreement > 0.5, for: 2 frames, then: rules}}
  - {{id: reconstruction-shift, when: reconstruction > 0.4, for: 2 frames, then: rules}}
  - {{id: squeezing-shift, when: squeezing > 0.4, for: 2 frames, then: rules}}
  - {{id: late-frame, when: frame_age > 0.12 || latency > 0.1, then: rules}}
  - {{id: frozen-camera, when: frozen_for > 0.2, latch: true, then: safe_state}}
  - {{id: blank-camera, when: contrast < 0.01, for: 2 frames, latch: true, then: safe_state}}
fallback:
  - {{when: speed > 8.0, command: {{brake: 0.4}}}}
  - {{command: {{brake: 0.1}}}}
envelope:
  brake: {{min: 0, max: 1, rise: 4/s, fall: 4/s, safe: 1.0}}
period: 20ms
"""
"""A policy as rich as the demo's, with literal thresholds, so that no calibration is needed to measure."""

_NOVELTY = "\n  novelty: {of: primary, range: [0, inf], max_age: 150ms, on_fault: rules}"


class SkippedError(EdgeguardError):
    """A profile cannot be measured here; says what is missing."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Admitted models by role and the frames to show them."""

    name: str
    models: Mapping[str, AdmittedModel]
    frames: tuple[Image, ...]


def program(*, novelty: bool) -> Program:
    """Compile the bench's policy; `novelty`: whether the primary has that output."""
    text = POLICY.format(novelty=_NOVELTY if novelty else "")
    return compile_policy(parse(text.encode(), file="bench.yaml"), base=ROOT, calibration=None)


class Variants:
    """Everything that is timed, over the same frames. Each method does its work once.

    The parts run on the guard's own sessions: a second copy of the weights would make one of them pay for the caches.
    """

    def __init__(self, profile: Profile, refs: tuple[ModelRef, ...] = ()) -> None:
        """Load the models once, where `refs` says, and wire a guard around them."""
        self.frames = profile.frames
        self.stages = build_stages(profile.models, refs, deadline=1.0)
        specs = {role: m.manifest.input for role, m in profile.models.items()}
        self.normalise = {role: Normaliser(spec, role) for role, spec in specs.items()}
        primary = self.stages.primary
        self.picture = primary.blank()
        self.squeezed = primary.blank()
        self.health = FrameHealth()
        self.squeezer = Squeezer(self.picture.shape)
        primary.resize(self.frames[0], self.picture)
        self.ready: Tensor = self.normalise["primary"](self.picture[np.newaxis].copy())
        self.views: Tensor = np.stack([self.picture] * 3)
        perception = Perception(*self.stages, time.perf_counter)
        perception.warm_up()
        self.guard = Guard(program(novelty=primary.novelty), perception)
        self.guard.operator(Event.ARM)
        self.number = 0

    def table(self) -> dict[str, Callable[[], object]]:
        """Variants by name, in the order they take turns."""
        return {
            "bare primary": self.bare,
            "picture health": self.check,
            "preprocess": self.preprocess,
            "filter": lambda: self.run("filter", self.picture[np.newaxis]),
            "squeeze": lambda: self.squeezer(self.picture, self.squeezed),
            "primary x3": lambda: self.run("primary", self.views),
            "redundant": lambda: self.run("redundant", self.picture[np.newaxis]),
            "guarded": self.step,
        }

    def bare(self) -> int:
        """What a user has without a guard: one run on a tensor that is ready, and the best class."""
        (scores, *_) = self.stages.primary.session.run(self.ready).values()
        return int(scores.argmax())

    def check(self) -> None:
        """Look at a frame for being frozen or blank."""
        self.health.step(self.frames[self.number % len(self.frames)], self.number * PERIOD)

    def preprocess(self) -> None:
        """Make the canonical picture of a frame."""
        self.stages.primary.resize(self.frames[self.number % len(self.frames)], self.picture)

    def run(self, role: str, pictures: Tensor) -> object:
        """Normalise and run one model."""
        stage = getattr(self.stages, role)
        return stage.session.run(self.normalise[role](pictures))

    def step(self) -> object:
        """One whole step of the guard with a new frame."""
        at = self.number * PERIOD
        frame = Frame(self.frames[self.number % len(self.frames)], self.number, at)
        return self.guard.step(frame, {"speed": 5.0}, at)


def measure(profile: Profile, count: int, *, isolated: bool = True) -> dict[str, object]:
    """Time `count` frames of every variant; return the result as plain data. Times in microseconds."""
    here = Variants(profile)
    try:
        times = _take_turns(here, here.table(), count)
    finally:
        here.guard.close()
    if isolated:
        there = Variants(profile, (ModelRef("redundant", "", "onnxruntime", "second"),))
        try:
            times |= _take_turns(there, {ISOLATED: there.step}, count)
        finally:
            there.guard.close()
    return _result(profile, count, times)


def _take_turns(variants: Variants, table: dict[str, Callable[[], object]], count: int) -> dict[str, Times]:
    """Run every entry of `table` once a frame, in turns, and time each."""
    times = {name: np.empty(count) for name in table}
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for i in range(-WARM_UP, count):
            for name, work in table.items():
                started = time.perf_counter_ns()
                work()
                spent = (time.perf_counter_ns() - started) / 1000.0
                if i >= 0:
                    times[name][i] = spent
            variants.number += 1
    finally:
        gc.enable()
        gc.unfreeze()
    return times


def _result(profile: Profile, count: int, times: dict[str, Times]) -> dict[str, object]:
    parts = np.sum([times[name] for name in PARTS], axis=0)
    rows = {**times, "sum of the parts": parts, "orchestration (guarded - parts)": times["guarded"] - parts}
    bare = float(np.median(times["bare primary"]))
    return {
        "profile": profile.name,
        "frames": count,
        "frame shape": list(profile.frames[0].shape),
        "variants": {
            name: {**_percentiles(t), "ratio": float(np.median(t)) / bare} for name, t in rows.items()
        },
    }


def _percentiles(times: Times) -> dict[str, float]:
    p50, p99, p999 = np.percentile(times, [50.0, 99.0, 99.9])
    return {"p50": float(p50), "p99": float(p99), "p99.9": float(p999)}


def markdown(results: list[dict[str, object]], machine: str) -> str:
    """Tables for people."""
    lines = [f"Measured on {machine}; times in microseconds, ratio of p50 to the bare primary's p50.", ""]
    for result in results:
        lines += [f"### {result['profile']}: {result['frames']} frames of {result['frame shape']}", ""]
        lines += ["| what | p50 | p99 | p99.9 | ratio |", "|---|---:|---:|---:|---:|"]
        variants = result["variants"]
        assert isinstance(variants, dict)  # noqa: S101  # made by `_result`
        for name, row in variants.items():
            lines.append(
                f"| {name} | {row['p50']:.1f} | {row['p99']:.1f} | {row['p99.9']:.1f} | {row['ratio']:.2f} |"
            )
        lines.append("")
    return "\n".join(lines)


def profile_of(name: str) -> Profile:
    """The demo's models and frames of a profile.

    Raises:
        SkippedError: its models were not exported here.
        AdmissionError: they are not signed with `keys/demo.key`.
    """
    folder = ROOT / "models" / name
    missing = [
        role for role in ("primary", "redundant", "denoise") if not (folder / role / "model.onnx").is_file()
    ]
    if missing:
        raise SkippedError(
            f"profile `{name}` is skipped: {folder / missing[0]} is not exported; `make models` makes it"
        )
    signers = load_public_keys([ROOT / "keys" / "demo.pub"])
    models = {
        role: admit_bundle(folder / where, signers)
        for role, where in (("primary", "primary"), ("redundant", "redundant"), ("filter", "denoise"))
    }
    return Profile(name, models, _sign_frames() if name == "signs" else _photos(folder))


def _sign_frames(count: int = 64) -> tuple[Image, ...]:
    from models.signs.calibration import render

    return tuple(render(count)[0])


def _photos(folder: Path) -> tuple[Image, ...]:
    from edgeguard.calibrate import open_images

    pictures = list(open_images(folder / "images", ()).images())
    # A little noise, as every camera has it: frames that do not change are frozen.
    noise = np.random.default_rng(7)
    return tuple(
        np.clip(p.astype(np.int16) + noise.integers(-2, 3, p.shape), 0, 255).astype(np.uint8)
        for p in pictures
        for _ in range(4)
    )


def machine() -> str:
    """The machine and the versions that matter, without its name."""
    import onnxruntime

    return (
        f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, "
        f"onnxruntime {onnxruntime.__version__}, one thread a session"
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the result; 0 when at least one profile was measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.frame", description="what a guarded frame costs")
    parser.add_argument("--profile", choices=("signs", "photos", "all"), default="all")
    parser.add_argument("--frames", type=int, default=0, help="frames a variant (default: 2000, photos 200)")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "bench")
    chosen = parser.parse_args(arguments)
    names = ("signs", "photos") if chosen.profile == "all" else (chosen.profile,)
    results = []
    for name in names:
        try:
            profile = profile_of(name)
        except SkippedError as error:
            print(error, file=sys.stderr)
            continue
        except EdgeguardError as error:
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
        results.append(measure(profile, chosen.frames or (200 if name == "photos" else 2000)))
    if not results:
        return SkippedError.exit_code
    text = markdown(results, machine())
    chosen.out.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine(), "profiles": results}
    (chosen.out / "frame.json").write_text(json.dumps(document, indent=1) + "\n")
    (chosen.out / "frame.md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
