"""A host's or an operator's conformance sequence under construction: what arrives when, and what must be sent.

Knows the fields of right frames; never what a step's answer is: that is written at each step.
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


def status_body(session: Value, **changes: Value) -> bytes:
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


def offer_body(session: Value, **changes: Value) -> bytes:
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

    def spoilt(self, raw: bytes, what: str, **more: Any) -> None:  # noqa: ANN401 - as `receive`
        """Bytes arrive whose checksum is bad: no frame, so none is refused."""
        self.receive(line.spoilt(raw), f"{what} with a bad checksum", crc_errors=1, **more)

    def hello(self, *frames: dict[str, Any], state: str = "opening", **changes: Value) -> None:
        """A HELLO arrives."""
        self.receive(line.frame("HELLO", hello_body(**changes)), "HELLO", *frames, state=state)

    def status(self, counter: int, *, accepted: bool = True, state: str = "open", **changes: Value) -> None:
        """A STATUS arrives."""
        body = status_body(**{"session": SESSION, "counter": counter, **changes})
        self.receive(line.frame("STATUS", body), "STATUS", accepted=accepted, state=state)

    def offer(
        self, *frames: dict[str, Any], accepted: bool = True, key: bytes | None = None, **changes: Value
    ) -> None:
        """An OFFER arrives."""
        body = offer_body(**{"session": SESSION, **changes})
        self.receive(line.frame("OFFER", body, key=key), "OFFER", *frames, accepted=accepted)

    def open(self) -> None:
        """Open the session, with the STATUS that carries clock 5000 and counter 1."""
        self.hello(opened())
        self.wait(5)
        self.status(1)

    def _add(self, do: str, **more: object) -> None:
        self.steps.append({"at_ms": self.now, "do": do, **more})
