"""What a microcontroller takes and refuses: opening a session, and every field of a COMMAND.

Every verdict is written here by hand, from docs/reference/link-protocol.md; nothing is taken from a program.
"""

from __future__ import annotations

from typing import Any

import line
from mcu import ARM, DISARM, HOST_NONCE, HUMAN, MODEL, RULES, SAFE, SEED, Sequence, sequence

BAD_DIRECTION, BAD_FLAGS, BAD_NONCE = 17, 18, 19


# ---- opening ---------------------------------------------------------------------------------------------------------


@sequence()
def _opens(s: Sequence) -> None:
    """A session opens with the nonce of the HELLO, and STATUS and OFFER of it follow at once"""
    nonce = line.nonce_of(SEED, 0).hex()
    policy = line.POLICY[:16].hex()
    hello = {"mcu_nonce": nonce, "policy": policy, "protocol": 2, "actuators": 2, "mode": 0, "flags": 0x80}
    s.wait(
        60,
        mode="silent",
        reason=0,
        latches=0,
        sent=[{"message": "HELLO", "link": 1, "system": 1, "component": 1, "fields": hello}],
        not_sent=["STATUS", "OFFER"],
    )
    s.open()
    session = s.session.hex()
    status = {"session": session, "mode": 0, "source": 3, "counter_echo": 0, "latches": 0, "flags": 0x80}
    offer = {"session": session, "policy_hash": line.POLICY_HASH, "mode": 0, "latches": 0, "flags": 0x80}
    s.wait(
        2,
        sent=[
            {"message": "STATUS", "link": 1, "fields": {**status, "counter": 1, "actuator": 0, "value": 0}},
            {
                "message": "STATUS",
                "link": 1,
                "fields": {**status, "counter": 2, "actuator": 1, "value": 1_000_000},
            },
            {"message": "OFFER", "link": 3, "system": 1, "component": 1, "fields": offer},
        ],
    )
    s.wait(
        300, sent=[{"message": "HELLO", "fields": {"mcu_nonce": line.nonce_of(SEED, 1).hex(), "flags": 0x81}}]
    )


@sequence()
def _open_once(s: Sequence) -> None:
    """An OPEN works once"""
    raw = s.open()
    s.receive(raw, "the same OPEN", BAD_NONCE)
    s.command()
    s.wait(33)
    s.open()
    session = s.session.hex()
    status = {"message": "STATUS", "fields": {"session": session, "counter": 1, "counter_echo": 0}}
    s.wait(1, sent=[status, {"message": "OFFER", "fields": {"session": session}}])


@sequence()
def _open_checks(s: Sequence) -> None:
    """An OPEN is checked: direction, flags, nonce, policy, protocol, in this order"""
    nonce = line.nonce_of(SEED, 0)
    stale: dict[str, Any] = {"mcu_nonce": bytes(8), "policy": bytes(16), "protocol": 1}
    s.open(BAD_DIRECTION, link=1, flags=0x81, **stale)
    s.open(BAD_FLAGS, flags=0x81, **stale)
    s.open(BAD_NONCE, **stale)
    s.open(1, mcu_nonce=nonce, policy=bytes(16), protocol=1)
    s.open(20, protocol=1)
    s.open(20, protocol=3)
    s.open()


@sequence()
def _open_policy(s: Sequence) -> None:
    """An OPEN under a policy that differs in its sixteenth byte only is refused"""
    s.open(1, policy=line.POLICY[:15] + bytes((line.POLICY[15] ^ 1,)))


@sequence()
def _open_reset(s: Sequence) -> None:
    """What was recorded before a reset is refused after it, in step or not"""
    opened = s.open()
    command = s.command()
    s.wait(20)
    s.reset()
    s.wait(1, mode="silent")
    s.receive(opened, "the OPEN from before the reset", BAD_NONCE)
    s.receive(command, "the COMMAND from before the reset", 21)
    s.open()
    s.receive(command, "the COMMAND from before the reset, in a new session", 21)
    s.command()


@sequence()
def _operator_cannot_open(s: Sequence) -> None:
    """The operator's key opens no session"""
    s.open(BAD_DIRECTION, link=2)
    s.receive(s.frame("OPEN", _open_body(s), 0, key=line.OPERATOR_KEY), "OPEN on link 0, operator's key", 16)


def _open_body(s: Sequence) -> bytes:
    return line.payload(
        "OPEN",
        mcu_nonce=line.nonce_of(s.seed, s.opened),
        host_nonce=HOST_NONCE,
        policy=line.POLICY[:16],
        protocol=line.PROTOCOL,
    )


@sequence()
def _replaced(s: Sequence) -> None:
    """A new session takes the old one's authority, and both its counters begin anew"""
    s.enable()
    s.wait(5)
    s.host_nonce = bytes(range(8))
    old = s.session
    s.open(mode="fallback_only", reason=4)
    status = {"session": s.session.hex(), "counter": 1, "counter_echo": 0, "mode": 2, "reason": 4}
    s.wait(1, sent=[{"message": "STATUS", "fields": status}])
    s.command(21, session=old)
    s.counters[0] = 0
    s.command()
    s.operator(ARM, 6)


# ---- commands --------------------------------------------------------------------------------------------------------


@sequence()
def _no_session(s: Sequence) -> None:
    """Without a session every COMMAND is refused, that of session zero too"""
    s.command(21, session=bytes(8))
    s.operator(DISARM, 21, session=bytes(8))


@sequence()
def _session(s: Sequence) -> None:
    """A COMMAND of another session is refused, and uses up no counter"""
    s.open()
    s.command(21, session=bytes(8), counter=2**32 - 1)
    s.command(21, session=s.session[::-1])
    s.command(counter=1)


@sequence()
def _counters(s: Sequence) -> None:
    """A counter must be larger than the last authentic one: replays and old frames are refused, gaps are not"""
    s.open()
    s.command(22, counter=0)
    first = s.command(counter=1)
    s.receive(first, "the same COMMAND", 22)
    s.command(counter=10)
    s.command(22, counter=10)
    s.command(22, counter=9)
    s.receive(first, "the first COMMAND again", 22)
    s.command(counter=2**31)
    s.command(22, counter=11)
    s.command(counter=2**32 - 1)
    s.command(22, counter=1)
    s.command(22, counter=2**32 - 1)


@sequence()
def _counter_used_up(s: Sequence) -> None:
    """An authentic COMMAND that is refused later uses up its counter"""
    s.open()
    s.command(23, counter=5, data_id=0xE601)
    s.command(22, counter=5)
    s.command(5, counter=6, action=9)
    s.command(22, counter=6)
    s.command(2, counter=7, valid_ms=0, mcu_ms_echo=s.now - 1)
    s.command(22, counter=7)
    s.command(counter=8)


@sequence()
def _two_counters(s: Sequence) -> None:
    """The operator's counter is its own: neither moves the other"""
    s.open()
    s.command(counter=1000)
    s.operator(DISARM, 22, counter=0)
    s.operator(DISARM, counter=1)
    s.operator(DISARM, 22, counter=1)
    s.operator(DISARM, counter=2_000_000)
    s.command(counter=1001)
    s.command(22, counter=1001)
    s.operator(DISARM, 22, counter=1_999_999)


@sequence()
def _age(s: Sequence) -> None:
    """A COMMAND is fresh while its age by the microcontroller's clock is at most `valid_ms`, and at most the table's"""
    s.open()
    s.wait(500)
    s.command(mcu_ms_echo=s.now - 100, valid_ms=100)
    s.command(2, mcu_ms_echo=s.now - 101, valid_ms=100)
    s.command(mcu_ms_echo=s.now - 150, valid_ms=150)
    s.command(mcu_ms_echo=s.now - 150, valid_ms=65535)
    s.command(2, mcu_ms_echo=s.now - 151, valid_ms=65535)
    s.command(valid_ms=0)
    s.command(2, valid_ms=0, mcu_ms_echo=s.now - 1)


@sequence()
def _future(s: Sequence) -> None:
    """An echo from the future is stale"""
    s.open()
    for ahead in (1, 100, 2**31, 2**32 - 151):
        s.command(2, mcu_ms_echo=(s.now + ahead) % 2**32, valid_ms=65535)
    s.command(mcu_ms_echo=(s.now + 2**32 - 150) % 2**32, valid_ms=65535)


@sequence()
def _held_back(s: Sequence) -> None:
    """A COMMAND that was held back too long is refused, and what came in time is not"""
    s.open()
    frames = [s.frame("COMMAND", s.set_body(n), 0) for n in (1, 2)]
    s.wait(100)
    s.receive(frames[0], "COMMAND 1, 100 ms late, valid for 100 ms", 0)
    s.wait(1)
    s.receive(frames[1], "COMMAND 2, 101 ms late, valid for 100 ms", 2)


@sequence()
def _policy(s: Sequence) -> None:
    """An authentic COMMAND under another policy takes the authority"""
    s.enable()
    s.command(1, policy_hash=line.POLICY_HASH ^ 1, mode="fallback_only", reason=5)
    s.command()


@sequence()
def _fields(s: Sequence) -> None:
    """Flags, data_id, action, source and actuator must be what they can be"""
    s.open()
    for flags in (0x00, 0x81, 0xC0, 0xFF):
        s.command(BAD_FLAGS, flags=flags, counter=9)
    for data_id in (0, 0xE601, 0xE5FF, 0x00E6):
        s.command(23, data_id=data_id)
    for action in (0, 5, 6, 255):
        s.command(5, action=action)
    for source in (4, 255):
        s.command(3, source=source)
    for actuator in (2, 255):
        s.command(4, actuator=actuator, data_id=0xE600 + actuator)
    s.command()


@sequence()
def _order(s: Sequence) -> None:
    """Of several things wrong the first in the order of the checks is told"""
    s.open()
    wrong: dict[str, Any] = {"source": 9, "actuator": 7, "valid_ms": 0, "mcu_ms_echo": 0, "policy_hash": 0}
    s.command(BAD_FLAGS, flags=0, session=bytes(8), counter=0, data_id=0, action=9, **wrong)
    s.command(21, session=bytes(8), counter=0, data_id=0, action=9, **wrong)
    s.command(22, counter=0, data_id=0, action=9, **wrong)
    s.command(23, data_id=0, action=9, **wrong)
    s.command(5, action=9, **wrong)
    s.command(1, **wrong)
    del wrong["policy_hash"]
    s.command(2, **wrong)
    s.command(3, source=9, actuator=7)
    s.command(4, actuator=7)


@sequence()
def _authority(s: Sequence) -> None:
    """A source less restrictive than the table allows may not act on that actuator"""
    s.open()
    s.command(12, actuator=1, source=MODEL)
    s.command(actuator=1, source=RULES)
    s.command(actuator=1, source=HUMAN)
    s.command(actuator=1, source=SAFE)
    s.command(actuator=0, source=MODEL)
