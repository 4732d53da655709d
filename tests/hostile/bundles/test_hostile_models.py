"""Hostile ONNX files, each properly signed: what a model may carry besides a graph, at every place it can hide."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgeguard.admission import admit_bundle, sign_bundle
from edgeguard.admission.graph.wire import MAX_DEPTH
from edgeguard.admission.inspection import inspect_onnx
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import Forge, good_files, good_model, write_files
from tests.refusals import Refused

Model = Any
Build = Callable[[], bytes]


def external(location: str = "weights.bin", **entries: str) -> TensorProto:
    """Return a tensor whose values lie in another file."""
    tensor = TensorProto(name="outside", data_type=TensorProto.FLOAT, dims=[2, 2])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def changed(change: Callable[[Model], object]) -> Build:
    """Change the good model."""

    def build() -> bytes:
        model = onnx.load_from_string(good_model())
        change(model)
        return bytes(model.SerializeToString())

    return build


def initializer(tensor: TensorProto) -> Build:
    """Add an initializer to the main graph."""
    return changed(lambda m: m.graph.initializer.append(tensor))


def node(**attributes: Any) -> onnx.NodeProto:
    """Return a node with these attributes."""
    return helper.make_node("Constant", [], ["c"], **attributes)


def sparse(values: TensorProto, indices: TensorProto) -> onnx.SparseTensorProto:
    """Return a sparse tensor."""
    return helper.make_sparse_tensor(values, indices, [4])


def graph(*nodes: onnx.NodeProto, tensors: tuple[TensorProto, ...] = ()) -> onnx.GraphProto:
    """Return a graph without inputs."""
    return helper.make_graph(list(nodes), "inner", [], [], list(tensors))


def _inside(depth: int) -> onnx.NodeProto:
    """Hide an external tensor under `depth` subgraphs."""
    hidden = node(value=external())
    for _ in range(depth):
        hidden = helper.make_node("If", ["c"], ["o"], then_branch=graph(hidden))
    return hidden


def _function(*nodes: onnx.NodeProto) -> Callable[[Model], object]:
    return lambda m: m.functions.append(
        helper.make_function("local", "F", [], ["c"], list(nodes), [helper.make_opsetid("", 17)])
    )


def _function_default(model: Model) -> None:
    _function(node(value_int=1))(model)
    model.functions[0].attribute_proto.append(helper.make_attribute("weights", external()))


def _only(**fields: Any) -> TensorProto:
    """Return a tensor with just one of the two marks of external data."""
    tensor = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[1], raw_data=b"\0\0\0\0")
    if "location" in fields:
        tensor.data_location = fields["location"]
    else:
        tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return file.getvalue()


def array(values: Any) -> bytes:
    """Return a NumPy file."""
    file = io.BytesIO()
    np.save(file, values, allow_pickle=True)
    return file.getvalue()


PLAIN = helper.make_tensor("plain", TensorProto.FLOAT, [1], [1.0])
INDICES = helper.make_tensor("indices", TensorProto.INT64, [1], [0])


def _training(model: Model) -> None:
    model.training_info.add().algorithm.CopyFrom(graph(node(value=external())))


def _deep(depth: int) -> bytes:
    """Nest messages of the right kind (graph, node, attribute) without end, by hand: parsers give up much earlier."""
    inner = b""
    for i in range(depth):
        tag = (b"\x0a", b"\x2a", b"\x32")[(depth - 1 - i) % 3]  # graph.node, node.attribute, attribute.g
        inner = tag + _length(inner) + inner
    return b"\x3a" + _length(inner) + inner


def _length(data: bytes) -> bytes:
    size, out = len(data), b""
    while size > 0x7F:
        out += bytes([size & 0x7F | 0x80])
        size >>= 7
    return out + bytes([size])


def _ort_format() -> bytes:
    """Bytes that are a valid ONNX model and that onnxruntime would read as its own format: the producer is `..ORTM`."""
    model = onnx.load_from_string(good_model())
    model.producer_name = ""
    rest = model.SerializeToString()
    return b"\x12\x08..ORTM.." + bytes(rest)


EXTERNAL: dict[str, Build] = {
    "plain": initializer(external()),
    "parent folder": initializer(external("../../etc/passwd")),
    "absolute": initializer(external("/etc/passwd")),
    "in a link": initializer(external("link")),
    "hidden weights by offset": initializer(external("model.onnx", offset="128", length="16")),
    "memory address": initializer(external("*/_ORT_MEM_ADDR_/*", offset="4096", length="16")),
    "location flag alone": initializer(_only(location=TensorProto.EXTERNAL)),
    "entries alone": initializer(_only()),
    "sparse values": changed(lambda m: m.graph.sparse_initializer.append(sparse(external(), INDICES))),
    "sparse indices": changed(lambda m: m.graph.sparse_initializer.append(sparse(PLAIN, external()))),
    "in a Constant": changed(lambda m: m.graph.node.append(node(value=external()))),
    "in a sparse Constant": changed(
        lambda m: m.graph.node.append(node(sparse_value=sparse(external(), INDICES)))
    ),
    "in a list of tensors": changed(lambda m: m.graph.node.append(node(tensors=[PLAIN, external()]))),
    "in a list of sparse tensors": changed(
        lambda m: m.graph.node.append(node(tensors=[sparse(PLAIN, external())]))
    ),
    "in a subgraph": changed(lambda m: m.graph.node.append(_inside(1))),
    "in an initializer of a subgraph": changed(
        lambda m: m.graph.node.append(helper.make_node("If", ["c"], ["o"], e=graph(tensors=(external(),))))
    ),
    "in a list of subgraphs": changed(
        lambda m: m.graph.node.append(helper.make_node("X", [], ["o"], gs=[graph(), graph(_inside(0))]))
    ),
    "in a deep subgraph": changed(lambda m: m.graph.node.append(_inside(20))),
    "in a function": changed(_function(node(value=external()))),
    "in a default of a function": changed(_function_default),
    "in a training graph": changed(_training),
    "entries that are a number": lambda: good_model() + b"\x3a\x04\x2a\x02\x68\x00",
    "location that is text": lambda: good_model() + b"\x3a\x04\x2a\x02\x72\x00",
    "in an initialization for training": changed(
        lambda m: m.training_info.add().initialization.CopyFrom(graph(node(value=external())))
    ),
    "in a second graph that a parser merges": lambda: (
        good_model() + onnx.ModelProto(graph=graph(tensors=(external(),))).SerializeToString()
    ),
}

INVALID: dict[str, Build] = {
    "empty": lambda: b"",
    "text": lambda: b"not a model at all",
    "zip, as PyTorch saves": lambda: b"PK\x03\x04" + bytes(60),
    "no graph": lambda: onnx.ModelProto(ir_version=8).SerializeToString(),
    "functions but no graph": lambda: onnx.ModelProto(
        functions=[helper.make_function("local", "F", [], ["c"], [node(value_int=1)], [])]
    ).SerializeToString(),
    "cut off": lambda: good_model()[:-5],
    "one byte more": lambda: good_model() + b"\x3a",
    "field that is longer than the file": lambda: good_model() + b"\x12\xff\xff\xff\xff\x7f",
    "number that does not end": lambda: good_model() + b"\x08" + b"\xff" * 20,
    "overlong tag": lambda: good_model() + b"\xba\x80\x80\x80\x80\x80\x00\x00",
    "tag beyond 32 bits": lambda: good_model() + b"\xba\xff\xff\xff\x7f\x00",
    "field number 0": lambda: good_model() + b"\x02\x00",
    "group": lambda: good_model() + b"\x1b\x1c",
    "unknown wire type": lambda: good_model() + b"\x1e",
    "graph that is a number": lambda: good_model() + b"\x38\x01",
    "node without an operator": lambda: good_model() + b"\x3a\x04\x0a\x02\x22\x00",
    "operator that is a number": lambda: good_model() + b"\x3a\x04\x0a\x02\x20\x01",
    "nested too deep": lambda: _deep(MAX_DEPTH),
    "nested 3,000 deep": lambda: _deep(3_000),
    "onnxruntime's own format": lambda: b"\x00\x00\x00\x00ORTM" + bytes(64),
    "onnxruntime's own format and ONNX at once": _ort_format,
}

PICKLES: dict[str, Build] = {
    **{f"protocol {n}": partial(pickle.dumps, {"weights": [1.0] * 100}, n) for n in range(6)},
    "that calls": lambda: b"cos\nsystem\n(S'true'\ntR.",
    "that calls, and has something behind it": lambda: b"cos\nsystem\n(S'true'\ntR." + bytes(100),
    "as PyTorch saves": lambda: archive({"archive/data.pkl": b"", "archive/data/0": bytes(16)}),
    "in an archive, under another name": lambda: archive({"weights": pickle.dumps({"a": 1})}),
    "in an archive, compressed": lambda: archive({"weights": pickle.dumps({"a": 1})}, zipfile.ZIP_DEFLATED),
    "in an archive behind a good model": lambda: good_model() + archive({"data.pkl": b""}),
    "array of objects": lambda: array(np.array([{}], dtype=object)),
    "array of objects in an archive": lambda: archive({"weights.npy": array(np.array([{}], dtype=object))}),
}

CODE: dict[str, Build] = {
    "ELF": lambda: b"\x7fELF\x02\x01\x01" + bytes(100),
    "PE": lambda: b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0" + bytes(50),
    "Mach-O": lambda: bytes.fromhex("cffaedfe") + bytes(100),
}

ENGINES: dict[str, Build] = {
    "in the graph": changed(
        lambda m: m.graph.node.append(helper.make_node("EPContext", [], ["o"], domain="com.microsoft"))
    ),
    "of another domain": changed(lambda m: m.graph.node.append(helper.make_node("EPContext", [], ["o"]))),
    "in a subgraph": changed(
        lambda m: m.graph.node.append(
            helper.make_node("If", ["c"], ["o"], t=graph(helper.make_node("EPContext", [], ["o"])))
        )
    ),
    "in a function": changed(_function(helper.make_node("EPContext", [], ["c"]))),
}

CASES = {
    **{f"external data: {name}": ("external-data", build) for name, build in EXTERNAL.items()},
    **{f"not ONNX: {name}": ("model-invalid", build) for name, build in INVALID.items()},
    **{f"pickle: {name}": ("pickle", build) for name, build in PICKLES.items()},
    **{f"machine code: {name}": ("custom-operator", build) for name, build in CODE.items()},
    **{f"engine: {name}": ("engine-context", build) for name, build in ENGINES.items()},
}


@pytest.mark.parametrize("case", CASES)
def test_hostile_model_is_refused_although_it_is_signed(
    case: str, refused_model: Callable[[bytes, str], None]
) -> None:
    reason, build = CASES[case]
    refused_model(build(), reason)


def test_nesting_is_refused_from_the_limit_on() -> None:
    with pytest.raises(AdmissionError, match="does not hold what"):  # it got to the innermost
        inspect_onnx(_deep(MAX_DEPTH - 1), "model.onnx")
    with pytest.raises(AdmissionError, match="nested deeper than 100"):
        inspect_onnx(_deep(MAX_DEPTH), "model.onnx")


def test_hostile_models_are_not_signed_either(folder: Path, forge: Forge, refused: Refused) -> None:
    (folder / "model.onnx").write_bytes(EXTERNAL["plain"]())
    refused(lambda: sign_bundle(folder, forge.private_path), "external-data", "model.onnx")


def test_subgraphs_functions_and_sparse_tensors_are_not_refused_for_themselves(
    tmp_path: Path, forge: Forge
) -> None:
    model = onnx.load_from_string(good_model())
    model.graph.sparse_initializer.append(sparse(PLAIN, INDICES))
    model.graph.initializer.append(helper.make_tensor("truth", TensorProto.BOOL, [], [True]))
    branch = helper.make_graph([node(value=PLAIN)], "b", [], [helper.make_empty_tensor_value_info("c")])
    model.graph.node.append(helper.make_node("If", ["truth"], ["o"], then_branch=branch, else_branch=branch))
    _function(node(value=PLAIN))(model)
    model.opset_import.append(helper.make_opsetid("local", 1))
    model.graph.node.append(helper.make_node("F", [], ["f"], domain="local"))
    model.graph.initializer[0].data_location = TensorProto.DEFAULT
    files = {**good_files(), "model.onnx": bytes(model.SerializeToString())}
    folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
    assert admit_bundle(folder, forge.signers).model == files["model.onnx"]


def test_the_word_ep_context_is_refused_only_as_an_operator(folder: Path, forge: Forge) -> None:
    model = onnx.load_from_string(good_model())
    model.graph.node.append(
        helper.make_node("Constant", [], ["EPContext"], name="EPContext", value_string="EPContext")
    )
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    sign_bundle(folder, forge.private_path)
    assert admit_bundle(folder, forge.signers).model == model.SerializeToString()


def test_onnxruntime_does_take_its_own_format_for_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why these bytes are refused: the engine looks at byte 4 before it tries ONNX."""
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "1")
    runtime = pytest.importorskip("onnxruntime")
    onnx.load_from_string(_ort_format())
    with pytest.raises(Exception, match="ORT model"):
        runtime.InferenceSession(_ort_format())


def test_a_model_of_very_many_fields_is_refused_soon(
    forge: Forge, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeguard.admission.graph.wire.MAX_FIELDS", 20)
    with pytest.raises(AdmissionError, match="more than 20 fields"):
        admit_bundle(folder, forge.signers)


BAD_NAMES = {
    **{
        f"weights{suffix}": "pickle"
        for suffix in (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".PT")
    },
    **{f"libops{suffix}": "custom-operator" for suffix in (".so", ".so.1.2", ".dll", ".dylib", ".pyd")},
}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_files_that_run_code_are_refused_by_their_name(
    name: str, tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    files = {**good_files(), name: b"anything"}
    folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
    refused(lambda: admit_bundle(folder, forge.signers), BAD_NAMES[name], name)


@pytest.mark.parametrize("case", [*PICKLES, *CODE])
def test_files_that_run_code_are_refused_under_a_harmless_name(
    case: str, tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    files = {**good_files(), "notes/README.txt": (PICKLES | CODE)[case]()}
    folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
    reason = "pickle" if case in PICKLES else "custom-operator"
    refused(lambda: admit_bundle(folder, forge.signers), reason, "notes/README.txt")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"(see below)\n.\n",
        b"MZ is where this text begins",
        array(np.zeros(3)),
        archive({"a.npy": array(np.zeros(3)), "readme": b"text"}, zipfile.ZIP_DEFLATED),
        b'{"a": 1}',
        "# Größe\n\n| a | b |\n".encode(),
    ],
)
def test_text_and_plain_arrays_are_no_pickles(data: bytes, tmp_path: Path, forge: Forge) -> None:
    files = {**good_files(), "notes": data}
    folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
    assert admit_bundle(folder, forge.signers).model == good_model()


@pytest.mark.parametrize("field", [4, 5, 8, 9])
def test_only_tensors_go_in_and_come_out(field: int, tmp_path: Path, forge: Forge, refused: Refused) -> None:
    """Sequences, maps, sparse and optional values: what is in such a type is not read, so nothing may be of it."""
    data = good_model()
    declared = b"\x12\x0f\x0a\x0d\x08\x01\x12\x09\x0a\x03\x12\x01N\x0a\x02\x08\x02"
    assert declared in data
    other = declared[:2] + bytes([field << 3 | 2]) + declared[3:]
    files = {**good_files(), "model.onnx": data.replace(declared, other)}
    write_files(tmp_path, {**files, "model.sig": forge.sign_files(files)})
    refused(lambda: admit_bundle(tmp_path, forge.signers), "model-invalid", "model.onnx")
