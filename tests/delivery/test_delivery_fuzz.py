"""A repository changed at random, byte by byte and value by value: refused in words, or what was signed is installed.

`EDGEGUARD_DELIVERY_FUZZ=N` changes it N times, from seed 0 on (60 by default).
"""

from __future__ import annotations

import functools
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tuf.api.metadata import Metadata

from edgeguard.delivery.pull import provision
from edgeguard.delivery.signing import TufSigner
from edgeguard.errors import AdmissionError, EdgeguardError, UsageError
from tests.delivery.builders_delivery import Device

if TYPE_CHECKING:
    from tests.delivery.builders_delivery import Publisher

ROUNDS = int(os.environ.get("EDGEGUARD_DELIVERY_FUZZ", "60"))
ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        0,
        2**63,
        10**400,
        1.5,
        "",
        "x",
        "../x",
        "a\x00b",
        "\ud800",
        [],
        {},
        [[]],
        {"": ""},
        "sha256",
    ),
    *({"a": {"b": []}}, "2030-01-01T00:00:00Z", "9999-99-99T99:99:99Z", "0" * 64),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, below in inner for found in places(below, (*path, key)))]


def change_value(data: bytes, chance: random.Random) -> bytes:
    """Replace, remove or repeat one value of a JSON document."""
    document = json.loads(data)
    path = chance.choice([p for p in places(document) if p])
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    kind = chance.randrange(4)
    if kind == 0:
        del parent[path[-1]]
    elif kind == 1 and isinstance(parent, dict):
        parent[chance.choice(("x", "", "../x", "\u00e9", path[-1] * 2))] = parent[path[-1]]
    elif kind == 2 and isinstance(parent, list):
        parent.append(parent[path[-1]])
    else:
        parent[path[-1]] = chance.choice(ODD)
    return json.dumps(document).encode()


def change_bytes(data: bytes, chance: random.Random) -> bytes:
    """Flip, remove or insert some bytes."""
    at, some = chance.randrange(len(data) + 1), chance.randbytes(chance.randrange(1, 9))
    return chance.choice(
        (
            data[:at],
            data[:at] + some + data[at:],
            data[:at] + some + data[at + len(some) :],
            data[:at] + data[at + 1 :],
        )
    )


def outcome(call: Callable[[], object]) -> EdgeguardError | None:
    """What a call was refused with, in words; None: nothing."""
    try:
        call()
    except (AdmissionError, UsageError) as error:
        assert error.exit_code in (2, 4)  # noqa: PT017 - either is right
        assert "\n" not in str(error)  # noqa: PT017
        return error
    return None


@pytest.mark.parametrize("change", [change_bytes, change_value])
def test_no_change_without_a_key_is_accepted(
    publisher: Publisher, tmp_path: Path, change: Callable[[bytes, random.Random], bytes]
) -> None:
    device = Device(tmp_path / "state", publisher)
    device.pull()
    good = device.installed()
    files = sorted(path for path in publisher.repo.rglob("*") if path.is_file())
    if change is change_value:
        files = [path for path in files if path.parent.name == "metadata"]
    refused = 0
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        place = chance.choice(files)
        before = place.read_bytes()
        place.write_bytes(change(before, chance))
        state = Device(tmp_path / f"state{seed}", publisher)
        root = place.name == "1.root.json" and place.read_bytes() != before
        call = functools.partial(provision, state.state, place) if root else state.pull
        error = outcome(call)
        assert state.installed() in ({}, {} if error else good), f"seed {seed}: {place.name}"
        refused += error is not None
        place.write_bytes(before)
        shutil.rmtree(state.state, ignore_errors=True)
    assert refused > ROUNDS // 2


def test_nothing_odd_that_a_role_signs_ends_in_a_traceback(publisher: Publisher, tmp_path: Path) -> None:
    keys = {"models": ("models1", "models2"), "policies": ("policies",), "targets": ("root1", "root2")}
    metadata = publisher.repo / "metadata"
    good = {path: path.read_bytes() for path in metadata.iterdir()}
    installed: dict[str, str] = {}
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        role = chance.choice(sorted(keys))
        place = metadata / f"1.{role}.json"
        try:
            changed = json.loads(change_value(json.dumps(json.loads(good[place])["signed"]).encode(), chance))
            document = Metadata.from_dict({"signed": changed, "signatures": []})
            for name in keys[role]:
                document.sign(TufSigner(publisher.private(name)), append=True)
            place.write_bytes(document.to_bytes())
        except Exception:  # noqa: S112 - what python-tuf would not even write
            continue
        publisher.relist(role)
        state = Device(tmp_path / f"state{seed}", publisher)
        if outcome(state.pull) is None:
            installed = state.installed()
        else:
            assert state.installed() == {}
        for path in list(metadata.iterdir()):
            path.unlink()
        for path, data in good.items():
            path.write_bytes(data)
        shutil.rmtree(state.state, ignore_errors=True)
    assert installed
