"""`edgeguard.json`: strict types, no unknown keys, and nothing that contradicts itself."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.admission.manifest import MAX_MANIFEST_BYTES, InputSpec, Manifest, TensorSpec, parse_manifest
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import MANIFEST, Json, manifest


def _filter(values: Json) -> None:
    values["role"] = "filter"
    values["outputs"] = [{"name": "clean", "dtype": "float32", "shape": ["N", 3, 4, 4], "meaning": "image"}]
    del values["classes"], values["temperature"]


def _novelty(values: Json) -> None:
    values["outputs"].append({"name": "novelty", "dtype": "float32", "shape": ["N"], "meaning": "novelty"})


def _nhwc(values: Json) -> None:
    values["input"].update(layout="NHWC", shape=[1, 4, 6, 3])
    values["outputs"] = [
        {"name": "p", "dtype": "float32", "shape": [1, 2], "meaning": "probabilities"},
        {"name": "features", "dtype": "float16", "shape": [1, 7, 7, 64]},
    ]


def test_good_manifest_gives_typed_values() -> None:
    assert parse_manifest(manifest(), "m") == Manifest(
        name="signs-primary",
        version="1.0.0",
        security_version=3,
        role="primary",
        file="model.onnx",
        input=InputSpec(
            name="image",
            dtype="float32",
            shape=("N", 3, 4, 4),
            layout="NCHW",
            color="RGB",
            resize="area",
            scale=0.00392156862745098,
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
        ),
        outputs=(TensorSpec("logits", "float32", ("N", 2), "logits"),),
        classes=("none", "stop"),
        temperature=1.25,
    )


@pytest.mark.parametrize("change", [_filter, _novelty, _nhwc, lambda m: m.update(role="redundant")])
def test_other_kinds_of_model_are_accepted(change: Callable[[Json], object]) -> None:
    parse_manifest(manifest(change), "m")


def test_endless_manifest_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(AdmissionError, match="manifest-invalid: it is larger than"):
        parse_manifest(manifest() + b" " * 2**20, "m")


def test_temperature_may_be_left_out() -> None:
    assert parse_manifest(manifest(lambda m: m.pop("temperature")), "m").temperature == 1.0


def _input(**values: object) -> Callable[[Json], object]:
    return lambda m: m["input"].update(values)


@pytest.mark.parametrize(
    "values",
    [{"version": "1"}, {"version": "v" * 64}, {"security_version": 0}, {"security_version": 2**31 - 1}],
)
def test_what_is_just_within_bounds_is_accepted(values: Json) -> None:
    found = parse_manifest(manifest(lambda m: m.update(values)), "m")
    assert {key: getattr(found, key) for key in values} == values


def test_a_version_is_not_endless() -> None:
    with pytest.raises(AdmissionError, match="`version` must be 1 to 64"):
        parse_manifest(manifest(lambda m: m.update(version="v" * 65)), "m")


def test_the_largest_manifest_is_accepted_itself() -> None:
    data = manifest()
    parse_manifest(data + b" " * (MAX_MANIFEST_BYTES - len(data)), "m")
    with pytest.raises(AdmissionError, match="larger than"):
        parse_manifest(data + b" " * (MAX_MANIFEST_BYTES - len(data) + 1), "m")


@pytest.mark.parametrize("data", [b"[]", b"7", b'"x"', b"null"])
def test_a_manifest_is_an_object(data: bytes) -> None:
    with pytest.raises(AdmissionError, match="manifest-invalid: it is not an object: correct"):
        parse_manifest(data, "m")


@pytest.mark.parametrize("key", ["scale", "std", "mean", "temperature"])
def test_an_endless_number_is_no_number(key: str) -> None:
    endless = 7.25 if key in ("scale", "temperature") else [7.25, 7.25, 7.25]

    def change(values: Json) -> None:
        (values if key == "temperature" else values["input"])[key] = endless

    with pytest.raises(AdmissionError, match="`1e999` is larger than any number"):
        parse_manifest(manifest(change).replace(b"7.25", b"1e999"), "m")


def test_the_largest_side_is_accepted_itself() -> None:
    assert parse_manifest(manifest(_input(shape=["N", 3, 65_536, 1])), "m").input.shape == ("N", 3, 65_536, 1)
    with pytest.raises(AdmissionError, match="must be 1 to 65536"):
        parse_manifest(manifest(_input(shape=["N", 3, 65_537, 1])), "m")


def _output(**values: object) -> Callable[[Json], object]:
    return lambda m: m["outputs"][0].update(values)


def _both(*changes: Callable[[Json], object]) -> Callable[[Json], object]:
    return lambda m: [change(m) for change in changes]


BAD: list[tuple[str, Callable[[Json], object]]] = [
    ("`edgeguard` must be 1", lambda m: m.update(edgeguard=2)),
    ("`edgeguard` must be 1", lambda m: m.update(edgeguard=True)),
    ("`edgeguard` must be 1", lambda m: m.update(edgeguard="1")),
    ("`edgeguard` must be 1", lambda m: m.pop("edgeguard")),
    ("unknown key `nmae`, did you mean `name`", lambda m: m.update(nmae="x")),
    ("unknown key `zzzzzz`", lambda m: m.update(zzzzzz=1)),
    ("unknown key `input.layuot`, did you mean `input.layout`", _input(layuot="NCHW")),
    ("unknown key `outputs[0].meening`", _output(meening="logits")),
    ("missing key `name`", lambda m: m.pop("name")),
    ("missing key `scale` at `input`", lambda m: m["input"].pop("scale")),
    ("expected object, got list at `input`", lambda m: m.update(input=[])),
    ("expected list, got text at `outputs`", lambda m: m.update(outputs="x")),
    ("expected object, got text at `outputs[0]`", lambda m: m.update(outputs=["x"])),
    ("expected whole number or text, got number at `input.shape[1]`", _input(shape=["N", 3.0, 4, 4])),
    ("`name` is null: give it a value", lambda m: m.update(name=None)),
    ("`name` must be", lambda m: m.update(name="a b")),
    ("`name` must be", lambda m: m.update(name="")),
    ("`name` must be", lambda m: m.update(name="a" * 65)),
    ("`version` must be", lambda m: m.update(version="")),
    ("`version` must be", lambda m: m.update(version="1\n2")),
    ("got number at `security_version`", lambda m: m.update(security_version=1.5)),
    ("got true or false at `security_version`", lambda m: m.update(security_version=True)),
    ("got text at `security_version`", lambda m: m.update(security_version="3")),
    ("`security_version` must be", lambda m: m.update(security_version=-1)),
    ("`security_version` must be", lambda m: m.update(security_version=2**31)),
    ("`role` is `boss`", lambda m: m.update(role="boss")),
    ("`temperature` must be above 0", lambda m: m.update(temperature=0)),
    ("`temperature` must be above 0", lambda m: m.update(temperature=-1.0)),
    ("`input.name` is empty", _input(name="")),
    ("`input.dtype` is `int64`", _input(dtype="int64")),
    ("`input.layout` is `CHW`", _input(layout="CHW")),
    ("`input.color` is `YUV`", _input(color="YUV")),
    ("`input.resize` is `magic`", _input(resize="magic")),
    ("`input.shape[2]` must be 1", _input(shape=["N", 3, 0, 4])),
    ("`input.shape[2]` must be 1", _input(shape=["N", 3, 10**9, 4])),
    ("`input.shape[2]` must be a whole number", _input(shape=["N", 3, "H", 4])),
    ("`input.shape[0]` must be a whole number", _input(shape=["batch size", 3, 4, 4])),
    ("`input.shape` must have four axes", _input(shape=["N", 3, 4])),
    ("`input.shape` must have four axes", _input(shape=[])),
    ("`input.shape` must have four axes", _input(shape=["N", 4, 4, 3])),
    ("`input.shape` must have four axes", _input(layout="NHWC")),
    ("`input.scale` must be above 0", _input(scale=0)),
    ("`input.mean` must be 3 numbers", _input(mean=[0, 0])),
    ("`input.std` must be 3 numbers above 0", _input(std=[1, 1, 0])),
    ("`input.std` must be 3 numbers above 0", _input(std=[1, 1, -1])),
    ("`input.std` must be 3 numbers above 0", _input(std=[])),
    ("`outputs` is empty", lambda m: m.update(outputs=[])),
    ("the same name twice", lambda m: m["outputs"].append({**m["outputs"][0], "meaning": ""})),
    ("empty name", _output(name="")),
    ("`outputs[0].dtype` is", _output(dtype="double")),
    ("`outputs[0].meaning` is", _output(meaning="logit")),
    ("`outputs[0].shape[1]` must be", _output(shape=["N", "C"])),
    ("must begin with the batch", _output(shape=["B", 2])),
    ("must begin with the batch", _output(shape=[1, 2])),
    ("must begin with the batch", _output(shape=[])),
    (
        "two `outputs` have the same `meaning`",
        lambda m: m["outputs"].append({**m["outputs"][0], "name": "b"}),
    ),
    ("one output must have the meaning", _output(meaning="")),
    ("one output must have the meaning", _output(meaning="image")),
    (
        "and none `image`",
        lambda m: m["outputs"].append(
            {"name": "picture", "dtype": "float32", "shape": ["N", 3, 4, 4], "meaning": "image"}
        ),
    ),
    ("must have two axes", _output(shape=["N", 3])),
    ("must have two axes", _output(shape=["N"])),
    ("`classes` must be", lambda m: m.update(classes=["stop", "stop"])),
    ("`classes` must be", lambda m: m.update(classes=["stop"])),
    ("`classes` must be", lambda m: m.update(classes=["", "stop"])),
    ("`classes` must be", lambda m: m.pop("classes")),
    ("a filter must have one output", _both(_filter, _output(meaning="logits"))),
    ("shape of its input", _both(_filter, _output(shape=["N", 3, 8, 8]))),
    ("a filter has no `classes`", _both(_filter, lambda m: m.update(classes=["a", "b"]))),
    ("a filter has no `classes`", _both(_filter, lambda m: m.update(temperature=2.0))),
]


@pytest.mark.parametrize(("words", "change"), BAD)
def test_bad_manifest_is_refused_in_words_that_name_the_key(
    words: str, change: Callable[[Json], object]
) -> None:
    with pytest.raises(AdmissionError) as caught:
        parse_manifest(manifest(change), "bundle/edgeguard.json")
    message = str(caught.value)
    assert words in message
    assert caught.value.reason == "manifest-invalid"
    assert message.endswith("correct the file, then sign again")


@pytest.mark.parametrize(
    ("words", "data"),
    [
        ("not an object", b"[]"),
        ("not JSON (line 1, column 2)", b"{"),
        ("not UTF-8", b"\xff"),
        ("occurs twice", manifest()[:-2] + b', "name": "other"}'),
        ("not a JSON number", manifest().replace(b"1.25", b"NaN")),
        ("not a JSON number", manifest().replace(b"1.25", b"Infinity")),
        ("`1e999` is larger than any number", manifest().replace(b"1.25", b"1e999")),
        (
            "`-1e999` is larger than any number",
            json.dumps(MANIFEST).replace("[0, 0, 0]", "[0, 0, -1e999]").encode(),
        ),
        ("deeper than 32", b'{"edgeguard": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    ],
)
def test_bytes_that_are_no_manifest_are_refused(words: str, data: bytes) -> None:
    with pytest.raises(AdmissionError) as caught:
        parse_manifest(data, "m")
    assert words in str(caught.value)


@given(
    key=st.sampled_from(
        [*MANIFEST, *(f"input.{k}" for k in MANIFEST["input"]), "outputs.0.shape", "classes.0"]
    ),
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=2),
        max_leaves=4,
    ),
)
def test_any_value_at_any_key_is_accepted_or_refused_but_never_a_traceback(key: str, value: object) -> None:
    def change(values: Json) -> None:
        *way, last = key.split(".")
        place: object = values
        for step in way:
            place = place[int(step) if step.isdigit() else step]  # type: ignore[index]
        place[int(last) if last.isdigit() else last] = value  # type: ignore[index]

    with contextlib.suppress(AdmissionError):
        assert isinstance(parse_manifest(manifest(change), "m"), Manifest)
