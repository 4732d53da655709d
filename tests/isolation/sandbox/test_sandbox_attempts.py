"""Attacker code inside a worker can do nothing but answer: every attempt is denied, on every level that is reached."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.isolation.sandbox.attempts import ATTEMPTS, SETTINGS

DENIED = {"EPERM", "EACCES", "ENOSYS", "EBADF", "EAGAIN", "ENOMEM", "SIGSYS"}
SEALED = [name for name, setting in SETTINGS.items() if setting.level is not None and setting.sealed]
READS = {
    "open a file of the host for reading",
    "list a folder of the host",
    "read the host's memory through /proc/PID/mem",
    "read the host's environment",
}
"""What only Landlock, or another user than the host's, keeps from a worker that still loads."""


@pytest.mark.parametrize("setting", SEALED)
@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_sealed_worker_cannot(name: str, setting: str, outcomes: dict[str, Any]) -> None:
    got = outcomes[setting][name]["outcome"]
    assert got in DENIED
    without = outcomes["open"][name]["outcome"]
    assert got != without or without not in ATTEMPTS[name].open_way, "it ended as it does without a jail"


@pytest.mark.parametrize("name", [name for name, each in ATTEMPTS.items() if not each.while_loading])
def test_a_worker_that_loads_its_model_cannot(name: str, outcomes: dict[str, Any]) -> None:
    needs_layers(outcomes["loading"][name]["layers"], "files")
    assert outcomes["loading"][name]["outcome"] in DENIED | {"ENOENT"}


@pytest.mark.parametrize("name", [name for name, each in ATTEMPTS.items() if not each.while_loading])
def test_without_landlock_its_own_mounts_keep_a_worker_that_loads_its_model_from_reading(
    name: str, outcomes: dict[str, Any]
) -> None:
    needs_layers(outcomes["view-loading"][name]["layers"], "mounts")
    assert outcomes["view-loading"][name]["outcome"] in DENIED | {"ENOENT"}


@pytest.mark.parametrize("setting", ["no-landlock-loading", "user-no-landlock-loading"])
@pytest.mark.parametrize(
    "name", [name for name, each in ATTEMPTS.items() if not each.while_loading and name not in READS]
)
def test_without_landlock_a_worker_that_loads_its_model_can_only_read(
    name: str, setting: str, outcomes: dict[str, Any]
) -> None:
    assert outcomes[setting][name]["outcome"] in DENIED


@pytest.mark.parametrize("name", ATTEMPTS)
def test_the_same_attempt_without_a_jail_is_possible(name: str, outcomes: dict[str, Any]) -> None:
    """Else the tests above would pass for an attempt that is written wrongly."""
    got = outcomes["open"][name]["outcome"]
    if got not in ATTEMPTS[name].open_way and got in {"EPERM", "EACCES", "ENOSYS"}:
        pytest.skip(f"this machine refuses it without a jail as well ({got})")
    assert got in ATTEMPTS[name].open_way


def test_there_are_many_attempts_and_most_show_a_difference(outcomes: dict[str, Any]) -> None:
    assert len(ATTEMPTS) >= 28
    same = [n for n in ATTEMPTS if outcomes["open"][n]["outcome"] == outcomes["no-landlock"][n]["outcome"]]
    assert len(ATTEMPTS) - len(same) >= 28


def test_without_landlock_and_namespaces_a_worker_is_filtered_and_says_so(outcomes: dict[str, Any]) -> None:
    for found in outcomes["no-landlock"].values():
        assert found["level"] == 2
        assert found["layers"]["landlock"] == "left out by EDGEGUARD_SANDBOX_WITHOUT"


def test_with_everything_a_worker_is_strict(outcomes: dict[str, Any]) -> None:
    for setting in ("strict", "user"):
        found = next(iter(outcomes[setting].values()))
        needs_layers(found["layers"], "files", "namespaces", "user")
        assert found["level"] == 3


def test_until_it_is_sealed_a_worker_has_not_reached_the_filtered_level(outcomes: dict[str, Any]) -> None:
    assert {found["level"] for found in outcomes["loading"].values()} == {1}


def needs_layers(layers: dict[str, str], *names: str) -> None:
    off = {name: layers[name] for name in names if not layers[name].startswith(("on", "when sealed"))}
    if off:
        if os.environ.get("EDGEGUARD_TESTS_NEED_STRICT") == "1":
            pytest.fail(f"this machine is to reach every layer: {off}")
        pytest.skip(f"this machine does not have it: {off}")


def test_the_page_shows_every_attempt() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "sandbox.md").read_text()
    assert [name for name in ATTEMPTS if f"\n| {name} |" not in page] == [], "run tools/sandbox-table"
