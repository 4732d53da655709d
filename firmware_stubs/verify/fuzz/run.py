"""Fuzz the firmware's framing, sessions and core with libFuzzer, ASan and UBSan: `make fuzz-firmware SECONDS=600`.

Each target runs for so many seconds, from seeds made of the published vectors and from what earlier runs left in
`out/fuzz/`. A finding ends its target and the run fails; the same seed and an empty `out/fuzz/` repeat it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from firmware_stubs.verify.fuzz import prepare

HERE = Path(__file__).resolve().parent
FIRMWARE = HERE.parents[1]
OUT = HERE.parents[2] / "out" / "fuzz"
WIRE = ("link/eg_wire.c", "link/eg_sha256.c")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WARNINGS = ("-std=gnu11", "-Wall", "-Wextra", "-Wconversion", "-Werror")
INSTALL = "on Debian or Ubuntu: `apt-get install clang-14 libclang-rt-14-dev`"
INSTALL_MAVGEN = "`pip install pymavlink`, or name a Python that has it in PYMAVLINK_PYTHON"
_LINES, _TAKEN = r"Lines executed:([\d.]+)% of (\d+)", r"Taken at least once:([\d.]+)% of (\d+)"
LONGEST = 1024
"""Bytes of an input."""
SLOWEST = 10
"""s that one input may take."""


def whole() -> tuple[str, ...]:
    """Return every source of core and link, relative to `firmware_stubs`."""
    found = [*(FIRMWARE / "core").glob("*.c"), *(FIRMWARE / "link").glob("*.c")]
    return tuple(sorted(str(path.relative_to(FIRMWARE)) for path in found))


@dataclass(frozen=True, slots=True)
class Target:
    """One fuzz target: its own sources here, and the firmware's under test."""

    name: str
    own: tuple[str, ...]
    firmware: tuple[str, ...]
    mavgen: bool = False

    def sources(self) -> list[str]:
        """Return the paths of all of them."""
        return [*(str(HERE / name) for name in self.own), *(str(FIRMWARE / name) for name in self.firmware)]


def targets() -> tuple[Target, ...]:
    """Return all there are."""
    return (
        Target("framing", ("framing.c",), WIRE),
        Target("session", ("session.c", "oracle.c"), whole()),
        Target("against_mavlink", ("against_mavlink.c",), WIRE, mavgen=True),
    )


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one target. `reason`: why it did not run."""

    name: str
    runs: int = 0
    edges: int = 0
    corpus: int = 0
    findings: tuple[Path, ...] = ()
    reason: str = ""


def find_clang() -> str | None:
    """Return a clang that has libFuzzer, or None."""
    for name in ("clang-14", "clang"):
        compiler = shutil.which(name)
        if compiler is None:
            continue
        program = "int LLVMFuzzerTestOneInput(const char *d, long n) { return (int)(d == 0 && n < 0); }"
        command = [compiler, "-x", "c", "-", "-fsanitize=fuzzer,address", "-o", os.devnull]
        if subprocess.run(command, input=program.encode(), capture_output=True, check=False).returncode == 0:
            return compiler
    return None


def generate_mavlink(folder: Path) -> bool:
    """Write mavgen's C for the dialect into `folder`; False where there is no pymavlink."""
    for python in (os.environ.get("PYMAVLINK_PYTHON", ""), sys.executable):
        if not python:
            continue
        command = [
            python,
            "-m",
            "pymavlink.tools.mavgen",
            "--lang=C",
            "--wire-protocol=2.0",
            f"--output={folder}",
        ]
        done = subprocess.run(
            [*command, str(FIRMWARE / "link" / "edgeguard.xml")], capture_output=True, check=False
        )
        if done.returncode == 0:
            return True
    return False


def compile_target(target: Target, compiler: str, output: Path, options: Sequence[str]) -> None:
    """Build a target against the fuzzers' own table. Raises CalledProcessError with the compiler's output."""
    output.parent.mkdir(parents=True, exist_ok=True)
    prepare.write_table(output.parent)
    folders = [f"-I{output.parent}", f"-I{FIRMWARE / 'core'}", f"-I{FIRMWARE / 'link'}"]
    if target.mavgen:
        folders += ["-isystem", str(output.parent / "mavlink" / "edgeguard")]
    command = [compiler, *WARNINGS, "-g", *options, *folders, *target.sources(), "-o", str(output)]
    subprocess.run(command, check=True)


def fuzz(target: Target, clang: str, seconds: int, seed: int) -> Result:
    """Build and run one target."""
    folder = OUT / target.name
    corpus, seeds, findings = folder / "corpus", folder / "seeds", folder / "findings"
    for place in (corpus, findings):
        place.mkdir(parents=True, exist_ok=True)
    prepare.write_seeds(target.name, seeds)
    if target.mavgen and not generate_mavlink(folder / "mavlink"):
        return Result(target.name, reason=f"no pymavlink: {INSTALL_MAVGEN}")
    known = set(findings.iterdir())
    compile_target(target, clang, folder / target.name, ["-O2", "-fsanitize=fuzzer", *SANITIZERS])
    limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-timeout={SLOWEST}"]
    command = [
        *(str(folder / target.name), *limits, f"-seed={seed}", "-print_final_stats=1"),
        *(f"-artifact_prefix={findings}/", str(corpus), str(seeds)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    (folder / "log").write_text(done.stderr)
    new = tuple(sorted(set(findings.iterdir()) - known))
    if done.returncode != 0 and not new:
        return Result(target.name, reason=f"it ended with status {done.returncode}: see {folder / 'log'}")
    edges = [int(found) for found in re.findall(r"\bcov: (\d+)", done.stderr)]
    runs = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    return Result(
        target.name,
        int(runs.group(1)) if runs else 0,
        max(edges, default=0),
        len(list(corpus.iterdir())),
        new,
    )


def reached(target: Target) -> str:
    """Return which share of the firmware's lines and branches the corpus reaches, by gcov; empty without gcc."""
    gcc, gcov = shutil.which("gcc"), shutil.which("gcov")
    if not gcc or not gcov:
        return ""
    folder = OUT / target.name / "coverage"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if target.mavgen:
        (folder / "mavlink").symlink_to(OUT / target.name / "mavlink")
    runner = Target(target.name, (*target.own, "replay.c"), target.firmware, target.mavgen)
    compile_target(runner, gcc, folder / "replay", ["-O0", "--coverage"])
    files = [str(path) for part in ("seeds", "corpus") for path in (OUT / target.name / part).iterdir()]
    for start in range(0, len(files), 1000):
        command = [str(folder / "replay"), *files[start : start + 1000]]
        subprocess.run(command, check=True, capture_output=True)
    notes = [str(path) for path in folder.glob("*-eg_*.gcda")]
    done = subprocess.run([gcov, "-n", "-b", *notes], cwd=folder, capture_output=True, text=True, check=True)
    return _share(done.stdout, target.firmware)


def _share(report: str, sources: Iterable[str]) -> str:
    """Add up gcov's account of the firmware's own files."""
    lines, taken = [0.0, 0], [0.0, 0]
    for part in report.split("File '")[1:]:
        if not any(part.split("'")[0].endswith(source) for source in sources):
            continue
        for pattern, total in ((_LINES, lines), (_TAKEN, taken)):
            for share, count in re.findall(pattern, part):
                total[0] += float(share) / 100 * int(count)
                total[1] += int(count)
    return f"{100 * lines[0] / lines[1]:.1f} % of lines, {100 * taken[0] / taken[1]:.1f} % of branches"


def main() -> int:
    """Run what was asked for; 5 when there are findings."""
    parser = argparse.ArgumentParser(prog="fuzz-firmware", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", choices=[target.name for target in targets()])
    arguments = parser.parse_args()
    if arguments.seconds < 1:
        parser.error("`--seconds` must be at least 1")
    clang = find_clang()
    if clang is None:
        print(f"fuzz-firmware: no clang with libFuzzer; {INSTALL}")
        return 1
    found = 0
    for target in targets():
        if arguments.target and target.name not in arguments.target:
            continue
        result = fuzz(target, clang, arguments.seconds, arguments.seed)
        if result.reason:
            print(f"{result.name}: not run: {result.reason}")
            continue
        print(
            f"{result.name}: {result.runs} inputs, {result.edges} edges, corpus {result.corpus}; {reached(target)}"
        )
        for path in result.findings:
            found += 1
            print(f"  finding: {path} (run {OUT / target.name / target.name} on it)")
    return 5 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
