"""The fuzz targets as ordinary programs over files, with one source of the firmware changed at will. Needs no clang.

Writes only into the folder it is given, and clears it first. A file that breaks a claim ends the program: no more is
asked.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from firmware_stubs.verify.fuzz import prepare
from firmware_stubs.verify.fuzz.run import FIRMWARE, HERE, targets

OPTIONS = ("-std=gnu11", "-O1", "-w", "-fsanitize=undefined", "-fno-sanitize-recover=all")
FOLDERS = (f"-I{FIRMWARE / 'core'}", f"-I{FIRMWARE / 'link'}", f"-I{HERE}")
CHANGED = "-changed"


class Replays:
    """Builds replay programs; objects of unchanged sources are made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        shutil.rmtree(folder, ignore_errors=True)  # what another state of the sources left is of no use
        folder.mkdir(parents=True)
        prepare.write_table(folder)

    def build(self, target: str, changed: Mapping[Path, str] | None = None) -> Path | None:
        """Program for a target, the last one built with these sources; None where a changed source does not compile."""
        found = next(t for t in targets() if t.name == target)
        program = self._folder / f"{target}{CHANGED if changed else ''}"
        sources = [
            *(HERE / name for name in (*found.own, "replay.c")),
            *(FIRMWARE / name for name in found.firmware),
        ]
        objects = [self._object(source, changed or {}) for source in sources]
        if None in objects:
            return None
        subprocess.run([*_compiler(), *OPTIONS, *map(str, objects), "-o", str(program)], check=True)
        return program

    def _object(self, source: Path, changed: Mapping[Path, str]) -> Path | None:
        text = changed.get(source)
        made = self._folder / f"{source.stem}{'' if text is None else CHANGED}.o"
        if text is not None or not made.exists():
            folders = (f"-I{self._folder}", *FOLDERS)
            command = [*_compiler(), *OPTIONS, *folders, "-x", "c", "-", "-c", "-o", str(made)]
            written = (source.read_text() if text is None else text).encode()
            done = subprocess.run(command, input=written, stderr=subprocess.DEVNULL, check=False)
            return made if done.returncode == 0 else None
        return made


def passes(program: Path, files: Sequence[Path], seconds: float = 60.0) -> bool:
    """Whether every claim holds over these files, in that time."""
    command = [str(program), *map(str, files)]
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=seconds).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _compiler() -> list[str]:
    return os.environ.get("CC", "cc").split()
