"""What a policy says of admission happens: from its text to the demo's bundle, admitted or refused with a reason."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edgeguard.admission import admit_models, new_key
from edgeguard.admission.keys import load_public_keys
from edgeguard.admission.loading import role_of
from edgeguard.errors import AdmissionError
from edgeguard.policy import admission_terms, model_refs, parse
from edgeguard.policy.looks import REDUNDANT

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "models" / "signs" / "primary"
DEMO = ROOT / "keys" / "demo.pub"
SHA256 = load_public_keys([DEMO])[0].hint


def admitted(admission: str, pin: str = "") -> str:
    """The signer of the demo's primary, admitted as the policy says."""
    pinned = f', pin: "{pin}"' if pin else ""
    text = f"""edgeguard: 1
policy: {{name: p, version: 1}}
models: {{primary: {{bundle: {BUNDLE}{pinned}}}}}
{admission}
signals: {{certainty: {{of: primary, range: [0, 1], max_age: 300ms}}}}
envelope: {{brake: {{min: 0, max: 1, safe: 1}}}}
"""
    document = parse(text.encode(), file="p.yaml")
    terms = admission_terms(document, base=ROOT / "policies")
    return admit_models(model_refs(document, base=ROOT / "policies"), terms)["primary"].signer


def refused(admission: str, pin: str = "") -> str:
    with pytest.raises(AdmissionError) as caught:
        admitted(admission, pin)
    return caught.value.reason


def of_demo(more: str = "", *, signer: str = "") -> str:
    return f'admission: {{signers: [{{key: ../keys/demo.pub, sha256: "{SHA256}"{signer}}}]{more}}}'


def digests() -> tuple[str, str]:
    """The root digest of the demo's primary and its pin, worked out by hand."""
    names = sorted(file.name for file in BUNDLE.iterdir() if not file.name.startswith("model.sig"))
    each = [(hashlib.sha256((BUNDLE / name).read_bytes()), name) for name in names]
    root = hashlib.sha256(b"".join(found.digest() for found, _ in each)).hexdigest()
    listed = "".join(f"{found.hexdigest()}  {name}\n" for found, name in each)
    return root, hashlib.sha256(listed.encode()).hexdigest()


def test_a_signer_may_sign_what_it_signs_and_nothing_else(tmp_path: Path) -> None:
    assert admitted(of_demo()) == SHA256
    assert admitted(of_demo(signer=", signs: [primary]")) == SHA256
    other = tmp_path / "other.pub"
    new_key(tmp_path / "other.key", other)
    hint = load_public_keys([other])[0].hint
    both = of_demo(signer=", signs: [filter, calibration]").replace(
        "}]", f'}}, {{key: {other}, sha256: "{hint}"}}]'
    )
    assert refused(both) == "signer-not-allowed"
    assert refused(f'admission: {{signers: [{{key: {other}, sha256: "{hint}"}}]}}') == "unknown-signer"


def test_a_pinned_bundle_needs_no_signer_and_another_one_is_refused() -> None:
    _, pin = digests()
    assert admitted("", pin) == ""
    assert admitted(of_demo(), pin) == ""
    assert refused(of_demo(), "0" * 64) == "pin-mismatch"


def test_a_revoked_bundle_is_refused_whoever_signed_it_and_by_either_digest() -> None:
    root, pin = digests()
    for digest in (root, pin):
        assert refused(of_demo(f', revoked: [{{sha256: "{digest}"}}]')) == "revoked"
    assert refused(f'admission: {{revoked: [{{sha256: "{root}"}}]}}', pin) == "revoked"


@pytest.mark.parametrize(
    ("demand", "reason"),
    [
        ("security_version: 2", "rollback"),
        ("assessment: {robust_accuracy: 1%}", "attestation-missing"),
        ("claims: {epsilon_at_most: 8}", "attestation-missing"),
        ("calibration: attested", "attestation-missing"),
    ],
)
def test_what_is_required_and_not_stated_is_refused_also_of_a_pinned_bundle(demand: str, reason: str) -> None:
    assert refused(of_demo(f", require: {{{demand}}}")) == reason
    assert refused(f"admission: {{require: {{{demand}}}}}", digests()[1]) == reason


def test_limits_of_the_policy_hold_for_the_graph() -> None:
    assert admitted(of_demo(", limits: {nodes: 39, opset: [17, 17]}")) == SHA256
    for limits in ("nodes: 38", "opset: [18, 21]", "opset: [7, 16]", "tensors: 10"):
        with pytest.raises(AdmissionError):
            admitted(of_demo(f", limits: {{{limits}}}"))


def test_the_policy_and_admission_mean_the_same_role() -> None:
    assert [role_of(name) for name in ("primary", "primary.1", "filter", "fused")] == [
        "primary", "primary", "filter", "fused",
    ]  # fmt: skip
    assert role_of("third") == role_of(REDUNDANT) == REDUNDANT
