from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeguard.link import messages
from edgeguard.program import ActuatorLimit, LinkSettings, Program
from edgeguard.types import Authority
from hil.mcu import VirtualMcu

INT32 = st.integers(-(2**31), 2**31 - 1)
RESOLUTION = 2e-6
"""Two steps of the wire: the rounding of one value and of one rate."""

ENVELOPES = {
    "demo": (),
    "signed": (
        ActuatorLimit("steer", -0.5, 0.5, 0.7, 0.3, 0.0),
        ActuatorLimit("slow", -3.0, -1.0, 0.001, 0.002, -2.0),
        ActuatorLimit("wild", -2000.0, 2000.0, 2000.0, float("inf"), 13.5),
    ),
}


@pytest.mark.parametrize("name", ENVELOPES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_outputs_never_leave_the_envelope_nor_its_rates(
    program: Program, make_peer: Callable[[Program], Any], name: str, data: st.DataObject
) -> None:
    program = replace(program, envelope=ENVELOPES[name] or program.envelope)
    peer = make_peer(program)
    peer.open()
    before, at = peer.mcu.outputs, peer.mcu.now
    armed = False
    for _ in range(data.draw(st.integers(10, 40))):
        for index, limit in enumerate(program.envelope):
            value = data.draw(INT32 | st.sampled_from([round(limit.low * 1e6), round(limit.high * 1e6)]))
            source = data.draw(st.sampled_from([0, 0, 1, 2, 3, 4, 255]) if armed else st.just(0))
            peer.mcu.feed(
                peer.request(actuator=index, data_id=messages.DATA_ID + index, value=value, source=source)
            )
        peer.ask_to_arm()
        peer.wait(data.draw(st.sampled_from([0.001, 0.0015, 0.007, 0.02, 0.02, 0.02, 0.04, 0.13])))
        armed = armed or peer.mcu.mode == "enabled"
        _check(program, before, peer.mcu, peer.mcu.now - at)
        before, at = peer.mcu.outputs, peer.mcu.now


def _check(program: Program, before: Any, mcu: VirtualMcu, elapsed: float) -> None:
    after = mcu.outputs
    span = elapsed + 0.001  # outputs move in steps of 1 ms, the first of which may have begun before
    for limit in program.envelope:
        assert limit.low <= after[limit.name] <= limit.high
        moved = after[limit.name] - before[limit.name]
        assert -limit.fall * span - RESOLUTION <= moved <= limit.rise * span + RESOLUTION


def test_output_reaches_the_target_at_the_rate(program: Program, make_peer: Callable[[Program], Any]) -> None:
    peer = make_peer(program)
    peer.enable()
    start = peer.mcu.now
    while peer.mcu.outputs["brake"] > 0.2:
        peer.command(brake=0.2)
        peer.wait(0.01)
    assert peer.mcu.now - start == pytest.approx(0.8 / 4.0, abs=0.012)


def test_held_up_core_does_not_catch_up_with_a_leap(
    program: Program, make_peer: Callable[[Program], Any]
) -> None:
    slow = replace(program, link=LinkSettings(lost_after=10.0))
    peer = make_peer(slow)
    peer.enable()
    peer.command(brake=0.0)
    peer.mcu.hold_up(5.0)
    peer.now = peer.mcu.now
    peer.wait(0.001)
    assert peer.mcu.outputs["brake"] == pytest.approx(1.0 - 4.0 * 0.051, abs=0.02)


def test_slowest_rate_still_moves(program: Program, make_peer: Callable[[Program], Any]) -> None:
    slow = replace(program, envelope=(ActuatorLimit("valve", 0.0, 1.0, 0.001, 0.001, 1.0),))
    peer = make_peer(slow)
    peer.open()
    for _ in range(6):
        peer.mcu.feed(peer.request(value=0))
        peer.wait(0.02)
    peer.ask_to_arm()
    for _ in range(100):
        peer.mcu.feed(peer.request(value=0, source=int(Authority.RULES)))
        peer.wait(0.02)
    assert peer.mcu.outputs["valve"] == pytest.approx(1.0 - 0.002, abs=1e-5)
