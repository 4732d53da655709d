"""What a hostile worker would like to reach: a serial port (a pty) and a server. Nothing may ever arrive at either."""

from __future__ import annotations

import os
import pty
import socket


class Bait:
    """Made when it is first told of; lives as long as the process."""

    def __init__(self) -> None:
        self._ports: tuple[int, int] | None = None
        self._server: socket.socket | None = None

    def told(self, kind: str) -> str:
        """What an attack is told: more than a real attacker could know."""
        if kind in ("kills its host", "stops its host"):
            return str(os.getpid())
        if kind == "opens the port":
            if self._ports is None:
                self._ports = pty.openpty()
                os.set_blocking(self._ports[0], False)
            return os.ttyname(self._ports[1])
        if kind == "connects":
            if self._server is None:
                self._server = socket.create_server(("127.0.0.1", 0))
                self._server.settimeout(0.0)
            return str(self._server.getsockname()[1])
        return ""

    def taken(self) -> int:
        """How many of them somebody reached since the last call."""
        return self._written() + self._connected()

    def _written(self) -> bool:
        try:
            return self._ports is not None and bool(os.read(self._ports[0], 64))
        except BlockingIOError:
            return False

    def _connected(self) -> bool:
        if self._server is None:
            return False
        try:
            self._server.accept()[0].close()
        except BlockingIOError:
            return False
        return True


BAIT = Bait()
