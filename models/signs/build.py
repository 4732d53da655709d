"""The whole pipeline of the signs models: data, training, export, attacks, measurement, cards.

`python -m models.signs.build` in the training environment; it resumes where it stopped, `--fresh` starts again.
Bundles are left unsigned: `edgeguard sign` follows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from models.signs.data import COMMITTED, TRAINING, WORK

HERE = Path(__file__).parent
CHECKPOINTS = tuple(WORK / f"{name}.pt" for name in ("denoise", "primary", "redundant"))
# Shared cores: waiting threads must sleep, or two trainings starve each other.
QUIET = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "100"}

# Each stage: the commands that run side by side, what they read, what they write.
STAGES: tuple[tuple[tuple[str, ...], tuple[Path, ...], tuple[Path, ...]], ...] = (
    (("data",), (), (TRAINING / "assets.json", COMMITTED / "assets.json")),
    (("train --render",), (TRAINING / "assets.json",), (WORK / "train.npz",)),
    (("train denoise primary", "train redundant"), (WORK / "train.npz",), CHECKPOINTS),
    (("export",), CHECKPOINTS, tuple(HERE / n / "model.onnx" for n in ("primary", "redundant", "denoise"))),
    (("attacks",), CHECKPOINTS, (COMMITTED / "patch.png", COMMITTED / "pgd.npz", WORK / "target.json")),
    (("evaluate",), (*CHECKPOINTS, COMMITTED / "patch.png"), (HERE / "report.json", HERE / "REPORT.md")),
    (
        ("cards",),
        (HERE / "report.json",),
        tuple(HERE / n / "CARD.md" for n in ("primary", "redundant", "denoise")),
    ),
)


def fresh_enough(reads: tuple[Path, ...], writes: tuple[Path, ...]) -> bool:
    """Return whether everything written is there and no older than anything read."""
    if not all(p.exists() for p in writes):
        return False
    newest = max((p.stat().st_mtime for p in reads), default=0.0)
    return min(p.stat().st_mtime for p in writes) >= newest


def run(commands: tuple[str, ...]) -> None:
    """Run the modules side by side; raise CalledProcessError when one fails."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", f"models.signs.{command.split()[0]}", *command.split()[1:]],
            cwd=HERE.parents[1],
            env=os.environ | QUIET,
        )
        for command in commands
    ]
    for process in started:
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, process.args)


def main() -> None:
    """Run the stages that are due."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="forget every checkpoint first")
    if parser.parse_args().fresh:
        for path in (WORK / "train.npz", TRAINING / "assets.json", *CHECKPOINTS):
            path.unlink(missing_ok=True)
    for commands, reads, writes in STAGES:
        if fresh_enough(reads, writes):
            print(f"== {', '.join(commands)}: up to date", flush=True)
            continue
        print(f"== {', '.join(commands)}", flush=True)
        run(commands)


if __name__ == "__main__":
    main()
