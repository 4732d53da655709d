"""Who may sign what: every word of `admission` reaches the terms, and what nobody could ever sign is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.admission.loading import role_of
from edgeguard.errors import PolicyError
from edgeguard.policy import admission_terms, compile_policy, describe, model_refs, parse
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.vouching import Signable
from edgeguard.terms import (
    SIGNABLE,
    AdmissionTerms,
    AssessmentTerm,
    ClaimsTerm,
    Limits,
    Pin,
    SignerTerm,
)

A, B, C, D, E = ("abcde"[i] * 64 for i in range(5))
BASE = Path("/etc/guard/policies")
REST = """\
signals: {certainty: {of: primary, range: [0, 1], max_age: 300ms}}
envelope: {brake: {min: 0, max: 1, safe: 1}}
"""
WHOLE = f"""
admission:
  signers:
    - key: ../keys/release.pub
      sha256: "{A}"
      signs: [primary, calibration]
      post_quantum: {{key: ../keys/release.ml-dsa-65.pub, sha256: "{B}"}}
    - {{authority: /etc/root.pem, sha256: "{C}", identity: release@example.org, signs: [redundant]}}
    - {{keyless: trusted_root.json, sha256: "{D}", identity: i, issuer: "https://accounts.example.org"}}
  require:
    security_version: 3
    assessment: {{clean_accuracy: 97%, robust_accuracy: 0.6, risk_at_most: 1%}}
    claims: {{adversarial_training: true, data_filtering: true, ensemble: true, epsilon_at_most: 8}}
    calibration: attested
    floor: tpm
  clock: none
  revoked: [{{sha256: "{E}", note: key of the old build server}}]
  limits: {{nodes: 100, tensors: 200, memory: 512MiB, opset: [11, 21], operators: ["com.microsoft::QLinearAdd"]}}
  decrypt: [../keys/content.key, "tpm:../keys/content.sealed", "pkcs11:token=edge;object=../content"]
"""


def document(text: str, models: str = "models: {primary: {bundle: m}}") -> PolicyDocument:
    head = f"edgeguard: 1\npolicy: {{name: p, version: 1}}\n{models}\n"
    return parse(f"{head}{text}\n{REST}".encode(), file="p.yaml")


def refused(text: str, models: str = "models: {primary: {bundle: m}}") -> list[str]:
    with pytest.raises(PolicyError) as caught:
        document(text, models)
    return [finding.code for finding in caught.value.diagnostics]


def test_every_word_about_admission_reaches_the_terms() -> None:
    assert admission_terms(document(WHOLE), base=BASE) == AdmissionTerms(
        signers=(
            SignerTerm(
                key=Pin("/etc/guard/keys/release.pub", A),
                signs=("primary", "calibration"),
                post_quantum=Pin("/etc/guard/keys/release.ml-dsa-65.pub", B),
            ),
            SignerTerm(
                authority=Pin("/etc/root.pem", C), identity="release@example.org", signs=("redundant",)
            ),
            SignerTerm(
                keyless=Pin("/etc/guard/policies/trusted_root.json", D),
                identity="i",
                issuer="https://accounts.example.org",
            ),
        ),
        security_version=3,
        assessment=AssessmentTerm(0.97, 0.6, 0.01),
        claims=ClaimsTerm(adversarial_training=True, data_filtering=True, ensemble=True, epsilon_at_most=8.0),
        calibration_attested=True,
        post_quantum=False,
        revoked=frozenset({E}),
        limits=Limits(100, 200, 512 * 2**20, (11, 21), ("com.microsoft::QLinearAdd",)),
        clock="none",
        floor="tpm",
        content_keys=(
            "/etc/guard/keys/content.key",
            "tpm:/etc/guard/keys/content.sealed",
            "pkcs11:token=edge;object=../content",
        ),
    )


def test_a_policy_without_admission_trusts_nobody_and_what_it_leaves_out_is_the_default() -> None:
    bare = document("", models=f'models: {{primary: {{bundle: m, pin: "{A}"}}}}')
    assert admission_terms(bare, base=BASE) == AdmissionTerms()
    key = document(f'admission: {{signers: [{{key: k.pub, sha256: "{A}"}}], limits: {{nodes: 7}}}}')
    assert admission_terms(key, base=BASE) == AdmissionTerms(
        signers=(SignerTerm(key=Pin("/etc/guard/policies/k.pub", A)),), limits=Limits(nodes=7)
    )


def test_each_demand_alone_leaves_the_others_unasked() -> None:
    signers = f'signers: [{{key: k.pub, sha256: "{A}", post_quantum: {{key: q.pub, sha256: "{B}"}}}}]'
    for text, expected in (
        ("assessment: {risk_at_most: 0}", AdmissionTerms(assessment=AssessmentTerm(risk_at_most=0.0))),
        ("claims: {ensemble: true}", AdmissionTerms(claims=ClaimsTerm(ensemble=True))),
        ("claims: {epsilon_at_most: 0}", AdmissionTerms(claims=ClaimsTerm(epsilon_at_most=0.0))),
        ("post_quantum: true", AdmissionTerms(post_quantum=True)),
        ("floor: file", AdmissionTerms(floor="file")),
    ):
        found = admission_terms(document(f"admission: {{{signers}, require: {{{text}}}}}"), base=BASE)
        assert (found.assessment, found.claims) == (expected.assessment, expected.claims)
        assert (found.post_quantum, found.floor) == (expected.post_quantum, expected.floor)
        assert not found.calibration_attested


def test_a_pinned_bundle_reaches_its_reference_and_its_alternates_are_not_pinned() -> None:
    models = f"""models:
  primary: {{bundle: a, pin: "{A}", manifest: ../a.json, alternates: [b], switch: {{every: 9 frames}}}}
  third:   {{bundle: t}}
filter:    {{bundle: f, pin: "{B}"}}
"""
    found = model_refs(document(WHOLE, models), base=BASE)
    assert [(ref.role, ref.pin, ref.manifest) for ref in found] == [
        ("primary", A, "/etc/guard/a.json"),
        ("primary.1", "", ""),
        ("third", "", ""),
        ("filter", B, ""),
    ]


@pytest.mark.parametrize("admission", ["", "admission: {}", "admission: {require: {security_version: 2}}"])
def test_a_policy_of_pinned_models_needs_no_signer(admission: str) -> None:
    models = f'models: {{primary: {{bundle: a, pin: "{A}"}}}}\nfilter: {{bundle: f, pin: "{B}"}}'
    assert admission_terms(document(admission, models), base=BASE).signers == ()
    assert refused(admission, models + "\nfused: {bundle: g}") == ["EG1316"]
    assert refused(f"{admission}\ncalibration: c.json", models) == ["EG1316"]
    manifest = models.replace(f'"{A}"', f'"{A}", manifest: a.json')
    assert refused(admission, manifest) == ["EG1316"]


def test_a_policy_without_models_needs_no_signer() -> None:
    text = "edgeguard: 1\npolicy: {name: p, version: 1}\nadmission: {clock: none}\n"
    text += REST.replace("certainty: {of: primary", "speed: {from: context")
    assert admission_terms(parse(text.encode(), file="p.yaml"), base=BASE).clock == "none"


def test_a_signer_may_be_limited_to_everything_but_policies() -> None:
    assert (*get_args(Signable), "policy") == SIGNABLE


def test_one_authority_may_vouch_for_several_people_but_nobody_stands_twice() -> None:
    one = f'{{authority: r.pem, sha256: "{A}", identity: one}}'
    other = one.replace("identity: one", "identity: other")
    key = f'{{key: r.pem, sha256: "{A}"}}'
    terms = admission_terms(document(f"admission: {{signers: [{one}, {other}, {key}]}}"), base=BASE)
    assert [signer.identity for signer in terms.signers] == ["one", "other", ""]
    assert refused(f"admission: {{signers: [{one}, {other}, {one}]}}") == ["EG1338"]


def test_an_entry_for_anybody_stands_behind_those_for_somebody_or_they_would_never_count() -> None:
    anybody = f'{{authority: r.pem, sha256: "{A}", signs: [filter]}}'
    somebody = f'{{authority: r.pem, sha256: "{A}", identity: one, signs: [primary]}}'
    elsewhere = f'{{authority: s.pem, sha256: "{B}", identity: one, signs: [primary]}}'
    document(f"admission: {{signers: [{somebody}, {anybody}]}}")
    document(f"admission: {{signers: [{anybody}, {elsewhere}]}}")
    assert refused(f"admission: {{signers: [{anybody}, {somebody}]}}") == ["EG1338"]


def test_a_revoked_second_key_or_pin_is_refused_wherever_it_stands() -> None:
    signer = f'{{key: k.pub, sha256: "{A}", post_quantum: {{key: q.pub, sha256: "{B}"}}}}'
    models = f'models: {{primary: {{bundle: m}}}}\nfilter: {{bundle: f, pin: "{C}"}}'
    for digest, codes in ((A, ["EG1337"]), (B, ["EG1337"]), (C, ["EG1337"])):
        text = f'admission: {{signers: [{signer}], revoked: [{{sha256: "{digest}"}}]}}'
        assert refused(text, models) == codes
    document(f'admission: {{signers: [{signer}], revoked: [{{sha256: "{D}"}}]}}', models)


def test_a_truth_where_a_word_belongs_is_shown_as_it_is_written() -> None:
    text = f'admission: {{signers: [{{key: k.pub, sha256: "{A}"}}], require: {{calibration: true}}}}'
    with pytest.raises(PolicyError, match="`true` is not allowed here"):
        document(text)


def test_checking_reads_no_key_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr("io.open", opened)
    monkeypatch.setattr("builtins.open", opened)
    monkeypatch.setattr(Path, "open", opened)
    assert len(admission_terms(document(WHOLE), base=BASE).signers) == 3


def test_description_tells_all_of_it_as_json() -> None:
    program = compile_policy(document(WHOLE), base=BASE)
    said = json.loads(json.dumps(describe(program)))
    asked = said["admission"]
    assert [signer["signs"] for signer in asked["signers"]] == [
        ["primary", "calibration"],
        ["redundant"],
        None,
    ]
    assert asked["signers"][0]["post_quantum"] == {
        "path": "/etc/guard/keys/release.ml-dsa-65.pub",
        "sha256": B,
    }
    assert asked["signers"][2]["issuer"] == "https://accounts.example.org"
    assert asked["assessment"]["robust_accuracy"] == 0.6
    assert asked["claims"]["epsilon_at_most"] == 8
    assert asked["limits"]["opset"] == [11, 21]
    assert asked["revoked"] == [E]
    assert (asked["clock"], asked["floor"], asked["security_version"]) == ("none", "tpm", 3)
    assert set(asked) == set(AdmissionTerms.__dataclass_fields__)
    assert said["models"][0]["pin"] is None


# --- against an oracle: a policy is refused exactly when something it names could be signed by nobody ---

SIGNS = st.one_of(st.none(), st.lists(st.sampled_from(get_args(Signable)), min_size=1, unique=True))
PLACES = st.fixed_dictionaries({}, optional={
    name: st.booleans() for name in ("primary", "redundant", "third", "filter")
})  # fmt: skip


def _section(name: str, *, pinned: bool) -> str:
    return f"{name}: {{bundle: {name}{f', pin: {json.dumps(E)}' if pinned else ''}}}"


@given(places=PLACES, signs=st.lists(SIGNS, max_size=3), calibrated=st.booleans())
@settings(max_examples=150, deadline=None)
def test_what_nobody_may_sign_is_refused_and_nothing_else(
    places: dict[str, bool], signs: list[list[str] | None], calibrated: bool
) -> None:
    places = {"primary": places.get("primary", False), **places}
    models = [_section(name, pinned=pinned) for name, pinned in places.items() if name != "filter"]
    text = "models: {" + ", ".join(models) + "}\n"
    if "filter" in places:
        text += _section("filter", pinned=places["filter"]) + "\n"
    signers = [
        f'{{key: k{i}.pub, sha256: "{i:064}"{"" if s is None else f", signs: [{chr(44).join(s)}]"}}}'
        for i, s in enumerate(signs)
    ]
    text += f"admission: {{signers: [{', '.join(signers)}]}}\n" + "calibration: c.json\n" * calibrated
    roles = {role_of(place) for place, pinned in places.items() if not pinned}
    roles |= {"calibration"} if calibrated else set()
    signable = all(any(s is None or role in s for s in signs) for role in roles)
    if not signable:
        assert set(refused(text, models="")) == ({"EG1339"} if signs else {"EG1316"})
        return
    terms = admission_terms(document(text, models=""), base=BASE)
    assert [signer.signs for signer in terms.signers] == [tuple(s or ()) for s in signs]
