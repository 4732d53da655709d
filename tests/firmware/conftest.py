"""The real firmware in virtual time, a policy for it, and an attacker who has, or has not, the key."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

import pytest

from edgeguard.link import link_over, messages, wire
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.link.link import TransportLink
from edgeguard.link.messages import Action, Hello, Open, Request, Status
from edgeguard.program import ActuatorLimit, Program
from edgeguard.types import Authority
from hil.firmware import bare_program
from hil.mcu import VirtualMcu

STEP = 0.02


def make_program() -> Program:
    return bare_program(
        "firmware-test",
        envelope=(
            ActuatorLimit("brake", 0.0, 1.0, 4.0, 4.0, 1.0),
            ActuatorLimit("throttle", 0.0, 0.6, 1.0, math.inf, 0.0),
        ),
    )


@dataclass(slots=True)
class Peer:
    """The far end of the line, with every field of every frame in a test's hand."""

    mcu: VirtualMcu
    program: Program
    key: bytes = TEST_KEY
    operator_key: bytes = TEST_OPERATOR_KEY
    host_nonce: bytes = b"hostnonc"
    session: bytes = bytes(8)
    counter: int = 0
    operator_counter: int = 0
    now: float = 0.0

    def frames(self, data: bytes | None = None) -> list[wire.RawFrame]:
        return list(wire.Parser(TEST_KEY, TEST_OPERATOR_KEY).feed(self.mcu.take() if data is None else data))

    def hello(self) -> Hello:
        self.wait(0.2)
        found = [Hello.parse(f.payload) for f in self.frames() if f.message == wire.HELLO]
        return found[-1]

    def statuses(self) -> list[Status]:
        return [Status.parse(f.payload) for f in self.frames() if f.message == wire.STATUS]

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.mcu.advance(self.now)

    def raw(self, message: int, payload: bytes, **changes: int) -> bytes:
        fields = {"system": wire.SYSTEM_HOST, "component": wire.COMPONENT, "link": wire.TO_MCU, **changes}
        frame = wire.RawFrame(message=message, payload=payload, **fields)
        key = self.operator_key if frame.link == wire.OPERATOR_TO_MCU else self.key
        return wire.pack(frame, sequence=0, stamp=0, key=key)

    def open(self, **changes: object) -> bytes:
        hello = self.hello()
        wanted = Open(hello.nonce, self.host_nonce, bytes.fromhex(self.program.digest)[:16])
        wanted = wanted._replace(**changes)  # type: ignore[arg-type]
        raw = self.raw(wire.OPEN, wanted.encode())
        self.session = sha256(self.key + hello.nonce + self.host_nonce).digest()[:8]
        self.counter = self.operator_counter = 0
        self.mcu.feed(raw)
        return raw

    def request(self, **changes: object) -> bytes:
        """A valid command for the brake, but for the changes. The counter is taken up."""
        self.counter += 1
        return self.raw(wire.COMMAND, self._payload(self.counter, changes))

    def by_operator(self, action: Action, **changes: object) -> bytes:
        """A valid request of the operator's, but for the changes. The operator's counter is taken up."""
        self.operator_counter += 1
        asked = {"action": int(action), "source": int(Authority.HUMAN), "value": 0, **changes}
        return self.raw(wire.COMMAND, self._payload(self.operator_counter, asked), link=wire.OPERATOR_TO_MCU)

    def _payload(self, counter: int, changes: dict[str, object]) -> bytes:
        wanted = Request(
            session=self.session,
            counter=counter,
            mcu_ms_echo=round(self.mcu.now * 1000),
            policy_hash=int.from_bytes(bytes.fromhex(self.program.digest)[:4], "little"),
            value=500_000,
            valid_ms=100,
            data_id=messages.DATA_ID,
            source=int(Authority.MODEL),
            actuator=0,
            action=int(Action.SET),
        )
        return wanted._replace(**changes).encode()  # type: ignore[arg-type]

    def command(self, brake: float = 0.5, throttle: float = 0.3, source: Authority = Authority.MODEL) -> None:
        for index, value in enumerate((brake, throttle)):
            self.mcu.feed(
                self.request(
                    value=round(value * 1e6),
                    actuator=index,
                    data_id=messages.DATA_ID + index,
                    source=int(source),
                )
            )

    def ask_to_arm(self, source: Authority = Authority.HUMAN) -> None:
        self.mcu.feed(self.by_operator(Action.ARM, source=int(source)))

    def ask_to_release(self) -> None:
        self.mcu.feed(self.by_operator(Action.RELEASE))

    def make_ready(self) -> None:
        for _ in range(5):
            self.command()
            self.wait(STEP)

    def enable(self) -> None:
        self.open()
        self.make_ready()
        self.ask_to_arm()
        assert self.mcu.mode == "enabled"


@pytest.fixture(scope="session")
def program() -> Program:
    return make_program()


@pytest.fixture
def with_envelope(program: Program) -> Callable[..., Program]:
    def make(*limits: ActuatorLimit, **changes: object) -> Program:
        return replace(program, envelope=limits, **changes)  # type: ignore[arg-type]

    return make


@pytest.fixture
def mcu(program: Program) -> VirtualMcu:
    return VirtualMcu(program, seed=bytes(16), sanitize=True)


@pytest.fixture
def peer(mcu: VirtualMcu, program: Program) -> Peer:
    return Peer(mcu, program)


@pytest.fixture
def link(mcu: VirtualMcu, program: Program) -> TransportLink:
    return link_over(
        mcu.transport(),
        key=TEST_KEY,
        operator_key=TEST_OPERATOR_KEY,
        policy_hash=bytes.fromhex(program.digest),
        actuators=program.envelope,
        nonce=lambda: b"hostnonc",
    )


@pytest.fixture
def make_host(mcu: VirtualMcu, program: Program) -> Callable[[], TransportLink]:
    def make() -> TransportLink:
        return link_over(
            mcu.transport(),
            key=TEST_KEY,
            operator_key=TEST_OPERATOR_KEY,
            policy_hash=bytes.fromhex(program.digest),
            actuators=program.envelope,
        )

    return make


@pytest.fixture
def make_peer() -> Callable[[Program], Peer]:
    """For property tests: a fresh microcontroller an example."""

    def make(program: Program) -> Peer:
        return Peer(VirtualMcu(program, seed=bytes(16), sanitize=True), program)

    return make
