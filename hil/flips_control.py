"""A firmware that is broken on purpose, to see that the flips find it: its second copy of the core repeats the first.

Builds in `out/flips/` from a copy of the sources; nothing that is ever flashed comes from here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from edgeguard.errors import LinkError
from edgeguard.policy.emit_c import emit
from edgeguard.program import Program
from hil.firmware import ROOT, SOURCES

_SECOND: Final = "    *second = eg_step(table_again, &other, inputs_again, now_us);\n"
_REPEATED: Final = (
    "    (void)table_again;\n    (void)inputs_again;\n    other = pair->state;\n    *second = *first;\n"
)


def build_control(program: Program) -> Path:
    """Build the ARM firmware without its second computation; return the ELF file, in its folder.

    Raises:
        LinkError: the sources are not as expected, or the compiler fails.

    """
    pair = (SOURCES / "core" / "eg_pair.c").read_text()
    if pair.count(_SECOND) != 1:
        raise LinkError(
            "core/eg_pair.c has changed: say in hil/flips_control.py how to take its second step away"
        )
    table = emit(program)
    found = hashlib.sha256(table.encode())
    for source in sorted(SOURCES.rglob("*.[ch]")):
        found.update(source.read_bytes())
    folder = ROOT / "out" / "flips" / f"control-{found.hexdigest()[:16]}"
    if not (folder / "edgeguard-mcu.elf").exists():
        _build(folder, table, pair.replace(_SECOND, _REPEATED))
    return folder / "edgeguard-mcu.elf"


def _build(folder: Path, table: str, pair: str) -> None:
    work = folder.with_suffix(f".{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    for room in ("core", "link", "board"):
        shutil.copytree(SOURCES / room, work / "sources" / room)
    shutil.copy(SOURCES / "Makefile", work / "sources")
    (work / "sources" / "core" / "eg_pair.c").write_text(pair)
    (work / "policy_table.h").write_text(table, encoding="ascii")
    make = ["make", "-s", "-f", str(work / "sources" / "Makefile"), "qemu"]
    done = subprocess.run(
        [*make, f"BUILD={work}", f"TABLE={work / 'policy_table.h'}"],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")},
    )
    if done.returncode != 0:
        raise LinkError(f"building the control failed: {done.stderr.strip() or done.stdout.strip()}")
    shutil.rmtree(folder, ignore_errors=True)
    work.rename(folder)
