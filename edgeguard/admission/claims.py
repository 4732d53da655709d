"""What a manifest says besides what the model is: when and where it may run, what was measured, how it was trained.

Pure: typed values, and the problems that one can see in them alone. Whether a claim is enough is a matter of demands.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgeguard.admission.origin import PLATFORM
from edgeguard.admission.reasons import shown

if TYPE_CHECKING:
    from edgeguard.admission.manifest import Manifest

ENCRYPTION_FORMAT = "AES256_GCM_HKDF_1MB"
MAX_DELTA = 0.001
"""A larger chance that the privacy budget does not hold protects nobody."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"[0-9a-f]{16}")
_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z")
_MOST = 2**31


@dataclasses.dataclass(frozen=True, slots=True)
class Assessment:
    """How good the model was found to be. `report`: the file of the bundle that says how. Shares are 0 to 1."""

    report: str
    samples: int
    clean_accuracy: float | None = None
    robust_accuracy: float | None = None
    """Accuracy on attacked pictures."""
    risk: float | None = None
    """Share of wrong answers that were not held back."""


@dataclasses.dataclass(frozen=True, slots=True)
class CalibrationClaim:
    """That thresholds were measured on `frames` clean pictures. `report`: the file of the bundle that says how."""

    report: str
    frames: int


@dataclasses.dataclass(frozen=True, slots=True)
class DifferentialPrivacy:
    """The privacy budget of a training: the smaller, the less one picture can have changed."""

    epsilon: float
    delta: float


@dataclasses.dataclass(frozen=True, slots=True)
class Training:
    """How the model was trained, as its signer claims; nothing here can be checked on the model itself."""

    adversarial: bool = False
    data_filtering: bool = False
    ensemble: bool = False
    differential_privacy: DifferentialPrivacy | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Watermark:
    """By which pictures a copy is known. `triggers`: hex SHA-256 of the set, which stays secret. `count`: its size."""

    triggers: str
    count: int


@dataclasses.dataclass(frozen=True, slots=True)
class Encryption:
    """How `file` is encrypted. `key`: id of the content key, 16 hex digits. `plaintext`: SHA-256 (hex) of the model."""

    format: str
    key: str
    plaintext: str


def unix_time(text: str) -> float:
    """`2026-11-01T00:00:00Z` as Unix s. No other form is read.

    Raises:
        ValueError: it is not of this form, or no such day or time.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = map(int, found.groups())
    return dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.timezone.utc).timestamp()


def claim_problems(manifest: Manifest) -> Iterator[str]:
    """Yield what is wrong with the claims, or does not fit together."""
    yield from _validity_problems(manifest)
    yield from _target_problems(manifest)
    if manifest.assessment is not None:
        yield from _assessment_problems(manifest.assessment)
    if manifest.calibration is not None and not 1 <= manifest.calibration.frames < _MOST:
        yield "`calibration.frames` must be 1 or more and below 2147483648"
    yield from _report_problems(manifest)
    if manifest.training is not None and manifest.training.differential_privacy is not None:
        yield from _privacy_problems(manifest.training.differential_privacy)
    if manifest.watermark is not None:
        yield from _watermark_problems(manifest.watermark)
    if manifest.encryption is not None:
        yield from _encryption_problems(manifest.encryption)


def _validity_problems(manifest: Manifest) -> Iterator[str]:
    times: list[float] = []
    for key, text in (("not_before", manifest.not_before), ("not_after", manifest.not_after)):
        try:
            times += [] if text is None else [unix_time(text)]
        except ValueError:
            yield f"`{key}` is `{shown(str(text))}` but must be a time such as `2026-11-01T00:00:00Z`, in UTC"
            return
    if len(times) == 2 and times[0] >= times[1]:
        yield "`not_before` is not before `not_after`: it would never be valid"


def _target_problems(manifest: Manifest) -> Iterator[str]:
    for platform in manifest.target:
        if not PLATFORM.fullmatch(platform):
            yield f"`target` holds `{shown(platform)}` but each must be such as `linux-aarch64`"
    if len(set(manifest.target)) != len(manifest.target):
        yield "`target` names the same platform twice"
    if manifest.engine is not None and manifest.target and manifest.engine.platform not in manifest.target:
        yield "`engine.platform` is none of `target`: it would run nowhere"


def _assessment_problems(claim: Assessment) -> Iterator[str]:
    if not 1 <= claim.samples < _MOST:
        yield "`assessment.samples` must be 1 or more and below 2147483648"
    figures = {key: getattr(claim, key) for key in ("clean_accuracy", "robust_accuracy", "risk")}
    if all(value is None for value in figures.values()):
        yield f"`assessment` states no figure: give one of {', '.join(f'`{key}`' for key in figures)}"
    for key, value in figures.items():
        if value is not None and not 0.0 <= value <= 1.0:
            yield f"`assessment.{key}` must be 0 to 1"


def _report_problems(manifest: Manifest) -> Iterator[str]:
    for key, claim in (("assessment", manifest.assessment), ("calibration", manifest.calibration)):
        if claim is not None and claim.report in ("", "edgeguard.json", manifest.file):
            yield f"`{key}.report` must name a file of the bundle that is neither the manifest nor the model"


def _privacy_problems(claim: DifferentialPrivacy) -> Iterator[str]:
    if not 0.0 < claim.epsilon < math.inf:
        yield "`training.differential_privacy.epsilon` must be above 0"
    if not 0.0 <= claim.delta <= MAX_DELTA:
        yield f"`training.differential_privacy.delta` must be 0 to {MAX_DELTA:g}"


def _watermark_problems(claim: Watermark) -> Iterator[str]:
    if not _DIGEST.fullmatch(claim.triggers):
        yield "`watermark.triggers` must be 64 hexadecimal digits, the SHA-256 of the trigger set"
    if not 1 <= claim.count < _MOST:
        yield "`watermark.count` must be 1 or more and below 2147483648"


def _encryption_problems(claim: Encryption) -> Iterator[str]:
    if claim.format != ENCRYPTION_FORMAT:
        yield f"`encryption.format` is `{shown(claim.format)}` but must be {ENCRYPTION_FORMAT}"
    if not _KEY.fullmatch(claim.key):
        yield "`encryption.key` must be 16 hexadecimal digits, the id of the content key"
    if not _DIGEST.fullmatch(claim.plaintext):
        yield "`encryption.plaintext` must be 64 hexadecimal digits, the SHA-256 of the plain model"
