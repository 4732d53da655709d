"""What is said of a second key or signature that is none: which file, which key, and what it is instead."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import mldsa

from edgeguard.admission.post_quantum import SecondKey, check_second
from edgeguard.admission.second_keys import (
    generate_second,
    load_pinned_post_quantum,
    load_post_quantum,
    load_second_key,
    second_key,
)
from edgeguard.admission.trust import Grant
from edgeguard.errors import AdmissionError, UsageError
from edgeguard.terms import Pin

SECOND = SecondKey(mldsa.MLDSA65PrivateKey.generate())


@pytest.mark.parametrize(("size", "what"), [(2420, "ML-DSA-44"), (4627, "ML-DSA-87"), (4628, "4628 bytes")])
def test_a_signature_of_another_size_is_called_what_it_is(size: int, what: str) -> None:
    grant = Grant(post_quantum=SECOND.public())
    with pytest.raises(AdmissionError, match=rf"post-quantum-invalid: it is {what}, not"):
        check_second(bytes(size), b"message", grant, "model.sig.ml-dsa-65", required=False)


def test_whether_a_signature_verifies_is_a_truth() -> None:
    assert SECOND.public().verifies(SECOND.sign(b"message"), b"message") is True
    assert SECOND.public().verifies(SECOND.sign(b"message"), b"another") is False


def test_two_keys_in_one_file_are_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "two.pub"
    path.write_bytes(generate_second()[1] * 2)
    with pytest.raises(UsageError, match=r"`[^`]*two\.pub` holds 2 PEM blocks and not one public key"):
        load_post_quantum(path)


def test_a_key_that_this_library_does_not_know_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> NoReturn:
        raise UnsupportedAlgorithm("no such kind of key")

    path = tmp_path / "new.pub"
    path.write_bytes(generate_second()[1])
    monkeypatch.setattr(serialization, "load_pem_public_key", unknown)
    with pytest.raises(UsageError, match=r"new\.pub` is not a public key"):
        load_post_quantum(path)


def test_another_key_than_the_pinned_one_is_told_from_it(tmp_path: Path) -> None:
    path = tmp_path / "other.pub"
    path.write_bytes(generate_second()[1])
    said = rf"the policy pins \(`{'0' * 16}…`\) but `{load_post_quantum(path).hint[:16]}…`"
    with pytest.raises(AdmissionError, match=rf"other\.pub: unknown-signer: .*{said}"):
        load_pinned_post_quantum(Pin(str(path), "0" * 64))


@pytest.mark.parametrize("data", [b"no key", generate_second()[1]])
def test_a_file_without_a_signing_key_is_refused_by_its_name(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "second.key"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(UsageError, match=r"`[^`]*second\.key`.*: use an ML-DSA-65 key"):
        load_second_key(path)
    with pytest.raises(UsageError, match="`the token`"):
        second_key(data, "the token")


def test_a_library_without_such_keys_makes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> NoReturn:
        raise UnsupportedAlgorithm("no such kind of key")

    without = SimpleNamespace(MLDSA65PrivateKey=SimpleNamespace(generate=unknown))
    monkeypatch.setattr("edgeguard.admission.second_keys.mldsa", without)
    with pytest.raises(UsageError, match="has no ML-DSA"):
        generate_second()
