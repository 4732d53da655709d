from __future__ import annotations

from typing import Any

import pytest

from edgeguard.errors import LinkError
from edgeguard.link import ping
from edgeguard.link.link import TransportLink

Mcu = Any


class Clock:
    """A clock that a sleep moves on, and on which the microcontroller answers at once."""

    def __init__(self, mcu: Mcu, answers: bool = True) -> None:
        self.now = 0.0
        self.mcu = mcu
        self.answers = answers

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if not self.answers:
            return
        if not self.mcu.session:
            self.mcu.hello()
        else:
            self.mcu.status(
                counter_echo=int.from_bytes(self.mcu.commands()[-1][8:12], "little")
            ) if self.mcu.commands() else self.mcu.status()


def test_ping_measures_round_trips_and_never_arms(mcu: Mcu, link: TransportLink) -> None:
    clock = Clock(mcu)
    report = ping(link, 1.0, clock=clock, sleep=clock.sleep)
    assert report.count >= 1
    assert 0.0 < report.fastest <= report.median <= report.slowest < 0.01
    assert {p[30] for p in mcu.commands()} == {1}
    assert {p[28] for p in mcu.commands()} == {3}
    assert "mode silent (booted)" in str(report)


def test_ping_without_an_answer_says_why(mcu: Mcu, link: TransportLink) -> None:
    clock = Clock(mcu, answers=False)
    with pytest.raises(LinkError, match=r"no answer .* within 0.5 s: waiting for the microcontroller"):
        ping(link, 0.5, clock=clock, sleep=clock.sleep)
