"""Large files, each read and hashed by one thread, piece by piece, while threads without a file read ahead of others.

A content is given out only when all of it was read once and hashed in order. Nothing here opens or closes a file.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence

from edgeguard.admission.bundle import Content
from edgeguard.admission.memory import blank_bytes
from edgeguard.admission.reasons import refusal
from edgeguard.errors import AdmissionError

CHUNK = 1024**2
"""Bytes per read: hashed while they are still in the cache."""
_AHEAD = 8 * CHUNK
"""How far reading may be ahead of hashing: what is further ahead has left the cache when its turn comes."""


class _StoppedError(Exception):
    """Nobody wants the file any more."""


class LargeFile:
    """An open file of `size` >= 1 bytes. `outcome`: its content, or why there is none, after `read_all`."""

    def __init__(self, file: int, path: str, size: int) -> None:
        self.file, self.path, self.size = file, path, size
        self.outcome: Content | Exception | None = None
        self._memory = memoryview(b"")
        self._claimed = 0  # bytes from the beginning that somebody has read, or is reading
        self._hashed = 0
        self._ahead: dict[
            int, Exception | None
        ] = {}  # by place: pieces read by others, or why they could not
        self._stopped = False
        self._changed = threading.Condition()

    @property
    def unclaimed(self) -> int:
        """Bytes that nobody reads yet."""
        return self.size - self._claimed

    def own(self) -> None:
        """Read and hash the file, together with whoever reads ahead."""
        try:
            self.outcome = self._content()
        except Exception as error:  # noqa: BLE001 - raised by the thread that wants the file
            self.outcome = error
        finally:
            self.stop()

    def help(self) -> None:
        """Read ahead of the thread that has the file, until there is nothing left to read."""
        while (at := self._claim_ahead()) is not None:
            error = None
            try:
                self._read(at)
            except Exception as caught:  # noqa: BLE001 - raised by the thread that has the file, when it comes to it
                error = caught
            with self._changed:
                self._ahead[at] = error
                if error:
                    self._claimed = self.size
                self._changed.notify_all()

    def stop(self) -> None:
        """Read no further. Whoever waits for a piece is woken."""
        with self._changed:
            self._stopped, self._claimed = True, self.size
            self._changed.notify_all()

    def _content(self) -> Content:
        data, memory = blank_bytes(self.size)  # leaves this function only when it is complete
        with self._changed:
            self._memory = memory
            self._changed.notify_all()
        digest = hashlib.sha256()
        while self._hashed < self.size:
            if self._claim_next():
                self._read(self._hashed)
            piece = memory[self._hashed : self._hashed + CHUNK]
            digest.update(piece)  # without the interpreter's lock, so that the others go on
            with self._changed:
                self._hashed += len(piece)
                self._changed.notify_all()
        if os.pread(self.file, 1, self.size):
            raise changes("grows", self.path)
        return Content(data, digest.hexdigest())

    def _claim_next(self) -> bool:
        """Whether the thread that has the file must read the next piece itself; if not, it was read."""
        with self._changed:
            if not self._stopped and self._claimed == self._hashed:
                self._claimed += CHUNK
                return True
            self._changed.wait_for(lambda: self._stopped or self._hashed in self._ahead)
            if self._stopped:
                raise _StoppedError
            error = self._ahead.pop(self._hashed)
        if error:
            raise error
        return False

    def _claim_ahead(self) -> int | None:
        with self._changed:
            self._changed.wait_for(self._may_claim_ahead)
            if self._claimed >= self.size:
                return None
            self._claimed += CHUNK
            return self._claimed - CHUNK

    def _may_claim_ahead(self) -> bool:
        near = bool(self._memory) and self._claimed < self._hashed + _AHEAD
        return near or self._claimed >= self.size

    def _read(self, at: int) -> None:
        end = min(at + CHUNK, self.size)
        while at < end:
            count = os.preadv(self.file, [self._memory[at:end]], at)
            if not count:
                raise changes("shrinks", self.path)
            at += count


class _Crew:
    """What several threads do: take file after file, the largest first, then help those who still have one."""

    def __init__(self, files: Sequence[LargeFile]) -> None:
        self._left = sorted(files, key=lambda file: file.size)
        self._begun: list[LargeFile] = []
        self._lock = threading.Lock()

    def work(self) -> None:
        while (file := self._take()) is not None:
            file.own()
        while behind := [file for file in self._begun if file.unclaimed > 0]:
            max(behind, key=lambda file: file.unclaimed).help()

    def stop(self) -> None:
        with self._lock:
            self._left.clear()
            for file in self._begun:
                file.stop()

    def _take(self) -> LargeFile | None:
        with self._lock:
            if not self._left:
                return None
            self._begun.append(self._left[-1])
            return self._left.pop()


def read_all(files: Sequence[LargeFile]) -> None:
    """Read all files (one at least) on all cores. Fewer threads do where no more can be started: this one is enough."""
    crew = _Crew(files)
    threads: list[threading.Thread] = []
    try:
        for _ in range(min(len(os.sched_getaffinity(0)), 2 * len(files)) - 1):
            thread = threading.Thread(target=crew.work, name="edgeguard-read", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads for this user
                break
            threads.append(thread)
        crew.work()
        for thread in threads:
            thread.join()
    except BaseException:
        crew.stop()
        for thread in threads:
            thread.join()
        raise


def changes(how: str, path: str) -> AdmissionError:
    """The refusal of a file that `grows` or `shrinks`."""
    return refusal("unreadable", path, f"it {how} while it is read: stop what writes it, then try again")
