"""Exact results of the inner trust core, from the statement to what is admitted: see docs/explanation/mutation.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from edgeguard.admission import bundle
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
from edgeguard.admission.claims import Encryption
from edgeguard.admission.manifest import parse_manifest
from edgeguard.admission.statement import (
    folder_statement,
    parse_statement,
    pin_digest,
)
from edgeguard.admission.trust import Demands, Grant, Moment
from edgeguard.errors import AdmissionError
from edgeguard.terms import Limits
from tests.hostile.bundles.builders import (
    Forge,
    compact,
    good_files,
    good_statement,
    manifest,
    sha256,
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


def record(patch: pytest.MonkeyPatch, asked: list[Any], **answers: Any) -> None:
    """Let functions of the core answer so, and write down what they are given."""

    def stand_in(name: str, answer: Any) -> None:
        def call(*given: Any) -> Any:
            asked.append((name, *given))
            return answer

        patch.setattr(bundle, name, call)

    for name, answer in answers.items():
        stand_in(name, answer)


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

    @pytest.mark.parametrize("name", sorted(good_files()))
    def test_every_file_can_be_revoked(
        self, name: str, vouched: Vouched, contents: dict[str, Content]
    ) -> None:
        demands = Demands(revoked=frozenset({contents[name].digest}))
        assert refused(self.admit, vouched, contents, demands) == ("revoked", f"d/f/{name}")

    def test_a_model_can_be_revoked_however_it_is_encrypted(
        self, vouched: Vouched, contents: dict[str, Content], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stated = parse_manifest(contents["edgeguard.json"].data, "p")
        hidden = dataclasses.replace(stated, encryption=Encryption("AES256_GCM_HKDF_1MB", "k" * 16, A))
        monkeypatch.setattr(bundle, "check_manifest", lambda *_: hidden)
        monkeypatch.setattr(bundle, "check_contents", lambda *_: b"plain")
        assert self.admit(vouched, contents, Demands(revoked=frozenset({B}))).model == b"plain"
        demands = Demands(revoked=frozenset({A}))
        assert refused(self.admit, vouched, contents, demands) == ("revoked", "d/f/model.onnx")

    def test_every_step_is_given_what_it_is_about(
        self, vouched: Vouched, contents: dict[str, Content], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[Any] = []
        stated = parse_manifest(contents["edgeguard.json"].data, "p")
        record(monkeypatch, asked, check_manifest=stated, check_demands=None, check_contents=b"plain")
        demands, now = Demands(manifest=b"given", platform="x"), Moment(1.0)

        def secrets(_: str) -> bytes | None:
            return None

        admitted = admit_model(vouched, contents, "d/f", demands, now=now, secrets=secrets)
        assert asked == [
            ("check_manifest", contents, "d/f", b"given"),
            ("check_demands", stated, demands, "d/f/edgeguard.json", now),
            ("check_contents", stated, contents, "d/f", demands, secrets),
        ]
        assert (admitted.model, admitted.described) == (b"plain", "")
        files = {name: content for name, content in contents.items() if name != "edgeguard.json"}
        fewer = dataclasses.replace(
            vouched, statement=folder_statement({name: c.digest for name, c in files.items()}, "d/f")
        )
        apart = admit_model(fewer, files, "d/f", demands, now=now, secrets=secrets)
        assert apart.described == sha256(b"given")

    def test_the_files_are_inspected_before_the_model_and_the_model_is_the_decrypted_one(
        self, contents: dict[str, Content], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[Any] = []
        record(
            monkeypatch, asked, inspect_files=None, check_reports=None, decrypted=b"plain", inspect_model=None
        )
        stated = parse_manifest(contents["edgeguard.json"].data, "p")
        limits = Limits(nodes=7)

        def secrets(_: str) -> bytes | None:
            return None

        assert check_contents(stated, contents, "d/f", Demands(limits=limits), secrets) == b"plain"
        files, path = good_files(), "d/f/model.onnx"
        assert asked == [
            ("inspect_files", files, "d/f"),
            ("check_reports", stated, files, "d/f"),
            ("decrypted", stated, files["model.onnx"], secrets, path),
            ("inspect_model", b"plain", stated, limits, path),
        ]

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
        assert refused(lambda: check_manifest(bad, "d/f")) == ("manifest-invalid", "d/f/edgeguard.json")
        assert refused(lambda: check_manifest(contents, "d/f", given)) == ("file-extra", "d/f/edgeguard.json")
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
