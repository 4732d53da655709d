"""What two rooms say that may not import each other: a worker reads no bundle, and admission runs no model."""

from __future__ import annotations

from edgeguard.admission import manifest
from edgeguard.inference import session


def test_a_manifest_and_a_session_know_the_same_meanings() -> None:
    assert manifest.MEANINGS == session.MEANINGS
