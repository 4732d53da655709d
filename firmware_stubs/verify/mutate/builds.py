"""Building the firmware with one source changed: objects are kept, so that a mutant costs one compilation and a link.

Writes only into the folder it is given. Decides nothing about a mutant but whether it compiles, and to what.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

FIRMWARE = Path(__file__).resolve().parents[2]
PLAIN = ("-std=c11", "-O2", "-fPIC", "-w")
CAREFUL = ("-std=c11", "-O0", "-fPIC", "-w", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
"""As the tests build it: what C leaves undefined ends the program."""


class Workshop:
    """Builds for one table. `changed`: paths of sources, relative to `firmware_stubs`, and their new text."""

    def __init__(
        self, folder: Path, table: str, sources: Sequence[Path], defines: Sequence[str] = ()
    ) -> None:
        key = hashlib.sha256("\n".join((table, *defines, *map(_digest, sources), _headers())).encode())
        self.folder = folder / key.hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "policy_table.h").write_text(table, encoding="ascii")
        self.sources = tuple(sources)
        self.defines = tuple(defines)

    def code(self, source: Path, text: str) -> bytes | None:
        """Object code of a source as a release would have it, or None where it does not compile."""
        made = self.folder / f"plain-{os.getpid()}.o"
        return made.read_bytes() if self._compile(source, text, made, PLAIN) else None

    def library(self, changed: Mapping[Path, str], name: str) -> Path | None:
        """Shared library with these sources changed, or None where one does not compile."""
        objects = [str(self._object(source)) for source in self.sources if source not in changed]
        texts = []
        for source, text in changed.items():
            written = self.folder / f"{source.stem}-{name}.c"
            written.write_text(text)
            texts.append(str(written))
        library = self.folder / f"lib-{name}.so"
        command = [
            "cc",
            "-shared",
            *CAREFUL,
            *self.defines,
            *self._folders(),
            "-o",
            str(library),
            *objects,
            *texts,
        ]
        done = subprocess.run(command, stderr=subprocess.DEVNULL, check=False)
        return library if done.returncode == 0 else None

    def _object(self, source: Path) -> Path:
        """Object of a source as it is, made once."""
        made = self.folder / f"{source.stem}.o"
        if not made.exists():
            part = self.folder / f"{source.stem}-{os.getpid()}.part.o"
            if not self._compile(source, source.read_text(), part, CAREFUL):
                raise RuntimeError(f"`{source}` does not compile as it is")
            part.rename(made)
        return made

    def _folders(self) -> list[str]:
        return [f"-I{self.folder}", f"-I{FIRMWARE / 'core'}", f"-I{FIRMWARE / 'link'}"]

    def _compile(self, source: Path, text: str, made: Path, options: Sequence[str]) -> bool:
        folders = [
            f"-I{self.folder}",
            f"-I{FIRMWARE / 'core'}",
            f"-I{FIRMWARE / 'link'}",
            f"-I{source.parent}",
        ]
        command = ["cc", *options, *self.defines, *folders, "-x", "c", "-", "-c", "-o", str(made)]
        done = subprocess.run(command, input=text.encode(), stderr=subprocess.DEVNULL, check=False)
        return done.returncode == 0


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _headers() -> str:
    found = [*(FIRMWARE / "core").glob("*.h"), *(FIRMWARE / "link").glob("*.h")]
    return "".join(_digest(path) for path in sorted(found))
