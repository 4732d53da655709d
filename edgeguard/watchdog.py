"""Tells systemd that the service is up and still deciding (sd_notify), without a library.

A sign of life is sent only for steps that were really done. Nothing here waits and nothing raises on the frame path.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

_SHARE = 0.4
"""A sign of life after this share of the watchdog's time: two may be late before it bites."""


class Watchdog:
    """The service manager's end. Where there is none, every call does nothing."""

    def __init__(self, address: str = "", timeout: float = float("inf")) -> None:
        """`address`: of its datagram socket, `@` for an abstract one. `timeout`: of its watchdog (s); inf: none."""
        self._pause = _SHARE * timeout
        self._last = float("-inf")
        self._status = ""
        self._ready = False
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.settimeout(0.0)

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] | None = None) -> Watchdog:
        """Take the address out of the environment (the process's own for None), so that no child finds it there."""
        found = os.environ if environment is None else environment
        address = found.pop("NOTIFY_SOCKET", "")
        microseconds, process = found.pop("WATCHDOG_USEC", ""), found.pop("WATCHDOG_PID", "")
        mine = not process or process == str(os.getpid())
        timeout = float(microseconds) * 1e-6 if microseconds.isdecimal() and mine else 0.0
        return cls(address if address[:1] in ("/", "@") else "", timeout if timeout > 0.0 else float("inf"))

    def stepped(self, now: float, *, healthy: bool, status: str) -> None:
        """Say that a step was done, `now` (s, monotonic). An unhealthy loop is silent, and never ready."""
        if status != self._status:
            self._status = status
            self._say(f"STATUS={' '.join(status.split())}")
        if not healthy or now - self._last < self._pause:
            return
        if self._say("WATCHDOG=1" if self._ready else "READY=1\nWATCHDOG=1"):
            self._ready, self._last = True, now

    def stopping(self) -> None:
        """Say that the service is about to end."""
        self._say("STOPPING=1")

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _say(self, text: str) -> bool:
        """Send it; tell whether it went out. Where it did not, it is said again at the next step."""
        if self._socket is None:
            return False
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError:  # nobody listens, or too slowly
            return False
        return True
