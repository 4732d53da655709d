"""The safety microcontroller as the real ARM firmware on an emulated board, with the interface of `ProcessMcu`.

Needs `qemu-system-arm`, `gcc-arm-none-eabi` and `libnewlib-arm-none-eabi`. Nothing here decides or talks on the link.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO, final

from edgeguard.errors import LinkError
from edgeguard.link.keys import load_device_key
from edgeguard.program import Program
from hil.firmware import TEST_KEY_FILE, TEST_OPERATOR_KEY_FILE, build
from hil.gdbstub import PC, Gdb
from hil.mcu_outputs import Recorder
from hil.mcu_senses import CONTACT_CLOSED, MEASURED, SENSOR, STOP, Places, fixed, record

LINES: Final = ("link", "records", "senses", "gdb")
"""What is connected to a board, in the order of its UARTs; the last is the debugger's."""


@dataclass(frozen=True, slots=True)
class Board:
    """One emulated board: QEMU's name for it, the firmware's target, and where its provisioning page is."""

    machine: str
    target: str
    page: int
    tcp: bool = False
    """Its UARTs stop the core while a line is full, and a Unix socket is full after 300 bytes written one by one."""


BOARDS: Final[Mapping[str, Board]] = {
    "qemu": Board("mps2-an385", "qemu", 0x003F_F000),
    "qemu-netduino": Board("netduinoplus2", "netduino", 0x080E_0000, tcp=True),
}


def available() -> bool:
    """Whether the emulator and its compiler are installed."""
    return shutil.which("qemu-system-arm") is not None and shutil.which("arm-none-eabi-gcc") is not None


@final
class QemuMcu(Recorder):
    """The firmware on an emulated board. It lives until `close`, or until this process dies."""

    def __init__(
        self,
        program: Program,
        *,
        board: Board = BOARDS["qemu"],
        key_file: Path | None = None,
        operator_key_file: Path | None = None,
        stop_pressed: bool = False,
    ) -> None:
        super().__init__()
        if not available():
            raise LinkError(
                "the emulated microcontroller needs `qemu-system-arm` and `arm-none-eabi-gcc`: on Debian or Ubuntu "
                "`apt-get install qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi`"
            )
        self._places = Places(program)
        self.image = build(program, board.target)
        keys = load_device_key(key_file or TEST_KEY_FILE)
        keys += load_device_key(operator_key_file or TEST_OPERATOR_KEY_FILE)
        self._folder = tempfile.TemporaryDirectory(prefix="edgeguard-qemu-")
        self._at = Path(self._folder.name)
        (self._at / "provision.bin").write_bytes(keys + secrets.token_bytes(16))
        listening = [_listen(None if board.tcp else self._at / name) for name in LINES]
        self._addresses = {name: line.getsockname() for name, line in zip(LINES, listening, strict=True)}
        self._process = subprocess.Popen(
            _command(board, self.image, self._at, [line.fileno() for line in listening]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[line.fileno() for line in listening],
        )
        for line in listening:
            line.close()
        self._stream: TextIO | None = None
        self._senses: socket.socket | None = None
        self.port = (
            f"socket://127.0.0.1:{self._addresses['link'][1]}" if board.tcp else f"unix://{self._at / 'link'}"
        )
        try:
            with self._connect("records") as line:
                self._stream = line.makefile("r", encoding="ascii", errors="replace")
            self._senses = self._connect("senses")
            self._start(stop_pressed=stop_pressed)
        except LinkError:
            self.close()
            raise
        self._follow(self._stream, foreign_clock=True)

    @property
    def pid(self) -> int:
        """Process id of the emulator."""
        return self._process.pid

    def sense(self, sensor: str, value: float, *, valid: bool = True) -> None:
        """Let one of the microcontroller's own sensors read a value now."""
        self._enter(SENSOR, self._places.sensor(sensor), value, valid=valid)

    def measure(self, actuator: str, value: float, *, valid: bool = True) -> None:
        """Let the microcontroller measure where an actuator is now."""
        self._enter(MEASURED, self._places.actuator(actuator), value, valid=valid)

    def press_stop(self) -> None:
        """Press the emergency stop."""
        self.send_senses(record(STOP, 0, 0))

    def release_stop(self) -> None:
        """Let the emergency stop's contact close again."""
        self.send_senses(record(STOP, 0, 1))

    def hang(self) -> None:
        """Let the core run in a circle with interrupts off, as after a fault. A watchdog has to end that."""
        with self.debug() as gdb:
            gdb.set_register(PC, self.symbol("eg_stopped"))

    def reset(self) -> None:
        """Reset the board, as its button does: memory stays as it is."""
        with self.debug() as gdb:
            gdb.monitor("system_reset")

    def debug(self) -> Gdb:
        """Halt the machine and return the debugger that did: `with mcu.debug() as gdb: ...`."""
        return Gdb(self._connect("gdb"))

    def symbol(self, name: str) -> int:
        """Address of a function or variable of the firmware.

        Raises:
            LinkError: the firmware has none of that name.

        """
        listing = subprocess.run(
            ["arm-none-eabi-nm", str(self.image)], capture_output=True, text=True, check=True
        ).stdout
        for line in listing.splitlines():
            address, _, known = line.split(maxsplit=2)
            if known == name:
                return int(address, 16)
        raise LinkError(f"the firmware has no `{name}`")

    def send_senses(self, data: bytes) -> None:
        """Send raw bytes to the board's line of measurements."""
        assert self._senses is not None  # noqa: S101 - connected in the constructor
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._senses.sendall(data)

    def close(self) -> None:
        """End the emulator and wait for it."""
        self._process.kill()
        self._process.wait()
        self._stop_following()
        for stream in (self._stream, self._senses, self._process.stderr):
            if stream is not None:
                stream.close()
        self._folder.cleanup()

    def __enter__(self) -> QemuMcu:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, *, stop_pressed: bool) -> None:
        """Set the level of the emergency stop's pin, and let the core go: it has not run yet."""
        with self.debug() as gdb:
            level = 0 if stop_pressed else CONTACT_CLOSED
            gdb.write(self.symbol("contact"), level.to_bytes(4, "little"))

    def _enter(self, kind: int, index: int, value: float, *, valid: bool) -> None:
        number = fixed(value)
        self.send_senses(record(kind, index, number or 0, valid=valid and number is not None))

    def _connect(self, name: str) -> socket.socket:
        address = self._addresses[name]
        found = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        try:
            found.connect(address)
        except OSError as bad:
            found.close()
            raise LinkError(f"the emulator does not run: exit status {self._process.poll()}") from bad
        return found


def _listen(path: Path | None) -> socket.socket:
    """Return a listening socket for the emulator: a Unix one at `path`, or TCP on this machine only."""
    found = socket.socket(socket.AF_INET if path is None else socket.AF_UNIX)
    found.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVBUF, 2048
    )  # a UART keeps no commands until they are too old
    found.bind(("127.0.0.1", 0) if path is None else str(path))
    found.listen(1)
    return found


def _command(board: Board, image: Path, folder: Path, lines: list[int]) -> list[str]:
    """Return the emulator's command: the core does not run yet. `lines`: listening sockets, as in `LINES`."""
    command = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    command += ["qemu-system-arm", "-M", board.machine, "-display", "none", "-monitor", "none", "-S"]
    command += ["-kernel", str(image)]
    command += ["-device", f"loader,file={folder / 'provision.bin'},addr={board.page:#x},force-raw=on"]
    for name, line in zip(LINES, lines, strict=True):
        command += [
            "-chardev",
            f"socket,id={name},fd={line},server=on,wait=off{',nodelay=on' if board.tcp else ''}",
        ]
        command += ["-gdb" if name == "gdb" else "-serial", f"chardev:{name}"]
    return command
