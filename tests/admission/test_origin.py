"""`parent`, `engine` and `parts`: what a made bundle must say about where it comes from, and what it may not claim."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.admission import admit_bundle, sign_bundle
from edgeguard.admission.inspection import inspect_plan
from edgeguard.admission.manifest import Engine, Parent, parse_manifest
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import Forge, Json, good_files, good_model, manifest, write_files

DIGEST, OTHER = "ab" * 32, "cd" * 32
PARENT: Json = {"digest": DIGEST, "how": "int8", "samples": 300, "agreement": 0.997, "deviation": 0.08}
ENGINE: Json = {
    "kind": "tensorrt",
    "version": "10.3.0",
    "compute_capability": "8.7",
    "platform": "linux-aarch64",
}
PLAN = b"ftrt" + bytes(range(200))

Change = Callable[[Json], object]


def _scalar(name: str, **more: object) -> Json:
    return {"name": name, "dtype": "float32", "shape": ["N"], "meaning": name, **more}


def _int8(values: Json) -> None:
    values["parent"] = {**PARENT, "accuracy_loss": 0.002}


def _plan(values: Json) -> None:
    values["parent"] = {**PARENT, "how": "plan"}
    values["engine"] = dict(ENGINE)


def _fused(values: Json) -> None:
    values["role"] = "fused"
    values["temperature"] = 1
    values["parent"] = {**PARENT, "how": "fused"}
    values["parts"] = {"primary": DIGEST, "filter": OTHER, "redundant": OTHER}
    values["outputs"][0]["meaning"] = "probabilities"
    names = ("certainty", "energy", "margin", "reconstruction", "squeezing", "disagreement")
    values["outputs"] += [_scalar(name) for name in names]


def _then(*changes: Change) -> Change:
    return lambda m: [change(m) for change in changes]


def _parent(**values: object) -> Change:
    return _then(_int8, lambda m: m["parent"].update(values))


def _engine(**values: object) -> Change:
    return _then(_plan, lambda m: m["engine"].update(values))


def _of_fused(change: Change) -> Change:
    return _then(_fused, change)


def test_a_made_bundle_says_what_it_was_made_from() -> None:
    found = parse_manifest(manifest(_then(_int8)), "m")
    assert found.parent == Parent(DIGEST, "int8", 300, 0.997, 0.08, 0.002)
    assert found.engine is None
    assert found.parts == {}


def test_a_plan_says_what_it_was_built_with_and_for() -> None:
    found = parse_manifest(manifest(_plan), "m")
    assert found.engine == Engine("tensorrt", "10.3.0", "8.7", "linux-aarch64")
    assert found.parent is not None
    assert found.parent.accuracy_loss is None


@pytest.mark.parametrize(
    "change",
    [
        _fused,
        _of_fused(lambda m: m["parts"].pop("redundant") and m["outputs"].pop()),
        _of_fused(lambda m: m["outputs"].append(_scalar("novelty", shape=["N", 1]))),
        _of_fused(lambda m: m.update(parent={**PARENT, "how": "plan", "digest": OTHER}, engine=ENGINE)),
        _then(_plan, lambda m: m["engine"].update(compute_capability="any", kind="tensorrt-rtx")),
        _parent(accuracy_loss=-0.01),
    ],
)
def test_every_kind_of_made_bundle_is_accepted(change: Change) -> None:
    parse_manifest(manifest(change), "m")


BAD: list[tuple[str, Change]] = [
    ("unknown key `parent.digets`, did you mean `parent.digest`", _parent(digets=DIGEST)),
    ("unknown key `engine.knid`", _engine(knid="x")),
    ("missing key `how` at `parent`", _then(_int8, lambda m: m["parent"].pop("how"))),
    ("missing key `platform` at `engine`", _then(_plan, lambda m: m["engine"].pop("platform"))),
    ("`parent.digest` must be 64", _parent(digest="AB" * 32)),
    ("`parent.how` is `magic`", _parent(how="magic")),
    ("never measured", _parent(samples=0)),
    ("`parent.samples` must be", _parent(samples=2**31)),
    ("`parent.agreement` must be", _parent(agreement=1.01)),
    ("`parent.agreement` must be", _parent(agreement=-0.1)),
    ("`parent.deviation` must be", _parent(deviation=-1e-9)),
    ("`parent.accuracy_loss` must be", _parent(accuracy_loss=1.5)),
    ("`engine.kind` is `cudnn`", _engine(kind="cudnn")),
    ("`engine.version` must be", _engine(version="ten")),
    ("`engine.compute_capability` must be", _engine(compute_capability="orin")),
    ("`engine.platform` must be", _engine(platform="Linux aarch64")),
    ("go together", _then(_plan, lambda m: m.pop("engine"))),
    ("go together", _then(_plan, lambda m: m.pop("parent"))),
    ("go together", _then(_int8, lambda m: m.update(engine=ENGINE))),
    ("only a `fused` model has `parts`", _then(_int8, lambda m: m.update(parts={"primary": DIGEST}))),
    ("only a `fused` model has a `parent.how`", _parent(how="fused")),
    ("only a `fused` model has an output", lambda m: m["outputs"].append(_scalar("certainty"))),
    ("needs `parts`", _of_fused(lambda m: m.pop("parts"))),
    ("needs `parts`", _of_fused(lambda m: m["parts"].pop("primary"))),
    ("needs `parts`", _of_fused(lambda m: m["parts"].update(third=DIGEST))),
    ("`parts.filter` must be 64", _of_fused(lambda m: m["parts"].update(filter="x"))),
    ("needs a `parent`", _of_fused(lambda m: m.pop("parent"))),
    ("needs a `parent`", _of_fused(lambda m: m["parent"].update(digest=OTHER))),
    ("not quantised as a whole", _of_fused(lambda m: m["parent"].update(how="int8"))),
    ("canonical picture", _of_fused(lambda m: m["input"].update(scale=1.0))),
    ("canonical picture", _of_fused(lambda m: m["input"].update(color="BGR"))),
    ("canonical picture", _of_fused(lambda m: m["input"].update(mean=[0, 0, 0.5]))),
    ("canonical picture", _of_fused(lambda m: m.update(temperature=1.25))),
    ("gives `probabilities`", _of_fused(lambda m: m["outputs"][0].update(meaning="logits"))),
    ("without the part `filter`", _of_fused(lambda m: m["parts"].pop("filter"))),
    ("without the part `redundant`", _of_fused(lambda m: m["parts"].pop("redundant"))),
    ("`energy` must be one number", _of_fused(lambda m: m["outputs"][2].update(shape=["N", 2]))),
]


@pytest.mark.parametrize(("words", "change"), BAD)
def test_a_false_statement_about_an_origin_is_refused(words: str, change: Change) -> None:
    with pytest.raises(AdmissionError) as caught:
        parse_manifest(manifest(change), "m")
    assert words in str(caught.value)
    assert caught.value.reason == "manifest-invalid"


def _bundle(folder: Path, change: Change, model: bytes) -> Path:
    return write_files(folder, {**good_files(), "edgeguard.json": manifest(change), "model.onnx": model})


def test_a_plan_is_admitted_without_being_read_as_onnx(tmp_path: Path, forge: Forge) -> None:
    folder = _bundle(tmp_path / "plan", _plan, PLAN)
    sign_bundle(folder, forge.private_path)
    assert admit_bundle(folder, forge.signers).model == PLAN


@pytest.mark.parametrize(
    ("change", "model", "words"),
    [
        (_int8, PLAN, "not an ONNX file"),
        (_plan, good_model(), "this is no plan"),
        (_plan, b"\0\0\0\0ORTM" + bytes(100), "this is no plan"),
        (_plan, b"ftrt", "not an engine plan"),
        (_plan, b"", "not an engine plan"),
    ],
)
def test_a_model_that_is_not_what_its_manifest_says_is_not_even_signed(
    tmp_path: Path, forge: Forge, change: Change, model: bytes, words: str
) -> None:
    folder = _bundle(tmp_path / "bundle", change, model)
    with pytest.raises(AdmissionError, match=words) as caught:
        sign_bundle(folder, forge.private_path)
    assert caught.value.reason == "model-invalid"


@given(st.binary(max_size=300))
def test_any_bytes_are_a_plan_or_refused_but_never_a_traceback(data: bytes) -> None:
    try:
        inspect_plan(data, "p")
    except AdmissionError as error:
        assert error.reason == "model-invalid"  # noqa: PT017
