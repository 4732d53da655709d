"""The trust core: it does no I/O, its JSON has one meaning, its protobuf reader agrees with the real one."""

from __future__ import annotations

import ast
import contextlib
import json
import re
from pathlib import Path
from typing import get_args

import pytest
from google.protobuf import empty_pb2
from hypothesis import given
from hypothesis import strategies as st

import edgeguard.admission
from edgeguard.admission import strictjson
from edgeguard.admission.bundle import verify_signature
from edgeguard.admission.envelope import MAX_SIGNATURE_BYTES
from edgeguard.admission.protobuf import BYTES, FIXED32, FIXED64, VARINT, WireError, read_fields
from edgeguard.admission.reasons import Reason, refusal, shown
from edgeguard.admission.trust import Trust
from edgeguard.errors import AdmissionError

HOUSE = Path(edgeguard.admission.__file__).parent
ROOT = HOUSE.parent.parent
MAY_DO_IO = {
    "__init__", "authorities", "encrypt", "examine", "keyfiles", "keys", "large", "loading", "reading",
    "second_keys", "sign", "signed", "store",
}  # fmt: skip


@pytest.mark.parametrize("path", sorted(HOUSE.rglob("*.py")), ids=lambda p: p.stem)
def test_trust_core_imports_nothing_that_opens_files(path: Path) -> None:
    if path.stem in MAY_DO_IO:
        return
    tree = ast.parse(path.read_text())
    modules = {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    modules |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert not modules & {"os", "io", "pathlib", "shutil", "subprocess", "socket", "time", "tempfile"}
    below = MAY_DO_IO - {"__init__", "keys"}  # of `keys` the core needs what a key is
    assert not modules & {"edgeguard.disk", *(f"edgeguard.admission.{name}" for name in below)}
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    assert not names & {"open", "eval", "exec", "__import__"}


def test_every_reason_is_documented_and_every_documented_reason_exists() -> None:
    page = (ROOT / "docs/reference/bundle-format.md").read_text()
    table = set(re.findall(r"^\| `([a-z-]+)` \|", page.partition("## Refusals")[2], re.MULTILINE))
    assert table == set(get_args(Reason))


def test_every_reason_is_raised_somewhere_and_tested_as_hostile() -> None:
    rooms = [
        path
        for room in ("admission", "delivery", "device")
        for path in (ROOT / "edgeguard" / room).rglob("*.py")
    ]
    rooms.append(ROOT / "edgeguard" / "here.py")
    code = "".join(path.read_text() for path in rooms if path.stem != "reasons")
    folders = ("tests/hostile/bundles", "tests/delivery", "tests/device")
    cases = "".join(path.read_text() for folder in folders for path in (ROOT / folder).glob("*.py"))
    for reason in get_args(Reason):
        assert f'"{reason}"' in code
        assert f'"{reason}"' in cases


def test_foreign_text_is_made_printable() -> None:
    error = refusal("file-extra", "a\x1b[2Jb\udcff\u202ec", "remove it")
    assert str(error).isprintable()
    assert error.path == "a\\u001b[2Jb\\udcff\\u202ec"
    assert shown("é" * 300) == "é" * 200 + "..."


def test_an_endless_signature_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(AdmissionError, match="too-large"):
        verify_signature(b"[" * (MAX_SIGNATURE_BYTES + 1), Trust(), "model.sig")


class TestStrictJson:
    """One text, one meaning."""

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=20,
        ),
        st.sampled_from([None, 2]),
        st.booleans(),
    )
    def test_every_ordinary_document_is_read_as_it_is(
        self, value: object, indent: int | None, ascii_only: bool
    ) -> None:
        text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
        assert strictjson.parse(text.encode()) == value

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b'{"a": 1, "a": 2}', 'the key "a" occurs twice'),
            (b'{"a": {"b": 1, "b": 1}}', 'the key "b" occurs twice'),
            (b'{"a": 1, "\\u0061": 2}', 'the key "a" occurs twice'),
            (b"[1e5" + b"0" * 50 + b"]", "more than 40 digits"),
            (b"[" + b"1" * 50 + b"]", "more than 40 digits"),
            (b"[-Infinity]", "`-Infinity` is not a JSON number"),
            (b'["\\ud800"]', "half a surrogate"),
            (b'{"\\udc00": 1}', "half a surrogate"),
            (b"[" * 33 + b"]" * 33, "deeper than 32 levels"),
            (b"[" * 1_000_000, "deeper than 32 levels"),
            (b"[1] []", "not JSON (line 1, column 5)"),
            (b"{'a': 1}", "not JSON"),
            (b"", "not JSON"),
            (b'"\xff"', "not UTF-8 text (byte 1)"),
            (b"\xef\xbb\xbf{}", "not JSON"),
        ],
    )
    def test_text_of_more_than_one_meaning_is_refused(self, data: bytes, words: str) -> None:
        with pytest.raises(strictjson.NotStrictError) as caught:
            strictjson.parse(data)
        assert words in str(caught.value)

    def test_brackets_in_strings_are_not_nesting(self) -> None:
        assert strictjson.parse(json.dumps(["[" * 100, '\\"' + "{" * 100]).encode())

    @pytest.mark.parametrize(
        "data",
        [
            b'"' + b'\\"' * 500_000,
            b'\\"' * 500_000,
            b'"' * 999_999,
            b'"a' + b"\\" * 999_999,
            b"{" + b",".join(b'"%d":0' % i for i in [*range(100_000), 99_999]) + b"}",
            b"[" + b"[]," * 300_000,
            b"{" * 1_000_000,
        ],
        ids=lambda data: data[:6].decode(),
    )
    def test_hostile_text_of_a_megabyte_takes_time_in_proportion(self, data: bytes) -> None:
        """Quadratic work on any of these would take minutes, and hang the tests."""
        with pytest.raises(strictjson.NotStrictError):
            strictjson.parse(data)

    @given(st.binary(max_size=200))
    def test_no_bytes_end_in_another_error(self, data: bytes) -> None:
        with contextlib.suppress(strictjson.NotStrictError):
            strictjson.parse(data)


class TestProtobuf:
    """The reader of the wire format."""

    @given(
        st.lists(
            st.tuples(st.integers(1, 2**29 - 1), st.sampled_from([VARINT, FIXED64, BYTES, FIXED32])),
            max_size=8,
        ),
        st.data(),
    )
    def test_every_well_formed_message_is_read_field_by_field(
        self, kinds: list[tuple[int, int]], data: st.DataObject
    ) -> None:
        message = b""
        expected: list[tuple[int, int, int | bytes]] = []
        for number, wire in kinds:
            message += _varint(number << 3 | wire)
            if wire == VARINT:
                value = data.draw(st.integers(0, 2**64 - 1))
                message += _varint(value)
                expected.append((number, wire, value))
                continue
            size = {FIXED64: 8, FIXED32: 4}.get(wire)
            body = data.draw(st.binary(min_size=size or 0, max_size=size or 300))
            message += (b"" if size else _varint(len(body))) + body
            expected.append((number, wire, body))
        padded = b"xx" + message + b"yy"
        fields = list(read_fields(padded, 2, 2 + len(message)))
        assert expected == [(n, w, a if w == VARINT else padded[a:b]) for n, w, a, b in fields]

    @given(st.binary(max_size=60))
    def test_what_is_read_is_what_the_real_parser_accepts(self, data: bytes) -> None:
        """Everything that this reader accepts at the top level, protobuf's own parser accepts too."""
        try:
            list(read_fields(data, 0, len(data)))
        except WireError:
            return
        empty_pb2.Empty().ParseFromString(data)

    @pytest.mark.parametrize(
        "data",
        [b"\x00", b"\x08", b"\x08\x80", b"\x0a\x05abcd", b"\x09abc", b"\x0dabc", b"\x0b\x0c", b"\x0e\x0f"],
    )
    def test_malformed_messages_are_refused(self, data: bytes) -> None:
        with pytest.raises(WireError, match="near byte"):
            list(read_fields(data, 0, len(data)))

    @pytest.mark.parametrize(
        ("data", "fits"),
        [
            (b"\x88\x80\x80\x80\x00\x01", True),  # a tag may be padded to 5 bytes, as parsers have it
            (b"\x88\x80\x80\x80\x80\x00\x01", False),
            (b"\xf8\xff\xff\xff\x0f\x01", True),  # the largest tag
            (b"\x88\x80\x80\x80\x10\x01", False),  # 2**32 + 8: field 1 to whoever keeps 32 bits
            (b"\x07\x01", False),
            (b"\x08" + b"\x81" + b"\x80" * 8 + b"\x00", True),  # a number may be padded to 10 bytes
            (b"\x08" + b"\x81" + b"\x80" * 9 + b"\x00", False),
        ],
    )
    def test_tags_and_numbers_are_read_up_to_their_longest_form(self, data: bytes, fits: bool) -> None:
        with contextlib.nullcontext() if fits else pytest.raises(WireError):
            assert [(wire, value) for _, wire, value, _ in read_fields(data, 0, len(data))] == [(VARINT, 1)]


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])
