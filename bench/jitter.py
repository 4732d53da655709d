"""How even a guarded frame's time is: p50 to p99.99, quiet and under load, with and without real-time options.

`python -m bench.jitter [--profile signs|photos] [--frames N] [--rate HZ] [--page FILE]`. Frames come at a steady rate,
as a camera's do. Every condition has a process of its own, because the options change one. Judges nothing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import report
from bench.cheaper import with_cheaper
from bench.guards import guarded
from bench.profiles import NAMES, ROOT, load
from bench.turns import summary
from bench.variants import GATED, INLINE, settings
from edgeguard import realtime
from edgeguard.program import Realtime

if TYPE_CHECKING:
    from bench.turns import Times

PICTURE = ROOT / "docs" / "assets" / "frame-jitter.png"
QUANTILES = (50.0, 90.0, 99.0, 99.9, 99.99)
STREAMED = 64 << 20
"""Bytes that the load copies over and over: more than a cache holds."""
RATE = {"signs": 250.0, "photos": 25.0}
FRAMES = {"signs": 10_000, "photos": 1_000}
LEAD_SECONDS = 1.0


def frames(profile: str, setting: str, count: int, rate: float, folder: Path) -> tuple[Times, Times]:
    """(us of each step, us from the instant a frame was due to its verdict) of `count` frames at `rate` a second."""
    loaded = with_cheaper(load(profile), ROOT / "out" / "bench" / "models")
    steps, waits = np.empty(count), np.empty(count)
    with guarded(settings(loaded)[setting], loaded.frames, folder / "jitter.log") as guard:
        lead = max(1, int(LEAD_SECONDS * rate))
        due = time.perf_counter()
        for i in range(-lead, count):
            due = max(
                due + 1.0 / rate, time.perf_counter() - 1.0 / rate
            )  # a late frame does not make the next late
            time.sleep(max(0.0, due - time.perf_counter()))
            started = time.perf_counter()
            guard.step()
            ended = time.perf_counter()
            if i >= 0:
                steps[i], waits[i] = (ended - started) * 1e6, (ended - due) * 1e6
    return steps, waits


def wanted() -> Realtime:
    """Everything that a policy can ask for; on the last CPU, as the first one has the interrupts."""
    return Realtime(fifo=50, cpus=(max(os.sched_getaffinity(0)),), lock_memory=True, freeze_gc=True)


@contextmanager
def load_on(machine: bool) -> Iterator[None]:  # noqa: FBT001 - a condition
    """A process for each CPU that burns it, and one that streams through memory."""
    start = multiprocessing.get_context("spawn").Process
    others = (
        [start(target=_burn) for _ in range(os.cpu_count() or 1)] + [start(target=_stream)] if machine else []
    )
    for other in others:
        other.start()
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.join()


def _burn() -> None:
    while True:
        sum(range(100_000))


def _stream() -> None:
    source, sink = np.ones(STREAMED, np.uint8), np.empty(STREAMED, np.uint8)
    while True:
        np.copyto(sink, source)


def conditions(chosen: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Every condition, each in a process of its own: what it got of the options, and its times."""
    found: dict[str, dict[str, Any]] = {}
    for load_too in (False, True):
        with load_on(load_too):
            time.sleep(1.0 if load_too else 0.0)
            for real in (False, True):
                name = ("under load" if load_too else "no load of ours") + (
                    ", real-time options" if real else ", as it comes"
                )
                found[name] = _child(chosen, real=real)
    return found


def _child(chosen: argparse.Namespace, *, real: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="edgeguard-jitter-") as folder:
        command = [sys.executable, "-m", "bench.jitter", "--into", folder, "--profile", chosen.profile]
        command += ["--setting", chosen.setting, "--frames", str(chosen.frames), "--rate", str(chosen.rate)]
        subprocess.run([*command, *(["--realtime"] if real else [])], check=True, cwd=ROOT)
        times = np.load(Path(folder) / "times.npz")
        had = json.loads((Path(folder) / "had.json").read_text())
        return {"had": had, "steps": times["steps"], "waits": times["waits"]}


def _one(chosen: argparse.Namespace) -> None:
    """One condition, measured in this process."""
    had: Mapping[str, str] = realtime.apply(wanted()) if chosen.realtime else {}
    steps, waits = frames(chosen.profile, chosen.setting, chosen.frames, chosen.rate, chosen.into)
    np.savez(chosen.into / "times.npz", steps=steps, waits=waits)
    (chosen.into / "had.json").write_text(json.dumps(dict(had)))


def text(found: Mapping[str, Mapping[str, Any]], title: str) -> str:
    """Tables for people."""
    lines = [f"Taken on {time.strftime('%Y-%m-%d')}: {title}. Times in µs.", ""]
    for what, key in (
        ("one step", "steps"),
        ("from the instant that the frame was due to its verdict", "waits"),
    ):
        rows = []
        for name, row in found.items():
            values = np.percentile(row[key], QUANTILES)
            rows.append([name, *(f"{v:.0f}" for v in values), f"{values[3] / values[0]:.2f}"])
        lines += [f"{what[0].upper()}{what[1:]}:", ""]
        lines += report.table(["condition", *(f"p{q:g}" for q in QUANTILES), "p99.9/p50"], rows)
    had: Mapping[str, str] = next((row["had"] for row in found.values() if row["had"]), {})
    return "\n".join([*lines, *(f"- `{name}`: {state}" for name, state in had.items()), ""])


def main(arguments: list[str] | None = None) -> int:
    """Measure all conditions, print and write the result."""
    parser = argparse.ArgumentParser(prog="python -m bench.jitter", description="how even a frame's time is")
    parser.add_argument("--profile", choices=NAMES, default="signs")
    parser.add_argument("--setting", choices=(INLINE, GATED), default=INLINE)
    parser.add_argument("--frames", type=int, default=0, help=f"frames a condition (default: {FRAMES})")
    parser.add_argument("--rate", type=float, default=0.0, help=f"frames a second (default: {RATE})")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "bench")
    parser.add_argument("--page", type=Path, help="also write the tables there")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--realtime", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    chosen.frames = chosen.frames or FRAMES[chosen.profile]
    chosen.rate = chosen.rate or RATE[chosen.profile]
    if chosen.into is not None:
        _one(chosen)
        return 0
    found = conditions(chosen)
    _write(found, chosen)
    return 0


def _write(found: Mapping[str, Mapping[str, Any]], chosen: argparse.Namespace) -> None:
    from bench.picture import spread

    title = f"{chosen.profile}, {chosen.setting}, {chosen.frames} frames at {chosen.rate:g} a second"
    tables = text(found, title)
    chosen.out.mkdir(parents=True, exist_ok=True)
    document = {
        name: {"had": row["had"], "step": summary(row["steps"]), "due to verdict": summary(row["waits"])}
        for name, row in found.items()
    }
    (chosen.out / "jitter.json").write_text(json.dumps(document, indent=1) + "\n")
    (chosen.out / "jitter.md").write_text(tables)
    steps = {name: row["steps"] for name, row in found.items()}
    spread(steps, chosen.out / "frame-jitter.png", title)
    if chosen.page is not None:
        report.fill(chosen.page, "jitter-table", tables)
        spread(steps, PICTURE, title)
    print(tables)


if __name__ == "__main__":
    raise SystemExit(main())
