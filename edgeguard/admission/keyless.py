"""Signatures without a key (Sigstore): a certificate of minutes, and a log's proof of when it was used. No network.

Sigstore's library verifies against a pinned trusted root; it must have read what stands there, and the payload and the
certificate it verified must be the ones that are admitted. The envelope's own rules hold besides.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgeguard.admission import strictjson
from edgeguard.admission.certificates import check_link, marks_of
from edgeguard.admission.reasons import refusal, shown
from edgeguard.admission.trust import Signatory
from edgeguard.admission.x509 import Certificate, check_authority, check_leaf, read_certificate
from edgeguard.errors import AdmissionError

if TYPE_CHECKING:
    from edgeguard.admission.fields import Fields
    from edgeguard.admission.trust import TrustedIdentity

_RESIGN = "have it signed again, or with a key"


def check_keyless(
    data: bytes, wrapper: Fields, identities: Sequence[TrustedIdentity], path: str
) -> Signatory:
    """Verify a keyless signature against the trusted identities; the first that fits counts.

    `data`: the signature file; `wrapper`: the same, as the envelope read it.

    Raises:
        AdmissionError: `signature-unsupported`, `unknown-signer`, `signature-malformed`, `certificate-untrusted`,
            `certificate-unfit`, `signature-invalid` or `identity-mismatch`.
    """
    material = wrapper.child("verificationMaterial")
    material.only("certificate", "tlogEntries", optional=("timestampVerificationData",))
    material.child("certificate").only("rawBytes")
    if not identities:
        raise refusal(
            "unknown-signer",
            path,
            "it was signed without a key (Sigstore), and nobody who signs so is trusted here: have it signed by "
            "somebody trusted, or trust this signer's identity",
        )
    sigstore = _library(path)
    bundle = _read(sigstore, data, path)
    refused = []
    for identity in identities:
        try:
            return _signatory(sigstore, bundle, wrapper, identity, path)
        except AdmissionError as error:
            refused.append(error)
    raise refused[0]


def _library(path: str) -> Any:  # noqa: ANN401 - a module that may not be there
    try:
        from edgeguard.admission import transparency  # noqa: PLC0415 - an extra, heavy, and seldom needed
    except ImportError:
        raise refusal(
            "signature-unsupported",
            path,
            "it was signed without a key (Sigstore), which needs more software: install `edgeguard-runtime[sigstore]`, "
            "or have it signed with a key",
        ) from None
    return transparency


def _read(sigstore: Any, data: bytes, path: str) -> Any:  # noqa: ANN401 - see `_library`
    """Read the signature with Sigstore's library. What it read must be what stands there, in the one spelling."""
    try:
        bundle, written = sigstore.read_bundle(data)
        same = strictjson.parse(written) == strictjson.parse(data)
    except Exception:  # noqa: BLE001 - the library promises no kind of error at bad input
        same, bundle = False, None
    if not same:
        raise refusal(
            "signature-malformed",
            path,
            f"it is no signature of Sigstore with exactly one log entry, in the usual spelling: {_RESIGN}",
        )
    return bundle


def _signatory(
    sigstore: Any,  # noqa: ANN401 - see `_library`
    bundle: Any,  # noqa: ANN401
    wrapper: Fields,
    identity: TrustedIdentity,
    path: str,
) -> Signatory:
    try:
        root = sigstore.read_root(identity.root)
        issuers = sigstore.issuers(root)
    except Exception:  # noqa: BLE001 - see `_read`
        raise refusal(
            "unknown-signer",
            path,
            "the trusted root (Sigstore) cannot be read: put a right one there, and pin it",
        ) from None
    payload = _verified(sigstore, bundle, root, path)
    certificate = wrapper.child("verificationMaterial").child("certificate").text("rawBytes")
    leaf = read_certificate(base64.b64decode(certificate), path)
    same = leaf.loaded == bundle.signing_certificate
    if not same or base64.b64encode(payload).decode() != wrapper.child("dsseEnvelope").text("payload"):
        raise refusal("signature-malformed", path, f"two readers do not agree on what is signed: {_RESIGN}")
    whole = _path_up(leaf, issuers, path)
    if not sigstore.is_for(leaf.loaded, identity.identity, identity.issuer):
        raise refusal(
            "identity-mismatch",
            path,
            f"its certificate is for `{shown(', '.join(leaf.identities()))}`, not for `{shown(identity.identity)}` as "
            f"`{shown(identity.issuer)}` knows it: have it signed by that signer",
        )
    marks = {*marks_of(whole), hashlib.sha256(identity.root).hexdigest()}
    return Signatory(leaf.key, identity.identity, identity.grant, frozenset(marks))


def _verified(sigstore: Any, bundle: Any, root: Any, path: str) -> bytes:  # noqa: ANN401 - see `_library`
    try:
        payload: bytes = sigstore.verified_payload(bundle, root)
    except sigstore.CertValidationError:
        raise refusal(
            "certificate-untrusted",
            path,
            "its certificate was not issued by an authority of the trusted root (Sigstore), or not at the time that "
            "the log proves: have it signed under that root, or trust another root",
        ) from None
    except sigstore.Error as error:
        said = shown(str(error).partition(": expected")[0], longest=120)
        raise refusal(
            "signature-invalid", path, f"it does not verify (Sigstore: `{said}`): {_RESIGN}"
        ) from None
    except Exception:  # noqa: BLE001 - see `_read`
        raise refusal("signature-invalid", path, f"it cannot be verified: {_RESIGN}") from None
    return payload


def _path_up(leaf: Certificate, issuers: Sequence[bytes], path: str) -> list[Certificate]:
    """The way from a signer's certificate to a root, by the same rules as of any other: each with its issuer."""
    check_leaf(leaf, path)
    known = [read_certificate(der, path) for der in issuers]
    whole = [leaf]
    while whole[-1].loaded.issuer != whole[-1].loaded.subject:
        issuer = next((c for c in known if c not in whole and _issued(whole[-1], c, path)), None)
        if issuer is None:
            raise refusal(
                "certificate-untrusted",
                path,
                f"`{whole[-1].issuer_name}` is no authority of the trusted root (Sigstore): have it signed under that "
                "root, or trust another root",
            )
        check_authority(issuer, len(whole) - 1, path)
        whole.append(issuer)
    return whole


def _issued(certificate: Certificate, issuer: Certificate, path: str) -> bool:
    try:
        check_link(certificate, issuer, path)
    except AdmissionError:
        return False
    return True
