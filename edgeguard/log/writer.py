"""The writing end of the decision log: one hash-chained JSON line a verdict, buffered, flushed by policy.

`append` runs on the frame path: it never raises and never waits for the disk to sync. What it could not write makes
`healthy` false, so that the guard can fail closed. Nothing here reads a clock: time comes with the verdict.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgeguard.errors import UsageError
from edgeguard.log.record import (
    ENCODER,
    FORMAT,
    GENESIS,
    EndRecord,
    HeaderRecord,
    parse,
    seal,
    unseal,
    verdict_body,
)
from edgeguard.types import Authority, Mode, Verdict

BUFFER_LIMIT = 4 << 20
"""Bytes held while the disk refuses them (about a minute of verdicts); what comes after is counted as lost."""
FLUSH_BYTES = 1 << 18
TAIL = 1 << 20
"""Bytes read back from the end of an existing log: more than any one record may have."""


class DecisionLog:
    """An append-only decision log. One writer a file; an existing log is continued, never overwritten."""

    def __init__(self, path: str | Path, *, flush: float = 1.0) -> None:
        """Open or create the log. `flush`: longest time (s, >= 0) a record stays in memory; 0 writes each at once.

        Raises: UsageError when the file cannot be opened, is in use, or is not a decision log.
        """
        if not flush >= 0.0:
            message = f"`flush` is {flush}: give a time in seconds, 0 or more"
            raise UsageError(message)
        self.path = Path(path)
        self.failures = 0
        """Writes and records that failed since opening."""
        self.lost = 0
        """Verdicts that are in no record and never will be."""
        self.verdicts = 0
        """Verdicts recorded since opening."""
        self._flush_every = flush
        self._buffer = bytearray()
        self._failing = False
        self._begun = False
        self._flushed_at = float("-inf")
        self._last: tuple[Authority, Mode] | None = None
        self._digests: Mapping[str, str] = {}
        self._file = _open(self.path)
        try:
            self._previous, self._seq, self._torn = _resume(self._file, self.path)
        except UsageError:
            os.close(self._file)
            raise

    @property
    def healthy(self) -> bool:
        """False while a write fails, and for good once a verdict was lost."""
        return not self._failing and self.lost == 0

    @property
    def head(self) -> str:
        """Hex hash of the last record: kept elsewhere, it makes a cut tail visible."""
        return self._previous.hex()

    def begin(
        self,
        policy: str,
        version: int,
        digests: Mapping[str, str],
        *,
        monotonic: float | None = None,
        wall: float | None = None,
        members: Mapping[str, Mapping[str, str]] | None = None,
        refused: Sequence[str] = (),
    ) -> None:
        """Write the header of this run and flush it. `digests`: hex, of the policy, the calibration and each model.

        `members`: who answers for the models, where, and in which sandbox; as `Perception.describe` says it.
        `refused`: what was not admitted before, in words.

        `monotonic` and `wall` (Unix s) are one instant on both clocks. A second call is a new header, as after a
        restart.
        """
        self._digests = dict(digests)
        who = {name: dict(facts) for name, facts in (members or {}).items()}
        header = HeaderRecord(
            self._seq, FORMAT, policy, version, dict(digests), wall, monotonic, self._torn, who, list(refused)
        )
        self._torn, self._begun = 0, True
        self._add(ENCODER.encode(header))
        self.flush()

    def append(self, verdict: Verdict) -> None:
        """Record one verdict. Never raises; see `healthy`. Flushes at once when authority or mode changed."""
        if self._file < 0 or len(self._buffer) > BUFFER_LIMIT:
            self._lose()
            return
        if not self._begun:
            self.begin("", 0, verdict.digests, monotonic=verdict.at)
        digests = None if verdict.digests == self._digests else verdict.digests
        try:
            self._add(verdict_body(self._seq, verdict, digests, self.lost))
        except Exception:  # noqa: BLE001 - a planner's values may raise anything when they are read
            self._lose()
            return
        self.verdicts += 1
        if digests is not None:
            self._digests = dict(digests)
        now = (verdict.authority, verdict.mode)
        due = verdict.at - self._flushed_at >= self._flush_every
        if due or now != self._last or len(self._buffer) >= FLUSH_BYTES:
            self._last = now
            self._flushed_at = verdict.at
            self.flush()

    def flush(self) -> None:
        """Hand what is buffered to the operating system: it then survives this process. Never raises."""
        while self._buffer:
            try:
                written = os.write(self._file, self._buffer)
            except OSError:
                self.failures += 1
                self._failing = True
                return
            del self._buffer[:written]
        self._failing = False

    def close(self) -> None:
        """Write the end record, flush, sync to the disk and close. Never raises; closing twice is allowed."""
        if self._file < 0:
            return
        if self._begun:
            self._add(ENCODER.encode(EndRecord(self._seq, self.verdicts, self.lost)))
        self.flush()
        file, self._file = self._file, -1
        try:
            os.fsync(file)
        except OSError:
            # A pipe or a device has nothing to sync; a disk that failed has been counted by flush already.
            self.failures += bool(self._buffer)
        os.close(file)

    def _add(self, body: bytes) -> None:
        self._previous, line = seal(self._previous, body)
        self._seq += 1
        self._buffer += line

    def _lose(self) -> None:
        self.failures += 1
        self.lost += 1


def _open(path: Path) -> int:
    try:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        message = f"cannot write the log `{path}`: {_reason(error)}"
        raise UsageError(message) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        message = f"the log `{path}` is in use by another process: give each guard its own file"
        raise UsageError(message) from error
    return file


def _resume(file: int, path: Path) -> tuple[bytes, int, int]:
    """Where to go on: (hash of the last whole record, its number + 1, bytes of a torn line after it)."""
    try:
        size = os.lseek(file, 0, os.SEEK_END)
    except OSError:
        return GENESIS, 0, 0  # a pipe or a device: nothing to go on from
    if size == 0:
        return GENESIS, 0, 0
    tail = os.pread(file, TAIL, max(0, size - TAIL))
    whole, newline, torn = tail.rpartition(b"\n")
    if not newline:
        if size > TAIL or not tail.startswith(b'{"kind":"header"'):
            raise _foreign(path)
        os.write(file, b"\n")
        return GENESIS, 0, len(torn)
    sealed = unseal(whole.rpartition(b"\n")[2])
    record = parse(sealed[0]) if sealed else None
    if sealed is None or record is None:
        raise _foreign(path)
    if torn:
        os.write(file, b"\n")
    return sealed[1], record.seq + 1, len(torn)


def _foreign(path: Path) -> UsageError:
    return UsageError(
        f"`{path}` exists and does not end like a decision log: name another file, or move it away"
    )


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown reason").lower()
