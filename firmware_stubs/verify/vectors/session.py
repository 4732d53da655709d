"""The vectors of session.json for a microcontroller: sequences of frames in time, and each one's verdict.

Every verdict is written here by hand, from docs/reference/link-protocol.md; nothing is taken from a program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ends
import line
from mcu import (
    ARM,
    DISARM,
    HOST_NONCE,
    HUMAN,
    MODEL,
    OTHER_SEED,
    RELEASE,
    RULES,
    SAFE,
    SEED,
    SET,
    TABLE,
    Sequence,
)

BAD_NONCE, BAD_DIRECTION, BAD_FLAGS, BAD_KEY = 19, 17, 18, 24
SEQUENCES: list[Callable[[Sequence], None]] = []


def sequence(make: Callable[[Sequence], None]) -> Callable[[Sequence], None]:
    """Register a sequence; its docstring is the requirement."""
    SEQUENCES.append(make)
    return make


# ---- opening ---------------------------------------------------------------------------------------------------------


@sequence
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


@sequence
def _open_once(s: Sequence) -> None:
    """An OPEN works once"""
    raw = s.open()
    s.receive(raw, "the same OPEN", BAD_NONCE)
    s.command()


@sequence
def _open_checks(s: Sequence) -> None:
    """An OPEN is checked: direction, flags, nonce, policy, protocol, in this order"""
    nonce = line.nonce_of(SEED, 0)
    stale = {"mcu_nonce": bytes(8), "policy": bytes(16), "protocol": 1}
    s.open(BAD_DIRECTION, link=1, flags=0x81, **stale)
    s.open(BAD_FLAGS, flags=0x81, **stale)
    s.open(BAD_NONCE, **stale)
    s.open(1, mcu_nonce=nonce, policy=bytes(16), protocol=1)
    s.open(20, protocol=1)
    s.open(20, protocol=3)
    s.open()


@sequence
def _open_policy(s: Sequence) -> None:
    """An OPEN under a policy that differs in its sixteenth byte only is refused"""
    s.open(1, policy=line.POLICY[:15] + bytes((line.POLICY[15] ^ 1,)))


@sequence
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


@sequence
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


@sequence
def _replaced(s: Sequence) -> None:
    """A new session takes the old one's authority, and both its counters begin anew"""
    s.enable()
    s.wait(5)
    s.host_nonce = bytes(range(8))
    old = s.session
    s.open(mode="fallback_only", reason=4)
    s.command(21, session=old)
    s.counters[0] = 0
    s.command()
    s.operator(ARM, 6)


# ---- commands --------------------------------------------------------------------------------------------------------


@sequence
def _no_session(s: Sequence) -> None:
    """Without a session every COMMAND is refused, that of session zero too"""
    s.command(21, session=bytes(8))
    s.operator(DISARM, 21, session=bytes(8))


@sequence
def _session(s: Sequence) -> None:
    """A COMMAND of another session is refused, and uses up no counter"""
    s.open()
    s.command(21, session=bytes(8), counter=2**32 - 1)
    s.command(21, session=s.session[::-1])
    s.command(counter=1)


@sequence
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


@sequence
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


@sequence
def _two_counters(s: Sequence) -> None:
    """The operator's counter is its own: neither moves the other"""
    s.open()
    s.command(counter=1000)
    s.operator(DISARM, counter=1)
    s.operator(DISARM, 22, counter=1)
    s.operator(DISARM, counter=2_000_000)
    s.command(counter=1001)
    s.command(22, counter=1001)
    s.operator(DISARM, 22, counter=1_999_999)


@sequence
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


@sequence
def _future(s: Sequence) -> None:
    """An echo from the future is stale"""
    s.open()
    for ahead in (1, 100, 2**31, 2**32 - 151):
        s.command(2, mcu_ms_echo=(s.now + ahead) % 2**32, valid_ms=65535)
    s.command(mcu_ms_echo=(s.now + 2**32 - 150) % 2**32, valid_ms=65535)


@sequence
def _held_back(s: Sequence) -> None:
    """A COMMAND that was held back too long is refused, and what came in time is not"""
    s.open()
    frames = [s.frame("COMMAND", _command_body(s, n), 0) for n in (1, 2)]
    s.wait(100)
    s.receive(frames[0], "COMMAND 1, 100 ms late, valid for 100 ms", 0)
    s.wait(1)
    s.receive(frames[1], "COMMAND 2, 101 ms late, valid for 100 ms", 2)


def _command_body(s: Sequence, counter: int) -> bytes:
    return line.payload(
        "COMMAND",
        session=s.session,
        counter=counter,
        mcu_ms_echo=s.now,
        policy_hash=line.POLICY_HASH,
        value=250_000,
        valid_ms=100,
        data_id=0xE600,
        source=MODEL,
        actuator=0,
        action=SET,
    )


@sequence
def _policy(s: Sequence) -> None:
    """An authentic COMMAND under another policy takes the authority"""
    s.enable()
    s.command(1, policy_hash=line.POLICY_HASH ^ 1, mode="fallback_only", reason=5)
    s.command()


@sequence
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


@sequence
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


@sequence
def _authority(s: Sequence) -> None:
    """A source less restrictive than the table allows may not act on that actuator"""
    s.open()
    s.command(12, actuator=1, source=MODEL)
    s.command(actuator=1, source=RULES)
    s.command(actuator=1, source=HUMAN)
    s.command(actuator=1, source=SAFE)
    s.command(actuator=0, source=MODEL)


# ---- who may ask for what --------------------------------------------------------------------------------------------


@sequence
def _host_asks(s: Sequence) -> None:
    """The host's key sets and disarms; it neither arms nor releases"""
    s.open()
    s.ready()
    s.command(BAD_KEY, action=ARM, source=HUMAN, value=0)
    s.command(BAD_KEY, action=RELEASE, source=HUMAN, value=0)
    s.command(action=DISARM, source=SAFE, value=0)


@sequence
def _operator_asks(s: Sequence) -> None:
    """The operator's key arms, disarms and releases; it sets nothing"""
    s.enable()
    s.operator(SET, BAD_KEY, mode="enabled")
    s.operator(DISARM, mode="fallback_only", reason=3)
    s.operator(RELEASE)


@sequence
def _keys_of_links(s: Sequence) -> None:
    """The link chooses the key: a right request under the other key is a forgery"""
    s.open()
    s.ready()
    s.operator(ARM, 16, key=line.HOST_KEY)
    s.command(16, key=line.OPERATOR_KEY)
    s.operator(ARM, mode="enabled")


@sequence
def _directions(s: Sequence) -> None:
    """A frame that does not come from the host or the operator is refused: reflected, or another's"""
    s.open()
    for link in (1, 3):
        s.command(BAD_DIRECTION, link=link, counter=5)
    body = _command_body(s, 5)
    for broken, what in (
        (line.Broken(system=1), "system 1"),
        (line.Broken(system=254), "system 254"),
        (line.Broken(component=0), "component 0"),
    ):
        for link in (0, 2):
            s.receive(
                s.frame("COMMAND", body, link, broken=broken),
                f"COMMAND on link {link}, {what}",
                BAD_DIRECTION,
            )
    for name, link, made in _of_the_microcontroller(s):
        s.receive(s.frame(name, made, link, broken=line.Broken(system=1)), f"{name} reflected", BAD_DIRECTION)
        for towards in (0, 2):
            raw = s.frame(name, made, towards, broken=line.Broken(system=255))
            s.receive(raw, f"{name} on link {towards}", BAD_DIRECTION)
    s.command()


def _of_the_microcontroller(s: Sequence) -> list[tuple[str, int, bytes]]:
    hello = line.payload(
        "HELLO",
        mcu_nonce=line.nonce_of(s.seed, s.opened),
        firmware=0x200,
        lost_ms=120,
        valid_max_ms=150,
        policy=line.POLICY[:16],
        protocol=2,
        actuators=2,
        mode=0,
    )
    return [
        ("HELLO", 1, hello),
        ("STATUS", 1, ends.status_body(s.session, counter=1, mcu_ms=s.now)),
        ("OFFER", 3, ends.offer_body(s.session, mcu_ms=s.now)),
    ]


# ---- arming ----------------------------------------------------------------------------------------------------------


@sequence
def _arms(s: Sequence) -> None:
    """Five commands in time for every actuator, then the operator's request: enabled"""
    s.open()
    s.operator(ARM, 6)
    for _ in range(4):
        s.round()
    s.operator(ARM, 6, ready=False)
    s.round()
    s.operator(ARM, 7, source=MODEL, ready=True)
    s.operator(ARM, 7, source=SAFE)
    s.operator(ARM, mode="enabled", reason=1)


@sequence
def _every_actuator(s: Sequence) -> None:
    """Commands for one actuator make nobody ready"""
    s.open()
    for _ in range(8):
        s.command()
        s.wait(20)
    s.operator(ARM, 6, ready=False)


@sequence
def _gap(s: Sequence) -> None:
    """A gap longer than a third of `lost_after` starts the count again; one as long does not"""
    s.open()
    for _ in range(4):
        s.round()
    s.wait(31)
    s.round()
    s.operator(ARM, 6)
    for _ in range(3):
        s.round()
    s.wait(30)
    s.round()
    s.operator(ARM, mode="enabled")


@sequence
def _quiet(s: Sequence) -> None:
    """Who was ready and fell silent for longer than a third of `lost_after` is not"""
    s.open()
    s.ready()
    s.wait(30, ready=True)
    s.wait(1, ready=False)
    s.operator(ARM, 6)


@sequence
def _refused_between(s: Sequence) -> None:
    """A stale COMMAND starts the count again; a replay, which needs no key, does not"""
    s.open()
    for _ in range(4):
        s.round()
    s.command(2, mcu_ms_echo=s.now - 101)
    s.round()
    s.operator(ARM, 6)
    for _ in range(3):
        s.round()
    replayed = s.command()
    s.receive(replayed, "the same COMMAND", 22)
    s.command(actuator=1, source=RULES)
    s.operator(ARM, mode="enabled")


@sequence
def _operator_stale(s: Sequence) -> None:
    """The operator's request is fresh like a COMMAND: one that was held back, or from the future, is refused"""
    s.open()
    s.ready()
    s.operator(ARM, 2, mcu_ms_echo=s.now - 101)
    s.ready()
    s.operator(ARM, 2, mcu_ms_echo=s.now + 1)
    s.ready()
    s.operator(ARM, mcu_ms_echo=s.now - 100, mode="enabled")


@sequence
def _operator_replay(s: Sequence) -> None:
    """The operator's request works once"""
    s.enable()
    again = s.operator(DISARM, mode="fallback_only", reason=3)
    s.ready()
    armed = s.operator(ARM, mode="enabled")
    s.command(action=DISARM, source=SAFE, value=0, mode="fallback_only")
    s.ready()
    s.receive(armed, "the operator's ARM again", 22, mode="fallback_only")
    s.receive(again, "the operator's DISARM again", 22)


@sequence
def _lost(s: Sequence) -> None:
    """Without a COMMAND for `lost_ms` the fallback acts, and only the operator ends it"""
    s.enable()
    s.wait(100, mode="enabled")
    s.wait(1, mode="fallback_only", reason=2)
    s.ready()
    s.wait(1, mode="fallback_only", ready=True)
    s.operator(ARM, mode="enabled")


@sequence
def _any_lost(s: Sequence) -> None:
    """One actuator without commands is enough"""
    s.enable()
    for _ in range(5):
        s.command()
        s.wait(20)
    s.wait(1, mode="fallback_only", reason=2)


# ---- the emergency stop and the latches ------------------------------------------------------------------------------


@sequence
def _stopped(s: Sequence) -> None:
    """The emergency stop latches: release first, and not while it is pressed; then arm as from the beginning"""
    s.enable()
    s.stop(
        pressed=True,
        mode="fallback_only",
        reason=9,
        latches=1,
        sent=[
            {"message": "STATUS", "fields": {"mode": 2, "reason": 9, "latches": 1}},
            {"message": "OFFER", "fields": {"mode": 2, "reason": 9, "latches": 1, "flags": 0x84}},
        ],
    )
    s.ready()
    s.operator(ARM, 10, ready=False)
    s.operator(RELEASE, 11, latches=1)
    s.stop(pressed=False)
    s.operator(ARM, 10)
    s.operator(RELEASE, 7, source=MODEL, latches=1)
    s.operator(RELEASE, mode="fallback_only", latches=0)
    s.operator(ARM, 6)
    s.ready()
    s.operator(ARM, mode="enabled")


@sequence
def _stopped_silent(s: Sequence) -> None:
    """The emergency stop latches without anybody armed, too"""
    s.open()
    s.stop(pressed=True)
    s.stop(pressed=False)
    s.wait(1, mode="silent", latches=1)
    s.ready()
    s.operator(ARM, 10)
    s.operator(RELEASE, latches=0)


@sequence
def _latched_over_reset(s: Sequence) -> None:
    """A latch survives a reset"""
    s.enable()
    s.stop(pressed=True)
    s.wait(5)
    s.stop(pressed=False)
    s.wait(5)
    s.reset()
    s.wait(1, mode="silent", latches=1)
    s.open()
    s.wait(1, sent=[{"message": "OFFER", "fields": {"mode": 0, "latches": 1}}])
    s.ready()
    s.operator(ARM, 10)
    s.operator(RELEASE, latches=0)
    s.ready()
    s.operator(ARM, mode="enabled")


@sequence
def _reset_while_enabled(s: Sequence) -> None:
    """A reset while the host has authority latches"""
    s.enable()
    s.wait(5)
    s.reset()
    s.wait(1, mode="silent", reason=11, latches=8)
    s.open()
    s.ready()
    s.operator(ARM, 10)
    s.operator(RELEASE, latches=0)
    s.ready()
    s.operator(ARM, mode="enabled")


@sequence
def _reset_while_silent(s: Sequence) -> None:
    """A reset while nobody is armed latches nothing"""
    s.open()
    s.ready()
    s.reset()
    s.wait(1, mode="silent", reason=0, latches=0)


# ---- time ------------------------------------------------------------------------------------------------------------


def _wrapping() -> Sequence:
    s = Sequence("The clock wraps after 2^32 ms: ages stay right", now=2**32 - 60)
    s.open()
    for _ in range(5):
        s.round()
    s.operator(ARM, mcu_ms_echo=2**32 - 20, mode="enabled")
    s.command(2, mcu_ms_echo=2**32 - 70, valid_ms=100)
    s.command(2, mcu_ms_echo=(s.now + 1) % 2**32, valid_ms=100)
    return s


@sequence
def _periods(s: Sequence) -> None:
    """HELLO every 50 ms without a session, then every 200 ms; STATUS every 20 ms, OFFER every 100 ms"""
    s.wait(25)
    s.wait(1000, counts={"HELLO": [19, 21], "STATUS": [0, 0], "OFFER": [0, 0]})
    s.open()
    s.wait(5)
    s.wait(1000, counts={"HELLO": [4, 6], "STATUS": [98, 102], "OFFER": [9, 11]})


def document() -> dict[str, Any]:
    """Everything in session.json."""
    made = []
    for make in SEQUENCES:
        s = Sequence((make.__doc__ or "").strip())
        make(s)
        made.append(s.vector())
    return {
        "format": "edgeguard-link-session-1",
        "protocol": line.PROTOCOL,
        "keys": {"host": line.HOST_KEY.hex(), "operator": line.OPERATOR_KEY.hex()},
        "table": TABLE,
        "host_nonces": [nonce.hex() for nonce in ends.HOST_NONCES],
        "microcontroller": [*made, _wrapping().vector()],
        "host": ends.host(),
        "operator": ends.operator(),
    }
