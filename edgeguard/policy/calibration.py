"""The calibration file: thresholds measured on data, as strict JSON. Bytes in, checked value out; opens nothing.

Format: {"edgeguard_calibration": 1, "policy": NAME, "models": {ROLE: hex digest}, "frames": N, "abstain": SHARE,
"thresholds": {SIGNAL: NUMBER}}, and optionally "risk": {"at_most": SHARE, "confidence": SHARE, "accepted": N,
"wrong": N}, "security_version": N, "qualification" (see `qualification`) and "notes": {...}, which is not interpreted.

An optional member does not raise the format's number: a version that does not know it refuses the file by its name,
and one that does reads files without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeguard.policy.qualification import Qualified, parse_qualification
from edgeguard.policy.strict import Fields, read_object

FORMAT = 1

_KEYS = frozenset({"edgeguard_calibration", "policy", "models", "frames", "abstain", "thresholds"})
_RISK = frozenset({"at_most", "confidence", "accepted", "wrong"})
_OPTIONAL = frozenset({"notes", "qualification", "risk", "security_version"})


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
    qualification: Qualified | None = None
    security_version: int = 0
    """A device refuses a calibration with a lower one than it ran."""


def parse_calibration(data: bytes, *, file: str) -> Calibration:
    """The calibration in `data`; `file` is only for messages.

    Raises:
        ContractError: the bytes are not a calibration, word for word.
    """
    fields = Fields(read_object(data, file), file)
    fields.only(_KEYS | _OPTIONAL)
    if fields.whole("edgeguard_calibration", 1) != FORMAT:
        fields.refuse(f"`edgeguard_calibration` must be {FORMAT}")
    models = fields.digests("models")
    return Calibration(
        file=file,
        policy=fields.text("policy"),
        models=models,
        frames=fields.whole("frames", 1),
        abstain=fields.share("abstain"),
        thresholds=fields.numbers("thresholds"),
        risk=_certificate(fields.inner("risk")) if "risk" in fields.values else None,
        qualification=(
            parse_qualification(fields.inner("qualification"), models)
            if "qualification" in fields.values
            else None
        ),
        security_version=fields.whole("security_version", 0) if "security_version" in fields.values else 0,
    )


def _certificate(fields: Fields) -> Certificate:
    fields.only(_RISK)
    accepted, wrong = fields.whole("accepted", 1), fields.whole("wrong", 0)
    if wrong > accepted:
        fields.refuse(f"`{fields.at}` has more wrong answers than accepted ones")
    return Certificate(fields.share("at_most"), fields.share("confidence"), accepted, wrong)
