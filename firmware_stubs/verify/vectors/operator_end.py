"""What an operator answers: the OFFERs that would grant what a person wants, and no others.

Every answer is written here by hand, from docs/reference/link-protocol.md; nothing is taken from a program.
"""

from __future__ import annotations

from typing import Any

import line
from ends import HOST_NONCES, OTHER_NONCE, READY, SESSION, STOPPED, End, asked, offer_body, status_body
from line import Broken


def _asks() -> End:
    e = End(
        "The operator answers the OFFER that would grant its request, echoes its clock, and stops when granted"
    )
    e.offer(flags=READY)
    e.do("arm")
    e.wait(10)
    e.offer(mcu_ms=5010)
    e.wait(100)
    e.offer(asked(5110, 5110, 2, link=2), mcu_ms=5110, flags=READY)
    e.wait(100)
    e.offer(mcu_ms=5210, mode=1, reason=1, flags=READY)
    e.wait(100)
    e.offer(mcu_ms=5310, mode=2, reason=2, flags=READY)
    return e


def _counts() -> End:
    e = End(
        "The operator's counter is the larger of its last one plus 1 and the OFFER's clock, anew in each session"
    )
    e.do("arm")
    e.offer(asked(1, 0, 2, link=2), mcu_ms=0, flags=READY)
    e.offer(asked(2, 0, 2, link=2), mcu_ms=0, flags=READY)
    e.offer(asked(700, 700, 2, link=2), mcu_ms=700, flags=READY)
    other = line.session_of(OTHER_NONCE, HOST_NONCES[0])
    e.offer(mcu_ms=40, session=other)
    e.do("arm")
    e.offer(asked(50, 50, 2, link=2, session=other), mcu_ms=50, flags=READY, session=other)
    return e


def _counter_limit() -> End:
    e = End(
        "The operator's counter goes up to 2^32-1; past it nothing is asked before another session is open"
    )
    e.do("arm")
    e.offer(asked(2**32 - 1, 2**32 - 1, 2, link=2), mcu_ms=2**32 - 1, flags=READY)
    e.offer(mcu_ms=2**32 - 1, flags=READY)
    e.offer(mcu_ms=5, flags=READY)
    other = line.session_of(OTHER_NONCE, HOST_NONCES[0])
    e.offer(mcu_ms=5, session=other)
    e.do("arm")
    e.offer(asked(6, 6, 2, link=2, session=other), mcu_ms=6, flags=READY, session=other)
    return e


def _session_ends_arm() -> End:
    e = End("A request to arm ends with the session it was asked in, and does not come back with it")
    other = line.session_of(OTHER_NONCE, HOST_NONCES[0])
    e.offer()
    e.do("arm")
    e.offer(mcu_ms=5100, flags=READY, session=other)
    e.offer(mcu_ms=5200, flags=READY, session=other)
    e.offer(mcu_ms=5300, flags=READY)
    return e


def _first_session() -> End:
    e = End(
        "A request to arm that was made before anything was heard is for the first session heard, and no other"
    )
    other = line.session_of(OTHER_NONCE, HOST_NONCES[0])
    e.do("arm")
    e.offer()
    e.offer(mcu_ms=5100, flags=READY, session=other)
    e.do("arm")
    e.offer(asked(5200, 5200, 2, link=2, session=other), mcu_ms=5200, flags=READY, session=other)
    return e


def _session_keeps_disarm() -> End:
    e = End("A request to disarm outlives the session it was asked in")
    other = line.session_of(OTHER_NONCE, HOST_NONCES[0])
    e.offer(mode=1, reason=1)
    e.do("disarm")
    e.offer(asked(9, 9, 3, link=2, session=other), mode=1, reason=1, mcu_ms=9, session=other)
    return e


def _session_ends_release() -> End:
    e = End(
        "A request to release ends with the session in which the latches were shown, and does not come back"
    )
    other = line.session_of(OTHER_NONCE, HOST_NONCES[0])
    e.offer(latches=1, mode=2, reason=9)
    e.do("release")
    e.offer(latches=1, mode=2, reason=9, mcu_ms=5100, session=other)
    e.offer(latches=1, mode=2, reason=9, mcu_ms=5200)
    return e


def _release_ends_arm() -> End:
    e = End("A release ends a request to arm that was made before it")
    e.offer(latches=1, mode=2, reason=9)
    e.do("arm")
    e.do("release")
    e.offer(asked(5100, 5100, 4, link=2), latches=1, mode=2, reason=9, mcu_ms=5100)
    e.offer(mode=2, reason=9, mcu_ms=5200, flags=READY)
    return e


def _nothing_to_release() -> End:
    e = End("A release ends a request to arm also where no latch was shown, and is not pending itself")
    e.offer()
    e.do("arm")
    e.do("release")
    e.offer(mcu_ms=5100, flags=READY)
    e.offer(mcu_ms=5200, latches=1, mode=2, reason=9)
    return e


def _arm_after_release() -> End:
    e = End("An arm that was asked for after a release waits for it")
    e.offer(latches=1, mode=2, reason=9)
    e.do("release")
    e.do("arm")
    e.offer(asked(5100, 5100, 4, link=2), latches=1, mode=2, reason=9, mcu_ms=5100)
    e.offer(asked(5200, 5200, 2, link=2), mode=2, reason=9, mcu_ms=5200, flags=READY)
    return e


def _releases() -> End:
    e = End(
        "The operator releases what was shown, not while the stop is pressed, and not what latched meanwhile"
    )
    e.offer(latches=1, mode=2, reason=9, flags=STOPPED)
    e.do("release")
    e.offer(latches=1, mode=2, reason=9, flags=STOPPED, mcu_ms=5100)
    e.offer(asked(5200, 5200, 4, link=2), latches=1, mode=2, reason=9, mcu_ms=5200)
    e.offer(latches=0, mode=2, reason=9, mcu_ms=5300)
    e.offer(latches=4, mode=3, reason=7, mcu_ms=5400)
    e.do("release")
    e.offer(latches=5, mode=3, reason=7, mcu_ms=5500)
    e.offer(latches=4, mode=3, reason=7, mcu_ms=5600)
    return e


def _disarms() -> End:
    e = End("The operator disarms a microcontroller that is enabled, and a request to arm ends with it")
    e.offer(mode=1, reason=1)
    e.do("disarm")
    e.offer(asked(5100, 5100, 3, link=2), mode=1, reason=1, mcu_ms=5100)
    e.offer(mode=2, reason=3, mcu_ms=5200)
    e.do("arm")
    e.offer(mode=2, reason=3, mcu_ms=5300)
    e.do("disarm")
    e.offer(mode=2, reason=3, mcu_ms=5400, flags=READY)
    e.offer(mode=1, reason=1, mcu_ms=5500)
    return e


def _arms_instead() -> End:
    e = End("A request to arm ends a request to disarm")
    e.offer(mode=1, reason=1)
    e.do("disarm")
    e.do("arm")
    e.offer(mode=1, reason=1, mcu_ms=5100)
    e.offer(mode=2, reason=2, mcu_ms=5200, flags=READY)
    return e


def _arms_instead_of_disarming() -> End:
    e = End("Who disarms and then arms, while not enabled, arms")
    e.offer(mode=2, reason=2)
    e.do("disarm")
    e.do("arm")
    e.offer(asked(5100, 5100, 2, link=2), mode=2, reason=2, mcu_ms=5100, flags=READY)
    return e


def _order() -> End:
    e = End("An OFFER is old from 2^31 ms behind the newest on; one that is 2^31-1 ms ahead is new")
    e.do("arm")
    e.offer(mcu_ms=2**31 + 100)
    e.offer(accepted=False, mcu_ms=100, flags=READY)
    e.offer(accepted=False, mcu_ms=2**31 + 99, flags=READY)
    e.offer(asked(2**32 - 1, 2**32 - 1, 2, link=2), mcu_ms=2**32 - 1, flags=READY)
    e.now += 3000
    e.wait(0)
    e.offer(mcu_ms=2**31 - 2, flags=READY)
    e.offer(accepted=False, mcu_ms=2**32 - 2, flags=READY)
    return e


def _spoilt() -> End:
    e = End("An OFFER with a bad checksum is counted apart, and not answered")
    e.do("arm")
    e.spoilt(line.frame("OFFER", offer_body(SESSION, flags=READY)), "an OFFER")
    e.offer(asked(5000, 5000, 2, link=2), flags=READY)
    return e


def _unseen() -> End:
    e = End("A release before anything was heard is not pending")
    e.do("release")
    e.offer(latches=1, mode=2, reason=9)
    e.offer(latches=1, mode=2, reason=9, mcu_ms=5100)
    return e


def _flags() -> End:
    e = End(
        "Of the flags, ready alone lets the operator ask to arm, and pressed alone keeps it from a release"
    )
    e.do("arm")
    e.offer(mode=2, reason=2, flags=0x85)
    e.offer(asked(5100, 5100, 2, link=2), mode=2, reason=2, mcu_ms=5100, flags=0xFB)
    e.offer(mode=2, reason=9, mcu_ms=5200, latches=2)
    e.do("release")
    e.offer(asked(5300, 5300, 4, link=2), mode=2, reason=9, mcu_ms=5300, latches=2, flags=0xFB)
    e.offer(mode=2, reason=9, mcu_ms=5400, latches=2, flags=STOPPED)
    return e


def _latched() -> End:
    e = End("The operator does not ask to arm what is latched")
    e.do("arm")
    e.offer(flags=READY, latches=8)
    return e


def _window() -> End:
    e = End("A request that is not granted within 2 s ends")
    e.do("arm")
    e.wait(2000)
    e.offer(asked(5000, 5000, 2, link=2), flags=READY)
    e.wait(1)
    e.offer(flags=READY, mcu_ms=5001)
    return e


def _deaf() -> End:
    e = End("The operator answers nothing forged, of another policy, older than the last OFFER, or not to it")
    e.do("arm")
    e.offer(accepted=False, flags=READY, key=line.HOST_KEY)
    e.offer(accepted=False, flags=READY, policy_hash=line.POLICY_HASH ^ 1)
    e.offer(asked(5000, 5000, 2, link=2), flags=READY)
    e.offer(accepted=False, flags=READY, mcu_ms=4999)
    of_mcu = Broken(system=1)
    for raw, what in (
        (line.frame("OFFER", offer_body(SESSION, flags=READY), link=2, broken=of_mcu), "an OFFER on link 2"),
        (line.frame("OFFER", offer_body(SESSION, flags=READY), broken=Broken(system=255)), "of system 255"),
        (line.frame("OFFER", offer_body(SESSION, flags=READY), broken=Broken(system=2)), "of system 2"),
        (line.frame("OFFER", offer_body(SESSION, flags=READY), broken=Broken(component=0)), "of component 0"),
        (line.frame("OFFER", offer_body(SESSION, flags=READY), broken=Broken(component=2)), "of component 2"),
        (line.frame("OFFER", offer_body(SESSION, flags=READY), link=1), "an OFFER on link 1, host key"),
        (line.frame("OFFER", offer_body(SESSION, flags=0x02)), "an OFFER without bit 7 of its flags"),
        (line.frame("STATUS", status_body(SESSION, flags=READY), link=3), "a STATUS on link 3"),
    ):
        e.receive(raw, what, accepted=False)
    return e


def vectors() -> list[dict[str, Any]]:
    """Return the operator's vectors."""
    made = (
        _asks,
        _counts,
        _counter_limit,
        _session_ends_arm,
        _first_session,
        _session_keeps_disarm,
        _session_ends_release,
        _releases,
        _release_ends_arm,
        _nothing_to_release,
        _arm_after_release,
        _disarms,
        _arms_instead,
        _arms_instead_of_disarming,
        _unseen,
        _flags,
        _latched,
        _window,
        _order,
        _spoilt,
        _deaf,
    )
    return [make().vector() for make in made]
