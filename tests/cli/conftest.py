"""A command line to call, tiny classifiers, pictures, and one whole project made by the verbs themselves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image as Pillow

from edgeguard.cli.app import invoke

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Said:
    """What one command line did."""

    code: int
    out: str
    err: str


Call = Callable[..., Said]
Classifier = Callable[..., Path]


@dataclass(frozen=True)
class Page:
    """A page of the documentation whose commands can be run as printed."""

    text: str

    def blocks(self, language: str) -> list[str]:
        """What stands in its fenced blocks of a language, in order."""
        return re.findall(rf"^```{language}\n(.*?)^```", self.text, re.MULTILINE | re.DOTALL)

    def run(self, folder: Path, *files: str) -> str:
        """Save its YAML blocks as `files`, run its shell blocks there, and find every line of its text blocks in what
        they print (a line that ends in `...` is left out); return that."""
        for name, text in zip(files, self.blocks("yaml"), strict=True):
            (folder / name).write_text(text)
        script = 'edgeguard() { "$PYTHON" -m edgeguard "$@"; }\n' + "".join(self.blocks("sh"))
        done = subprocess.run(
            ["bash", "-eu", "-c", script],
            cwd=folder,
            env={**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        shown = [line for block in self.blocks("text") for line in block.splitlines()]
        said = done.stdout.splitlines()
        assert [line for line in shown if not line.endswith("...") and line not in said] == []
        return done.stdout


@pytest.fixture
def page() -> Callable[[str], Page]:
    """A page by its path under `docs/`."""
    return lambda path: Page((ROOT / "docs" / path).read_text())


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command line in this process."""

    def called(*args: object) -> Said:
        capsys.readouterr()
        code = invoke([str(arg) for arg in args])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return called


def write_classifier(
    path: Path,
    *,
    shape: Sequence[Any] = ("batch", 3, 16, 16),
    probabilities: bool = False,
    kind: int = TensorProto.FLOAT,
    extra_input: bool = False,
    extra_output: bool = False,
    classes: int = 3,
    flat: bool = False,
) -> Path:
    """A classifier by mean colour: red, green, blue. `flat`: one that only takes pictures of 768 values."""
    channels_first = shape[1] == 3
    axes = [2, 3] if channels_first else [1, 2]
    rows = 768 if flat else 3 if channels_first else shape[3]
    weights = (20.0 * np.eye(rows, classes)).astype(np.float32)
    last = "scores" if probabilities else "logits"
    nodes = [
        helper.make_node("Cast", ["image"], ["picture"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["picture"], ["colour"])
        if flat
        else helper.make_node("ReduceMean", ["picture"], ["colour"], axes=axes, keepdims=0),
        helper.make_node("MatMul", ["colour", "w"], [last]),
    ]
    if probabilities:
        nodes.append(helper.make_node("Softmax", ["scores"], ["logits"], axis=1))
    inputs = [helper.make_tensor_value_info("image", kind, list(shape))]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [shape[0], classes])]
    if extra_input:
        inputs.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [1]))
    if extra_output:
        outputs.append(helper.make_tensor_value_info("colour", TensorProto.FLOAT, [shape[0], 3]))
    graph = helper.make_graph(nodes, "colours", inputs, outputs, [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def paint_pictures(folder: Path, count: int) -> Path:
    """Noisy pictures, one third each of red, green and blue."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        picture = rng.integers(0, 60, (24, 32, 3))
        picture[..., i % 3] += 120
        Pillow.fromarray(picture.astype(np.uint8)).save(folder / f"{i:04}.png")
    return folder


@pytest.fixture
def classifier(tmp_path: Path) -> Classifier:
    return lambda **changes: write_classifier(tmp_path / "model.onnx", **changes)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is signed and calibrated, made once: never change it, take `project`."""
    root = tmp_path_factory.mktemp("made")
    model = write_classifier(root / "model.onnx")
    paint_pictures(root / "pictures", 250)
    (root / "labels.txt").write_text("red\ngreen\nblue\n")
    guard, key = root / "guard", root / "guard" / "keys" / "release.key"
    steps: list[list[object]] = [
        ["init", model, "--labels", root / "labels.txt", "--output", guard, "--name", "colours"],
        ["sign", guard / "models" / "primary", "--key", key],
        ["calibrate", guard / "policy.yaml", "--data", root / "pictures", "--key", key],
        ["sign", guard / "policy.yaml", "--key", key],
    ]
    for step in steps:
        assert invoke([str(part) for part in step]) == 0
    return root


@dataclass(frozen=True)
class Project:
    """A copy of the project."""

    root: Path

    @property
    def policy(self) -> Path:
        return self.root / "guard" / "policy.yaml"

    @property
    def bundle(self) -> Path:
        return self.root / "guard" / "models" / "primary"

    @property
    def key(self) -> Path:
        return self.root / "guard" / "keys" / "release.key"

    @property
    def pub(self) -> Path:
        return self.root / "guard" / "keys" / "release.pub"

    @property
    def pictures(self) -> Path:
        return self.root / "pictures"

    def change_policy(self, old: str, new: str) -> None:
        """Edit the policy and sign it again."""
        text = self.policy.read_text()
        assert old in text
        self.policy.write_text(text.replace(old, new))
        assert invoke(["sign", str(self.policy), "--key", str(self.key)]) == 0

    def run(self, *more: object) -> list[object]:
        """The command line of a short run."""
        head: list[object] = [
            "run",
            "--policy",
            self.policy,
            "--trust",
            self.pub,
            "--source",
            self.pictures,
            "--headless",
        ]
        return [*head, *more]


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Project:
    root = tmp_path / "project"
    shutil.copytree(made, root)
    return Project(root)
