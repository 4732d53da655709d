"""Small files that must be whole and nobody else's: read with all checks, replaced whole or not at all.

Every name is looked up in an open folder and no link is followed. Nothing here knows what a file means.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgeguard.admission.reasons import refusal
from edgeguard.disk import why, write_whole
from edgeguard.errors import AdmissionError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class Folder:
    """An open folder that only its owner writes to."""

    descriptor: int
    path: Path


@contextmanager
def open_private(path: str | Path) -> Iterator[Folder]:
    """Open a folder that belongs to this process's user (or root) and that nobody else may write to.

    Raises:
        AdmissionError: `file-missing`, `not-a-file`, `unreadable`.
    """
    place = Path(path)
    try:
        descriptor = os.open(place, _FOLDER)
    except (OSError, ValueError) as error:
        raise _refused(error, place) from None
    try:
        _check_folder(os.fstat(descriptor), place)
        yield Folder(descriptor, place)
    except OSError as error:
        raise _refused(error, place) from None
    finally:
        _close(descriptor)


def read(folder: Folder, name: str, limit: int) -> bytes:
    """Read a small file that is this user's own, with mode 0600 or less, at most `limit` bytes.

    Raises:
        AdmissionError: `file-missing`, `link`, `not-a-file`, `too-large`, `unreadable`.
    """
    with _opened(folder, name) as file:
        return _read(file, folder.path / name, limit)


@contextmanager
def locked(folder: Folder, name: str) -> Iterator[None]:
    """Hold a file that is never replaced: one process at a time. It waits for the other, which needs milliseconds.

    Raises:
        AdmissionError: as `read`.
    """
    with _opened(folder, name) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def create(folder: Folder, name: str, data: bytes) -> None:
    """Write a new file, whole or not at all, durable when it returns.

    Raises:
        AdmissionError: `unreadable`, there is something of that name, or it cannot be written.
    """
    place = folder.path / name
    try:
        fcntl.flock(
            folder.descriptor, fcntl.LOCK_EX
        )  # until the folder is closed: two could find nothing there
        os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        replace(folder, name, data)
    except (OSError, ValueError) as error:
        raise _refused(error, place) from None
    else:
        raise refusal(
            "unreadable", str(place), "it exists already and is not overwritten: remove it yourself"
        )


def replace(folder: Folder, name: str, data: bytes) -> None:
    """Put a file in the place of an older one, whole or not at all, durable when it returns.

    Raises:
        AdmissionError: `unreadable`, it cannot be written; then the old file or the new one is there.
    """
    place = folder.path / name
    try:
        write_whole(Path(name), data, folder=folder.descriptor)
    except (OSError, ValueError) as error:
        raise _refused(error, place) from None


def settle(folder: Folder) -> None:
    """Wait until the disk has the folder's names as they are now.

    Raises:
        AdmissionError: `unreadable`, it says that it has not.
    """
    try:
        os.fsync(folder.descriptor)
    except OSError as error:
        raise _refused(error, folder.path) from None


def _close(descriptor: int) -> None:
    with suppress(OSError):  # nothing was written through it, so that nothing can be lost
        os.close(descriptor)


@contextmanager
def _opened(folder: Folder, name: str) -> Iterator[int]:
    place = folder.path / name
    try:
        file = os.open(name, _READ, dir_fd=folder.descriptor)
    except (OSError, ValueError) as error:
        raise _refused(error, place) from None
    try:
        _check_file(os.fstat(file), place)
        yield file
    except OSError as error:
        raise _refused(error, place) from None
    finally:
        _close(file)


def _read(file: int, place: Path, limit: int) -> bytes:
    data = b""
    while part := os.read(file, limit + 1 - len(data)):
        data += part
        if len(data) > limit:
            raise refusal("too-large", str(place), f"it has more than {limit} bytes: put the right file back")
    return data


def _check_file(status: os.stat_result, place: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise refusal("not-a-file", str(place), "it is no regular file: put the right file back")
    if status.st_nlink != 1:
        raise refusal("link", str(place), "it has a second name (a hard link): put the right file back")
    if status.st_uid != os.geteuid():
        raise refusal(
            "unreadable",
            str(place),
            f"it belongs to user {status.st_uid}, this is {os.geteuid()}: run as its owner",
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise refusal(
            "unreadable", str(place), "others than its owner may use it: find out who did, then `chmod 600`"
        )


def _check_folder(status: os.stat_result, place: Path) -> None:
    if status.st_uid not in (os.geteuid(), 0):
        raise refusal(
            "unreadable",
            str(place),
            f"it belongs to user {status.st_uid}, this is {os.geteuid()}: run as its owner",
        )
    if stat.S_IMODE(status.st_mode) & 0o022:
        raise refusal("unreadable", str(place), "others than its owner may change it: `chmod go-w` it")


def _refused(error: OSError | ValueError, place: Path) -> AdmissionError:
    if not isinstance(error, OSError):  # a zero byte, or half a surrogate pair
        return refusal("file-missing", str(place), "no file can have this name: check the path")
    if error.errno == errno.ENOENT:
        return refusal("file-missing", str(place), "it is not there: check the path")
    if error.errno == errno.ELOOP:
        return refusal("link", str(place), "links are not followed: put the file itself in its place")
    if error.errno in (errno.ENOTDIR, errno.ENXIO, errno.EISDIR):
        return refusal(
            "not-a-file", str(place), "it is another kind of thing than it should be: check the path"
        )
    return refusal(
        "unreadable", str(place), f"the disk said `{why(error)}`: check the disk and the permissions"
    )
