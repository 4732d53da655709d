"""Well-signed bundles that must not run here, now or in this place: for what their manifest states, or does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgeguard.admission import Demands, Moment, Trust, admit_bundle
from edgeguard.admission.trust import Grant, TrustedKey
from edgeguard.terms import AssessmentTerm, ClaimsTerm
from tests.hostile.bundles.builders import Forge, Json, good_files, manifest, write_files
from tests.refusals import Refused

Change = Callable[[Json], object]
NOW = Moment(1_793_491_200.0)  # 2026-11-01
PARENT = "5d" * 32
REPORT = {"report": "report.json", "samples": 500}


def _set(**values: object) -> Change:
    return lambda m: m.update(values)


def _int8(values: Json) -> None:
    values["parent"] = {"digest": PARENT, "how": "int8", "samples": 9, "agreement": 1.0, "deviation": 0.0}


CASES: list[tuple[str, Change, Demands, Moment | None]] = [
    ("wrong-role", _set(), Demands(role="redundant"), NOW),
    ("wrong-role", _set(role="redundant"), Demands(role="primary"), NOW),
    ("rollback", _set(security_version=2), Demands(security_version=3), NOW),
    ("rollback", _set(security_version=2), Demands(floor=3), NOW),
    ("revoked", _int8, Demands(revoked=frozenset({PARENT})), NOW),
    ("expired", _set(not_after="2026-10-31T23:59:59Z"), Demands(), NOW),
    ("expired", _set(not_after="2026-10-31T23:59:59Z"), Demands(), Moment(NOW.at, exact=False)),
    ("not-yet-valid", _set(not_before="2026-11-01T00:00:01Z"), Demands(), NOW),
    ("not-yet-valid", _set(not_before="2026-11-01T00:00:00Z"), Demands(), Moment(0.0)),
    ("clock-wrong", _set(not_after="2028-11-01T00:00:00Z"), Demands(), None),
    ("wrong-device", _set(target=["linux-aarch64"]), Demands(platform="linux-x86_64"), NOW),
    ("attestation-missing", _set(), Demands(assessment=AssessmentTerm(clean_accuracy=0.0)), NOW),
    ("attestation-missing", _set(), Demands(calibration_attested=True), NOW),
    ("attestation-missing", _set(), Demands(claims=ClaimsTerm(data_filtering=True)), NOW),
    (
        "attestation-missing",
        _set(training={"adversarial": True}),
        Demands(claims=ClaimsTerm(adversarial_training=True, epsilon_at_most=9.0)),
        NOW,
    ),
    (
        "attestation-below",
        _set(assessment={**REPORT, "robust_accuracy": 0.5}),
        Demands(assessment=AssessmentTerm(robust_accuracy=0.6)),
        NOW,
    ),
    (
        "attestation-below",
        _set(assessment={**REPORT, "risk": 0.02}),
        Demands(assessment=AssessmentTerm(risk_at_most=0.01)),
        NOW,
    ),
    (
        "attestation-below",
        _set(training={"differential_privacy": {"epsilon": 20.0, "delta": 1e-5}}),
        Demands(claims=ClaimsTerm(epsilon_at_most=8.0)),
        NOW,
    ),
]


def _bundle(folder: Path, change: Change, forge: Forge) -> Path:
    files = {**good_files(), "edgeguard.json": manifest(change), "report.json": b"{}"}
    return write_files(folder, {**files, "model.sig": forge.sign_files(files)})


@pytest.mark.parametrize(("reason", "change", "demands", "now"), CASES)
def test_a_signed_bundle_that_must_not_run_here_is_refused(
    refused: Refused,
    forge: Forge,
    tmp_path: Path,
    reason: str,
    change: Change,
    demands: Demands,
    now: Moment | None,
) -> None:
    bundle = _bundle(tmp_path / "bundle", change, forge)
    refused(lambda: admit_bundle(bundle, forge.signers, demands, now=now), reason, "edgeguard.json")


def test_the_same_bundles_run_where_nothing_is_asked(forge: Forge, tmp_path: Path) -> None:
    for i, (_, change, demands, _) in enumerate(CASES):
        if demands != Demands():
            admit_bundle(_bundle(tmp_path / str(i), change, forge), forge.signers, now=NOW)


def test_a_claim_against_its_own_report_is_refused(refused: Refused, forge: Forge, tmp_path: Path) -> None:
    files = {
        **good_files(),
        "edgeguard.json": manifest(_set(assessment={**REPORT, "risk": 0.001})),
        "report.json": b'{"samples": 500, "risk": 0.3}',
    }
    bundle = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
    refused(lambda: admit_bundle(bundle, forge.signers, now=NOW), "manifest-invalid", "report.json")


def test_a_signer_of_filters_signs_no_primary(refused: Refused, forge: Forge, tmp_path: Path) -> None:
    trust = Trust(keys=(TrustedKey(forge.key.public(), Grant(frozenset({"filter", "calibration"}))),))
    bundle = _bundle(tmp_path / "bundle", _set(), forge)
    refused(lambda: admit_bundle(bundle, trust, now=NOW), "signer-not-allowed", "bundle")


def test_another_bundle_than_the_pinned_one_is_refused(
    refused: Refused, forge: Forge, tmp_path: Path
) -> None:
    bundle = _bundle(tmp_path / "bundle", _set(), forge)
    refused(
        lambda: admit_bundle(bundle, forge.signers, Demands(pin="00" * 32), now=NOW), "pin-mismatch", "bundle"
    )
