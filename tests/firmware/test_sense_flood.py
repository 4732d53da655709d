"""Whoever floods the board's measurements holds up no step: so many bytes are taken at a time, and no more."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from threading import Timer

import pytest

from edgeguard.policy.emit_c import emit
from edgeguard.program import Program
from hil.firmware import SOURCES, TEST_KEY_FILE, TEST_OPERATOR_KEY_FILE, build

RING = 1024
CHUNK = 64


class Ring(ctypes.Structure):
    """`eg_ring`."""

    _fields_ = (("into", ctypes.c_uint32), ("out", ctypes.c_uint32), ("data", ctypes.c_uint8 * RING))


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs cc")
def test_boards_take_so_many_bytes_at_a_time(program: Program, tmp_path: Path) -> None:
    (tmp_path / "policy_table.h").write_text(emit(program))
    library = tmp_path / "sense.so"
    folders = [f"-I{folder}" for folder in (tmp_path, SOURCES / "core", SOURCES / "board" / "common")]
    source = SOURCES / "board" / "common" / "eg_sense_line.c"
    subprocess.run(["cc", "-shared", "-fPIC", *folders, str(source), "-o", str(library)], check=True)
    ring = Ring(RING, 0, (ctypes.c_uint8 * RING)(*[0xA5] * RING))
    line, senses = (ctypes.c_uint8 * 64)(), (ctypes.c_uint8 * 4096)()
    take = ctypes.CDLL(str(library)).eg_sense_take
    for step in range(1, RING // CHUNK + 1):
        take(ctypes.byref(line), ctypes.byref(ring), ctypes.byref(senses), ctypes.c_uint64(step))
        assert ring.out == step * CHUNK


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs cc")
def test_process_steps_while_its_input_never_ends(program: Program) -> None:
    with (
        Path("/dev/zero").open("rb") as endless,
        subprocess.Popen(
            [build(program, "host"), TEST_KEY_FILE, TEST_OPERATOR_KEY_FILE],
            stdin=endless,
            stdout=subprocess.PIPE,
        ) as mcu,
    ):
        late = Timer(30.0, mcu.kill)  # so that a process that is held up ends the test
        late.start()
        assert mcu.stdout is not None
        lines = [mcu.stdout.readline() for _ in range(5)]
        late.cancel()
        mcu.kill()
    assert all(b"silent" in line for line in lines[1:])  # the first is the line's name
