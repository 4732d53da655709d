"""Exact results of the inner trust core, from the statement to what is admitted: see docs/explanation/mutation.md."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from edgeguard.admission.bundle import (
    AdmittedFile,
    AdmittedModel,
    Content,
    Vouched,
    admit_content,
    admit_model,
    check_contents,
    check_manifest,
    check_names,
    pinned_statement,
    verify_signature,
)
from edgeguard.admission.manifest import parse_manifest
from edgeguard.admission.statement import (
    Resource,
    Statement,
    build_statement,
    folder_statement,
    parse_statement,
    pin_digest,
    root_digest,
)
from edgeguard.admission.trust import Demands, Grant
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import (
    Forge,
    Json,
    compact,
    good_files,
    good_statement,
    manifest,
    resource,
    sha256,
    statement_of,
)

A, B, C = (letter * 64 for letter in "abc")
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

    def test_the_dot_stands_for_the_only_file(self) -> None:
        assert parse_statement(build_statement("s", {".": A}), "p").resources == (Resource(".", A),)
        assert (
            refused(lambda: parse_statement(build_statement("s", {".": A, "a": A}), "p"))[0] == "name-unsafe"
        )


class TestBundle:
    """From a verified statement to what is admitted."""

    @pytest.fixture
    def contents(self) -> dict[str, Content]:
        return {name: Content.of(data) for name, data in good_files().items()}

    @pytest.fixture
    def vouched(self) -> Vouched:
        return Vouched(parse_statement(compact(good_statement()), "p"), "signer", "who")

    def admit(
        self, vouched: Vouched, contents: dict[str, Content], demands: Demands = Demands()
    ) -> AdmittedModel:
        return admit_model(vouched, contents, "d/f", demands, now=None, secrets=lambda _: None)

    def test_what_is_admitted_is_what_was_signed(
        self, vouched: Vouched, contents: dict[str, Content]
    ) -> None:
        stated = parse_manifest(contents["edgeguard.json"].data, "p")
        model, root = good_files()["model.onnx"], vouched.statement.root
        assert self.admit(vouched, contents) == AdmittedModel(stated, model, root, "signer", "who")
        assert (
            AdmittedModel(stated, model, root, "signer").identity == AdmittedFile(b"", "", "").identity == ""
        )
        assert Vouched(vouched.statement, "") == Vouched(vouched.statement, "", "", Grant())

    @pytest.mark.parametrize("name", sorted(good_files()))
    def test_every_file_must_be_what_was_signed(
        self, name: str, vouched: Vouched, contents: dict[str, Content]
    ) -> None:
        contents[name] = Content.of(contents[name].data + b" ")
        assert refused(lambda: self.admit(vouched, contents)) == ("digest-mismatch", f"d/f/{name}")

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({"security_version": 9}, ("rollback", "d/f/edgeguard.json")),
            ({"role": "filter"}, ("wrong-role", "d/f/edgeguard.json")),
        ],
    )
    def test_a_refusal_of_a_demand_names_the_manifest(
        self, asked: dict[str, Any], found: tuple[str, str], vouched: Vouched, contents: dict[str, Content]
    ) -> None:
        assert refused(lambda: self.admit(vouched, contents, Demands(**asked))) == found

    def test_root_and_pin_can_be_revoked(self, vouched: Vouched, contents: dict[str, Content]) -> None:
        for digest in (vouched.statement.root, pin_digest(vouched.statement.resources)):
            demands = Demands(revoked=frozenset({digest}))
            assert refused(self.admit, vouched, contents, demands) == ("revoked", "d/f")
        assert self.admit(vouched, contents, Demands(revoked=frozenset({A}))).model

    def test_who_may_sign_other_things_only_is_refused(
        self, vouched: Vouched, contents: dict[str, Content]
    ) -> None:
        for signs, admitted in (((), True), (("primary",), True), (("filter", "policy"), False)):
            granted = dataclasses.replace(vouched, grant=Grant(frozenset(signs)))
            if admitted:
                assert self.admit(granted, contents).model
            else:
                assert refused(self.admit, granted, contents) == ("signer-not-allowed", "d/f")

    def test_names_are_exactly_the_signed_ones_and_the_first_other_one_is_named(self) -> None:
        names = [f"f{i:02}" for i in range(30)]
        statement = folder_statement(dict.fromkeys(names, A), "d/f")
        check_names(statement, [*names, "model.sig", "model.sig.ml-dsa-65"], "d/f")
        for missing in (3, 7):
            present = names[:missing] + names[25:]
            found = refused(check_names, statement, present, "d/f")
            assert found == ("file-missing", f"d/f/{names[missing]}")
        more = [f"x{i:02}" for i in range(30)]
        assert refused(lambda: check_names(statement, [*more[::-1], *names], "d/f")) == (
            "file-extra",
            "d/f/x00",
        )

    def test_a_manifest_is_the_bundle_s_own_or_the_given_one_or_missing(
        self, contents: dict[str, Content]
    ) -> None:
        own, given = contents["edgeguard.json"].data, manifest(lambda m: m.update(name="given"))
        assert check_manifest(contents, "d/f") == parse_manifest(own, "p")
        assert check_manifest({}, "d/f", given).name == "given"
        assert refused(lambda: check_manifest({}, "d/f")) == ("file-missing", "d/f/edgeguard.json")
        bad = {"edgeguard.json": Content.of(b"{")}
        assert refused(lambda: check_manifest(bad, "d/f", given)) == (
            "manifest-invalid",
            "d/f/edgeguard.json",
        )
        assert refused(lambda: check_manifest({}, "d/f", b"{")) == ("manifest-invalid", "edgeguard.json")

    def test_a_model_that_is_missing_or_none_is_named(self, contents: dict[str, Content]) -> None:
        stated = parse_manifest(contents["edgeguard.json"].data, "p")

        def checked(files: dict[str, Content]) -> bytes:
            return check_contents(stated, files, "d/f", Demands(), lambda _: None)

        assert checked(contents) == good_files()["model.onnx"]
        for data, reason in ((None, "file-missing"), (b"\xff", "model-invalid"), (b"\x80\x04.", "pickle")):
            files = {k: v for k, v in contents.items() if k != "model.onnx"}
            if data is not None:
                files["model.onnx"] = Content.of(data)
            found = refused(checked, files)
            assert found[1] == "d/f/model.onnx"
            assert found[0] in (reason, "model-invalid")

    def test_a_pin_is_of_names_and_contents(self, contents: dict[str, Content]) -> None:
        listed = "".join(f"{contents[n].digest}  {n}\n" for n in ("CARD.md", "edgeguard.json", "model.onnx"))
        statement = pinned_statement(contents, sha256(listed.encode()), "d/f")
        assert statement.subject == "d/f"
        assert [(r.name, r.digest) for r in statement.resources] == [
            (n, c.digest) for n, c in contents.items()
        ]
        assert refused(lambda: pinned_statement(contents, A, "d/f")) == ("pin-mismatch", "d/f")

    def test_a_missing_second_signature_is_named(self, forge: Forge) -> None:
        signature = forge.sign_files(good_files())
        strict = dataclasses.replace(forge.signers, post_quantum=True)
        found = refused(lambda: verify_signature(signature, strict, "d/model.sig"))
        assert found == ("post-quantum-missing", "d/model.sig.ml-dsa-65")
        vouched = verify_signature(signature, forge.signers, "d/model.sig")
        assert vouched == Vouched(parse_statement(compact(good_statement()), "p"), forge.key.public().hint)

    def test_a_file_is_what_its_signature_says_of_it(self) -> None:
        content = Content.of(b"x")
        assert content == Content(b"x", sha256(b"x"))
        grant = Grant(frozenset({"policy"}))
        vouched = Vouched(folder_statement({".": content.digest}, "name"), "signer", "who", grant)

        def admitted(content: Content = content, name: str = "name", **more: Any) -> AdmittedFile:
            return admit_content(more.pop("vouched", vouched), content, "d/name", name, **more)

        assert admitted() == admitted(kind="policy") == AdmittedFile(b"x", content.digest, "signer", "who")
        folder = dataclasses.replace(vouched, statement=folder_statement({"a": content.digest}, "name"))
        hidden = Vouched(folder_statement({".": content.digest}, MARK), "signer")
        for call, reason in (
            (lambda: admitted(vouched=folder), "statement-invalid"),
            (lambda: admitted(vouched=hidden), "name-mismatch"),
            (lambda: admitted(name="nam"), "name-mismatch"),
            (lambda: admitted(Content.of(b"y")), "digest-mismatch"),
            (lambda: admitted(revoked=frozenset({content.digest})), "revoked"),
            (lambda: admitted(kind="calibration"), "signer-not-allowed"),
        ):
            assert refused(call) == (reason, "d/name")
