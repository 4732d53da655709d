"""A debugger's end of QEMU's gdbstub, to break an emulated microcontroller as a fault would.

It halts the machine, clock and watchdog with it, for as long as it is connected. Nothing here sets a breakpoint.
"""

from __future__ import annotations

import socket
from typing import Final, final

from edgeguard.errors import LinkError

PC: Final = 15
SP: Final = 13

_PATIENCE: Final = 5.0
"""s for an answer."""


@final
class Gdb:
    """The machine, halted from the connection `line` to the end of `with Gdb(line) as gdb: ...`."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._line.settimeout(_PATIENCE)
        self._rest = b""
        self._ask("?")
        self._ask("qXfer:features:read:target.xml:0,f00")  # without it, no single register is told

    def read(self, address: int, size: int) -> bytes:
        """Return memory. Raises: LinkError: it cannot be read."""
        return bytes.fromhex(self._ask(f"m{address:x},{size:x}"))

    def write(self, address: int, data: bytes) -> None:
        """Overwrite memory. Raises: LinkError: it cannot be written."""
        self._ask(f"M{address:x},{len(data):x}:{data.hex()}")

    def register(self, number: int) -> int:
        """Return a core register: 0 to 15, of which `SP` and `PC`."""
        return int.from_bytes(bytes.fromhex(self._ask(f"p{number:x}")), "little")

    def set_register(self, number: int, value: int) -> None:
        """Overwrite a core register."""
        self._ask(f"P{number:x}={value.to_bytes(4, 'little').hex()}")

    def monitor(self, command: str) -> None:
        """Give QEMU a command of its monitor."""
        self._send(f"qRcmd,{command.encode().hex()}")
        while self._receive() != "OK":
            pass  # what it prints

    def __enter__(self) -> Gdb:
        return self

    def __exit__(self, *_: object) -> None:
        """Let the machine go on."""
        try:
            self._ask("D")
        finally:
            self._line.close()

    def _ask(self, packet: str) -> str:
        try:
            self._send(packet)
            answer = self._receive()
            while answer.startswith("T") and packet != "?":
                answer = self._receive()  # that the machine halted is also said unasked
        except OSError as bad:
            raise LinkError(f"the emulator's debugging port does not answer: {bad}") from bad
        if answer.startswith("E"):
            raise LinkError(f"the emulator refused the debugger's `{packet[:40]}`: {answer}")
        return answer

    def _send(self, packet: str) -> None:
        self._line.sendall(f"${packet}#{sum(packet.encode()) & 0xFF:02x}".encode())

    def _receive(self) -> str:
        """Return the next packet's content; acknowledgements are taken and given."""
        while b"#" not in self._rest or len(self._rest) < self._rest.index(b"#") + 3:
            data = self._line.recv(4096)
            if not data:
                raise LinkError("the emulator ended while a debugger was connected")
            self._rest += data
        end = self._rest.index(b"#")
        packet, self._rest = self._rest[:end], self._rest[end + 3 :]
        self._line.sendall(b"+")
        return packet.partition(b"$")[2].decode("ascii", errors="replace")
