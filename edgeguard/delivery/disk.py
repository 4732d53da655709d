"""Every change that delivery makes on a disk: durable when it returns, and whole or not at all. See `edgeguard.disk`.

What a power cut may leave behind is an unused temporary file, never half a file under its name.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from edgeguard import disk
from edgeguard.disk import sync_folder, why
from edgeguard.errors import UsageError


def write_whole(path: Path, data: bytes) -> None:
    """Write a file in one step, and the folder it lies in. Raises: UsageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        disk.write_whole(path, data, mode=0o644)
    except OSError as error:
        raise cannot_write(path, error) from None


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
    return UsageError(
        f"cannot write `{path}`: {why(error)}; nothing that was in use has changed; check the disk"
    )
