"""The calibration file: thresholds measured on data, as strict JSON. Bytes in, checked value out; opens nothing.

Format: {"edgeguard_calibration": 1, "policy": NAME, "models": {ROLE: hex digest}, "frames": N, "abstain": SHARE,
"thresholds": {SIGNAL: NUMBER}}, and optionally "risk": {"at_most": SHARE, "confidence": SHARE, "accepted": N,
"wrong": N} and "notes": {...}, which is not interpreted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from edgeguard.errors import ContractError

FORMAT = 1
MOST_BYTES = 256 * 1024

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_KEYS = frozenset({"edgeguard_calibration", "policy", "models", "frames", "abstain", "thresholds"})
_RISK = frozenset({"at_most", "confidence", "accepted", "wrong"})
_OPTIONAL = frozenset({"notes", "risk"})


@dataclass(frozen=True, slots=True)
class Certificate:
    """How often an answer that acts is wrong, as bounded on frames that took no part in the thresholds."""

    at_most: float
    """Bound on the share of wrong ones among accepted answers."""
    confidence: float
    """Probability that the bound holds, over the draw of the frames."""
    accepted: int
    wrong: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds, and what they were measured on."""

    file: str
    policy: str
    """Name of the policy that they were measured for."""
    models: Mapping[str, str]
    """Hex root digest of each model bundle at the time, by role. The guard refuses other models."""
    frames: int
    abstain: float
    """Share of clean frames that the thresholds together refuse."""
    thresholds: Mapping[str, float]
    risk: Certificate | None = None


def parse_calibration(data: bytes, *, file: str) -> Calibration:
    """The calibration in `data`; `file` is only for messages.

    Raises:
        ContractError: the bytes are not a calibration, word for word.
    """
    fields = _Fields(_json(data, file), file)
    unknown = sorted(set(fields.values) - _KEYS - _OPTIONAL)
    if unknown:
        fields.refuse(f"`{unknown[0][:60]}` is not a known key")
    if fields.whole("edgeguard_calibration", 1) != FORMAT:
        fields.refuse(f"`edgeguard_calibration` must be {FORMAT}")
    models = fields.mapping("models")
    thresholds = fields.mapping("thresholds")
    return Calibration(
        file=file,
        policy=fields.text("policy"),
        models={role: fields.digest(role, value) for role, value in models.items()},
        frames=fields.whole("frames", 1),
        abstain=fields.share("abstain"),
        thresholds={name: fields.threshold(name, value) for name, value in thresholds.items()},
        risk=_certificate(fields) if "risk" in fields.values else None,
    )


def _certificate(fields: _Fields) -> Certificate:
    inner = _Fields(fields.mapping("risk"), fields.file)
    unknown = sorted(set(inner.values) - _RISK)
    if unknown:
        fields.refuse(f"`risk.{unknown[0][:60]}` is not a known key")
    accepted, wrong = inner.whole("accepted", 1), inner.whole("wrong", 0)
    if wrong > accepted:
        fields.refuse("`risk` has more wrong answers than accepted ones")
    return Certificate(inner.share("at_most"), inner.share("confidence"), accepted, wrong)


def _json(data: bytes, file: str) -> dict[str, object]:
    """One JSON object without duplicate keys, constants that are no numbers, or deep nesting."""
    if len(data) > MOST_BYTES:
        raise ContractError(f"{file}: the calibration is larger than {MOST_BYTES} bytes")

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(items)
        if len(found) != len(items):
            raise ContractError(f"{file}: the calibration has the same key twice")
        return found

    def constant(word: str) -> NoReturn:
        raise ContractError(f"{file}: `{word}` is not a number that a calibration may hold")

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant)
    except UnicodeDecodeError:
        raise ContractError(f"{file}: the calibration is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ContractError(f"{file}:{error.lineno}:{error.colno}: the calibration is not JSON") from None
    except (RecursionError, ValueError):
        raise ContractError(
            f"{file}: the calibration is nested too deeply or holds too long a number"
        ) from None
    if not isinstance(value, dict):
        raise ContractError(f"{file}: a calibration is one JSON object")
    return value


@dataclass(frozen=True, slots=True)
class _Fields:
    """Typed access to a JSON object; every mismatch is a ContractError that names the key."""

    values: dict[str, object]
    file: str

    def refuse(self, message: str) -> NoReturn:
        raise ContractError(f"{self.file}: {message}; calibrate again with `edgeguard calibrate`")

    def get(self, key: str) -> object:
        if key not in self.values:
            self.refuse(f"`{key}` is missing")
        return self.values[key]

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str):
            self.refuse(f"`{key}` must be text")
        return value

    def whole(self, key: str, least: int) -> int:
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            self.refuse(f"`{key}` must be a whole number of at least {least}")
        return value

    def share(self, key: str) -> float:
        value = self.number(key, self.get(key))
        if not 0.0 <= value < 1.0:
            self.refuse(f"`{key}` must be at least 0 and below 1")
        return value

    def mapping(self, key: str) -> dict[str, object]:
        value = self.get(key)
        if not isinstance(value, dict):
            self.refuse(f"`{key}` must be an object")
        return value

    def number(self, key: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.refuse(f"`{key[:60]}` must be a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self.refuse(f"`{key[:60]}` must be a finite number")
        return number

    def threshold(self, name: str, value: object) -> float:
        if not _NAME.match(name):
            self.refuse(f"`{name[:60]}` is not a signal's name")
        return self.number(name, value)

    def digest(self, role: str, value: object) -> str:
        if not isinstance(value, str) or not _DIGEST.match(value):
            self.refuse(f"the digest of `{role[:60]}` must be 64 hexadecimal digits")
        return value
