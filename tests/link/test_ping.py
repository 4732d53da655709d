from __future__ import annotations

from typing import Any

import pytest

from edgeguard.errors import LinkError
from edgeguard.link import monitor, ping
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


def test_ping_tells_percentiles_and_what_did_not_arrive(mcu: Mcu, link: TransportLink) -> None:
    class Faulty(Clock):
        def sleep(self, seconds: float) -> None:
            if self.now > 0.5:
                self.mcu.counter += 1
            super().sleep(seconds)

    clock = Faulty(mcu)
    report = ping(link, 0.5, clock=clock, sleep=clock.sleep)
    assert report.clean
    assert "0 lost, 0 checksum errors, 0 rejected" in str(report)
    report = ping(link, 0.5, clock=clock, sleep=clock.sleep)
    assert report.fastest <= report.median <= report.p99 <= report.slowest
    assert (report.lost > 100, report.damaged, report.refused, report.clean) == (True, 0, 0, False)


def test_monitor_tells_what_it_sees_and_never_arms(mcu: Mcu, link: TransportLink) -> None:
    clock = Clock(mcu)
    samples = list(monitor(link, 1.2, every=0.5, clock=clock, sleep=clock.sleep))
    assert [round(sample.at, 1) for sample in samples] == [0.5, 1.0, 1.2]
    assert samples[-1].status.state == "open"
    assert [90 < sample.sent_rate < 110 for sample in samples] == [True] * 3  # two actuators at 50 Hz
    assert all(900 < sample.received_rate < 1100 for sample in samples)
    assert ({p[30] for p in mcu.commands()}, {p[28] for p in mcu.commands()}) == ({1}, {3})
    assert mcu.asked == []


def test_monitor_without_a_session_says_why(mcu: Mcu, link: TransportLink) -> None:
    clock = Clock(mcu, answers=False)
    (sample,) = monitor(link, 0.4, clock=clock, sleep=clock.sleep)
    assert (sample.status.state, sample.status.reason) == ("waiting", "waiting for the microcontroller")


def test_monitor_for_no_time_sees_nothing(mcu: Mcu, link: TransportLink) -> None:
    clock = Clock(mcu)
    assert list(monitor(link, 0.0, clock=clock, sleep=clock.sleep)) == []


def test_ping_without_an_answer_says_why(mcu: Mcu, link: TransportLink) -> None:
    clock = Clock(mcu, answers=False)
    with pytest.raises(LinkError, match=r"no answer .* within 0.5 s: waiting for the microcontroller"):
        ping(link, 0.5, clock=clock, sleep=clock.sleep)
