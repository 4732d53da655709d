"""What admission costs: SHA-256 alone, our verifier, the reference's; memory; and the time to the first verdict.

`python -m bench.admission [--megabytes 100 1000] [--runs N] [--json FILE] [--page PAGE]`. Every run is a process of its
own, and kinds take turns. Judges nothing: it prints what it measured.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.admitting import KEY, Row
from bench.report import fill, table

ROOT = Path(__file__).resolve().parents[1]
POLICY, PUBLIC = ROOT / "policies/sign_gate.yaml", ROOT / "keys/demo.pub"
SIDE = 5000
"""Rows and columns of one matrix of weights: 100 MB."""
SHARDS = 8
STAGES = ("interpreter", "import", "policy", "admission", "sessions", "warm-up", "first frame", "together")
STARTS = {"as it is, in workers": "first verdict", "in one process": "first verdict in one process"}


def model(megabytes: int, seed: int = 1) -> bytes:
    """A classifier whose weights have so many megabytes, in square matrices one after the other."""
    from onnx import TensorProto, helper

    rng = np.random.default_rng(seed)
    sides = [SIDE] * (megabytes // 100) or [max(8, int((megabytes * 250_000) ** 0.5))]
    widths = [(3, sides[0]), *((side, side) for side in sides), (sides[-1], 2)]
    weights, nodes, last = [], [], "flat"
    for i, (rows, columns) in enumerate(widths):
        values = rng.standard_normal((rows, columns), dtype=np.float32)
        weights.append(
            helper.make_tensor(f"w{i}", TensorProto.FLOAT, [rows, columns], values.tobytes(), raw=True)
        )
        result = "logits" if i == len(widths) - 1 else f"x{i}"
        nodes.append(helper.make_node("MatMul", [last, f"w{i}"], [result]))
        last = result
    nodes[:0] = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
    ]
    graph = helper.make_graph(
        nodes,
        "bench",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 4, 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])],
        weights,
    )
    return bytes(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        ).SerializeToString()
    )


MANIFEST = {
    "edgeguard": 1,
    "name": "bench",
    "version": "1.0.0",
    "security_version": 1,
    "role": "primary",
    "file": "model.onnx",
    "input": {
        "name": "image",
        "dtype": "float32",
        "shape": ["N", 3, 4, 4],
        "layout": "NCHW",
        "color": "RGB",
        "resize": "area",
        "scale": 0.00392156862745098,
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
    },
    "outputs": [{"name": "logits", "dtype": "float32", "shape": ["N", 2], "meaning": "logits"}],
    "classes": ["none", "stop"],
}


def make(folder: Path, megabytes: int) -> None:
    """Write signed bundles of so many megabytes: `one` file, `shards` besides a small model, and `encrypted`."""
    from edgeguard.admission import new_key, sign_bundle
    from edgeguard.admission.decryption import key_id
    from edgeguard.admission.encrypt import encrypt_bundle

    private = folder / "bench.key"
    new_key(private, folder / "bench.pub")
    data = model(megabytes)
    size = len(data) // SHARDS
    layouts = {
        "one": {"model.onnx": data},
        "shards": {
            "model.onnx": model(1),
            **{f"shard{i}": data[i * size : (i + 1) * size] for i in range(SHARDS)},
        },
    }
    for name, files in layouts.items():
        (folder / name).mkdir()
        for file, content in {**files, "edgeguard.json": json.dumps(MANIFEST).encode()}.items():
            (folder / name / file).write_bytes(content)
        sign_bundle(folder / name, private)
    encrypt_bundle(folder / "one", KEY, folder / "encrypted")
    sign_bundle(folder / "encrypted", private, secrets={key_id(KEY): KEY}.get)


CASES = (
    ("one", "edgeguard"),
    ("one", "model-signing"),
    ("one", "model-signing, then read"),
    ("one", "read, then hash"),
    ("shards", "edgeguard"),
    ("shards", "model-signing"),
    ("encrypted", "edgeguard"),
)


def admissions(folders: Mapping[int, Path], runs: int, *, first: bool) -> Iterator[dict[str, object]]:
    """A row for each size and case, over all runs."""
    for size, folder in folders.items():
        rows: dict[tuple[str, str], list[Row]] = {case: [] for case in CASES}
        for _ in range(runs):
            for layout, kind in CASES:
                row = _child([kind, str(folder / layout), str(folder / "bench.pub"), *["first"][:first]])
                rows[layout, kind].append(row)
        for (layout, kind), found in rows.items():
            yield {"megabytes": size, "layout": layout, "kind": kind, **_summary(found)}


def commands(folders: Mapping[int, Path], runs: int, *, first: bool) -> dict[str, dict[int, float]]:
    """Medians (s) of whole commands that verify one large file, by size: with starting and importing."""
    tools = Path(sys.executable).parent
    found: dict[str, dict[int, float]] = {}
    for size, folder in folders.items():
        key, bundle = str(folder / "bench.pub"), str(folder / "one")
        ours = [str(tools / "edgeguard"), "verify", bundle, "--trust", key]
        theirs = [str(tools / "model_signing"), "verify", "key", bundle, "--public_key", key]
        theirs += ["--signature", f"{bundle}/model.sig"]
        times: dict[str, list[float]] = {"edgeguard verify": [], "model_signing verify key": []}
        for _ in range(runs):
            for name, command in zip(times, (ours, theirs)):
                began = time.monotonic()
                subprocess.run(
                    command, check=True, capture_output=True, preexec_fn=_go_first if first else None
                )
                times[name].append(time.monotonic() - began)
        for name, seconds in times.items():
            found.setdefault(name, {})[size] = statistics.median(seconds)
    return found


@contextmanager
def _bundles(megabytes: int) -> Iterator[Path]:
    """A folder with the bundles of one size, in the page cache."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _child(["make", str(folder), str(megabytes)], "bench.admission")
        for path in folder.glob("*/*"):
            path.read_bytes()
        yield folder


def _summary(rows: Sequence[Row]) -> dict[str, float]:
    def median(value: Callable[[Row], float]) -> float:
        return statistics.median(map(value, rows))

    fastest, alone = min(row["seconds"] for row in rows), min(row["sha256"] for row in rows)
    return {
        "runs": len(rows),
        "seconds": median(lambda row: row["seconds"]),
        "sha256": median(lambda row: row["sha256"]),
        "ratio": statistics.median(row["seconds"] / row["sha256"] for row in rows),
        "seconds fastest": fastest,
        "sha256 fastest": alone,
        "ratio fastest": fastest / alone,
        "ratio cpu": min(row["cpu"] for row in rows) / min(row["sha256 cpu"] for row in rows),
        "peak": median(lambda row: row["peak"] / row["size"]),
        "added": median(lambda row: (row["peak"] - row["before"]) / row["size"]),
    }


def first_verdicts(runs: int, *, first: bool) -> dict[str, dict[str, float]]:
    """Medians of each stage from the start of a process to the first verdict of the demo's policy (s)."""
    return {name: _first_verdict(kind, runs, first=first) for name, kind in STARTS.items()}


def _first_verdict(kind: str, runs: int, *, first: bool) -> dict[str, float]:
    rows = [
        _child([kind, str(POLICY), str(PUBLIC), str(time.monotonic())], first=first) for _ in range(runs + 1)
    ][1:]
    return {stage: statistics.median(row[stage] for row in rows) for stage in STAGES}


def _go_first() -> None:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def _child(arguments: Sequence[str], module: str = "bench.admitting", *, first: bool = False) -> Row:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        preexec_fn=_go_first if first else None,
    )
    return dict(json.loads(done.stdout or "{}"))


def report(results: Mapping[str, Any]) -> list[str]:
    """The tables, Markdown."""
    names = {"one": "one file", "shards": f"{SHARDS} large files", "encrypted": "encrypted"}
    runs = results["admission"][0]["runs"]
    lines = [f"Taken on {results['date']} on {results['machine']}, at {results['priority']} priority."]
    lines += [f"Times and the first ratio: fastest of {runs} runs.", ""]
    rows = [
        [
            f"{row['megabytes']} MB, {names[row['layout']]}: {row['kind']}",
            f"{1000 * row['seconds fastest']:.0f}",
            f"{1000 * row['sha256 fastest']:.0f}",
            f"{row['ratio fastest']:.2f}",
            f"{row['ratio']:.2f}",
            f"{row['ratio cpu']:.2f}",
            f"{row['added']:.2f}",
            f"{row['peak']:.2f}",
        ]
        for row in results["admission"]
    ]
    head = ["what", "ms", "SHA-256 alone, ms", "ratio", "median ratio", "CPU ratio"]
    head += ["memory added / size", "peak / size"]
    sizes = [str(size) for size in next(iter(results["commands"].values()))]
    lines += [*table(head, rows), "Whole commands, one file:", ""]
    lines += table(
        ["ms", *(f"{size} MB" for size in sizes)],
        [[name, *(f"{1000 * s:.0f}" for s in row.values())] for name, row in results["commands"].items()],
    )
    lines += ["From the start of the process to the first verdict of the demo:", ""]
    starts = results["first verdict"]
    return [
        *lines,
        *table(
            ["stage, ms", *starts],
            [[stage, *(f"{1000 * row[stage]:.0f}" for row in starts.values())] for stage in STAGES],
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(prog="python -m bench.admission", description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--first", action="store_true", help="at a real-time priority; needs root")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path, help="page whose table between the markers is replaced")
    options = parser.parse_args(arguments)
    with ExitStack() as made:
        folders = {size: made.enter_context(_bundles(size)) for size in options.megabytes}
        results = {
            "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
            "priority": "real-time" if options.first else "ordinary",
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "admission": list(admissions(folders, options.runs, first=options.first)),
            "commands": commands(folders, options.runs, first=options.first),
            "first verdict": first_verdicts(options.runs, first=options.first),
        }
    text = report(results)
    sys.stdout.write("\n".join(text) + "\n")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    if options.page:
        fill(options.page, "admission-table", "\n".join(text))
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make(Path(sys.argv[2]), int(sys.argv[3]))
        sys.exit()
    sys.exit(main())
