"""A quick part of `make prove-firmware` and all of `make misra`, where their tools are; and that both can fail."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from firmware_stubs.verify.misra import run as misra
from firmware_stubs.verify.prove import controls, prover, run, tables


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return prover.find(fetch=False)
    except prover.MissingError as reason:
        pytest.skip(str(reason))


@pytest.mark.usefixtures("program")
def test_the_quick_proofs_hold_for_the_demos_table_and_broken_cores_are_refuted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run.main(["--slice"]) == 0, capsys.readouterr().out


@pytest.mark.usefixtures("program")
def test_a_proof_that_gets_too_little_time_is_not_taken_for_proved(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--table", "extreme-16", "--proof", "soundness", "--no-controls", "--cpu", "1"]
    assert run.main(arguments) == 1
    assert "undecided" in capsys.readouterr().out


def test_every_control_still_applies_to_the_core(tmp_path: Path) -> None:
    for number, control in enumerate(controls.CONTROLS):
        abstract = control.proof != "memory"
        controls.copy_core(run.CORE, tmp_path / str(number), control, abstract=abstract)


def test_a_control_whose_text_is_gone_is_an_error(tmp_path: Path) -> None:
    stale = controls.Control("gone", "envelope", (("eg_core.c", "no such text", ""),))
    with pytest.raises(controls.StaleError, match="change the control"):
        controls.copy_core(run.CORE, tmp_path, stale, abstract=True)


def test_the_extreme_tables_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    first = tables.write_extremes(tmp_path / "1")
    second = tables.write_extremes(tmp_path / "2")
    for name, where in first.items():
        again = second[name] / "policy_table.h"
        assert (where / "policy_table.h").read_bytes() == again.read_bytes()


@pytest.mark.skipif(shutil.which("cppcheck") is None, reason="cppcheck is not here")
def test_every_misra_finding_has_its_reason_and_a_seeded_one_is_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert misra.main() == 0, capsys.readouterr().out
