"""The reports that a manifest's claims name: files of the bundle, and where they are JSON, with the same figures.

Pure: bytes in. Other keys of a report are not read, and a report that is not JSON is for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgeguard.admission import strictjson
from edgeguard.admission.manifest import MANIFEST_FILE
from edgeguard.admission.reasons import refusal, shown

if TYPE_CHECKING:
    from edgeguard.admission.claims import Assessment, CalibrationClaim
    from edgeguard.admission.manifest import Manifest

MAX_REPORT_BYTES = 16 * 1024 * 1024
"""Of a report in JSON, which is parsed."""

_ASSESSMENT = ("samples", "clean_accuracy", "robust_accuracy", "risk")
_CALIBRATION = ("frames",)


def check_reports(manifest: Manifest, files: Mapping[str, bytes], folder: str) -> None:
    """Refuse a claim whose report is no file of the bundle, or says something else than the manifest.

    A manifest that was written for somebody else's bundle, which has none, lies beside it, and so do its reports: the
    bundle is pinned by its digest and has no room for them.

    Raises:
        AdmissionError: `file-missing`, `too-large` or `manifest-invalid`.
    """
    if MANIFEST_FILE not in files:
        return
    if manifest.assessment is not None:
        _check("assessment", manifest.assessment, _ASSESSMENT, files, folder)
    if manifest.calibration is not None:
        _check("calibration", manifest.calibration, _CALIBRATION, files, folder)


def _check(
    key: str,
    claim: Assessment | CalibrationClaim,
    figures: tuple[str, ...],
    files: Mapping[str, bytes],
    folder: str,
) -> None:
    path = f"{folder}/{claim.report}"
    if claim.report not in files:
        raise refusal(
            "file-missing",
            path,
            f"`{key}.report` names it but it is not a file of the bundle: correct `report` or add it, and sign again",
        )
    if not claim.report.endswith(".json"):
        return
    report = _report(files[claim.report], path)
    for figure in figures:
        stated = getattr(claim, figure)
        if stated is not None and figure in report and not _same(stated, report[figure]):
            raise refusal(
                "manifest-invalid",
                path,
                f"its `{figure}` is {shown(str(report[figure]), longest=40)} but `{key}.{figure}` of the manifest is "
                f"{stated}: correct the one that is wrong, then sign again",
            )


def _report(data: bytes, path: str) -> dict[str, object]:
    if len(data) > MAX_REPORT_BYTES:
        raise refusal(
            "too-large",
            path,
            f"a report is at most {MAX_REPORT_BYTES} bytes: make it smaller, then sign again",
        )
    try:
        document = strictjson.parse(data)
    except strictjson.NotStrictError as error:
        raise refusal("manifest-invalid", path, f"{error}: correct the report, then sign again") from None
    return document if isinstance(document, dict) else {}


def _same(stated: float, reported: object) -> bool:
    return not isinstance(reported, bool) and reported == stated
