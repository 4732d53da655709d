"""`probe` says what this machine offers and what a process reaches on it; it never fails."""

from __future__ import annotations

import json

import pytest

from edgeguard.cli.app import invoke
from edgeguard.isolation.sandbox import Level, probe, probing
from edgeguard.isolation.sandbox.levels import LAYERS


def test_it_says_what_the_kernel_has_and_what_a_process_reached() -> None:
    found = probe()
    assert found["seccomp"] == "yes"
    assert found["level"] in {level.name.lower() for level in Level}
    assert {f"layer {layer}" for layer in LAYERS} <= set(found)


def test_it_tries_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEGUARD_SANDBOX_WITHOUT", "landlock,namespaces")
    found = probe()
    assert found["level"] == "filtered"
    assert found["landlock"] == "no: left out by EDGEGUARD_SANDBOX_WITHOUT"


def test_a_layer_to_do_without_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEGUARD_SANDBOX_WITHOUT", "seccomp, landlok")
    found = probe()
    assert found["seccomp"] == "no: left out by EDGEGUARD_SANDBOX_WITHOUT"
    assert found["EDGEGUARD_SANDBOX_WITHOUT"].startswith("there is no `landlok`: it can name landlock, ")


def test_a_trial_that_does_not_answer_is_no_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "_TRIAL", "raise SystemExit(1)")
    found = probe()
    assert found["level"] == "off"
    assert found["layer trial"].startswith("the process that tries it did not answer")


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_verb_shows_the_level_and_every_layer(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["probe", "--format", form]) == 0
    said = capsys.readouterr().out
    if form == "json":
        assert json.loads(said)["sandbox"]["level"] in {level.name.lower() for level in Level}
    assert all(f"layer {layer}" in said for layer in LAYERS)
