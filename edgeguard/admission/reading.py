"""The one-pass reader: an open file becomes private bytes, hashed while they are read.

Regular files only, bounded before anything is allocated; a file that changes its size meanwhile is refused.
Nothing here opens a file or knows what it is for.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType

from edgeguard.admission.bundle import Content
from edgeguard.admission.large import CHUNK, LargeFile, changes, read_all
from edgeguard.admission.reasons import refusal
from edgeguard.errors import AdmissionError

BESIDE = 4 * CHUNK
"""Files from this size on are read by several threads; below, that costs more than it saves."""
_MOST_OPEN = 64
"""Large files that are open at once, waiting for their turn."""

_MEMORY = "close other programs or make the file smaller"


class Reader(AbstractContextManager["Reader"]):
    """Reads files: small ones at once, large ones together when it is left, on all cores.

    `limit`: bytes of all files together. Whatever is wrong with several files, the first of them is refused.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._large: list[LargeFile] = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, AdmissionError):
            self._finish()  # also where a later file was refused: an earlier one comes first
        else:
            self._close()

    def read(self, file: int, path: str) -> Callable[[], Content]:
        """Read an open file whole. What is returned gives its content; call it when the reader was left, not before.

        `path` is only for messages. The file may be closed at once.

        Raises:
            AdmissionError: `not-a-file`, `too-large`, or `unreadable` also for a file that grows or shrinks meanwhile;
                of a large file, or one before this, also later on.
        """
        size = 0
        try:
            status = os.fstat(file)
            size = status.st_size
            if not stat.S_ISREG(status.st_mode):
                raise refusal(
                    "not-a-file", path, "only regular files are read: put a plain file in its place"
                )
            if size > self._left:
                raise refusal(
                    "too-large", path, f"it has more than the {self._left} bytes allowed here: check the file"
                )
            self._left -= size
            if size < BESIDE:
                content = Content.of(_read_small(file, path, size))
                return lambda: content
            return self._wait_with(LargeFile(os.dup(file), path, size))
        except (OSError, MemoryError) as error:
            raise _refused(error, path, size) from None

    def _wait_with(self, large: LargeFile) -> Callable[[], Content]:
        self._large.append(large)
        if len(self._large) == _MOST_OPEN:
            self._finish()
        return lambda: _content(large)

    def _finish(self) -> None:
        try:
            if self._large:
                read_all(self._large)
            for large in self._large:
                _content(large)
        finally:
            self._close()

    def _close(self) -> None:
        for large in self._large:
            os.close(large.file)
        self._large = []


def _content(large: LargeFile) -> Content:
    if isinstance(large.outcome, Content):
        return large.outcome
    raise _refused(large.outcome, large.path, large.size) from None


def _refused(error: Exception | None, path: str, size: int) -> Exception:
    if isinstance(error, MemoryError):
        return refusal("too-large", path, f"there is no room for its {size} bytes: {_MEMORY}")
    if isinstance(error, OSError):
        return cannot_read(error, path)
    return error or RuntimeError(f"`{path}` was asked for before it was read")


def cannot_read(error: OSError | ValueError, path: str) -> AdmissionError:
    """The refusal of a file or folder that cannot be opened or read."""
    if not isinstance(error, OSError):  # a zero byte, or half a surrogate pair
        return refusal("file-missing", path, "no file can have this name: check the path")
    if error.errno == errno.ENOENT:
        return refusal(
            "file-missing", path, "it is not there: check the path, or copy it again from its source"
        )
    if error.errno == errno.ELOOP:
        return refusal("link", path, "links are not followed: put the file itself in its place")
    if error.errno in (errno.ENOTDIR, errno.ENXIO, errno.EISDIR):
        return refusal("not-a-file", path, "it is another kind of thing than was signed: check the path")
    why = (error.strerror or "input/output error").lower()
    return refusal("unreadable", path, f"it cannot be read ({why}): check its permissions and the disk")


def _read_small(file: int, path: str, size: int) -> bytes:
    """Read to the end in one call, as a rule: a second one shows the end, or that the file is growing."""
    left = size
    parts: list[bytes] = []
    while part := os.read(file, left + 1):
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise changes("grows", path)
    if left:
        raise changes("shrinks", path)
    return parts[0] if len(parts) == 1 else b"".join(parts)
