"""The cases of the conformance vectors: what each bundle is, and what a verifier must answer, written by hand."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import ExtendedKeyUsageOID
from onnx import TensorProto, helper

from edgeguard.admission.envelope import PAYLOAD_TYPE, pre_authentication_encoding
from tests.hostile.bundles.builders import (
    Forge,
    Json,
    compact,
    good_files,
    good_model,
    good_statement,
    manifest,
    resource,
    sha256,
    statement_of,
)
from tests.hostile.bundles.builders_graphs import make, with_nodes
from tests.hostile.bundles.builders_pki import CA_USAGE, Plan, authority, digest, twin
from tests.hostile.bundles.builders_pki import hint as key_of
from tests.vectors.bundle_makers import (
    AUTHORITY,
    KEYS,
    NOW,
    P256,
    Vector,
    chain,
    content_key,
    forge,
    hint,
    party,
    pin_of,
    private,
    root_of,
    sealed_by,
    second,
    stream,
    vector,
)

Change = Callable[[Json], object]
CARD = b"# signs-primary\n\nMade for tests.\n"
DATES = {"not_before": "2026-01-01T00:00:00Z", "not_after": "2027-01-01T00:00:00Z"}


def every() -> list[Vector]:
    """All vectors, in the order of the table."""
    kinds = (good, envelopes, statements, files, manifests, demands, certificates, ciphers, seconds, models)
    return [one for kind in kinds for one in kind()]


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
        {"policy.yaml": b"a: 1\n", "policy.yaml.sig": _single("policy.yaml")},
        P256,
        single="policy.yaml",
        digest=sha256(b"a: 1\n"),
    )


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def _single(name: str, data: bytes = b"a: 1\n") -> bytes:
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


def files() -> Iterator[Vector]:
    """Files that are not the signed ones."""
    yield vector("file-changed", "digest-mismatch", later={"CARD.md": CARD + b"!"})
    swapped = {"CARD.md": good_files()["edgeguard.json"], "edgeguard.json": CARD}
    yield vector("file-names-exchanged", "digest-mismatch", later=swapped)
    yield vector("file-missing", "file-missing", later={"CARD.md": None})
    yield vector("file-extra", "file-extra", later={"docs/notes.md": b"notes\n"})
    both: dict[str, bytes | None] = {"CARD.md": None, "card.md": CARD}
    yield vector("file-missing-and-extra", "file-missing", later=both)
    ignored = stated(lambda s: s["predicate"]["serialization"].update(ignore_paths=["weights.bin"]))
    yield vector("file-ignored-by-its-signer", "file-extra", sig=ignored, later={"weights.bin": b"x"})
    yield vector("file-pickle", "pickle", {**good_files(), "weights.pkl": b"x"})
    yield vector(
        "file-machine-code", "custom-operator", {**good_files(), "extra.bin": b"\x7fELF" + b"\0" * 60}
    )
    for case, name in (("renamed", "gate.yaml"), ("bundle", "policy.yaml")):
        there = {name: b"a: 1\n", f"{name}.sig": _single("policy.yaml")}
        if case == "bundle":
            there[f"{name}.sig"] = forge().sign(good_statement())
        expect = {"renamed": "name-mismatch", "bundle": "statement-invalid"}[case]
        yield Vector(f"single-{case}", expect, there, P256, single=name)
    there = {"policy.yaml": b"a: 2\n", "policy.yaml.sig": _single("policy.yaml")}
    yield Vector("single-changed", "digest-mismatch", there, P256, single="policy.yaml")
    yield vector("revoked-key", "revoked", revoked=[hint()])
    yield vector("revoked-bundle", "revoked", revoked=[root_of(good_files())])
    yield vector("revoked-pin", "revoked", revoked=[pin_of(good_files())])
    pinned: Json = {"trust": {}, "pin": pin_of(good_files())}
    yield vector("pin-unsigned", "admitted", later={"model.sig": None}, **pinned)
    yield vector("pin-signature-is-not-read", "admitted", later={"model.sig": b"?"}, **pinned)
    yield vector("pin-is-not-the-root", "pin-mismatch", trust={}, pin=root_of(good_files()))
    yield vector("pin-names-exchanged", "pin-mismatch", later=swapped, **pinned)


MANIFESTS: dict[str, Change] = {
    "unknown-key": lambda m: m.update(extra=1),
    "null": lambda m: m.update(temperature=None),
    "version-is-no-whole-number": lambda m: m.update(security_version=3.0),
    "version-2-to-the-31": lambda m: m.update(security_version=2**31),
    "version-true": lambda m: m.update(security_version=True),
    "format-2": lambda m: m.update(edgeguard=2),
    "name": lambda m: m.update(name=".hidden"),
    "temperature": lambda m: m.update(temperature=0),
    "std": lambda m: m["input"].update(std=[1, 0, 1]),
    "batch": lambda m: (
        m["input"]["shape"].__setitem__(0, "N*2"),
        m["outputs"][0]["shape"].__setitem__(0, "N*2"),
    ),
    "one-class": lambda m: m.update(classes=["none"]),
    "date-with-fraction": lambda m: m.update(not_after="2027-01-01T00:00:00.0Z"),
    "date-that-is-none": lambda m: m.update(not_after="2027-02-29T00:00:00Z"),
    "dates-exchanged": lambda m: m.update(not_before=DATES["not_after"], not_after=DATES["not_before"]),
    "target-twice": lambda m: m.update(target=["linux-aarch64", "linux-aarch64"]),
    "target-upper-case": lambda m: m.update(target=["Linux-aarch64"]),
}


def manifests() -> Iterator[Vector]:
    """Manifests that break one rule each."""
    for case, change in MANIFESTS.items():
        yield vector(f"manifest-{case}", "manifest-invalid", with_manifest(change), now=NOW)
    twice = good_files()["edgeguard.json"].replace(b'"role"', b'"role": "filter", "role"', 1)
    yield vector("manifest-key-twice", "manifest-invalid", {**good_files(), "edgeguard.json": twice})
    without = {name: data for name, data in good_files().items() if name != "edgeguard.json"}
    yield vector("manifest-missing", "file-missing", without)
    yield vector("manifest-names-no-file", "file-missing", with_manifest(lambda m: m.update(file="x.onnx")))


def demands() -> Iterator[Vector]:
    """What the device asks, with a good bundle."""
    dated = with_manifest(lambda m: m.update(DATES))
    yield vector("floor-reached", "admitted", floor=3)
    yield vector("floor-below", "rollback", floor=4)
    yield vector("role-other", "wrong-role", role="redundant")
    only: Json = {"keys": [{"key": KEYS.format("p256.pub"), "signs": ["filter"]}]}
    yield vector("role-not-the-signers", "signer-not-allowed", trust=only)
    yield vector("date-first-second", "admitted", dated, now=DATES["not_before"])
    yield vector("date-last-second", "admitted", dated, now=DATES["not_after"])
    yield vector("date-early", "not-yet-valid", dated, now="2025-12-31T23:59:59Z")
    yield vector("date-over", "expired", dated, now="2027-01-01T00:00:01Z")
    yield vector("date-without-a-clock", "clock-wrong", dated)
    yield vector("date-early-is-not-known", "admitted", dated, at_least="2020-01-01T00:00:00Z")
    yield vector("date-over-for-certain", "expired", dated, at_least="2027-01-01T00:00:01Z")
    aimed = with_manifest(lambda m: m.update(target=["linux-aarch64", "linux-x86_64"]))
    yield vector("target-this", "admitted", aimed, platform="linux-aarch64")
    yield vector("target-other", "wrong-device", aimed, platform="linux-riscv64")


def certificates() -> Iterator[Vector]:
    """Signatures with a chain; `AUTHORITY` trusts the root for one identity."""
    leaf, middle, root = chain()

    def case(name: str, expect: str, *sent: Any, trust: Json = AUTHORITY, **terms: Any) -> Vector:
        return vector(f"chain-{name}", expect, sig=sealed_by(*(sent or (leaf, middle))), trust=trust, **terms)

    def signer(name: str, expect: str, **changes: Any) -> Vector:
        return case(name, expect, party(Plan(**changes), f"signer {name}", middle), middle)

    yield case("good", "admitted")
    yield case("good-with-the-root", "admitted", leaf, middle, root)
    p384 = chain("P-384")
    trust: Json = {"authorities": [{"root": KEYS.format("root-p384.pem")}], "now": NOW}
    yield case("good-p384-for-anybody", "admitted", *p384[:2], trust=trust)
    own: Json = {"authorities": [{"root": KEYS.format("signer.pem")}], "now": NOW}
    yield case("good-own-certificate", "admitted", leaf, trust=own)
    yield case("no-authority", "certificate-untrusted", trust=P256, now=NOW)
    yield case(
        "other-root", "certificate-untrusted", *p384[:2], trust={**trust, "authorities": own["authorities"]}
    )
    stranger = party(authority("root"), "stranger's root")
    fake = party(authority("intermediate", path_length=0), "stranger's middle", stranger)
    yield case("root-of-the-same-name", "certificate-untrusted", party(Plan(), "fake signer", fake), fake)
    yield case("order", "certificate-malformed", leaf, root, middle)
    yield case("twice", "certificate-malformed", leaf, middle, root, root)
    yield case("early", "certificate-not-yet-valid", now="2026-09-01T00:00:00Z")
    yield case("over", "certificate-expired", now="2028-01-01T00:00:00Z")
    no_clock = {"authorities": AUTHORITY["authorities"]}
    yield case("without-a-clock", "clock-wrong", trust=no_clock)
    yield case("early-is-not-known", "admitted", trust=no_clock, at_least="2020-01-01T00:00:00Z")
    yield signer("other-identity", "identity-mismatch", names=[x509.RFC822Name("other@example.org")])
    yield signer("identity-in-capitals", "identity-mismatch", names=[x509.RFC822Name("Release@example.org")])
    yield signer("any-purpose", "certificate-unfit", purposes=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    yield signer("no-usage", "certificate-unfit", usage=None)
    yield signer("authority-signs", "certificate-unfit", ca=True, usage=CA_USAGE | {"digital_signature"})
    yield signer("hash-of-another-curve", "certificate-unfit", algorithm=hashes.SHA384())
    below = party(authority("below"), "below", middle)
    yield case("path-length", "certificate-unfit", party(Plan(), "too deep", below), below, middle)
    constrained = [(x509.NameConstraints([x509.DNSName("example.org")], None), False)]
    yield signer("name-constraints", "certificate-unfit", extensions=constrained)
    yield case("revoked-authority", "revoked", revoked=[digest(middle)])
    yield case("revoked-signers-key", "revoked", revoked=[key_of(leaf)])
    yield case("revoked-by-its-other-half", "revoked", revoked=[sha256(twin(leaf, middle))])
    wrong = sealed_by(leaf, middle, signer=middle)
    yield vector("chain-signed-by-another", "signature-invalid", sig=wrong, trust=AUTHORITY)


def ciphers() -> Iterator[Vector]:
    """Encrypted models of one segment."""
    claim = {
        "format": "AES256_GCM_HKDF_1MB",
        "key": sha256(content_key())[:16],
        "plaintext": sha256(good_model()),
    }
    data = stream(good_model())

    def case(name: str, expect: str, model: bytes, *, keys: bool = True, **changes: str) -> Vector:
        there = with_manifest(lambda m: m.update(encryption={**claim, **changes}))
        held: dict[str, Any] = {"content_keys": [KEYS.format("content.bin")]} if keys else {}
        return vector(f"encrypted-{name}", expect, {**there, "model.onnx": model}, **held)

    yield case("good", "admitted", data)
    yield case("without-the-key", "key-missing", data, keys=False)
    yield case("changed", "decryption-failed", data[:50] + bytes([data[50] ^ 1]) + data[51:])
    yield case("cut", "decryption-failed", data[:-1])
    yield case("header-alone", "decryption-failed", data[:40])
    yield case("byte-behind", "decryption-failed", data + b"\0")
    yield case("other-version", "decryption-failed", stream(good_model(), b"signs-primary@0.9.0"))
    yield case("other-plaintext", "decryption-failed", data, plaintext="0" * 64)
    yield case("other-format", "manifest-invalid", data, format="AES128_GCM_HKDF_1MB")


def seconds() -> Iterator[Vector]:
    """Second signatures with ML-DSA-65."""
    sig = forge().sign_files(good_files())
    statement = base64.b64decode(json.loads(sig)["dsseEnvelope"]["payload"])
    right = second().sign(pre_authentication_encoding(statement))
    trust: Json = {"keys": [{"key": KEYS.format("p256.pub"), "second": KEYS.format("ml-dsa-65.pub")}]}
    name = "model.sig.ml-dsa-65"
    yield vector("second-good", "admitted", later={name: right}, trust=trust)
    yield vector("second-missing", "post-quantum-missing", trust=trust)
    yield vector("second-cut", "post-quantum-invalid", later={name: right[:-1]}, trust=trust)
    other = second().sign(statement)
    yield vector("second-of-something-else", "post-quantum-invalid", later={name: other}, trust=trust)
    yield vector("second-required-of-everybody", "post-quantum-missing", post_quantum=True)
    yield vector("second-not-asked-for", "admitted", later={name: b"?"})


def models() -> Iterator[Vector]:
    """Models that no engine may see."""

    def case(name: str, expect: str, model: bytes) -> Vector:
        return vector(f"model-{name}", expect, {**good_files(), "model.onnx": model})

    def outside(model: Any) -> None:
        tensor = TensorProto(
            name="t", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL
        )
        tensor.external_data.add(key="location", value="../weights.bin")
        model.graph.initializer.append(tensor)

    yield case("text", "model-invalid", b"this is no model")
    yield case("unknown-field", "model-invalid", good_model() + b"\xf8\x01\x01")
    yield case("second-graph", "model-invalid", good_model() + b"\x3a\x00")
    yield case("outside-data", "external-data", with_nodes(change=outside))
    engine = helper.make_node("EPContext", ["image"], ["c"], domain="com.microsoft")
    yield case("engine", "engine-context", with_nodes(engine, domains=["com.microsoft"]))
    foreign = helper.make_node("Thing", ["image"], ["c"], domain="example")
    yield case("operator-of-another-domain", "custom-operator", with_nodes(foreign, domains=["example"]))
    yield case("domain-not-imported", "opset-unsupported", with_nodes(foreign))
    yield case("unknown-operator", "operator-unknown", with_nodes(make("NonZero", ["image"], ["c"])))
