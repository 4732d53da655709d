"""What a manifest states, as rows of text for people and as values for programs. Says nothing of whether it is true."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgeguard.admission.reasons import shown

if TYPE_CHECKING:
    from edgeguard.admission.claims import Assessment, Training
    from edgeguard.admission.manifest import Manifest

STATED = (
    "name",
    "version",
    "security_version",
    "role",
    "not_before",
    "not_after",
    "target",
    "assessment",
    "calibration",
    "training",
    "watermark",
    "encryption",
    "parent",
    "engine",
    "parts",
)
"""Keys of a manifest that `values` gives, always all of them."""


def values(manifest: Manifest) -> dict[str, object]:
    """What is stated, by the manifest's own keys; null, or empty, where nothing is."""
    found = dataclasses.asdict(manifest)
    return {key: list(found[key]) if key == "target" else found[key] for key in STATED}


def rows(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """A title and a text for everything that is stated beyond name, version and role."""
    yield "security_version", str(manifest.security_version)
    yield "valid", _validity(manifest)
    yield "target", ", ".join(manifest.target) or "any"
    if manifest.engine is not None:
        engine = manifest.engine
        yield (
            "engine",
            f"{engine.kind} {engine.version}, compute capability {engine.compute_capability}, {engine.platform}",
        )
    if manifest.parent is not None:
        parent = manifest.parent
        yield (
            "parent",
            f"{parent.digest} ({parent.how}; same answer on {parent.agreement:.6g} of {parent.samples} pictures)",
        )
    for role, digest in manifest.parts.items():
        yield f"part {role}", digest
    yield from _attestations(manifest)


def _validity(manifest: Manifest) -> str:
    start = f"from {manifest.not_before}" if manifest.not_before else ""
    end = f"until {manifest.not_after}" if manifest.not_after else ""
    return " ".join(part for part in (start, end) if part) or "at any time"


def _attestations(manifest: Manifest) -> Iterator[tuple[str, str]]:
    if manifest.assessment is not None:
        yield "assessment", _assessment(manifest.assessment)
    if manifest.calibration is not None:
        claim = manifest.calibration
        yield "calibration", f"on {claim.frames} frames ({shown(claim.report)})"
    if manifest.training is not None:
        yield "training", _training(manifest.training)
    if manifest.watermark is not None:
        yield "watermark", f"{manifest.watermark.count} triggers, {manifest.watermark.triggers}"
    if manifest.encryption is not None:
        encryption = manifest.encryption
        yield "encryption", f"{encryption.format}, content key {encryption.key}"
    if all(c is None for c in (manifest.assessment, manifest.calibration, manifest.training)):
        yield "attestations", "none"


def _assessment(claim: Assessment) -> str:
    figures = {key: getattr(claim, key) for key in ("clean_accuracy", "robust_accuracy", "risk")}
    stated = ", ".join(f"{key} {value}" for key, value in figures.items() if value is not None)
    return f"{stated}, on {claim.samples} samples ({shown(claim.report)})"


def _training(claim: Training) -> str:
    claims = [key for key in ("adversarial", "data_filtering", "ensemble") if getattr(claim, key)]
    budget = claim.differential_privacy
    if budget is not None:
        claims.append(f"differential_privacy epsilon {budget.epsilon:.6g} delta {budget.delta:.6g}")
    return ", ".join(claims) or "nothing claimed"
