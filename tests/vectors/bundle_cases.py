"""Conformance vectors: what may stand around a signature, in it and in what it signs. Expectations by hand."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from edgeguard.admission.envelope import PAYLOAD_TYPE, pre_authentication_encoding
from tests.hostile.bundles.builders import (
    Forge,
    Json,
    compact,
    good_files,
    good_statement,
    manifest,
    resource,
    sha256,
    statement_of,
)
from tests.vectors.bundle_makers import (
    KEYS,
    P256,
    Vector,
    forge,
    hint,
    private,
    vector,
)

Change = Callable[[Json], object]
CARD = b"# signs-primary\n\nMade for tests.\n"
DATES = {"not_before": "2026-01-01T00:00:00Z", "not_after": "2027-01-01T00:00:00Z"}


def wrapped(change: Change) -> Callable[[Forge], bytes]:
    """Change the wrapper, which nobody signed."""

    def build(key: Forge) -> bytes:
        wrapper = key.wrapper(compact(good_statement()))
        change(wrapper)
        return compact(wrapper)

    return build


def text(change: Callable[[bytes], bytes]) -> Callable[[Forge], bytes]:
    """Change the text of a good signature."""
    return lambda key: change(key.sign(good_statement()))


def payload(change: Callable[[bytes], bytes]) -> Callable[[Forge], bytes]:
    """Change the text of the statement, and sign it then."""
    return lambda key: compact(key.wrapper(change(compact(good_statement()))))


def stated(change: Change) -> Callable[[Forge], bytes]:
    """Change the statement, and sign it then."""

    def build(key: Forge) -> bytes:
        statement = copy.deepcopy(good_statement())
        change(statement)
        return key.sign(statement)

    return build


def named(*names: str) -> Callable[[Forge], bytes]:
    """Sign more files of these names."""
    listed = good_statement()["predicate"]["resources"]
    return lambda key: key.sign(statement_of([*listed, *(resource(name, b"x") for name in names)]))


def signature(wrapper: Json) -> Json:
    """The one signature of a wrapper."""
    found: Json = wrapper["dsseEnvelope"]["signatures"][0]
    return found


def resigned(make_new: Callable[[bytes], bytes], body: bytes | None = None) -> Callable[[Forge], bytes]:
    """Exchange the signature's bytes."""

    def change(wrapper: Json) -> None:
        old = base64.b64decode(signature(wrapper)["sig"])
        signature(wrapper).update(sig=base64.b64encode(make_new(old)).decode())

    return wrapped(change)


def other_half(old: bytes) -> bytes:
    """The other form of a P-256 signature."""
    r, s = utils.decode_dss_signature(old)
    order = int("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
    return utils.encode_dss_signature(r, order - s)


def _raw(old: bytes) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in utils.decode_dss_signature(old))


def _made_over(message: bytes, algorithm: Any = None, key: str = "p256") -> Callable[[Forge], bytes]:
    chosen = ec.ECDSA(algorithm or hashes.SHA256(), deterministic_signing=True)
    return resigned(lambda _: private(key).sign(message, chosen))


def with_manifest(change: Change) -> dict[str, bytes]:
    """The good files with a changed manifest."""
    return {**good_files(), "edgeguard.json": manifest(change)}


def good() -> Iterator[Vector]:
    """What must be admitted, in each form that the page allows."""
    yield vector("good-p256", "admitted")
    for curve in ("P-384", "P-521"):
        name = curve.replace("-", "").lower()
        sig = forge(name, curve).sign_files(good_files())
        yield vector(
            f"good-{name}", "admitted", sig=sig, trust={"keys": [{"key": KEYS.format(f"{name}.pub")}]}
        )
    spaced = text(lambda data: json.dumps(json.loads(data)).encode() + b"\n")
    yield vector("good-spaces-and-a-line-feed", "admitted", sig=spaced)
    yield vector(
        "good-without-log-and-key-id",
        "admitted",
        sig=wrapped(lambda w: (w["verificationMaterial"].pop("tlogEntries"), signature(w).pop("keyid"))),
    )
    yield vector("good-key-id-is-hint", "admitted", sig=wrapped(lambda w: signature(w).update(keyid=hint())))
    yield vector("good-other-half-of-the-signature", "admitted", sig=resigned(other_half))
    yield vector(
        "good-further-field-of-the-predicate",
        "admitted",
        sig=stated(lambda s: s["predicate"].update(later={"a": [1]})),
    )
    yield vector("good-folder", "admitted", {**good_files(), "docs/notes.md": b"notes\n"})
    yield vector(
        "good-depth-32",
        "admitted",
        sig=stated(lambda s: s["predicate"].update(later=_nested(30))),
    )
    yield Vector(
        "good-single-file",
        "admitted",
        {"policy.yaml": b"a: 1\n", "policy.yaml.sig": single("policy.yaml")},
        P256,
        single="policy.yaml",
        digest=sha256(b"a: 1\n"),
    )


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def single(name: str, data: bytes = b"a: 1\n") -> bytes:
    """Sign a single file."""
    return forge().sign(statement_of([resource(".", data)], name))


def envelopes() -> Iterator[Vector]:
    """What nobody signed: one spelling."""
    bad = "signature-malformed"
    yield vector("envelope-missing", "signature-missing", later={"model.sig": None})
    yield vector("envelope-cut", bad, sig=text(lambda d: d[:300]))
    yield vector("envelope-key-twice", bad, sig=text(lambda d: d.replace(b'"sig":', b'"sig":"AAAA","sig":')))
    yield vector("envelope-byte-order-mark", bad, sig=text(lambda d: b"\xef\xbb\xbf" + d))
    yield vector("envelope-escape", bad, sig=text(lambda d: d.replace(b'"mediaType"', b'"media\\u0054ype"')))
    yield vector("envelope-tab", bad, sig=text(lambda d: d.replace(b":{", b":\t{", 1)))
    yield vector("envelope-two-spaces", bad, sig=text(lambda d: d.replace(b":{", b":  {", 1)))
    yield vector("envelope-space-in-front", bad, sig=text(lambda d: b" " + d))
    yield vector("envelope-space-in-a-bracket", bad, sig=text(lambda d: d.replace(b"{", b"{ ", 1)))
    yield vector("envelope-space-behind-a-text", bad, sig=text(lambda d: d[:-1] + b" }"))
    yield vector("envelope-space-before-a-colon", bad, sig=text(lambda d: d.replace(b'":', b'" :', 1)))
    yield vector("envelope-two-line-feeds", bad, sig=text(lambda d: d + b"\n\n"))
    yield vector("envelope-unknown-key", bad, sig=wrapped(lambda w: w.update(extra=1)))
    yield vector(
        "envelope-too-deep",
        bad,
        sig=text(lambda d: d.replace(b'"tlogEntries":[]', b'"tlogEntries":' + b"[" * 31 + b"]" * 31)),
    )
    yield vector(
        "envelope-log-entry",
        "signature-unsupported",
        sig=wrapped(lambda w: w["verificationMaterial"].update(tlogEntries=[{}])),
    )
    yield vector(
        "envelope-other-payload-type",
        "signature-unsupported",
        sig=wrapped(lambda w: w["dsseEnvelope"].update(payloadType="text/plain")),
    )
    yield vector(
        "envelope-version-0.2",
        "signature-unsupported",
        sig=wrapped(lambda w: w.update(mediaType=w["mediaType"].replace("v0.3", "v0.2"))),
    )
    yield vector(
        "envelope-two-signatures",
        bad,
        sig=wrapped(lambda w: w["dsseEnvelope"]["signatures"].append({"sig": "AAAA", "keyid": ""})),
    )
    yield vector(
        "envelope-key-id-of-another", bad, sig=wrapped(lambda w: signature(w).update(keyid="0" * 64))
    )
    yield vector(
        "envelope-upper-case-hint",
        bad,
        sig=wrapped(lambda w: w["verificationMaterial"]["publicKey"].update(hint=hint().upper())),
    )
    yield vector("envelope-unused-bits", bad, sig=_loose)
    yield vector("envelope-url-safe-base64", bad, sig=wrapped(lambda w: signature(w).update(sig="_-8=")))
    yield vector("envelope-stranger", "unknown-signer", sig=forge("stranger").sign_files(good_files()))
    message = pre_authentication_encoding(compact(good_statement()))
    yield vector(
        "envelope-stranger-with-our-hint", "signature-invalid", sig=_made_over(message, key="stranger")
    )
    yield vector("envelope-hash-of-p384", "signature-invalid", sig=_made_over(message, hashes.SHA384()))
    yield vector(
        "envelope-signed-without-its-type", "signature-invalid", sig=_made_over(compact(good_statement()))
    )
    body = compact(good_statement())
    legacy = f"DSSEV1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(body)} {body!r}".encode()
    yield vector("envelope-legacy-encoding", "signature-invalid", sig=_made_over(legacy))
    yield vector("envelope-signature-not-der", "signature-invalid", sig=resigned(_raw))
    yield vector("envelope-byte-behind-the-der", "signature-invalid", sig=resigned(lambda old: old + b"\0"))


def _loose(key: Forge) -> bytes:
    """A signature whose base64 has bits set that nothing decodes."""
    wrapper = key.wrapper(compact(good_statement()))
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for place, field in ((wrapper["dsseEnvelope"], "payload"), (signature(wrapper), "sig")):
        value = place[field].rstrip("=")
        if len(value) % 4:
            last = digits[digits.index(value[-1]) + 1]
            place[field] = value[:-1] + last + place[field][len(value) :]
            return compact(wrapper)
    return compact(wrapper).replace(b'"sig":"', b'"sig":"=')


def statements() -> Iterator[Vector]:
    """What was signed, and should not have been."""
    bad = "statement-invalid"
    yield vector(
        "statement-key-twice",
        bad,
        sig=payload(lambda d: d.replace(b'"_type":', b'"_typ\\u0065":"x","_type":', 1)),
    )
    yield vector("statement-half-surrogate", bad, sig=payload(lambda d: d.replace(b"CARD", b"\\ud800", 1)))
    yield vector("statement-endless-exponent", bad, sig=payload(lambda d: d.replace(b"false", b"1e999", 1)))
    yield vector("statement-long-number", bad, sig=payload(lambda d: d.replace(b"false", b"9" * 41, 1)))
    yield vector("statement-too-deep", bad, sig=stated(lambda s: s["predicate"].update(later=_nested(31))))
    yield vector("statement-unknown-key", bad, sig=stated(lambda s: s.update(extra=1)))
    yield vector(
        "statement-unknown-key-of-a-file",
        bad,
        sig=stated(lambda s: s["predicate"]["resources"][0].update(uri="x")),
    )
    yield vector("statement-two-subjects", bad, sig=stated(lambda s: s["subject"].append(s["subject"][0])))
    yield vector(
        "statement-of-a-single-file", bad, sig=lambda key: key.sign(statement_of([resource(".", b"x")]))
    )
    yield vector(
        "statement-version-0.1",
        "signature-unsupported",
        sig=stated(lambda s: s.update(_type="https://in-toto.io/Statement/v0.1")),
    )
    yield vector(
        "statement-shards",
        "signature-unsupported",
        sig=stated(lambda s: s["predicate"]["serialization"].update(method="shards")),
    )
    yield vector(
        "statement-root",
        "root-mismatch",
        sig=stated(lambda s: s["predicate"]["resources"].reverse()),
    )
    names = {
        "parent": "../evil",
        "absolute": "/etc/passwd",
        "backslash": "..\\evil",
        "trailing-slash": "a/",
        "line-feed": "a\nb",
        "right-to-left": "a\u202eb",
        "no-break-space": "a\u00a0b",
        "signature": "model.sig",
        "second-signature": "model.sig.ml-dsa-65",
        "513-characters": "a" * 513,
    }
    for case, name in names.items():
        yield vector(f"name-{case}", "name-unsafe", sig=named(name))
    yield vector("name-case-twins", "name-duplicate", sig=named("card.MD"))
    yield vector("name-normal-form-twins", "name-duplicate", sig=named("\u00e9", "e\u0301"))
    yield vector("name-sharp-s-twins", "name-duplicate", sig=named("stra\u00dfe", "STRASSE"))
    yield vector("name-colon-is-a-name", "file-missing", sig=named("a:b.txt"))
