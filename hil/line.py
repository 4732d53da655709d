"""The wire between the guard and the virtual microcontroller, on the rig's clock.

One object is both ends: `edgeguard.link` sees a transport, the rig sees a microcontroller. Bytes need `DELAY` each way;
nothing is lost and nothing is decided here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hil.mcu import VirtualMcu

DELAY: Final = (
    0.002  # s: computing the step on the host (about 1 ms) and two frames of 57 bytes at 921,600 baud
)


class VirtualLine:
    """A wire with a constant delay to a `VirtualMcu`."""

    def __init__(self, mcu: VirtualMcu) -> None:
        self._mcu = mcu
        self._to_mcu: deque[tuple[float, bytes]] = deque()
        self._to_host: deque[tuple[float, bytes]] = deque()
        self.connected = True

    def advance(self, now: float) -> None:
        """Let the microcontroller live until `now`, and deliver what is due."""
        while self._to_mcu and self._to_mcu[0][0] <= now + 1e-9:
            due, data = self._to_mcu.popleft()
            self._mcu.advance(due)
            self._mcu.feed(data)
        self._mcu.advance(now)
        sent = self._mcu.take()
        if sent:
            self._to_host.append((now + DELAY, sent))

    @property
    def outputs(self) -> Mapping[str, float]:
        """What the actuators get now."""
        return self._mcu.outputs

    @property
    def mode(self) -> str:
        """The microcontroller's mode."""
        return self._mcu.mode

    def read(self, now: float) -> bytes:
        """Return what has arrived at the host by `now`."""
        self.advance(now)
        arrived = b""
        while self._to_host and self._to_host[0][0] <= now + 1e-9:
            arrived += self._to_host.popleft()[1]
        return arrived

    def write(self, data: bytes, now: float) -> bool:
        """Send bytes to the microcontroller."""
        if self.connected:
            self._to_mcu.append((now + DELAY, data))
        return self.connected

    def close(self) -> None:
        """Cut the wire."""
        self.connected = False
