"""Keys, certificates and bundles of the conformance vectors in tests/vectors/bundles: the same bytes every time.

Every private key here is derived from a sentence that anybody can read. They are for tests; no device may trust them.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edgeguard.admission.envelope import seal
from edgeguard.admission.keys import CURVES, PrivateKey, PublicKey, public_pem
from tests.hostile.bundles.builders import Forge, Json, compact, good_files, resource, sha256, statement_of
from tests.hostile.bundles.builders_pki import HASHES, Party, Plan, authority, made

FOLDER = Path(__file__).resolve().parent / "bundles"
KEYS = "keys/PUBLIC-TEST-KEY-{}"
NOW = "2026-11-01T00:00:00Z"
SEGMENT = 1 << 20


def phrase(name: str) -> bytes:
    """What the private key `name` is derived from."""
    return f"edgeguard conformance vectors: test key {name}, not a secret".encode()


@functools.cache
def private(name: str, curve: str = "P-256") -> ec.EllipticCurvePrivateKey:
    """Return the test key of this name."""
    secret = int.from_bytes(hashlib.sha512(phrase(name)).digest(), "big") % 2**250 + 1
    return ec.derive_private_key(secret, CURVES[curve])


@dataclass(frozen=True, slots=True, repr=False)
class Steady(PrivateKey):
    """A key whose signatures are the same each time (RFC 6979)."""

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message, ec.ECDSA(HASHES[self.key.curve.name], deterministic_signing=True))


def forge(name: str = "p256", curve: str = "P-256") -> Forge:
    """Return a signer of anything."""
    return Forge(Path("none"), Path("none"), Steady(private(name, curve)))


def public(name: str, curve: str = "P-256") -> bytes:
    """Return the PEM text of a public test key."""
    return public_pem(private(name, curve).public_key())


def hint(name: str = "p256") -> str:
    """Return what a signature calls this key (P-256)."""
    return PublicKey.of(private(name).public_key()).hint


@functools.cache
def second() -> mldsa.MLDSA65PrivateKey:
    """Return the test key for second signatures."""
    return mldsa.MLDSA65PrivateKey.from_seed_bytes(hashlib.sha256(phrase("ml-dsa-65")).digest())


def content_key() -> bytes:
    """Return the test key of encrypted models."""
    return hashlib.sha256(phrase("content")).digest()


def party(plan: Plan, name: str, issuer: Party | None = None, curve: str = "P-256") -> Party:
    """Make a certificate that is the same each time."""
    serial = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") + 1
    values = {**plan.__dict__, "key": private(name, curve), "curve": curve, "serial": serial}
    return made(Plan(**values), issuer)


@functools.cache
def chain(curve: str = "P-256", **leaf: Any) -> tuple[Party, Party, Party]:
    """Return signer, intermediate authority and root; `leaf`: what differs in the signer's plan."""
    root = party(authority("root"), f"root {curve}", curve=curve)
    middle = party(authority("intermediate", path_length=0), f"middle {curve}", root, curve)
    return party(Plan(**leaf), f"signer {curve}", middle, curve), middle, root


def sealed_by(*sent: Party, files: Mapping[str, bytes] | None = None, signer: Party | None = None) -> bytes:
    """Return the signature over files by the first of a chain."""
    files = good_files() if files is None else files
    payload = compact(statement_of([resource(name, data) for name, data in sorted(files.items())]))
    return seal(payload, Steady((signer or sent[0]).key), [one.der for one in sent])


def stream(plain: bytes, associated: bytes = b"signs-primary@1.0.0") -> bytes:
    """Encrypt as AES256_GCM_HKDF_1MB, written from the page alone, with a salt that is no salt."""
    salt, prefix = hashlib.sha256(b"salt" + plain).digest(), b"vectors"
    cipher = AESGCM(HKDF(SHA256(), 32, salt, associated).derive(content_key()))
    cuts = [0, *range(SEGMENT - 40 - 16, len(plain), SEGMENT - 16), len(plain)]
    out = bytes([40]) + salt + prefix
    for i, (begin, end) in enumerate(itertools.pairwise(cuts)):
        nonce = prefix + i.to_bytes(4, "big") + bytes([end == len(plain)])
        out += cipher.encrypt(nonce, plain[begin:end], None)
    return out


def pin_of(files: Mapping[str, bytes]) -> str:
    """The digest by which a policy pins these files."""
    ordered = sorted(files, key=lambda name: name.split("/"))
    return sha256("".join(f"{sha256(files[name])}  {name}\n" for name in ordered).encode())


def root_of(files: Mapping[str, bytes]) -> str:
    """The digest of a bundle with these files."""
    ordered = sorted(files, key=lambda name: name.split("/"))
    return sha256(b"".join(hashlib.sha256(files[name]).digest() for name in ordered))


def key_files() -> dict[str, bytes]:
    """The files under keys/: public keys, root certificates, and the content key, which is no secret either."""
    pem = serialization.Encoding.PEM
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return {
        KEYS.format("p256.pub"): public("p256"),
        KEYS.format("p384.pub"): public("p384", "P-384"),
        KEYS.format("p521.pub"): public("p521", "P-521"),
        KEYS.format("ml-dsa-65.pub"): second().public_key().public_bytes(pem, spki),
        KEYS.format("root.pem"): chain()[2].pem,
        KEYS.format("root-p384.pem"): chain("P-384")[2].pem,
        KEYS.format("signer.pem"): chain()[0].pem,
        KEYS.format("content.bin"): content_key(),
    }


@dataclass(frozen=True)
class Vector:
    """A bundle or file on disk, what the device asks, and what must come out."""

    name: str
    expect: str
    files: Mapping[str, bytes]
    terms: Json = field(default_factory=dict)
    single: str = ""
    """The name of the file, where a single file and not the folder is meant."""
    digest: str = ""

    def row(self) -> Json:
        """This vector in the table."""
        path = f"{self.name}/{self.single}" if self.single else self.name
        return {
            "name": self.name,
            "path": path,
            "terms": self.terms,
            "expect": self.expect,
            "digest": self.digest,
        }


P256: Json = {"keys": [{"key": KEYS.format("p256.pub")}]}
AUTHORITY: Json = {
    "authorities": [{"root": KEYS.format("root.pem"), "identity": "release@example.org"}],
    "now": NOW,
}


def vector(
    name: str,
    expect: str,
    files: Mapping[str, bytes] | None = None,
    *,
    sig: bytes | Callable[[Forge], bytes] | None = None,
    later: Mapping[str, bytes | None] | None = None,
    trust: Json = P256,
    **terms: Any,
) -> Vector:
    """A bundle of good files, or these. `sig`: another signature. `later`: what changed after it was signed."""
    files = good_files() if files is None else files
    signature = forge().sign_files(files) if sig is None else sig(forge()) if callable(sig) else sig
    present: dict[str, bytes | None] = {**files, "model.sig": signature, **(later or {})}
    there = {each: data for each, data in present.items() if data is not None}
    signed = {each: data for each, data in there.items() if not each.startswith("model.sig")}
    digest = root_of(signed) if expect == "admitted" else ""
    return Vector(name, expect, there, {**trust, **terms}, digest=digest)
