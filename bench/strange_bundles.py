"""Strange signatures, statements, manifests, certificates, models and ciphertexts for the fuzzer.

Makes and judges nothing: `bench.fuzz_admission` does. The same choices give the same bytes.
"""

from __future__ import annotations

import base64
import copy
import json
import random
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

Json = Any
T = TypeVar("T")

WORDS = (
    "", ".", "..", "../x", "/etc/passwd", "a/../b", "a\\b", "a\x00b", "model.onnx", "MODEL.ONNX", "model.sig",
    "CARD.md", "cafe\u0301", "caf\u00e9", "\ud800", "\u202e", "sha256", "sha512", "SHA256", "files", "shards",
    "0" * 64, "f" * 64,
    "A" * 64, "1" * 63, "primary", "fused", "float32", "N", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
    "application/vnd.in-toto+json", "https://in-toto.io/Statement/v0.1", "x" * 70_000,
)  # fmt: skip
NUMBERS = (0, -1, 1, 2**31, 2**63, 2**64, 10**39, 10**45, 0.0, -0.0, 1e308, 1e-320, 0.5)
KEYS = (
    "", "digest", "name", "sig", "keyid", "hint", "publicKey", "certificate", "x509CertificateChain", "rawBytes",
    "tlogEntries", "payload", "payloadType", "subject", "resources", "algorithm", "predicate", "ignore_paths", "engine",
    "parent", "parts", "encryption", "assessment", "not_before", "__class__", "shape",
)  # fmt: skip
INTERESTING = (0x00, 0x01, 0x7F, 0x80, 0xFF, 0x30, 0x22, 0x5B, 0x7B)


class Choices(Protocol):
    """Where decisions come from: a seeded generator, or a fuzzer's bytes."""

    def below(self, limit: int) -> int:
        """A whole number from 0 to `limit` - 1."""

    def data(self, size: int) -> bytes:
        """At most `size` bytes."""


class Seeded:
    """Choices of a seed."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def below(self, limit: int) -> int:
        """See `Choices`."""
        return self._random.randrange(limit)

    def data(self, size: int) -> bytes:
        """See `Choices`."""
        return self._random.randbytes(self._random.randrange(size + 1))


class Guided:
    """Choices of a fuzzer's bytes; when they are used up, the first of everything."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def below(self, limit: int) -> int:
        """See `Choices`."""
        width = max(1, (limit - 1).bit_length() + 7 >> 3)
        return int.from_bytes(self._take(width), "little") % limit

    def data(self, size: int) -> bytes:
        """See `Choices`."""
        return self._take(self.below(size + 1))

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken


def pick(choices: Choices, items: Sequence[T]) -> T:
    """One of several."""
    return items[choices.below(len(items))]


def changed_bytes(choices: Choices, data: bytes) -> bytes:
    """Bytes with a few of them changed, removed, repeated or put in."""
    found = bytearray(data)
    for _ in range(1 + choices.below(4)):
        at = choices.below(len(found) + 1)
        kind = choices.below(8)
        if kind == 0 and at < len(found):
            found[at] ^= 1 << choices.below(8)
        elif kind == 1 and at < len(found):
            found[at] = pick(choices, INTERESTING)
        elif kind == 2:
            del found[at : at + 1 + choices.below(64)]
        elif kind == 3:
            found[at:at] = choices.data(32)
        elif kind == 4:
            found[at:at] = found[at : at + 1 + choices.below(64)]
        elif kind == 5:
            del found[at:]
        elif kind == 6:
            other = choices.below(len(found) + 1)
            found[at : at + 16] = found[other : other + 16]
        else:
            found += choices.data(64)
    return bytes(found)


def changed_tree(choices: Choices, value: Json, others: Sequence[Json] = ()) -> Json:
    """A JSON value with a few of its parts changed. `others`: values whose parts may be put in."""
    found = copy.deepcopy(value)
    for _ in range(1 + choices.below(3)):
        parent, key = pick(choices, _places(found))
        strange = _strange(choices, others)
        if parent is None:
            found = strange
        elif isinstance(parent, dict):
            _change_object(choices, parent, key, strange)
        elif isinstance(parent, list):
            _change_list(choices, parent, int(str(key)), strange)
    return found


def _places(value: Json) -> list[tuple[Json, Json]]:
    """Every place in a tree, as its container and its key there; the root has none."""
    found: list[tuple[Json, Json]] = [(None, None)]
    pending = [value]
    while pending:
        here = pending.pop()
        items = here.items() if isinstance(here, dict) else enumerate(here) if isinstance(here, list) else ()
        for key, item in items:
            found.append((here, key))
            pending.append(item)
    return found


def _change_object(choices: Choices, parent: dict[Json, Json], key: Json, strange: Json) -> None:
    kind = choices.below(6)
    if kind == 0:
        parent.pop(key, None)
    elif kind == 1:
        parent[pick(choices, KEYS)] = strange
    elif kind == 2:
        parent[pick(choices, KEYS)] = parent.pop(key, None)
    elif kind == 3:
        other = pick(choices, sorted(parent, key=str))
        parent[key], parent[other] = parent[other], parent.get(key)
    elif kind == 4:
        parent[key] = _near(choices, parent.get(key))
    else:
        parent[key] = strange


def _change_list(choices: Choices, parent: list[Json], at: int, strange: Json) -> None:
    kind = choices.below(6)
    if kind == 0:
        del parent[at : at + 1]
    elif kind == 1:
        parent.insert(at, strange)
    elif kind == 2:
        parent[at:at] = parent[at : at + 1] * (1 + choices.below(3))
    elif kind == 3:
        parent.reverse()
    elif kind == 4 and at < len(parent):
        parent[at] = _near(choices, parent[at])
    elif at < len(parent):
        parent[at] = strange


def _near(choices: Choices, value: Json) -> Json:
    """A value much like this one."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return pick(choices, (value + 1, -value, value * 2, str(value), float(value)))
    if isinstance(value, str):
        at = choices.below(len(value) + 1)
        return pick(
            choices,
            (
                value.upper(), value.lower(), value[:at], value[at:],
                value + " ", value + "=", value + "\n",
                " " + value,
                value[:at] + "0" + value[at + 1 :], value[:at] + "/" + value[at:], value[::-1], value + "\u0301",
            ),
        )  # fmt: skip
    return [value]


def _strange(choices: Choices, others: Sequence[Json]) -> Json:
    kind = choices.below(8)
    if kind == 0:
        return pick(choices, NUMBERS)
    if kind == 1:
        return pick(choices, (None, True, False, [], {}))
    if kind == 2 and others:
        parent, key = pick(choices, _places(pick(choices, others)))
        if isinstance(parent, dict):
            return copy.deepcopy(parent[key])
        if isinstance(parent, list):
            return copy.deepcopy(parent[int(str(key))])
    if kind == 3:
        return base64.b64encode(choices.data(64)).decode()
    if kind == 4:
        deep: Json = {}
        for _ in range(choices.below(60)):
            deep = [deep]
        return deep
    return pick(choices, WORDS)


def spelled(choices: Choices, value: Json) -> bytes:
    """JSON text of a value, in one of its spellings, not all of which a strict reader takes."""
    kind = choices.below(12)
    if kind == 0:
        return json.dumps(value, ensure_ascii=True).encode()
    if kind == 1:
        return json.dumps(value, indent=1).encode(errors="replace")
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    if kind == 2:
        return text + b"\n"
    if kind == 3:
        return b"\xef\xbb\xbf" + text
    if kind == 4:  # the same key twice
        at = text.find(b'"', choices.below(len(text) + 1))
        end = text.find(b",", at)
        return text[:end] + b"," + text[at:end] + text[end:] if 0 <= at < end else text
    return text
