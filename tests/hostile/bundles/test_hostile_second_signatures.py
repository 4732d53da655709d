"""Second signatures that a device must refuse: missing, of another key, of another bundle, wrapped, cut, changed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa

from edgeguard.admission import Trust, admit_bundle, admit_file
from edgeguard.admission.envelope import pre_authentication_encoding
from edgeguard.admission.post_quantum import SecondKey
from edgeguard.admission.sign import Pen, sign_bundle, sign_file
from edgeguard.admission.trust import Grant, TrustedKey
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import Forge, good_files, write_files
from tests.refusals import Refused

SECOND = "model.sig.ml-dsa-65"


@pytest.fixture(scope="session")
def second() -> SecondKey:
    return SecondKey(mldsa.MLDSA65PrivateKey.generate())


@pytest.fixture
def twice(tmp_path: Path, forge: Forge, second: SecondKey) -> Path:
    """A bundle that is signed with both keys."""
    bundle = write_files(tmp_path / "bundle", good_files())
    sign_bundle(bundle, forge.key, Pen(second=second))
    return bundle


@pytest.fixture
def trust(forge: Forge, second: SecondKey) -> Trust:
    return Trust(keys=(TrustedKey(forge.key.public(), Grant(post_quantum=second.public())),))


def _payload(bundle: Path) -> bytes:
    return base64.b64decode(json.loads((bundle / "model.sig").read_bytes())["dsseEnvelope"]["payload"])


def _message(bundle: Path) -> bytes:
    return pre_authentication_encoding(_payload(bundle))


@dataclass(frozen=True)
class Twice:
    """What a forger of second signatures has, and the key besides."""

    bundle: Path
    key: SecondKey


def _wrapped(m: Twice) -> bytes:
    sig = base64.b64encode((m.bundle / SECOND).read_bytes()).decode()
    return json.dumps({"algorithm": "ml-dsa-65", "hint": m.key.public().hint, "sig": sig}).encode()


def _flipped(bundle: Path, at: int) -> bytes:
    data = bytearray((bundle / SECOND).read_bytes())
    data[at] ^= 1
    return bytes(data)


FORGED: dict[str, Callable[[Twice], bytes]] = {
    "empty": lambda _: b"",
    "one byte short": lambda m: (m.bundle / SECOND).read_bytes()[:-1],
    "one byte more": lambda m: (m.bundle / SECOND).read_bytes() + b"\n",
    "all zeroes": lambda _: bytes(3309),
    "of another key": lambda m: mldsa.MLDSA65PrivateKey.generate().sign(_message(m.bundle)),
    "over the payload alone": lambda m: m.key.sign(_payload(m.bundle)),
    "over another bundle": lambda m: m.key.sign(pre_authentication_encoding(_payload(m.bundle) + b" ")),
    "with a context": lambda m: m.key.key.sign(_message(m.bundle), b"edgeguard"),
    "ML-DSA-44": lambda m: mldsa.MLDSA44PrivateKey.generate().sign(_message(m.bundle)),
    "ML-DSA-87": lambda m: mldsa.MLDSA87PrivateKey.generate().sign(_message(m.bundle)),
    "the first signature": lambda m: (m.bundle / "model.sig").read_bytes(),
    "as base64": lambda m: base64.b64encode((m.bundle / SECOND).read_bytes()),
    "as JSON": _wrapped,
    "first byte flipped": lambda m: _flipped(m.bundle, 0),
    "middle byte flipped": lambda m: _flipped(m.bundle, 1600),
    "hint byte flipped": lambda m: _flipped(m.bundle, -30),
    "last byte flipped": lambda m: _flipped(m.bundle, -1),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_forged_second_signature_is_refused(
    forged: Callable[[Twice], bytes], twice: Path, trust: Trust, second: SecondKey, refused: Refused
) -> None:
    (twice / SECOND).write_bytes(forged(Twice(twice, second)))
    refused(lambda: admit_bundle(twice, trust), "post-quantum-invalid", SECOND)


@pytest.mark.parametrize(
    ("forged", "said"),
    [("ML-DSA-44", "it is ML-DSA-44, not"), ("as JSON", "bytes, not an ML-DSA-65 signature")],
)
def test_what_it_is_instead_is_told(
    forged: str, said: str, twice: Path, trust: Trust, second: SecondKey
) -> None:
    (twice / SECOND).write_bytes(FORGED[forged](Twice(twice, second)))
    with pytest.raises(AdmissionError, match=said):
        admit_bundle(twice, trust)


def test_every_byte_of_it_counts(twice: Path, second: SecondKey) -> None:
    """One file, one spelling: 200 of its bytes, spread evenly, with one bit changed each."""
    message, half = _message(twice), second.public()
    good = (twice / SECOND).read_bytes()
    assert half.verifies(good, message)
    for at in range(0, len(good), len(good) // 200):
        assert not half.verifies(_flipped(twice, at), message), at


@pytest.mark.parametrize("required", [False, True])
def test_deleting_it_is_no_way_down(required: bool, twice: Path, trust: Trust, refused: Refused) -> None:
    (twice / SECOND).unlink()
    asked = Trust(keys=trust.keys, post_quantum=required)
    refused(lambda: admit_bundle(twice, asked), "post-quantum-missing", SECOND)


def test_good_second_signature_does_not_make_up_for_a_bad_first(
    twice: Path, trust: Trust, refused: Refused
) -> None:
    wrapper: Any = json.loads((twice / "model.sig").read_bytes())
    other = Forge.at(twice.parent, name="other").wrapper(_payload(twice))
    wrapper["dsseEnvelope"]["signatures"] = other["dsseEnvelope"]["signatures"]
    (twice / "model.sig").write_bytes(json.dumps(wrapper, separators=(",", ":")).encode())
    refused(lambda: admit_bundle(twice, trust), "signature-invalid", "model.sig")


def test_second_signature_of_another_signer_is_refused(
    twice: Path, forge: Forge, second: SecondKey, refused: Refused
) -> None:
    """The first signature is by one trusted signer, the second by the key of another one."""
    other, mine = Forge.at(twice.parent, name="other"), SecondKey(mldsa.MLDSA65PrivateKey.generate())
    both = Trust(
        keys=(
            TrustedKey(forge.key.public(), Grant(post_quantum=mine.public())),
            TrustedKey(other.key.public(), Grant(post_quantum=second.public())),
        )
    )
    refused(lambda: admit_bundle(twice, both), "post-quantum-invalid", SECOND)


def test_second_signature_of_an_older_bundle_is_refused(
    twice: Path, forge: Forge, second: SecondKey, trust: Trust, refused: Refused
) -> None:
    old = (twice / SECOND).read_bytes()
    (twice / "CARD.md").write_text("changed")
    sign_bundle(twice, forge.key, Pen(second=second))
    (twice / SECOND).write_bytes(old)
    refused(lambda: admit_bundle(twice, trust), "post-quantum-invalid", SECOND)


def test_oversized_and_linked_second_signatures_are_refused(
    twice: Path, trust: Trust, tmp_path: Path, refused: Refused
) -> None:
    good = (twice / SECOND).read_bytes()
    (twice / SECOND).write_bytes(bytes(2 * 1024 * 1024))
    refused(lambda: admit_bundle(twice, trust), "too-large", SECOND)
    (twice / SECOND).unlink()
    (tmp_path / "elsewhere").write_bytes(good)
    (twice / SECOND).symlink_to(tmp_path / "elsewhere")
    refused(lambda: admit_bundle(twice, trust), "link", SECOND)


def test_second_signature_of_a_file_is_not_that_of_another_file(
    tmp_path: Path, forge: Forge, second: SecondKey, trust: Trust, refused: Refused
) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("edgeguard: 1\n")
        sign_file(tmp_path / name, forge.key, Pen(second=second))
    (tmp_path / "b.yaml.sig.ml-dsa-65").write_bytes((tmp_path / "a.yaml.sig.ml-dsa-65").read_bytes())
    refused(lambda: admit_file(tmp_path / "b.yaml", trust), "post-quantum-invalid", "b.yaml.sig.ml-dsa-65")
    (tmp_path / "b.yaml.sig.ml-dsa-65").unlink()
    refused(lambda: admit_file(tmp_path / "b.yaml", trust), "post-quantum-missing", "b.yaml.sig.ml-dsa-65")
