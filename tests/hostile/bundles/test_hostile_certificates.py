"""Certificates that may not sign: each case is signed properly and differs from a good one in what its name says."""

from __future__ import annotations

import base64
import dataclasses
import ipaddress
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edgeguard.admission.certificates import MAX_CERTIFICATES
from edgeguard.admission.envelope import pre_authentication_encoding, seal
from edgeguard.admission.keys import PrivateKey
from edgeguard.admission.trust import Moment, Trust
from edgeguard.admission.x509 import MAX_CERTIFICATE_BYTES
from tests.hostile.bundles.builders import compact, good_statement
from tests.hostile.bundles.builders_pki import (
    CA_USAGE,
    DAY,
    LEAF_USAGE,
    NOW,
    WHO,
    Case,
    Party,
    Plan,
    admit,
    authority,
    case,
    digest,
    hint,
    made,
    rsa_key,
    stranger,
    tall,
    usual,
)
from tests.refusals import Refused

Build = Callable[[], Case]


def leaf(**changes: Any) -> Build:
    """Change the signer's certificate."""

    def build() -> Case:
        _, middle, root = usual()
        return case(made(Plan(**changes), middle), middle, root=root)

    return build


def middle(**changes: Any) -> Build:
    """Change the intermediate authority's certificate."""

    def build() -> Case:
        root = usual()[2]
        between = made(authority("intermediate", **changes), root)
        return case(made(Plan(), between), between, root=root)

    return build


def root(**changes: Any) -> Build:
    """Change the root certificate."""

    def build() -> Case:
        top = made(authority("root", **changes))
        between = made(authority("intermediate"), top)
        return case(made(Plan(), between), between, root=top)

    return build


def sent(change: Callable[[list[bytes]], Sequence[bytes]]) -> Build:
    """Change what a good signature carries as its chain; the chain with the root is given."""
    return lambda: case(*usual(), root=usual()[2], sent=change([party.der for party in usual()]))


def revoked(which: int, mark: Callable[[Party], str]) -> Build:
    """Revoke one of the three: signer, intermediate, root."""
    return lambda: case(*usual()[:2], root=usual()[2], revoked=[mark(usual()[which])])


def at(seconds: float | None, *, exact: bool = True) -> Build:
    """Tell the device another time."""
    now = None if seconds is None else Moment(seconds, exact)
    return lambda: case(*usual()[:2], root=usual()[2], now=now)


def _public(party: Party) -> bytes:
    return party.key.public_key().public_bytes(  # type: ignore[no-any-return]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _long(limit: int, *, at_root: bool) -> Case:
    """Two intermediate authorities where only `limit` are allowed."""
    top = made(authority("root", path_length=limit if at_root else None))
    first = made(authority("first", path_length=None if at_root else limit), top)
    second = made(authority("second"), first)
    third = made(authority("third"), second)
    return case(made(Plan(), third), third, second, first, root=top)


def _leaf_issues() -> Case:
    """A signer's certificate that issues another one."""
    signer, between, top = usual()
    return case(made(Plan(name="mallory"), signer), signer, between, root=top)


def _signed_by_other() -> Case:
    """Of the right names, but signed by somebody else's key."""
    _, between, top = usual()
    forger = Party(stranger()[1].key, between.certificate)
    return case(made(Plan(), forger), between, root=top)


def _same_name_other_root() -> Case:
    """A root of the trusted one's name and another key."""
    return case(*stranger(), root=usual()[2])


def _key_as_certificate() -> Case:
    signer, _, top = usual()
    return case(signer, root=top, sent=[_public(signer)])


def _certificate_as_key() -> Case:
    """The hint names the certificate, of which the device knows only the authority."""
    signer, _, top = usual()
    wrapper = json.loads(seal(compact(good_statement()), signer.signing))
    wrapper["verificationMaterial"]["publicKey"]["hint"] = digest(signer)
    return dataclasses.replace(case(*usual(), root=top), signature=compact(wrapper))


def _key_bundle_of_a_certified_key() -> Case:
    signer, _, top = usual()
    signature = seal(compact(good_statement()), signer.signing)
    return dataclasses.replace(case(*usual(), root=top), signature=signature)


def _chain_of_a_trusted_key() -> Case:
    """The device trusts the signer's very key, but no authority."""
    built = case(*usual(), root=usual()[2])
    return dataclasses.replace(built, trust=Trust.of([usual()[0].signing.public()]))


def _both(kind: str) -> Case:
    built = case(*usual(), root=usual()[2])
    wrapper = json.loads(built.signature)
    wrapper["verificationMaterial"][kind] = {"hint": hint(usual()[0])}
    return dataclasses.replace(built, signature=compact(wrapper))


def _other_key_signs() -> Case:
    signer = PrivateKey(ec.generate_private_key(ec.SECP256R1()))
    return case(*usual()[:2], root=usual()[2], signer=signer)


def _other_hash() -> Case:
    """The statement signed by the certified key, with another curve's hash."""
    signer, between, top = usual()
    built = case(signer, between, root=top)
    wrapper = json.loads(built.signature)
    message = pre_authentication_encoding(compact(good_statement()))
    made_so = signer.key.sign(message, ec.ECDSA(hashes.SHA384()))
    wrapper["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(made_so).decode()
    return dataclasses.replace(built, signature=compact(wrapper))


def _mixed_curves() -> Case:
    """A P-384 authority that signs with SHA-256, as a tool's default may be."""
    top = made(authority("root", curve="P-384"))
    return case(made(Plan(algorithm=hashes.SHA256()), top), root=top)


def _rsa_authority() -> Case:
    top = made(authority("root", key=rsa_key()))
    return case(made(Plan(), top), root=top)


def _says(off: int, name: str = "root") -> Case:
    """The signer's certificate names its issuer's issuer and serial number."""
    _, between, top = usual()
    names = [x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))]
    says = x509.AuthorityKeyIdentifier(None, names, between.certificate.serial_number + off)
    return case(made(Plan(says=says), between), between, root=top)


def _self_named_root() -> Case:
    """It says that it issued itself, but another key of that name did."""
    top = made(authority("root"), usual()[2])
    return case(made(Plan(), top), root=top)


def _leaf_of_another_kind(key: Any) -> Build:
    """The envelope is signed by a key that fits: nothing but the certificate's kind can refuse it."""

    def build() -> Case:
        signer, between, top = usual()
        return case(made(Plan(key=key), between), between, root=top, signer=signer.signing)

    return build


def _empty() -> Case:
    built = case(*usual(), root=usual()[2])
    wrapper = json.loads(built.signature)
    wrapper["verificationMaterial"]["x509CertificateChain"]["certificates"] = []
    return dataclasses.replace(built, signature=compact(wrapper))


def _cross_copy_of_the_root() -> Case:
    """The root once more, with a signature made anew: it is issued by the root, and it is not the root."""
    signer, between, top = usual()
    copy = made(authority("root", key=top.key))
    return case(signer, between, copy, root=top)


def _no_key_in_sight() -> Case:
    return dataclasses.replace(case(*usual(), root=usual()[2]), trust=Trust())


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
CONSTRAINED = x509.NameConstraints([x509.DNSName("example.org")], None)
POLICIES = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("2.5.29.32.0"), None)])

CASES: dict[str, tuple[str, Build]] = {
    # --- time
    "expired leaf": ("certificate-expired", leaf(days=(-30, -1))),
    "future leaf": ("certificate-not-yet-valid", leaf(days=(1, 30))),
    "expired intermediate": ("certificate-expired", middle(days=(-30, -1))),
    "future intermediate": ("certificate-not-yet-valid", middle(days=(1, 30))),
    "expired root": ("certificate-expired", root(days=(-30, -1))),
    "future root": ("certificate-not-yet-valid", root(days=(1, 30))),
    "clock unknown": ("clock-wrong", at(None)),
    "clock at 1970": ("certificate-not-yet-valid", at(0.0)),
    "clock before 1970": ("certificate-not-yet-valid", at(-1e18)),
    "clock that is no number": ("certificate-expired", at(math.nan)),
    "clock at the end of time": ("certificate-expired", at(math.inf)),
    "no clock, and expired for certain": ("certificate-expired", at(NOW.at + 366 * DAY, exact=False)),
    # --- what a certificate may be used for
    "leaf for web servers": ("certificate-unfit", leaf(purposes=[ExtendedKeyUsageOID.SERVER_AUTH])),
    "leaf for any purpose": (
        "certificate-unfit",
        leaf(purposes=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]),
    ),
    "intermediate for web servers": (
        "certificate-unfit",
        middle(purposes=[ExtendedKeyUsageOID.SERVER_AUTH]),
    ),
    "root for mail": ("certificate-unfit", root(purposes=[ExtendedKeyUsageOID.EMAIL_PROTECTION])),
    "leaf for key agreement": ("certificate-unfit", leaf(usage=frozenset({"key_agreement"}))),
    "leaf without key usage": ("certificate-unfit", leaf(usage=None)),
    "leaf that may issue": ("certificate-unfit", leaf(usage=LEAF_USAGE | CA_USAGE)),
    "leaf that is an authority": ("certificate-unfit", leaf(ca=True)),
    "intermediate that may not issue": ("certificate-unfit", middle(usage=LEAF_USAGE)),
    "intermediate without key usage": ("certificate-unfit", middle(usage=None)),
    "root that may not issue": ("certificate-unfit", root(usage=frozenset({"crl_sign"}))),
    "non-CA intermediate": ("certificate-unfit", middle(ca=False)),
    "intermediate without constraints": ("certificate-unfit", middle(ca=None)),
    "intermediate with constraints that count for nothing": ("certificate-unfit", middle(ca_critical=False)),
    "root that is no authority": ("certificate-unfit", root(ca=False)),
    "leaf that issues": ("certificate-unfit", _leaf_issues),
    "path length of the root": ("certificate-unfit", lambda: _long(2, at_root=True)),
    "path length of an intermediate": ("certificate-unfit", lambda: _long(1, at_root=False)),
    "path length 0": ("certificate-unfit", root(path_length=0)),
    "unknown critical extension of the leaf": ("certificate-unfit", leaf(extensions=[(UNKNOWN, True)])),
    "unknown critical extension of an intermediate": (
        "certificate-unfit",
        middle(extensions=[(UNKNOWN, True)]),
    ),
    "unknown critical extension of the root": ("certificate-unfit", root(extensions=[(UNKNOWN, True)])),
    "critical policies": ("certificate-unfit", leaf(extensions=[(POLICIES, True)])),
    "name constraints": ("certificate-unfit", middle(extensions=[(CONSTRAINED, True)])),
    "name constraints that are not critical": (
        "certificate-unfit",
        middle(extensions=[(CONSTRAINED, False)]),
    ),
    # --- algorithms
    "RSA leaf": ("certificate-unfit", _leaf_of_another_kind(rsa_key())),
    "RSA root": ("certificate-unfit", _rsa_authority),
    "leaf on another curve": (
        "certificate-unfit",
        _leaf_of_another_kind(ec.generate_private_key(ec.SECP256K1())),
    ),
    "certificate signed with another curve's hash": ("certificate-unfit", leaf(algorithm=hashes.SHA384())),
    "P-384 authority with SHA-256": ("certificate-unfit", _mixed_curves),
    "signed with SHA-224": ("certificate-unfit", leaf(algorithm=hashes.SHA224())),
    "statement signed with another hash": ("signature-invalid", _other_hash),
    # --- who issued it
    "untrusted root": ("certificate-untrusted", _same_name_other_root),
    "root of another name": (
        "certificate-untrusted",
        lambda: case(*usual(), root=made(authority("another"))),
    ),
    "no authority trusted": ("certificate-untrusted", _no_key_in_sight),
    "self-signed leaf": ("certificate-untrusted", lambda: case(made(Plan()), root=usual()[2])),
    "names of the right issuer, another's signature": ("certificate-untrusted", _signed_by_other),
    "key identifier of another issuer": (
        "certificate-untrusted",
        leaf(says=x509.AuthorityKeyIdentifier(b"\1" * 20, None, None)),
    ),
    "serial number of another issuer": ("certificate-untrusted", lambda: _says(1)),
    "issuer of another issuer": ("certificate-untrusted", lambda: _says(0, "another")),
    "root that is not signed by itself": ("certificate-untrusted", _self_named_root),
    "intermediate left out": (
        "certificate-untrusted",
        lambda: case(usual()[0], root=usual()[2]),
    ),
    # --- the chain
    "empty chain": ("certificate-malformed", _empty),
    "leaf twice": ("certificate-malformed", sent(lambda c: [c[0], c[0], c[1]])),
    "intermediate twice": ("certificate-malformed", sent(lambda c: [c[0], c[1], c[1]])),
    "root twice": ("certificate-malformed", sent(lambda c: [*c, c[2]])),
    "root copied with a new signature": ("certificate-malformed", _cross_copy_of_the_root),
    "shuffled": ("certificate-malformed", sent(lambda c: [c[0], c[2], c[1]])),
    "root first": ("certificate-malformed", sent(lambda c: c[::-1])),
    "authority's in place of the signer's": ("certificate-unfit", sent(lambda c: c[1:])),
    "only the root": ("certificate-unfit", sent(lambda c: c[2:])),
    "stranger's certificate besides": (
        "certificate-malformed",
        sent(lambda c: [*c, stranger()[0].der]),
    ),
    "too many authorities": ("certificate-malformed", lambda: tall(MAX_CERTIFICATES)),
    "100 certificates": ("certificate-malformed", sent(lambda c: [c[0], *[c[1]] * 99])),
    # --- bytes
    "garbage": ("certificate-malformed", sent(lambda c: [b"\x30\x82garbage", c[1]])),
    "one byte": ("certificate-malformed", sent(lambda c: [b"\0", c[1]])),
    "PEM in place of DER": ("certificate-malformed", sent(lambda c: [usual()[0].pem, c[1]])),
    "half a certificate": ("certificate-malformed", sent(lambda c: [c[0][: len(c[0]) // 2], c[1]])),
    "byte after the end": ("certificate-malformed", sent(lambda c: [c[0] + b"\0", c[1]])),
    "huge": (
        "certificate-malformed",
        leaf(extensions=[(x509.UnrecognizedExtension(UNKNOWN.oid, b"\0" * MAX_CERTIFICATE_BYTES), False)]),
    ),
    "key offered as certificate": ("certificate-malformed", _key_as_certificate),
    "certificate offered as key": ("unknown-signer", _certificate_as_key),
    "key bundle of a certified key": ("unknown-signer", _key_bundle_of_a_certified_key),
    "chain of a trusted key": ("certificate-untrusted", _chain_of_a_trusted_key),
    "key beside the chain": ("signature-malformed", lambda: _both("publicKey")),
    "certificate beside the chain": ("signature-malformed", lambda: _both("certificate")),
    "leaf of another key than the signature's": ("signature-invalid", _other_key_signs),
    # --- for whom it is
    "wrong identity": ("identity-mismatch", leaf(names=[x509.RFC822Name("mallory@example.org")])),
    "identity in another case": ("identity-mismatch", leaf(names=[x509.RFC822Name("Release@example.org")])),
    "identity with something before it": (
        "identity-mismatch",
        leaf(names=[x509.RFC822Name("a" + WHO), x509.DNSName("example.org")]),
    ),
    "identity with a zero byte": ("identity-mismatch", leaf(name=WHO + "\0.example.net", names=None)),
    "identity only in the common name": (
        "identity-mismatch",
        leaf(name=WHO, names=[x509.DNSName("example.net")]),
    ),
    "nobody's": (
        "identity-mismatch",
        leaf(names=[x509.IPAddress(ipaddress.ip_address("::1"))]),
    ),
    "two common names": (
        "identity-mismatch",
        leaf(
            names=None,
            subject=x509.Name(
                [
                    x509.NameAttribute(NameOID.COMMON_NAME, WHO),
                    x509.NameAttribute(NameOID.COMMON_NAME, "mallory"),
                ]
            ),
        ),
    ),
    # --- what counts no more
    "revoked leaf by its key": ("revoked", revoked(0, hint)),
    "revoked leaf by its certificate": ("revoked", revoked(0, digest)),
    "revoked intermediate by its key": ("revoked", revoked(1, hint)),
    "revoked intermediate by its certificate": ("revoked", revoked(1, digest)),
    "revoked root by its key": ("revoked", revoked(2, hint)),
    "revoked root by its certificate": ("revoked", revoked(2, digest)),
}


@pytest.mark.parametrize("name", CASES)
def test_hostile_certificate_is_refused_with_its_reason(name: str, refused: Refused) -> None:
    reason, build = CASES[name]
    built = build()
    refused(lambda: admit(built), reason, "model.sig")


def test_the_builders_themselves_make_acceptable_signatures() -> None:
    for build in (
        leaf(),
        middle(),
        root(),
        lambda: _says(0),
        sent(lambda c: c),
        sent(lambda c: c[:2]),
        _dated_to_the_second,
    ):
        assert admit(build()).identity == WHO


def _dated_to_the_second() -> Case:
    return leaf(days=(0, 0))()
