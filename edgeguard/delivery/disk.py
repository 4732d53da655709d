"""Every change that delivery makes on a disk, each durable when it returns, and whole or not at all.

What a power cut may leave behind is an unused temporary file, never half a file under its name.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from edgeguard.errors import UsageError


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place, then rename it. Raises: UsageError."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, 0o644), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - what tests make fail is a call of `os`
        sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from None


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed or removed in a folder durable. Raises: OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make every file and folder below a folder durable. Raises: OSError."""
    for where, _, names in os.walk(folder):
        for name in names:
            descriptor = os.open(Path(where, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(where))


def move_folder(source: Path, target: Path) -> None:
    """Rename a folder to a name that is not there yet. Raises: OSError."""
    os.rename(source, target)  # noqa: PTH104
    sync_folder(target.parent)


def point(link: Path, target: str) -> None:
    """Make a symbolic link point elsewhere, in one step. Raises: OSError."""
    temporary = link.with_name(f".{link.name}.new")
    temporary.unlink(missing_ok=True)
    os.symlink(target, temporary)  # noqa: PTH211
    os.replace(temporary, link)  # noqa: PTH105
    sync_folder(link.parent)


def remove_tree(folder: Path) -> None:
    """Remove a folder and all in it, or a single file, following no link. What cannot be removed stays."""
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            folder.unlink()


def cannot_write(path: Path, error: OSError) -> UsageError:
    """The error to raise when the disk is full, read-only or broken."""
    said = (error.strerror or "input/output error").lower()
    return UsageError(f"cannot write `{path}`: {said}; nothing that was in use has changed; check the disk")
