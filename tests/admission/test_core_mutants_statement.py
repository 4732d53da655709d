"""Exact results of reading and writing statements: see docs/explanation/mutation.md."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from edgeguard.admission.statement import (
    Resource,
    Statement,
    build_statement,
    folder_statement,
    parse_statement,
    pin_digest,
    root_digest,
)
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import Json, compact, resource, sha256, statement_of

A, B = "a" * 64, "b" * 64
MARK = "\u202e"
"""Turns the rest of a line around: not printable."""


def refused(call: Callable[..., object], *given: object) -> tuple[str, str]:
    """The reason of a refusal and the very path that it names."""
    with pytest.raises(AdmissionError) as caught:
        call(*given)
    assert str(caught.value).isprintable()
    return caught.value.reason, caught.value.path


def hashed(*digests: str) -> str:
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()


class TestStatement:
    """What is signed, spelled out."""

    def test_what_is_built_is_what_stock_verifiers_read(self) -> None:
        """Ordered by path component: `a/x` before `a.b`, which plain text would order the other way."""
        built = json.loads(build_statement("s", {"a.b": A, "a/x": B}))
        assert built == {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "s", "digest": {"sha256": hashed(B, A)}}],
            "predicateType": "https://model_signing/signature/v1.0",
            "predicate": {
                "serialization": {
                    "method": "files",
                    "hash_type": "sha256",
                    "allow_symlinks": False,
                    "ignore_paths": ["model.sig", "model.sig.ml-dsa-65"],
                },
                "resources": [
                    {"name": "a/x", "algorithm": "sha256", "digest": B},
                    {"name": "a.b", "algorithm": "sha256", "digest": A},
                ],
            },
        }
        assert list(built) == ["_type", "subject", "predicateType", "predicate"]
        assert b" " not in build_statement("s", {"a": A})
        single = json.loads(build_statement("s", {".": A}))["predicate"]
        assert (single["serialization"]["ignore_paths"], single["resources"][0]["name"]) == ([], ".")

    def test_what_is_read_is_what_was_built(self) -> None:
        resources = (Resource("a/x", B), Resource("a.b", A))
        read = Statement("s", hashed(B, A), resources)
        assert parse_statement(build_statement("s", {"a.b": A, "a/x": B}), "p") == read
        assert folder_statement({"a.b": A, "a/x": B}, "s") == read
        assert root_digest(resources) == hashed(B, A)
        listed = f"{B}  a/x\n{A}  a.b\n"
        assert pin_digest(resources) == pin_digest(resources[::-1]) == sha256(listed.encode())

    @pytest.mark.parametrize(
        ("reason", "change"),
        [
            ("statement-invalid", lambda s: s.update(x=1)),
            ("statement-invalid", lambda s: s.pop("_type")),
            ("signature-unsupported", lambda s: s.update(_type="x")),
            ("signature-unsupported", lambda s: s.update(predicateType="x")),
            ("statement-invalid", lambda s: s["subject"].append(s["subject"][0])),
            ("statement-invalid", lambda s: s["subject"].clear()),
            ("statement-invalid", lambda s: s["subject"][0].update(name=1)),
            ("statement-invalid", lambda s: s["subject"][0]["digest"].update(sha256="A" * 64)),
            ("statement-invalid", lambda s: s["subject"][0]["digest"].update(sha256=A + "a")),
            ("signature-unsupported", lambda s: s["predicate"]["serialization"].update(method="x")),
            ("signature-unsupported", lambda s: s["predicate"]["serialization"].update(hash_type="x")),
            ("statement-invalid", lambda s: s["predicate"].update(resources=[])),
            (
                "signature-unsupported",
                lambda s: s["predicate"]["resources"][0].update(algorithm="x", name=MARK),
            ),
            ("statement-invalid", lambda s: s["predicate"]["resources"][0].update(x=1)),
            ("statement-invalid", lambda s: s["predicate"]["resources"][0].update(digest=A + "a")),
            ("statement-invalid", lambda s: s["predicate"]["resources"][0].update(digest=A[1:])),
            ("name-unsafe", lambda s: s["predicate"]["resources"][0].update(name=f"a{MARK}")),
            ("name-unsafe", lambda s: s["predicate"]["resources"][0].update(name="a\\b")),
            ("name-unsafe", lambda s: s["predicate"]["resources"][0].update(name="model.sig.ml-dsa-65")),
            ("name-unsafe", lambda s: s["predicate"]["resources"][0].update(name="model.sig")),
            ("name-duplicate", lambda s: s["predicate"]["resources"].append(s["predicate"]["resources"][0])),
            ("root-mismatch", lambda s: s["predicate"]["resources"][0].update(digest=B)),
        ],
    )
    def test_every_refusal_of_a_statement_names_the_signature(
        self, reason: str, change: Callable[[Json], object]
    ) -> None:
        document = statement_of([resource("a", b"")])
        assert parse_statement(compact(document), "d/p.sig").subject == "bundle"
        change(document)
        assert refused(lambda: parse_statement(compact(document), "d/p.sig")) == (reason, "d/p.sig")

    def test_a_refusal_says_where_in_the_statement(self) -> None:
        with pytest.raises(AdmissionError, match="p: statement-invalid: `_type` is missing: sign it again"):
            parse_statement(b"{}", "p")

    def test_what_is_no_json_names_the_signature(self) -> None:
        with pytest.raises(AdmissionError, match="the signed payload: it is not JSON"):
            parse_statement(b"{", "p")
        assert refused(lambda: parse_statement(b"{", "d/p.sig")) == ("statement-invalid", "d/p.sig")

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("a", "A"),
            ("stra\u00dfe", "STRASSE"),
            ("\u00e9", "e\u0301"),
            (
                "\u1fb4",
                "\u03b1\u0345\u0301",
            ),  # the same only if normal forms are made before case is taken away
            ("\u0390", "\u03aa\u0301"),  # and these only if they are made again after it
        ],
    )
    def test_names_that_some_file_systems_take_for_one_are_refused(self, one: str, other: str) -> None:
        def listed(*names: str) -> bytes:
            return compact(statement_of([resource(name, b"") for name in names]))

        assert len(parse_statement(listed(one, "b"), "p").resources) == 2
        assert len(parse_statement(listed(other, "b"), "p").resources) == 2
        for pair in ((one, other), (other, "b", one)):
            assert refused(parse_statement, listed(*pair), "p") == ("name-duplicate", "p")

    def test_long_names_that_are_taken_for_one_are_cut(self) -> None:
        names = ("a" * 300, "A" * 300)
        with pytest.raises(AdmissionError) as caught:
            parse_statement(compact(statement_of([resource(name, b"") for name in names])), "p")
        assert f"`{'A' * 200}...` and `{'a' * 200}...` are one file" in str(caught.value)

    def test_the_dot_stands_for_the_only_file(self) -> None:
        assert parse_statement(build_statement("s", {".": A}), "p").resources == (Resource(".", A),)
        assert (
            refused(lambda: parse_statement(build_statement("s", {".": A, "a": A}), "p"))[0] == "name-unsafe"
        )
