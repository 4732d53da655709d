"""Who answers which look: nothing that a worker of the policy is to run is ever run in the host instead."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from edgeguard import wiring
from edgeguard.errors import ContractError
from edgeguard.program import WorkerSpec


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...]]]:
    found: list[tuple[str, tuple[str, ...]]] = []

    def member(name: str, looks: Any) -> Any:
        found.append((name, tuple(looks)))
        return SimpleNamespace(close=lambda: None)

    monkeypatch.setattr(wiring, "_start", lambda spec, looks, *_: member(spec.name, looks))
    monkeypatch.setattr(wiring, "HostMember", SimpleNamespace(load=lambda looks, *_: member("host", looks)))
    return found


def models(*roles: str, parts: tuple[str, ...] = ()) -> Any:
    manifest = SimpleNamespace(parts=dict.fromkeys(parts, "aa"))
    return {role: SimpleNamespace(manifest=manifest) for role in roles}


def program(**workers: tuple[str, ...]) -> Any:
    specs = tuple(WorkerSpec(name, looks) for name, looks in workers.items())
    return SimpleNamespace(models=(), workers=specs)


def test_a_fused_graph_runs_in_the_worker_that_the_policy_names(started: list[Any]) -> None:
    admitted = models("primary", "third", "fused", parts=("primary",))
    wiring.build_members(admitted, program(eyes=("fused", "third")))
    assert started == [("eyes", ("fused", "third"))]


def test_a_worker_for_the_fused_graph_alone_has_something_to_run(started: list[Any]) -> None:
    wiring.build_members(models("primary", "fused", parts=("primary",)), program(eyes=("fused",)))
    assert started == [("eyes", ("fused",))]


def test_every_alternate_of_a_primary_runs_where_the_primary_does(started: list[Any]) -> None:
    admitted = models("primary", "primary.1", "redundant")
    wiring.build_members(admitted, program(eyes=("primary", "squeezed"), second=("redundant",)))
    assert started == [
        ("eyes", ("primary", "squeezed", "primary.1", "squeezed.1")),
        ("second", ("redundant",)),
    ]


def test_a_look_that_a_worker_is_to_run_and_nobody_has_is_refused(started: list[Any]) -> None:
    admitted = models("primary", "redundant", "third", "fused", parts=("primary", "redundant"))
    with pytest.raises(ContractError, match="worker `second` is to run `redundant`"):
        wiring.build_members(admitted, program(eyes=("fused",), second=("redundant", "third")))
