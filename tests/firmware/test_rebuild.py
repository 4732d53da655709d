"""A build folder that is used again holds what was asked for last: no test key and no emulated clock is left in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edgeguard.policy.emit_c import emit
from edgeguard.program import Program
from hil.firmware import ARTEFACTS, SOURCES


def make(target: str, folder: Path, *options: str) -> Path:
    table = folder / "policy_table.h"
    done = subprocess.run(
        [
            "make",
            "-s",
            "-f",
            str(SOURCES / "Makefile"),
            target,
            f"BUILD={folder}",
            f"TABLE={table}",
            *options,
        ],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")},
    )
    assert done.returncode == 0, done.stderr
    return folder / ARTEFACTS[target]


@pytest.mark.parametrize(
    ("target", "compiler", "option"),
    [
        pytest.param("lib", "cc", "RELEASE=1", id="test-keys-refused"),
        pytest.param("netduino", "arm-none-eabi-gcc", "EMULATED=", id="clock-of-the-part"),
    ],
)
def test_other_options_build_anew(
    program: Program, tmp_path: Path, target: str, compiler: str, option: str
) -> None:
    if shutil.which(compiler) is None or shutil.which("make") is None:
        pytest.skip(f"needs {compiler} and make")
    (tmp_path / "policy_table.h").write_text(emit(program))
    before = make(target, tmp_path).read_bytes()
    built = make(target, tmp_path, option)
    after = built.stat().st_mtime_ns
    assert built.read_bytes() != before
    assert make(target, tmp_path, option).stat().st_mtime_ns == after
    assert make(target, tmp_path).read_bytes() == before


def test_another_table_builds_anew_though_it_is_older(program: Program, tmp_path: Path) -> None:
    if shutil.which("cc") is None or shutil.which("make") is None:
        pytest.skip("needs cc and make")
    older = tmp_path / "older" / "policy_table.h"
    older.parent.mkdir()
    older.write_text(emit(program).replace(".arm_commands = 5u", ".arm_commands = 6u"))
    (tmp_path / "policy_table.h").write_text(emit(program))
    before = make("lib", tmp_path).read_bytes()
    assert make("lib", tmp_path, f"TABLE={older}").read_bytes() != before


def test_part_draws_a_seed_of_its_own_and_the_emulated_one_does_not(program: Program, tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None or shutil.which("make") is None:
        pytest.skip("needs arm-none-eabi-gcc and make")
    random_source = (0x5006_0800).to_bytes(4, "little")
    (tmp_path / "policy_table.h").write_text(emit(program))
    assert random_source not in make("netduino", tmp_path).read_bytes()
    assert random_source in make("netduino", tmp_path, "EMULATED=").read_bytes()
