"""The trust core: what a manifest states against what is asked of it. No I/O, no clock.

Every demand can only refuse. What a manifest does not state, it does not meet; what cannot be known is not assumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgeguard.admission.claims import Training
from edgeguard.admission.reasons import refusal

if TYPE_CHECKING:
    from edgeguard.admission.manifest import Manifest
    from edgeguard.admission.reasons import Reason
    from edgeguard.admission.trust import Demands, Moment
    from edgeguard.terms import AssessmentTerm, ClaimsTerm

    Unmet = tuple[Reason, str]


def check_demands(manifest: Manifest, demands: Demands, path: str, now: Moment | None) -> None:
    """Refuse a bundle whose manifest does not meet the demands. `path`: of the manifest, for messages.

    Raises:
        AdmissionError: `rollback`, `wrong-role`, `revoked`, `expired`, `not-yet-valid`, `clock-wrong`, `wrong-device`,
            `attestation-missing` or `attestation-below`.
    """
    for reason, message in _unmet(manifest, demands, now):
        raise refusal(reason, path, message)


def _unmet(manifest: Manifest, demands: Demands, now: Moment | None) -> Iterator[Unmet]:
    """Yield what is not met, the most telling first."""
    yield from _role(manifest, demands)
    yield from _versions(manifest, demands)
    yield from _revoked(manifest, demands)
    yield from _validity(manifest, now)
    yield from _device(manifest, demands)
    if demands.assessment is not None:
        yield from _assessment(manifest, demands.assessment)
    if demands.claims is not None:
        yield from _claims(manifest, demands.claims)
    if demands.calibration_attested and manifest.calibration is None:
        yield _missing("`calibration`")


def _role(manifest: Manifest, demands: Demands) -> Iterator[Unmet]:
    if demands.role and manifest.role != demands.role:
        yield (
            "wrong-role",
            f"it is `{manifest.role}`, in the place of a `{demands.role}` model: put the right bundle there",
        )


def _versions(manifest: Manifest, demands: Demands) -> Iterator[Unmet]:
    said = f"its security_version is {manifest.security_version}"
    if manifest.security_version < demands.security_version:
        yield (
            "rollback",
            f"{said}, at least {demands.security_version} is required: install a newer bundle",
        )
    if manifest.security_version < demands.floor:
        yield (
            "rollback",
            f"{said}, this device ran {demands.floor} already, see `edgeguard floor show`: install a newer bundle",
        )


def _revoked(manifest: Manifest, demands: Demands) -> Iterator[Unmet]:
    made_from = {"parent.digest": manifest.parent.digest} if manifest.parent is not None else {}
    made_from |= {f"parts.{role}": digest for role, digest in manifest.parts.items()}
    for key, digest in made_from.items():
        if digest in demands.revoked:
            yield (
                "revoked",
                f"`{digest[:16]}…`, its `{key}`, was revoked: install one that was made from a newer bundle",
            )


def _validity(manifest: Manifest, now: Moment | None) -> Iterator[Unmet]:
    earliest, latest = manifest.earliest, manifest.latest
    if earliest is None and latest is None:
        return
    if now is None:
        yield (
            "clock-wrong",
            "it is dated, and how late it is is not known: set the clock, or give the device a signed time",
        )
        return
    if latest is not None and not now.at <= latest:
        yield "expired", f"it may run until {manifest.not_after}: install a newer bundle, or check the clock"
    if earliest is not None and now.exact and not now.at >= earliest:
        yield (
            "not-yet-valid",
            f"it may run from {manifest.not_before} on: check the clock of this device, or install it then",
        )


def _device(manifest: Manifest, demands: Demands) -> Iterator[Unmet]:
    if demands.platform and manifest.target and demands.platform not in manifest.target:
        yield (
            "wrong-device",
            f"it is for {', '.join(manifest.target)}, this device is `{demands.platform}`: install the bundle for it",
        )


def _assessment(manifest: Manifest, term: AssessmentTerm) -> Iterator[Unmet]:
    for key, least in (("clean_accuracy", term.clean_accuracy), ("robust_accuracy", term.robust_accuracy)):
        if least is not None:
            value: float | None = getattr(manifest.assessment, key, None)
            if value is None:
                yield _missing(f"`assessment.{key}`")
            elif not value >= least:
                yield _below(f"`assessment.{key}` is {value}, at least {least}")
    if term.risk_at_most is not None:
        risk = None if manifest.assessment is None else manifest.assessment.risk
        if risk is None:
            yield _missing("`assessment.risk`")
        elif not risk <= term.risk_at_most:
            yield _below(f"`assessment.risk` is {risk}, at most {term.risk_at_most}")


def _claims(manifest: Manifest, term: ClaimsTerm) -> Iterator[Unmet]:
    training = manifest.training or Training()
    asked = (
        ("adversarial", term.adversarial_training),
        ("data_filtering", term.data_filtering),
        ("ensemble", term.ensemble),
    )
    for key, wanted in asked:
        if wanted and getattr(training, key) is not True:
            yield _missing(f"`training.{key}`")
    if term.epsilon_at_most is not None:
        budget = training.differential_privacy
        if budget is None:
            yield _missing("`training.differential_privacy`")
        elif not budget.epsilon <= term.epsilon_at_most:
            key = "`training.differential_privacy.epsilon`"
            yield _below(f"{key} is {budget.epsilon}, at most {term.epsilon_at_most}")


def _missing(what: str) -> Unmet:
    return (
        "attestation-missing",
        f"it does not state {what}, which is required: have the model assessed, add it to the manifest and sign again",
    )


def _below(what: str) -> Unmet:
    return "attestation-below", f"{what} is required: install a model that is that good"
