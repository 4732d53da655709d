from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgeguard.program import LinkSettings, Program
from hil.mcu import VirtualMcu

Peer = Any
MS = 0.001


def until_fallback(mcu: VirtualMcu, limit: float = 1.0) -> float:
    started = mcu.now
    while mcu.mode == "enabled":
        mcu.advance(mcu.now + 0.0005)
        assert mcu.now - started < limit
    return mcu.now - started


@pytest.mark.parametrize("phase_us", range(0, 20_000, 730))
def test_lost_host_falls_back_within_150_ms_in_every_phase(peer: Peer, phase_us: int) -> None:
    peer.enable()
    for _ in range(3):
        peer.command()
        peer.wait(0.02)
    peer.wait(phase_us * 1e-6)
    peer.command()
    assert until_fallback(peer.mcu) <= 0.150 - 0.025


def test_host_lost_between_two_actuators_falls_back(peer: Peer) -> None:
    peer.enable()
    for _ in range(20):
        peer.mcu.feed(peer.request())
        peer.wait(0.02)
    assert (peer.mcu.mode, peer.mcu.facts.reason) == ("fallback_only", "host-lost")


def test_silence_degrades_before_it_falls_back(peer: Peer) -> None:
    peer.enable()
    peer.command()
    peer.wait(0.050)
    assert not peer.mcu.facts.degraded
    peer.wait(0.002)
    assert peer.mcu.facts.degraded
    assert peer.mcu.mode == "enabled"
    peer.command()
    peer.wait(MS)
    assert not peer.mcu.facts.degraded


def test_fallback_ramps_to_the_safe_values_along_the_limits(peer: Peer) -> None:
    peer.enable()
    for _ in range(60):
        peer.command(brake=0.0, throttle=0.6)
        peer.wait(0.02)
    assert peer.mcu.outputs == {"brake": 0.0, "throttle": 0.6}
    until_fallback(peer.mcu)
    peer.mcu.advance(peer.mcu.now + 0.125)
    assert peer.mcu.outputs["throttle"] == 0.0  # no limit on the way down
    assert peer.mcu.outputs["brake"] == pytest.approx(0.5, abs=0.005)
    peer.mcu.advance(peer.mcu.now + 0.126)
    assert peer.mcu.outputs["brake"] == 1.0


def test_command_after_the_deadline_does_not_save_the_day(peer: Peer) -> None:
    """No tick came between the deadline and the late command: the core was held up."""
    peer.enable()
    for _ in range(3):
        peer.command()
        peer.wait(0.02)
    peer.mcu.hold_up(0.125)
    peer.command()
    assert peer.mcu.mode == "fallback_only"


def test_hung_hosts_backlog_is_refused(peer: Peer) -> None:
    """A host that is stopped and goes on later delivers what it wrote before: all of it is stale."""
    peer.enable()
    backlog = b"".join(peer.request() for _ in range(10))
    peer.wait(0.3)
    assert peer.mcu.mode == "fallback_only"
    peer.mcu.feed(backlog)
    assert peer.mcu.facts.refusal == "too-old"


def test_heartbeat_with_forged_frames_is_silence(peer: Peer) -> None:
    peer.enable()
    peer.key = bytes(32)
    for _ in range(10):
        peer.command()
        peer.wait(0.02)
    assert (peer.mcu.mode, peer.mcu.facts.reason) == ("fallback_only", "host-lost")


@pytest.mark.parametrize("lost_ms", [60, 150, 400])
def test_deadline_follows_the_policy(program: Program, make_peer: Any, lost_ms: int) -> None:
    peer = make_peer(replace(program, link=LinkSettings(lost_after=lost_ms / 1000)))
    peer.open()
    for _ in range(10):
        peer.command()
        peer.wait(0.01)
    peer.ask_to_arm()
    peer.command()
    assert until_fallback(peer.mcu) == pytest.approx(0.8 * lost_ms / 1000, abs=0.0021)
