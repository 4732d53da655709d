"""Who may ask a microcontroller for what, and when it is granted: keys, arming, latches, time.

Every verdict is written here by hand, from docs/reference/link-protocol.md; nothing is taken from a program.
"""

from __future__ import annotations

import ends
import line
from mcu import ARM, DISARM, HUMAN, MODEL, RELEASE, RULES, SAFE, SET, Sequence, sequence

BAD_DIRECTION, BAD_KEY = 17, 24


# ---- who may ask for what --------------------------------------------------------------------------------------------


@sequence()
def _host_asks(s: Sequence) -> None:
    """The host's key sets and disarms; it neither arms nor releases"""
    s.open()
    s.ready()
    s.command(BAD_KEY, action=ARM, source=HUMAN, value=0)
    s.command(BAD_KEY, action=RELEASE, source=HUMAN, value=0)
    s.command(action=DISARM, source=SAFE, value=0)


@sequence()
def _operator_asks(s: Sequence) -> None:
    """The operator's key arms, disarms and releases; it sets nothing"""
    s.enable()
    s.operator(SET, BAD_KEY, mode="enabled")
    s.operator(DISARM, mode="fallback_only", reason=3)
    s.operator(RELEASE)


@sequence()
def _keys_of_links(s: Sequence) -> None:
    """The link chooses the key: a right request under the other key is a forgery"""
    s.open()
    s.ready()
    s.operator(ARM, 16, key=line.HOST_KEY)
    s.command(16, key=line.OPERATOR_KEY)
    s.operator(ARM, mode="enabled")


@sequence()
def _directions(s: Sequence) -> None:
    """A frame that does not come from the host or the operator is refused: reflected, or another's"""
    s.open()
    for link in (1, 3):
        s.command(BAD_DIRECTION, link=link, counter=5)
    body = s.set_body(5)
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


@sequence()
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


@sequence()
def _every_actuator(s: Sequence) -> None:
    """Commands for one actuator make nobody ready"""
    s.open()
    for _ in range(8):
        s.command()
        s.wait(20)
    s.operator(ARM, 6, ready=False)


@sequence()
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


@sequence()
def _quiet(s: Sequence) -> None:
    """Who was ready and fell silent for longer than a third of `lost_after` is not"""
    s.open()
    s.ready()
    s.wait(30, ready=True)
    s.wait(1, ready=False)
    s.operator(ARM, 6)


@sequence()
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


@sequence()
def _operator_stale(s: Sequence) -> None:
    """The operator's request is fresh like a COMMAND: one that was held back, or from the future, is refused"""
    s.open()
    s.ready()
    s.operator(ARM, 2, mcu_ms_echo=s.now - 101)
    s.ready()
    s.operator(ARM, 2, mcu_ms_echo=s.now + 1)
    s.ready()
    s.operator(ARM, mcu_ms_echo=s.now - 100, mode="enabled")


@sequence()
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


@sequence()
def _lost(s: Sequence) -> None:
    """Without a COMMAND for `lost_ms` the fallback acts, and only the operator ends it"""
    s.enable()
    s.wait(100, mode="enabled")
    s.wait(1, mode="fallback_only", reason=2)
    s.ready()
    s.wait(1, mode="fallback_only", ready=True)
    s.operator(ARM, mode="enabled")


@sequence()
def _first_lost(s: Sequence) -> None:
    """One actuator without commands is enough: the first"""
    s.enable()
    for _ in range(5):
        s.command(actuator=1, source=RULES)
        s.wait(20)
    s.wait(1, mode="fallback_only", reason=2)


@sequence()
def _last_lost(s: Sequence) -> None:
    """One actuator without commands is enough: the last"""
    s.enable()
    for _ in range(5):
        s.command()
        s.wait(20)
    s.wait(1, mode="fallback_only", reason=2)


# ---- the emergency stop and the latches ------------------------------------------------------------------------------


@sequence()
def _stopped(s: Sequence) -> None:
    """The emergency stop latches: release first, and not while it is pressed; then arm as from the beginning"""
    s.enable()
    s.wait(7)
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


@sequence()
def _stopped_silent(s: Sequence) -> None:
    """The emergency stop latches without anybody armed, too"""
    s.open()
    s.stop(pressed=True)
    s.stop(pressed=False)
    s.wait(1, mode="silent", latches=1)
    s.ready()
    s.operator(ARM, 10)
    s.operator(RELEASE, latches=0)


@sequence()
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


@sequence()
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


@sequence()
def _reset_while_silent(s: Sequence) -> None:
    """A reset while nobody is armed latches nothing"""
    s.open()
    s.ready()
    s.reset()
    s.wait(1, mode="silent", reason=0, latches=0)


# ---- time ------------------------------------------------------------------------------------------------------------


@sequence(now=2**32 - 60)
def _wrapping(s: Sequence) -> None:
    """The clock wraps after 2^32 ms: ages stay right"""
    s.open()
    for _ in range(5):
        s.round()
    s.operator(ARM, mcu_ms_echo=2**32 - 20, mode="enabled")
    s.command(2, mcu_ms_echo=2**32 - 70, valid_ms=100)
    s.command(2, mcu_ms_echo=(s.now + 1) % 2**32, valid_ms=100)


@sequence()
def _periods(s: Sequence) -> None:
    """HELLO every 50 ms without a session, then every 200 ms; STATUS every 20 ms, OFFER every 100 ms"""
    s.wait(25)
    s.wait(1000, counts={"HELLO": [19, 21], "STATUS": [0, 0], "OFFER": [0, 0]})
    s.open()
    s.wait(5)
    s.wait(1000, counts={"HELLO": [4, 6], "STATUS": [98, 102], "OFFER": [9, 11]})
