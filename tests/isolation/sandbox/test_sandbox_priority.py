"""A right that the host was given for itself is none of its worker's: not even while it loads."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import pytest

from edgeguard.isolation.sandbox import limits

Confined = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("level", ["Level.STRICT", "Level.PROCESS"])
def test_without_a_priority_of_its_own_a_worker_cannot_take_its_hosts(confined: Confined, level: str) -> None:
    told = confined(
        f"""
given = outcome(lambda: resource.setrlimit(resource.RLIMIT_RTPRIO, (50, 50)))
jail = Jail({level}, keep=(1, 2))
state = enter(jail).layers["scheduling"]
took = outcome(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(40)))
tell(given=given, took=took, state=state, limit=resource.getrlimit(resource.RLIMIT_RTPRIO))
"""
    )
    assert (told["took"], told["state"], told["limit"]) == ("PermissionError", "not asked for", [0, 0])
    if told["given"] != "done":
        pytest.skip("this machine gives nobody the right to real-time priority: there was none to take")


def test_the_right_to_real_time_priority_goes_where_nobody_asked_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lowered: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "getrlimit", lambda _: (50, 50))
    monkeypatch.setattr(resource, "setrlimit", lowered.__setitem__)
    assert limits.prepare_fifo(None) == "not asked for"
    assert lowered == {resource.RLIMIT_RTPRIO: (0, 0)}
