"""The ordinary tests of the firmware over a mutant: pytest in a fork that builds the library with one source changed.

The fork is let go after its time; nothing it does is seen here but whether a test failed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

import hil.firmware
import hil.mcu
from edgeguard.policy.emit_c import emit
from edgeguard.program import Program
from firmware_stubs.verify.mutate.builds import FIRMWARE, Workshop

ROOT = FIRMWARE.parent
TESTS = ROOT / "tests" / "firmware"
SLOW = ("test_envelope.py",)
NEVER = (
    "test_process",
    "test_board",
    "test_proof",
    "test_flips",
    "test_firmware_mutants",
    "test_fuzz",
    "test_line_faults",
    "test_sense_flood",
    "test_two_",
    "test_rebuild",
)
"""Tests of other artefacts, or that build the core themselves: the second implementation is asked by cases.py."""
SECONDS = 900
"""More than all of them take, so that a busy machine kills no mutant."""


def test_files() -> list[str]:
    """Files of tests, the quick ones first."""
    own = [path for path in sorted(TESTS.glob("test_*.py")) if not path.name.startswith(NEVER)]
    quick = [str(path) for path in own if path.name not in SLOW]
    vectors = [
        str(ROOT / "tests" / "link" / "test_vectors.py"),
        str(ROOT / "tests" / "link" / "test_vectors_wire.py"),
    ]
    return [*vectors, *quick, *(str(path) for path in own if path.name in SLOW)]


def sources() -> list[Path]:
    """Everything the shared library is made of."""
    return [path for part in ("core", "link", "board/lib") for path in sorted((FIRMWARE / part).glob("*.c"))]


def builder(folder: Path, changed: Mapping[Path, str], name: str) -> Callable[..., Path]:
    """Stand in for `hil.firmware.build`, with these sources changed."""
    made: dict[tuple[str, bool], Path] = {}

    def build(program: Program, target: str, *, sanitize: bool = False, release: bool = False) -> Path:
        del sanitize  # always: see builds.CAREFUL
        if target != "lib":
            raise RuntimeError(f"mutants are built as a library only, not as `{target}`")
        table = emit(program)
        if (table, release) not in made:
            workshop = Workshop(folder, table, sources(), ["-DEG_FOR_RELEASE"] if release else [])
            library = workshop.library(changed, name)
            if library is None:
                raise RuntimeError("the mutant does not compile")
            made[table, release] = library
        return made[table, release]

    return build


def run(folder: Path, changed: Mapping[Path, str], name: str, files: Sequence[str]) -> bool:
    """Whether every test passes. A mutant that ends the process, or does not end, fails."""

    def tests() -> bool:
        hil.mcu.build = hil.firmware.build = builder(folder, changed, name)
        options = [
            "-x",
            "-q",
            "-p",
            "no:xdist",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
            "-k",
            "not compiler",
        ]
        return pytest.main([*options, *files]) == pytest.ExitCode.OK

    return forked(tests, SECONDS)


def forked(question: Callable[[], bool], seconds: int) -> bool:
    """Answer of a fork of this process; False where it crashes or takes longer."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        signal.alarm(seconds)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        good = False
        with contextlib.suppress(BaseException):
            good = question()
        os._exit(0 if good else 1)
    _, status = os.waitpid(child, 0)
    return status == 0
