"""What a host answers: HELLO, STATUS, what is none of its business, and what it hands on.

Every answer is written here by hand, from docs/reference/link-protocol.md; nothing is taken from a program.
"""

from __future__ import annotations

from typing import Any

import line
from ends import (
    HOST_NONCES,
    NONCE,
    OTHER_NONCE,
    SESSION,
    End,
    asked,
    hello_body,
    offer_body,
    opened,
    status_body,
)
from line import Value

COMMAND: dict[str, Any] = {"values": [250_000, 500_000], "source": 1}
OF_MCU = line.Broken(system=1)
"""The link is wrong, and nothing else."""


def _both(counter: int, echo: int) -> list[dict[str, Any]]:
    first = asked(counter, echo, source=1)
    return [first, asked(counter + 1, echo, source=1, actuator=1, value=500_000)]


def _opens() -> End:
    e = End("The host answers a HELLO with an OPEN, and commands from that session's first STATUS on")
    e.do("command", **COMMAND)
    e.hello(opened())
    e.do("command", state="opening", **COMMAND)
    e.wait(5)
    e.status(1)
    e.do("command", *_both(1, 5000), **COMMAND)
    e.wait(20)
    e.status(2, mcu_ms=5020)
    e.status(3, mcu_ms=5021, actuator=1)
    e.do("command", *_both(3, 5021), **COMMAND)
    e.do("disarm", asked(5, 5021, 3))
    return e


def _hello_again() -> End:
    e = End(
        "The same HELLO again is answered after 40 ms, with the same nonce; another one at once, with a new nonce"
    )
    e.hello(opened())
    e.wait(39)
    e.hello()
    e.wait(1)
    e.hello(opened())
    e.wait(1)
    e.hello(opened(OTHER_NONCE, HOST_NONCES[1]), mcu_nonce=OTHER_NONCE)
    e.status(1, accepted=False, state="opening")
    e.status(1, session=line.session_of(OTHER_NONCE, HOST_NONCES[1]))
    return e


def _hello_mismatch() -> End:
    e = End("A HELLO of another policy, protocol or number of actuators is not answered")
    e.hello(state="mismatch", policy=line.POLICY[:15] + b"\0")
    e.hello(state="mismatch", protocol=1)
    e.hello(state="mismatch", protocol=3)
    e.hello(state="mismatch", actuators=3)
    e.hello(opened())
    return e


def _hello_while_open() -> End:
    e = End("A HELLO while a session is open changes nothing: it may be a recording")
    e.open()
    e.hello(state="open", mcu_nonce=OTHER_NONCE)
    e.hello(state="open", policy=bytes(16))
    e.do("command", *_both(1, 5000), **COMMAND)
    return e


def _status_checks() -> End:
    e = End("A STATUS must be of the session, newer than the last, and of an actuator that there is")
    e.status(1, accepted=False, state="waiting")
    e.open()
    e.status(1, accepted=False)
    e.status(0, accepted=False)
    e.status(2, accepted=False, session=bytes(8))
    e.status(2, accepted=False, actuator=2)
    e.status(7)
    e.status(6, accepted=False)
    e.status(2**32 - 1)
    e.status(0, accepted=False)
    e.status(1, accepted=False)
    return e


def _status_zero() -> End:
    e = End("A STATUS of counter 0 opens nothing")
    e.hello(opened())
    e.status(0, accepted=False, state="opening")
    e.status(1)
    return e


def _quiet() -> End:
    e = End("A session without a STATUS for more than 100 ms is lost, and what belonged to it is refused")
    e.open()
    e.wait(99, state="open")
    e.wait(2, state="waiting")
    e.status(2, accepted=False, state="waiting")
    e.do("command", **COMMAND)
    e.hello(opened(OTHER_NONCE, HOST_NONCES[1]), mcu_nonce=OTHER_NONCE)
    return e


def _quiet_limit() -> End:
    e = End("Silence of exactly 100 ms is none yet: neither after a STATUS nor after an OPEN", now=0)
    e.open()
    e.wait(100, state="open")
    e.wait(1, state="waiting")
    e.now = 500
    e.hello(opened(NONCE, HOST_NONCES[1]))
    e.wait(100, state="opening")
    e.wait(1, state="waiting")
    return e


def _counter_limit() -> End:
    e = End(
        "A control step once the counter is past 0xFFFF0000 sends nothing and lets the session go; another begins at 1"
    )
    last = 0xFFFF0000
    e.open()
    e.do("count", counter=last - 1)
    e.do("command", *_both(last, 5000), state="open", **COMMAND)
    e.do("command", state="waiting", **COMMAND)
    e.do("disarm", state="waiting")
    e.hello(opened(OTHER_NONCE, HOST_NONCES[1]), mcu_nonce=OTHER_NONCE)
    session = line.session_of(OTHER_NONCE, HOST_NONCES[1])
    e.status(1, session=session)
    e.do("disarm", asked(1, 5000, 3, session=session))
    return e


def _counter_limit_exact() -> End:
    e = End("A control step at a counter of exactly 0xFFFF0000 is still sent, whole; so is a disarm past it")
    e.open()
    e.do("count", counter=0xFFFF0000)
    e.do("command", *_both(0xFFFF0001, 5000), state="open", **COMMAND)
    e.do("disarm", asked(0xFFFF0003, 5000, 3), state="open")
    e.do("command", state="waiting", **COMMAND)
    return e


def _spoilt() -> End:
    e = End("A bad checksum is counted apart: it is no refused frame, and no sign of life")
    e.hello(opened())
    e.spoilt(line.frame("STATUS", status_body(SESSION)), "a STATUS")
    e.do("command", state="opening", **COMMAND)
    e.wait(99)
    e.spoilt(line.frame("STATUS", status_body(SESSION)), "a STATUS", state="opening")
    e.spoilt(line.frame("OFFER", offer_body(SESSION)), "an OFFER", handed_on=[])
    e.wait(2, state="waiting")
    return e


def _foreign() -> End:
    e = End(
        "What does not come from the microcontroller to the host is refused: reflected, forged, or another's"
    )
    e.hello(opened())
    session = {"session": SESSION}
    open_body = line.payload(
        "OPEN", mcu_nonce=NONCE, host_nonce=HOST_NONCES[0], policy=line.POLICY[:16], protocol=line.PROTOCOL
    )
    for raw, what in (
        (line.frame("OPEN", open_body), "its own OPEN, reflected"),
        (line.frame("OPEN", open_body, link=1), "OPEN on link 1"),
        (line.frame("HELLO", hello_body(mcu_nonce=OTHER_NONCE), link=0, broken=OF_MCU), "HELLO on link 0"),
        (
            line.frame("HELLO", hello_body(mcu_nonce=OTHER_NONCE), broken=line.Broken(system=255)),
            "HELLO of system 255",
        ),
        (line.frame("HELLO", hello_body(mcu_nonce=OTHER_NONCE, flags=1)), "HELLO without bit 7 of its flags"),
        (line.frame("STATUS", status_body(**session), link=0, broken=OF_MCU), "STATUS on link 0"),
        (
            line.frame("STATUS", status_body(**session), broken=line.Broken(system=255)),
            "STATUS of system 255",
        ),
        (
            line.frame("STATUS", status_body(**session), broken=line.Broken(component=2)),
            "STATUS of component 2",
        ),
        (line.frame("STATUS", status_body(**session, flags=0)), "STATUS without bit 7 of its flags"),
        (
            line.frame("STATUS", status_body(**session), key=line.OPERATOR_KEY),
            "STATUS under the operator's key",
        ),
        (line.frame("STATUS", status_body(**session), link=3), "STATUS on link 3"),
        (line.frame("STATUS", status_body(**session), link=4, broken=OF_MCU), "STATUS on link 4"),
        (line.frame("COMMAND", _arm_body(), link=2), "the operator's COMMAND, reflected"),
        (line.frame("OFFER", offer_body(**session), link=1), "OFFER on link 1"),
    ):
        e.receive(raw, what, accepted=False, state="opening")
    e.status(1)
    return e


def _relays() -> End:
    e = End(
        "A host without the operator's key hands OFFERs on unread, and puts the operator's COMMANDs on the line"
    )
    e.open()
    offer = line.frame("OFFER", offer_body(SESSION))
    forged = line.frame("OFFER", offer_body(SESSION), key=bytes(32))
    e.receive(
        offer + forged,
        "two OFFERs, one of them forged: it cannot tell",
        handed_on=[offer.hex(), forged.hex()],
    )
    body = _arm_body()
    command = line.frame("COMMAND", body, link=2)
    e.do("relay", what="the operator's COMMAND", bytes=command.hex(), relayed=command.hex(), accepted=True)
    own = line.frame("COMMAND", body, link=0)
    e.do("relay", what="a COMMAND on the host's link", bytes=own.hex(), relayed="", accepted=False)
    back = line.frame("OFFER", offer_body(SESSION))
    e.do("relay", what="an OFFER that goes the wrong way", bytes=back.hex(), relayed="", accepted=False)
    return e


def _arm_body(counter: int = 9) -> bytes:
    return line.payload("COMMAND", **_fields_of(asked(counter, 5000, 2, link=2)))


def _relayed(e: End, raw: bytes, goes_on: bytes, what: str = "the operator's COMMAND") -> None:
    e.do("relay", what=what, bytes=raw.hex(), relayed=goes_on.hex())


def _relays_open_only() -> End:
    e = End("A COMMAND of the operator goes on the line while the session is open, and in no other state")
    command = line.frame("COMMAND", _arm_body(), link=2)
    _relayed(e, command, b"")
    e.hello(state="mismatch", protocol=1)
    _relayed(e, command, b"")
    e.hello(opened())
    _relayed(e, command, b"")
    e.wait(5)
    e.status(1)
    _relayed(e, command, command)
    e.wait(101, state="waiting")
    _relayed(e, command, b"")
    return e


def _relays_few() -> End:
    e = End("At most 4 COMMANDs of the operator go on the line between two readings of it")
    e.open()
    frames = [line.frame("COMMAND", _arm_body(n), link=2) for n in range(9, 15)]
    for number, raw in enumerate(frames):
        _relayed(e, raw, raw if number < 4 else b"")
    e.wait(10)
    _relayed(e, frames[0], b"", "the operator's COMMAND, later")
    e.status(2)
    _relayed(e, b"".join(frames), b"".join(frames[-4:]), "six in one piece: the newest")
    _relayed(e, frames[0], b"")
    e.status(3)
    _relayed(e, frames[0], frames[0])
    _relayed(e, b"".join(frames), b"".join(frames[-3:]), "six in one piece, with room for three")
    return e


def _offers_wait() -> End:
    e = End("At most the newest 8 OFFERs wait for the operator")
    e.open()
    offers = [line.frame("OFFER", offer_body(SESSION, mcu_ms=n)) for n in range(5000, 5020)]
    e.receive(b"".join(offers[:9]), "nine OFFERs in one piece", handed_on=[raw.hex() for raw in offers[1:9]])
    e.receive(b"".join(offers[9:14]), "five OFFERs")
    e.receive(b"".join(offers[14:]), "and six", handed_on=[raw.hex() for raw in offers[-8:]])
    e.wait(1, handed_on=[])
    return e


def _relays_spoilt() -> End:
    e = End(
        "What the operator sends with a bad checksum, or cut, does not go on the line; the rest of it does"
    )
    e.open()
    command = line.frame("COMMAND", _arm_body(), link=2)
    _relayed(e, line.spoilt(command), b"", "a bad checksum")
    _relayed(e, command[:20], b"", "the first 20 bytes")
    _relayed(e, command[20:], command, "the rest")
    return e


def _fields_of(told: dict[str, Any]) -> dict[str, Value]:
    return {k: bytes.fromhex(v) if isinstance(v, str) else v for k, v in told["fields"].items()}


def vectors() -> list[dict[str, Any]]:
    """Return the host's vectors."""
    made = (
        _opens,
        _hello_again,
        _hello_mismatch,
        _hello_while_open,
        _status_checks,
        _status_zero,
        _quiet,
        _quiet_limit,
        _counter_limit,
        _counter_limit_exact,
        _spoilt,
        _foreign,
        _relays,
        _relays_open_only,
        _relays_few,
        _offers_wait,
        _relays_spoilt,
    )
    return [make().vector() for make in made]
