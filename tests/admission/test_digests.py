"""What identifies an admitted model: the bundle's digest, and that of a manifest that does not lie in it."""

from __future__ import annotations

from pathlib import Path

from edgeguard.admission import Demands, Moment, Trust, admit_bundle
from edgeguard.admission.bundle import digests_of
from tests.hostile.bundles.builders import Forge, good_files, manifest, sha256, write_files
from tests.refusals import Refused


def pin_of(files: dict[str, bytes]) -> str:
    return sha256("".join(f"{sha256(files[name])}  {name}\n" for name in sorted(files)).encode())


def test_a_manifest_beside_the_bundle_is_part_of_what_it_is(tmp_path: Path) -> None:
    files = {name: data for name, data in good_files().items() if name != "edgeguard.json"}
    folder = write_files(tmp_path / "theirs", files)
    found = {}
    for color in ("RGB", "BGR"):
        given = manifest(lambda m, c=color: m["input"].update(color=c))  # type: ignore[misc]
        admitted = admit_bundle(folder, Trust(), Demands(pin=pin_of(files), manifest=given))
        found[color] = digests_of({"primary": admitted})
        assert found[color] == {"primary": admitted.digest, "primary.manifest": sha256(given)}
    assert found["RGB"] != found["BGR"]


def test_a_manifest_in_the_bundle_needs_no_digest_of_its_own(bundle: Path, forge: Forge) -> None:
    admitted = admit_bundle(bundle, forge.signers, now=Moment(0.0))
    assert digests_of({"primary": admitted, "second": admitted}) == {
        "primary": admitted.digest,
        "second": admitted.digest,
    }


def test_a_single_file_of_a_bundle_can_be_revoked(bundle: Path, forge: Forge, refused: Refused) -> None:
    digest = sha256(good_files()["model.onnx"])
    demands = Demands(revoked=frozenset({digest}))
    refused(lambda: admit_bundle(bundle, forge.signers, demands), "revoked", "model.onnx")
