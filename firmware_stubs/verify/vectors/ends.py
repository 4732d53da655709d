"""The vectors of session.json for a host and for an operator: what arrives when, and what they must answer.

Every answer is written here by hand, from docs/reference/link-protocol.md; nothing is taken from a program.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import line
from line import Value

NONCE, OTHER_NONCE = bytes(range(8)), bytes(range(8, 16))
HOST_NONCES = (bytes(range(16, 24)), bytes(range(24, 32)), bytes(range(32, 40)))
SESSION = line.session_of(NONCE, HOST_NONCES[0])
READY, STOPPED = 0x82, 0x84


def status_body(session: bytes, **changes: Value) -> bytes:
    """Payload of a STATUS."""
    usual = dict.fromkeys(("counter_echo", "value", "age", "rejected", "crc_errors", "dropped", "mode"), 0)
    usual |= {
        "counter": 1,
        "mcu_ms": 5000,
        "source": 3,
        "reason": 0,
        "refusal": 0,
        "actuator": 0,
        "latches": 0,
    }
    return line.payload("STATUS", **{"session": session, **usual, **changes})


def offer_body(session: bytes, **changes: Value) -> bytes:
    """Payload of an OFFER."""
    usual: dict[str, Value] = {
        "policy_hash": line.POLICY_HASH,
        "mcu_ms": 5000,
        "mode": 0,
        "reason": 0,
        "latches": 0,
    }
    return line.payload("OFFER", **{"session": session, **usual, **changes})


def hello_body(**changes: Value) -> bytes:
    """Payload of a HELLO."""
    usual: dict[str, Value] = {
        "mcu_nonce": NONCE,
        "firmware": 0x200,
        "lost_ms": 120,
        "valid_max_ms": 150,
        "policy": line.POLICY[:16],
        "protocol": line.PROTOCOL,
        "actuators": 2,
        "mode": 0,
    }
    return line.payload("HELLO", **{**usual, **changes})


def sent(name: str, link: int, **fields: Value) -> dict[str, Any]:
    """A frame that must have been sent: every field of it."""
    told = line.decode(name, line.payload(name, **fields))
    return {"message": name, "system": 255, "component": 1, "link": link, "fields": told}


def opened(mcu_nonce: bytes = NONCE, host_nonce: bytes = HOST_NONCES[0]) -> dict[str, Any]:
    """An OPEN that must have been sent."""
    policy = line.POLICY[:16]
    return sent("OPEN", 0, mcu_nonce=mcu_nonce, host_nonce=host_nonce, policy=policy, protocol=line.PROTOCOL)


def asked(counter: int, echo: int, action: int = 1, *, link: int = 0, **changes: Value) -> dict[str, Any]:
    """A COMMAND that must have been sent; unless changed, one that sets actuator 0 to 0.25 for the model."""
    actuator = changes.get("actuator", 0)
    assert isinstance(actuator, int)  # noqa: S101 - for the type checker
    usual: dict[str, Value] = {
        "session": SESSION,
        "policy_hash": line.POLICY_HASH,
        "value": 250_000 if action == 1 else 0,
        "valid_ms": 100,
        "data_id": 0xE600 + actuator,
        "source": {1: 0, 3: 3}.get(action, 2) if link == 0 else 2,
        "actuator": actuator,
    }
    return sent(
        "COMMAND", link, **{**usual, "counter": counter, "mcu_ms_echo": echo, "action": action, **changes}
    )


@dataclass(slots=True)
class End:
    """One vector for a host or an operator. Every method adds a step at `now`, ms on its own clock."""

    name: str
    now: int = 1000
    steps: list[dict[str, Any]] = field(default_factory=list)

    def vector(self) -> dict[str, Any]:
        """Return the vector as it is published."""
        return {"name": self.name, "steps": self.steps}

    def wait(self, ms: int, **expect: object) -> None:
        """Time passes."""
        self.now += ms
        self._add("wait", **expect)

    def do(self, act: str, *frames: dict[str, Any], **more: object) -> None:
        """Ask the end for something; `frames`: what it must send at once."""
        self._add(act, sent=list(frames), **more)

    def receive(
        self, raw: bytes, what: str, *frames: dict[str, Any], accepted: bool = True, **more: object
    ) -> None:
        """Bytes arrive. `frames`: what must be answered at once."""
        self._add("receive", what=what, bytes=raw.hex(), accepted=accepted, sent=list(frames), **more)

    def hello(self, *frames: dict[str, Any], state: str = "opening", **changes: Value) -> None:
        """A HELLO arrives."""
        self.receive(line.frame("HELLO", hello_body(**changes)), "HELLO", *frames, state=state)

    def status(self, counter: int, *, accepted: bool = True, state: str = "open", **changes: Value) -> None:
        """A STATUS arrives."""
        body = status_body(**{"session": SESSION, "counter": counter, **changes})  # type: ignore[arg-type]
        self.receive(line.frame("STATUS", body), "STATUS", accepted=accepted, state=state)

    def offer(
        self, *frames: dict[str, Any], accepted: bool = True, key: bytes | None = None, **changes: Value
    ) -> None:
        """An OFFER arrives."""
        body = offer_body(**{"session": SESSION, **changes})  # type: ignore[arg-type]
        self.receive(line.frame("OFFER", body, key=key), "OFFER", *frames, accepted=accepted)

    def open(self) -> None:
        """Open the session, with the STATUS that carries clock 5000 and counter 1."""
        self.hello(opened())
        self.wait(5)
        self.status(1)

    def _add(self, do: str, **more: object) -> None:
        self.steps.append({"at_ms": self.now, "do": do, **more})


# ---- the host --------------------------------------------------------------------------------------------------------

COMMAND: dict[str, Any] = {"values": [250_000, 500_000], "source": 1}


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
        (line.frame("STATUS", status_body(**session), link=0), "STATUS on link 0"),
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
        (line.frame("STATUS", status_body(**session), link=4), "STATUS on link 4"),
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
    body = line.payload("COMMAND", **_fields_of(asked(9, 5000, 2, link=2)))
    command = line.frame("COMMAND", body, link=2)
    e.do("relay", what="the operator's COMMAND", bytes=command.hex(), relayed=command.hex())
    own = line.frame("COMMAND", body, link=0)
    e.do("relay", what="a COMMAND on the host's link", bytes=own.hex(), relayed="")
    back = line.frame("OFFER", offer_body(SESSION))
    e.do("relay", what="an OFFER that goes the wrong way", bytes=back.hex(), relayed="")
    return e


def _fields_of(told: dict[str, Any]) -> dict[str, Value]:
    return {k: bytes.fromhex(v) if isinstance(v, str) else v for k, v in told["fields"].items()}


# ---- the operator ----------------------------------------------------------------------------------------------------


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
    e.offer(asked(50, 50, 2, link=2, session=other), mcu_ms=50, flags=READY, session=other)
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
    e.do("arm")
    e.do("disarm")
    e.offer(asked(5100, 5100, 3, link=2), mode=1, reason=1, mcu_ms=5100)
    e.offer(mode=2, reason=3, mcu_ms=5200, flags=READY)
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
    for raw, what in (
        (line.frame("OFFER", offer_body(SESSION, flags=READY), link=2), "an OFFER on link 2"),
        (line.frame("OFFER", offer_body(SESSION, flags=0x02)), "an OFFER without bit 7 of its flags"),
        (line.frame("STATUS", status_body(SESSION, flags=READY), link=3), "a STATUS on link 3"),
    ):
        e.receive(raw, what, accepted=False)
    return e


def host() -> list[dict[str, Any]]:
    """The host's vectors."""
    made = (
        _opens,
        _hello_again,
        _hello_mismatch,
        _hello_while_open,
        _status_checks,
        _status_zero,
        _quiet,
        _foreign,
    )
    return [make().vector() for make in (*made, _relays)]


def operator() -> list[dict[str, Any]]:
    """The operator's vectors."""
    made = (_asks, _counts, _releases, _disarms, _latched, _window, _deaf)
    return [make().vector() for make in made]
