"""Bundles changed at random by a seed, signed again where a signer could have done it: for comparing verifiers."""

from __future__ import annotations

import copy
import json
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.hostile.bundles.builders import (
    Json,
    compact,
    good_files,
    good_statement,
    manifest,
    resource,
    statement_of,
)
from tests.hostile.bundles.builders_pki import WHO, Plan, authority
from tests.vectors.bundle_makers import NOW, P256, forge, party, sealed_by

Files = dict[str, bytes]
MADE: Json = {
    "not_before": "2026-01-01T00:00:00Z",
    "target": ["linux-aarch64"],
    "assessment": {"report": "CARD.md", "samples": 5, "clean_accuracy": 0.9, "risk": 0},
    "calibration": {"report": "CARD.md", "frames": 9},
    "training": {"adversarial": True, "differential_privacy": {"epsilon": 8, "delta": 1e-5}},
    "watermark": {"triggers": "a" * 64, "count": 3},
    "parent": {"digest": "b" * 64, "how": "int8", "samples": 4, "agreement": 1, "deviation": 0.1},
}
PIECES = (
    *'{}[]",:\\ \n\t019aeEuftn+-./_=\0\x7f',
    *("\u00e9", "\u0130", "\u1e9e", "\u00a0", "\u2028", "null", "true", "1.0", "1e9", "1e999"),
    *('"a":1,', "\\u0041", "\\ud800", "  ", "//"),
)
VALUES: tuple[Any, ...] = (
    *(0, -1, 1, 2, 1.0, -0.0, 1e300, True, False, None, "", "x", "N", "N*", "a b", "\u0301", "\u200b"),
    *([], {}, [1], {"a": 1}, 2**31, 2**31 - 1, 2**53 + 1, 10**39, 10**40, 65536, 65537),
    *("2026-11-01T00:00:00Z", "2026-11-01T00:00:60Z", "2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z"),
    *("float32", "NCHW", "filter", "fused", "logits", "linux-aarch64", "1-2", "a" * 64, "A" * 64),
)
LETTERS = (
    *(
        "a",
        "A",
        "\u00e9",
        "\u00c9",
        "e\u0301",
        "\u00df",
        "ss",
        "\u1e9e",
        "\u017f",
        "\ufb01",
        "fi",
        "\u0130",
        "I",
        "\u0131",
    ),
    *(
        "i\u0307",
        "\u212a",
        "k",
        "\u03a3",
        "\u03c2",
        "\u0149",
        "\u0390",
        "\u0345",
        "\u13a0",
        "\uab70",
        "\u24b6",
    ),
    *("/", ".", "\\", " ", "\u00a0", "\u200b", "\u00ad", "\ue000", "\x7f", "\u2028"),
)


@dataclass(frozen=True)
class Mutant:
    """A bundle, and what the device asks; `root` is the certificate that the terms name as `NAME.pem`."""

    name: str
    files: Files
    terms: Json
    root: bytes = b""


def mutants(seed: int, count: int) -> Iterator[Mutant]:
    """Yield so many bundles, named after the kind of change."""
    random = Random(seed)
    kinds = tuple(KINDS)
    for i in range(count):
        kind = random.choice(kinds)
        files = KINDS[kind](random)
        files.setdefault("model.sig", forge().sign_files(files))
        time = random.choice(({}, {"now": NOW}, {"at_least": "2029-01-01T00:00:00Z"}))
        yield Mutant(f"{i}-{kind}", files, {**P256, **time})


def chains(seed: int, count: int) -> Iterator[Mutant]:
    """Yield so many bundles that are signed with a chain of certificates, each of which may be wrong in some ways."""
    random = Random(seed)
    for i in range(count):
        made = [party(_plan(random, authority("root")), f"root {i}", curve=_curve(random))]
        for level in range(random.randrange(3)):
            plan = _plan(random, authority(f"level {level}"))
            made.insert(0, party(plan, f"level {level} {i}", made[0], _curve(random)))
        made.insert(0, party(_plan(random, Plan()), f"signer {i}", made[0], _curve(random)))
        sent = made[:-1] if random.random() < 0.5 else made
        if random.random() < 0.1:
            sent = random.sample(sent, len(sent))
        trusted = {"root": f"{i}-chain.pem", "identity": random.choice((WHO, WHO, "", "signer"))}
        time = random.choice(({"now": NOW}, {"now": NOW}, {"at_least": NOW}, {}))
        files = {**good_files(), "model.sig": sealed_by(*sent, signer=made[0])}
        yield Mutant(f"{i}-chain", files, {"authorities": [trusted], **time}, made[-1].pem)


def _curve(random: Random) -> str:
    return random.choice(("P-256", "P-384", "P-521"))


def _plan(random: Random, plan: Plan) -> Plan:
    """Change some of what a certificate is to say; most are left as they are."""
    usages = ("digital_signature", "key_cert_sign", "crl_sign", "content_commitment")
    server = ExtendedKeyUsageOID.SERVER_AUTH
    choices: dict[str, tuple[Any, ...]] = {
        "usage": (None, frozenset(random.sample(usages, random.randrange(4)))),
        "ca": (None, True, False),
        "ca_critical": (False,),
        "path_length": (None, 0, 1),
        "days": ((-1, 0), (0, 1), (1, 2), (-2, -1)),
        "purposes": (None, [server], [server, ExtendedKeyUsageOID.CODE_SIGNING]),
        "names": (None, [x509.DNSName(WHO)], [x509.UniformResourceIdentifier(WHO)], [x509.RFC822Name("a@b")]),
        "silent": (True,),
    }
    changes = {key: random.choice(values) for key, values in choices.items() if random.random() < 0.1}
    new = replace(plan, **changes)
    return new if new.ca else replace(new, path_length=None)  # the library makes no other certificate


def _text(random: Random, data: bytes) -> bytes:
    text = data.decode()
    for _ in range(random.choice((1, 1, 2, 3))):
        i = random.randrange(len(text))
        until = i + random.choice((0, 0, 1, 1, 9))
        text = text[:i] + random.choice((*PIECES, "", "", text[i:until] * 2)) + text[until:]
    return text.encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a JSON value, with each of its keys."""
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


def _values(random: Random, value: Json) -> Json:
    value = copy.deepcopy(value)
    place, key = random.choice(list(_places(value)))
    new = copy.deepcopy(random.choice(VALUES))
    what = random.randrange(5)
    if what < 3:
        place[key] = new
    elif what == 3:
        del place[key]
    elif isinstance(place, list):
        place.insert(key, new)
    else:
        place[
            random.choice(
                ("extra", "engine", "parts", "encryption", "not_after", "meaning", "digest", "keyid")
            )
        ] = new
    return value


def _names(random: Random) -> Files:
    name = "".join(random.choice(LETTERS) for _ in range(random.randrange(1, 4)))
    forms: tuple[Callable[[str], str], ...] = (
        str.upper,
        str.lower,
        str.casefold,
        lambda text: unicodedata.normalize("NFD", text),
        lambda text: text + "x",
    )
    listed = good_statement()["predicate"]["resources"]
    more = [resource(name, b"x"), resource(random.choice(forms)(name), b"x")]
    return {**good_files(), "model.sig": forge().sign(statement_of([*listed, *more]))}


def _manifest_values(random: Random) -> Files:
    values = {**json.loads(manifest()), **random.choice(({}, MADE))}
    return {**good_files(), "edgeguard.json": json.dumps(_values(random, values)).encode()}


def _signature(change: Callable[[Random], bytes]) -> Callable[[Random], Files]:
    return lambda random: {**good_files(), "model.sig": change(random)}


KINDS: dict[str, Callable[[Random], Files]] = {
    "envelope text": _signature(lambda random: _text(random, forge().sign(good_statement()))),
    "envelope values": _signature(
        lambda random: compact(_values(random, forge().wrapper(compact(good_statement()))))
    ),
    "statement text": _signature(
        lambda random: compact(forge().wrapper(_text(random, compact(good_statement()))))
    ),
    "statement values": _signature(lambda random: forge().sign(_values(random, good_statement()))),
    "names": _names,
    "manifest text": lambda random: {**good_files(), "edgeguard.json": _text(random, manifest())},
    "manifest values": _manifest_values,
}
