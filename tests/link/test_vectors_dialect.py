"""One dialect, written down four times: edgeguard.xml, the firmware, the Python side and the vectors."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from edgeguard.link import messages, wire

ROOT = Path(__file__).parents[2]
LINK = ROOT / "firmware_stubs" / "link"
FOLDER = ROOT / "tests" / "vectors" / "link"
ROWS = json.loads((FOLDER / "derive.json").read_text(encoding="ascii"))["messages"]
KEYS = json.loads((FOLDER / "frames.json").read_text(encoding="ascii"))["keys"]
VALID = [
    vector
    for vector in json.loads((FOLDER / "frames.json").read_text(encoding="ascii"))["vectors"]
    for event in vector["events"][:1]
    if len(vector["bytes"]) == len(event.get("payload", "")) + 50
]
"""A frame and nothing else."""
SESSION = json.loads((FOLDER / "session.json").read_text(encoding="ascii"))
AUTHENTIC = {
    step["bytes"]
    for role in ("microcontroller", "host", "operator")
    for vector in SESSION[role]
    for step in vector["steps"]
    if step["do"] == "receive"
    and step.get("refusal", 0) != 16
    and step.get("accepted", True)
    and "crc_errors" not in step
}
CLASSES: dict[str, Any] = {
    "HELLO": messages.Hello,
    "OPEN": messages.Open,
    "COMMAND": messages.Request,
    "STATUS": messages.Status,
    "OFFER": messages.Offer,
}

each_message = pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])


def from_xml(number: int) -> ET.Element:
    (found,) = (
        message
        for message in ET.parse(LINK / "edgeguard.xml").iter("message")  # noqa: S314 - a file of this repository
        if message.get("id") == str(number)
    )
    return found


@each_message
def test_xml_has_the_fields_of_the_vectors(row: dict[str, Any]) -> None:
    # The names only: a string of 8 bytes is a uint64_t to MAVLink.
    message = from_xml(row["number"])
    fields = [(field.get("name"), field.get("type")) for field in message.iter("field")]
    kinds = {"8 bytes": "uint64_t", "16 bytes": "uint8_t[16]"}
    expected = [(f["name"], kinds.get(f["type"], f"{f['type']}_t")) for f in row["fields"]]
    assert (message.get("name"), fields) == (f"EG_{row['name']}", expected)


@each_message
def test_firmware_has_the_number_size_and_crc_extra_of_the_vectors(row: dict[str, Any]) -> None:
    defined = dict(re.findall(r"#define (EG_\w+) (\d+)u", (LINK / "eg_wire.h").read_text(encoding="ascii")))
    extras = dict(re.findall(r"\{(EG_\w+), EG_\w+_SIZE, (\d+)u\}", (LINK / "eg_wire.c").read_text("ascii")))
    name = f"EG_{row['name']}"
    found = (defined[name], defined[f"{name}_SIZE"], extras[name])
    assert found == (str(row["number"]), str(row["payload_size"]), str(row["crc_extra"]))


@each_message
def test_python_has_the_fields_of_the_vectors(row: dict[str, Any]) -> None:
    assert wire.DIALECT[row["number"]] == (row["payload_size"], row["crc_extra"])
    fields = [
        "nonce" if (row["name"], f["name"]) == ("HELLO", "mcu_nonce") else f["name"] for f in row["fields"]
    ]
    assert list(CLASSES[row["name"]]._fields) == fields
    end = row["fields"][-1]
    assert end["offset"] + 1 == row["payload_size"]


# ---- pymavlink, where it is installed: it knows MAVLink 2 and nothing of us ------------------------------------------


@pytest.fixture(scope="session")
def dialect(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The Python module that pymavlink generates from our XML."""
    reason = "pymavlink is an oracle of the tests only: `pip install pymavlink==2.4.50` to run them"
    mavgen = pytest.importorskip("pymavlink.generator.mavgen", reason=reason)
    target = tmp_path_factory.mktemp("mavlink") / "edgeguard_dialect"
    options = mavgen.Opts(str(target), wire_protocol="2.0", language="Python3", validate=False)
    assert mavgen.mavgen(options, [str(LINK / "edgeguard.xml")])
    spec = importlib.util.spec_from_file_location("edgeguard_dialect", target.with_suffix(".py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parser_of(dialect: ModuleType, key: bytes) -> Any:
    parser = dialect.MAVLink(None)
    parser.robust_parsing = False
    parser.signing.secret_key = key
    parser.signing.sign_outgoing = False
    parser.signing.timestamp = 0
    return parser


@each_message
def test_pymavlink_computes_the_same_crc_extra_size_and_order(
    dialect: ModuleType, row: dict[str, Any]
) -> None:
    kind = dialect.mavlink_map[row["number"]]
    assert kind.crc_extra == row["crc_extra"]
    assert kind.unpacker.size == row["payload_size"]
    assert list(kind.ordered_fieldnames) == [field["name"] for field in row["fields"]]


@pytest.mark.parametrize("vector", VALID, ids=lambda vector: vector["name"])
def test_pymavlink_reads_every_right_frame(dialect: ModuleType, vector: dict[str, Any]) -> None:
    (event,) = vector["events"]
    key = bytes.fromhex(KEYS["host" if event["link"] < 2 else "operator"])
    parser = parser_of(dialect, key)
    message = parser.parse_char(bytes.fromhex(vector["bytes"]))
    assert parser.signing.sig_count == 1
    assert parser.signing.badsig_count == 0
    assert message.get_type() == f"EG_{event['message']}"
    assert (message.get_srcSystem(), message.get_srcComponent()) == (event["system"], event["component"])
    found = {name: _plain(getattr(message, name), value) for name, value in event["fields"].items()}
    assert found == event["fields"]


@pytest.mark.parametrize("vector", VALID, ids=lambda vector: vector["name"])
def test_pymavlink_refuses_every_right_frame_under_another_key(
    dialect: ModuleType, vector: dict[str, Any]
) -> None:
    parser = parser_of(dialect, bytes(32))
    with pytest.raises(dialect.MAVError, match="signature"):
        parser.parse_char(bytes.fromhex(vector["bytes"]))


def test_pymavlink_takes_every_authentic_frame_of_the_sessions(dialect: ModuleType) -> None:
    for text in sorted(AUTHENTIC):
        raw = bytes.fromhex(text)
        if len(raw) == raw[1] + 25:
            parser = parser_of(dialect, bytes.fromhex(KEYS["host" if wire.link_of(raw) < 2 else "operator"]))
            assert parser.parse_char(raw).get_msgId() == int.from_bytes(raw[7:10], "little")
            assert (parser.signing.sig_count, parser.signing.badsig_count) == (1, 0)


def _plain(value: Any, like: int | str) -> int | str:
    if isinstance(value, list):
        return bytes(value).hex()
    return int(value).to_bytes(8, "little").hex() if isinstance(like, str) else int(value)
