"""Builders of good bundles and of forged signatures, for every test that needs something to admit or to refuse.

A `Forge` signs anything at all with a real key, which `edgeguard sign` would not do. For tests only.
"""

from __future__ import annotations

import base64
import copy
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx import TensorProto, helper

from edgeguard.admission.envelope import MEDIA_TYPE, PAYLOAD_TYPE, pre_authentication_encoding
from edgeguard.admission.keys import PrivateKey, load_private_key, new_key
from edgeguard.admission.statement import PREDICATE_TYPE, STATEMENT_TYPE
from edgeguard.admission.trust import Trust

Json = dict[str, Any]

MANIFEST: Json = {
    "edgeguard": 1,
    "name": "signs-primary",
    "version": "1.0.0",
    "security_version": 3,
    "role": "primary",
    "file": "model.onnx",
    "input": {
        "name": "image",
        "dtype": "float32",
        "shape": ["N", 3, 4, 4],
        "layout": "NCHW",
        "color": "RGB",
        "resize": "area",
        "scale": 0.00392156862745098,
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
    },
    "outputs": [{"name": "logits", "dtype": "float32", "shape": ["N", 2], "meaning": "logits"}],
    "classes": ["none", "stop"],
    "temperature": 1.25,
}


@functools.cache
def good_model() -> bytes:
    """Return a small ONNX classifier: global average, then two of the three channels."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, [3, 2], [1.0, 0.0, 0.0, 1.0, 0.5, 0.5])
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 4, 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def manifest(change: Callable[[Json], object] = lambda _: None) -> bytes:
    """Return the bytes of a good manifest after `change` was applied to its values."""
    values = copy.deepcopy(MANIFEST)
    change(values)
    return json.dumps(values, indent=2).encode()


def good_files() -> dict[str, bytes]:
    """Return the files of a good bundle, without the signature."""
    return {
        "CARD.md": b"# signs-primary\n\nMade for tests.\n",
        "edgeguard.json": manifest(),
        "model.onnx": good_model(),
    }


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a folder, making it and the folders in it. Returns the folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def sha256(data: bytes) -> str:
    """Return the hex digest."""
    return hashlib.sha256(data).hexdigest()


def resource(name: str, data: bytes) -> Json:
    """Return the entry of a statement for one file."""
    return {"name": name, "algorithm": "sha256", "digest": sha256(data)}


def statement_of(resources: list[Json], subject: str = "bundle") -> Json:
    """Return a statement whose root digest fits its resources."""
    root = sha256(b"".join(bytes.fromhex(r["digest"]) for r in resources))
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": subject, "digest": {"sha256": root}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
            "resources": resources,
        },
    }


def good_statement() -> Json:
    """Return the statement over `good_files`."""
    return statement_of([resource(name, data) for name, data in sorted(good_files().items())])


@dataclass(frozen=True)
class Forge:
    """A key pair on disk that signs whatever it is given."""

    private_path: Path
    public_path: Path
    key: PrivateKey

    @classmethod
    def at(cls, folder: Path, *, curve: str = "P-256", name: str = "test") -> Forge:
        """Make a new key pair in a folder."""
        private, public = folder / f"{name}.key", folder / f"{name}.pub"
        new_key(private, public, curve=curve)
        return cls(private, public, load_private_key(private))

    @property
    def signers(self) -> Trust:
        """The trusted keys of a device that trusts this forge."""
        return Trust.of([self.key.public()])

    def wrapper(self, payload: bytes) -> Json:
        """Return the Sigstore bundle over a payload, as values."""
        signature = self.key.sign(pre_authentication_encoding(payload))
        return {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": self.key.public().hint}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
            },
        }

    def sign(self, statement: Json) -> bytes:
        """Return the `.sig` file over a statement."""
        return compact(self.wrapper(compact(statement)))

    def sign_files(self, files: Mapping[str, bytes]) -> bytes:
        """Return the `.sig` file over files, whatever they hold."""
        return self.sign(statement_of([resource(name, data) for name, data in sorted(files.items())]))


def compact(value: object) -> bytes:
    """Return JSON without white space."""
    return json.dumps(value, separators=(",", ":")).encode()
