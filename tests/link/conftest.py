"""A microcontroller of twenty lines, written against the wire alone, so that the host's end is tested without C."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from struct import Struct
from typing import Any

import pytest

from edgeguard.link import messages, wire
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.link.link import TransportLink, link_over
from edgeguard.link.messages import Hello, Offer, Request, Status
from edgeguard.program import ActuatorLimit, Microcontroller, Program
from edgeguard.types import Authority
from hil.firmware import bare_program
from hil.mcu import VirtualMcu

POLICY = sha256(b"the policy").digest()
HASH = int.from_bytes(POLICY[:4], "little")
COMMAND = Struct("<8sIIIiHHBBBB")
ACTUATORS = (
    ActuatorLimit("brake", 0.0, 1.0, 4.0, 4.0, 1.0),
    ActuatorLimit("throttle", 0.0, 0.6, 1.0, math.inf, 0.0),
)


@dataclass(slots=True)
class FakeMcu:
    """Speaks the protocol and does what a test tells it. Also a transport: its own line."""

    key: bytes = TEST_KEY
    nonce: bytes = b"mcunonce"
    connected: bool = True
    room: bool = True
    session: bytes = b""
    counter: int = 0
    mode: int = 0
    latches: int = 0
    flags: int = messages.FLAG_ALWAYS
    mcu_ms: int = 1000
    heard: list[tuple[int, bytes]] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    """What came with the operator's signature."""
    to_host: bytes = b""

    def read(self, now: float) -> bytes:
        data, self.to_host = self.to_host, b""
        return data if self.connected else b""

    def write(self, data: bytes, now: float) -> bool:
        if not (self.connected and self.room):
            return False
        for frame in wire.Parser(self.key, TEST_OPERATOR_KEY).feed(data):
            if frame.link == wire.OPERATOR_TO_MCU:
                self.asked.append(Request(*COMMAND.unpack(frame.payload)))
                continue
            self.heard.append((frame.message, frame.payload))
            if frame.message == wire.OPEN:
                self.session = sha256(self.key + self.nonce + frame.payload[8:16]).digest()[:8]
        return True

    def close(self) -> None:
        self.connected = False

    def say(self, message: int, payload: bytes, **changes: int) -> bytes:
        fields = {"system": wire.SYSTEM_MCU, "component": wire.COMPONENT, "link": wire.TO_HOST, **changes}
        frame = wire.RawFrame(message=message, payload=payload, **fields)
        key = TEST_OPERATOR_KEY if frame.link == wire.MCU_TO_OPERATOR else self.key
        raw = wire.pack(frame, sequence=0, stamp=0, key=key)
        self.to_host += raw
        return raw

    def hello(self, **changes: object) -> bytes:
        hello = Hello(self.nonce, 0x200, 120, 150, POLICY[:16], messages.PROTOCOL, 2, 0, messages.FLAG_ALWAYS)
        return self.say(wire.HELLO, hello._replace(**changes).encode())  # type: ignore[arg-type]

    def status(self, **changes: object) -> bytes:
        self.counter += 1
        status = Status(
            session=self.session,
            counter=self.counter,
            mcu_ms=self.mcu_ms,
            counter_echo=0,
            value=250_000,
            age=0,
            rejected=0,
            crc_errors=0,
            dropped=0,
            mode=self.mode,
            source=3,
            reason=0,
            refusal=0,
            actuator=0,
            latches=self.latches,
            flags=self.flags,
        )
        return self.say(wire.STATUS, status._replace(**changes).encode())  # type: ignore[arg-type]

    def offer(self, **changes: object) -> bytes:
        self.mcu_ms += 1
        offer = Offer(self.session, self.mcu_ms, HASH, self.mode, 0, self.latches, self.flags)
        offer = offer._replace(**changes)  # type: ignore[arg-type]
        return self.say(wire.OFFER, offer.encode(), link=wire.MCU_TO_OPERATOR)

    def commands(self) -> list[bytes]:
        return [payload for message, payload in self.heard if message == wire.COMMAND]


@pytest.fixture
def mcu() -> FakeMcu:
    return FakeMcu()


@pytest.fixture
def make_link() -> Callable[..., TransportLink]:
    def make(mcu: FakeMcu, operator_key: bytes | None = TEST_OPERATOR_KEY) -> TransportLink:
        return link_over(
            mcu,
            key=TEST_KEY,
            policy_hash=POLICY,
            actuators=ACTUATORS,
            operator_key=operator_key,
            nonce=lambda: b"hostnonc",
        )

    return make


@pytest.fixture
def link(mcu: FakeMcu, make_link: Callable[..., TransportLink]) -> TransportLink:
    return make_link(mcu)


@pytest.fixture
def open_session(mcu: FakeMcu, link: TransportLink) -> TransportLink:
    """A link with an open session at time 0."""
    mcu.hello()
    link.poll(0.0)
    mcu.status()
    link.poll(0.0)
    mcu.heard.clear()
    return link


@pytest.fixture
def plain(mcu: FakeMcu, make_link: Callable[..., TransportLink]) -> TransportLink:
    """A link with an open session at time 0, at a host that does not hold the operator's key."""
    link = make_link(mcu, None)
    mcu.hello()
    link.poll(0.0)
    mcu.status()
    link.poll(0.0)
    mcu.heard.clear()
    return link


# ---- the conformance vectors of tests/vectors/link -----------------------------------------------------------------

VECTORS = Path(__file__).parents[1] / "vectors" / "link"


def _limit(row: dict[str, Any]) -> ActuatorLimit:
    low, high, safe = (row[k] / messages.SCALE for k in ("min", "max", "safe"))
    rise, fall = (math.inf if row[k] is None else row[k] / messages.SCALE for k in ("rise", "fall"))
    return ActuatorLimit(row["name"], low, high, rise, fall, safe, authority=Authority(row["authority"]))


@pytest.fixture(scope="session")
def vectors_program() -> Program:
    """What the table of session.json says, as a policy."""
    table = json.loads((VECTORS / "session.json").read_text(encoding="ascii"))["table"]
    program = bare_program(
        "vectors",
        tuple(_limit(row) for row in table["actuators"]),
        microcontroller=Microcontroller(stop=table["stop"]),
    )
    return replace(program, digest=sha256(bytes.fromhex(table["policy_file"])).hexdigest())


@pytest.fixture
def make_vector_mcu(vectors_program: Program) -> Callable[..., VirtualMcu]:
    def make(*, seed: bytes = bytes(16), now: float = 1.0) -> VirtualMcu:
        return VirtualMcu(vectors_program, seed=seed, now=now)

    return make


@pytest.fixture(scope="session")
def vector_fields() -> Callable[[str, bytes], dict[str, int | str]]:
    """Reads a payload by the offsets of derive.json, byte strings as hex."""
    rows = json.loads((VECTORS / "derive.json").read_text(encoding="ascii"))["messages"]

    def read(name: str, payload: bytes) -> dict[str, int | str]:
        (row,) = (row for row in rows if row["name"] == name)
        ends = [field["offset"] for field in row["fields"][1:]] + [row["payload_size"]]
        found: dict[str, int | str] = {}
        for item, end in zip(row["fields"], ends):
            raw, kind = payload[item["offset"] : end], item["type"]
            is_number = not kind.endswith("bytes")
            number = int.from_bytes(raw, "little", signed=kind.startswith("int"))
            found[item["name"]] = number if is_number else raw.hex()
        return found

    return read
