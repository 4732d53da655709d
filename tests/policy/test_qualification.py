"""A policy that states what its models are worth runs only with a calibration that measured it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.errors import ContractError
from edgeguard.policy.calibration import parse_calibration
from edgeguard.policy.diagnostics import Report
from edgeguard.policy.document import parse
from edgeguard.policy.qualification import CommonMode, Loss, Qualified, check_qualification

TEXT = """\
edgeguard: 1
policy: {name: p, version: 1}
models:
  primary: {bundle: a}
  redundant: {bundle: b}
filter: {bundle: c}
admission: {signers: [{key: k.pub, sha256: "%s"}]}
signals: {certainty: {of: primary, range: [0, 1], max_age: 100ms}}
envelope: {brake: {min: 0, max: 1, safe: 1}}
""" % ("a" * 64)
ROLES = ("primary", "redundant", "filter")
DIGESTS = dict(zip(ROLES, ("1" * 64, "2" * 64, "3" * 64)))
GOOD = Qualified(
    0.95,
    DIGESTS,
    (
        Loss("filter", "primary", 1000, 990, 2, 1, 0.004),
        Loss("redundant", "primary", 1000, 960, 40, 9, 0.04),
    ),
    (
        CommonMode("redundant", "primary", "clean", 1000, 40, 9, 1, 0, 0.005, 0.43, 0.29),
        CommonMode("redundant", "primary", "blur", 250, 60, 50, 15, 10, 0.2, 0.42, 0.31),
        CommonMode("redundant", "primary", "stress", 1000, 200, 150, 30, 20, 0.15, 0.26, 0.19),
    ),
)


def found(stated: str, measured: Qualified | None = GOOD, roles: tuple[str, ...] = ROLES) -> list[str]:
    document = parse(f"{TEXT}qualification: {{{stated}}}\n".encode(), file="p.yaml")
    report = Report("p.yaml")
    check_qualification(document, measured, roles, report)
    return [f"{d.code} {d.line}:{d.column}: {d.message}" for d in report.found]


def changed(of_set: str, **values: Any) -> Qualified:
    """What was measured, with other values in one row of common modes."""
    rows = [replace(row, **values) if row.of_set == of_set else row for row in GOOD.common]
    return replace(GOOD, common=tuple(rows))


def test_a_policy_that_states_nothing_needs_no_qualification() -> None:
    document = parse(TEXT.encode(), file="p.yaml")
    report = Report("p.yaml")
    check_qualification(document, None, ROLES, report)
    assert report.found == []


def test_models_that_were_measured_to_be_worth_it_pass() -> None:
    assert found("filter: {accuracy_loss: 0.4%}, redundant: {accuracy_loss: 0.04, common_mode: 0.26}") == []


def test_what_was_not_measured_at_all_is_refused() -> None:
    (said,) = found("filter: {accuracy_loss: 0.5%}", None)
    assert said.startswith("EG1324 10:1: the calibration holds no qualification")


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        (
            "filter: {accuracy_loss: 0.3%}",
            ["10:41: `filter` may cost 0.400% of the right answers of `primary`"],
        ),
        ("redundant: {accuracy_loss: 0.03}", ["10:44: `redundant` may cost 4.000%"]),
        (
            "redundant: {common_mode: 0.25}",
            ["10:42: `redundant` shares 30 of 150 failures of `primary` (stress"],
        ),
    ],
)
def test_what_was_measured_to_be_worse_is_refused_where_it_is_stated(stated: str, said: list[str]) -> None:
    got = found(stated)
    assert len(got) == len(said)
    assert all(part in line for part, line in zip(said, got)), got


def test_a_kind_of_corruption_that_disproves_the_bound_is_refused_by_itself() -> None:
    measured = changed("blur", common=45, same=45, at_least=0.8, at_most=0.95, same_at_most=0.95)
    (said,) = found("redundant: {common_mode: 0.5}", measured)
    assert (
        "45 of 50 failures of `primary` (blur pictures): a beta factor of at least 0.8, more than 0.5" in said
    )


def test_without_stress_the_clean_pictures_count() -> None:
    measured = replace(GOOD, common=GOOD.common[:1])
    assert found("redundant: {common_mode: 0.43}", measured) == []
    assert "(clean pictures)" in found("redundant: {common_mode: 0.42}", measured)[0]


def test_a_primary_that_never_failed_vouches_for_nothing() -> None:
    measured = changed("stress", failures=0, common=0, same=0, at_least=0.0, at_most=1.0, same_at_most=1.0)
    (said,) = found("redundant: {common_mode: 0.99}", measured)
    assert "`primary` never failed on 1000 stress pictures" in said


@pytest.mark.parametrize(
    ("measured", "what"),
    [(replace(GOOD, losses=()), "accuracy"), (replace(GOOD, common=()), "common mode")],
)
def test_a_pair_that_was_not_measured_is_refused(measured: Qualified, what: str) -> None:
    (said,) = found("redundant: {accuracy_loss: 5%, common_mode: 0.5}", measured)
    assert f"the calibration holds no {what} of `redundant`" in said


def test_a_calibration_that_is_less_sure_is_refused() -> None:
    (said,) = found("filter: {accuracy_loss: 1%}", replace(GOOD, confidence=0.9))
    assert "sure of its bounds by 0.9, not by 0.95" in said


@pytest.mark.parametrize(
    ("roles", "name"), [(("primary", "redundant"), "filter"), ((*ROLES, "third"), "third")]
)
def test_other_models_than_the_policys_are_refused(roles: tuple[str, ...], name: str) -> None:
    (said,) = found("redundant: {common_mode: 0.5}", roles=roles)
    assert (
        f"10:1: `{name}` is a model of the policy or of the calibration's qualification, not of both" in said
    )


def test_a_fused_graph_is_measured_by_its_parts() -> None:
    assert found("redundant: {common_mode: 0.5}", roles=(*ROLES, "fused")) == []


def test_every_alternate_of_the_primary_must_keep_the_bounds() -> None:
    roles = (*ROLES, "primary.1")
    models = {**DIGESTS, "primary.1": "4" * 64}
    lacking = replace(GOOD, models=models)
    (said,) = found("redundant: {common_mode: 0.5}", lacking, roles)
    assert "no common mode of `redundant` and `primary.1`" in said
    other = CommonMode("redundant", "primary.1", "stress", 1000, 200, 150, 120, 20, 0.74, 0.86, 0.19)
    (said,) = found("redundant: {common_mode: 0.5}", replace(lacking, common=(*GOOD.common, other)), roles)
    assert "`redundant` shares 120 of 150 failures of `primary.1`" in said


def test_what_is_stated_of_the_primary_is_held_against_its_alternates() -> None:
    roles = (*ROLES, "primary.1")
    row = Loss("primary.1", "primary", 1000, 970, 25, 5, 0.03)
    measured = replace(GOOD, models={**DIGESTS, "primary.1": "4" * 64}, losses=(*GOOD.losses, row))
    assert found("primary: {accuracy_loss: 3%}", measured, roles) == []
    (said,) = found("primary: {accuracy_loss: 2%}", measured, roles)
    assert "`primary.1` may cost 3.000%" in said
    (said,) = found("primary: {accuracy_loss: 2%}")
    assert "no accuracy of `primary` beside `primary`" in said


# --- the file ---------------------------------------------------------------------------------------------------------


def document(qualification: object) -> bytes:
    values = {
        "edgeguard_calibration": 1, "policy": "p", "models": DIGESTS, "frames": 9, "abstain": 0.1, "thresholds": {},
        "qualification": qualification,
    }  # fmt: skip
    return json.dumps(values).encode()


def test_what_is_written_is_read_back() -> None:
    assert parse_calibration(document(GOOD.to_json()), file="c.json").qualification == GOOD


def test_a_file_without_a_qualification_is_still_read() -> None:
    data = json.loads(document(0))
    del data["qualification"]
    assert parse_calibration(json.dumps(data).encode(), file="c.json").qualification is None


LOSS = GOOD.to_json()["losses"][0]  # type: ignore[index]  # a list, in what is JSON
MODE = GOOD.to_json()["common"][1]  # type: ignore[index]  # likewise


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lucky": 1}, "`qualification.lucky` is not a known key"),
        ({"confidence": 1.0}, "`qualification.confidence` must be at least 0 and below 1"),
        ({"models": {"primary": "1" * 63}}, "digest of `primary`"),
        ({"models": {**DIGESTS, "third": "4" * 64}}, "was measured with another `third`"),
        ({"models": {**DIGESTS, "primary": "4" * 64}}, "was measured with another `primary`"),
        ({"losses": {}}, "`qualification.losses` must be a list"),
        ({"losses": [LOSS] * 1025}, "a list of at most 1024 objects"),
        ({"losses": [7]}, r"`qualification.losses\[0\]` must be an object"),
        ({"losses": [LOSS, LOSS]}, "says two things of the same models"),
        ({"common": [MODE, MODE]}, "says two things of the same models"),
        ({"losses": [{**LOSS, "model": "third"}]}, "names `third`, which is none of the measured models"),
        ({"losses": [{**LOSS, "lost": 11}]}, "contradict one another"),
        ({"losses": [{**LOSS, "gained": 991}]}, "contradict one another"),
        ({"losses": [{**LOSS, "at_most": 0.0}]}, "contradict one another"),
        ({"losses": [{**LOSS, "at_most": 1.5}]}, "must be from -1 to 1"),
        (
            {"losses": [{**LOSS, "pictures": 0}]},
            r"`qualification.losses\[0\].pictures` must be a whole number",
        ),
        ({"losses": [{**LOSS, "pictures": 10**400}]}, "must be at most"),
        ({"common": [{**MODE, "common": 51}]}, "contradict one another"),
        ({"common": [{**MODE, "same": 16}]}, "contradict one another"),
        ({"common": [{**MODE, "wrong": 14}]}, "contradict one another"),
        ({"common": [{**MODE, "failures": 251}]}, "contradict one another"),
        ({"common": [{**MODE, "at_most": 0.2}]}, "contradict one another"),
        ({"common": [{**MODE, "at_least": 0.31}]}, "contradict one another"),
        ({"common": [{**MODE, "same_at_most": 0.1}]}, "contradict one another"),
        (
            {"common": [{**MODE, "failures": 0, "common": 0, "same": 0, "at_least": 0.0}]},
            "contradict one another",
        ),
        ({"common": [{**MODE, "set": 3}]}, "must be text"),
        ({"common": [{**MODE, "beta": 0.1}]}, "is not a known key"),
    ],
)
def test_a_qualification_that_is_none_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ContractError, match=said) as caught:
        parse_calibration(document(GOOD.to_json() | change), file="c.json")
    assert str(caught.value).startswith("c.json: ")


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(st.sampled_from([*GOOD.to_json(), *LOSS, *MODE, "x"]), x, max_size=6)
        ),
        max_leaves=20,
    )
)
def test_any_json_in_its_place_is_read_or_refused(value: object) -> None:
    try:
        found = parse_calibration(document(value), file="c.json").qualification
    except ContractError:
        return
    assert found is not None
    assert all(row.common <= row.failures <= row.pictures for row in found.common)
