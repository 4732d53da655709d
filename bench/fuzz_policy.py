"""Throw strange policies at loader, compiler, linter and formatter: `make fuzz-policy SECONDS=600`.

Only a PolicyError may come out, and no stage may take longer than `SLOW`. What breaks that is shrunk and kept, in the
form of tests/hostile/policies/. The same `--seed` and the same policies to start from give the same inputs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TypeVar

from bench.strange_policies import ROOT, Maker
from edgeguard.desk.fmt import format_policy
from edgeguard.desk.lint import lint
from edgeguard.errors import PolicyError, UsageError
from edgeguard.policy.calibration import parse_calibration
from edgeguard.policy.compiler import compile_policy, signal_specs
from edgeguard.policy.document import PolicyDocument, parse
from edgeguard.program import Program, SignalSpec

SLOW = {"load": 1.0, "compile": 1.0, "lint": 1.0, "format": 5.0}
"""Seconds of processor time that each stage may take for one input."""
HUNG = 10.0
"""Seconds after which an input is given up."""
PATIENCE = 20.0
"""Seconds of processor time for shrinking one input."""
T = TypeVar("T")
Crash = tuple[str, str]
"""What came out and where, and the whole story."""


class HungError(Exception):
    """Raised by the timer inside whatever hangs."""


class Trial:
    """One input on its way through everything a policy file goes through at a desk; the seconds of each stage stay."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.spent: dict[str, float] = {}
        self.outcome = ""

    def run(self) -> Crash | None:
        """Go through every stage. Returns what broke, if something did."""
        signal.setitimer(signal.ITIMER_PROF, HUNG)
        try:
            self.stages()
        except HungError:
            return "hang", f"longer than {HUNG:g} s"
        except Exception as error:  # noqa: BLE001 - whatever comes out is what is looked for
            frames = [f for f in traceback.extract_tb(error.__traceback__) if "edgeguard/" in f.filename]
            where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
            return f"{type(error).__name__} at {where}", traceback.format_exc()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        slow = [name for name, limit in SLOW.items() if self.spent.get(name, 0.0) > limit]
        return (f"slow {slow[0]}", f"{self.spent[slow[0]]:.2f} s") if slow else None

    def stage(self, name: str, what: Callable[[], T]) -> T:
        """Do `what` and note what it took."""
        start = time.process_time()
        try:
            return what()
        finally:
            self.spent[name] = time.process_time() - start

    def stages(self) -> None:
        """Load and format; more with what loads."""
        try:
            document = self.stage("load", lambda: parse(self.data, file="p.yaml"))
        except PolicyError as error:
            self.outcome = " ".join(sorted({d.code for d in error.diagnostics})[:4])
        else:
            self.judge(document)
        try:
            laid_out = self.stage("format", lambda: format_policy(self.data, file="p.yaml"))
        except (PolicyError, UsageError):  # the latter when the formatted text is too large
            return
        if len(laid_out) < 20_000 and format_policy(laid_out.encode(), file="p.yaml") != laid_out:
            raise AssertionError("formatting twice is not formatting once")

    def judge(self, document: PolicyDocument) -> None:
        """Lint, compile with a calibration in the middle of every range, and try out what was compiled."""
        signals = {spec.name: spec for spec in signal_specs(document)}
        wanted = {name: middle(signals[name]) for name in document.thresholds()}
        found = self.stage("lint", lambda: lint(document, wanted))
        text = json.dumps({
            "edgeguard_calibration": 1, "policy": document.policy.policy.name, "models": {}, "frames": 100,
            "abstain": 0.01, "thresholds": wanted,
        })  # fmt: skip
        calibration = parse_calibration(text.encode(), file="c.json") if document.policy.calibration else None
        try:
            program = self.stage(
                "compile", lambda: compile_policy(document, base=ROOT, calibration=calibration)
            )
        except PolicyError as error:
            self.outcome = "not compiled: " + " ".join(sorted({d.code for d in error.diagnostics})[:3])
            return
        step(program)
        self.outcome = "loaded " + " ".join(sorted({f.code for f in found})[:4])


def step(program: Program) -> None:
    """The compiled conditions are total: they never raise."""
    specs = program.signals
    for values in ([s.nominal for s in specs], [s.low for s in specs], [s.high for s in specs]):
        for healthy in ([True] * len(specs), [False] * len(specs)):
            for call in (program.when, program.clear, program.choose):
                call(values, healthy)


def middle(spec: SignalSpec) -> float:
    low, high = max(spec.low, -1e9), min(spec.high, 1e9)
    return min(max(low / 2 + high / 2, spec.low), spec.high)


def shrunk(data: bytes, kind: str) -> bytes:
    """The input without the lines, then the pieces, that the same crash does not need; as far as `PATIENCE` reaches."""
    end = time.process_time() + PATIENCE
    for joint in (b"\n", b" "):
        size = max(1, len(data.split(joint)) // 2)
        while size:
            pieces, at = data.split(joint), 0
            while at < len(pieces):
                if time.process_time() > end:
                    return data
                less = joint.join(pieces[:at] + pieces[at + size :])
                crash = Trial(less).run()
                if crash is not None and crash[0] == kind:
                    data, pieces = less, pieces[:at] + pieces[at + size :]
                else:
                    at += size
            size //= 2
    return data


def keep(folder: Path, data: bytes, crash: Crash) -> Path:
    """Store the input beside an empty list of what it should give: whoever mends it fills that in."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"fuzz-{hashlib.sha256(data).hexdigest()[:10]}.yaml"
    path.write_bytes(data)
    path.with_suffix(".expect").write_text("")
    path.with_suffix(".txt").write_text("\n".join(crash))
    return path


def _hung(_signal: int, _frame: FrameType | None) -> None:
    raise HungError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long")
    parser.add_argument("--inputs", type=int, default=0, help="stop after so many inputs; 0: time decides")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--slower", type=float, default=1.0, help="allow so many times the time, on a slow machine"
    )
    parser.add_argument(
        "--keep", type=Path, default=ROOT / "out" / "fuzz", help="folder for what breaks something"
    )
    chosen = parser.parse_args()
    signal.signal(signal.SIGPROF, _hung)
    SLOW.update({name: limit * chosen.slower for name, limit in SLOW.items()})
    maker, crashes, loaded, count = Maker(chosen.seed), dict[str, Path](), 0, 0
    slowest = dict.fromkeys(SLOW, 0.0)
    end = time.monotonic() + chosen.seconds
    while time.monotonic() < end and not (chosen.inputs and count >= chosen.inputs):
        trial = Trial(maker.make())
        crash = trial.run()
        count += 1
        loaded += trial.outcome.startswith("loaded")
        slowest = {name: max(most, trial.spent.get(name, 0.0)) for name, most in slowest.items()}
        if crash is None:
            maker.learn(trial.data, trial.outcome)
        elif crash[0] not in crashes:
            crashes[crash[0]] = keep(chosen.keep, shrunk(trial.data, crash[0]), crash)
            print(f"{crash[0]}: {crashes[crash[0]]}", flush=True)
    told = ", ".join(f"{name} {most:.2f} s" for name, most in slowest.items())
    print(
        f"{count} inputs, {loaded} of them load, {len(maker.kinds)} kinds of outcome; {len(crashes)} kinds of crash; "
        f"slowest: {told}; seed {chosen.seed}"
    )
    return 5 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
