"""A microcontroller's conformance sequence under construction: what arrives when, and what must come of it.

Knows how right frames are made and in which order; never what a step's verdict is: that is written at each step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import line
from line import Value

SET, ARM, DISARM, RELEASE = 1, 2, 3, 4
MODEL, RULES, HUMAN, SAFE = range(4)
ACTUATORS = (
    {
        "name": "steer",
        "min": -30_000_000,
        "max": 30_000_000,
        "rise": 40_000_000,
        "fall": 40_000_000,
        "safe": 0,
        "authority": MODEL,
    },
    {
        "name": "gripper",
        "min": 0,
        "max": 1_000_000,
        "rise": None,
        "fall": 4_000_000,
        "safe": 1_000_000,
        "authority": RULES,
    },
)
TABLE = {
    "policy_file": b"a policy file\n".hex(),
    "degraded_ms": 50,
    "lost_ms": 120,
    "valid_max_ms": 150,
    "arm_commands": 5,
    "stop": True,
    "actuators": list(ACTUATORS),
}
SEED, OTHER_SEED = bytes(range(16)), bytes(range(16, 32))
HOST_NONCE = bytes(range(16, 24))
STEP_MS = 20
NONCES = 4
"""How many of its nonces a microcontroller's vector names."""


SEQUENCES: list[Callable[[], dict[str, Any]]] = []


def sequence(now: int = 1000) -> Callable[[Callable[[Sequence], None]], None]:
    """Register a sequence that begins at `now`; its docstring is the requirement."""

    def register(fill: Callable[[Sequence], None]) -> None:
        def make() -> dict[str, Any]:
            s = Sequence((fill.__doc__ or "").strip(), now)
            fill(s)
            return {"name": s.name, "steps": s.steps}

        SEQUENCES.append(make)

    return register


@dataclass(slots=True)
class Sequence:
    """One vector for a microcontroller. Every method adds a step at `now`, ms on the microcontroller's clock."""

    name: str
    now: int
    seed: bytes = SEED
    host_nonce: bytes = HOST_NONCE
    steps: list[dict[str, Any]] = field(default_factory=list)
    session: bytes = bytes(8)
    opened: int = 0
    counters: dict[int, int] = field(default_factory=lambda: {0: 0, 2: 0})
    _sequence: int = 0

    def __post_init__(self) -> None:
        self.steps.append({"at_ms": self.now, "do": "reset", **self._boot()})

    # -- what happens ----------------------------------------------------------------------------------------------

    def wait(self, ms: int = 1, **expect: object) -> None:
        """Time passes; the core is stepped at least every millisecond of it."""
        self.now += ms
        self._add("wait", **expect)

    def stop(self, *, pressed: bool, **expect: object) -> None:
        """Press or let go of the emergency stop; it counts from the next step of the core on, 1 ms later."""
        self._add("press-stop" if pressed else "let-go-of-stop")
        self.wait(1, **expect)

    def reset(self, seed: bytes = OTHER_SEED, **expect: object) -> None:
        """Lose everything but the clock and the retained memory."""
        self.seed, self.opened = seed, 0
        self._add("reset", **self._boot(), **expect)

    def damage(self) -> None:
        """Damage the core's memory, as a flipped bit does; it is found at its next step."""
        self._add("damage")

    def spoilt(self, raw: bytes, what: str, **expect: object) -> None:
        """Bytes arrive whose checksum is bad: no frame, so none is refused."""
        self.receive(line.spoilt(raw), f"{what} with a bad checksum", 0, crc_errors=1, **expect)

    def receive(self, raw: bytes, what: str, refusal: int, **expect: object) -> bytes:
        """Bytes arrive. `refusal`: 0 when the frame in them must be accepted."""
        self._add("receive", what=what, bytes=raw.hex(), refusal=refusal, **expect)
        return raw

    def status(self, **fields: int) -> dict[str, Any]:
        """Return a STATUS of this session that must have been sent."""
        return {"message": "STATUS", "fields": {"session": self.session.hex(), **fields}}

    # -- right frames, but for the changes ----------------------------------------------------------------------------

    def frame(
        self, name: str, body: bytes, link: int, *, key: bytes | None = None, broken: line.Broken = line.RIGHT
    ) -> bytes:
        """Sign a frame as of now."""
        self._sequence += 1
        sequence, stamp = self._sequence & 255, self.now * 100
        return line.frame(name, body, link=link, sequence=sequence, stamp=stamp, key=key, broken=broken)

    def set_body(self, counter: int) -> bytes:
        """Payload of a COMMAND that sets actuator 0 for the model, as of now."""
        return line.payload("COMMAND", **self._fields(counter))

    def open(self, refusal: int = 0, *, link: int = 0, **changes: Any) -> bytes:  # noqa: ANN401 - fields, and `mode`
        """Open a session with the present nonce."""
        expect = _expected(changes)
        fields: dict[str, Value] = {
            "mcu_nonce": line.nonce_of(self.seed, self.opened),
            "host_nonce": self.host_nonce,
            "policy": line.POLICY[:16],
            "protocol": line.PROTOCOL,
            **changes,
        }
        raw = self.frame("OPEN", line.payload("OPEN", **fields), link)
        if refusal == 0:
            self.session = line.session_of(line.nonce_of(self.seed, self.opened), self.host_nonce)
            self.opened += 1
            self.counters = {0: 0, 2: 0}
        return self.receive(raw, f"OPEN{_told(changes, link)}", refusal, **expect)

    def command(
        self,
        refusal: int = 0,
        *,
        link: int = 0,
        key: bytes | None = None,
        **changes: Any,  # noqa: ANN401 - as `open`
    ) -> bytes:
        """Send one COMMAND; unless changed, set actuator 0 for the model. The next counter of that link is taken up."""
        expect = _expected(changes)
        self.counters[link] = self.counters.get(link, 0) + 1
        data_id = 0xE600 + changes.get("actuator", 0)
        fields = {**self._fields(self.counters[link]), "data_id": data_id, **changes}
        if refusal not in (16, 21, 22):
            self.counters[link] = fields["counter"]
        raw = self.frame("COMMAND", line.payload("COMMAND", **fields), link, key=key)
        return self.receive(raw, f"COMMAND{_told(changes, link)}", refusal, **expect)

    def operator(self, action: int, refusal: int = 0, **changes: Any) -> bytes:  # noqa: ANN401 - as `open`
        """Ask for an action as the operator does."""
        return self.command(refusal, link=2, **{"action": action, "value": 0, "source": HUMAN, **changes})

    # -- longer ways ---------------------------------------------------------------------------------------------------

    def round(self) -> None:
        """Command every actuator once, and wait for the next step of the host."""
        self.command()
        self.command(actuator=1, source=RULES)
        self.wait(STEP_MS)

    def ready(self) -> None:
        """As many commands in time as arming needs."""
        for _ in range(5):
            self.round()

    def enable(self) -> None:
        """Open a session and arm."""
        self.open()
        self.ready()
        self.operator(ARM, mode="enabled", reason=1)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _fields(self, counter: int) -> dict[str, Any]:
        return {
            "session": self.session,
            "counter": counter,
            "mcu_ms_echo": self.now % 2**32,
            "policy_hash": line.POLICY_HASH,
            "value": 250_000,
            "valid_ms": 100,
            "data_id": 0xE600,
            "source": MODEL,
            "actuator": 0,
            "action": SET,
        }

    def _boot(self) -> dict[str, Any]:
        return {
            "seed": self.seed.hex(),
            "nonces": [line.nonce_of(self.seed, n).hex() for n in range(NONCES)],
        }

    def _add(self, do: str, **more: object) -> None:
        self.steps.append({"at_ms": self.now, "do": do, **more})


def _expected(changes: dict[str, Any]) -> dict[str, Any]:
    """Take out what is expected after the step; what stays are fields."""
    return {k: changes.pop(k) for k in ("mode", "reason", "latches", "ready") if k in changes}


def _told(changes: dict[str, Any], link: int) -> str:
    told = [f"link {link}"] if link else []
    told += [f"{k} {v.hex() if isinstance(v, bytes) else v}" for k, v in changes.items()]
    return f": {', '.join(told)}" if told else ""
