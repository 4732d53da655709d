"""The reading end of the decision log: entries in order, and the check of the hash chain.

Reads what may have been tampered with: it trusts no line and raises only for a file that cannot be read or is no log.
A torn last line is what a power cut leaves: reported, never silently dropped, never mistaken for tampering.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeguard.errors import UsageError
from edgeguard.log.record import (
    FORMAT,
    GENESIS,
    EndRecord,
    HeaderRecord,
    Record,
    VerdictRecord,
    parse,
    restore,
    unseal,
)
from edgeguard.types import Verdict


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a guard in the log: its header. `index` counts from 1 in the file; `start` is monotonic (s)."""

    index: int
    policy: str
    version: int
    digests: dict[str, str]
    start: float
    wall: float | None
    refused: tuple[str, ...] = ()
    """What was refused before, in words: this run started with something else."""

    @property
    def title(self) -> str:
        """The policy's name and version, as in a sentence; empty when the run did not state it."""
        return f"{self.policy} version {self.version}" if self.policy else ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One verdict read back: its record number in the file, its time since the start of its run (s), its hash."""

    seq: int
    run: Run
    elapsed: float
    verdict: Verdict
    hash: str


@dataclass(frozen=True, slots=True)
class Break:
    """One place where the chain does not hold. `kind`: altered, missing, inserted, replaced, or unreadable."""

    line: int
    record: int
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class LogReport:
    """What checking a log found. `head`: hex hash of the last whole record."""

    path: str
    records: int
    verdicts: int
    runs: int
    lost: int
    head: str
    ended: bool
    """The last run closed the log in order. False after a kill, a power cut or a cut tail."""
    torn: int
    """Bytes of a torn last line."""
    breaks: tuple[Break, ...]
    refused: tuple[str, ...] = ()
    """What was refused before a run started with something else, over all runs, in words."""

    @property
    def intact(self) -> bool:
        """No record was altered, deleted, moved or inserted, as far as the file alone can tell."""
        return not self.breaks


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the file: `content` is what its hash covers; both None when it is no sealed record."""

    number: int
    content: bytes | None
    hash: bytes | None
    record: Record | None
    size: int
    whole: bool


def _lines(path: str | Path) -> Iterator[_Line]:
    """Raises: UsageError when the file cannot be read."""
    try:
        with Path(path).open("rb") as file:
            for number, raw in enumerate(file, start=1):
                whole = raw.endswith(b"\n")
                sealed = unseal(raw.rstrip(b"\n"))
                content, digest = sealed or (None, None)
                record = parse(content) if content is not None else None
                yield _Line(number, content, digest, record, len(raw) - whole, whole)
    except OSError as error:
        message = f"cannot read the log `{path}`: {(error.strerror or 'unknown reason').lower()}"
        raise UsageError(message) from error


def read_log(path: str | Path) -> Iterator[Entry]:
    """Every verdict of the log in file order, without checking the chain. Lines that are no record are passed over.

    Raises: UsageError when the file cannot be read or its first record is no header of a known format.
    """
    run: Run | None = None
    digests: dict[str, str] = {}
    for line in _lines(path):
        record = line.record
        if isinstance(record, HeaderRecord):
            if record.format != FORMAT:
                message = f"`{path}` has format {record.format}, this version reads {FORMAT}: use the one that wrote it"
                raise UsageError(message)
            index = run.index + 1 if run else 1
            start = record.monotonic if record.monotonic is not None else 0.0
            refused = tuple(record.refused)
            run = Run(index, record.policy, record.version, record.digests, start, record.wall, refused)
            digests = record.digests
        elif run is None and record is not None:
            message = f"`{path}` is not a decision log: it does not begin with a header"
            raise UsageError(message)
        elif run is not None and isinstance(record, VerdictRecord) and line.hash is not None:
            digests = digests if record.digests is None else record.digests
            verdict = _restored(record, digests)
            if verdict is not None:
                yield Entry(record.seq, run, verdict.at - run.start, verdict, line.hash.hex())
    if run is None:
        message = f"`{path}` is not a decision log: it holds no header"
        raise UsageError(message)


def _restored(record: VerdictRecord, digests: dict[str, str]) -> Verdict | None:
    try:
        return restore(record, digests)
    except (ValueError, KeyError):
        return None


def verify_log(path: str | Path, *, head: str | None = None) -> LogReport:
    """Check the whole chain. `head`: hex hash kept outside the file; the log must contain it as a record's hash.

    Without `head`, a cut tail and a chain recomputed from end to end cannot be seen: the file holds no secret.
    Raises: UsageError when the file cannot be read.
    """
    chain = _Chain(None if head is None else head.strip().lower())
    for line in _lines(path):
        chain.take(line)
    return chain.report(str(path))


class _Chain:
    """The state of one check."""

    def __init__(self, wanted: str | None) -> None:
        self.wanted = wanted
        self.found = wanted is None
        self.previous = GENESIS
        self.expected = 0
        self.counts = {"records": 0, "verdicts": 0, "runs": 0, "lost": 0}
        self.ended = False
        self.last_line = 0
        self.pending: _Line | None = None
        self.breaks: list[Break] = []
        self.refused: list[str] = []

    def take(self, line: _Line) -> None:
        self.last_line = line.number
        if self.pending is not None:
            self._settle(self.pending, line)
            self.pending = None
        if line.content is None or line.record is None or line.hash is None or not line.whole:
            self.pending = line
            return
        self._link(line.number, line.content, line.hash, line.record)

    def _settle(self, torn: _Line, follower: _Line) -> None:
        """An unreadable line: forgiven only when the next record is a header that declares exactly these bytes torn."""
        header = follower.record
        if not (isinstance(header, HeaderRecord) and header.torn == torn.size > 0):
            message = f"line {torn.number} is not a record (after record {self.expected - 1})"
            self.breaks.append(Break(torn.number, self.expected, "unreadable", message))

    def _link(self, number: int, content: bytes, digest: bytes, record: Record) -> None:
        good = hashlib.sha256(self.previous + content).digest() == digest
        if not good or record.seq != self.expected or (self.expected == 0) > isinstance(record, HeaderRecord):
            self.breaks.append(self._diagnose(number, record.seq, record))
        self.previous = digest
        self.expected = record.seq + 1
        self.found = self.found or digest.hex() == self.wanted
        self.counts["records"] += 1
        self.ended = isinstance(record, EndRecord)
        if isinstance(record, HeaderRecord):
            self.counts["runs"] += 1
            self.refused += record.refused
        elif isinstance(record, VerdictRecord):
            self.counts["verdicts"] += 1
        else:
            self.counts["lost"] += record.lost

    def _diagnose(self, line: int, seq: int, record: Record) -> Break:
        expected = self.expected
        if expected == 0 and not isinstance(record, HeaderRecord):
            return Break(
                line,
                seq,
                "missing",
                f"line {line} holds record {seq}: the header and more are gone",
            )
        if seq == expected:
            message = f"record {seq} (line {line}) was altered, or the record before it was replaced"
            return Break(line, seq, "altered", message)
        if seq > expected:
            gone = f"record {expected} is" if seq == expected + 1 else f"records {expected} to {seq - 1} are"
            return Break(line, expected, "missing", f"{gone} missing before line {line}")
        message = f"record {seq} stands at line {line}, where record {expected} belongs: inserted, repeated or moved"
        return Break(line, seq, "inserted", message)

    def report(self, path: str) -> LogReport:
        torn = 0
        if self.pending is not None:
            if self.pending.whole:
                message = f"line {self.pending.number}, the last, is not a record"
                self.breaks.append(Break(self.pending.number, self.expected, "unreadable", message))
            else:
                torn = self.pending.size
        if self.counts["records"] == 0:
            self.breaks.append(Break(1, 0, "missing", "the file holds no record"))
        if not self.found:
            message = (
                f"no record has the hash `{self.wanted}`: the tail was cut off or the whole log was rewritten"
            )
            self.breaks.append(Break(self.last_line, self.expected, "missing", message))
        return LogReport(
            path=path,
            records=self.counts["records"],
            verdicts=self.counts["verdicts"],
            runs=self.counts["runs"],
            lost=self.counts["lost"],
            head=self.previous.hex(),
            ended=self.ended and self.pending is None,
            torn=torn,
            breaks=tuple(self.breaks),
            refused=tuple(self.refused),
        )
