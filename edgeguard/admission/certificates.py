"""The trust core: a chain of certificates in, the key that may sign and for whom out. No I/O, no clock.

What a single certificate may be is in `x509.py`. Nothing in a chain is searched for, skipped or left over: each
certificate was issued by the next one, the last one by a trusted root. Rules in the code's order: count, twins,
fitness of each for its place, issuer and signature of each, identity, time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from edgeguard.admission.reasons import refusal, shown
from edgeguard.admission.trust import Moment, Signatory
from edgeguard.admission.x509 import Certificate, check_authority, check_leaf, read_certificate
from edgeguard.errors import AdmissionError

if TYPE_CHECKING:
    from edgeguard.admission.trust import TrustedAuthority

MAX_CERTIFICATES = 8
"""In a chain, with the signer's own and perhaps the root."""

_AUTHORITY = "have it signed under a trusted authority, or trust this one if you know whose it is"
_CHAIN = "sign it again with the whole chain in its order, the signer's own certificate first"


def check_chain(
    chain: Sequence[bytes], authorities: Sequence[TrustedAuthority], path: str, now: Moment | None
) -> Signatory:
    """Check a chain (DER, the signer's own certificate first) up to one of the trusted authorities.

    The root may be in the chain or left out. The first authority that fits counts; none fits: its refusal is raised.

    Raises:
        AdmissionError: `certificate-malformed`, `certificate-untrusted`, `certificate-unfit`, `certificate-expired`,
            `certificate-not-yet-valid`, `clock-wrong` or `identity-mismatch`.
    """
    if not authorities:
        raise refusal("certificate-untrusted", path, f"no authority is trusted here: {_AUTHORITY}")
    if not 1 <= len(chain) <= MAX_CERTIFICATES:
        raise refusal(
            "certificate-malformed",
            path,
            f"it has {len(chain)} certificates, not 1 to {MAX_CERTIFICATES}: {_CHAIN}",
        )
    own = [read_certificate(der, path) for der in chain]
    _check_order(own, path)
    refused = []
    for authority in authorities:
        try:
            whole = _up_to(read_certificate(authority.certificate.public_bytes(Encoding.DER), path), own)
            if whole:
                return _signatory(whole, authority, path, now)
        except AdmissionError as error:
            refused.append(error)
    if refused:
        raise refused[0]
    raise refusal(
        "certificate-untrusted",
        path,
        f"`{own[-1].issuer_name}`, who issued `{own[-1].name}`, is no authority that is trusted here: "
        f"{_AUTHORITY}",
    )


def marks_of(whole: Sequence[Certificate]) -> Iterator[str]:
    """Hex SHA-256 of everything by which a path of certificates, each issued by the next, could be revoked."""
    for certificate, issuer in zip(whole, [*whole[1:], None]):
        yield certificate.key.hint
        yield certificate.digest
        if issuer is not None:
            yield certificate.twin_digest(issuer)


def check_link(certificate: Certificate, issuer: Certificate, path: str) -> None:
    """Refuse a certificate that this issuer did not sign, with the hash that belongs to the issuer's curve.

    Raises:
        AdmissionError: `certificate-untrusted` or `certificate-unfit`.
    """
    if certificate.curve_of_signature != issuer.curve:
        raise refusal(
            "certificate-unfit",
            path,
            f"`{certificate.name}` is not signed with the hash that belongs to its issuer's curve: have it issued "
            "again, with SHA-256 by P-256, SHA-384 by P-384, SHA-512 by P-521",
        )
    if not _signed_by(certificate, issuer):
        raise refusal(
            "certificate-untrusted",
            path,
            f"`{certificate.name}` names `{issuer.name}` as its issuer, whose key did not sign it: {_AUTHORITY}",
        )


def _check_order(own: Sequence[Certificate], path: str) -> None:
    for certificate, issuer in pairwise(own):
        if certificate.loaded.issuer != issuer.loaded.subject:
            raise refusal(
                "certificate-malformed",
                path,
                f"`{certificate.name}` was not issued by `{issuer.name}`, which comes next: {_CHAIN}",
            )


def _up_to(root: Certificate, own: list[Certificate]) -> list[Certificate]:
    """The path to this root; empty: the chain does not lead there."""
    if own[-1].der == root.der:
        return own
    if own[-1].loaded.issuer == root.loaded.subject:
        return [*own, root]
    return []


def _signatory(
    whole: Sequence[Certificate], authority: TrustedAuthority, path: str, now: Moment | None
) -> Signatory:
    leaf, *upper = whole
    *_, top = whole
    if len({certificate.key.hint for certificate in whole}) != len(whole):
        # also a second copy of the root, or of any other, whose signature was made anew
        raise refusal("certificate-malformed", path, f"a key occurs twice in its chain: {_CHAIN}")
    check_leaf(leaf, path)
    for below, certificate in enumerate(upper):
        check_authority(certificate, below, path)
    for certificate, issuer in zip(whole, upper):
        check_link(certificate, issuer, path)
    if upper and top.loaded.issuer == top.loaded.subject:
        check_link(top, top, path)
    identity = _identity(leaf, authority.identity, path)
    for certificate in whole:
        _check_time(certificate, path, now)
    return Signatory(leaf.key, identity, authority.grant, frozenset(marks_of(whole)))


def _signed_by(certificate: Certificate, issuer: Certificate) -> bool:
    try:
        certificate.loaded.verify_directly_issued_by(issuer.loaded)
    except Exception:  # noqa: BLE001 - wrong names, signatures, kinds of keys: a good certificate raises nothing
        return False
    return _names_issuer(certificate, issuer)


def _names_issuer(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether what the certificate says of its issuer, besides the name, is true."""
    try:
        said = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        return True
    serial = said.authority_cert_serial_number
    if serial is not None and serial != issuer.loaded.serial_number:
        return False
    names = said.authority_cert_issuer
    if names is not None and names != [x509.DirectoryName(issuer.loaded.issuer)]:
        return False
    try:
        known = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return True
    return said.key_identifier in (None, known)


def _identity(leaf: Certificate, expected: str, path: str) -> str:
    names = leaf.identities()
    if not expected:
        return shown(names[0]) if names else ""
    if expected not in names:
        raise refusal(
            "identity-mismatch",
            path,
            f"its certificate is for `{shown(', '.join(names) or 'nobody')}`, not for `{shown(expected)}`: have it "
            "signed by that signer",
        )
    return expected


def _check_time(certificate: Certificate, path: str, now: Moment | None) -> None:
    """Refuse a certificate that is not valid now. A device without a clock knows only what is over for certain."""
    if now is None:
        raise refusal(
            "clock-wrong",
            path,
            f"how late it is is not known, and certificate `{certificate.name}` is valid for a time only: put the "
            "clock right, or have it signed by a key",
        )
    if not now.at <= certificate.not_after:
        raise refusal(
            "certificate-expired",
            path,
            f"certificate `{certificate.name}` was valid until {certificate.last_day}: have it signed with a new one, "
            "or put the clock right",
        )
    if now.exact and not now.at >= certificate.not_before:
        raise refusal(
            "certificate-not-yet-valid",
            path,
            f"certificate `{certificate.name}` is valid from {certificate.first_day}: put the clock right, or have it "
            "signed with one that is valid",
        )
