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

CONTROLS: dict[str, tuple[str, str, str, str]] = {
    # What is taken out: the decoder's part, its text, what stands there instead, the list that must notice.
    "checksum": ("wire", "if (crc(join(", "if (false && crc(join(", "vectors"),
    "signature": ("wire", "if (!foreign && !(", "if (false && !(", "vectors"),
    "key by link": ("wire", "number < 2 ? keys.host : keys.operator", "keys.host", "vectors"),
    "search inside after a bad checksum": (
        "wire",
        'drop(1);\n                return { event: "bad-checksum" }',
        'drop(bytes.length);\n                return { event: "bad-checksum" }',
        "vectors",
    ),
    "search behind after a bad signature": (
        "wire",
        "this.drop(bytes.length);\n",
        "this.drop(1);\n",
        "vectors",
    ),
    "sign of a value": ("wire", "number | 0 : number", "number : number", "vectors"),
    "system and component": (
        "microcontroller",
        "return 17;\n            if (![",
        "{}\n            if (![",
        "microcontroller",
    ),
    "direction": ("microcontroller", 'if (!["0 OPEN"', 'if (false && !["0 OPEN"', "microcontroller"),
    "flags": ("microcontroller", "fields.flags !== 0x80", "false", "microcontroller"),
    "nonce": ("microcontroller", "fields.mcu_nonce !== this.nonce", "false", "microcontroller"),
    "a new nonce after an OPEN": (
        "microcontroller",
        "this.draw();\n            this.last",
        "this.last",
        "microcontroller",
    ),
    "policy of an OPEN": (
        "microcontroller",
        "fields.policy !== hex(this.digest.slice(0, 16))",
        "false",
        "microcontroller",
    ),
    "protocol": ("microcontroller", "fields.protocol !== 2", "false", "microcontroller"),
    "session": ("microcontroller", "fields.session !== this.session", "false", "microcontroller"),
    "counter": ("microcontroller", "fields.counter <= this.last[number]", "false", "microcontroller"),
    "a counter is used up": ("microcontroller", "this.last[number] = fields.counter;", "", "microcontroller"),
    "a counter each key": (
        "microcontroller",
        "<= this.last[number]",
        "<= Math.max(...Object.values(this.last))",
        "microcontroller",
    ),
    "data_id": ("microcontroller", "fields.data_id !== 0xe600 + fields.actuator", "false", "microcontroller"),
    "action": (
        "microcontroller",
        "![SET, ARM, DISARM, RELEASE].includes(fields.action)",
        "false",
        "microcontroller",
    ),
    "key and action": (
        "microcontroller",
        "!FITS[number].includes(fields.action)",
        "false",
        "microcontroller",
    ),
    "policy of a COMMAND": ("core", "c.policy_hash !== this.policy_hash", "false", "microcontroller"),
    "age by valid_ms": ("core", "age > c.valid_ms || ", "", "microcontroller"),
    "age by the table": ("core", " || age > this.table.valid_max_ms", "", "microcontroller"),
    "age modulo 2^32": ("core", " + 4294967296) % 4294967296;", ");", "microcontroller"),
    "source": ("core", "c.source > 3", "false", "microcontroller"),
    "authority": ("core", "c.source < a.limits.authority", "false", "microcontroller"),
    "ready": ("core", "if (!this.isReady())", "if (false)", "microcontroller"),
    "latches": ("core", "if (this.latches !== 0)", "if (false)", "microcontroller"),
    "the emergency stop at a release": (
        "core",
        "if (this.pressed) return 11",
        "if (false) return 11",
        "microcontroller",
    ),
    "lost": ("core", "if (this.mode === ENABLED && this.silent(this.lost))", "if (false)", "microcontroller"),
    "a stale COMMAND starts the count again": (
        "core",
        "return this.refuse(2, null)",
        "return 2",
        "microcontroller",
    ),
    "a latch kept over a reset": ("core", "before === null ? 0 : before.latches", "0", "microcontroller"),
    "session of a STATUS": ("host", "fields.session !== this.session || ", "", "host"),
    "counter of a STATUS": ("host", " || fields.counter <= this.newest", "", "host"),
    "the policy a HELLO names": ("host", " && fields.policy === hex(this.digest.slice(0, 16))", "", "host"),
    "age of an OFFER": ("operator", "% 2 ** 32 >= 2 ** 31", "% 2 ** 32 >= 2 ** 32", "operator"),
    "policy of an OFFER": ("operator", " || offer.policy_hash !== this.policy_hash", "", "operator"),
    "a request ends": ("operator", "> PENDING_US", "> Infinity", "operator"),
}
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
    part, text, instead, noticed_by = CONTROLS[control]
    sources = {name: read(name) for name in PARTS}
    assert sources[part].count(text) == 1, "the decoder changed: say anew what this control takes out"
    sources[part] = sources[part].replace(text, instead)
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
