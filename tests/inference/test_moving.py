"""Which primary answers follows from a seed that nobody outside knows, and can be worked out again from the log."""

from __future__ import annotations

import secrets

import pytest

from edgeguard.inference.moving import MovingTarget
from edgeguard.program import Switch


def test_a_seed_gives_the_same_order_in_every_version_so_that_logs_can_be_replayed() -> None:
    target = MovingTarget(Switch(2, 7), 3)
    assert [target.variant(n) for n in range(16)] == [2, 2, 2, 2, 0, 0, 0, 0, 1, 1, 2, 2, 0, 0, 2, 2]


def test_the_order_may_be_asked_for_in_any_order() -> None:
    target = MovingTarget(Switch(3, 9), 2)
    forth = [target.variant(n) for n in range(12)]
    assert [target.variant(n) for n in reversed(range(12))] == forth[::-1]


def test_a_drawn_seed_has_63_bits_so_that_it_fits_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "randbits", lambda bits: bits)
    assert MovingTarget(Switch(1), 2).seed == 63
    assert MovingTarget(None, 1).seed == 63
    assert MovingTarget(Switch(1, 0), 2).seed == 0
