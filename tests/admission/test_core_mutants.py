"""Exact results of the trust core, where a change of one sign or name would otherwise go unnoticed: see
docs/explanation/mutation.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import pytest

from edgeguard.admission import strictjson
from edgeguard.admission.fields import Fields
from edgeguard.admission.reasons import refusal, shown
from edgeguard.admission.trust import Demands, Grant, Moment, Trust, TrustedAuthority
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import (
    Forge,
)

HINT = "ab" * 32
MARK = "\u202e"
"""Turns the rest of a line around: not printable."""


def refused(call: Callable[..., object], *given: object) -> tuple[str, str]:
    """The reason of a refusal and the very path that it names."""
    with pytest.raises(AdmissionError) as caught:
        call(*given)
    assert str(caught.value).isprintable()
    return caught.value.reason, caught.value.path


def said(call: Callable[[], object]) -> str:
    """What a refusal says, without its path and reason."""
    with pytest.raises(AdmissionError) as caught:
        call()
    return str(caught.value).split(": ", 2)[2]


class TestFields:
    """One object of a signature."""

    def fields(self, value: object, where: str = "") -> Fields:
        return Fields(value, where, "statement-invalid", "p", "do")

    def test_a_refusal_says_where_in_the_document(self) -> None:
        found = self.fields({"a": {"b": [{"c": 1}, 2]}, "d": 3})
        for call, words in (
            (lambda: self.fields(1), "`it` is not an object: do"),
            (lambda: self.fields(1, "x"), "`x` is not an object: do"),
            (lambda: found.only("a", "d", "e"), "`e` is missing: do"),
            (lambda: found.only("a"), "`d` is unknown: do"),
            (lambda: found.child("d"), "`d` is not an object: do"),
            (lambda: found.child("a").text("b"), "`a.b` is not text: do"),
            (lambda: found.child("a").items("c"), "`a.c` is not a list: do"),
            (lambda: found.child("a").children("b"), "`a.b[1]` is not an object: do"),
            (lambda: self.fields([], "z"), "`z` is not an object: do"),
        ):
            assert said(call) == words
        inner = self.fields({"b": [{"c": 1}]}).children("b")[0]
        assert said(lambda: inner.text("c")) == "`b[0].c` is not text: do"

    def test_every_required_field_must_be_there(self) -> None:
        for missing in "abc":
            values = {name: "x" for name in "abc" if name != missing}
            assert refused(self.fields(values).only, "a", "b", "c") == ("statement-invalid", "p")

    def test_a_field_s_name_is_made_printable(self) -> None:
        assert "\\u202e" in said(lambda: self.fields({MARK: 1}).only())
        assert refused(lambda: self.fields({MARK: 1}).only()) == ("statement-invalid", "p")


class TestWords:
    """Text of others, shown."""

    def test_long_text_is_cut_and_only_long_text(self) -> None:
        assert (shown("a" * 200), shown("a" * 201)) == ("a" * 200, "a" * 200 + "...")
        assert (shown("abc", longest=3), shown("abcd", longest=3), shown("")) == ("abc", "abc...", "")

    def test_what_cannot_be_printed_is_written_with_four_digits(self) -> None:
        assert shown("\x00\u202e\U000e0001") == "\\u0000\\u202e\\ue0001"

    def test_a_refusal_has_its_parts_in_order(self) -> None:
        error = refusal("revoked", f"d/{MARK}", "words")
        assert (error.reason, error.path, str(error)) == ("revoked", "d/\\u202e", "d/\\u202e: revoked: words")


class TestNumbers:
    """Numbers and brackets of a strict document."""

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"1" * 41, "it holds a number of more than 40 digits"),
            (b"0." + b"1" * 39, "it holds a number of more than 40 digits"),
            (
                b'{"' + b"a" * 90 + b'":1,"' + b"a" * 90 + b'":1}',
                f'the key "{"a" * 80}" occurs twice in one object',
            ),
            (b"[" * 33 + b"]" * 33, "it is nested deeper than 32 levels"),
            (b"[NaN]", "`NaN` is not a JSON number"),
            (b"[" * 33, "it is nested deeper than 32 levels"),
            (b"[" + b"[]," * 40 + b"[" * 32, "it is nested deeper than 32 levels"),
            (b"{" + b"}" * 40 + b"{" * 72, "it is nested deeper than 32 levels"),
            (b"[1e999]", "`1e999` is larger than any number it could be read as"),
        ],
    )
    def test_what_is_too_much_is_told(self, data: bytes, words: str) -> None:
        with pytest.raises(strictjson.NotStrictError) as caught:
            strictjson.parse(data)
        assert str(caught.value) == words

    def test_what_is_just_enough_is_read(self) -> None:
        assert strictjson.parse(b"1" * 40) == int("1" * 40)
        assert strictjson.parse(b"0." + b"1" * 38) == float("0." + "1" * 38)
        assert strictjson.parse(b"[" * 32 + b"]" * 32) is not None
        assert strictjson.parse(b"[" + b",".join([b"[{}]"] * 40) + b"]") == [[{}]] * 40
        assert (strictjson.parse(b"0.5"), strictjson.parse(b"7")) == (0.5, 7)
        assert isinstance(strictjson.parse(b"1e2"), float)

    @pytest.mark.parametrize(
        ("data", "left"),
        [
            (b'{"a":["b"]}', b"{:[]}"),
            (rb'"a\"b"[', b"["),
            (rb'"a\\"[', b"["),
            (b'"a\nb"[', b"["),
            (b'"a\\\nb"[', b"["),
            (b'["a', b"["),
            (b'["a\\', b"["),
            (b'""[""', b"["),
        ],
    )
    def test_strings_are_taken_out_whole(self, data: bytes, left: bytes) -> None:
        assert strictjson.outside_strings(data).replace(b'""', b"") == left


class TestTrust:
    """Defaults, which ask and believe nothing."""

    def test_whoever_is_trusted_makes_it_true(self, forge: Forge) -> None:
        key = forge.signers.keys[0]
        assert (key.grant, key.key) == (Grant(), forge.key.public())
        trusts: Sequence[Trust] = (
            forge.signers,
            Trust(authorities=(object(),)),  # type: ignore[arg-type] # only counted
            Trust(identities=(object(),)),  # type: ignore[arg-type]
        )
        assert all(trusts)
        assert not Trust(revoked=frozenset({HINT}), post_quantum=True)
        assert Trust() == Trust((), (), (), frozenset(), False)
        assert Grant() == Grant(frozenset(), None)
        assert Moment(0.0) == Moment(0.0, exact=True)
        anybody = TrustedAuthority(object())  # type: ignore[arg-type]
        assert (anybody.identity, anybody.grant) == ("", Grant())
        asked = {field.name: getattr(Demands(), field.name) for field in dataclasses.fields(Demands)}
        limits = asked.pop("limits")
        assert not any(asked.values())
        assert limits == type(limits)()
        assert asked["role"] == asked["pin"] == asked["platform"] == ""
        assert (asked["security_version"], asked["floor"], asked["manifest"]) == (0, 0, b"")
