"""For whom a certificate of Sigstore is: the identity and its issuer, in either spelling, and never nobody."""

from __future__ import annotations

import pytest
from cryptography import x509

from edgeguard.admission.trust import Trust, TrustedIdentity
from edgeguard.errors import AdmissionError
from tests.admission.sigstore_samples import ISSUER, ROOT, WHO, changed, signature, verify
from tests.hostile.bundles.builders_pki import Plan, made

transparency = pytest.importorskip(
    "edgeguard.admission.transparency", reason="the extra `sigstore` is not installed"
)

OLD = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
"""The issuer as plain bytes, as the oldest certificates of Sigstore have it."""
NEW = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
"""The issuer as a UTF8String."""


def _certificate(*names: str, old: str | None = None, new: str | None = None) -> x509.Certificate:
    said = []
    if old is not None:
        said.append((x509.UnrecognizedExtension(OLD, old.encode()), False))
    if new is not None:
        said.append((x509.UnrecognizedExtension(NEW, bytes([12, len(new)]) + new.encode()), False))
    return made(
        Plan(names=[x509.UniformResourceIdentifier(name) for name in names], extensions=said)
    ).certificate


@pytest.mark.parametrize("spelling", ["old", "new"])
def test_an_issuer_is_known_in_either_spelling_alone(spelling: str) -> None:
    certificate = _certificate(WHO, **{spelling: ISSUER})
    assert transparency.is_for(certificate, WHO, ISSUER) is True
    assert transparency.is_for(certificate, WHO, f"{ISSUER}/") is False
    assert transparency.is_for(certificate, "mallory@example.org", ISSUER) is False


def test_nobody_is_no_identity_even_of_a_certificate_that_says_so() -> None:
    nobody = _certificate("", WHO, old="", new="")
    assert transparency.is_for(nobody, WHO, "") is False
    assert transparency.is_for(nobody, "", "") is False
    assert transparency.is_for(_certificate("", old=ISSUER, new=ISSUER), "", ISSUER) is False


def test_a_certificate_that_names_no_issuer_is_for_nobody_whoever_it_names() -> None:
    assert transparency.is_for(_certificate(WHO), WHO, ISSUER) is False


def test_the_first_identity_says_why_when_none_fits() -> None:
    other, broken = TrustedIdentity(ROOT, "mallory@example.org", ISSUER), TrustedIdentity(b"{}", WHO, ISSUER)
    for identities, reason in (
        ((other, broken), "identity-mismatch"),
        ((broken, other), "unknown-signer"),
        ((other, broken, broken), "identity-mismatch"),
    ):
        with pytest.raises(AdmissionError) as caught:
            verify(signature(), Trust(identities=identities))
        assert caught.value.reason == reason


def test_what_else_stands_beside_the_certificate_is_refused_before_the_library_reads_it() -> None:
    data = changed(lambda d: d["verificationMaterial"]["certificate"].update(chain="AAAA"))
    with pytest.raises(AdmissionError, match=r"signature-malformed: .*certificate\.chain.* is unknown"):
        verify(data, Trust(identities=(TrustedIdentity(ROOT, WHO, ISSUER),)))
