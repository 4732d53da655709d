"""What a hostile review found: names that collide, memories that were not asked for, copies that never heal."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeguard.admission import MemoryFloor, Trust, trust_keys
from edgeguard.delivery.releases import Releases
from edgeguard.device.generations import Generation, Generations, Source
from edgeguard.errors import AdmissionError, PolicyError, UsageError
from edgeguard.here import Device
from edgeguard.policy.document import parse
from edgeguard.policy.load import load_policy
from edgeguard.starting import start
from edgeguard.wiring import admit
from tests.device.test_start import Site
from tests.hostile.bundles.builders import Forge, good_files

POLICY = """edgeguard: 1
policy: {{name: door, version: 1}}
models: {{primary: {{bundle: bundle}}{more}}}
admission:
  signers: [{{key: {key}, sha256: "{hint}"}}]
  require: {{floor: {floor}}}
frame: {{period: 50ms}}
signals: {{certainty: {{of: primary, range: [0, 1], max_age: 400ms}}}}
rules: [{{id: unsure, when: certainty < 0.5, then: rules}}]
fallback: [{{command: {{go: 0}}}}]
envelope: {{go: {{min: 0, max: 1, safe: 0}}}}
"""


def _policy(forge: Forge, *, more: str = "", floor: str = "optional") -> str:
    return POLICY.format(key=forge.public_path, hint=forge.key.public().hint, more=more, floor=floor)


@pytest.mark.parametrize("name", ["policy", "calibration", "filter", "fused"])
def test_a_model_cannot_take_the_place_of_something_else_in_memory_and_verdicts(
    forge: Forge, name: str
) -> None:
    text = _policy(forge, more=f", {name}: {{bundle: other}}")
    with pytest.raises(PolicyError) as caught:
        parse(text.encode(), file="door.yaml")
    assert "EG1313" in [found.code for found in caught.value.diagnostics]


class _Strong:
    """A memory that says it is a TPM's."""

    strength = "tpm"
    time = 0.0

    def at(self, _place: str) -> int:
        return 0

    def raise_to(self, versions: object, time: float = 0.0) -> None:
        """Nothing is remembered."""


def test_a_policy_loaded_with_a_memory_is_not_admitted_without_one(
    forge: Forge, folder: Path, tmp_path: Path
) -> None:
    from edgeguard.admission import sign_file

    path = tmp_path / "door.yaml"
    path.write_text(_policy(forge, floor="tpm"))
    sign_file(path, forge.private_path)
    device = Device(1_790_000_000.0, _Strong(), "linux-test")
    loaded = load_policy(path, trust=trust_keys([forge.public_path]), device=device)
    assert admit(loaded, device).models
    with pytest.raises(AdmissionError) as caught:
        admit(loaded)
    assert caught.value.reason == "floor-weak"


def _keep(state: Path, *paths: Path) -> tuple[Generations, Generation]:
    good = Generations(state)
    sources = [Source(str(path), "0" * 64 if path.is_dir() else "") for path in paths]
    return good, good.add(sources, policy=str(paths[0]), name="door", version=1, digests={"policy": "0" * 64})


def test_a_spoiled_copy_is_made_anew(folder: Path, tmp_path: Path) -> None:
    good, first = _keep(tmp_path / "state", folder)
    copy = good.objects / first.kept[str(folder)]
    (copy / "model.onnx").write_bytes(b"rot")
    (copy / "more").write_bytes(b"planted")
    _, second = _keep(tmp_path / "state", folder)
    assert second.kept == first.kept
    assert (copy / "model.onnx").read_bytes() == (folder / "model.onnx").read_bytes()
    assert not (copy / "more").exists()


@pytest.mark.parametrize("plant", [os.mkfifo, Path.touch, lambda place: place.symlink_to(place)])
def test_what_is_no_copy_at_all_gives_way_to_one(
    folder: Path, tmp_path: Path, plant: Callable[[Path], object]
) -> None:
    good, first = _keep(tmp_path / "state", folder)
    copy = good.objects / first.kept[str(folder)]
    shutil.rmtree(copy)
    plant(copy)
    _keep(tmp_path / "state", folder)
    assert (copy / "model.onnx").read_bytes() == (folder / "model.onnx").read_bytes()
    copy.with_name("left over").symlink_to("nowhere")
    good.prune()
    assert [place.name for place in good.objects.iterdir()] == [copy.name]


def test_a_changed_offer_never_takes_the_place_of_a_good_copy(folder: Path, tmp_path: Path) -> None:
    good, first = _keep(tmp_path / "state", folder)
    (folder / "model.onnx").write_bytes(b"changed while it was copied")
    _, second = _keep(tmp_path / "state", folder)
    assert second.kept != first.kept
    assert (good.objects / first.kept[str(folder)] / "model.onnx").read_bytes() == good_files()["model.onnx"]


def test_two_files_of_one_content_are_both_kept(tmp_path: Path) -> None:
    one, other = tmp_path / "a.pub", tmp_path / "b.pub"
    one.write_bytes(b"the same key")
    other.write_bytes(b"the same key")
    good, kept = _keep(tmp_path / "state", one, other)
    for path in (one, other):
        assert (good.objects / kept.kept[str(path)]).read_bytes() == b"the same key"


@pytest.mark.parametrize(
    "record",
    [
        b'{"edgeguard_generation":1,"generation":{"x":' + b"[" * 500_000,
        b'{"edgeguard_generation":1,"generation":{"x":' + b"[" * 400_000 + b"]" * 400_000 + b"}}",
        b"",
        b"\xff",
    ],
    ids=["deep", "deep and closed", "empty", "not text"],
)
def test_a_damaged_record_is_none(folder: Path, tmp_path: Path, record: bytes) -> None:
    good, kept = _keep(tmp_path / "state", folder)
    (good.folder / "000002.json").write_bytes(record)
    assert good.all() == (kept,)


def test_a_record_of_another_number_than_its_name_is_none(folder: Path, tmp_path: Path) -> None:
    good, _ = _keep(tmp_path / "state", folder)
    place = good.folder / "000001.json"
    values = json.loads(place.read_bytes())
    values["generation"]["number"] = 10**9
    place.write_text(json.dumps(values))
    assert good.all() == ()
    _, new = _keep(tmp_path / "state", folder)
    assert good.all() == (new,)


def test_no_pipe_in_the_state_folder_makes_a_start_wait(folder: Path, tmp_path: Path) -> None:
    good, kept = _keep(tmp_path / "state", folder)
    os.mkfifo(good.folder / "000002.json")
    assert good.all() == (kept,)
    os.mkfifo(good.folder / "withdrawn")
    with pytest.raises(UsageError, match="withdrawn"):
        good.usable()


def test_what_was_refused_is_told_without_control_characters_and_not_endlessly(tmp_path: Path) -> None:
    root = tmp_path / "a\x1b[2Jb" / "/".join(["x" * 200] * 8)
    (root / "keys").mkdir(parents=True)
    site = Site(root, Forge.at(root / "keys"), MemoryFloor())
    site.offer()
    site.start()
    trust = site.trust
    (root / "keys" / "test.pub").unlink()
    (told,) = start(site.policy, trust, site.device, site.good, lambda _, __: None).refused
    assert told.isprintable()
    assert len(told) < 1100


def test_a_link_to_itself_is_never_an_internal_error(tmp_path: Path) -> None:
    pytest.importorskip("tuf", reason="the extra `tuf` is not installed")
    from edgeguard.delivery.targets import admitted_item

    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(UsageError, match="is not there"):
        admitted_item(loop, Trust(), now=None)
    releases = Releases(tmp_path / "state")
    releases.incoming.mkdir(parents=True)
    releases.current.symlink_to("current")
    assert releases.install().name == "1"
    assert releases.current.readlink() == Path("releases/1")
