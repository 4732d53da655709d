"""Writing so that after a power cut a name stands for the old content or the new one, whole, and durable on return.

Nothing is read here, and nothing is known of what is written. Errors are the operating system's own, for `why`.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_new(path: Path, pieces: Iterable[bytes], *, mode: int = 0o600, folder: int | None = None) -> None:
    """Write a file that is not there yet. `mode`: exactly. `folder`: an open one that `path` is looked up in.

    Raises:
        OSError: there is something of that name, or it cannot be written.
    """
    file = os.open(path, _NEW, 0o600, dir_fd=folder)
    try:
        for piece in pieces:
            left = memoryview(piece)
            while left:
                left = left[os.write(file, left) :]
        os.fchmod(file, mode)
        os.fsync(file)
    finally:
        os.close(file)


def write_whole(path: Path, data: bytes, *, mode: int = 0o600, folder: int | None = None) -> None:
    """Put `data` in the place of a file that one process at a time writes; for others there is `replace`.

    What a cut left of an earlier try is used up, so that nothing gathers on a device. Raises: OSError.
    """
    temporary = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=folder)
    write_new(temporary, [data], mode=mode, folder=folder)
    os.rename(temporary, path, src_dir_fd=folder, dst_dir_fd=folder)
    if folder is None:
        sync_folder(path.parent)
    else:
        os.fsync(folder)


def replace(path: Path, data: bytes, *, mode: int) -> None:
    """Put `data` in the place of a file, whoever else does so at the same time. Raises: OSError."""
    temporary = _own_name(path)
    try:
        write_new(temporary, [data], mode=mode)
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def create(path: Path, data: bytes, *, mode: int) -> None:
    """Make a file, never over anything.

    Raises:
        FileExistsError: there is something of that name.
        OSError: it cannot be made; then it is not there.
    """
    temporary = _own_name(path)
    try:
        write_new(temporary, [data], mode=mode)
        os.link(temporary, path, follow_symlinks=False)  # unlike a renaming, this never replaces anything
        try:
            sync_folder(path.parent)
        except OSError:
            path.unlink()
            raise
    finally:
        temporary.unlink(missing_ok=True)


def write_folder(path: Path, files: Mapping[str, Iterable[bytes]], *, private: bool) -> None:
    """Make a folder of files, by their names with `/` between components. `private`: nobody else may look into it.

    Raises:
        OSError: it cannot be made, or there is one that is not empty; then nothing of it is there.
    """
    temporary = _own_name(path)
    temporary.mkdir(mode=0o700)
    try:
        for name, pieces in files.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            write_new(temporary / name, pieces, mode=0o600 if private else 0o644)
        for folder, _, _ in os.walk(temporary):
            sync_folder(Path(folder))
        if not private:
            temporary.chmod(0o755)
        temporary.rename(path)
        sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # nothing, once it was renamed


def sync_folder(path: Path) -> None:
    """Wait until the disk has the names in a folder. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def why(error: OSError | ValueError) -> str:
    """What the operating system says, in words for a message."""
    if not isinstance(error, OSError):  # a zero byte, or half a surrogate pair
        return "no file can have this name"
    return (error.strerror or "input/output error").lower()


def _own_name(path: Path) -> Path:
    """A name beside a file's own that nobody else writes to."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
