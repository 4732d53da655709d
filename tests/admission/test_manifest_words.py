"""Every problem of a manifest in full: people read these words, so that none changes unseen."""

from __future__ import annotations

from pathlib import Path

from edgeguard.admission.manifest import parse_manifest
from edgeguard.errors import AdmissionError
from tests.admission import test_manifest, test_manifest_claims, test_origin
from tests.hostile.bundles.builders import manifest

WORDS = Path(__file__).parent / "data" / "manifest-problems.txt"


def said(data: bytes) -> str:
    """What is wrong with a manifest; empty: nothing."""
    try:
        parse_manifest(data, "m")
    except AdmissionError as error:
        return (
            str(error)
            .removeprefix("m: manifest-invalid: ")
            .removesuffix(": correct the file, then sign again")
        )
    return ""


def test_every_problem_is_told_in_the_words_on_file() -> None:
    cases = [manifest(change) for bad in (test_manifest.BAD, test_origin.BAD) for _, change in bad]
    cases += [test_manifest_claims.full(change) for _, change in test_manifest_claims.BAD]
    assert sorted({said(data) for data in cases}) == WORDS.read_text(encoding="utf-8").splitlines()
