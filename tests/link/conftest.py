"""A microcontroller of twenty lines, written against the wire alone, so that the host's end is tested without C."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from struct import Struct

import pytest

from edgeguard.link import messages, wire
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.link.link import TransportLink, link_over
from edgeguard.link.messages import Hello, Offer, Request, Status
from edgeguard.program import ActuatorLimit

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
