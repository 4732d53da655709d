"""Signed nonsense: statements that a trusted key was talked into signing, each with the code of its refusal."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeguard.admission import admit_bundle
from edgeguard.admission.statement import parse_statement
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import (
    Forge,
    Json,
    compact,
    good_files,
    good_statement,
    resource,
    sha256,
    statement_of,
)
from tests.refusals import Refused

Case = Callable[[Forge], bytes]


def stated(change: Callable[[Json], object]) -> Case:
    """Change the statement, and sign it then."""

    def build(forge: Forge) -> bytes:
        statement = copy.deepcopy(good_statement())
        change(statement)
        return forge.sign(statement)

    return build


def listed(change: Callable[[list[Json]], object]) -> Case:
    """Change the list of resources, and let the root digest fit it."""

    def build(forge: Forge) -> bytes:
        resources = good_statement()["predicate"]["resources"]
        change(resources)
        return forge.sign(statement_of(resources))

    return build


def named(name: str) -> Case:
    """Sign one more file of this name."""
    return listed(lambda resources: resources.append(resource(name, b"x")))


def payload(change: Callable[[str], str]) -> Case:
    """Change the text of the statement, and sign it then."""
    return lambda forge: compact(forge.wrapper(change(compact(good_statement()).decode()).encode()))


CASES: dict[str, tuple[str, Case]] = {
    "payload not JSON": ("statement-invalid", payload(lambda _: "hello")),
    "payload a list": ("statement-invalid", payload(lambda _: "[]")),
    "duplicate key in the payload": (
        "statement-invalid",
        payload(lambda s: s.replace('"_type":', '"_type":"x","_type":', 1)),
    ),
    "half a surrogate in a name": (
        "statement-invalid",
        payload(lambda s: s.replace("CARD.md", "\\ud800", 1)),
    ),
    "endless number": ("statement-invalid", payload(lambda s: s.replace("false", "9" * 5000, 1))),
    "endless fraction": ("statement-invalid", payload(lambda s: s.replace("false", "0." + "9" * 500, 1))),
    "wrong _type": (
        "signature-unsupported",
        stated(lambda s: s.update(_type="https://in-toto.io/Statement/v0.1")),
    ),
    "wrong predicateType": (
        "signature-unsupported",
        stated(lambda s: s.update(predicateType="https://model_signing/Digests/v0.1")),
    ),
    "unknown statement key": ("statement-invalid", stated(lambda s: s.update(extra=1))),
    "unknown key of the subject": ("statement-invalid", stated(lambda s: s["subject"][0].update(uri="x"))),
    "unknown key of a resource": (
        "statement-invalid",
        stated(lambda s: s["predicate"]["resources"][0].update(uri="x")),
    ),
    "no subject": ("statement-invalid", stated(lambda s: s.update(subject=[]))),
    "two subjects": ("statement-invalid", stated(lambda s: s["subject"].append(s["subject"][0]))),
    "subject digest of another kind": (
        "statement-invalid",
        stated(lambda s: s["subject"][0].update(digest={"sha512": "0" * 128})),
    ),
    "second digest of the subject": (
        "statement-invalid",
        stated(lambda s: s["subject"][0]["digest"].update(sha512="0" * 128)),
    ),
    "wrong root digest": (
        "root-mismatch",
        stated(lambda s: s["subject"][0]["digest"].update(sha256="0" * 64)),
    ),
    "resources in another order than the root": (
        "root-mismatch",
        stated(lambda s: s["predicate"]["resources"].reverse()),
    ),
    "signed as shards": (
        "signature-unsupported",
        stated(lambda s: s["predicate"]["serialization"].update(method="shards")),
    ),
    "signed with blake2": (
        "signature-unsupported",
        stated(lambda s: s["predicate"]["serialization"].update(hash_type="blake2")),
    ),
    "resource algorithm that does not fit": (
        "signature-unsupported",
        listed(lambda r: r[0].update(algorithm="sha512")),
    ),
    "no resources": ("statement-invalid", stated(lambda s: s["predicate"].update(resources=[]))),
    "thousands of resources": (
        "statement-invalid",
        listed(lambda r: r.extend(resource(f"f{i}", b"") for i in range(2000))),
    ),
    "resources not objects": ("statement-invalid", stated(lambda s: s["predicate"].update(resources=["x"]))),
    "resource without digest": (
        "statement-invalid",
        stated(lambda s: s["predicate"]["resources"][0].pop("digest")),
    ),
    "upper-case digest": (
        "statement-invalid",
        stated(lambda s: s["predicate"]["resources"][0].update(digest="A" * 64)),
    ),
    "short digest": ("statement-invalid", stated(lambda s: s["predicate"]["resources"][0].update(digest=""))),
    "name not text": ("statement-invalid", stated(lambda s: s["predicate"]["resources"][0].update(name=7))),
    # --- names
    "parent folder": ("name-unsafe", named("../evil")),
    "parent folder inside": ("name-unsafe", named("a/../../evil")),
    "parent folder alone": (
        "name-unsafe",
        listed(lambda r: r.__setitem__(slice(None), [resource("../x", b"")])),
    ),
    "absolute": ("name-unsafe", named("/etc/passwd")),
    "dot": ("name-unsafe", named(".")),
    "dot component": ("name-unsafe", named("a/./b")),
    "double slash": ("name-unsafe", named("a//b")),
    "trailing slash": ("name-unsafe", named("a/")),
    "empty name": ("name-unsafe", named("")),
    "backslash": ("name-unsafe", named("..\\evil")),
    "NUL": ("name-unsafe", named("model.onnx\0.txt")),
    "newline": ("name-unsafe", named("a\nb")),
    "terminal escape": ("name-unsafe", named("\x1b[2Jhidden")),
    "right-to-left override": ("name-unsafe", named("model\u202exnno")),
    "endless name": ("name-unsafe", named("a" * 5000)),
    "the signature itself": ("name-unsafe", named("model.sig")),
    "duplicate resource": ("name-duplicate", named("CARD.md")),
    "case twin": ("name-duplicate", named("card.MD")),
    "NFC and NFD twins": (
        "name-duplicate",
        listed(lambda r: r.extend(resource(n, b"") for n in ("\u00e9", "e\u0301"))),
    ),
    "single file instead of a folder": (
        "statement-invalid",
        lambda forge: forge.sign(statement_of([resource(".", b"x")])),
    ),
    # --- true signatures over something else
    "other content": ("digest-mismatch", listed(lambda r: r[0].update(digest=sha256(b"other")))),
    "file that is not there": ("file-missing", named("weights.bin")),
    "file that is not signed": ("file-extra", listed(lambda r: r.pop(0))),
}


@pytest.mark.parametrize("case", CASES)
def test_hostile_statement_is_refused_with_its_reason(
    case: str, folder: Path, forge: Forge, refused: Refused
) -> None:
    reason, build = CASES[case]
    (folder / "model.sig").write_bytes(build(forge))
    expected = {"digest-mismatch": "CARD.md", "file-extra": "CARD.md", "file-missing": "weights.bin"}
    refused(lambda: admit_bundle(folder, forge.signers), reason, expected.get(reason, "model.sig"))


@pytest.mark.parametrize(("count", "fits"), [(1, True), (1000, True), (1001, False)])
def test_a_statement_lists_one_to_a_thousand_files(count: int, fits: bool) -> None:
    payload = compact(statement_of([resource(f"f{i}", b"") for i in range(count)]))
    with contextlib.nullcontext() if fits else pytest.raises(AdmissionError, match="statement-invalid"):
        assert len(parse_statement(payload, "model.sig").resources) == count


@pytest.mark.parametrize(("length", "fits"), [(512, True), (513, False)])
def test_a_name_has_at_most_512_characters(length: int, fits: bool) -> None:
    payload = compact(statement_of([resource("a" * length, b"")]))
    with contextlib.nullcontext() if fits else pytest.raises(AdmissionError, match="name-unsafe"):
        parse_statement(payload, "model.sig")


def test_unchanged_statements_are_accepted(folder: Path, forge: Forge) -> None:
    for build in (stated(lambda _: None), listed(lambda _: None), payload(lambda s: s)):
        (folder / "model.sig").write_bytes(build(forge))
        assert admit_bundle(folder, forge.signers).model == good_files()["model.onnx"]


def test_further_signed_fields_of_a_predicate_are_ignored_as_its_format_demands(
    folder: Path, forge: Forge
) -> None:
    statement = good_statement()
    statement["predicate"]["later"] = {"anything": 1}
    (folder / "model.sig").write_bytes(forge.sign(statement))
    assert admit_bundle(folder, forge.signers).model == good_files()["model.onnx"]
