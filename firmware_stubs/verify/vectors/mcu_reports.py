"""What a microcontroller reports of itself, what leaves its authority alone, and what damage to its memory does.

Every verdict is written here by hand, from docs/reference/link-protocol.md; nothing is taken from a program.
"""

from __future__ import annotations

from typing import Any

import line
from mcu import ARM, DISARM, HUMAN, MODEL, RELEASE, RULES, SAFE, SET, Sequence, sequence

DEGRADED, READY = 0x81, 0x82
MEMORY, RESET = 4, 8


def _status(s: Sequence, **fields: int) -> dict[str, Any]:
    return {"message": "STATUS", "fields": {"session": s.session.hex(), **fields}}


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


# ---- STATUS ----------------------------------------------------------------------------------------------------------


@sequence()
def _echo(s: Sequence) -> None:
    """STATUS echoes the counter of the host's last accepted COMMAND: no refused one's, and never the operator's"""
    s.open()
    s.wait(1, sent=[_status(s, counter=1, counter_echo=0)])
    s.command(counter=5)
    s.command(2, counter=6, mcu_ms_echo=s.now - 101)
    s.command(4, counter=7, actuator=2)
    s.operator(DISARM, counter=4000)
    s.wait(20, sent=[_status(s, counter=3, counter_echo=5), _status(s, counter=4, counter_echo=5)])
    s.command(action=DISARM, source=SAFE, value=0, counter=9)
    s.operator(RELEASE, counter=4001)
    s.wait(20, sent=[_status(s, counter=5, counter_echo=9)])
    s.open()
    s.wait(1, sent=[_status(s, counter=1, counter_echo=0)])


@sequence()
def _ages(s: Sequence) -> None:
    """STATUS' age counts 100 us from the host's last accepted COMMAND, or from the OPEN, up to 65535"""
    s.open()
    s.wait(1, sent=[_status(s, age=10)])
    s.wait(20, sent=[_status(s, age=210)])
    s.wait(7)
    s.command()
    s.wait(3)
    s.command(2, mcu_ms_echo=s.now - 101)
    s.operator(DISARM)
    s.wait(10, sent=[_status(s, age=130)])
    s.wait(6520, sent=[_status(s, age=65330)])
    s.wait(20, sent=[_status(s, age=65530)])
    s.wait(20, sent=[_status(s, age=65535)])
    s.wait(20, sent=[_status(s, age=65535)])
    s.wait(1)
    s.open()
    s.wait(1, sent=[_status(s, age=10)])


@sequence()
def _sources(s: Sequence) -> None:
    """STATUS' source while enabled is the most restrictive of the actuators', and 3 otherwise"""
    s.open()
    s.ready()
    s.wait(1, sent=[_status(s, source=3, mode=0)])
    s.operator(ARM, mode="enabled")
    s.wait(1, sent=[_status(s, source=RULES, mode=1, reason=1)])
    for first, second, told in ((HUMAN, RULES, HUMAN), (MODEL, HUMAN, HUMAN), (SAFE, RULES, SAFE)):
        s.command(source=first)
        s.command(actuator=1, source=second)
        s.wait(20, sent=[_status(s, source=told, actuator=n, mode=1) for n in range(2)])
    s.command(source=MODEL)
    s.command(actuator=1, source=RULES)
    s.command(12, actuator=1, source=MODEL)
    s.command(3, source=4)
    s.wait(20, sent=[_status(s, source=RULES, mode=1)])
    s.operator(DISARM)
    s.wait(1, sent=[_status(s, source=3, mode=2, reason=3)])


@sequence()
def _degraded(s: Sequence) -> None:
    """STATUS says degraded while enabled and without a COMMAND for more than `degraded`: not at exactly 50 ms"""
    s.enable()
    s.wait(1, sent=[_status(s, mode=1, flags=READY)])
    s.wait(10)
    s.command()
    s.command(actuator=1, source=RULES)
    s.wait(49)
    s.wait(1, sent=[_status(s, mode=1, flags=READY)])
    s.wait(9)
    s.command(actuator=1, source=RULES)
    s.wait(10)
    s.wait(1, sent=[_status(s, mode=1, flags=DEGRADED)])
    s.round()
    s.wait(9)
    s.command()
    s.command(actuator=1, source=RULES)
    s.wait(50)
    s.wait(1, sent=[_status(s, mode=1, flags=DEGRADED)])
    s.wait(39)
    s.wait(1, sent=[{"message": "OFFER", "fields": {"mode": 1, "flags": DEGRADED}}])
    s.operator(DISARM)
    s.wait(1, sent=[_status(s, mode=2, flags=0x80)])


@sequence()
def _checksum(s: Sequence) -> None:
    """A bad checksum raises `crc_errors` and nothing else"""
    s.enable()
    s.wait(1, sent=[_status(s, rejected=0, crc_errors=0, refusal=0)])
    s.spoilt(s.frame("COMMAND", s.set_body(100), 0), "a COMMAND", mode="enabled")
    s.spoilt(s.frame("COMMAND", s.set_body(100), 2), "a COMMAND on link 2", mode="enabled")
    s.wait(20, ready=True, sent=[_status(s, rejected=0, crc_errors=2, refusal=0, dropped=0)])
    s.command(22, counter=1)
    s.spoilt(s.frame("COMMAND", s.set_body(100), 0), "a COMMAND", mode="enabled")
    s.wait(20, sent=[_status(s, rejected=1, crc_errors=3, refusal=22, dropped=0)])


@sequence()
def _counts(s: Sequence) -> None:
    """STATUS counts what was refused since the reset, in whatever session, and says why it was last"""
    s.command(21)
    s.open(20, protocol=1)
    s.open()
    s.wait(1, sent=[_status(s, rejected=2, refusal=20)])
    s.command(23, data_id=0)
    s.command()
    s.wait(20, sent=[_status(s, rejected=3, refusal=23)])
    s.open()
    s.wait(1, sent=[_status(s, rejected=3, refusal=23)])


@sequence()
def _counts_reset(s: Sequence) -> None:
    """After a reset `rejected`, `crc_errors` and `refusal` are 0 again, and so is `counter_echo`"""
    s.open()
    s.command(counter=77)
    s.command(23, data_id=0)
    s.spoilt(s.frame("COMMAND", s.set_body(100), 0), "a COMMAND")
    s.wait(1, sent=[_status(s, rejected=1, crc_errors=1, refusal=23, counter_echo=77)])
    s.reset()
    s.wait(1)
    s.open()
    fields: dict[str, int] = {
        "counter": 1,
        "rejected": 0,
        "crc_errors": 0,
        "dropped": 0,
        "refusal": 0,
        "counter_echo": 0,
    }
    s.wait(1, sent=[_status(s, mode=0, reason=0, **fields)])


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
    s.wait(1, sent=[_status(s, mode=3, reason=7, latches=MEMORY, source=3, flags=0x80)])
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
