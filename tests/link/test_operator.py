from __future__ import annotations

import math
from dataclasses import dataclass, field
from hashlib import sha256
from struct import Struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.link import messages, wire
from edgeguard.link.keys import TEST_OPERATOR_KEY
from edgeguard.link.messages import Action, Offer, Request
from edgeguard.link.operator import ARM_WINDOW, COUNTER_MAX, OperatorSession

POLICY = sha256(b"the policy").digest()
HASH = int.from_bytes(POLICY[:4], "little")
COMMAND = Struct("<8sIIIiHHBBBB")
LOOK_AGAIN = "release: something else latched, or the line was opened anew: look, and release again"
READY = messages.FLAG_ALWAYS | messages.READY


@dataclass(slots=True)
class Panel:
    """An operator, and a microcontroller that only offers."""

    session: OperatorSession = field(default_factory=lambda: OperatorSession(TEST_OPERATOR_KEY, POLICY))
    mcu_ms: int = 1000

    def offer(self, **changes: object) -> Offer:
        self.mcu_ms += 100
        offer = Offer(b"session1", self.mcu_ms, HASH, 0, 0, 0, messages.FLAG_ALWAYS)
        return offer._replace(**changes)  # type: ignore[arg-type]

    def hears(self, now: float = 0.0, **changes: object) -> list[Request]:
        answer = self.session.receive(packed(self.offer(**changes)), now)
        frames = list(wire.Parser(None, TEST_OPERATOR_KEY).feed(answer))
        assert all((f.message, f.system, f.component, f.link) == (wire.COMMAND, 255, 1, 2) for f in frames)
        return [Request(*COMMAND.unpack(f.payload)) for f in frames]


def packed(offer: Offer, link: int = wire.MCU_TO_OPERATOR, key: bytes = TEST_OPERATOR_KEY) -> bytes:
    frame = wire.RawFrame(wire.OFFER, wire.SYSTEM_MCU, wire.COMPONENT, link, offer.encode())
    return wire.pack(frame, sequence=0, stamp=0, key=key)


@pytest.fixture
def panel() -> Panel:
    return Panel()


def test_without_a_request_an_offer_is_only_heard(panel: Panel) -> None:
    assert panel.session.status().last_heard == -math.inf
    assert panel.hears(3.0, mode=2, reason=9, latches=3, flags=0x87) == []
    status = panel.session.status()
    assert (status.last_heard, status.mode, status.reason) == (3.0, "fallback_only", "stopped")
    assert (status.latches, status.stopped, status.ready) == (("stop", "feedback"), True, True)


def test_arm_answers_the_offer_that_would_grant_it(panel: Panel) -> None:
    panel.session.arm(0.0)
    assert panel.hears(0.1) == []  # not ready
    assert panel.hears(0.2, flags=READY, latches=4) == []
    (asked,) = panel.hears(0.3, flags=READY)
    assert asked == Request(
        session=b"session1",
        counter=panel.mcu_ms,
        mcu_ms_echo=panel.mcu_ms,
        policy_hash=HASH,
        value=0,
        valid_ms=100,
        data_id=0xE600,
        source=2,
        actuator=0,
        action=Action.ARM,
    )


def test_request_is_made_again_until_it_is_granted(panel: Panel) -> None:
    panel.session.arm(0.0)
    assert [len(panel.hears(flags=READY)) for _ in range(3)] == [1, 1, 1]
    assert panel.hears(mode=1) == []
    assert panel.hears(mode=2, flags=READY) == []  # it fell back by itself: no request may be pending still
    assert panel.session.status().note == ""


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (None, "no offer came from the microcontroller"),
        ({}, "the microcontroller is not ready: it misses commands in time, or a measured position"),
        ({"latches": 9, "flags": READY}, "latched: stop, reset; release first"),
        ({"flags": READY}, "the answers did not reach the microcontroller in time"),
    ],
)
def test_arm_request_ends_and_says_why(panel: Panel, last: dict[str, object] | None, why: str) -> None:
    panel.session.arm(0.0)
    if last is not None:
        panel.hears(ARM_WINDOW, **last)
    panel.session.tick(ARM_WINDOW)
    assert panel.session.note == ""
    panel.session.tick(ARM_WINDOW + 0.01)
    assert panel.session.note == f"arm: not granted within 2 s: {why}"
    assert panel.hears(ARM_WINDOW + 0.1, flags=READY) == []
    panel.session.arm(5.0)
    assert panel.session.note == ""


def test_release_waits_for_the_emergency_stop(panel: Panel) -> None:
    panel.hears(latches=1, flags=0x84)
    panel.session.release(0.0)
    assert panel.hears(0.1, latches=1, flags=0x84) == []
    assert [asked.action for asked in panel.hears(0.2, latches=1)] == [Action.RELEASE]
    assert panel.hears(0.3) == []
    assert panel.hears(0.4, latches=1) == []  # it was granted: what latches now is another matter


def test_release_under_a_pressed_stop_ends_and_says_why(panel: Panel) -> None:
    panel.hears(latches=1, flags=0x84)
    panel.session.release(0.0)
    panel.hears(ARM_WINDOW + 0.1, latches=1, flags=0x84)
    assert panel.session.note == "release: not granted within 2 s: the emergency stop is pressed"


def test_what_latches_after_the_operator_looked_is_not_released(panel: Panel) -> None:
    panel.hears(latches=1)
    panel.session.release(0.0)
    assert panel.hears(0.1, latches=5) == []
    assert panel.session.note == LOOK_AGAIN
    panel.session.release(0.2)
    assert [asked.action for asked in panel.hears(0.3, latches=5)] == [Action.RELEASE]


def test_what_was_shown_in_another_session_is_not_released(panel: Panel) -> None:
    panel.hears(latches=0x0F, session=b"session0")  # it may be a recording
    panel.session.release(0.0)
    assert panel.hears(0.1, latches=1) == []
    assert panel.session.note == LOOK_AGAIN


@pytest.mark.parametrize("heard", [False, True])
def test_what_was_never_shown_is_not_released(panel: Panel, heard: bool) -> None:
    if heard:
        panel.hears()
    panel.session.release(0.0)
    assert panel.session.note == "release: the microcontroller has shown nothing to release"
    assert panel.hears(0.1, latches=1) == []


def test_release_ends_a_request_to_arm_that_was_made_before_it(panel: Panel) -> None:
    panel.hears(latches=1)
    panel.session.arm(0.0)
    panel.session.release(0.0)
    assert [asked.action for asked in panel.hears(0.1, latches=1, flags=READY)] == [Action.RELEASE]
    assert panel.hears(0.2, flags=READY) == []


def test_release_comes_before_an_arm_that_was_asked_for_after_it(panel: Panel) -> None:
    panel.hears(latches=1)
    panel.session.release(0.0)
    panel.session.arm(0.0)
    assert [asked.action for asked in panel.hears(0.1, latches=1, flags=READY)] == [Action.RELEASE]
    assert [asked.action for asked in panel.hears(0.2, flags=READY)] == [Action.ARM]


def test_disarm_ends_the_request_to_arm(panel: Panel) -> None:
    panel.session.arm(0.0)
    panel.session.disarm(0.0)
    assert [asked.action for asked in panel.hears(0.1, mode=1)] == [Action.DISARM]
    assert panel.hears(0.2, flags=READY) == []
    panel.session.disarm(0.3)
    panel.session.arm(0.3)
    assert [asked.action for asked in panel.hears(0.4, flags=READY)] == [Action.ARM]


def test_a_request_to_arm_ends_with_the_session_it_was_asked_in(panel: Panel) -> None:
    panel.hears()
    panel.session.arm(0.0)
    assert panel.hears(0.1, flags=READY, session=b"session2") == []
    assert panel.session.note == "arm: the line was opened anew: look, and arm again"
    assert panel.hears(0.2, flags=READY, session=b"session1") == []  # nor does it come back with the old one
    panel.session.arm(0.3)
    assert [asked.action for asked in panel.hears(0.4, flags=READY)] == [Action.ARM]


def test_a_request_to_disarm_outlives_the_session_it_was_asked_in(panel: Panel) -> None:
    panel.hears(mode=1)
    panel.session.disarm(0.0)
    (asked,) = panel.hears(0.1, mode=1, session=b"session2")
    assert (asked.action, asked.session) == (Action.DISARM, b"session2")


def test_both_requests_end_with_the_session(panel: Panel) -> None:
    panel.hears(latches=1)
    panel.session.release(0.0)
    panel.session.arm(0.0)
    assert panel.hears(0.1, latches=1, session=b"session2") == []
    assert panel.hears(0.2, flags=READY, session=b"session2") == []
    assert panel.session.note == LOOK_AGAIN


def test_counters_strictly_increase_in_a_session_whoever_restarts(panel: Panel) -> None:
    counters = []
    for now in range(3):
        panel.session.arm(now)
        counters += [asked.counter for asked in panel.hears(now, flags=READY)]
        counters += [asked.counter for asked in panel.hears(now, flags=READY, mcu_ms=panel.mcu_ms)]  # at once
        panel.session = OperatorSession(TEST_OPERATOR_KEY, POLICY)
    assert len(counters) == 6
    assert counters == sorted(set(counters))


def test_first_counter_of_a_session_is_one_at_least(panel: Panel) -> None:
    panel.session.arm(0.0)
    assert [asked.counter for asked in panel.hears(flags=READY, mcu_ms=0)] == [1]


def test_counter_that_is_used_up_asks_for_nothing(panel: Panel) -> None:
    panel.session.arm(0.0)
    assert [asked.counter for asked in panel.hears(flags=READY, mcu_ms=COUNTER_MAX)] == [COUNTER_MAX]
    assert panel.hears(flags=READY, mcu_ms=5) == []  # its clock began again
    assert "counter is used up" in panel.session.note
    assert panel.hears(flags=READY, mcu_ms=6, session=b"session2") == []  # another session: asked anew
    panel.session.arm(0.0)
    assert [asked.counter for asked in panel.hears(flags=READY, mcu_ms=7, session=b"session2")] == [7]


def test_old_offer_of_the_session_is_refused(panel: Panel) -> None:
    old = packed(panel.offer(flags=READY))
    panel.hears()
    panel.session.arm(0.0)
    assert panel.session.receive(old, 0.1) == b""
    assert (panel.session.rejected, panel.session.status().ready) == (1, False)


def test_machine_under_another_policy_gets_no_answer(panel: Panel) -> None:
    panel.session.arm(0.0)
    assert panel.hears(flags=READY, policy_hash=1) == []
    assert (panel.session.rejected, panel.session.note) == (1, "the microcontroller holds policy 01000000")


@pytest.mark.parametrize("link", [wire.TO_HOST, wire.OPERATOR_TO_MCU])
def test_offer_of_another_direction_or_key_is_refused(panel: Panel, link: int) -> None:
    panel.session.arm(0.0)
    assert panel.session.receive(packed(panel.offer(flags=READY), link), 0.0) == b""
    assert panel.session.receive(packed(panel.offer(flags=READY), key=bytes(32)), 0.0) == b""
    assert panel.session.status().last_heard == -math.inf


def test_offer_without_the_fixed_flag_is_refused(panel: Panel) -> None:
    panel.session.arm(0.0)
    assert panel.hears(flags=messages.READY) == []
    assert panel.session.rejected == 1


def test_a_vanished_port_takes_every_request_with_it(panel: Panel) -> None:
    panel.hears(latches=1)
    panel.session.arm(0.0)
    panel.session.release(0.0)
    panel.session.cancel()
    assert panel.hears(latches=1, flags=READY) + panel.hears(flags=READY) == []


@given(st.binary(max_size=300))
def test_rubbish_never_raises_and_asks_for_nothing(data: bytes) -> None:
    session = OperatorSession(TEST_OPERATOR_KEY, POLICY)
    session.arm(0.0)
    assert session.receive(data, 0.0) == b""
