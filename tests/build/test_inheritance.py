"""A made bundle keeps what bounds its parent, and nothing that was measured on its parent."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest

from edgeguard.admission import AdmittedModel
from edgeguard.admission.claims import (
    Assessment,
    CalibrationClaim,
    DifferentialPrivacy,
    Encryption,
    Training,
    Watermark,
)
from edgeguard.admission.manifest import Engine, parse_manifest
from edgeguard.build import bundle
from edgeguard.build.inheritance import common, inherited
from edgeguard.errors import UsageError
from tests.hostile.bundles.builders import manifest as manifest_bytes

SHA = "5d" * 32
PRIVATE = Training(True, True, True, DifferentialPrivacy(2.0, 1e-5))
PLAIN = parse_manifest(manifest_bytes(), "m")
FULL = dataclasses.replace(
    PLAIN,
    not_before="2026-01-01T00:00:00Z",
    not_after="2028-01-01T00:00:00Z",
    target=("linux-aarch64", "linux-x86_64"),
    assessment=Assessment("a.json", 1, 1.0),
    calibration=CalibrationClaim("c.json", 1),
    training=PRIVATE,
    watermark=Watermark(SHA, 3),
    encryption=Encryption("AES256_GCM_HKDF_1MB", "00" * 8, SHA),
)
KEPT = ("not_before", "not_after", "target", "training", "watermark")
DROPPED = ("assessment", "calibration", "encryption")
PARENT = AdmittedModel(FULL, b"", digest=SHA, signer="")


def other(**values: Any) -> Any:
    """A second part."""
    return dataclasses.replace(FULL, name="other", **values)


@pytest.mark.parametrize("made", [bundle.int8_of(PARENT, b"", "cpu").manifest, inherited(FULL)])
def test_a_made_model_keeps_what_bounds_it_and_claims_nothing_that_was_measured_on_its_parent(
    made: Any,
) -> None:
    assert {key: getattr(made, key) for key in KEPT} == {key: getattr(FULL, key) for key in KEPT}
    assert {getattr(made, key) for key in DROPPED} == {None}


def test_a_plan_is_for_the_platform_it_was_built_for() -> None:
    engine = Engine("tensorrt", "10.3.0", "8.7", "linux-aarch64")
    assert bundle.plan_of(PARENT, b"", engine).manifest.target == ("linux-aarch64",)
    assert inherited(PLAIN, "linux-aarch64").target == ()
    strange = dataclasses.replace(engine, platform="linux-riscv64")
    with pytest.raises(UsageError, match="is for linux-aarch64, linux-x86_64, not for `linux-riscv64`"):
        bundle.plan_of(PARENT, b"", strange)


def test_a_fused_graph_may_run_when_and_where_all_its_parts_may() -> None:
    late = other(
        not_before="2027-01-01T00:00:00Z", not_after="2029-01-01T00:00:00Z", target=("linux-x86_64",)
    )
    for parts in itertools.permutations([FULL, late, dataclasses.replace(PLAIN, training=PRIVATE)]):
        made = common(parts)
        assert (made.not_before, made.not_after) == ("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z")
        assert made.target == ("linux-x86_64",)
        assert made.training == PRIVATE
        assert {getattr(made, key) for key in DROPPED} == {None}


def test_a_fused_graph_of_parts_that_fit_no_time_or_platform_is_not_made() -> None:
    with pytest.raises(UsageError, match=r"`signs-primary`, `other` are never valid at the same time"):
        common([FULL, other(not_before="2028-01-01T00:00:00Z", not_after=None)])
    with pytest.raises(UsageError, match=r"`signs-primary`, `other` have no platform in common"):
        common([FULL, other(target=("linux-riscv64",))])


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (None, None),
        (Training(), Training()),
        (Training(adversarial=True), Training(adversarial=True)),
        (Training(True, True, True), Training(True, True, True)),
        (
            Training(False, True, True, DifferentialPrivacy(1.0, 1e-4)),
            Training(False, True, True, DifferentialPrivacy(2.0, 1e-4)),
        ),
    ],
)
def test_a_fused_graph_claims_of_its_training_what_all_its_parts_claim(
    second: Training | None, expected: Training | None
) -> None:
    assert common([FULL, other(training=second)]).training == expected
    assert common([other(training=second), FULL]).training == expected
