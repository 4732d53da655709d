"""A slice of the fuzzing of admission; `make fuzz-admission` does it at length."""

from __future__ import annotations

import os

import pytest

from bench.fuzz_admission import FindingError, Targets
from bench.strange_bundles import Guided, Seeded
from edgeguard.errors import AdmissionError

SIZE = int(os.environ.get("EDGEGUARD_FUZZ_BUNDLES", "250"))


@pytest.fixture(scope="module")
def targets() -> Targets:
    return Targets()


@pytest.mark.parametrize(
    "name", ["signature", "statement", "manifest", "model", "certificates", "ciphertext", "second", "floor"]
)
def test_nothing_strange_is_admitted_and_nothing_crashes(name: str, targets: Targets) -> None:
    ended = {targets.trials[name](Seeded(f"slice-{name}-{i}")) for i in range(SIZE)}
    assert ended - {"admitted"}


def test_every_target_has_a_slice(targets: Targets) -> None:
    assert len(targets.trials) == 8


def test_a_guided_input_that_ends_early_is_an_input_too(targets: Targets) -> None:
    for name, trial in targets.trials.items():
        assert trial(Guided(b"")), name


def test_the_judge_sees_a_false_admission(targets: Targets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "admit", lambda *_: None)
    with pytest.raises(FindingError, match="were admitted"):
        for i in range(50):
            targets.signature_trial(Seeded(f"judge-{i}"))


def test_the_judge_sees_a_message_that_cannot_be_shown(
    targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AdmissionError("link", "a\nb", "x")

    monkeypatch.setattr(targets, "admit", refuse)
    with pytest.raises(FindingError, match="cannot be shown"):
        targets.signature_trial(Seeded("1"))
