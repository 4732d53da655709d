"""What the emulated firmware lives through while bits flip: a host, an operator and a steering gear, in virtual time.

A script is run once without a flip; every 10 ms of it can be returned to, so that a run with a flip begins where its
flip is. Nothing here judges.
"""

from __future__ import annotations

import copy
import ctypes
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.link.operator import OperatorSession
from edgeguard.link.session import HostSession
from edgeguard.program import ActuatorLimit, Feedback, Microcontroller
from edgeguard.types import Authority
from hil.firmware import bare_program
from hil.flips_machine import LINK, SENSE, Change, Machine, Symbol
from hil.mcu_senses import CONTACT_CLOSED, MEASURED, record

STEP_US: Final = 10_000
"""Between two rounds of the host; every one can be returned to."""
STEER: Final = 2
SETTLED_US: Final = 520_000
"""After a flip and after the host's death: a reset by the watchdog, the start after it, and the way to safe."""
PAGE: Final = TEST_KEY + TEST_OPERATOR_KEY + bytes(range(16))

PROGRAM: Final = bare_program(
    "flips",
    envelope=(
        ActuatorLimit("brake", 0.0, 1.0, 4.0, 4.0, 1.0),
        ActuatorLimit("throttle", 0.0, 0.6, 1.0, math.inf, 0.0),
        ActuatorLimit("steer", -30.0, 30.0, 100.0, 100.0, 0.0, feedback=Feedback(lead=8.0, max_age=0.05)),
    ),
    microcontroller=Microcontroller(stop=True),
)


@dataclass(frozen=True, slots=True)
class Script:
    """One life of the board. Times in microseconds since power on."""

    name: str
    end_us: int
    first_us: int
    """From here on bits flip,"""
    last_us: int
    """up to here."""
    arm_us: int = 100_000
    """When the operator allows the host to act."""
    dies_us: int = 0
    """When the host dies; 0: it lives."""


LIVES: Final = Script("the host lives", end_us=1_030_000, first_us=30_000, last_us=500_000)
DIES: Final = Script("the host dies", end_us=1_350_000, first_us=250_000, last_us=800_000, dies_us=450_000)
SCRIPTS: Final = (LIVES, DIES)


def wanted(us: int) -> Mapping[str, float]:
    """What the host commands at a time."""
    turn = us / 400_000 * 2 * math.pi
    return {
        "brake": 0.3 + 0.2 * math.sin(turn),
        "throttle": 0.5 if us // 100_000 % 2 else 0.2,
        "steer": 12.0 * math.sin(turn),
    }


@dataclass(slots=True)
class Desk:
    """The far end of the line: the host, and the operator's panel behind it."""

    script: Script
    host: HostSession = field(init=False)
    operator: OperatorSession = field(init=False)
    asked_us: tuple[int, ...] = ()
    """When the operator's requests to arm were sent."""

    def __post_init__(self) -> None:
        policy = bytes.fromhex(PROGRAM.digest)
        self.host = HostSession(TEST_KEY, policy, PROGRAM.envelope, nonce=_nonce)
        self.operator = OperatorSession(TEST_OPERATOR_KEY, policy)

    def step(self, data: bytes, us: int) -> bytes:
        """Take what came; return what goes to the board now."""
        if self.script.dies_us and us >= self.script.dies_us:
            return b""
        now = us / 1e6
        answer = self.host.receive(data, now)
        self.host.tick(now)
        if us == self.script.arm_us:
            self.operator.arm(now)
        asked = self.operator.receive(self.host.take_offers(), now)
        if asked:
            self.asked_us = (*self.asked_us, us)
        return answer + self.host.relay(asked) + self.host.command(wanted(us), Authority.MODEL, now)


def _nonce() -> bytes:
    return b"hostnonc"


def senses(machine: Machine) -> bytes:
    """Where the steering gear is: it follows its output stage at once."""
    return record(MEASURED, STEER, machine.output(STEER))


@dataclass(frozen=True, slots=True)
class Moment:
    """One round of the run without a flip: everything as it was before the host's answer."""

    us: int
    instructions: int
    logged: int
    """Entries of the log so far."""
    snapshot: ctypes.c_void_p
    desk: Desk
    sent: bytes
    """What the board had sent since the last round."""
    answer: bytes
    senses: bytes


@dataclass(frozen=True, slots=True)
class Golden:
    """A script's run without a flip."""

    script: Script
    moments: tuple[Moment, ...]
    log: tuple[Change, ...]
    asked_us: tuple[int, ...]
    records: bytes
    segments: tuple[tuple[int, int], ...]
    """(first instruction, room of code) wherever the room changed."""

    def first_after(self, us: int) -> int:
        """Return the number of the first instruction after a time, to a round."""
        return next(m.instructions for m in self.moments if m.us >= us)


def live(machine: Machine, script: Script, symbols: Mapping[str, Symbol]) -> Golden:
    """Run a script on a fresh machine, from power on, without a flip."""
    machine.poke(symbols["contact"].address, CONTACT_CLOSED)
    desk = Desk(script)
    moments: list[Moment] = []
    records = b""
    for us in range(STEP_US, script.end_us + 1, STEP_US):
        machine.run(us)
        sent = machine.take()
        records += machine.take_records()
        before = copy.deepcopy(desk)
        answer, measured = desk.step(sent, us), senses(machine)
        facts = machine.facts()
        moments.append(
            Moment(us, facts.instructions, facts.log_used, machine.save(), before, sent, answer, measured)
        )
        machine.feed(LINK, answer, us)
        machine.feed(SENSE, measured, us)
    return Golden(
        script, tuple(moments), tuple(machine.log()), desk.asked_us, records, tuple(machine.segments())
    )


@dataclass(frozen=True, slots=True)
class Flip:
    """One fault: at the instruction of this number, XOR `mask` into a place. Kinds as in `machine.h`."""

    instruction: int
    kind: int
    where: int
    mask: int
    name: str
    """Of the place."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run with a flip. The log is the whole life's, from power on."""

    log: tuple[Change, ...]
    asked_us: tuple[int, ...]
    flip_us: int
    """To a round: the flip was in the 10 ms before."""
    until_us: int
    """Where the run ended."""
    flip_pc: int
    flip_address: int
    flip_before: int
    resets: int
    refused: int
    faults: int
    fault_at: tuple[int, int]
    """Address of the first fault, and where that would have returned to."""
    converged: bool
    """At its end everything is exactly as in the run without a flip, and so is what would follow."""
    records: bytes
    """What the board recorded since the round before the flip."""
    trace: tuple[int, ...]


def moments_until(golden: Golden, us: int) -> int:
    """How many rounds there are up to a time."""
    return sum(moment.us <= us for moment in golden.moments)


def live_on(machine: Machine, golden: Golden, flip: Flip, used: int) -> Outcome:
    """Run a script with a flip, from the last round before it. `used`: bytes of data memory that anything uses."""
    start = max(i for i, m in enumerate(golden.moments) if m.instructions <= flip.instruction)
    moments = golden.moments
    machine.load(moments[start].snapshot)
    machine.arm_flip(flip.instruction, flip.kind, flip.where, flip.mask)
    machine.feed(LINK, moments[start].answer, moments[start].us)
    machine.feed(SENSE, moments[start].senses, moments[start].us)
    desk: Desk | None = None
    converged = False
    records = b""
    script = golden.script
    end_us = min(max(moments[start].us, script.dies_us) + SETTLED_US, script.end_us)
    for moment in moments[start + 1 : moments_until(golden, end_us)]:
        machine.run(moment.us)
        sent = machine.take()
        records += machine.take_records()
        if desk is None and sent != moment.sent:
            desk = copy.deepcopy(moment.desk)
        answer = moment.answer if desk is None else desk.step(sent, moment.us)
        measured = senses(machine)
        if (answer, measured) == (moment.answer, moment.senses) and machine.same(moment.snapshot, used):
            converged = True
            break
        machine.feed(LINK, answer, moment.us)
        machine.feed(SENSE, measured, moment.us)
    facts, logged = machine.facts(), moments[start].logged
    asked_us = golden.asked_us if desk is None else desk.asked_us
    return Outcome(
        log=(*golden.log[:logged], *machine.log()[logged:]),
        asked_us=asked_us if not converged else tuple(sorted({*asked_us, *golden.asked_us})),
        flip_us=moments[start + 1].us,
        until_us=facts.us,
        flip_pc=facts.flip_pc,
        flip_address=facts.flip_address,
        flip_before=facts.flip_before,
        resets=facts.resets,
        refused=facts.refused,
        faults=facts.faults,
        fault_at=(facts.fault_pc, facts.fault_from),
        converged=converged,
        records=records,
        trace=tuple(machine.trace()),
    )
