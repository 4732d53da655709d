"""Key files, certificate chains and names of token keys with bytes changed, cut, doubled and moved: words, no crash.

`EDGEGUARD_FUZZ_INPUTS` sets how many inputs a kind gets; each change follows from its number.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from edgeguard.admission.keys import load_private_key, load_public_keys, private_key
from edgeguard.admission.second_keys import load_post_quantum, load_second_key, second_key
from edgeguard.admission.sign import load_chain
from edgeguard.cli.showing import look
from edgeguard.errors import EdgeguardError
from edgeguard.keystores import open_secret
from edgeguard.keystores.uri import EXAMPLE, parse_uri
from tests.hostile.bundles import builders_pki as pki

INPUTS = int(os.environ.get("EDGEGUARD_FUZZ_INPUTS", "400"))
PIECES = [
    b"-----BEGIN ",
    b"-----END ",
    b"PRIVATE KEY-----\n",
    b"\n",
    b"\0",
    b"=",
    b"A" * 64,
    b"\xff",
    b"%3b",
    b"?&;",
]


def pair(key: Any) -> tuple[bytes, bytes]:
    """PEM text of both halves."""
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return secret, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


FIRST = pair(ec.derive_private_key(2**200 + 7, ec.SECP384R1()))
SECOND = pair(mldsa.MLDSA65PrivateKey.from_seed_bytes(bytes(range(32))))
SEEDS: dict[str, tuple[bytes, list[Callable[[Path], object]]]] = {
    "private key": (FIRST[0], [load_private_key, lambda path: look(str(path))]),
    "public key": (FIRST[1], [lambda path: load_public_keys([path]), lambda path: look(str(path))]),
    "second private key": (SECOND[0], [load_second_key, lambda path: look(str(path))]),
    "second public key": (SECOND[1], [load_post_quantum, lambda path: look(str(path))]),
    "certificates": (
        b"".join(party.pem for party in pki.usual()),
        [load_chain, lambda path: look(str(path))],
    ),
    "content key": (bytes(range(32)), [lambda path: open_secret(str(path)), lambda path: look(str(path))]),
}


def mutated(seed: bytes, number: int) -> bytes:
    """One to four changes of a kind that the number chooses."""
    choose = random.Random(number)
    data = bytearray(seed)
    for _ in range(choose.randint(1, 4)):
        at, to = choose.randrange(len(data) + 1), choose.randrange(len(data) + 1)
        how = choose.randrange(6)
        if how == 0 and at < len(data):
            data[at] ^= 1 << choose.randrange(8)
        elif how == 1:
            del data[min(at, to) : max(at, to)]
        elif how == 2:
            data[at:at] = data[min(at, to) : max(at, to)]
        elif how == 3:
            data[at:at] = choose.choice(PIECES)
        elif how == 4:
            data[at:at] = choose.randbytes(choose.randint(1, 8))
        else:
            data += seed
    return bytes(data)


@pytest.mark.parametrize(("seed", "readers"), SEEDS.values(), ids=SEEDS)
def test_no_key_file_ends_in_anything_but_words(
    seed: bytes, readers: list[Callable[[Path], object]], tmp_path: Path
) -> None:
    path = tmp_path / "key"
    said: list[str] = []
    for number in range(INPUTS):
        path.write_bytes(mutated(seed, number))
        path.chmod(0o600)
        for reader in readers:
            try:
                reader(path)
            except EdgeguardError as error:
                said.append(str(error))
    assert len(said) > INPUTS // 3
    assert [text for text in said if "\n" in text or len(text) > 900] == []


def test_a_changed_private_key_is_refused_or_signs_for_the_key_it_shows() -> None:
    message = b"message"
    makers: list[tuple[bytes, Callable[[bytes, str], Any]]] = [
        (FIRST[0], private_key),
        (SECOND[0], second_key),
    ]
    for seed, make in makers:
        for number in range(INPUTS):
            try:
                key = make(mutated(seed, number), "x")
            except EdgeguardError:
                continue
            assert key.public().verifies(key.sign(message), message)


def test_no_name_of_a_token_key_ends_in_anything_but_words() -> None:
    seed, said = f"{EXAMPLE}&pin-source=file:/run/pin".encode(), list[str]()
    for number in range(INPUTS):
        text = mutated(seed, number).decode("utf-8", errors="surrogateescape")
        try:
            found = parse_uri(text)
        except EdgeguardError as error:
            said.append(str(error))
        else:
            assert found.module.startswith("/")
            assert found.label or found.identifier
    assert [text for text in said if "\n" in text or not text.isprintable()] == []
