"""What a policy asks for reaches the trust core whole, term by term: see docs/explanation/mutation.md."""

from __future__ import annotations

from typing import Any

import pytest

from edgeguard.admission import bundle, loading
from edgeguard.admission.bundle import AdmittedModel, digests_of, verify_signature
from edgeguard.admission.envelope import pre_authentication_encoding
from edgeguard.admission.floor import MemoryFloor
from edgeguard.admission.store import no_secrets
from edgeguard.admission.trust import (
    Demands,
    Grant,
    Moment,
    Trust,
    TrustedAuthority,
    TrustedIdentity,
    TrustedKey,
)
from edgeguard.program import ModelRef
from edgeguard.terms import AdmissionTerms, AssessmentTerm, ClaimsTerm, Limits, Pin, SignerTerm
from tests.hostile.bundles.builders import Forge, compact, good_statement

NOW = Moment(1_790_000_000.0)
TERMS = AdmissionTerms(
    security_version=3,
    assessment=AssessmentTerm(robust_accuracy=0.5),
    claims=ClaimsTerm(ensemble=True),
    calibration_attested=True,
    revoked=frozenset({"r"}),
    limits=Limits(nodes=7),
)


class Loaders:
    """Stand in for what reads files: each returns what it was asked for."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        for name in ("authority", "root", "post_quantum"):
            patch.setattr(loading, f"load_pinned_{name}", lambda pin, name=name: (name, pin))
        patch.setattr(loading, "load_pinned_keys", lambda pins: [("key", *pin) for pin in pins])


def test_every_signer_is_trusted_as_the_policy_says(monkeypatch: pytest.MonkeyPatch) -> None:
    Loaders(monkeypatch)
    key, second, top, root = (Pin(name, name * 2) for name in ("k", "s", "a", "r"))
    terms = AdmissionTerms(
        (
            SignerTerm(key=key, signs=("primary", "policy"), post_quantum=second),
            SignerTerm(authority=top, identity="who", signs=("filter",)),
            SignerTerm(keyless=root, identity="she", issuer="there"),
            SignerTerm(key=top),
        ),
        revoked=frozenset({"x"}),
        post_quantum=True,
    )
    found: Any = loading.load_trust(terms)
    both = Grant(frozenset({"primary", "policy"}), ("post_quantum", second))  # type: ignore[arg-type]
    assert found == Trust(
        (TrustedKey(("key", "k", "kk"), both), TrustedKey(("key", "a", "aa"), Grant())),  # type: ignore[arg-type]
        (TrustedAuthority(("authority", top), "who", Grant(frozenset({"filter"}))),),  # type: ignore[arg-type]
        (TrustedIdentity(("root", root), "she", "there", Grant()),),  # type: ignore[arg-type]
        frozenset({"x"}),
        post_quantum=True,
    )
    assert hash(found)


class Asked:
    """Stands in for the admission of one bundle and of one file, and remembers what was asked."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.bundles: list[Any] = []
        self.files: list[Any] = []
        patch.setattr(loading, "load_trust", lambda terms: ("trust of", terms))
        patch.setattr(loading, "admit_bundle", self._bundle)
        patch.setattr(loading, "admit_file", self._file)

    def _bundle(self, path: str, trust: Any, demands: Demands, **more: Any) -> str:
        self.bundles.append((path, trust, demands, more))
        return f"admitted {path}"

    def _file(self, path: str, trust: Any, **more: Any) -> Any:
        self.files.append((path, trust, more))
        return bundle.AdmittedFile(b"given", "digest", "signer")


def test_every_term_is_asked_of_every_place(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch)

    def secrets(_: str) -> bytes | None:
        return None

    refs = [
        ModelRef("primary", "p"),
        ModelRef("primary.2", "q", pin="pin", manifest="m.json"),
        ModelRef("filter", "f"),
        ModelRef("third", "t"),
    ]
    floor = MemoryFloor({"primary": 4, "third": 5})
    found: Any = loading.admit_models(refs, TERMS, now=NOW, floor=floor, secrets=secrets, platform="here")
    assert found == {ref.role: f"admitted {ref.path}" for ref in refs}
    terms: dict[str, Any] = {
        "security_version": 3,
        "assessment": TERMS.assessment,
        "claims": TERMS.claims,
        "calibration_attested": True,
        "limits": TERMS.limits,
        "platform": "here",
        "revoked": TERMS.revoked,
    }
    with_manifest = Demands(role="primary", pin="pin", manifest=b"given", **terms)
    expected = [
        ("p", Demands(role="primary", floor=4, **terms)),
        ("q", with_manifest),
        ("f", Demands(role="filter", **{**terms, "assessment": None})),
        ("t", Demands(role="redundant", floor=5, **terms)),
    ]
    more = {"now": NOW, "secrets": secrets}
    assert asked.bundles == [(path, ("trust of", TERMS), demands, more) for path, demands in expected]
    assert asked.files == [("m.json", ("trust of", TERMS), {"kind": "manifest", "now": NOW})]


def test_what_is_not_given_asks_nothing_and_knows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch)
    loading.admit_models([ModelRef("primary", "p")], AdmissionTerms())
    assert [(d, m) for _, _, d, m in asked.bundles] == [
        (Demands(role="primary"), {"now": None, "secrets": no_secrets})
    ]


@pytest.mark.parametrize("required", [False, True])
def test_a_second_signature_is_held_against_the_first_one_s_content_and_signer(
    required: bool, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(bundle, "check_second", lambda *given, **named: asked.append((given, named)))
    grant = Grant(frozenset({"primary"}))
    revoked = frozenset({"x"})
    trust = Trust((TrustedKey(forge.key.public(), grant),), revoked=revoked, post_quantum=required)
    payload = compact(good_statement())
    for second in (None, b"second"):
        vouched = verify_signature(forge.sign(good_statement()), trust, "d/model.sig", second=second)
        assert (vouched.signer, vouched.grant) == (forge.key.public().hint, grant)
        given = (second, pre_authentication_encoding(payload), grant, "d/model.sig.ml-dsa-65")
        assert asked.pop() == (given, {"required": required, "revoked": revoked})


def test_digests_are_of_models_and_of_manifests_that_lie_apart() -> None:
    def model(digest: str, described: str = "") -> AdmittedModel:
        return AdmittedModel(None, b"", digest, "", described=described)  # type: ignore[arg-type]

    found = digests_of({"primary": model("a"), "third": model("b", "c")})
    assert found == {"primary": "a", "third": "b", "third.manifest": "c"}
    assert digests_of({}) == {}
