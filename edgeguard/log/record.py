"""The shapes of the decision log's records, and how a verdict becomes one and back.

A record is one JSON object on one line; its last member is its hash, over the previous hash and the bytes before it.
Nothing here opens a file or reads a clock; an unknown field in a record is an error, not something to skip.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec
import numpy as np

from edgeguard.types import Answer, Authority, Cause, Command, GateDecision, Mode, Reading, Status, Verdict

FORMAT = 4
GENESIS = bytes(32)
"""What the first record of a file is chained to."""
SEAL = b',"hash":"'
SEAL_LENGTH = len(SEAL) + 64 + len(b'"}')

WHOLE = 32
"""Most classes of which every probability is recorded."""
LIKELIEST = 8

AUTHORITY_NAMES = tuple(a.name.lower() for a in sorted(Authority))
STATUS_NAMES = tuple(s.name.lower() for s in sorted(Status))


class CauseRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`edgeguard.types.Cause` on the line; `demands` by name."""

    rule: str
    line: int
    text: str
    demands: str
    since: float
    values: dict[str, float | None] = {}
    thresholds: dict[str, float | None] = {}
    clears: str = ""
    expired: bool = False
    mode: str = "enforce"
    says: str = ""


class AnswerRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`edgeguard.types.Answer` on the line."""

    frame: int
    at: float
    label: int
    name: str
    certainty: float | None
    digest: str
    probabilities: list[float | None] = []
    """By class; empty for a model of more than `WHOLE` classes."""
    likeliest: list[tuple[int, float | None]] = []
    """For such a model: (label, probability) of its `LIKELIEST` likeliest classes, the likeliest first."""


class HeaderRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="header"):
    """First record of every run: what decides, on which digests, since when (`wall`: Unix s; `monotonic`: s)."""

    seq: int
    format: int
    policy: str
    version: int
    digests: dict[str, str]
    wall: float | None
    monotonic: float | None
    torn: int = 0
    """Bytes of a torn line that the previous run left, directly before this record."""
    members: dict[str, dict[str, str]] = {}
    """Who answers for the models: by member, where it runs, on which backend, in which sandbox."""
    refused: list[str] = []
    """What was refused before this run started with something else, in words, the first refusal first."""


class VerdictRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="verdict"):
    """One verdict. `readings`: [name, value, age s, status]."""

    seq: int
    number: int
    at: float
    mode: str
    authority: str
    gate: str
    command: dict[str, float | None]
    frame: int | None = None
    causes: list[CauseRecord] = []
    readings: list[tuple[str, float | None, float | None, str]] = []
    answer: AnswerRecord | None = None
    suggested: dict[str, float | None] | None = None
    deadline: float | None = None
    alerts: list[str] = []
    notices: list[CauseRecord] = []
    digests: dict[str, str] | None = None
    """Only when they differ from those of the record before."""
    lost: int = 0
    """Verdicts that could not be recorded so far in this run."""


class EndRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="end"):
    """Last record of a run that was closed in order."""

    seq: int
    verdicts: int
    lost: int


Record = HeaderRecord | VerdictRecord | EndRecord
_DECODER: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def _plain(value: object) -> object:
    """Encoder hook: mappings become objects and numpy scalars numbers. Raises: TypeError for anything else."""
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "__float__"):
        return float(value)
    message = f"cannot be recorded: {value!r}"
    raise TypeError(message)


ENCODER = msgspec.json.Encoder(enc_hook=_plain)


def _cause(cause: Cause) -> dict[str, object]:
    return {
        "rule": cause.rule,
        "line": cause.line,
        "text": cause.text,
        "demands": AUTHORITY_NAMES[cause.demands],
        "since": cause.since,
        "values": cause.values,
        "thresholds": cause.thresholds,
        "clears": cause.clears,
        "expired": cause.expired,
        "mode": cause.mode,
        "says": cause.says,
    }


def _said(answer: Answer) -> dict[str, object]:
    fields: dict[str, object] = {
        "frame": answer.frame,
        "at": answer.at,
        "label": answer.label,
        "name": answer.name,
        "certainty": answer.certainty,
        "digest": answer.digest,
    }
    if len(answer.probabilities) <= WHOLE:
        return fields | {"probabilities": list(answer.probabilities)}
    row = np.asarray(answer.probabilities)
    best = np.argpartition(row, -LIKELIEST)[-LIKELIEST:]
    labels = best[np.argsort(-row[best], kind="stable")].tolist()
    return fields | {"likeliest": [(label, answer.probabilities[label]) for label in labels]}


def verdict_body(seq: int, verdict: Verdict, digests: Mapping[str, str] | None, lost: int) -> bytes:
    """Encode one verdict as record `seq`, without its hash. NaN and infinities become null.

    Raises: TypeError, ValueError, OverflowError when a value cannot be written as JSON.
    """
    fields: dict[str, object] = {
        "kind": "verdict",
        "seq": seq,
        "number": verdict.number,
        "at": verdict.at,
        "mode": verdict.mode.value,
        "authority": AUTHORITY_NAMES[verdict.authority],
        "gate": verdict.gate.value,
        "command": verdict.command.values,
        "frame": verdict.frame,
        "causes": [_cause(c) for c in verdict.causes],
        "readings": [(r.name, r.value, r.age, STATUS_NAMES[r.status]) for r in verdict.readings],
        "answer": None if verdict.answer is None else _said(verdict.answer),
    }
    if verdict.suggested is not None:
        fields["suggested"] = verdict.suggested.values
    if verdict.takeover_deadline is not None:
        fields["deadline"] = verdict.takeover_deadline
    if verdict.alerts:
        fields["alerts"] = verdict.alerts
    if verdict.notices:
        fields["notices"] = [_cause(c) for c in verdict.notices]
    if digests is not None:
        fields["digests"] = digests
    if lost:
        fields["lost"] = lost
    return ENCODER.encode(fields)


def seal(previous: bytes, body: bytes) -> tuple[bytes, bytes]:
    """Chain an encoded record to the previous raw hash: (its own raw hash, the whole line with its newline)."""
    content = body[:-1]
    digest = hashlib.sha256(previous + content)
    return digest.digest(), b'%b%b%b"}\n' % (content, SEAL, digest.hexdigest().encode())


def unseal(line: bytes) -> tuple[bytes, bytes] | None:
    """Split a line (without newline) into the hashed bytes and the raw hash it states; None when it has none."""
    content, tail = line[:-SEAL_LENGTH], line[-SEAL_LENGTH:]
    if not (tail.startswith(SEAL) and tail.endswith(b'"}')):
        return None
    text = tail[len(SEAL) : -2]
    if text != text.lower():
        return None
    try:
        return content, bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return None


def parse(content: bytes) -> Record | None:
    """Decode the hashed bytes of a line into a record; None when they are not one."""
    try:
        return _DECODER.decode(content + b"}")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _numbers(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: _number(value) for name, value in values.items()}


def _answer(record: AnswerRecord | None) -> Answer | None:
    if record is None:
        return None
    probabilities = tuple(_number(p) for p in record.probabilities)
    certainty = _number(record.certainty)
    return Answer(record.frame, record.at, record.label, record.name, certainty, probabilities, record.digest)


def _restore_cause(record: CauseRecord) -> Cause:
    return Cause(
        rule=record.rule,
        line=record.line,
        text=record.text,
        demands=Authority[record.demands.upper()],
        since=record.since,
        values=record.values,
        thresholds=_numbers(record.thresholds),
        clears=record.clears,
        expired=record.expired,
        mode=record.mode,
        says=record.says,
    )


def restore(record: VerdictRecord, digests: Mapping[str, str]) -> Verdict:
    """The verdict a record was made from; what was NaN or infinite comes back as NaN, or None for a reading.

    Raises: ValueError, KeyError when a name in it is none of edgeguard's.
    """
    return Verdict(
        number=record.number,
        frame=record.frame,
        at=record.at,
        mode=Mode(record.mode),
        authority=Authority[record.authority.upper()],
        gate=GateDecision(record.gate),
        command=Command(_numbers(record.command)),
        causes=tuple(_restore_cause(c) for c in record.causes),
        readings=tuple(Reading(n, v, _number(a), Status[s.upper()]) for n, v, a, s in record.readings),
        answer=_answer(record.answer),
        suggested=None if record.suggested is None else Command(_numbers(record.suggested)),
        takeover_deadline=record.deadline,
        alerts=tuple(record.alerts),
        notices=tuple(_restore_cause(c) for c in record.notices),
        digests=digests,
    )
