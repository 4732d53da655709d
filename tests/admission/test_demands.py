"""What is asked of a bundle: each demand at its very limit, and no demand that could ever let more in."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.admission.claims import Assessment, CalibrationClaim, DifferentialPrivacy, Training, unix_time
from edgeguard.admission.demands import check_demands
from edgeguard.admission.manifest import Manifest, Parent, parse_manifest
from edgeguard.admission.trust import Demands, Moment
from edgeguard.errors import AdmissionError
from edgeguard.terms import AssessmentTerm, ClaimsTerm
from tests.hostile.bundles.builders import manifest as manifest_bytes

PLAIN = parse_manifest(manifest_bytes(), "m")
FROM, UNTIL = "2026-11-01T00:00:00Z", "2028-11-01T00:00:00Z"
START, END = unix_time(FROM), unix_time(UNTIL)
DIGEST = "ab" * 32


def changed(**values: Any) -> Manifest:
    return dataclasses.replace(PLAIN, **values)


def said(manifest: Manifest, demands: Demands, now: Moment | None = None) -> str:
    """The refusal's text; empty: admitted."""
    try:
        check_demands(manifest, demands, "m", now)
    except AdmissionError as error:
        return str(error)
    return ""


def reason(manifest: Manifest, demands: Demands, now: Moment | None = None) -> str:
    """The refusal's reason; empty: admitted."""
    return said(manifest, demands, now).removeprefix("m: ").partition(":")[0]


def test_the_default_demands_nothing() -> None:
    assert said(PLAIN, Demands()) == ""


@pytest.mark.parametrize(("role", "expected"), [("", ""), ("primary", ""), ("filter", "wrong-role")])
def test_a_bundle_stands_in_its_own_role_s_place_only(role: str, expected: str) -> None:
    assert reason(PLAIN, Demands(role=role)) == expected


def test_a_bundle_in_another_role_s_place_is_told_both() -> None:
    assert "it is `primary`, in the place of a `filter` model" in said(PLAIN, Demands(role="filter"))


@pytest.mark.parametrize("version", [2, 3, 4])
def test_the_lowest_security_version_is_admitted_itself(version: int) -> None:
    assert reason(PLAIN, Demands(security_version=version)) == ("rollback" if version > 3 else "")


@pytest.mark.parametrize("floor", [2, 3, 4])
def test_what_this_device_ran_last_is_admitted_again_and_nothing_older(floor: int) -> None:
    assert reason(PLAIN, Demands(floor=floor)) == ("rollback" if floor > 3 else "")


def test_a_rollback_says_who_asks_for_more() -> None:
    assert "is 3, at least 4 is required: install a newer" in said(PLAIN, Demands(security_version=4))
    refused = said(PLAIN, Demands(floor=4))
    assert "is 3, this device ran 4 already, see `edgeguard floor show`: install" in refused


PARENT = Parent(DIGEST, "int8", 100, 1.0, 0.0)


def test_what_was_made_from_a_revoked_bundle_is_revoked_with_it() -> None:
    assert reason(changed(parent=PARENT), Demands(revoked=frozenset({DIGEST}))) == "revoked"
    assert reason(changed(parent=PARENT), Demands(revoked=frozenset({"cd" * 32}))) == ""
    assert "`parent.digest`, was revoked" in said(
        changed(parent=PARENT), Demands(revoked=frozenset({DIGEST}))
    )


@pytest.mark.parametrize("role", ["primary", "filter", "redundant"])
def test_a_fused_graph_with_a_revoked_part_is_revoked(role: str) -> None:
    parts = {"primary": "01" * 32, "filter": "02" * 32, "redundant": "03" * 32}
    fused = changed(parent=dataclasses.replace(PARENT, how="fused"), parts=parts)
    assert f"its `parts.{role}`, was revoked" in said(fused, Demands(revoked=frozenset({parts[role]})))
    assert reason(fused, Demands(revoked=frozenset({"04" * 32}))) == ""


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (0.0, "not-yet-valid"),
        (START - 0.001, "not-yet-valid"),
        (START, ""),
        (END, ""),
        (END + 0.001, "expired"),
        (float("inf"), "expired"),
        (float("nan"), "expired"),
    ],
)
def test_a_dated_bundle_runs_within_its_dates_both_included(at: float, expected: str) -> None:
    assert reason(changed(not_before=FROM, not_after=UNTIL), Demands(), Moment(at)) == expected


@pytest.mark.parametrize(("at", "expected"), [(0.0, ""), (START, ""), (END, ""), (END + 1, "expired")])
def test_without_a_clock_nothing_is_too_early_and_what_surely_ended_is_refused(
    at: float, expected: str
) -> None:
    dated = changed(not_before=FROM, not_after=UNTIL)
    assert reason(dated, Demands(), Moment(at, exact=False)) == expected


@pytest.mark.parametrize("key", ["not_before", "not_after"])
def test_a_dated_bundle_is_refused_where_the_time_is_not_known(key: str) -> None:
    assert reason(changed(**{key: FROM}), Demands()) == "clock-wrong"


@pytest.mark.parametrize("now", [None, Moment(0.0), Moment(1e12), Moment(0.0, exact=False)])
def test_a_bundle_without_dates_runs_at_any_time(now: Moment | None) -> None:
    assert reason(PLAIN, Demands(), now) == ""


def test_each_date_counts_for_itself() -> None:
    assert reason(changed(not_before=FROM), Demands(), Moment(1e12)) == ""
    assert reason(changed(not_after=UNTIL), Demands(), Moment(0.0)) == ""
    assert f"until {UNTIL}" in said(changed(not_after=UNTIL), Demands(), Moment(1e12))
    assert f"from {FROM} on" in said(changed(not_before=FROM), Demands(), Moment(0.0))


@pytest.mark.parametrize(
    ("target", "platform", "expected"),
    [
        ((), "linux-x86_64", ""),
        (("linux-aarch64",), "", ""),
        (("linux-aarch64",), "linux-aarch64", ""),
        (("linux-x86_64", "linux-aarch64"), "linux-aarch64", ""),
        (("linux-aarch64",), "linux-aarch", "wrong-device"),
        (("linux-aarch64",), "linux-x86_64", "wrong-device"),
    ],
)
def test_a_bundle_runs_on_its_targets_only(target: tuple[str, ...], platform: str, expected: str) -> None:
    assert reason(changed(target=target), Demands(platform=platform)) == expected


def test_a_wrong_device_is_told_both() -> None:
    refused = said(changed(target=("linux-aarch64", "linux-armv7l")), Demands(platform="linux-x86_64"))
    assert (
        "for linux-aarch64, linux-armv7l, this device is `linux-x86_64`: install the bundle for it" in refused
    )


ASSESSED = Assessment("r.json", 5000, clean_accuracy=0.97, robust_accuracy=0.6, risk=0.01)
BOUNDS = ("clean_accuracy", "robust_accuracy", "risk_at_most")


@pytest.mark.parametrize(
    ("bound", "value", "expected"),
    [
        ("clean_accuracy", 0.97, ""),
        ("clean_accuracy", 0.9700000001, "attestation-below"),
        ("robust_accuracy", 0.6, ""),
        ("robust_accuracy", 0.6000000001, "attestation-below"),
        ("risk_at_most", 0.01, ""),
        ("risk_at_most", 0.0099999999, "attestation-below"),
        ("clean_accuracy", 0.0, ""),
        ("risk_at_most", 1.0, ""),
    ],
)
def test_each_bound_of_the_assessment_holds_to_the_last_digit(
    bound: str, value: float, expected: str
) -> None:
    demands = Demands(assessment=AssessmentTerm(**{bound: value}))
    assert reason(changed(assessment=ASSESSED), demands) == expected


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_figure_that_is_asked_for_must_be_stated_however_low_the_bound(bound: str) -> None:
    lowest = 1.0 if bound == "risk_at_most" else 0.0
    demands = Demands(assessment=AssessmentTerm(**{bound: lowest}))
    key = bound.removesuffix("_at_most")
    assert f"does not state `assessment.{key}`" in said(PLAIN, demands)
    nothing: Any = {key: None}
    without = dataclasses.replace(ASSESSED, **nothing)
    assert reason(changed(assessment=without), demands) == "attestation-missing"
    assert reason(changed(assessment=ASSESSED), demands) == ""


def test_an_assessment_term_without_a_bound_asks_nothing() -> None:
    assert reason(PLAIN, Demands(assessment=AssessmentTerm())) == ""


def test_an_unmet_bound_is_told_with_both_figures_in_full() -> None:
    demands = Demands(assessment=AssessmentTerm(robust_accuracy=0.60000001))
    refused = said(changed(assessment=ASSESSED), demands)
    assert "`assessment.robust_accuracy` is 0.6, at least 0.60000001 is required" in refused


@pytest.mark.parametrize("key", ["adversarial", "data_filtering", "ensemble"])
def test_each_claim_of_the_training_is_asked_for_by_itself(key: str) -> None:
    term = "adversarial_training" if key == "adversarial" else key
    demands = Demands(claims=ClaimsTerm(**{term: True}))
    this: Any = {key: True}
    assert reason(changed(training=Training(**this)), demands) == ""
    assert f"`training.{key}`" in said(PLAIN, demands)
    others: Any = {"adversarial": True, "data_filtering": True, "ensemble": True, key: False}
    assert reason(changed(training=Training(**others)), demands) == "attestation-missing"


@pytest.mark.parametrize(("epsilon", "expected"), [(8.0, ""), (8.0000001, "attestation-below"), (0.1, "")])
def test_the_privacy_budget_is_bounded(epsilon: float, expected: str) -> None:
    training = Training(differential_privacy=DifferentialPrivacy(epsilon, 1e-5))
    assert reason(changed(training=training), Demands(claims=ClaimsTerm(epsilon_at_most=8.0))) == expected


@pytest.mark.parametrize("training", [None, Training(True, True, True)])
def test_a_privacy_budget_that_is_asked_for_must_be_stated(training: Training | None) -> None:
    demands = Demands(claims=ClaimsTerm(epsilon_at_most=1e9))
    assert reason(changed(training=training), demands) == "attestation-missing"


def test_a_claims_term_that_names_none_asks_nothing() -> None:
    assert reason(PLAIN, Demands(claims=ClaimsTerm())) == ""


def test_the_calibration_must_be_attested_where_that_is_asked_for() -> None:
    demands = Demands(calibration_attested=True)
    assert reason(PLAIN, demands) == "attestation-missing"
    assert reason(changed(calibration=CalibrationClaim("c.json", 1)), demands) == ""


shares = st.floats(0.0, 1.0)
maybe_share = st.none() | shares
whole = st.integers(0, 6)
times = st.sampled_from([None, FROM, UNTIL, "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
platforms = st.sampled_from(["linux-aarch64", "linux-x86_64", "linux-armv7l"])
budgets = st.none() | st.builds(DifferentialPrivacy, st.floats(0.01, 100.0), st.floats(0.0, 0.001))
digests = st.sampled_from(["01" * 32, "02" * 32, "03" * 32])
manifests = st.builds(
    changed,
    role=st.sampled_from(["primary", "redundant", "filter", "fused"]),
    security_version=whole,
    parent=st.none() | st.builds(lambda digest: dataclasses.replace(PARENT, digest=digest), digests),
    parts=st.dictionaries(st.sampled_from(["primary", "filter", "redundant"]), digests),
    not_before=times,
    not_after=times,
    target=st.lists(platforms, unique=True).map(tuple),
    assessment=st.none()
    | st.builds(Assessment, st.just("r"), st.just(1), maybe_share, maybe_share, maybe_share),
    calibration=st.none() | st.just(CalibrationClaim("c", 1)),
    training=st.none() | st.builds(Training, st.booleans(), st.booleans(), st.booleans(), budgets),
)
demands_of = st.builds(
    Demands,
    role=st.sampled_from(["", "primary", "filter"]),
    security_version=whole,
    floor=whole,
    assessment=st.none() | st.builds(AssessmentTerm, maybe_share, maybe_share, maybe_share),
    claims=st.none()
    | st.builds(ClaimsTerm, st.booleans(), st.booleans(), st.booleans(), st.none() | st.floats(0.01, 100.0)),
    calibration_attested=st.booleans(),
    platform=st.just("") | platforms,
    revoked=st.frozensets(digests),
)
moments = st.none() | st.builds(Moment, st.sampled_from([0.0, START, END, END + 1, 3e11]), st.booleans())


def _higher(low: float | None, other: float | None, *, most: bool = False) -> float | None:
    """The stricter of two bounds."""
    known = [value for value in (low, other) if value is not None]
    return None if not known else min(known) if most else max(known)


def both(a: Demands, b: Demands) -> Demands:
    """What asks everything that either asks; of two roles and two platforms, the first one's."""
    x, y = a.assessment or AssessmentTerm(), b.assessment or AssessmentTerm()
    c, d = a.claims or ClaimsTerm(), b.claims or ClaimsTerm()
    return Demands(
        role=a.role or b.role,
        security_version=max(a.security_version, b.security_version),
        floor=max(a.floor, b.floor),
        assessment=AssessmentTerm(
            _higher(x.clean_accuracy, y.clean_accuracy),
            _higher(x.robust_accuracy, y.robust_accuracy),
            _higher(x.risk_at_most, y.risk_at_most, most=True),
        ),
        claims=ClaimsTerm(
            c.adversarial_training or d.adversarial_training,
            c.data_filtering or d.data_filtering,
            c.ensemble or d.ensemble,
            _higher(c.epsilon_at_most, d.epsilon_at_most, most=True),
        ),
        calibration_attested=a.calibration_attested or b.calibration_attested,
        platform=a.platform or b.platform,
        revoked=a.revoked | b.revoked,
    )


@given(manifests, demands_of, demands_of, moments)
def test_to_ask_for_more_never_admits_more(
    manifest: Manifest, some: Demands, more: Demands, now: Moment | None
) -> None:
    if not reason(manifest, both(some, more), now):
        assert not reason(manifest, some, now)


@given(manifests, demands_of)
def test_not_to_know_the_time_never_admits_more(manifest: Manifest, demands: Demands) -> None:
    if not reason(manifest, demands, None):
        assert not reason(manifest, demands, Moment(START))


@given(manifests, demands_of, st.floats(0.0, 1e12), st.floats(0.0, 1e12))
def test_without_a_clock_time_that_passes_never_admits_more(
    manifest: Manifest, demands: Demands, early: float, late: float
) -> None:
    early, late = sorted((early, late))
    if not reason(manifest, demands, Moment(late, exact=False)):
        assert not reason(manifest, demands, Moment(early, exact=False))


@given(manifests, demands_of, moments)
def test_to_state_less_never_meets_more_of_what_is_asked(
    manifest: Manifest, demands: Demands, now: Moment | None
) -> None:
    silent = dataclasses.replace(manifest, assessment=None, calibration=None, training=None)
    if not reason(silent, demands, now):
        assert not reason(manifest, demands, now)


@given(manifests, demands_of, moments)
def test_a_missing_attestation_that_is_asked_for_always_refuses(
    manifest: Manifest, demands: Demands, now: Moment | None
) -> None:
    silent = dataclasses.replace(manifest, assessment=None, calibration=None, training=None)
    asked = (
        demands.calibration_attested
        or demands.assessment not in (None, AssessmentTerm())
        or demands.claims not in (None, ClaimsTerm())
    )
    assert bool(reason(silent, demands, now)) or not asked


FULL = changed(
    not_before=FROM,
    not_after=UNTIL,
    target=("linux-aarch64",),
    assessment=ASSESSED,
    training=Training(differential_privacy=DifferentialPrivacy(9.0, 1e-5)),
    parent=PARENT,
    parts={"primary": "01" * 32},
)
GOOD = "required: install a model that is that good"
NEWER = "install a newer bundle"
ADD = "which is required: have the model assessed, add it to the manifest and sign again"
WORDS: list[tuple[Demands, Moment | None, str]] = [
    (
        Demands(role="filter"),
        Moment(START),
        "wrong-role: it is `primary`, in the place of a `filter` model: put the right bundle there",
    ),
    (
        Demands(security_version=4),
        Moment(START),
        "rollback: its security_version is 3, at least 4 is required: install a newer bundle",
    ),
    (
        Demands(floor=4),
        Moment(START),
        f"rollback: its security_version is 3, this device ran 4 already, see `edgeguard floor show`: {NEWER}",
    ),
    (
        Demands(revoked=frozenset({DIGEST})),
        Moment(START),
        "revoked: `abababababababab…`, its `parent.digest`, was revoked: install one that was made from a newer bundle",
    ),
    (
        Demands(revoked=frozenset({"01" * 32})),
        Moment(START),
        "revoked: `0101010101010101…`, its `parts.primary`, was revoked: install one that was made from a newer bundle",
    ),
    (
        Demands(),
        None,
        "clock-wrong: it is dated, and how late it is is not known: set the clock, or give the device a signed time",
    ),
    (
        Demands(),
        Moment(END + 1),
        f"expired: it may run until {UNTIL}: install a newer bundle, or check the clock",
    ),
    (
        Demands(),
        Moment(START - 1),
        f"not-yet-valid: it may run from {FROM} on: check the clock of this device, or install it then",
    ),
    (
        Demands(platform="linux-x86_64"),
        Moment(START),
        "wrong-device: it is for linux-aarch64, this device is `linux-x86_64`: install the bundle for it",
    ),
    (
        Demands(assessment=AssessmentTerm(clean_accuracy=0.98)),
        Moment(START),
        f"attestation-below: `assessment.clean_accuracy` is 0.97, at least 0.98 is {GOOD}",
    ),
    (
        Demands(assessment=AssessmentTerm(risk_at_most=0.001)),
        Moment(START),
        "attestation-below: `assessment.risk` is 0.01, at most 0.001 is required: install a model that is that good",
    ),
    (
        Demands(claims=ClaimsTerm(epsilon_at_most=8.0)),
        Moment(START),
        f"attestation-below: `training.differential_privacy.epsilon` is 9.0, at most 8.0 is {GOOD}",
    ),
    (
        Demands(claims=ClaimsTerm(ensemble=True)),
        Moment(START),
        f"attestation-missing: it does not state `training.ensemble`, {ADD}",
    ),
    (
        Demands(calibration_attested=True),
        Moment(START),
        f"attestation-missing: it does not state `calibration`, {ADD}",
    ),
]


@pytest.mark.parametrize(("demands", "now", "words"), WORDS)
def test_what_is_not_met_is_told_in_these_words(demands: Demands, now: Moment | None, words: str) -> None:
    assert said(FULL, demands, now) == f"m: {words}"


@pytest.mark.parametrize(
    ("demands", "words"),
    [
        (Demands(assessment=AssessmentTerm(risk_at_most=1.0)), "`assessment.risk`"),
        (Demands(claims=ClaimsTerm(epsilon_at_most=1.0)), "`training.differential_privacy`"),
    ],
)
def test_what_is_not_stated_is_named_by_its_key(demands: Demands, words: str) -> None:
    assert said(PLAIN, demands) == f"m: attestation-missing: it does not state {words}, {ADD}"
