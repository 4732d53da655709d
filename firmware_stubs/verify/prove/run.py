"""Prove the firmware's core for every table, and see every broken core refuted: `tools/prove-firmware`.

Asks one prover about one property of one table at a time. A property that is not proved, and a control that is not
refuted, fail the run; nothing is retried.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from firmware_stubs.verify.prove import controls, prover, tables

HERE = Path(__file__).resolve().parent
CORE = HERE.parents[1] / "core"
SIGNED = ("--overflow-check", "--ub-shift-check")
CHECKED = {"memory": (*SIGNED, "--unsigned-overflow-check"), "retained": SIGNED, "arithmetic": SIGNED}
"""Proofs with the prover's own checks; `memory` over the untouched core. A checksum's unsigned products may wrap."""
UNCHECKED = ("--no-standard-checks",)
PROOFS = (
    *CHECKED,
    *("start_is_sound", "lock_is_sound", "soundness", "damage", "envelope", "slew"),
    *("stop", "stop_is_safe", "deadlines", "feedback", "lead", "entry", "modes", "latches", "requests"),
    *("fallback", "ramp", "ramp_ends", "copies"),
)
SLICE = ("arithmetic", "start_is_sound", "lock_is_sound", "envelope", "ramp_ends")
"""Proofs quick enough for every change."""
SLICE_CONTROLS = ("the retained output not clamped", "the deadline removed")
CONTROLS_TABLE = "extreme-rules"
SECONDS = 900


@dataclass(frozen=True, slots=True)
class _Bench:
    program: Path
    work: Path
    cpu: int


def main(arguments: list[str] | None = None) -> int:
    """Prove, print a line a proof, and return the exit code: 0 all as it must be, 1 something is not, 2 no prover."""
    asked = _arguments(arguments)
    try:
        program = prover.find()
    except prover.MissingError as reason:
        print(f"prove-firmware: {reason}", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory() as name:
            bad = list(_run(_Bench(program, Path(name), asked.cpu), asked))
    except (controls.StaleError, tables.NoTableError) as reason:
        print(f"prove-firmware: {reason}", file=sys.stderr)
        return 1
    print(
        "prove-firmware: "
        + ("; ".join(bad) if bad else "everything asked for is proved, and every control refuted")
    )
    return 1 if bad else 0


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="prove-firmware", description="Prove the firmware's core, table by table."
    )
    parser.add_argument(
        "--table", action="append", help="only this table (a policy's file name, or extreme-*)"
    )
    parser.add_argument("--proof", action="append", choices=PROOFS, help="only this property")
    parser.add_argument(
        "--slice", action="store_true", help="sign_gate's table, the quick proofs, two controls"
    )
    parser.add_argument("--no-controls", action="store_true", help="leave the broken cores out")
    parser.add_argument("--only-controls", action="store_true", help="leave the proofs out")
    parser.add_argument("--cpu", type=int, default=SECONDS, help="seconds of processor time a proof may take")
    return parser.parse_args(arguments)


def _run(bench: _Bench, asked: argparse.Namespace) -> Iterator[str]:
    extremes = tables.write_extremes(bench.work / "tables")
    if not asked.only_controls:
        named = ("sign_gate",) if asked.slice else tuple(asked.table or ())
        policies, none = tables.write_policies(bench.work / "tables", named)
        for name, reason in none.items():
            print(f"{name}: no table, as it should be: {reason}")
        found = {**policies, **extremes}
        for name in named or found:
            if name not in found:
                others = ", ".join(extremes)
                raise tables.NoTableError(
                    f"there is no table `{name}`: name a policy of policies/ that has one, or one of {others}"
                )
            yield from _prove(bench, asked, name, found[name])
    if not asked.no_controls:
        yield from _refute(bench, asked, extremes[CONTROLS_TABLE])


def _prove(bench: _Bench, asked: argparse.Namespace, name: str, table: Path) -> Iterator[str]:
    for proof in SLICE if asked.slice else (asked.proof or PROOFS):
        verdict = _ask(bench, table, proof, None)
        print(f"{name:16} {proof:16} {verdict.answer:10} {verdict.seconds:7.1f} s  {verdict.why}", flush=True)
        if verdict.answer != "proved":
            yield f"{name}: `{proof}` is {verdict.answer}"


def _refute(bench: _Bench, asked: argparse.Namespace, table: Path) -> Iterator[str]:
    for control in controls.CONTROLS:
        if asked.slice and control.name not in SLICE_CONTROLS:
            continue
        verdict = _ask(bench, table, control.proof, control)
        took = f"{verdict.answer:10} {verdict.seconds:7.1f} s"
        print(f"control: {control.name:44} {control.proof:16} {took}  {verdict.why}", flush=True)
        if verdict.answer != "refuted":
            yield f"control `{control.name}` is {verdict.answer}"


def _ask(bench: _Bench, table: Path, proof: str, control: controls.Control | None) -> prover.Verdict:
    core = bench.work / "core"
    shutil.rmtree(core, ignore_errors=True)
    controls.copy_core(CORE, core, control, abstract=proof != "memory")
    source = HERE / ("pair.c" if proof == "copies" else "properties.c")
    return prover.ask(bench.program, source, (core, table), proof, CHECKED.get(proof, UNCHECKED), bench.cpu)
