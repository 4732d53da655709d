"""Flips bits in the firmware while it runs in real time under QEMU, through its debugger: `python -m hil.flips_qemu`.

The second opinion on `hil.flips`: another emulator, another board. Where in the program a flip comes is
not to be chosen here. Judged by the words that the output stages hold. Exits with 5 if one left its envelope.
"""

from __future__ import annotations

import argparse
import itertools
import random
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final, final

from edgeguard.errors import EdgeguardError
from edgeguard.link import open_link
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.link.link import TransportLink
from edgeguard.link.messages import SCALE
from edgeguard.program import LinkSettings, Program
from edgeguard.types import Authority
from hil.flips_machine import RAM, RAM_SIZE
from hil.flips_places import study
from hil.flips_scenario import PROGRAM
from hil.gdbstub import SP
from hil.mcu_qemu import BOARDS, QemuMcu

SLOW: Final[Program] = replace(
    PROGRAM, name="flips-qemu", envelope=PROGRAM.envelope[:2], link=LinkSettings(lost_after=1.0)
)
"""Without what must be measured every 50 ms: a busy machine does not keep that."""
WATCHED: Final = 0.45
"""s after a flip: the watchdog's 0.2, a start, and some."""
PERIOD: Final = 0.02
WORD: Final = 0xFFFF_FFFF
PATIENCE: Final = 20.0
LEAP: Final = 0.060
"""s worth of its rate that an output may move at once: a leap of 50 ms, and the jitter of board and rig."""
OUTPUTS: Final = 0x2001_FF00
"""Of `netduinoplus2`, under QEMU ordinary memory: a value and its check for each actuator."""
MASKED, DETECTED, SAFE, STOPPED, BREACH = CLASSES = ("masked", "detected", "fell safe", "stopped", "breach")
"""`stopped`: the core stands still. The part's watchdog would reset it; this emulator has none."""
_AFTER: Final = {"enabled": MASKED, "lockout": DETECTED, "silent": DETECTED, "fallback_only": SAFE}


@dataclass(frozen=True, slots=True)
class QemuFlip:
    """One flip and what came of it."""

    number: int
    place: str
    kind: str
    reason: str = ""


@final
class Bed:
    """An emulated board, a host that commands it and an operator who arms it again."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.mcu = self._stack.enter_context(QemuMcu(SLOW, board=BOARDS["qemu-netduino"]))
        self._link: TransportLink = open_link(
            self.mcu.port,
            key=TEST_KEY,
            policy_hash=bytes.fromhex(SLOW.digest),
            actuators=SLOW.envelope,
            operator_key=TEST_OPERATOR_KEY,
        )
        self._stack.callback(self._link.close)

    def close(self) -> None:
        """End both."""
        self._stack.close()

    def drive(self, seconds: float) -> None:
        """Command for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            now = time.monotonic()
            self._link.poll(now)
            turn = now % 0.4 < 0.2
            self._link.send(
                {"brake": 0.2 if turn else 0.5, "throttle": 0.2 if turn else 0.5}, Authority.MODEL, now
            )
            time.sleep(PERIOD)

    def watch(self, seconds: float) -> list[tuple[float, list[int]]]:
        """Command for a while; return (s of CLOCK_MONOTONIC, value of each output stage in 1e-6) in between."""
        seen = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.drive(PERIOD)
            with self.mcu.debug() as gdb:
                words = struct.unpack("<iIiI", gdb.read(OUTPUTS, 16))
            if all(
                words[i] & WORD == words[i + 1] ^ WORD for i in (0, 2)
            ):  # else the stage holds what it had
                seen.append((time.monotonic(), [words[0], words[2]]))
        return seen

    def enable(self) -> None:
        """Arm it. Raises: LinkError: it cannot be armed."""
        end = time.monotonic() + PATIENCE
        while self.mcu.mode != "enabled" and time.monotonic() < end:
            self._link.arm(time.monotonic())
            self.drive(PERIOD)


def flips(count: int, seed: int) -> Iterator[QemuFlip]:
    """Flip bits, one after the other; an emulator that a flip ended the authority of is replaced."""
    bed = Bed()
    try:
        for number in range(count):
            bed.enable()
            found = _flip(bed, number, random.Random(f"{seed}:{number}"))
            yield found
            if found.kind != MASKED:
                bed.close()
                bed = Bed()
    finally:
        bed.close()


def _flip(bed: Bed, number: int, rng: random.Random) -> QemuFlip:
    bed.drive(rng.random() * 0.1)
    before = bed.watch(PERIOD)
    with bed.mcu.debug() as gdb:
        if rng.random() < 0.5:
            register = rng.randrange(16)
            bit = rng.randrange(2 if register in (SP, 15) else 0, 32)
            gdb.set_register(register, gdb.register(register) ^ 1 << bit)
            place = f"r{register}"
        else:
            place, address = _place(bed, rng, gdb.register(SP))
            byte = gdb.read(address, 1)[0] ^ 1 << rng.randrange(8)
            gdb.write(address, bytes((byte,)))
    seen = bed.watch(WATCHED)
    told = len(bed.mcu.records())
    bed.drive(5 * PERIOD)
    reason = next(_breaches([*before, *seen]), "")
    kind = _AFTER.get(bed.mcu.mode, DETECTED) if len(bed.mcu.records()) > told else STOPPED
    return QemuFlip(number, place, BREACH if reason else kind, reason)


def _place(bed: Bed, rng: random.Random, sp: int) -> tuple[str, int]:
    """Somewhere on the stack or in a variable."""
    firmware = study(bed.mcu.image)
    places = [p for p in firmware.places if p.pieces]
    chosen = rng.randrange(len(places) + 1)
    if chosen == len(places):
        return "stack", rng.randrange(sp, max(RAM + 0x1000, sp + 1))
    offset, size = rng.choice(places[chosen].pieces)
    return places[chosen].name, min(RAM + offset + rng.randrange(size), RAM + RAM_SIZE - 1)


def _breaches(seen: list[tuple[float, list[int]]]) -> Iterator[str]:
    for place, limit in enumerate(SLOW.envelope):
        track = [(at, values[place] / SCALE) for at, values in seen]
        for _, value in track:
            if not limit.low <= value <= limit.high:
                yield f"{limit.name} {value} outside its limits"
        for (at, value), (then, reached) in itertools.pairwise(track):
            rate = limit.rise if reached > value else limit.fall
            if abs(reached - value) > rate * (then - at + LEAP):
                yield f"{limit.name} from {value} to {reached} in {then - at:.4f} s"


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="flip-bits-qemu", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="how many flips (100)")
    parser.add_argument("--seed", type=int, default=1, help="what they are drawn from (1)")
    chosen = parser.parse_args(arguments)
    counts: dict[str, Counter[str]] = {}
    try:
        for found in flips(chosen.count, chosen.seed):
            counts.setdefault(found.place, Counter())[found.kind] += 1
            if found.reason:
                print(f"{chosen.seed}:{found.number} {found.place} {found.reason}")
    except EdgeguardError as bad:
        print(f"flip-bits-qemu: {bad}", file=sys.stderr)
        return 2
    print(f"| place | flips | {' | '.join(CLASSES)} |\n|---|" + "---:|" * (len(CLASSES) + 1))
    total: Counter[str] = Counter()
    for place, row in sorted(counts.items()):
        total.update(row)
        print(f"| {place} | {row.total()} | {' | '.join(str(row[kind]) for kind in CLASSES)} |")
    print(f"| **all** | {total.total()} | {' | '.join(str(total[kind]) for kind in CLASSES)} |")
    return 5 if total[BREACH] else 0


if __name__ == "__main__":
    raise SystemExit(main())
