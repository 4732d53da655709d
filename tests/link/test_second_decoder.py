"""The protocol written a second time, in JavaScript, from its page alone: it must agree with every vector.

The decoder (tests/link/decoder/) runs in quickjs. Nothing of the package may be used here or there.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DECODER = ROOT / "tests" / "link" / "decoder"
FOLDER = ROOT / "tests" / "vectors" / "link"
PARTS = ("sha256", "wire", "core", "microcontroller", "host", "operator", "judge")
FILES: dict[str, Any] = {
    name: json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii"))
    for name in ("derive", "frames", "session")
}
VECTORS = [
    pytest.param(name, part, index, id=f"{part}-{vector.get('name', index)}")
    for name, file in FILES.items()
    for part, vectors in file.items()
    if isinstance(vectors, list) and part != "host_nonces"
    for index, vector in enumerate(vectors)
]
Judge = Callable[[str, str, int], Any]

CONTROLS: dict[str, dict[str, str]] = {
    row["name"]: row for row in json.loads((DECODER / "controls.json").read_text(encoding="ascii"))
}
"""What is taken out: the decoder's `part`, its `text`, what stands there `instead`, the list that must notice."""
LISTS = {"vectors": "frames", "microcontroller": "session", "host": "session", "operator": "session"}


def read(part: str) -> str:
    return (DECODER / f"{part}.js").read_text(encoding="utf-8")


def judge_of(sources: dict[str, str]) -> Judge:
    """A function that gives the differences between the decoder of `sources` and one vector: none is agreement."""
    quickjs = pytest.importorskip(
        "quickjs", reason="quickjs is not installed: `make setup` does it where it exists"
    )
    context = quickjs.Context()
    for source in sources.values():
        context.eval(source)
    context.eval("var files = {}")

    def judge(name: str, part: str, index: int) -> Any:
        if not context.eval(f"{name!r} in files"):
            context.set("text", (FOLDER / f"{name}.json").read_text(encoding="ascii"))
            context.eval(f"files.{name} = JSON.parse(text)")
        return json.loads(
            context.eval(f"JSON.stringify(edgeguardLink.judge(files.{name}, {part!r}, {index}))")
        )

    return judge


@pytest.fixture(scope="module")
def judge() -> Judge:
    return judge_of({part: read(part) for part in PARTS})


@pytest.mark.parametrize(("name", "part", "index"), VECTORS)
def test_second_decoder_agrees(judge: Judge, name: str, part: str, index: int) -> None:
    assert judge(name, part, index) == []


@pytest.mark.parametrize("control", CONTROLS)
def test_vectors_notice_what_is_taken_out_of_the_decoder(control: str) -> None:
    row = CONTROLS[control]
    part, text, noticed_by = row["part"], row["text"], row["noticed_by"]
    sources = {name: read(name) for name in PARTS}
    assert sources[part].count(text) == 1, "the decoder changed: say anew what this control takes out"
    sources[part] = sources[part].replace(text, row["instead"])
    judge = judge_of(sources)
    name = LISTS[noticed_by]
    assert any(judge(name, noticed_by, index) for index in range(len(FILES[name][noticed_by])))


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_second_decoder_agrees_by_hand_too() -> None:
    done = subprocess.run(
        ["node", str(DECODER / "run.js")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == (
        f"{len(VECTORS)}/{len(VECTORS)} vectors agreed\n",
        "",
        0,
    )
