"""Builders of certificates, good and bad, and of signatures that carry them. For tests only.

Everything that a case does not change is right: the signature verifies, the names fit, the time is within all limits.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edgeguard.admission.bundle import Vouched, verify_signature
from edgeguard.admission.envelope import seal
from edgeguard.admission.keys import CURVES, PrivateKey, PublicKey
from edgeguard.admission.trust import Moment, Trust, TrustedAuthority
from tests.hostile.bundles.builders import compact, good_statement

DAY = 86_400.0
NOW = Moment(1_793_491_200.0)  # 2026-11-01
WHO = "release@example.org"
HASHES: dict[str, Any] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
CA_USAGE = frozenset({"key_cert_sign", "crl_sign"})
LEAF_USAGE = frozenset({"digital_signature"})


@dataclass(frozen=True)
class Party:
    """A certificate and its key."""

    key: Any
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def signing(self) -> PrivateKey:
        return PrivateKey(self.key)


@dataclass(frozen=True)
class Plan:
    """What a certificate is to say. The defaults are those of a good signer's certificate."""

    name: str = "signer"
    curve: str = "P-256"
    days: tuple[float, float] = (-1, 365)
    """When it is valid, in days from `NOW`."""
    ca: bool | None = None
    """What its basic constraints say; None: it has none."""
    ca_critical: bool = True
    path_length: int | None = None
    usage: frozenset[str] | None = LEAF_USAGE
    purposes: Sequence[x509.ObjectIdentifier] | None = (ExtendedKeyUsageOID.CODE_SIGNING,)
    names: Sequence[x509.GeneralName] | None = (x509.RFC822Name(WHO),)
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = ()
    algorithm: Any = None
    """None: that of the issuer's curve."""
    key: Any = None
    """None: a new one."""
    says: x509.AuthorityKeyIdentifier | None = None
    """What it says of its issuer's certificate; None: the truth."""
    silent: bool = False
    """It says nothing of its own key nor of its issuer's."""
    subject: x509.Name | None = None
    issuer: x509.Name | None = None
    """None: the truth."""
    serial: int | None = None
    """None: a random one. With one the certificate is the same each time, as far as its keys are."""


def authority(name: str, **changes: Any) -> Plan:
    """The plan of a good authority's certificate."""
    usual: dict[str, Any] = {
        "ca": True,
        "usage": CA_USAGE,
        "purposes": None,
        "names": None,
        "days": (-30, 3650),
    }
    return Plan(**{"name": name, **usual, **changes})


def made(plan: Plan, issuer: Party | None = None) -> Party:
    """Make a certificate as planned; without an issuer, it signs itself."""
    key = plan.key or ec.generate_private_key(CURVES[plan.curve])
    signer = issuer.key if issuer else key
    subject = plan.subject
    if subject is None:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, plan.name)])
    start = dt.datetime.fromtimestamp(NOW.at, dt.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(plan.issuer or (issuer.certificate.subject if issuer else subject))
        .public_key(key.public_key())
        .serial_number(plan.serial or x509.random_serial_number())
        .not_valid_before(start + dt.timedelta(days=plan.days[0]))
        .not_valid_after(start + dt.timedelta(days=plan.days[1]))
    )
    for value, critical in _extensions(plan, key, signer):
        builder = builder.add_extension(value, critical=critical)
    algorithm = plan.algorithm
    if algorithm is None:
        algorithm = HASHES[signer.curve.name] if hasattr(signer, "curve") else hashes.SHA256()
    return Party(key, builder.sign(signer, algorithm, ecdsa_deterministic=True if plan.serial else None))


def _extensions(plan: Plan, key: Any, signer: Any) -> list[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = []
    if not plan.silent:
        truth = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        found.append((x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False))
        found.append((plan.says or truth, False))
    if plan.ca is not None:
        found.append((x509.BasicConstraints(plan.ca, plan.path_length), plan.ca_critical))
    if plan.usage is not None:
        found.append((key_usage(plan.usage), True))
    if plan.purposes is not None:
        found.append((x509.ExtendedKeyUsage(plan.purposes), False))
    if plan.names is not None:
        found.append((x509.SubjectAlternativeName(plan.names), False))
    return [*found, *plan.extensions]


def key_usage(names: frozenset[str]) -> x509.KeyUsage:
    """Return the extension that allows these usages and no other."""
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in names for name in every})


@dataclass(frozen=True)
class Case:
    """A signature with a certificate, and the device that meets it."""

    signature: bytes
    trust: Trust
    now: Moment | None = NOW


def good(curve: str = "P-256") -> tuple[Party, Party, Party]:
    """Return a signer, the intermediate authority that issued it, and the root that issued that."""
    root = made(authority("root", curve=curve))
    middle = made(authority("intermediate", curve=curve, path_length=0), root)
    return made(Plan(curve=curve), middle), middle, root


def case(
    *chain: Party,
    root: Party,
    sent: Sequence[bytes] | None = None,
    signer: PrivateKey | None = None,
    identity: str = WHO,
    revoked: Sequence[str] = (),
    now: Moment | None = NOW,
) -> Case:
    """Sign the good statement with the first of a chain. `sent`: what is sent as the chain instead."""
    ders = [party.der for party in chain] if sent is None else list(sent)
    signature = seal(compact(good_statement()), signer or chain[0].signing, ders)
    trust = Trust(authorities=(TrustedAuthority(root.certificate, identity),), revoked=frozenset(revoked))
    return Case(signature, trust, now)


def twin(party: Party, issuer: Party) -> bytes:
    """Return a certificate's bytes with the other form of its ECDSA signature: it verifies, its digest is another."""
    r, s = utils.decode_dss_signature(party.certificate.signature)
    old = party.certificate.signature
    new = utils.encode_dss_signature(r, issuer.key.curve.group_order - s)
    return respelled(party.der, old, new)


def respelled(der: bytes, old: bytes, new: bytes) -> bytes:
    """Exchange a certificate's signature, with all lengths made right."""
    tail = _wrapped(0x03, b"\0" + old)
    assert der.endswith(tail)
    content = der[4 : -len(tail)]
    assert der[:4] == _wrapped(0x30, der[4:])[:4]
    return _wrapped(0x30, content + _wrapped(0x03, b"\0" + new))


def _wrapped(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def rsa_key() -> Any:
    """Return a key of a kind that is not accepted."""
    return rsa.generate_private_key(65537, 2048)


@functools.cache
def usual() -> tuple[Party, Party, Party]:
    """Return the same good parties every time."""
    return good()


@functools.cache
def stranger() -> tuple[Party, Party, Party]:
    """Return good parties of the same names, whom nobody trusts."""
    return good()


def admit(made_case: Case) -> Vouched:
    """Let the device of a case verify its signature."""
    return verify_signature(made_case.signature, made_case.trust, "model.sig", now=made_case.now)


def hint(party: Party) -> str:
    """Return the hex SHA-256 of its public key."""
    return PublicKey.of(party.key.public_key()).hint


def digest(party: Party) -> str:
    """Return the hex SHA-256 of its certificate."""
    return hashlib.sha256(party.der).hexdigest()


def _tower(height: int) -> list[Party]:
    """A chain with so many intermediate authorities, the root last."""
    chain = [made(authority("root"))]
    for level in range(height):
        chain.insert(0, made(authority(f"level {level}"), chain[0]))
    return [made(Plan(), chain[0]), *chain]


def tall(height: int) -> Case:
    """Sign under so many intermediate authorities; the root is left out."""
    chain = _tower(height)
    return case(*chain[:-1], root=chain[-1])
