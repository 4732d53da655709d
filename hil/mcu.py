"""The safety microcontroller for tests and rigs: the real firmware, in virtual time or as a process.

`VirtualMcu` is the C code as a shared library with the caller's clock; `ProcessMcu` is a process on a pty.
Builds with the host's C compiler into `out/firmware/`, once for each policy table and source. Nothing here decides.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, final

from edgeguard.errors import LinkError
from edgeguard.link.keys import TEST_KEY
from edgeguard.link.messages import MCU_MODES, REASONS, REFUSALS, SCALE
from edgeguard.policy.emit_c import emit
from edgeguard.program import Program

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "firmware_stubs"
CACHE = ROOT / "out" / "firmware"
TICK = 0.001
"""s between two steps of the core in virtual time, as on the boards."""


# ---- building --------------------------------------------------------------------------------------------------------


def build(program: Program, target: str, *, sanitize: bool = False, release: bool = False) -> Path:
    """Build the firmware for a policy; returns the artefact. `target`: `host`, `lib` or `qemu`.

    Raises:
        PolicyError: the policy does not fit the microcontroller.
        LinkError: no compiler, or it fails (its output is in the message).

    """
    artefact = {"host": "edgeguard-mcu", "lib": "libedgeguard_mcu.so", "qemu": "edgeguard-mcu.elf"}[target]
    compiler = "arm-none-eabi-gcc" if target == "qemu" else os.environ.get("CC", "cc")
    if shutil.which(compiler.split()[0]) is None or shutil.which("make") is None:
        raise LinkError(
            f"the microcontroller's firmware is built with `{compiler}` and `make`, and one of them is not installed: "
            "on Debian or Ubuntu `apt-get install gcc make libc6-dev`"
        )
    table = emit(program)
    variant = f"{target}{'-san' if sanitize else ''}{'-release' if release else ''}"
    folder = CACHE / _digest(table, compiler) / variant
    if not (folder / artefact).exists():
        _make(table, target, folder, ["SAN=1"] * sanitize + ["RELEASE=1"] * release)
    return folder / artefact


def _make(table: str, target: str, folder: Path, options: list[str]) -> None:
    """Build beside the final folder and move it there, so that two builds at once cannot see each other's halves."""
    work = folder.with_name(f"{folder.name}.{os.getpid()}.{secrets.token_hex(4)}")
    work.mkdir(parents=True)
    (work / "policy_table.h").write_text(table, encoding="ascii")
    arguments = [target, f"BUILD={work}", f"TABLE={work / 'policy_table.h'}", *options]
    done = subprocess.run(
        ["make", "-s", "-f", str(SOURCES / "Makefile"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")},
    )
    if done.returncode != 0:
        shutil.rmtree(work, ignore_errors=True)
        raise LinkError(f"building the firmware failed: {done.stderr.strip() or done.stdout.strip()}")
    try:
        work.rename(folder)
    except OSError:  # another build was first; it made the same
        shutil.rmtree(work, ignore_errors=True)


def _digest(table: str, compiler: str) -> str:
    found = hashlib.sha256(f"{compiler}\n{table}".encode())
    for source in sorted(SOURCES.rglob("*")):
        if source.suffix in (".c", ".h", ".ld") or source.name == "Makefile":
            found.update(source.read_bytes())
    return found.hexdigest()[:16]


# ---- virtual time ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class McuFacts:
    """What the firmware knows of itself."""

    mode: str
    reason: str
    source: int
    refusal: str
    rejected: int
    crc_errors: int
    dropped: int
    degraded: bool
    ready: bool


class VirtualMcu:
    """The firmware with the caller's clock. Times in s on that clock; microseconds inside."""

    def __init__(
        self,
        program: Program,
        *,
        key: bytes = TEST_KEY,
        seed: bytes | None = None,
        now: float = 0.0,
        sanitize: bool = False,
        release: bool = False,
    ) -> None:
        self._lib = _load(build(program, "lib", sanitize=sanitize, release=release))
        self._names = tuple(limit.name for limit in program.envelope)
        self._device = ctypes.create_string_buffer(int(self._lib.eg_lib_size()))
        self._key = key
        self._us = self._stepped_us = _us(now)
        self.reboot(seed=seed)

    def reboot(self, *, seed: bytes | None = None) -> None:
        """Reset the microcontroller: everything but its clock is forgotten. `seed`: 16 bytes, random if absent."""
        self._lib.eg_lib_reset(
            self._device,
            self._key,
            secrets.token_bytes(16) if seed is None else seed,
            ctypes.c_uint64(self._us),
        )

    @property
    def now(self) -> float:
        """The microcontroller's time (s)."""
        return self._us / 1e6

    def feed(self, data: bytes) -> None:
        """Bytes arrive from the host now."""
        self._lib.eg_lib_feed(self._device, data, ctypes.c_size_t(len(data)), ctypes.c_uint64(self._us))

    def advance(self, now: float) -> None:
        """Let time pass until `now`, a step of the core every millisecond, however often this is called."""
        until, tick = _us(now), _us(TICK)
        if until <= self._us:
            return
        self._us = until
        self._lib.eg_lib_run(
            self._device, ctypes.c_uint64(self._stepped_us), ctypes.c_uint64(until), ctypes.c_uint64(tick)
        )
        self._stepped_us += (until - self._stepped_us) // tick * tick

    def hold_up(self, seconds: float) -> None:
        """Let time pass without a step, as when the core is stopped by a debugger."""
        self._us += _us(seconds)
        self._stepped_us = self._us

    def take(self) -> bytes:
        """Bytes the microcontroller sent since the last call."""
        room = ctypes.create_string_buffer(4096)
        taken = int(self._lib.eg_device_take(self._device, room, ctypes.c_size_t(len(room))))
        return room.raw[:taken]

    @property
    def outputs(self) -> Mapping[str, float]:
        """What drives each actuator now, in its unit."""
        return {n: self._lib.eg_lib_output(self._device, i) / SCALE for i, n in enumerate(self._names)}

    @property
    def facts(self) -> McuFacts:
        """Mode, reason and counters."""
        f = (ctypes.c_uint32 * 9)()
        self._lib.eg_lib_facts(self._device, f)
        return McuFacts(
            mode=MCU_MODES[f[0]],
            reason=REASONS[f[1]],
            source=f[2],
            refusal=REFUSALS[f[3]],
            rejected=f[4],
            crc_errors=f[5],
            dropped=f[6],
            degraded=bool(f[7]),
            ready=bool(f[8]),
        )

    @property
    def mode(self) -> str:
        """`silent`, `enabled`, `fallback_only` or `lockout`."""
        return self.facts.mode

    def corrupt_output(self, actuator: str, value: float) -> None:
        """Overwrite an output in memory, as a bit flip would."""
        self._lib.eg_lib_corrupt_output(self._device, self._names.index(actuator), round(value * SCALE))

    def transport(self) -> VirtualTransport:
        """Line to this microcontroller for `edgeguard.link.link_over`, in its virtual time."""
        return VirtualTransport(self)


class VirtualTransport:
    """A perfect line to a `VirtualMcu`. Cut it with `connected = False`; the bytes in flight are lost then."""

    def __init__(self, mcu: VirtualMcu) -> None:
        self._mcu = mcu
        self.connected = True

    def read(self, now: float) -> bytes:
        """Advance the microcontroller to `now` and take what it sent."""
        self._mcu.advance(now)
        data = self._mcu.take()
        return data if self.connected else b""

    def write(self, data: bytes, now: float) -> bool:
        """Deliver at `now`."""
        self._mcu.advance(now)
        if self.connected:
            self._mcu.feed(data)
        return self.connected

    def close(self) -> None:
        """Cut the line."""
        self.connected = False


def _us(seconds: float) -> int:
    return round(seconds * 1e6)


_LOADED: dict[Path, ctypes.CDLL] = {}


def _load(path: Path) -> ctypes.CDLL:
    lib = _LOADED.get(path)
    if lib is None:
        lib = _LOADED[path] = ctypes.CDLL(str(path))
        lib.eg_lib_size.restype = ctypes.c_size_t
        lib.eg_lib_run.restype = ctypes.c_uint64
        lib.eg_device_take.restype = ctypes.c_size_t
        lib.eg_lib_output.restype = ctypes.c_int32
    return lib


# ---- a process -------------------------------------------------------------------------------------------------------


class OutputRecord(NamedTuple):
    """What drove one actuator at one time: `at` in s of CLOCK_MONOTONIC, the clock of `time.monotonic()`."""

    at: float
    actuator: str
    value: float
    mode: str


@final
class ProcessMcu:
    """The firmware as a process on a pty. It lives until `close`, or until this process dies."""

    def __init__(self, program: Program, *, key_file: Path | None = None, sanitize: bool = False) -> None:
        binary = build(program, "host", sanitize=sanitize)
        key = SOURCES / "keys" / "test.device-key" if key_file is None else key_file
        self._process = subprocess.Popen(
            [str(binary), str(key)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None  # noqa: S101 - for the type checker: it was asked for
        self._records: list[OutputRecord] = []
        self._latest: dict[str, OutputRecord] = {}
        self._lock = threading.Lock()
        self.port = self._process.stdout.readline().strip()
        if not self.port:
            raise LinkError(f"the microcontroller's process did not start: {self._farewell()}")
        self._reader = threading.Thread(target=self._read, name="mcu-outputs", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id of the microcontroller."""
        return self._process.pid

    def outputs_now(self) -> Mapping[str, float]:
        """Newest output of every actuator, in its unit."""
        with self._lock:
            return {name: record.value for name, record in self._latest.items()}

    @property
    def mode(self) -> str:
        """Newest mode, or `unknown` before the first record."""
        with self._lock:
            return next((r.mode for r in self._latest.values()), "unknown")

    def records(self) -> tuple[OutputRecord, ...]:
        """Every record so far, in order."""
        with self._lock:
            return tuple(self._records)

    def close(self) -> None:
        """End the process and wait for it."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2.0)
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        self._reader.join(timeout=2.0)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def __enter__(self) -> ProcessMcu:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - for the type checker: it was asked for
        for line in self._process.stdout:
            parts = line.split()
            if len(parts) != 4:
                continue
            record = OutputRecord(int(parts[0]) / 1e6, parts[1], float(parts[2]), parts[3])
            with self._lock:
                self._records.append(record)
                self._latest[record.actuator] = record

    def _farewell(self) -> str:
        _, errors = self._process.communicate(timeout=2.0)
        return errors.strip() or f"exit status {self._process.returncode}"
