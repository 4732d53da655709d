"""`edgeguard build`: what is good is written and signed, what is not is refused with exit code 5 and leaves nothing."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeguard import build
from edgeguard.admission import (
    AdmittedModel,
    admit_bundle,
    load_public_keys,
    new_key,
    sign_bundle,
    trust_keys,
)
from edgeguard.admission.manifest import Engine, parse_manifest
from edgeguard.build import bundle, comparison, engine
from edgeguard.build.pictures import everything
from edgeguard.cli.app import invoke
from edgeguard.inference.tensorrt.backend import here
from edgeguard.inference.tensorrt.plan import Plan
from tests.build.small import classifier, denoiser, pictures
from tests.inference.strict_cuda import Cuda, Machine
from tests.inference.strict_tensorrt import MAGIC, VERSION, Settings, module

ROOT = Path(__file__).parents[2]
POLICY = """edgeguard: 1
policy: {{name: small, version: 1}}
models:
  primary:   {{bundle: primary}}
  redundant: {{bundle: redundant}}
filter: {{bundle: filter}}
admission:
  signers: [{{key: k.pub, sha256: "{hint}"}}]
frame: {{period: 50ms}}
signals:
  certainty: {{of: primary, range: [0, 1], max_age: 400ms}}
rules:
  - {{id: unsure, when: certainty < 0.5, then: rules}}
fallback: [{{command: {{go: 0}}}}]
envelope: {{go: {{min: 0, max: 1, safe: 0}}}}
"""


@dataclasses.dataclass
class Place:
    """A folder with a key, signed bundles, pictures and a policy; and the command line."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def put(self, name: str, model: AdmittedModel) -> Path:
        folder = self.folder / name
        folder.mkdir()
        (folder / "model.onnx").write_bytes(model.model)
        (folder / "edgeguard.json").write_bytes(bundle.manifest_json(model.manifest))
        sign_bundle(folder, self.folder / "k.key")
        return folder

    def call(self, *words: object) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        self.capture.readouterr()
        code = invoke(["build", *map(str, words)])
        said = self.capture.readouterr()
        return code, said.out, said.err

    def admit(self, name: str) -> AdmittedModel:
        return admit_bundle(self.folder / name, trust_keys([self.folder / "k.pub"]))


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Place:
    new_key(tmp_path / "k.key", tmp_path / "k.pub")
    monkeypatch.setenv("EDGEGUARD_TRUST", str(tmp_path / "k.pub"))
    monkeypatch.chdir(tmp_path)
    images = pictures(300, seed=3)
    np.savez(tmp_path / "p.npz", images=np.stack(list(images.images())))
    made = Place(tmp_path, capsys)
    made.put("primary", classifier(novelty=True, temperature=0.8))
    made.put("redundant", classifier("redundant", seed=3))
    made.put("filter", denoiser())
    (hint,) = (key.hint for key in load_public_keys([tmp_path / "k.pub"]))
    (tmp_path / "policy.yaml").write_text(POLICY.format(hint=hint))
    return made


INT8 = ("int8", "primary", "--images", "p.npz", "--out", "new", "--agreement", "90%")


def test_an_8_bit_bundle_names_its_parent_and_what_was_measured(place: Place) -> None:
    code, out, err = place.call(*INT8, "--sign", "k.key")
    assert (code, err) == (0, "")
    assert "new: written, signed" in out
    made, parent = place.admit("new"), place.admit("primary")
    assert made.manifest.name == "small-primary-int8"
    assert made.manifest.parent is not None
    assert (made.manifest.parent.digest, made.manifest.parent.how) == (parent.digest, "int8")
    assert made.manifest.parent.samples == 100
    assert dataclasses.replace(made.manifest, name="", parent=None) == dataclasses.replace(
        parent.manifest, name=""
    )
    card = (place.folder / "new" / "CARD.md").read_text()
    assert parent.digest[:12] in card
    assert "| same answer |" in card


def test_a_build_can_be_repeated_to_the_last_byte(place: Place) -> None:
    place.call(*INT8, "--sign", "k.key")
    first = {p.name: p.read_bytes() for p in (place.folder / "new").iterdir() if p.suffix != ".sig"}
    digest = place.admit("new").digest
    assert place.call(*INT8, "--sign", "k.key")[0] == 0
    again = {p.name: p.read_bytes() for p in (place.folder / "new").iterdir() if p.suffix != ".sig"}
    assert again == first
    assert place.admit("new").digest == digest


def test_a_new_build_never_stands_under_an_old_signature(place: Place) -> None:
    place.call(*INT8, "--sign", "k.key")
    code, out, _ = place.call(*INT8)
    assert code == 0
    assert "not signed" in out
    assert not (place.folder / "new" / "model.sig").exists()


@pytest.mark.parametrize("held", ["no JSON", "[]", '{"parent": {"how": "fused"}}'])
def test_a_bundle_that_no_such_build_wrote_is_never_written_over(place: Place, held: str) -> None:
    before = place.admit("primary").digest
    code, _, err = place.call(*INT8, "--out", "primary")
    assert (code, "no earlier build of this kind" in err) == (2, True), err
    assert place.admit("primary").digest == before
    (place.folder / "other").mkdir()
    (place.folder / "other" / "edgeguard.json").write_text(held)
    assert place.call(*INT8, "--out", "other")[0] == 2
    assert (place.folder / "other" / "edgeguard.json").read_text() == held


def test_what_breaks_a_bound_is_refused_and_not_written(place: Place) -> None:
    code, out, err = place.call(
        "fuse", "policy.yaml", "--images", "p.npz", "--out", "new", "--deviation", "0"
    )
    assert code == 5
    assert "largest deviation" in out
    assert "refused: a value differs by" in err
    assert not (place.folder / "new").exists()


def test_the_accuracy_bound_is_kept_where_labels_are_known(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, model = pictures(300, seed=3), classifier(novelty=True, temperature=0.8)
    said = comparison._ask({"primary": model}, list(everything(images)), ()).names
    classes = model.manifest.classes
    numbers = np.array([classes.index(name) for name in said])
    np.savez("l.npz", images=np.stack(list(images.images())), labels=numbers, classes=np.array(classes))
    other = classifier(novelty=True, seed=9).model
    monkeypatch.setattr(build, "quantise", lambda *_: other)
    words = ("int8", "primary", "--images", "l.npz", "--out", "new", "--agreement", "0")
    code, out, err = place.call(*words)
    assert code == 5
    assert "right answers     100.00% -> " in out
    assert "points of accuracy are lost, 0.50 may be" in err
    assert place.call(*words, "--loss", "100%")[0] == 0
    parent = parse_manifest((place.folder / "new" / "edgeguard.json").read_bytes(), "new").parent
    assert parent is not None
    assert parent.accuracy_loss is not None
    assert parent.accuracy_loss > 0.005


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--agreement", "99.9%"), 2, "300 pictures are too few"),
        (("--agreement", "lots"), 2, "`--agreement lots` is not a share"),
        (("--loss", "101%"), 2, "`--loss 101%` is not a share"),
        (("--trust", "nobody.pub"), 2, "nobody.pub"),
        (("--images", "nothing"), 2, "no such folder or file"),
        (("--out", "primary/model.onnx"), 2, "cannot write"),
        (("--out", "."), 2, "which no build wrote"),
        (("--sign", "k.pub"), 2, "k.pub"),
    ],
)
def test_a_wrong_call_says_what_to_do(place: Place, words: tuple[str, ...], code: int, says: str) -> None:
    got, _, err = place.call(*INT8, *words)
    assert (got, says in err) == (code, True), err
    assert not (place.folder / "new").exists()


def test_an_altered_bundle_is_not_built_from(place: Place) -> None:
    (place.folder / "primary" / "model.onnx").write_bytes(classifier(seed=8).model)
    code, _, err = place.call(*INT8)
    assert code == 4
    assert "digest-mismatch" in err
    code, _, err = place.call("fuse", "policy.yaml", "--images", "p.npz", "--out", "new")
    assert (code, "digest-mismatch" in err) == (4, True)


def test_a_policys_models_become_one_signed_graph(place: Place) -> None:
    words = (
        "fuse",
        "policy.yaml",
        "--images",
        "p.npz",
        "--out",
        "new",
        "--sign",
        "k.key",
        "--format",
        "json",
    )
    code, out, err = place.call(*words)
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert (facts["samples"], facts["agreement"], facts["signed"]) == (300, 1.0, True)
    made = place.admit("new").manifest
    assert made.parts == {role: place.admit(role).digest for role in ("primary", "redundant", "filter")}
    assert made.parent is not None
    assert made.parent.deviation == pytest.approx(
        max(facts["deviation"], *facts["signals"].values()), rel=1e-4
    )


def test_a_model_may_be_left_out_of_the_graph(place: Place) -> None:
    words = ("fuse", "policy.yaml", "--images", "p.npz", "--out", "new", "--sign", "k.key")
    assert place.call(*words, "--without", "redundant")[0] == 0
    made = place.admit("new").manifest
    assert set(made.parts) == {"primary", "filter"}
    assert "disagreement" not in {output.meaning for output in made.outputs}


def test_a_policy_without_models_cannot_be_fused(place: Place) -> None:
    text = (place.folder / "policy.yaml").read_text()
    bare = text[: text.index("models:")] + text[text.index("frame:") :]
    bare = bare.replace("certainty: {of: primary,", "speed: {from: context,").replace(
        "certainty <", "speed <"
    )
    (place.folder / "policy.yaml").write_text(bare)
    code, _, err = place.call("fuse", "policy.yaml", "--images", "p.npz", "--out", "new")
    assert (code, "names no models" in err) == (2, True), err


Fake = Callable[[bytes], None]


@pytest.fixture
def fake_builder(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """A builder whose plans the strict fakes can run; `change` replaces the graph in them."""

    def install(change: bytes = b"") -> None:
        def made(model: bytes, contract: object, kind: str) -> Plan:
            return Plan(MAGIC + (change or model), Engine(kind, VERSION, "8.7", here()))

        monkeypatch.setattr(engine, "build_plan", made)

    return install


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> None:
    machine: Any = Machine()
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", Cuda(machine))
    monkeypatch.setitem(sys.modules, "tensorrt", module(machine, Settings(), rtx=False))


PLAN = ("plan", "primary", "--images", "p.npz", "--out", "new", "--sign", "k.key")


def test_without_a_device_a_plan_is_written_but_nobody_can_sign_it(
    place: Place, fake_builder: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_builder(b"")
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    code, out, _ = place.call(*PLAN)
    assert code == 0
    assert "NOT signed: it could not be measured here" in out
    assert {p.name for p in (place.folder / "new").iterdir()} == {"model.plan", "edgeguard.json", "CARD.md"}
    assert invoke(["sign", "new", "--key", "k.key"]) == 4
    as_json = json.loads(place.call(*PLAN, "--format", "json")[1])
    assert (as_json["signed"], as_json["samples"]) == (False, 0)


@pytest.mark.usefixtures("device")
def test_on_a_device_a_plan_is_run_beside_its_onnx_and_signed(place: Place, fake_builder: Fake) -> None:
    fake_builder(b"")
    code, out, err = place.call(*PLAN)
    assert (code, err) == (0, "")
    assert "new: written, signed" in out
    made = place.admit("new")
    assert made.model.startswith(MAGIC)
    assert made.manifest.file == "model.plan"
    assert made.manifest.engine == Engine("tensorrt", VERSION, "8.7", here())
    assert made.manifest.parent is not None
    assert (made.manifest.parent.how, made.manifest.parent.samples) == ("plan", 300)
    assert made.manifest.parent.deviation < 1e-5


@pytest.mark.usefixtures("device")
def test_a_plan_of_a_fused_graph_is_compared_in_every_signal(place: Place, fake_builder: Fake) -> None:
    fake_builder(b"")
    place.call("fuse", "policy.yaml", "--images", "p.npz", "--out", "fused", "--sign", "k.key")
    code, out, err = place.call(
        "plan", "fused", "--images", "p.npz", "--out", "new", "--sign", "k.key", "--format", "json"
    )
    assert (code, err) == (0, "")
    assert set(json.loads(out)["signals"]) >= {"energy", "disagreement", "reconstruction", "novelty"}
    made = place.admit("new").manifest
    assert (made.role, set(made.parts)) == ("fused", {"primary", "filter", "redundant"})
    assert made.parent is not None
    assert made.parent.digest == place.admit("fused").digest


@pytest.mark.usefixtures("device")
def test_a_plan_that_answers_otherwise_is_refused(place: Place, fake_builder: Fake) -> None:
    fake_builder(classifier(novelty=True, seed=9).model)
    code, _, err = place.call(*PLAN)
    assert code == 5
    assert "nothing was written" in err
    assert not (place.folder / "new").exists()


@pytest.mark.usefixtures("device")
def test_a_plan_is_not_made_of_a_plan(place: Place, fake_builder: Fake) -> None:
    fake_builder(b"")
    place.call(*PLAN)
    code, _, err = place.call("plan", "new", "--images", "p.npz", "--out", "newer")
    assert (code, "is a plan already" in err) == (4, True)
    code, _, err = place.call("int8", "new", "--images", "p.npz", "--out", "newer")
    assert (code, "is a plan or a fused graph" in err) == (4, True)


def test_the_demos_models_are_quantised_and_fused(place: Place, tmp_path: Path) -> None:
    from models.signs.calibration import render

    images, labels, classes = render(330)
    np.savez(tmp_path / "signs.npz", images=images, labels=labels, classes=np.array(classes))
    trust = ("--trust", ROOT / "keys" / "demo.pub")
    source = ROOT / "models" / "signs" / "primary"
    code, out, err = place.call(
        "int8", source, "--images", "signs.npz", "--out", "s8", *trust, "--sign", "k.key", "--format", "json"
    )
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert facts["agreement"] >= 0.99
    assert facts["deviation"] < 0.05
    assert facts["bytes"][1] < 0.6 * facts["bytes"][0]
    code, out, err = place.call(
        "fuse",
        ROOT / "policies" / "sign_gate.yaml",
        "--images",
        "signs.npz",
        "--out",
        "sf",
        "--format",
        "json",
    )
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert (facts["agreement"], facts["signed"]) == (1.0, False)
    assert max(facts["deviation"], *facts["signals"].values()) < 1e-4
    manifest = parse_manifest((tmp_path / "sf" / "edgeguard.json").read_bytes(), "sf")
    assert set(manifest.parts) == {"primary", "filter", "redundant"}
