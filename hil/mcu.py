"""The safety microcontroller for tests and rigs: the real firmware, in virtual time or in real time.

`VirtualMcu` is the C code as a shared library with the caller's clock; `start_mcu` chooses between a process on a pty
(`hil/mcu_process.py`) and an emulated board (`hil/mcu_qemu.py`). Nothing here decides.
"""

from __future__ import annotations

import ctypes
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeguard.errors import UsageError
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.link.messages import LATCHES, MCU_MODES, REASONS, REFUSALS, SCALE
from edgeguard.program import Program
from hil.firmware import build
from hil.mcu_outputs import OutputRecord
from hil.mcu_process import ProcessMcu

if TYPE_CHECKING:
    from hil.mcu_qemu import QemuMcu

__all__ = ["McuFacts", "OutputRecord", "ProcessMcu", "VirtualMcu", "VirtualTransport", "build", "start_mcu"]

TICK = 0.001
"""s between two steps of the core in virtual time, as on the boards."""


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
    latches: tuple[str, ...]
    """What the operator has to release before anybody can be armed."""
    stopped: bool
    """The emergency stop is pressed."""
    opened: int
    """Sessions since the reset."""


class VirtualMcu:
    """The firmware with the caller's clock. Times in s on that clock; microseconds inside."""

    def __init__(
        self,
        program: Program,
        *,
        key: bytes = TEST_KEY,
        operator_key: bytes = TEST_OPERATOR_KEY,
        seed: bytes | None = None,
        now: float = 0.0,
        sanitize: bool = False,
        release: bool = False,
    ) -> None:
        self._lib = _load(build(program, "lib", sanitize=sanitize, release=release))
        self._names = tuple(limit.name for limit in program.envelope)
        self._sensors = tuple(sensor.name for sensor in program.microcontroller.sensors)
        self._device = ctypes.create_string_buffer(int(self._lib.eg_lib_size()))
        self._keys = (key, operator_key)
        self._us = self._stepped_us = _us(now)
        self._reset(seed, retained=False)

    def reboot(self, *, seed: bytes | None = None) -> None:
        """Lose power and come back: everything but the clock is forgotten. `seed`: 16 bytes, random if absent."""
        self._reset(seed, retained=False)

    def reset(self, *, seed: bytes | None = None) -> None:
        """Reset as a watchdog does: retained memory and the emergency stop's contact stay as they are."""
        self._reset(seed, retained=True)

    def _reset(self, seed: bytes | None, *, retained: bool) -> None:
        self._lib.eg_lib_reset(
            self._device,
            *self._keys,
            secrets.token_bytes(16) if seed is None else seed,
            ctypes.c_uint32(retained),
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
        f = (ctypes.c_uint32 * 12)()
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
            latches=tuple(name for bit, name in enumerate(LATCHES) if f[9] >> bit & 1),
            stopped=bool(f[10]),
            opened=f[11],
        )

    @property
    def accepted(self) -> int:
        """Counter of the last command of the host's that was accepted in this session; 0: none."""
        return int(self._lib.eg_lib_accepted(self._device))

    @property
    def heard(self) -> int:
        """When the host's last command was accepted, or its session opened (us)."""
        return int(self._lib.eg_lib_heard(self._device))

    @property
    def mode(self) -> str:
        """`silent`, `enabled`, `fallback_only` or `lockout`."""
        return self.facts.mode

    def drive(self, actuator: str) -> tuple[int, int]:
        """Return what an output stage is given: the value and its complement, as 32-bit words."""
        pair = (ctypes.c_uint32 * 2)()
        self._lib.eg_lib_drive(self._device, self._names.index(actuator), pair)
        return pair[0], pair[1]

    def sense(self, sensor: str, value: float, *, valid: bool = True) -> None:
        """Let one of the microcontroller's own sensors read a value now."""
        self._read(self._lib.eg_lib_sense, self._sensors.index(sensor), value, valid=valid)

    def measure(self, actuator: str, value: float, *, valid: bool = True) -> None:
        """Let the microcontroller measure where an actuator is now."""
        self._read(self._lib.eg_lib_measure, self._names.index(actuator), value, valid=valid)

    def press_stop(self) -> None:
        """Press the emergency stop."""
        self._lib.eg_lib_stop(self._device, ctypes.c_uint32(1))

    def release_stop(self) -> None:
        """Let the emergency stop's contact close again."""
        self._lib.eg_lib_stop(self._device, ctypes.c_uint32(0))

    def _read(self, reading: Callable[..., object], index: int, value: float, *, valid: bool) -> None:
        at = ctypes.c_uint64(self._us)
        reading(
            self._device,
            ctypes.c_uint32(index),
            ctypes.c_int32(round(value * SCALE)),
            at,
            ctypes.c_uint32(valid),
        )

    def corrupt_output(self, actuator: str, value: float) -> None:
        """Overwrite an output in memory, as a bit flip would."""
        self._lib.eg_lib_corrupt_output(self._device, self._names.index(actuator), round(value * SCALE))

    def corrupt_kept(self) -> None:
        """Damage what the core would begin anew from."""
        self._lib.eg_lib_corrupt_kept(self._device)

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
        lib.eg_lib_accepted.restype = ctypes.c_uint32
        lib.eg_lib_heard.restype = ctypes.c_uint64
    return lib


# ---- in real time ----------------------------------------------------------------------------------------------------


def start_mcu(
    kind: str,
    program: Program,
    *,
    key_file: Path | None = None,
    operator_key_file: Path | None = None,
    stop_pressed: bool = False,
) -> ProcessMcu | QemuMcu:
    """Start a microcontroller of a kind: `process`; `qemu` or `qemu-netduino`, where the emulator is installed.

    Raises:
        UsageError: there is no such kind.
        LinkError: it cannot be built or started.

    """
    if kind == "process":
        return ProcessMcu(
            program, key_file=key_file, operator_key_file=operator_key_file, stop_pressed=stop_pressed
        )
    from hil.mcu_qemu import BOARDS, QemuMcu

    if kind in BOARDS:
        return QemuMcu(
            program,
            board=BOARDS[kind],
            key_file=key_file,
            operator_key_file=operator_key_file,
            stop_pressed=stop_pressed,
        )
    raise UsageError(f"no microcontroller of kind `{kind}`: choose `process`, `qemu` or `qemu-netduino`")
