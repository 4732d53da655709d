"""The conformance vectors of bundles: edgeguard and a second verifier, written from the page alone, say the same."""

from __future__ import annotations

import calendar
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeguard.admission.authorities import load_authority
from edgeguard.admission.decryption import key_id
from edgeguard.admission.keys import load_public_keys
from edgeguard.admission.second_keys import load_post_quantum
from edgeguard.admission.store import admit_bundle, admit_file
from edgeguard.admission.trust import Demands, Grant, Moment, Trust, TrustedAuthority, TrustedKey
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import good_files, sha256, write_files
from tests.hostile.bundles.builders_graphs import with_nodes
from tests.vectors.bundle_makers import KEYS, P256, content_key, forge, hint, stream
from tests.vectors.bundle_mutants import Mutant, chains, mutants
from tests.vectors.write_bundles import stale, wanted

FOLDER = Path(__file__).resolve().parents[1] / "vectors" / "bundles"
ROWS: list[dict[str, Any]] = json.loads((FOLDER / "vectors.json").read_bytes())
NODE = shutil.which("node")
Verdict = tuple[str, str]
"""`admitted` or the reason, and the digest of what was admitted."""

OTHER_WORDS: dict[str, str] = {}
"""Vectors that both refuse, each for another true reason: the second verifier's, where it is not the table's."""
NO_ML_DSA = "unsupported"
"""What the second verifier says where node has no ML-DSA-65: neither admitted nor told to be wrong."""


def _seconds(text: str) -> float:
    return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))


def _grant(term: dict[str, Any], base: Path) -> Grant:
    second = load_post_quantum(base / term["second"]) if "second" in term else None
    return Grant(frozenset(term.get("signs", ())), second)


def _trust(terms: dict[str, Any], base: Path) -> Trust:
    keys = [
        TrustedKey(load_public_keys([base / term["key"]])[0], _grant(term, base))
        for term in terms.get("keys", ())
    ]
    authorities = [
        TrustedAuthority(load_authority(base / term["root"]), term.get("identity", ""), _grant(term, base))
        for term in terms.get("authorities", ())
    ]
    return Trust(
        tuple(keys),
        tuple(authorities),
        revoked=frozenset(terms.get("revoked", ())),
        post_quantum=terms.get("post_quantum", False),
    )


def _now(terms: dict[str, Any]) -> Moment | None:
    if "now" in terms:
        return Moment(_seconds(terms["now"]))
    return Moment(_seconds(terms["at_least"]), exact=False) if "at_least" in terms else None


def ours(path: Path, terms: dict[str, Any], base: Path = FOLDER) -> Verdict:
    """What edgeguard says."""
    demands = Demands(
        role=terms.get("role", ""),
        floor=terms.get("floor", 0),
        pin=terms.get("pin", ""),
        platform=terms.get("platform", ""),
        revoked=frozenset(terms.get("revoked", ())),
    )
    held = {
        key_id(key): key for key in ((base / name).read_bytes() for name in terms.get("content_keys", ()))
    }
    try:
        if path.is_dir() or not path.suffix:
            admitted = admit_bundle(path, _trust(terms, base), demands, now=_now(terms), secrets=held.get)
            return "admitted", admitted.digest
        return "admitted", admit_file(path, _trust(terms, base), now=_now(terms)).digest
    except AdmissionError as error:
        return error.reason, ""


def theirs(table: Path) -> dict[str, Verdict]:
    """What the second verifier says of every row of a table, by name."""
    assert NODE is not None
    ran = subprocess.run(
        [NODE, str(FOLDER / "verify.mjs"), "--vectors", str(table)],
        capture_output=True,
        text=True,
        check=True,
    )
    said = [json.loads(line) for line in ran.stdout.split("\n") if line]
    return {one["name"]: (one["reason"] or "admitted", one["digest"]) for one in said}


needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed: the second verifier needs it")


@pytest.fixture(scope="module")
def second_opinion() -> dict[str, Verdict]:
    return theirs(FOLDER / "vectors.json")


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_edgeguard_says_what_the_table_of_vectors_says(row: dict[str, Any]) -> None:
    assert ours(FOLDER / row["path"], row["terms"]) == (row["expect"], row["digest"])


@needs_node
@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_a_second_verifier_written_from_the_page_says_the_same(
    row: dict[str, Any], second_opinion: dict[str, Verdict]
) -> None:
    said = second_opinion[row["name"]]
    if said[0] == NO_ML_DSA and any("second" in key for key in row["terms"]["keys"]):
        pytest.skip("this node has no ML-DSA-65: it neither admits nor says why not")
    assert said == (OTHER_WORDS.get(row["name"], row["expect"]), row["digest"])


def test_the_vectors_are_what_their_tool_writes() -> None:
    assert stale(wanted()) == []


def test_no_vector_and_no_test_key_can_be_taken_for_something_to_ship() -> None:
    names = [path.name for path in (FOLDER / "keys").iterdir() if path.name != "README.md"]
    assert all(name.startswith("PUBLIC-TEST-KEY-") for name in names)
    for path in FOLDER.rglob("*"):
        assert path.is_dir() or b"PRIVATE KEY-----" not in path.read_bytes()


def test_the_vectors_together_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 1_000_000


def _outside_git(folder: Path) -> list[tuple[str, str]]:
    """Make bundles that git cannot carry, or should not, and return what each must be answered with."""
    files = good_files()
    signed = {**files, "model.sig": forge().sign_files(files)}
    for name in ("link", "link-to-a-folder", "link-as-signature", "pipe", "empty-folder", "deep", "many"):
        write_files(folder / name, signed)
    (folder / "link" / "CARD.md").unlink()
    (folder / "link" / "CARD.md").symlink_to("../pipe/CARD.md")
    (folder / "link-to-a-folder" / "docs").symlink_to(folder)
    (folder / "link-as-signature" / "model.sig").unlink()
    (folder / "link-as-signature" / "model.sig").symlink_to("../pipe/model.sig")
    os.mkfifo(folder / "pipe" / "a")
    (folder / "empty-folder" / "docs").mkdir()
    (folder / "deep").joinpath(*"abcdefghi").mkdir(parents=True)
    for i in range(1000):
        (folder / "many" / f"{i}.txt").touch()
    return [
        ("link", "link"),
        ("link-to-a-folder", "link"),
        ("link-as-signature", "link"),
        ("pipe", "not-a-file"),
        ("empty-folder", "admitted"),
        ("deep", "too-large"),
        ("many", "too-large"),
        ("nothing", "file-missing"),
        *_large(folder),
    ]


def _large(folder: Path) -> list[tuple[str, str]]:
    """Encrypted models of three segments, and one whose segments changed places."""
    import numpy as np
    from onnx import numpy_helper

    weights = numpy_helper.from_array(np.arange(600_000, dtype=np.float32), "unused")
    plain = with_nodes(tensors=[weights])
    data = stream(plain)
    size = 1 << 20
    moved = data[:size] + data[2 * size :] + data[size : 2 * size]
    for name, model in (("segments", data), ("segments-moved", moved), ("segments-cut", data[: 2 * size])):
        claim = {"format": "AES256_GCM_HKDF_1MB", "key": key_id(content_key()), "plaintext": sha256(plain)}
        values = {**json.loads(good_files()["edgeguard.json"]), "encryption": claim}
        files = {**good_files(), "edgeguard.json": json.dumps(values).encode(), "model.onnx": model}
        write_files(folder / name, {**files, "model.sig": forge().sign_files(files)})
    return [
        ("segments", "admitted"),
        ("segments-moved", "decryption-failed"),
        ("segments-cut", "decryption-failed"),
    ]


@needs_node
def test_both_say_the_same_of_what_no_repository_can_hold(tmp_path: Path) -> None:
    for name in ("p256.pub", "content.bin"):
        write_files(tmp_path, {KEYS.format(name): (FOLDER / KEYS.format(name)).read_bytes()})
    expected = dict(_outside_git(tmp_path))
    terms = {**P256, "content_keys": [KEYS.format("content.bin")]}
    table = tmp_path / "table.json"
    table.write_text(json.dumps([{"name": name, "path": name, "terms": terms} for name in expected]))
    assert {name: verdict for name, (verdict, _) in theirs(table).items()} == expected
    assert {name: ours(tmp_path / name, terms)[0] for name in expected} == expected


@needs_node
def test_the_second_verifier_admits_the_shipped_bundles_on_its_own_command_line() -> None:
    assert NODE is not None
    root = FOLDER.parents[2]
    for path in ("models/signs/primary", "models/signs/redundant", "policies/sign_gate.yaml"):
        command = [
            NODE,
            str(FOLDER / "verify.mjs"),
            str(root / path),
            "--key",
            str(root / "keys" / "demo.pub"),
        ]
        said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        assert said["admitted"] is True
        assert said["signer"] == load_public_keys([root / "keys" / "demo.pub"])[0].hint


def test_the_test_keys_hint_is_what_the_vectors_carry() -> None:
    wrapper = json.loads((FOLDER / "good-p256" / "model.sig").read_bytes())
    assert wrapper["verificationMaterial"]["publicKey"]["hint"] == hint()


NOT_LOOKED_AT = {"contract-mismatch"}
"""Why edgeguard alone refuses: the second verifier does not hold the graph to the manifest."""
MUTANTS, SEED = int(os.environ.get("BUNDLE_MUTANTS", "300")), int(os.environ.get("BUNDLE_SEED", "1"))
"""Set both for a longer campaign. A third as many are chains of certificates, which take longer to make."""


@needs_node
@pytest.mark.parametrize(
    ("made", "count"), [(mutants, MUTANTS), (chains, MUTANTS // 3)], ids=["changed", "chains"]
)
def test_both_admit_and_refuse_the_same_of_bundles_made_at_random(
    made: Callable[[int, int], Iterator[Mutant]], count: int, tmp_path: Path
) -> None:
    write_files(tmp_path, {KEYS.format("p256.pub"): (FOLDER / KEYS.format("p256.pub")).read_bytes()})
    table: list[dict[str, Any]] = []
    for mutant in made(SEED, count):
        write_files(tmp_path / mutant.name, mutant.files)
        (tmp_path / f"{mutant.name}.pem").write_bytes(mutant.root)
        table.append({"name": mutant.name, "path": mutant.name, "terms": mutant.terms})
    (tmp_path / "table.json").write_text(json.dumps(table))
    said = theirs(tmp_path / "table.json")
    assert len(said) == count
    differ = {}
    for row in table:
        mine, other = ours(tmp_path / row["path"], row["terms"], tmp_path), said[row["name"]]
        both_refuse = "admitted" not in (mine[0], other[0])
        if mine != other and not both_refuse and mine[0] not in NOT_LOOKED_AT:
            differ[row["name"]] = mine[0], other[0]
    assert differ == {}
