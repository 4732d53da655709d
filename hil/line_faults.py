"""Every way in which a line can fail or lie, tried on the real firmware in virtual time, against an oracle.

The oracle knows which bytes were sent when, and so what may be accepted: a frame that arrives whole, for the first
time, in order and fresh. It reads what the firmware accepted from its memory, not from what it reports.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final

from edgeguard.link import messages, wire
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.link.messages import Action, Hello, Open, Request
from edgeguard.program import Program
from edgeguard.types import Authority
from hil.mcu import VirtualMcu

STEP: Final = 0.002
"""s between tries."""
VALID_MS: Final = 100
KEPT: Final = 64
"""Recorded frames that a replay may choose from."""
RATIOS: Final = (0.25, 0.5, 0.6, 0.75, 0.9, 1.08, 1.1, 1.25, 4 / 3, 1.5, 2.0, 4.0)
"""Of the sender's speed to the receiver's, where the line is set to a wrong one."""


@dataclass(slots=True)
class Outcome:
    """What came of the tries of one fault."""

    tries: int = 0
    accepted: int = 0
    """Frames that were accepted, and rightly."""
    wrong: list[str] = field(default_factory=list)
    """What must never happen: one line each."""
    recovered: int = 0
    """Tries after which the next sound frames were accepted."""


@dataclass(slots=True)
class Line:
    """A host, an operator and their microcontroller, and what went over the wire between them."""

    program: Program
    rng: random.Random
    outcome: Outcome = field(default_factory=Outcome)
    mcu: VirtualMcu = field(init=False)
    now: float = 0.0
    session: bytes = b""
    counter: int = 0
    operator_counter: int = 0
    recorded: list[bytes] = field(default_factory=list)
    """What somebody on the line kept, to send again."""
    _sent: dict[int, tuple[bytes, float]] = field(default_factory=dict)
    """Commands of this session by counter, and when they were made."""
    _asked: bytes = b"never"
    """The operator's last request to arm."""
    _wire: bytes = b""
    """The last bytes that arrived."""

    def __post_init__(self) -> None:
        self.mcu = VirtualMcu(self.program, seed=self.rng.randbytes(16))
        self.open()

    # -- frames --------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open a session. Its frames are recorded."""
        while not (hellos := [f for f in self._heard() if f.message == wire.HELLO]):
            self.wait(0.05)
        nonce, ours = Hello.parse(hellos[-1].payload).nonce, self.rng.randbytes(8)
        opening = Open(nonce, ours, bytes.fromhex(self.program.digest)[:16])
        frame = self._sign(wire.OPEN, opening.encode(), wire.TO_MCU)
        self.mcu.feed(frame)
        self.keep(frame)
        self.session = sha256(TEST_KEY + nonce + ours).digest()[:8]
        self.counter = self.operator_counter = 0
        self._sent.clear()

    def command(self, *, session: bytes | None = None) -> bytes:
        """The next command, as the host makes it now."""
        self.counter += 1
        actuator = self.counter % len(self.program.envelope)
        frame = self._request(Action.SET, self.counter, actuator, Authority.MODEL, wire.TO_MCU, session)
        if session is None:
            self._sent[self.counter] = (frame, self.now)
            self._sent.pop(self.counter - KEPT, None)
        return frame

    def arm(self) -> bytes:
        """The operator's request to arm, as made now."""
        self.operator_counter += 1
        self._asked = self._request(
            Action.ARM, self.operator_counter, 0, Authority.HUMAN, wire.OPERATOR_TO_MCU, None
        )
        return self._asked

    def keep(self, frame: bytes) -> None:
        """Record a frame, as somebody on the line would."""
        self.recorded.append(frame)
        if len(self.recorded) > KEPT:
            del self.recorded[self.rng.randrange(KEPT)]

    # -- the line ------------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.mcu.advance(self.now)

    def deliver(self, data: bytes) -> None:
        """Bytes arrive. What is accepted must be whole among the last of them, newer than the last, and fresh."""
        self.wait(1e-5)  # no two frames arrive at once
        self._wire = (self._wire + data)[-2048:]
        before, heard = self.mcu.accepted, self.mcu.heard
        self.mcu.feed(data)
        if self.mcu.mode == "enabled":
            self._armed(data)
        elif self.mcu.heard != heard:
            self._accepted(before, data)

    def _accepted(self, before: int, data: bytes) -> None:
        after = self.mcu.accepted
        frame, made = self._sent.get(after, (b"", 0.0))
        if not frame or frame not in self._wire or after <= before or self._age_ms(made) > VALID_MS:
            self.outcome.wrong.append(f"accepted command {after} after {before} from {data.hex()}")
        else:
            self.outcome.accepted += 1

    def _armed(self, data: bytes) -> None:
        """Nobody asks for it here, but a torn request may be made whole by what came before it."""
        if self._asked not in self._wire:
            self.outcome.wrong.append(f"armed by {data.hex()}")
        self.reboot()

    def recover(self, most: int = 2) -> None:
        """Sound commands, until one is accepted."""
        for _ in range(most):
            self.deliver(self.command())
            if self.mcu.accepted == self.counter:
                self.outcome.recovered += 1
                return

    def reboot(self) -> None:
        """Lose power; come back with a new seed."""
        self.mcu.reboot(seed=self.rng.randbytes(16))
        self.open()

    # -- inside --------------------------------------------------------------------------------------------------

    def _heard(self) -> list[wire.RawFrame]:
        data = self.mcu.take()
        return list(wire.Parser(TEST_KEY, TEST_OPERATOR_KEY).feed(data))

    def _age_ms(self, made: float) -> int:
        return round(self.now * 1e6) // 1000 - round(made * 1e6) // 1000

    def _request(
        self,
        action: Action,
        counter: int,
        actuator: int,
        source: Authority,
        link: int,
        session: bytes | None,
    ) -> bytes:
        request = Request(
            session=self.session if session is None else session,
            counter=counter,
            mcu_ms_echo=round(self.now * 1e6) // 1000,
            policy_hash=int.from_bytes(bytes.fromhex(self.program.digest)[:4], "little"),
            value=self.rng.randrange(1_000_000),
            valid_ms=VALID_MS,
            data_id=messages.DATA_ID + actuator,
            source=int(source),
            actuator=actuator,
            action=int(action),
        )
        return self._sign(wire.COMMAND, request.encode(), link)

    def _sign(self, message: int, payload: bytes, link: int) -> bytes:
        frame = wire.RawFrame(message, wire.SYSTEM_HOST, wire.COMPONENT, link, payload)
        key = TEST_OPERATOR_KEY if link == wire.OPERATOR_TO_MCU else TEST_KEY
        return wire.pack(frame, sequence=self.counter, stamp=round(self.now * 1e5), key=key)


Fault = Callable[[Line], None]


# ---- the faults, one try each ----------------------------------------------------------------------------------------


def victim(line: Line) -> bytes:
    """A frame for a fault to happen to: mostly a command, sometimes the operator's request to arm."""
    frame = line.arm() if line.rng.random() < 0.1 else line.command()
    line.keep(frame)
    return frame


def drop(line: Line) -> None:
    """Some frames never arrive."""
    for _ in range(line.rng.randrange(1, 4)):
        victim(line)


def duplicate(line: Line) -> None:
    """A command arrives twice, or more often."""
    frame = line.command()
    line.deliver(frame)
    for _ in range(line.rng.randrange(1, 4)):
        line.deliver(frame)


def reorder(line: Line) -> None:
    """Commands arrive in another order: only one that is newer than all before it counts."""
    frames = [line.command() for _ in range(line.rng.randrange(2, 5))]
    line.rng.shuffle(frames)
    for frame in frames:
        line.deliver(frame)


def delay(line: Line) -> None:
    """A command arrives late: up to its validity it counts, after that it does not."""
    frame = line.command()
    line.wait(line.rng.choice((0.09, 0.099, 0.1, 0.101, 0.102, line.rng.random() * 0.5)))
    line.mcu.take()
    line.deliver(frame)


def corrupt(line: Line) -> None:
    """One to eight bits of a frame are flipped."""
    frame = bytearray(victim(line))
    for bit in line.rng.sample(range(8 * len(frame)), line.rng.randrange(1, 9)):
        frame[bit // 8] ^= 1 << bit % 8
    line.deliver(bytes(frame))


def truncate(line: Line) -> None:
    """Only a part of a frame arrives."""
    frame = victim(line)
    cut = line.rng.randrange(1, len(frame))
    line.deliver(frame[:cut] if line.rng.random() < 0.5 else frame[cut:])


def splice(line: Line) -> None:
    """The head of one frame and the tail of another."""
    one, other = victim(line), line.rng.choice(line.recorded)
    cut = line.rng.randrange(1, min(len(one), len(other)))
    data = one[:cut] + other[cut:]
    if data not in (one, other):
        line.deliver(data)


def replay(line: Line) -> None:
    """What was recorded in this session is sent again, some of it at once."""
    line.recover()
    line.keep(line.command())  # one that was never delivered: it is older than the next
    line.recover()
    line.wait(line.rng.random() * 0.02)
    line.mcu.take()
    for frame in line.rng.choices(line.recorded, k=3):
        line.deliver(frame)


def replay_across_a_reboot(line: Line) -> None:
    """What was recorded before a reset, the opening included, is sent after it."""
    if line.rng.random() < 0.02:
        line.reboot()
    else:
        old = line.recorded if line.rng.random() < 0.5 else line.rng.sample(line.recorded, len(line.recorded))
        line.deliver(old[line.rng.randrange(len(old))])


def forge(line: Line) -> None:
    """A frame that is right but for its signature, its key or its session."""
    kind = line.rng.randrange(4)
    if kind == 0:
        line.deliver(victim(line)[:-6] + line.rng.randbytes(6))
    elif kind == 1:
        line.deliver(line.command(session=line.rng.randbytes(8)))
    else:
        frame = victim(line)
        raw = wire.RawFrame(wire.COMMAND, frame[5], frame[6], frame[-13], frame[10:-15])
        key = line.rng.choice((TEST_KEY, TEST_OPERATOR_KEY)) if kind == 2 else line.rng.randbytes(32)
        link = line.rng.randrange(256) if kind == 2 else raw.link
        if kind == 2 and (link, key) in (
            (wire.TO_MCU, TEST_KEY),
            (wire.OPERATOR_TO_MCU, TEST_OPERATOR_KEY),
        ):
            link = 1
        line.deliver(wire.pack(replace_link(raw, link), sequence=0, stamp=0, key=key))


def replace_link(frame: wire.RawFrame, link: int) -> wire.RawFrame:
    """Return the frame as one of another link."""
    return frame._replace(link=link)


def reflect(line: Line) -> None:
    """What the microcontroller says comes back to it."""
    line.wait(0.02)
    line.deliver(line.mcu.take())


def flood(line: Line) -> None:
    """Rubbish, full of start bytes and of headers that look right."""
    rng = line.rng
    head = bytes((wire.START, 32, 1, 0, rng.randrange(256), 255, 1)) + (wire.COMMAND).to_bytes(3, "little")
    pieces = (head, bytes((wire.START,)), rng.randbytes(rng.randrange(60)))
    line.deliver(b"".join(rng.choices(pieces, k=8)) + rng.randbytes(64))


def silence(line: Line) -> None:
    """The line goes dead while the host has authority: the authority ends in time, and by itself."""
    for _ in range(6 * len(line.program.envelope)):
        line.recover()
        line.wait(0.005)
    line.mcu.feed(line.arm())  # not `deliver`, which ends what it arms
    if line.mcu.mode != "enabled":
        line.outcome.wrong.append("was not armed")
    lost = line.program.link.lost_after if line.program.link is not None else 0.150
    line.wait(lost + line.rng.random() * 0.2)
    line.mcu.take()
    if line.mcu.mode != "fallback_only":
        line.outcome.wrong.append(f"is {line.mcu.mode} after the line was dead for {lost} s")


def wrong_baud(line: Line) -> None:
    """The sender's speed is not the receiver's: other bytes arrive, bit by bit."""
    line.deliver(sampled(line.command(), line.rng.choice(RATIOS)))


def sampled(data: bytes, ratio: float) -> bytes:
    """Bytes that a UART hears in `data`, 8N1, sent at `ratio` of its own speed. A framing error gives a byte, too."""
    bits = [1]
    for byte in data:
        bits += [0, *(byte >> i & 1 for i in range(8)), 1]
    bits += [1] * 12
    length, at, heard = 1 / ratio, 0.0, bytearray()
    while at < len(bits) * length:
        if bits[min(int(at / length), len(bits) - 1)]:
            at += 0.25
            continue
        places = (int((at + 1.5 + i) / length) for i in range(8))
        heard.append(sum(bits[place] << i for i, place in enumerate(places) if place < len(bits)))
        at += 9.5
    return bytes(heard)


FAULTS: Final[Mapping[str, Fault]] = {
    fault.__name__.replace("_", " "): fault
    for fault in (
        drop, duplicate, reorder, delay, corrupt, truncate, splice, replay, replay_across_a_reboot, forge, reflect,
        flood, silence, wrong_baud,
    )
}  # fmt: skip


def campaign(program: Program, name: str, count: int, seed: int) -> Outcome:
    """Try one fault so many times. The same seed gives the same bytes."""
    shorter = replace(program, microcontroller=replace(program.microcontroller, stop=False))
    line = Line(shorter, random.Random(f"{name} {seed}"))
    for _ in range(count):
        line.outcome.tries += 1
        FAULTS[name](line)
        line.wait(STEP)
        line.mcu.take()
        line.recover()
    return line.outcome
