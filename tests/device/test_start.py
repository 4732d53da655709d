"""Starting: the offered policy, or else the last good one; nothing below the floor; and every refusal is told."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from edgeguard.admission import Floor, MemoryFloor, Trust, admit_bundle, sign_file, trust_keys
from edgeguard.device.generations import MOST, Generations
from edgeguard.disk import write_whole
from edgeguard.errors import AdmissionError, ContractError, PolicyError, UsageError
from edgeguard.here import Device
from edgeguard.policy.load import load_policy
from edgeguard.starting import Started, admit_generation, remember, start
from edgeguard.wiring import Admitted
from tests.hostile.bundles.builders import Forge, good_files, manifest, write_files

NOW = 1_790_000_000.0
POLICY = """edgeguard: 1
policy: {{name: door, version: {version}{more}}}
models: {{primary: {{bundle: ../models/primary}}}}
admission: {{signers: [{{key: ../keys/test.pub, sha256: "{hint}"}}]}}
frame: {{period: 50ms}}
signals: {{certainty: {{of: primary, range: [0, 1], max_age: 400ms}}}}
rules: [{{id: unsure, when: certainty < 0.5, then: rules}}]
fallback: [{{command: {{go: 0}}}}]
envelope: {{go: {{min: 0, max: 1, safe: 0}}}}
"""


def _nothing(_: Admitted, refused: Sequence[str]) -> None:
    """Something that always opens."""


@dataclasses.dataclass
class Site:
    """A device: the folder that updates are put into, its state, and its key."""

    root: Path
    forge: Forge
    floor: Floor

    @property
    def policy(self) -> Path:
        return self.root / "policies" / "door.yaml"

    @property
    def trust(self) -> Trust:
        return trust_keys([self.forge.public_path])

    @property
    def good(self) -> Generations:
        return Generations(self.root / "state")

    @property
    def device(self) -> Device:
        return Device(NOW, self.floor, "linux-test")

    def offer(
        self, version: int = 1, security_version: int = 3, name: str = "model", policy_version: int | None = 1
    ) -> None:
        """Put a signed policy and bundle into place."""
        files = good_files()
        files["edgeguard.json"] = manifest(lambda m: m.update(security_version=security_version, name=name))
        shutil.rmtree(self.root / "models", ignore_errors=True)
        bundle = self.root / "models" / "primary"
        write_files(bundle, {**files, "model.sig": self.forge.sign_files(files)})
        more = "" if policy_version is None else f", security_version: {policy_version}"
        self.sign(POLICY.format(version=version, more=more, hint=self.forge.key.public().hint))

    def sign(self, text: str) -> None:
        self.policy.parent.mkdir(exist_ok=True)
        self.policy.write_text(text)
        sign_file(self.policy, self.forge.private_path)

    def start(self, open_: Callable[[Admitted, Sequence[str]], object] | None = None) -> Started[object]:
        opened = open_ or _nothing
        started = start(self.policy, self.trust, self.device, self.good, opened)
        self.trouble = remember(started, self.policy, self.trust, self.device, self.good)
        return started

    def damage(self) -> None:
        (self.root / "models" / "primary" / "model.onnx").write_bytes(b"not what was signed")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "keys").mkdir()
    site = Site(tmp_path, Forge.at(tmp_path / "keys"), MemoryFloor())
    site.offer()
    return site


def test_what_started_is_kept_once_and_raises_the_floor(site: Site) -> None:
    site.start()
    started = site.start()
    assert (started.generation, started.refused, site.trouble) == (None, (), "")
    (generation,) = site.good.all()
    assert (generation.number, generation.name, generation.version) == (1, "door", 1)
    assert generation.digests == started.admitted.digests
    assert (site.floor.at("policy"), site.floor.at("primary")) == (1, 3)


def test_a_refused_update_leaves_the_last_good_one_running_and_the_refusal_is_told(site: Site) -> None:
    before = site.start().admitted.digests
    site.offer(version=2)
    site.damage()
    heard: list[Sequence[str]] = []
    started = site.start(lambda _, refused: heard.append(refused))
    assert started.generation is not None
    assert started.admitted.digests == before
    assert heard == [started.refused]
    (refusal,) = started.refused
    assert refusal.startswith("the offered policy: ")
    assert "model.onnx: digest-mismatch" in refusal


@pytest.mark.parametrize(
    "break_it",
    [
        lambda site: site.policy.unlink(),
        lambda site: site.policy.with_name("door.yaml.sig").unlink(),
        lambda site: site.policy.write_text("edgeguard: 2\n"),
        lambda site: site.sign("edgeguard: 1\nnothing: right\n"),
        lambda site: shutil.rmtree(site.root / "models"),
        lambda site: (site.root / "keys" / "test.pub").write_text("no key"),
        lambda site: (site.root / "keys" / "test.pub").unlink(),
    ],
    ids=["no policy", "unsigned", "other bytes", "not valid", "no bundle", "another key", "no key"],
)
def test_whatever_is_wrong_with_the_offer_the_last_good_one_runs(
    site: Site, break_it: Callable[[Site], object]
) -> None:
    trust = site.trust  # a device's own keys lie elsewhere
    site.start()
    site.offer(version=2)
    break_it(site)
    started = start(site.policy, trust, site.device, site.good, _nothing)
    assert started.generation is not None
    assert started.admitted.policy.program.version == 1


def test_an_offer_that_cannot_be_opened_falls_back_too(site: Site) -> None:
    site.start()
    site.offer(version=2)

    def opened(admitted: Admitted, refused: Sequence[str]) -> None:
        if admitted.policy.program.version == 2:
            raise ContractError("bundle `model` gives no usable answer")

    started = site.start(opened)
    assert started.generation is not None
    assert started.refused == ("the offered policy: bundle `model` gives no usable answer",)
    assert site.floor.at("policy") == 1


def test_an_error_that_is_no_refusal_does_not_fall_back(site: Site) -> None:
    site.start()
    site.offer(version=2)

    def opened(admitted: Admitted, refused: Sequence[str]) -> None:
        raise UsageError("no camera")

    with pytest.raises(UsageError, match="no camera"):
        site.start(opened)


def test_with_nothing_to_fall_back_on_the_offers_refusal_is_the_error(site: Site) -> None:
    site.damage()
    with pytest.raises(AdmissionError, match=r"model\.onnx: digest-mismatch"):
        site.start()
    site.sign("edgeguard: 1\n")
    with pytest.raises(PolicyError):
        start(site.policy, site.trust, site.device, None, _nothing)


@pytest.mark.parametrize("what", ["policy", "primary"])
def test_an_older_version_than_ever_ran_is_refused_although_it_is_signed(site: Site, what: str) -> None:
    site.offer(version=2, security_version=4, policy_version=None)
    site.start()
    older = {"policy": (1, 4), "primary": (3, 3)}[what]
    site.offer(version=older[0], security_version=older[1], policy_version=None)
    started = site.start()
    assert started.generation is not None
    assert ": rollback: " in started.refused[0]
    assert (site.floor.at("policy"), site.floor.at("primary")) == (2, 4)


def test_a_known_good_copy_below_the_floor_does_not_run_either(site: Site) -> None:
    site.start()
    site.floor.raise_to({"primary": 9})
    with pytest.raises(AdmissionError, match=r"edgeguard\.json: rollback"):
        site.start()


def test_a_copy_is_believed_no_more_than_an_original(site: Site) -> None:
    site.start()
    site.damage()
    (copy,) = site.good.objects.glob("*/model.onnx")
    copy.write_bytes(b"swapped")
    with pytest.raises(AdmissionError, match="digest-mismatch"):
        site.start()


@pytest.mark.parametrize("record", [b"", b"{}", b"[" * 50_000, b'{"edgeguard_generation": 2}', b"\xff\xfe"])
def test_a_damaged_record_is_no_generation(site: Site, record: bytes) -> None:
    site.start()
    (path,) = site.good.folder.glob("*.json")
    path.write_bytes(record)
    assert site.good.all() == ()
    site.start()
    assert len(site.good.all()) == 1


def test_a_record_of_another_format_is_no_generation(site: Site) -> None:
    site.start()
    (path,) = site.good.folder.glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"edgeguard_generation": 2}))
    assert site.good.all() == ()


def test_only_the_newest_few_are_kept_and_copies_nobody_needs_are_removed(site: Site) -> None:
    for version in range(1, MOST + 3):
        site.offer(version=version, name=f"model-{version}")
        site.start()
    assert [generation.version for generation in site.good.all()] == [5, 4, 3]
    assert len(list(site.good.objects.iterdir())) == 2 * MOST + 1  # a policy and a bundle each, and one key


def test_what_was_withdrawn_does_not_start_until_that_is_taken_back(site: Site) -> None:
    site.start()
    site.offer(version=2)
    site.start()
    newest, before = site.good.all()
    site.good.withdraw(frozenset({newest.mark}))
    started = site.start()
    assert started.generation == before
    assert "rolled back" in started.refused[0]
    site.offer(version=3)
    assert site.start().generation is None
    site.offer(version=3)
    site.good.withdraw(frozenset())
    assert site.start().generation is None


def test_a_list_of_withdrawn_ones_that_cannot_be_read_is_no_empty_list(site: Site) -> None:
    site.start()
    (site.good.folder / "withdrawn").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="withdrawn` cannot be read"):
        site.start()


def test_a_whole_that_changes_while_it_is_copied_is_not_kept(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Generations.add

    def swapped(self: Generations, *args: object, **options: object) -> object:
        site.damage()
        return real(self, *args, **options)  # type: ignore[arg-type] # handed on as it came

    monkeypatch.setattr(Generations, "add", swapped)
    site.start()
    assert "digest-mismatch" in site.trouble
    assert site.good.all() == ()


def test_a_state_that_cannot_be_written_stops_nothing_and_is_told(site: Site) -> None:
    site.good.folder.mkdir(parents=True)
    site.good.objects.write_text("a file")
    started = site.start()
    assert started.generation is None
    assert "cannot write below" in site.trouble


class PowerCutError(Exception):
    """The power is gone: nothing after it happens."""


class Power:
    """Lets so many system calls through, then is gone: counted only while a generation is written."""

    CALLS = ("fsync", "open", "rename", "replace", "mkdir", "unlink")

    def __init__(self, patch: pytest.MonkeyPatch, left: int) -> None:
        self.left, self.counting = left, False
        for name in self.CALLS:
            patch.setattr(os, name, self._metered(getattr(os, name)))
        self._add = Generations.add
        power = self

        def add(*args: object, **options: object) -> object:
            return power.add(*args, **options)

        patch.setattr(Generations, "add", add)

    def add(self, *args: object, **options: object) -> object:
        self.counting = True
        try:
            return self._add(*args, **options)  # type: ignore[arg-type] # handed on as it came
        finally:
            self.counting = False

    def _metered(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            self.left -= self.counting
            if self.left < 0:
                raise PowerCutError
            return real(*args, **options)

        return call


def test_a_power_cut_at_any_step_of_keeping_leaves_a_device_that_starts(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.start()
    for step in range(200):
        site.offer(version=2)
        try:
            with monkeypatch.context() as patch:
                Power(patch, step)
                site.start()
        except PowerCutError:
            site.damage()
            started = site.start()
            assert started.generation is not None
            assert started.admitted.policy.program.version in (1, 2)
        else:
            break
    assert step > 10
    assert site.good.all()[0].version == 2


def test_a_generation_that_is_named_is_admitted_from_its_own_copy(site: Site) -> None:
    site.start()
    shutil.rmtree(site.root / "models")
    shutil.rmtree(site.root / "policies")
    (generation,) = site.good.all()
    admitted = admit_generation(generation, site.good, site.trust, site.device)
    assert admitted.digests == generation.digests


def test_writing_whole_replaces_a_left_over_of_a_power_cut(tmp_path: Path) -> None:
    (tmp_path / ".x.new").write_text("half")
    write_whole(tmp_path / "x", b"whole")
    assert (tmp_path / "x").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_policy_of_another_machine_does_not_take_this_one_s_place(site: Site) -> None:
    site.start()
    other = POLICY.replace("name: door", "name: gate").format(
        version=9, more="", hint=site.forge.key.public().hint
    )
    site.sign(other)
    started = site.start()
    assert started.generation is not None
    assert ": wrong-device: this device runs another policy and never ran `gate`" in started.refused[0]
    assert site.floor.at("policy") == 1
    site.floor.raise_to({"policy.gate": 1})  # a person lets it
    assert site.start().admitted.policy.program.name == "gate"


def test_an_offer_that_breaks_something_unforeseen_falls_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.start()
    site.offer(version=2)
    real = load_policy

    def broken(path: str | Path, **options: Any) -> object:
        if "home" not in options:
            raise RecursionError("too deep")
        return real(path, **options)

    monkeypatch.setattr("edgeguard.starting.load_policy", broken)
    started = site.start()
    assert started.generation is not None
    assert started.refused == ("the offered policy: internal: too deep",)
    monkeypatch.setattr(site.good.__class__, "usable", lambda _: ())
    with pytest.raises(RecursionError):
        site.start()


def test_an_older_calibration_than_ever_ran_is_refused(site: Site) -> None:
    def calibrate(version: int) -> None:
        digest = admit_bundle(site.root / "models" / "primary", site.trust).digest
        document = {
            "edgeguard_calibration": 1, "policy": "door", "models": {"primary": digest}, "frames": 100,
            "abstain": 0.01, "thresholds": {"certainty": 0.9}, "security_version": version,
        }  # fmt: skip
        file = site.root / "policies" / "door.json"
        file.write_text(json.dumps(document))
        sign_file(file, site.forge.private_path)

    text = POLICY.replace("frame:", "calibration: door.json\nframe:").replace(
        "< 0.5", "< calibrated.certainty"
    )
    calibrate(2)
    site.sign(text.format(version=1, more="", hint=site.forge.key.public().hint))
    assert site.start().generation is None
    assert site.floor.at("calibration") == 2
    calibrate(1)
    (refusal,) = site.start().refused
    assert "door.json: rollback: its security version is 1, this device ran 2 already" in refusal
