"""A signed time: the small file that tells a device without a clock how late it is at least.

    {"edgeguard_time": 1, "time": "2026-11-21T09:00:00Z"}

It says nothing until its signature was verified, and it can only ever raise a floor.
"""

from __future__ import annotations

import datetime as dt
import json

from edgeguard.admission import strictjson
from edgeguard.admission.claims import unix_time
from edgeguard.admission.reasons import refusal, shown
from edgeguard.errors import UsageError

FORMAT = 1
TIME = "time"
"""What a signer must be allowed to sign."""
MAX_TIME_BYTES = 1024
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_ADVICE = "make it with `edgeguard floor time`, and sign it"


def time_file(text: str) -> bytes:
    """Return the file for a time such as `2026-11-21T09:00:00Z`.

    Raises:
        UsageError: it has another form, is no such day, or lies before 1970.
    """
    try:
        at = unix_time(text)
    except ValueError:
        at = -1.0
    if at < 0.0:
        raise UsageError(f"`{shown(text)}` is no time: write it like `2026-11-21T09:00:00Z`")
    return json.dumps({"edgeguard_time": FORMAT, "time": text}).encode() + b"\n"


def parse_time(data: bytes, path: str) -> float:
    """Return the time (Unix s) of an admitted file. `path` is only for messages.

    Raises:
        AdmissionError: `statement-invalid`, it holds anything else than a time.
    """
    if len(data) > MAX_TIME_BYTES:
        raise refusal("statement-invalid", path, f"it is too large to be a signed time: {_ADVICE}")
    try:
        values = strictjson.parse(data)
    except strictjson.NotStrictError as error:
        raise refusal("statement-invalid", path, f"{error}: {_ADVICE}") from None
    if not isinstance(values, dict) or set(values) != {"edgeguard_time", "time"}:
        raise refusal("statement-invalid", path, f"it is no signed time: {_ADVICE}")
    if type(values["edgeguard_time"]) is not int or values["edgeguard_time"] != FORMAT:
        raise refusal(
            "statement-invalid", path, f"`edgeguard_time` must be {FORMAT}, the format's version: {_ADVICE}"
        )
    try:
        at = unix_time(values["time"]) if isinstance(values["time"], str) else -1.0
    except ValueError:
        at = -1.0
    if at < 0.0:
        raise refusal("statement-invalid", path, f"`time` must be like `2026-11-21T09:00:00Z`: {_ADVICE}")
    return at


def text_of(at: float) -> str:
    """Return a time (Unix s, before the year 10000) in the form of such a file, whole seconds; empty for 0."""
    return (_EPOCH + dt.timedelta(seconds=int(at))).strftime("%Y-%m-%dT%H:%M:%SZ") if at > 0.0 else ""
