"""Forged and malformed signatures: each case is a `.sig` file over a good bundle, with the code of its refusal."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from edgeguard.admission import Trust, admit_bundle
from edgeguard.admission.bundle import verify_signature
from edgeguard.admission.envelope import MAX_SIGNATURE_BYTES, PAYLOAD_TYPE, pre_authentication_encoding
from tests.hostile.bundles.builders import (
    Forge,
    Json,
    compact,
    good_files,
    good_statement,
)
from tests.refusals import Refused

Case = Callable[[Forge], bytes]


def wrapped(change: Callable[[Json], object]) -> Case:
    """Change the unsigned wrapper of a good signature."""

    def build(forge: Forge) -> bytes:
        wrapper = forge.wrapper(compact(good_statement()))
        change(wrapper)
        return compact(wrapper)

    return build


def text(change: Callable[[str], str]) -> Case:
    """Change the text of a good `.sig` file."""
    return lambda forge: change(forge.sign(good_statement()).decode()).encode()


def _signed_as(message: Callable[[bytes], bytes], algorithm: hashes.HashAlgorithm | None = None) -> Case:
    """Sign another encoding of the payload, or with another hash."""

    def build(forge: Forge) -> bytes:
        body = compact(good_statement())
        wrapper = forge.wrapper(body)
        signature = forge.key.key.sign(message(body), ec.ECDSA(algorithm or hashes.SHA256()))
        wrapper["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()
        return compact(wrapper)

    return build


def _second_signature(forge: Forge) -> bytes:
    wrapper = forge.wrapper(compact(good_statement()))
    wrapper["dsseEnvelope"]["signatures"].append({"sig": "AAAA", "keyid": ""})
    return compact(wrapper)


def _loose_base64(sig: str) -> str:
    """Set the unused bits before the padding, which a loose decoder ignores."""
    wrapper = json.loads(sig)
    value = wrapper["dsseEnvelope"]["payload"]
    assert value.endswith("=")
    digits = value.rstrip("=")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    wrapper["dsseEnvelope"]["payload"] = (
        digits[:-1] + alphabet[alphabet.index(digits[-1]) + 1] + value[len(digits) :]
    )
    return compact(wrapper).decode()


def _padded(statement: Json) -> None:
    """Choose a subject name such that the payload's base64 ends with padding."""
    while len(compact(statement)) % 3 != 1:
        statement["subject"][0]["name"] += "x"


def _loose(forge: Forge) -> bytes:
    statement = good_statement()
    _padded(statement)
    return _loose_base64(forge.sign(statement).decode()).encode()


def _stranger_with_trusted_hint(forge: Forge) -> bytes:
    """An unknown key signs and claims to be the trusted one."""
    wrapper = forge.wrapper(compact(good_statement()))
    stranger = ec.generate_private_key(ec.SECP256R1())
    signature = stranger.sign(
        pre_authentication_encoding(compact(good_statement())), ec.ECDSA(hashes.SHA256())
    )
    wrapper["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    return compact(wrapper)


def _deep(forge: Forge) -> bytes:
    return b'{"mediaType":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


CASES: dict[str, tuple[str, Case]] = {
    # --- the wrapper, which nobody signed
    "empty file": ("signature-malformed", lambda _: b""),
    "not JSON": ("signature-malformed", lambda _: b"hello"),
    "binary": ("signature-malformed", lambda _: bytes(range(256))),
    "not an object": ("signature-malformed", lambda _: b"[]"),
    "half a file": ("signature-malformed", text(lambda s: s[: len(s) // 2])),
    "text after the end": ("signature-malformed", text(lambda s: s + "{}")),
    "oversized": ("too-large", lambda _: b" " * (MAX_SIGNATURE_BYTES + 1)),
    "depth 100,000": ("signature-malformed", _deep),
    "duplicate key": (
        "signature-malformed",
        text(lambda s: s.replace('"mediaType":', '"mediaType":"x","mediaType":', 1)),
    ),
    "duplicate payload": (
        "signature-malformed",
        text(lambda s: s.replace('"payload":', '"payload":"e30=","payload":', 1)),
    ),
    "byte order mark": ("signature-malformed", lambda forge: b"\xef\xbb\xbf" + forge.sign(good_statement())),
    "tab": ("signature-malformed", text(lambda s: s.replace(":", ":\t", 1))),
    "trailing space": ("signature-malformed", text(lambda s: s + " ")),
    "escaped text": ("signature-malformed", text(lambda s: s.replace("mediaType", "media\\u0054ype", 1))),
    "not a number": ("signature-malformed", text(lambda s: s.replace("[]", "[NaN]", 1))),
    "unknown key": ("signature-malformed", wrapped(lambda w: w.update(extra=1))),
    "unknown key in the envelope": (
        "signature-malformed",
        wrapped(lambda w: w["dsseEnvelope"].update(extra=1)),
    ),
    "unknown key beside the signature": (
        "signature-malformed",
        wrapped(lambda w: w["dsseEnvelope"]["signatures"][0].update(extra=1)),
    ),
    "unknown verification material": (
        "signature-malformed",
        wrapped(lambda w: w["verificationMaterial"].update(timestampVerificationData={})),
    ),
    "no envelope": ("signature-malformed", wrapped(lambda w: w.pop("dsseEnvelope"))),
    "wrong media type": (
        "signature-unsupported",
        wrapped(lambda w: w.update(mediaType="application/vnd.dev.sigstore.bundle.v0.2+json")),
    ),
    "swapped payload type": (
        "signature-unsupported",
        wrapped(lambda w: w["dsseEnvelope"].update(payloadType="text/plain")),
    ),
    "no signature": ("signature-malformed", wrapped(lambda w: w["dsseEnvelope"].update(signatures=[]))),
    "good and bad second signature": ("signature-malformed", _second_signature),
    "signatures not a list": (
        "signature-malformed",
        wrapped(lambda w: w["dsseEnvelope"].update(signatures={})),
    ),
    "key id of another key": (
        "signature-malformed",
        wrapped(lambda w: w["dsseEnvelope"]["signatures"][0].update(keyid="abc")),
    ),
    "missing hint": (
        "signature-malformed",
        wrapped(lambda w: w["verificationMaterial"]["publicKey"].clear()),
    ),
    "empty hint": (
        "signature-malformed",
        wrapped(lambda w: w["verificationMaterial"]["publicKey"].update(hint="")),
    ),
    "upper-case hint": (
        "signature-malformed",
        wrapped(lambda w: w["verificationMaterial"]["publicKey"].update(hint="A" * 64)),
    ),
    "hint of an unknown key": (
        "unknown-signer",
        wrapped(lambda w: w["verificationMaterial"]["publicKey"].update(hint="0" * 64)),
    ),
    "raw key beside the hint": (
        "signature-malformed",
        wrapped(lambda w: w["verificationMaterial"]["publicKey"].update(rawBytes="AAAA")),
    ),
    "certificate chain": (
        "certificate-untrusted",
        wrapped(lambda w: w.update(verificationMaterial={"x509CertificateChain": {"certificates": []}})),
    ),
    "certificate beside the key": (
        "signature-malformed",
        wrapped(lambda w: w["verificationMaterial"].update(certificate={"rawBytes": "AAAA"})),
    ),
    "log entry": (
        "signature-unsupported",
        wrapped(lambda w: w["verificationMaterial"].update(tlogEntries=[{}])),
    ),
    "payload not base64": (
        "signature-malformed",
        wrapped(lambda w: w["dsseEnvelope"].update(payload="***=")),
    ),
    "payload not ASCII": (
        "signature-malformed",
        text(lambda s: re.sub('"payload":"..', '"payload":"éé', s)),
    ),
    "payload of URL-safe base64": (
        "signature-malformed",
        wrapped(lambda w: w["dsseEnvelope"].update(payload="_-8=")),
    ),
    "non-canonical base64": ("signature-malformed", _loose),
    "empty signature": (
        "signature-malformed",
        wrapped(lambda w: w["dsseEnvelope"]["signatures"][0].update(sig="")),
    ),
    "signature not DER": (
        "signature-invalid",
        wrapped(lambda w: w["dsseEnvelope"]["signatures"][0].update(sig="AAAA")),
    ),
    "changed payload": (
        "signature-invalid",
        wrapped(lambda w: w["dsseEnvelope"].update(payload=base64.b64encode(b"{}").decode())),
    ),
    "stranger with a trusted hint": ("signature-invalid", _stranger_with_trusted_hint),
    "payload signed without its type": ("signature-invalid", _signed_as(lambda body: body)),
    "legacy pre-authentication encoding": (
        "signature-invalid",
        _signed_as(lambda b: f"DSSEV1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(b)} {b!r}".encode()),
    ),
    "hash of another curve": (
        "signature-invalid",
        _signed_as(pre_authentication_encoding, hashes.SHA384()),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_hostile_signature_is_refused_with_its_reason(
    case: str, folder: Path, forge: Forge, refused: Refused
) -> None:
    reason, build = CASES[case]
    (folder / "model.sig").write_bytes(build(forge))
    refused(lambda: admit_bundle(folder, forge.signers), reason, "model.sig")


def test_the_builders_themselves_make_an_acceptable_signature(folder: Path, forge: Forge) -> None:
    for build in (
        wrapped(lambda _: None),
        text(lambda s: s + "\n"),
    ):
        (folder / "model.sig").write_bytes(build(forge))
        assert admit_bundle(folder, forge.signers).model == good_files()["model.onnx"]


def test_a_space_after_separators_is_accepted_as_other_signers_write_it(folder: Path, forge: Forge) -> None:
    (folder / "model.sig").write_text(json.dumps(json.loads(forge.sign(good_statement()))))
    assert admit_bundle(folder, forge.signers).model


OTHER_SPELLINGS: dict[str, Case] = {
    "without log entries": wrapped(lambda w: w["verificationMaterial"].pop("tlogEntries")),
    "without a key id": wrapped(lambda w: w["dsseEnvelope"]["signatures"][0].pop("keyid")),
    "with the hint as key id": wrapped(
        lambda w: w["dsseEnvelope"]["signatures"][0].update(
            keyid=w["verificationMaterial"]["publicKey"]["hint"]
        )
    ),
}


@pytest.mark.parametrize("case", OTHER_SPELLINGS)
def test_what_other_signers_leave_out_may_be_left_out(case: str, folder: Path, forge: Forge) -> None:
    (folder / "model.sig").write_bytes(OTHER_SPELLINGS[case](forge))
    assert admit_bundle(folder, forge.signers).signer == forge.key.public().hint


@pytest.mark.parametrize(
    ("size", "reason"), [(1024 * 1024, "signature-malformed"), (1024 * 1024 + 1, "too-large")]
)
def test_a_signature_may_have_a_mebibyte(size: int, reason: str, forge: Forge, refused: Refused) -> None:
    data = b"[" + b" " * (size - 1)
    refused(lambda: verify_signature(data, forge.signers, "model.sig"), reason, "model.sig")


def test_no_trusted_key_admits_nothing(folder: Path, refused: Refused) -> None:
    refused(lambda: admit_bundle(folder, Trust()), "unknown-signer", "model.sig")


def test_a_signature_of_one_key_is_not_taken_for_another(
    folder: Path, tmp_path: Path, refused: Refused
) -> None:
    other = Forge.at(tmp_path, name="other")
    refused(lambda: admit_bundle(folder, other.signers), "unknown-signer", "model.sig")


@pytest.mark.parametrize("curve", ["P-384", "P-521"])
def test_a_larger_curve_with_the_hash_of_a_smaller_one_is_refused(
    curve: str, folder: Path, tmp_path: Path, refused: Refused
) -> None:
    forge = Forge.at(tmp_path, curve=curve, name="big")
    (folder / "model.sig").write_bytes(_signed_as(pre_authentication_encoding, hashes.SHA256())(forge))
    refused(lambda: admit_bundle(folder, forge.signers), "signature-invalid", "model.sig")


def test_the_hint_is_the_digest_of_the_public_key_file(forge: Forge) -> None:
    assert forge.key.public().hint == hashlib.sha256(forge.public_path.read_bytes()).hexdigest()
