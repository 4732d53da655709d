"""What takes a microcontroller's authority away and what leaves it alone: refusals, the stop, damage to its memory.

Every verdict is written here by hand, from docs/reference/link-protocol.md; nothing is taken from a program.
"""

from __future__ import annotations

from typing import Any

import line
from mcu import ARM, DISARM, HUMAN, MODEL, RELEASE, RULES, SAFE, SET, Sequence, sequence

MEMORY, RESET = 4, 8


# ---- what leaves the authority alone ---------------------------------------------------------------------------------


@sequence()
def _stays_enabled(s: Sequence) -> None:
    """While enabled, no refused COMMAND takes the authority away but one under another policy"""
    s.enable()
    old = s.session
    enabled: dict[str, Any] = {"mode": "enabled", "reason": 1}
    s.command(2, mcu_ms_echo=s.now - 101, **enabled)
    s.command(2, mcu_ms_echo=s.now + 1, **enabled)
    s.command(3, source=4, **enabled)
    s.command(3, source=255, **enabled)
    s.command(4, actuator=2, **enabled)
    s.command(12, actuator=1, source=MODEL, **enabled)
    s.command(5, action=0, **enabled)
    s.command(24, action=ARM, source=HUMAN, value=0, **enabled)
    s.command(23, data_id=0, **enabled)
    s.command(22, counter=1, **enabled)
    s.command(21, session=old[::-1], **enabled)
    s.command(18, flags=0x81, **enabled)
    s.command(17, link=1, **enabled)
    s.command(16, key=bytes(32), **enabled)
    s.wait(1, ready=False, **enabled)
    s.round()
    s.command(1, policy_hash=line.POLICY_HASH ^ 1, mode="fallback_only", reason=5)


@sequence()
def _stays_enabled_operator(s: Sequence) -> None:
    """While enabled, a stale request of the operator does nothing, and one to arm or release changes nothing"""
    s.enable()
    s.operator(DISARM, 2, mcu_ms_echo=s.now - 101, mode="enabled", reason=1)
    s.operator(DISARM, 3, source=4, mode="enabled", reason=1)
    s.operator(ARM, 6, mode="enabled", reason=1)
    s.ready()
    s.operator(ARM, mode="enabled", reason=1)
    s.operator(ARM, 7, source=MODEL, mode="enabled", reason=1)
    s.operator(RELEASE, mode="enabled", reason=1)
    s.operator(SET, 24, mode="enabled", reason=1)
    s.operator(DISARM, mode="fallback_only", reason=3)


@sequence()
def _stays_enabled_open(s: Sequence) -> None:
    """While enabled, a refused OPEN takes nothing away"""
    s.enable()
    s.open(19, mcu_nonce=bytes(8), mode="enabled", reason=1)
    s.open(1, policy=bytes(16), mode="enabled", reason=1)
    s.open(20, protocol=1, mode="enabled", reason=1)
    s.wait(20, mode="enabled", ready=True)
    s.command(mode="enabled")


@sequence()
def _five_again(s: Sequence) -> None:
    """Whatever starts the count again starts it at none: four commands in time are too few after it"""

    def counts_to_five() -> None:
        s.wait(1, ready=False)
        for _ in range(4):
            s.round()
        s.wait(0, ready=False)
        s.round()
        s.wait(0, ready=True)

    s.open()
    counts_to_five()
    s.command(1, policy_hash=0)
    counts_to_five()
    s.command(2, mcu_ms_echo=s.now - 101)
    counts_to_five()
    s.command(3, source=4)
    counts_to_five()
    s.operator(RELEASE, 3, source=4)
    counts_to_five()
    s.command(action=DISARM, source=SAFE, value=0)
    counts_to_five()
    s.operator(DISARM)
    counts_to_five()
    s.open()
    counts_to_five()
    s.stop(pressed=True)
    s.stop(pressed=False)
    s.operator(RELEASE)
    counts_to_five()
    s.operator(ARM, mode="enabled")
    s.wait(101, mode="fallback_only", reason=2)
    counts_to_five()


@sequence()
def _stopped_in_fallback(s: Sequence) -> None:
    """The emergency stop in fallback only: the reason is the stop, through a release, until the host is armed"""
    s.enable()
    s.operator(DISARM, mode="fallback_only", reason=3)
    s.wait(5)
    s.stop(
        pressed=True,
        mode="fallback_only",
        reason=9,
        latches=1,
        sent=[s.status(mode=2, reason=9, latches=1, flags=0x84)],
    )
    s.stop(pressed=False, reason=9)
    s.operator(RELEASE, latches=0, reason=9)
    s.ready()
    s.command(action=DISARM, source=SAFE, value=0, mode="fallback_only", reason=9)
    s.command(1, policy_hash=0, mode="fallback_only", reason=9)
    s.open(mode="fallback_only", reason=9)
    s.ready()
    s.operator(ARM, mode="enabled", reason=1)


# ---- damaged memory --------------------------------------------------------------------------------------------------


@sequence()
def _damaged(s: Sequence) -> None:
    """Damaged memory locks out: no session, an OPEN is taken and every COMMAND refused, until a reset; a latch stays"""
    locked: dict[str, Any] = {"mode": "lockout", "reason": 7, "latches": MEMORY}
    s.open()
    s.ready()
    s.damage()
    s.wait(1, ready=False, not_sent=["STATUS", "OFFER"], **locked)
    s.command(21, **locked)
    s.operator(DISARM, 21)
    s.wait(
        200, sent=[{"message": "HELLO", "fields": {"mode": 3, "flags": 0x80}}], not_sent=["STATUS", "OFFER"]
    )
    s.open(**locked)
    s.wait(1, sent=[s.status(mode=3, reason=7, latches=MEMORY, source=3, flags=0x80)])
    s.command(8, policy_hash=0, valid_ms=0, mcu_ms_echo=0, source=9, **locked)
    for _ in range(5):
        s.command(8)
        s.command(8, actuator=1, source=RULES)
        s.wait(20, ready=False)
    s.command(8, action=DISARM, source=SAFE, value=0)
    s.operator(ARM, 8)
    s.operator(RELEASE, 8, **locked)
    s.operator(DISARM, 8)
    s.command(22, counter=1)
    s.reset()
    s.wait(1, mode="silent", reason=0, latches=MEMORY)
    s.open()
    s.ready()
    s.operator(ARM, 10)
    s.operator(RELEASE, latches=0)
    s.ready()
    s.operator(ARM, mode="enabled")


@sequence()
def _damaged_enabled(s: Sequence) -> None:
    """Damaged memory while enabled locks out as after a reset: it latches both"""
    s.enable()
    s.wait(3)
    s.damage()
    s.wait(1, mode="lockout", reason=7, latches=MEMORY | RESET)
    s.open()
    s.wait(1, sent=[{"message": "OFFER", "fields": {"mode": 3, "reason": 7, "latches": MEMORY | RESET}}])
    s.operator(RELEASE, 8, latches=MEMORY | RESET)


@sequence()
def _damaged_request(s: Sequence) -> None:
    """Damage that the step of a COMMAND finds refuses that COMMAND with 8"""
    s.open()
    s.ready()
    s.damage()
    s.operator(ARM, 8, mode="lockout", reason=7, latches=MEMORY)
    s.operator(ARM, 21)
