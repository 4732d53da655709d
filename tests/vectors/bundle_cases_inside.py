"""Conformance vectors: a good signature over files that are not good, or not here. Expectations by hand."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID
from onnx import TensorProto, helper

from edgeguard.admission.envelope import pre_authentication_encoding
from tests.hostile.bundles.builders import (
    Json,
    good_files,
    good_model,
    good_statement,
    sha256,
)
from tests.hostile.bundles.builders_graphs import make, with_nodes
from tests.hostile.bundles.builders_pki import CA_USAGE, Plan, authority, digest, twin
from tests.hostile.bundles.builders_pki import hint as key_of
from tests.vectors.bundle_cases import (
    CARD,
    DATES,
    Change,
    envelopes,
    good,
    single,
    stated,
    statements,
    with_manifest,
)
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
    root_of,
    sealed_by,
    second,
    stream,
    vector,
)


def every() -> list[Vector]:
    """All vectors, in the order of the table."""
    kinds = (good, envelopes, statements, files, manifests, demands, certificates, ciphers, seconds, models)
    return [one for kind in kinds for one in kind()]


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
        there = {name: b"a: 1\n", f"{name}.sig": single("policy.yaml")}
        if case == "bundle":
            there[f"{name}.sig"] = forge().sign(good_statement())
        expect = {"renamed": "name-mismatch", "bundle": "statement-invalid"}[case]
        yield Vector(f"single-{case}", expect, there, P256, single=name)
    there = {"policy.yaml": b"a: 2\n", "policy.yaml.sig": single("policy.yaml")}
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
