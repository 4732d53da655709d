"""The real ARM firmware on an emulated processor, in exact virtual time, with one bit flip at a chosen instruction.

Needs the `unicorn` wheel (GPL-2: rigs and tests only, never the package), a C compiler and `gcc-arm-none-eabi`.
Nothing here decides what is a fault; the board around the processor is `firmware_stubs/verify/flips`.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.util
import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, final

from edgeguard.errors import LinkError
from hil.firmware import ROOT

MODEL = ROOT / "firmware_stubs" / "verify" / "flips"
RAM = 0x2000_0000
RAM_SIZE = 0x1_0000
CODE_SIZE = 0x40_0000
PROVISION_PAGE = 0x3F_F000
LINK, SENSE = 0, 1
"""Lines to the board."""
RESET = 16
"""In a log: not an actuator, but a reset by the watchdog."""

_SENT = 65_536
_LOG = 65_536
_TRACE = 64
_SEGMENTS = 1_000_000


class Change(NamedTuple):
    """The output stage of one actuator took a value (1e-6 of its unit); or, as actuator RESET, the watchdog reset."""

    us: int
    actuator: int
    value: int


@dataclass(frozen=True, slots=True)
class Symbol:
    """A function or variable of an ELF file."""

    name: str
    address: int
    size: int


def missing() -> str:
    """Return what keeps the emulated processor from running here; empty: nothing."""
    if importlib.util.find_spec("unicorn") is None:
        return (
            "the Python package `unicorn` is not installed: pip install 'edgeguard-runtime[firmware-tests]'"
        )
    for tool, package in (("arm-none-eabi-gcc", "gcc-arm-none-eabi"), ("cc", "gcc")):
        if shutil.which(tool) is None:
            return f"`{tool}` is not installed: on Debian or Ubuntu `apt-get install {package}`"
    return ""


# ---- the firmware's file ---------------------------------------------------------------------------------------------


def read_symbols(elf: Path) -> tuple[Symbol, ...]:
    """Functions and variables with a size, of a 32-bit little-endian ELF file."""
    data = elf.read_bytes()
    sections = _sections(data)
    found: list[Symbol] = []
    for kind, offset, size, link in sections:
        if kind != 2:  # symbol table
            continue
        names = sections[link][1]
        for at in range(offset, offset + size, 16):
            name, value, length, info = struct.unpack_from("<IIIB", data, at)
            if length and info & 15 in (1, 2):
                end = data.index(b"\0", names + name)
                found.append(Symbol(data[names + name : end].decode(), value & ~(info & 15 == 2), length))
    return tuple(found)


def _sections(data: bytes) -> list[tuple[int, int, int, int]]:
    """(kind, offset, size, link) of each section."""
    start, size, count = (
        struct.unpack_from("<I", data, 32)[0],
        *struct.unpack_from("<HH", data, 46),
    )
    rows = [struct.unpack_from("<10I", data, start + i * size) for i in range(count)]
    return [(row[1], row[4], row[5], row[6]) for row in rows]


def _image(elf: Path, page: bytes) -> bytes:
    """Code memory as after programming: the file's segments where they are loaded, erased flash elsewhere."""
    data = elf.read_bytes()
    image = bytearray(b"\xff" * CODE_SIZE)
    start, size, count = struct.unpack_from("<I", data, 28)[0], *struct.unpack_from("<HH", data, 42)
    for i in range(count):
        kind, offset, _, address, length = struct.unpack_from("<5I", data, start + i * size)
        if kind == 1 and length:
            image[address : address + length] = data[offset : offset + length]
    image[PROVISION_PAGE : PROVISION_PAGE + len(page)] = page
    return bytes(image)


# ---- the board -------------------------------------------------------------------------------------------------------


class _Change(ctypes.Structure):
    _fields_ = (("us", ctypes.c_uint64), ("actuator", ctypes.c_uint32), ("value", ctypes.c_int32))


class _Segment(ctypes.Structure):
    _fields_ = (("begin", ctypes.c_uint64), ("room", ctypes.c_uint64))


class Facts(ctypes.Structure):
    """What the board knows of itself."""

    _fields_ = tuple(
        (name, ctypes.c_uint64 if i < 2 else ctypes.c_uint32)
        for i, name in enumerate(
            (
                *("instructions", "us", "resets", "faults", "refused", "overruns"),
                *("flipped", "flip_pc", "flip_address", "flip_before"),
                *("log_used", "segments_used", "traced", "records_used", "fault_pc", "fault_from", "gaps"),
            )
        )
    )
    instructions: int
    us: int
    resets: int
    faults: int
    refused: int
    overruns: int
    flipped: int
    flip_pc: int
    flip_address: int
    flip_before: int
    log_used: int
    segments_used: int
    traced: int
    records_used: int
    fault_pc: int
    fault_from: int
    gaps: int
    """Eighths of the data that memory protection takes away, a bit each."""


@final
class Machine:
    """One board with one firmware, from power on. Times in microseconds since then."""

    def __init__(self, elf: Path, page: bytes, *, rooms: bytes = b"") -> None:
        """`page`: the provisioning page; `rooms`: a byte for every two of code, to learn what runs when.

        Raises:
            LinkError: something it needs is missing, or the emulator does not start.

        """
        reason = missing()
        if reason:
            raise LinkError(f"the emulated processor does not run: {reason}")
        self._lib = _load()
        self._rooms = rooms.ljust(CODE_SIZE // 2, b"\0") if rooms else None
        found = self._lib.fl_new(_image(elf, page), self._rooms)
        if not found:
            raise LinkError("the emulated processor does not start")
        self._at = ctypes.c_void_p(found)
        self._bytes = ctypes.create_string_buffer(_SENT)
        self._changes = (_Change * _LOG)()
        self._facts = Facts()

    def close(self) -> None:
        """Let go of the emulator."""
        self._lib.fl_free(self._at)

    def poke(self, address: int, word: int) -> None:
        """Write a word of data memory."""
        self._lib.fl_poke(self._at, ctypes.c_uint32(address), ctypes.c_uint32(word))

    def feed(self, line: int, data: bytes, us: int) -> None:
        """Put bytes on a line to the board from `us` on."""
        self._lib.fl_feed(
            self._at, ctypes.c_uint32(line), data, ctypes.c_uint32(len(data)), ctypes.c_uint64(us)
        )

    def run(self, us: int) -> None:
        """Let time pass until `us`."""
        self._lib.fl_run(self._at, ctypes.c_uint64(us))

    def take(self) -> bytes:
        """Bytes that the board sent on the link since the last call."""
        return ctypes.string_at(self._bytes, self._lib.fl_take(self._at, self._bytes))

    def take_records(self) -> bytes:
        """What the board recorded of its outputs since the last call."""
        return ctypes.string_at(self._bytes, self._lib.fl_take_records(self._at, self._bytes))

    def output(self, actuator: int) -> int:
        """What the output stage of an actuator holds (1e-6 of its unit)."""
        return int(self._lib.fl_output(self._at, ctypes.c_uint32(actuator)))

    def log(self) -> list[Change]:
        """Every value that an output stage took, and every reset, in order."""
        used = self._lib.fl_log(self._at, self._changes)
        return [Change(c.us, c.actuator, c.value) for c in self._changes[:used]]

    def facts(self) -> Facts:
        """Counters, and what the flip met. Valid until the next call."""
        self._lib.fl_facts(self._at, ctypes.byref(self._facts))
        return self._facts

    def segments(self) -> list[tuple[int, int]]:
        """(first instruction, room of code) wherever the room changed since power on."""
        rows = (_Segment * _SEGMENTS)()
        used = self._lib.fl_segments(self._at, rows)
        return [(row.begin, row.room) for row in rows[:used]]

    def trace(self) -> list[int]:
        """Addresses of the first basic blocks after the flip."""
        rows = (ctypes.c_uint32 * _TRACE)()
        used = self._lib.fl_trace(self._at, rows)
        return list(rows[:used])

    def arm_flip(self, at: int, kind: int, where: int, mask: int) -> None:
        """Plan the flip of this run for the instruction number `at`; kinds as in `machine.h`."""
        self._lib.fl_arm(
            self._at,
            ctypes.c_uint64(at),
            ctypes.c_uint32(kind),
            ctypes.c_uint32(where),
            ctypes.c_uint32(mask),
        )

    def save(self) -> ctypes.c_void_p:
        """Return a copy of everything. It lives as long as this process."""
        return ctypes.c_void_p(self._lib.fl_save(self._at))

    def load(self, snapshot: ctypes.c_void_p) -> None:
        """Go back to a copy."""
        self._lib.fl_load(self._at, snapshot)

    def same(self, snapshot: ctypes.c_void_p, used: int) -> bool:
        """Whether everything is as in a copy, of data memory the first `used` bytes and no dead stack."""
        return bool(self._lib.fl_same(self._at, snapshot, ctypes.c_uint32(used)))


@functools.cache
def _load() -> ctypes.CDLL:
    """Build the board against the emulator of the installed wheel, once for each version of both."""
    spec = importlib.util.find_spec("unicorn")
    assert spec is not None  # noqa: S101 - for the type checker: `missing` has looked
    wheel = Path(str(spec.origin)).parent
    library = wheel / "lib" / "libunicorn.so.2"
    sources = sorted(MODEL.glob("*.[ch]"))
    found = hashlib.sha256(str(library.stat().st_size).encode())
    for source in sources:
        found.update(source.read_bytes())
    target = ROOT / "out" / "flips" / f"machine-{found.hexdigest()[:16]}.so"
    if not target.exists():
        _compile(wheel, [s for s in sources if s.suffix == ".c"], library, target)
    lib = ctypes.CDLL(str(target))
    lib.fl_new.restype = lib.fl_save.restype = ctypes.c_void_p
    lib.fl_output.restype = ctypes.c_int32
    for name in ("fl_take", "fl_take_records", "fl_log", "fl_segments", "fl_trace"):
        getattr(lib, name).restype = ctypes.c_uint32
    return lib


def _compile(wheel: Path, sources: list[Path], library: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    work = target.with_suffix(f".{os.getpid()}")
    warnings = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror")
    done = subprocess.run(
        [
            *("cc", *warnings, "-shared", "-fPIC", "-isystem", str(wheel / "include"), "-o", str(work)),
            *(str(source) for source in sources),
            *(str(library), f"-Wl,-rpath,{library.parent}"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LinkError(f"building the emulated board failed: {done.stderr.strip()}")
    work.rename(target)
