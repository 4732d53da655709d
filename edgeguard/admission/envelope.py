"""The trust core, outer half: the bytes of a `.sig` file in, the signed payload and its signer out.

It reads a Sigstore bundle (v0.3) that holds one DSSE envelope with one ECDSA signature. No I/O, no clock.
The unsigned wrapper has one accepted spelling only, so that no changed byte goes unnoticed; rules in the code's order:

1. small enough, strict JSON, no white space but the space; 2. exactly the known keys; 3. media type; no escapes, but
with Sigstore, whose log writes notes of several lines; 4. one key hint, or one chain of certificates, or (Sigstore) a
certificate with its log entry; 5. in-toto payload type; 6. one signature; 7. canonical base64; 8. the hint names a
trusted key, or the certificate leads to a trusted authority; 9. that key's signature over the DSSE pre-authentication
encoding.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeguard.admission import strictjson
from edgeguard.admission.fields import Fields
from edgeguard.admission.reasons import refusal
from edgeguard.admission.trust import Grant, Moment, Signatory, Trust

if TYPE_CHECKING:
    from edgeguard.admission.keys import SigningKey

MAX_SIGNATURE_BYTES = 1024 * 1024
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"

_RESIGN = "sign it again with `edgeguard sign`"
_HINT = re.compile(r"[0-9a-f]{64}")
_STRAY_SPACE = re.compile(rb"[\t\r\n]|(?<![,:]) ")
"""Outside of texts: any white space but one space after a comma or a colon."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A payload and who signed it; or, of `read_envelope`, a payload that nobody vouches for."""

    payload: bytes
    signer: str
    """Hex SHA-256 of the signer's public key (PEM); empty: nobody's signature was verified."""
    identity: str = ""
    """For whom the signer's certificate is; empty where there is none."""
    grant: Grant = Grant()
    marks: frozenset[str] = frozenset()
    """Hex SHA-256 of everything that this signature rests on and that could be revoked: keys and certificates."""


def pre_authentication_encoding(payload: bytes) -> bytes:
    """Return what is signed: DSSE v1 `PAE(type, payload)`."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def seal(payload: bytes, key: SigningKey, chain: Sequence[bytes] = ()) -> bytes:
    """Sign `payload` and wrap it as the bytes of a `.sig` file. `chain`: certificates (DER), the key's own first."""
    if chain:
        certificates = [{"rawBytes": base64.b64encode(der).decode()} for der in chain]
        material: dict[str, object] = {"x509CertificateChain": {"certificates": certificates}}
    else:
        material = {"publicKey": {"hint": key.public().hint}}
    signature = base64.b64encode(key.sign(pre_authentication_encoding(payload))).decode()
    wrapper = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {**material, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": signature, "keyid": ""}],
        },
    }
    return json.dumps(wrapper, separators=(",", ":")).encode()


def open_envelope(data: bytes, trust: Trust, path: str, now: Moment | None) -> Opened:
    """Verify the bytes of a `.sig` file. `path` is only for messages; `now` None: the time is not known at all.

    Raises:
        AdmissionError: for everything that is not exactly one good signature by somebody trusted.
    """
    wrapper = _wrapper(data, path)
    material = wrapper.child("verificationMaterial")
    if _is_keyless(material):
        from edgeguard.admission.keyless import check_keyless  # noqa: PLC0415 - heavy, and most sign with keys

        known = check_keyless(data, wrapper, trust.identities, path)
    else:
        known = _key(material, trust, path) or _leaf(material, trust, path, now)
    opened = _opened(wrapper, known, path)
    revoked = opened.marks & trust.revoked
    if revoked:
        raise refusal(
            "revoked",
            path,
            f"`{min(revoked)[:16]}…`, which this signature rests on, was revoked: have it signed by another key",
        )
    return opened


def read_envelope(data: bytes, path: str) -> Opened:
    """Read the payload of a `.sig` file without asking who signed it: to look at it, never to admit it.

    Raises:
        AdmissionError: `signature-malformed`, `signature-unsupported` or `too-large`.
    """
    envelope = _envelope(_wrapper(data, path), path)
    return Opened(_decode(envelope.text("payload"), "payload", path), signer="")


def _opened(wrapper: Fields, known: Signatory, path: str) -> Opened:
    envelope = _envelope(wrapper, path)
    payload = _decode(envelope.text("payload"), "payload", path)
    signature = _one_signature(envelope, known.key.hint, path)
    if not known.key.verifies(signature, pre_authentication_encoding(payload)):
        raise refusal(
            "signature-invalid",
            path,
            f"key `{known.key.hint[:16]}` did not sign this content: copy it again from its source; if that does not "
            "help, someone changed it",
        )
    return Opened(payload, known.key.hint, known.identity, known.grant, known.marks)


def _wrapper(data: bytes, path: str) -> Fields:
    wrapper = Fields(_parse(data, path), "", "signature-malformed", path, _RESIGN)
    wrapper.only("mediaType", "verificationMaterial", "dsseEnvelope")
    if wrapper.text("mediaType") != MEDIA_TYPE:
        raise refusal("signature-unsupported", path, f"`mediaType` is not `{MEDIA_TYPE}`: {_RESIGN}")
    if b"\\" in data and not _is_keyless(wrapper.child("verificationMaterial")):
        raise refusal("signature-malformed", path, f"it has escapes: {_RESIGN}")
    return wrapper


def _is_keyless(material: Fields) -> bool:
    """Whether the signature's material is a Sigstore certificate."""
    return "certificate" in material


def _envelope(wrapper: Fields, path: str) -> Fields:
    envelope = wrapper.child("dsseEnvelope")
    envelope.only("payload", "payloadType", "signatures")
    if envelope.text("payloadType") != PAYLOAD_TYPE:
        raise refusal("signature-unsupported", path, f"`payloadType` is not `{PAYLOAD_TYPE}`: {_RESIGN}")
    return envelope


def _parse(data: bytes, path: str) -> object:
    if len(data) > MAX_SIGNATURE_BYTES:
        raise refusal(
            "too-large", path, f"the signature is larger than {MAX_SIGNATURE_BYTES} bytes: {_RESIGN}"
        )
    body = data[:-1] if data.endswith(b"\n") else data
    if _STRAY_SPACE.search(strictjson.outside_strings(body)):
        raise refusal("signature-malformed", path, f"it has stray white space: {_RESIGN}")
    try:
        return strictjson.parse(body)
    except strictjson.NotStrictError as error:
        raise refusal("signature-malformed", path, f"{error}: {_RESIGN}") from None


def _key(material: Fields, trust: Trust, path: str) -> Signatory | None:
    """The trusted key that the signature names; None: it names a certificate."""
    if "x509CertificateChain" in material:
        return None
    material.only("publicKey", optional=("tlogEntries",))
    _no_log(material, path)
    key = material.child("publicKey")
    key.only("hint")
    hint = key.text("hint")
    if not _HINT.fullmatch(hint):
        raise refusal("signature-malformed", path, f"`hint` is not 64 lower-case hex digits: {_RESIGN}")
    for trusted in trust.keys:
        if trusted.key.hint == hint:
            return Signatory(trusted.key, "", trusted.grant, frozenset({hint}))
    raise refusal(
        "unknown-signer",
        path,
        f"signed by key `{hint[:16]}`, which is not trusted here: "
        "have it signed by a trusted key, or trust this key if you know whose it is",
    )


def _leaf(material: Fields, trust: Trust, path: str, now: Moment | None) -> Signatory:
    from edgeguard.admission.certificates import check_chain  # noqa: PLC0415 - as above

    material.only("x509CertificateChain", optional=("tlogEntries",))
    _no_log(material, path)
    chain = material.child("x509CertificateChain")
    chain.only("certificates")
    ders = []
    for certificate in chain.children("certificates"):
        certificate.only("rawBytes")
        ders.append(_decode(certificate.text("rawBytes"), "rawBytes", path))
    return check_chain(ders, trust.authorities, path, now)


def _no_log(material: Fields, path: str) -> None:
    if "tlogEntries" in material and material.items("tlogEntries"):
        raise refusal("signature-unsupported", path, f"it carries transparency log entries: {_RESIGN}")


def _one_signature(envelope: Fields, hint: str, path: str) -> bytes:
    signatures = envelope.children("signatures")
    if len(signatures) != 1:
        raise refusal("signature-malformed", path, f"it has {len(signatures)} signatures, not one: {_RESIGN}")
    (signature,) = signatures
    signature.only("sig", optional=("keyid",))
    if "keyid" in signature and signature.text("keyid") not in {"", hint}:
        raise refusal("signature-malformed", path, f"`keyid` names another key than `hint`: {_RESIGN}")
    return _decode(signature.text("sig"), "sig", path)


def _decode(text: str, field: str, path: str) -> bytes:
    """The bytes of canonical base64: whatever a loose reader skips, fills up or overlooks is not written so again."""
    try:
        data = base64.b64decode(text)
    except ValueError:
        data = b""
    if not data or base64.b64encode(data).decode() != text:
        raise refusal("signature-malformed", path, f"`{field}` is empty or not canonical base64: {_RESIGN}")
    return data
