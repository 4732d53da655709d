"""The reports that claims name are files of the bundle, and say what the manifest says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeguard.admission import Demands, Trust, admit_bundle, sign_bundle
from edgeguard.admission.manifest import parse_manifest
from edgeguard.admission.reports import MAX_REPORT_BYTES, check_reports
from edgeguard.admission.statement import folder_statement, pin_digest
from edgeguard.errors import AdmissionError
from edgeguard.terms import AssessmentTerm
from tests.hostile.bundles.builders import Forge, Json, good_files, manifest, sha256, write_files

CLAIM: Json = {"report": "assessment.json", "samples": 5000, "clean_accuracy": 0.99, "risk": 0.008}
AGREES: Json = {
    "samples": 5000,
    "clean_accuracy": 0.99,
    "risk": 0.008,
    "robust_accuracy": 0.5,
    "by": ["fgsm"],
}


def _claims(values: Json) -> None:
    values.update(assessment=dict(CLAIM), calibration={"report": "calibration.json", "frames": 300})


def reports(assessment: object = AGREES, calibration: object = {"frames": 300}) -> dict[str, bytes]:
    return {
        "edgeguard.json": b"",
        "assessment.json": json.dumps(assessment).encode(),
        "calibration.json": json.dumps(calibration).encode(),
    }


NONE = {"edgeguard.json": b""}
CLAIMED = parse_manifest(manifest(_claims), "m")


def said(files: dict[str, bytes]) -> str:
    with pytest.raises(AdmissionError) as caught:
        check_reports(CLAIMED, files, "b")
    return str(caught.value)


def test_reports_that_agree_are_accepted() -> None:
    check_reports(CLAIMED, reports(), "b")


@pytest.mark.parametrize("report", [{}, ["risk"], "risk", {"samples": 5000}, {"risk": 0.008, "x": None}])
def test_a_report_need_not_repeat_a_figure(report: object) -> None:
    check_reports(CLAIMED, reports(report), "b")


@pytest.mark.parametrize("value", [0.0080001, 0.0, "0.008", None, True, [0.008]])
def test_a_report_that_says_something_else_is_refused(value: object) -> None:
    text = json.dumps({"risk": value}).encode()
    refused = said({**reports(), "assessment.json": text})
    assert refused.startswith("b/assessment.json: manifest-invalid: its `risk` is ")
    assert refused.endswith(
        "but `assessment.risk` of the manifest is 0.008: correct the one that is wrong, then sign again"
    )


def test_a_long_figure_is_cut() -> None:
    assert f"its `risk` is {'9' * 40}... but" in said(reports({"risk": "9" * 41}))
    assert f"its `risk` is {'9' * 40} but" in said(reports({"risk": "9" * 40}))


def test_each_figure_is_compared() -> None:
    for key in ("samples", "clean_accuracy"):
        assert f"its `{key}` is 0.1" in said(reports({key: 0.1}))
    assert "`calibration.frames` of the manifest is 300" in said(reports(calibration={"frames": 299}))


def test_a_whole_number_may_be_written_as_one() -> None:
    check_reports(CLAIMED, reports({"samples": 5000.0}), "b")


@pytest.mark.parametrize("name", ["assessment.json", "calibration.json"])
def test_a_report_that_is_no_file_of_the_bundle_is_refused(name: str) -> None:
    files = reports()
    del files[name]
    assert said(files).startswith(f"b/{name}: file-missing: `{name[:-5]}.report` names it")


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"risk": 1, "risk": 0.008}', b"\xff", b"[" * 100_000, b'{"risk": 1e400}']
)
def test_a_json_report_must_be_strict_json(data: bytes) -> None:
    refused = said({**reports(), "assessment.json": data})
    assert refused.startswith("b/assessment.json: manifest-invalid: ")
    assert refused.endswith(": correct the report, then sign again")


def test_an_endless_json_report_is_refused_before_it_is_parsed() -> None:
    files = {**reports(), "assessment.json": b" " * (MAX_REPORT_BYTES + 1)}
    assert "b/assessment.json: too-large: a report is at most 16777216 bytes" in said(files)
    check_reports(CLAIMED, {**files, "assessment.json": b" " * (MAX_REPORT_BYTES - 2) + b"{}"}, "b")


def test_a_report_that_is_not_json_is_for_people() -> None:
    def change(values: Json) -> None:
        values.update(assessment={**CLAIM, "report": "assessment.pdf"})

    check_reports(parse_manifest(manifest(change), "m"), {**NONE, "assessment.pdf": b'{"risk": 1}'}, "b")


def test_a_manifest_without_claims_needs_no_reports() -> None:
    check_reports(parse_manifest(manifest(), "m"), NONE, "b")


def test_a_pinned_bundle_has_no_room_for_reports_and_its_manifest_says_so_beside_it(tmp_path: Path) -> None:
    files = {"model.onnx": good_files()["model.onnx"]}
    folder = write_files(tmp_path / "theirs", files)
    pin = pin_digest(folder_statement({n: sha256(data) for n, data in files.items()}, "theirs").resources)
    demands = Demands(pin=pin, manifest=manifest(_claims), assessment=AssessmentTerm(clean_accuracy=0.99))
    assert admit_bundle(folder, Trust(), demands).manifest.assessment is not None


@pytest.mark.parametrize(
    ("files", "reason"),
    [(reports({"risk": 0.5}), "manifest-invalid"), (reports(), ""), (NONE, "file-missing")],
)
def test_neither_signing_nor_admission_takes_a_claim_without_its_report(
    forge: Forge, tmp_path: Path, files: dict[str, bytes], reason: str
) -> None:
    whole = {**good_files(), **files, "edgeguard.json": manifest(_claims)}
    folder = write_files(tmp_path / "bundle", whole)
    forged = write_files(tmp_path / "forged", {**whole, "model.sig": forge.sign_files(whole)})
    calls: list[Callable[[], object]] = [
        lambda: sign_bundle(folder, forge.private_path),
        lambda: admit_bundle(forged, forge.signers),
    ]
    for call in calls:
        if reason:
            with pytest.raises(AdmissionError, match=f": {reason}: "):
                call()
        else:
            call()


def test_true_and_false_are_no_figures() -> None:
    change = dict(CLAIM, samples=1, clean_accuracy=1.0, risk=0.0)
    claimed = parse_manifest(manifest(lambda values: values.update(assessment=change)), "m")
    check_reports(claimed, reports({"samples": 1.0, "clean_accuracy": 1, "risk": 0}), "b")
    for key, value in (("samples", True), ("clean_accuracy", True), ("risk", False), ("risk", "0.0")):
        with pytest.raises(AdmissionError, match="manifest-invalid: its `" + key):
            check_reports(claimed, reports({key: value}), "b")


@pytest.mark.parametrize("figure", ["samples", "clean_accuracy", "robust_accuracy", "risk"])
def test_every_figure_of_an_assessment_is_compared(figure: str) -> None:
    stated = {"report": "assessment.json", "samples": 2, figure: 1}
    if figure == "samples":
        stated["risk"] = 1
    claimed = parse_manifest(manifest(lambda values: values.update(assessment=stated)), "m")
    check_reports(claimed, reports({figure: stated[figure]}), "b")
    with pytest.raises(AdmissionError, match=f"manifest-invalid: its `{figure}` is 0"):
        check_reports(claimed, reports({figure: 0}), "b")
