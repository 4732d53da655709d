"""Where a bit can flip, and when: registers, flags, and data memory by what lies there; instructions by whose they are.

Reads the firmware's own symbols. Which place and instruction a number stands for depends on that number alone.
"""

from __future__ import annotations

import bisect
import itertools
import random
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeguard.errors import LinkError
from hil.firmware import SOURCES
from hil.flips_machine import CODE_SIZE, RAM, RAM_SIZE, Symbol, read_symbols
from hil.flips_scenario import Flip, Golden

REGISTER, PC, FLAGS, PRIMASK, THUMB, MEMORY, STACKED = range(7)
"""Kinds of places, as in `machine.h`."""
REGISTERS: Final = (*(f"r{i}" for i in range(13)), "sp", "lr")
ROOMS: Final = ("other", "core", "link", "board")
"""Rooms of code, by their number."""

_DOUBLE_SHARE: Final = 0.15
"""Of all flips: two neighbouring bits at once."""
_FLAG_BITS: Final = {"N": 31, "Z": 30, "C": 29, "V": 28, "Q": 27}
_PARTS: Final = {
    "core, first copy": "pair.state",
    "core, second copy": "pair.complement",
    "measured values": "senses",
    "outputs": "outputs",
    "retained": "kept",
    "link's state": "parser",
    "keys and seed": "identity",
    "send buffer": "send",
}
"""What lies in the device, in its order: from this field to the next part's."""
_OWN: Final = {
    "retained": "retained",
    "link_received": "receive rings",
    "sense_received": "receive rings",
    "records": "records",
    "device": "",
    "contact": "",  # stands for a pin
}


@dataclass(frozen=True, slots=True)
class Place:
    """A kind of place and what it is called. Memory: (offset, size in bytes) of each piece."""

    name: str
    kind: int
    share: int
    """Relative to the others."""
    where: int = 0
    pieces: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Firmware:
    """One build, and what is where in it."""

    elf: Path
    symbols: tuple[Symbol, ...]
    places: tuple[Place, ...]
    rooms: bytes
    """Room of code, a byte for every two."""
    used: int
    """Bytes of data memory, from its start, that anything uses."""

    def named(self) -> Mapping[str, Symbol]:
        """Symbols by name."""
        return {symbol.name: symbol for symbol in self.symbols}

    def function(self, address: int) -> str:
        """Return the function at an address, and how far into it."""
        for symbol in self.symbols:
            if symbol.address <= address < symbol.address + symbol.size:
                return f"{symbol.name}+{address - symbol.address:#x}"
        return f"{address:#x}"


def study(elf: Path) -> Firmware:
    """Read what is where in a build of `hil.firmware`.

    Raises:
        LinkError: its folder has no objects or no table, or the compiler fails.

    """
    symbols = read_symbols(elf)
    data = [s for s in symbols if RAM <= s.address < RAM + RAM_SIZE]
    used = max(s.address + s.size for s in data) - RAM
    device = next(s for s in data if s.name == "device")
    pieces: dict[str, list[tuple[int, int]]] = {}
    for name, at, size in _parts(elf.parent):
        pieces.setdefault(name, []).append((device.address - RAM + at, size))
    for symbol in data:
        name = _OWN.get(symbol.name, "board's variables")
        if name:
            pieces.setdefault(name, []).append((symbol.address - RAM, symbol.size))
    return Firmware(elf, symbols, _places(pieces), _code_rooms(elf, symbols), used)


def _places(pieces: Mapping[str, Sequence[tuple[int, int]]]) -> tuple[Place, ...]:
    registers = [Place(name, REGISTER, 30, where) for where, name in enumerate(REGISTERS)]
    rest = [
        Place("pc", PC, 30),
        Place("flags", FLAGS, 50),
        Place("primask", PRIMASK, 5),
        Place("thumb state", THUMB, 5),
        Place("stack", STACKED, 160),
    ]
    memory = [Place(name, MEMORY, 40, 0, tuple(where)) for name, where in sorted(pieces.items())]
    return (*registers, *rest, *memory)


def _parts(folder: Path) -> list[tuple[str, int, int]]:
    """(name, offset, size) of each part of the device, as the compiler for the processor lays it out."""
    lines = ["#include <stddef.h>", '#include "eg_device.h"', "const char end[sizeof(eg_device)] = {0};"]
    for i, field in enumerate(_PARTS.values()):
        lines.append(f"const char at_{i}[offsetof(eg_device, {field}) + 1] = {{0}};")
    sizes = {symbol.name: symbol.size for symbol in _compiled("\n".join(lines), folder)}
    starts = [sizes[f"at_{i}"] - 1 for i in range(len(_PARTS))]
    ends = [*starts[1:], sizes["end"]]
    return [(name, start, end - start) for name, start, end in zip(_PARTS, starts, ends)]


def _compiled(text: str, folder: Path) -> tuple[Symbol, ...]:
    target = folder / "flips-layout.o"
    include = [f"-I{path}" for path in (folder, SOURCES / "core", SOURCES / "link")]
    command = ["arm-none-eabi-gcc", "-std=c11", "-mcpu=cortex-m3", "-mthumb", *include, "-c", "-x", "c", "-"]
    done = subprocess.run(
        [*command, "-o", str(target)], input=text, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise LinkError(f"reading the firmware's layout failed: {done.stderr.strip()}")
    return read_symbols(target)


def _code_rooms(elf: Path, symbols: tuple[Symbol, ...]) -> bytes:
    """Functions of the objects in the build's folder, by the room they were compiled from."""
    owner: dict[str, int] = {}
    for folder in elf.parent.glob("mps2_an385/*"):
        room = ROOMS.index(folder.name) if folder.name in ROOMS else 0
        for found in folder.rglob("*.o"):
            owner.update((s.name, room) for s in read_symbols(found))
    rooms = bytearray(CODE_SIZE // 2)
    for symbol in symbols:
        if symbol.address < RAM:
            first, size = symbol.address // 2, (symbol.size + 1) // 2
            rooms[first : first + size] = bytes((owner.get(symbol.name, 0),)) * size
    return bytes(rooms)


# ---- what a number stands for ----------------------------------------------------------------------------------------


class Chances:
    """Draws flips in one script's life: half of them anywhere, the others where the core or the link computes."""

    def __init__(self, firmware: Firmware, golden: Golden) -> None:
        self._places = firmware.places
        self._weights = [place.share for place in firmware.places]
        self._first = golden.first_after(golden.script.first_us)
        self._last = golden.first_after(golden.script.last_us)
        self._spans = {room: self._of(golden, ROOMS.index(room)) for room in ("core", "link")}

    def draw(self, rng: random.Random) -> Flip:
        """Draw one."""
        place = rng.choices(self._places, self._weights)[0]
        where, width = place.where, 32
        if place.kind == MEMORY:
            where, width = _byte(place, rng), 8
        elif place.kind == STACKED:
            where, width = rng.randrange(2**31), 8
        bit = _bit(place, width, rng)
        mask = 1 << bit
        name = f"{place.name}"
        if rng.random() < _DOUBLE_SHARE and place.kind != PRIMASK and bit + 1 < width:
            mask |= mask << 1
        return Flip(self._instruction(rng), place.kind, where, mask, name)

    def _instruction(self, rng: random.Random) -> int:
        kind = rng.random()
        if kind < 0.5:
            return rng.randrange(self._first, self._last)
        starts, totals = self._spans["core" if kind < 0.8 else "link"]
        chosen = rng.randrange(totals[-1])
        place = bisect.bisect_right(totals, chosen) - 1
        return starts[place] + chosen - totals[place]

    def _of(self, golden: Golden, room: int) -> tuple[list[int], list[int]]:
        """First instruction of each stay in a room, and how many were before it; at the end how many there are."""
        starts, totals = [], [0]
        for (begin, code), (end, _) in itertools.pairwise(golden.segments):
            if code == room and self._first <= begin and end <= self._last:
                starts.append(begin)
                totals.append(totals[-1] + end - begin)
        return starts, totals


def _byte(place: Place, rng: random.Random) -> int:
    chosen = rng.randrange(sum(size for _, size in place.pieces))
    for offset, size in place.pieces:
        if chosen < size:
            return offset + chosen
        chosen -= size
    return 0


def _bit(place: Place, width: int, rng: random.Random) -> int:
    if place.kind == FLAGS:
        return rng.choice(tuple(_FLAG_BITS.values()))
    if place.kind == PRIMASK:
        return 0
    if place.name in ("pc", "sp"):  # their lowest bits do not exist
        return rng.randrange(1 if place.kind == PC else 2, width)
    return rng.randrange(width)
