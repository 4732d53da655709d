"""What looks after the workers may fall over, too: the step is done all the same, and nobody gains by it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from edgeguard.guard import Guard
from edgeguard.types import Authority, Mode
from edgeguard.wiring import Admitted
from tests.guard.test_scheduled import Drive


def test_tending_that_falls_over_locks_out_and_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    drive = Drive().armed()

    def fall(_now: float) -> bool:
        raise ValueError("I/O operation on closed epoll object")

    monkeypatch.setattr(drive.second, "tend", fall)
    verdict = drive.step()
    assert (verdict.mode, verdict.authority) == (Mode.LOCKOUT, Authority.SAFE_STATE)
    assert drive.guard.perception_failures == 1
    assert drive.step().mode is Mode.LOCKOUT


def test_a_log_that_cannot_begin_leaves_no_worker_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    class Full:
        def begin(self, *_: Any, **__: Any) -> None:
            raise OSError(28, "No space left on device")

    perception: Any = SimpleNamespace(describe=dict, close=lambda: closed.append(True))
    monkeypatch.setattr("edgeguard.wiring.build_perception", lambda *_: perception)
    loaded: Any = SimpleNamespace(program=Drive().program)
    policy = Admitted(loaded, {}, {})
    full: Any = Full()
    with pytest.raises(OSError, match="No space left"):
        Guard.open(policy, log=full)
    assert closed == [True]
