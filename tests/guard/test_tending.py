"""What looks after the workers may fall over, too: the step is done all the same, and nobody gains by it."""

from __future__ import annotations

import pytest

from edgeguard.types import Authority, Mode
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
