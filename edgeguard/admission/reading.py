"""The one-pass reader: an open file becomes private bytes, hashed while they are read.

Regular files only, bounded before anything is allocated; a file that changes its size meanwhile is refused.
Nothing here opens a file or knows what it is for.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from queue import SimpleQueue
from types import TracebackType

from edgeguard.admission.bundle import Content
from edgeguard.admission.memory import blank_bytes
from edgeguard.admission.reasons import refusal
from edgeguard.errors import AdmissionError

CHUNK = 1024**2
"""Bytes per read: hashed while they are still in the cache."""
BESIDE = 4 * CHUNK
"""Files from this size on are hashed beside the reading, by another thread; below, that costs more than it saves."""

_MEMORY = "close other programs or make the file smaller"


class Reader(AbstractContextManager["Reader"]):
    """Reads files one after the other, while up to one thread for each core hashes what was read already.

    One thread reads, since disks are quickest in order; the hashing of several large files runs in parallel.
    `limit`: bytes of all files together. What was read is complete when the reader is left.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._hashers: list[_Hasher] = []
        self._most = len(os.sched_getaffinity(0))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hasher in self._hashers:
            hasher.end()

    def read(self, file: int, path: str) -> Callable[[], Content]:
        """Read an open file whole. What is returned gives its content; call it when the reader was left, not before.

        `path` is only for messages.

        Raises:
            AdmissionError: `not-a-file`, `too-large`, or `unreadable` for a file that grows or shrinks meanwhile.
            OSError: the file cannot be read.
        """
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise refusal("not-a-file", path, "only regular files are read: put a plain file in its place")
        size = status.st_size
        if size > self._left:
            raise refusal(
                "too-large", path, f"it has more than the {self._left} bytes allowed here: check the file"
            )
        self._left -= size
        try:
            if size < BESIDE:
                content = Content.of(_read_small(file, path, size))
                return lambda: content
            return self._read_large(file, path, size)
        except MemoryError:
            raise refusal("too-large", path, f"there is no room for its {size} bytes: {_MEMORY}") from None

    def _read_large(self, file: int, path: str, size: int) -> Callable[[], Content]:
        data, memory = blank_bytes(size)  # leaves this function only when it is complete
        hasher = self._idlest(path)
        digest = hashlib.sha256()
        done = 0
        while done < size:
            count = os.readv(file, [memory[done : done + CHUNK]])
            if not count:
                raise _changes("shrinks", path)
            hasher.add(digest, memory[done : done + count])
            done += count
        if os.read(file, 1):
            raise _changes("grows", path)
        return lambda: Content(data, digest.hexdigest())

    def _idlest(self, path: str) -> _Hasher:
        if len(self._hashers) < self._most:
            try:
                self._hashers.append(_Hasher())
            except RuntimeError:  # no more threads for this user: those that run can do it
                if not self._hashers:
                    raise refusal(
                        "unreadable",
                        path,
                        "no thread can be started to hash it: check the limits of this user",
                    ) from None
            else:
                return self._hashers[-1]
        return min(self._hashers, key=lambda hasher: hasher.total)


class _Hasher:
    """A thread that hashes pieces of memory in the order in which they were added."""

    def __init__(self) -> None:
        self.total = 0
        """Bytes that it was ever given."""
        self._pieces: SimpleQueue[tuple[hashlib._Hash, memoryview] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="edgeguard-hash", daemon=True)
        self._thread.start()

    def add(self, digest: hashlib._Hash, piece: memoryview) -> None:
        self.total += len(piece)
        self._pieces.put((digest, piece))

    def end(self) -> None:
        """Wait until everything that was added is hashed."""
        self._pieces.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._pieces.get()) is not None:
            digest, piece = item
            digest.update(piece)  # without the interpreter's lock, so that reading goes on


def _read_small(file: int, path: str, size: int) -> bytes:
    """Read to the end in one call, as a rule: a second one shows the end, or that the file is growing."""
    left = size
    parts: list[bytes] = []
    while part := os.read(file, left + 1):
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise _changes("grows", path)
    if left:
        raise _changes("shrinks", path)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _changes(how: str, path: str) -> AdmissionError:
    return refusal("unreadable", path, f"it {how} while it is read: stop what writes it, then try again")
