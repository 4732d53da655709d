"""The trust core, outer half: the bytes of a `.sig` file in, the signed payload and its signer out.

It reads a Sigstore bundle (v0.3) that holds one DSSE envelope with one ECDSA signature by a key. No I/O, no clock.
The unsigned wrapper has one accepted spelling only, so that no changed byte goes unnoticed; rules in the code's order:

1. small enough, strict JSON, no escapes, no white space but the space; 2. exactly the known keys; 3. media type;
4. a key hint, no certificate, no log entry; 5. in-toto payload type; 6. one signature; 7. canonical base64;
8. the hint names a trusted key; 9. that key's signature over the DSSE pre-authentication encoding.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeguard.admission import strictjson
from edgeguard.admission.fields import Fields
from edgeguard.admission.reasons import refusal

if TYPE_CHECKING:
    from edgeguard.admission.keys import PrivateKey, PublicKey

MAX_SIGNATURE_BYTES = 1024 * 1024
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"

_RESIGN = "sign it again with `edgeguard sign`"
_HINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Opened:
    """A payload whose signature was verified. `signer`: hint of the key, hex."""

    payload: bytes
    signer: str


def pre_authentication_encoding(payload: bytes) -> bytes:
    """Return what is signed: DSSE v1 `PAE(type, payload)`."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def seal(payload: bytes, key: PrivateKey) -> bytes:
    """Sign `payload` and wrap it as the bytes of a `.sig` file."""
    wrapper = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": key.public().hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [
                {
                    "sig": base64.b64encode(key.sign(pre_authentication_encoding(payload))).decode(),
                    "keyid": "",
                }
            ],
        },
    }
    return json.dumps(wrapper, separators=(",", ":")).encode()


def open_envelope(data: bytes, signers: Sequence[PublicKey], path: str) -> Opened:
    """Verify the bytes of a `.sig` file. `path` is only for messages.

    Raises:
        AdmissionError: `signature-malformed`, `signature-unsupported`, `unknown-signer` or `signature-invalid`.
    """
    wrapper = Fields(_parse(data, path), "", "signature-malformed", path, _RESIGN)
    wrapper.only("mediaType", "verificationMaterial", "dsseEnvelope")
    if wrapper.text("mediaType") != MEDIA_TYPE:
        raise refusal("signature-unsupported", path, f"`mediaType` is not `{MEDIA_TYPE}`: {_RESIGN}")
    hint = _key_hint(wrapper.child("verificationMaterial"), path)
    envelope = wrapper.child("dsseEnvelope")
    envelope.only("payload", "payloadType", "signatures")
    if envelope.text("payloadType") != PAYLOAD_TYPE:
        raise refusal("signature-unsupported", path, f"`payloadType` is not `{PAYLOAD_TYPE}`: {_RESIGN}")
    payload = _decode(envelope.text("payload"), "payload", path)
    signature = _one_signature(envelope, hint, path)
    _check(signature, payload, hint, signers, path)
    return Opened(payload, hint)


def _parse(data: bytes, path: str) -> object:
    if len(data) > MAX_SIGNATURE_BYTES:
        raise refusal(
            "too-large", path, f"the signature is larger than {MAX_SIGNATURE_BYTES} bytes: {_RESIGN}"
        )
    body = data[:-1] if data.endswith(b"\n") else data
    if b"\\" in body or body.endswith(b" ") or re.search(rb"[\t\r\n]", strictjson.outside_strings(body)):
        raise refusal("signature-malformed", path, f"it has escapes or stray white space: {_RESIGN}")
    try:
        return strictjson.parse(body)
    except strictjson.NotStrictError as error:
        raise refusal("signature-malformed", path, f"{error}: {_RESIGN}") from None


def _key_hint(material: Fields, path: str) -> str:
    if "certificate" in material or "x509CertificateChain" in material:
        raise refusal(
            "signature-unsupported",
            path,
            "it was signed with a certificate, only keys are accepted: " + _RESIGN,
        )
    material.only("publicKey", optional=("tlogEntries",))
    if "tlogEntries" in material and material.items("tlogEntries"):
        raise refusal("signature-unsupported", path, f"it carries transparency log entries: {_RESIGN}")
    key = material.child("publicKey")
    key.only("hint")
    hint = key.text("hint")
    if not _HINT.fullmatch(hint):
        raise refusal("signature-malformed", path, f"`hint` is not 64 lower-case hex digits: {_RESIGN}")
    return hint


def _one_signature(envelope: Fields, hint: str, path: str) -> bytes:
    signatures = envelope.children("signatures")
    if len(signatures) != 1:
        raise refusal("signature-malformed", path, f"it has {len(signatures)} signatures, not one: {_RESIGN}")
    signatures[0].only("sig", optional=("keyid",))
    if "keyid" in signatures[0] and signatures[0].text("keyid") not in {"", hint}:
        raise refusal("signature-malformed", path, f"`keyid` names another key than `hint`: {_RESIGN}")
    return _decode(signatures[0].text("sig"), "sig", path)


def _decode(text: str, field: str, path: str) -> bytes:
    try:
        data = base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, ValueError):
        raise refusal("signature-malformed", path, f"`{field}` is not base64: {_RESIGN}") from None
    if not data or base64.b64encode(data).decode() != text:
        raise refusal("signature-malformed", path, f"`{field}` is empty or not canonical base64: {_RESIGN}")
    return data


def _check(signature: bytes, payload: bytes, hint: str, signers: Sequence[PublicKey], path: str) -> None:
    signer = next((candidate for candidate in signers if candidate.hint == hint), None)
    if signer is None:
        raise refusal(
            "unknown-signer",
            path,
            f"signed by key `{hint[:16]}`, which is none of the {len(signers)} trusted keys: "
            "have it signed by a trusted key, or trust this key if you know whose it is",
        )
    if not signer.verifies(signature, pre_authentication_encoding(payload)):
        raise refusal(
            "signature-invalid",
            path,
            f"the signature is not by key `{hint[:16]}` over this content: {_RESIGN}",
        )
