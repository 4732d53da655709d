"""The slice of `make mutation` for certificates, as in `test_mutation_slice_admission`."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from edgeguard.admission.trust import Moment, TrustedAuthority
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders_pki import (
    NOW,
    WHO,
    Party,
    Plan,
    authority,
    digest,
    hint,
    made,
    stranger,
    usual,
)
from tests.house.test_mutation_slice import NOTICED, Load, loader, source_of
from tests.house.test_mutation_slice_admission import outcome

CERTIFICATES, X509 = "edgeguard.admission.certificates", "edgeguard.admission.x509"


def chains(load: Load) -> None:
    load(X509)
    core = load(CERTIFICATES)
    leaf, middle, root = usual()

    def checked(*chain: Party, top: Party = root, identity: str = WHO, now: Moment | None = NOW) -> str:
        trusted = [TrustedAuthority(top.certificate, identity)]
        return outcome(lambda: core.check_chain([party.der for party in chain], trusted, "p", now))

    def issued(by: Party = middle, **changes: Any) -> Party:
        return made(Plan(**changes), by)

    assert checked(leaf, middle) == checked(leaf, middle, root) == "admitted"
    assert checked(leaf, middle, identity="mallory@example.org") == "identity-mismatch"
    assert checked(leaf, middle, top=stranger()[2]) == checked(leaf) == "certificate-untrusted"
    assert (
        checked(*[leaf] * 9)
        == checked(middle, leaf)
        == checked(leaf, middle, root, root)
        == "certificate-malformed"
    )
    forged = Party(stranger()[1].key, middle.certificate)
    assert checked(issued(forged, silent=True), middle) == "certificate-untrusted"
    odd = issued(algorithm=hashes.SHA224())
    assert checked(odd, top=odd) == "certificate-unfit"
    assert checked(issued(leaf), leaf, middle) == "certificate-unfit"
    assert checked(issued(days=(-9, -1)), middle) == "certificate-expired"
    assert checked(issued(days=(1, 9)), middle) == "certificate-not-yet-valid"
    assert checked(issued(days=(1, 9)), middle, now=Moment(NOW.at, exact=False)) == "admitted"
    assert checked(leaf, middle, now=None) == "clock-wrong"
    assert checked(issued(usage=frozenset({"key_agreement"})), middle) == "certificate-unfit"
    assert checked(issued(purposes=[x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), middle) == "certificate-unfit"
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    assert checked(issued(extensions=[(unknown, True)]), middle) == "certificate-unfit"
    names = x509.NameConstraints([x509.DNSName("example.org")], None)
    between = [
        made(authority("i", **changes), root) for changes in ({"extensions": [(names, False)]}, {"ca": False})
    ]
    for party in between:
        assert checked(issued(party), party) == "certificate-unfit"
    low = made(authority("low"), middle)  # `middle` allows no authority below it
    assert checked(issued(low), low, middle) == "certificate-unfit"
    assert (
        checked(dataclasses.replace(leaf, certificate=issued(days=(-1, 1)).certificate), middle) == "admitted"
    )
    trusted = [TrustedAuthority(root.certificate, WHO)]
    found = core.check_chain([leaf.der, middle.der], trusted, "p", NOW)
    parties = (leaf, middle, root)
    assert found.marks >= {*map(hint, parties), *map(digest, parties)}
    assert len(found.marks) == 3 + 3 + 2  # and the other form of what was issued
    assert hashlib.sha256(leaf.der).hexdigest() in found.marks
    junk = leaf.der + b"\0"
    assert outcome(lambda: core.check_chain([junk, middle.der], trusted, "p", NOW)) == "certificate-malformed"


CHANGES: tuple[tuple[str, str, str], ...] = (
    (CERTIFICATES, "if expected not in names:", "if False:"),
    (CERTIFICATES, "    check_leaf(leaf, path)", "    leaf.key"),
    (CERTIFICATES, "        check_authority(certificate, below, path)", "        pass"),
    (CERTIFICATES, "if not now.at <= certificate.not_after:", "if False:"),
    (CERTIFICATES, "    if now is None:", "    if now is None:\n        return\n    if False:"),
    (CERTIFICATES, "certificate.loaded.verify_directly_issued_by(issuer.loaded)", "pass"),
    (CERTIFICATES, "yield certificate.twin_digest(issuer)", "yield certificate.digest"),
    (CERTIFICATES, "if len({certificate.key.hint for certificate in whole}) != len(whole):", "if False:"),
    (X509, "if not usage.digital_signature:", "if False:"),
    (X509, "and below > constraints.value.path_length", "and below > constraints.value.path_length + 1"),
    (X509, "or not constraints.value.ca:", "or False:"),
    (X509, "if isinstance(extension.value, x509.NameConstraints):", "if False:"),
    (X509, "if extension.critical and not isinstance(extension.value, _UNDERSTOOD):", "if False:"),
    (X509, "and ExtendedKeyUsageOID.CODE_SIGNING not in extension.value", "and False"),
    (X509, "    if not curve:", "    if False:"),
)  # fmt: skip


def test_the_source_of_certificates_passes_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    chains(loader(monkeypatch, "", "", ""))


@pytest.mark.parametrize(
    ("module", "old", "new"), CHANGES, ids=[f"{c[0].rpartition('.')[2]}-{i}" for i, c in enumerate(CHANGES)]
)
def test_a_changed_source_of_certificates_is_noticed(
    module: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert old in source_of(module), "the source has moved on: write another change"
    load = loader(monkeypatch, module, old, new)
    with pytest.raises((*NOTICED, AdmissionError, pytest.fail.Exception)):
        chains(load)
