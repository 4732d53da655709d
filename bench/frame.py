"""What a guarded frame costs: bare networks, what users wire themselves, and edgeguard's settings, in one run.

`python -m bench.frame [--profile signs|photos|all] [--frames N] [--out out/bench] [--page FILE]`. Ratios hold on a busy
machine, too; absolute times hold only where they were taken. Judges nothing: it prints what it measured.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import report, spans
from bench.cameras import cameras
from bench.cheaper import with_cheaper
from bench.fidelity import fidelity
from bench.guards import guarded
from bench.profiles import NAMES, ROOT, SkippedError, load
from bench.turns import LEAD, TURN, summary, take_turns, undisturbed
from bench.variants import BASE, GATED, INLINE, ISOLATED, ISOLATED_GATED, settings, variants
from edgeguard.errors import EdgeguardError

if TYPE_CHECKING:
    from bench.profiles import Profile
    from bench.turns import Times

PAGE = ROOT / "docs" / "reference" / "performance.md"
PICTURE = ROOT / "docs" / "assets" / "frame-parts.png"
FRAMES = {"signs": 3200, "photos": 320}
PICTURES = {"signs": 1500, "photos": 400}
TAKEN_APART = (INLINE, GATED, ISOLATED)
GROUPS = {"pictures and networks": spans.WORK, "doubt": spans.DOUBT, "decision and log": spans.DECISION}


def measure(profile: Profile, count: int, *, seconds: float = 2.0, real: bool = False) -> dict[str, Any]:
    """Everything about one profile as plain data; times in us.

    `seconds`: how long each number of cameras is tried. `real`: whether all runs at real-time priorities, so that
    nothing else on the machine takes its turn.
    """
    with tempfile.TemporaryDirectory(prefix="edgeguard-bench-") as name:
        folder = Path(name)
        with undisturbed(on=real) as had:
            with variants(profile, folder, placed=real) as (table, left_out):
                times = take_turns(table, count)
            apart = _in_situ(profile, folder, count, placed=real)
        result: dict[str, Any] = {
            "profile": profile.name,
            "frames": len(next(iter(times.values()))),
            "frame shape": list(profile.frames[0].shape),
            "left out": left_out,
            "variants": {name: _row(taken, times[BASE]) for name, taken in times.items()},
            "in situ": apart,
            "real-time": dict(had),
        }
        if profile.held_out:
            result["fidelity"] = fidelity(profile, folder)
        if seconds:
            known = settings(profile)
            result["cameras"] = {
                name: cameras(profile, known[name], folder, seconds=seconds, real=real)
                for name in (GATED, ISOLATED_GATED)
                if name in times
            }
    return result


def _row(times: Times, base: Times) -> dict[str, float]:
    row = summary(times)
    return row | {
        "ratio": row["mean"] / float(base.mean()),
        "ratio p50": row["p50"] / float(np.median(base)),
    }


def _in_situ(profile: Profile, folder: Path, count: int, *, placed: bool) -> dict[str, Any]:
    """Every part's time inside its frame, and the time of the same calls made alone."""
    known = settings(profile, placed=placed)
    rows: dict[str, Any] = {}
    with ExitStack() as stack:
        guards = {}
        for i, name in enumerate(name for name in TAKEN_APART if name in known):
            guards[name] = stack.enter_context(
                guarded(known[name], profile.frames, folder / f"parts-{i}.log")
            )
        alone = take_turns(spans.alone(guards[INLINE]), count)
        found = spans.in_situ(guards, count)
    known_parts = float(np.median(found[INLINE].of(spans.PARTS)))
    for name, one in found.items():
        mine = alone if name == INLINE else {}
        rows[name] = {
            "parts": {
                part: {**summary(times), "alone": float(np.median(mine[part])) if part in mine else None}
                for part, times in one.parts.items()
            },
            "groups": {title: summary(one.of(parts)) for title, parts in GROUPS.items()},
            "orchestration": summary(one.orchestration),
            "whole": summary(one.whole),
            "unstamped": summary(one.unstamped),
            "work alone": float(np.median(np.sum(list(mine.values()), axis=0))) if mine else None,
        }
        if name in (INLINE, ISOLATED):  # the same parts, wherever they run
            rows[name]["over the parts"] = rows[name]["unstamped"]["p50"] - known_parts
    return rows


def machine() -> str:
    """The machine and the versions that matter, without its name."""
    import onnxruntime

    return (
        f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, "
        f"onnxruntime {onnxruntime.__version__}, one thread a session"
    )


def text(documents: list[dict[str, Any]]) -> str:
    """Tables for people, of what was measured of each profile."""
    how = f"All take turns on the same frames in one process: {LEAD} frames that are not timed, then {TURN} that are."
    lines = [how, ""]
    for document in documents:
        lines += report.profile_text(document)
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the result; 0 when at least one profile was measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.frame", description="what a guarded frame costs")
    parser.add_argument("--profile", choices=(*NAMES, "all"), default="all")
    parser.add_argument("--frames", type=int, default=0, help=f"frames a variant (default: {FRAMES})")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each number of cameras; 0: none")
    parser.add_argument(
        "--realtime", action="store_true", help="at a real-time priority, on a machine with other work"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "bench")
    parser.add_argument("--page", type=Path, help=f"also write the tables there, such as {PAGE.name}")
    chosen = parser.parse_args(arguments)
    measured = False
    for name in NAMES if chosen.profile == "all" else (chosen.profile,):
        try:
            profile = with_cheaper(load(name, held_out=PICTURES[name]), chosen.out / "models")
        except SkippedError as error:
            print(error, file=sys.stderr)
            continue
        except EdgeguardError as error:
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
        result = measure(profile, chosen.frames or FRAMES[name], seconds=chosen.seconds, real=chosen.realtime)
        result |= {"machine": machine(), "date": time.strftime("%Y-%m-%d")}
        chosen.out.mkdir(parents=True, exist_ok=True)
        (chosen.out / f"frame-{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        measured = True
    if not measured:
        return SkippedError.exit_code
    _write(chosen.out, chosen.page)
    return 0


def _write(out: Path, page: Path | None) -> None:
    """Everything that lies in `out`, of this run and of earlier ones."""
    from bench.picture import flame

    files = [out / f"frame-{name}.json" for name in NAMES]
    documents = [json.loads(file.read_text()) for file in files if file.is_file()]
    tables = text(documents)
    (out / "frame.md").write_text(tables)
    bars = [
        (
            f"{d['profile']}, {INLINE}",
            {part: row["p50"] for part, row in d["in situ"][INLINE]["parts"].items()},
        )
        for d in documents
    ]
    flame(bars, out / "frame-parts.png")
    if page is not None:
        report.fill(page, "frame-table", tables)
        flame(bars, PICTURE)
    print(tables)


if __name__ == "__main__":
    raise SystemExit(main())
