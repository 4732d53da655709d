"""The link as the guard sees it: one protocol, and its implementation over any transport.

Call `poll` and `send` once a control step. Nothing here raises on the frame path, waits, or decides who may act.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from edgeguard.errors import LinkError
from edgeguard.link.operator import OperatorSession
from edgeguard.link.session import HostSession
from edgeguard.link.status import LinkState, LinkStatus
from edgeguard.link.transport import Transport, later_port, open_port
from edgeguard.program import ActuatorLimit
from edgeguard.types import Authority

LARGEST_VALUE = 2_000.0
"""Of an actuator, in its unit: what the wire's 1e-6 steps in 32 bits hold, as the compiler of the table checks too."""


class Link(Protocol):
    """The way to the microcontroller."""

    @property
    def status(self) -> LinkStatus:
        """What is known of the line and the microcontroller now."""
        ...

    def poll(self, now: float) -> None:
        """Read what came and answer the handshake. Never waits."""
        ...

    def send(self, command: Mapping[str, float], source: Authority, now: float) -> None:
        """Command every actuator. The heartbeat: every control step, never less often than every 50 ms."""
        ...

    def arm(self, now: float) -> None:
        """The operator allows the host to act: asked for during 2 s, until it is granted.

        Only a host with the operator's key can ask; one without says so in the status' reason.
        """
        ...

    def release(self, now: float) -> None:
        """The operator has seen what latched, and releases it: as `arm`, of which it is no part."""
        ...

    def withdraw(self) -> None:
        """A request to arm that is still pending ends: the host itself may not act any more."""
        ...

    def close(self) -> None:
        """Give the host's authority up, as well as can be, and let go of the line."""
        ...


class TransportLink:
    """A link over a transport. `panel`: a line to an operator's panel, whose frames `poll` hands to and fro."""

    def __init__(self, transport: Transport, session: HostSession, panel: Transport | None = None) -> None:
        self._transport = transport
        self._session = session
        self._panel = panel
        self._now = 0.0

    @property
    def status(self) -> LinkStatus:
        """What is known of the line and the microcontroller now."""
        return self._session.status()

    def poll(self, now: float) -> None:
        """Read what came and answer the handshake. Never waits."""
        self._now = now
        data = self._transport.read(now)
        self._follow_port()
        answer = self._session.receive(data, now)
        if answer:
            self._transport.write(answer, now)
        self._session.tick(now)
        if self._panel is not None:
            self._serve(self._panel, now)

    def send(self, command: Mapping[str, float], source: Authority, now: float) -> None:
        """Command every actuator. The heartbeat: every control step, never less often than every 50 ms."""
        self._now = now
        frames = self._session.command(command, source, now)
        if frames and not self._transport.write(frames, now):
            self._session.dropped += 1
            self._follow_port()

    def arm(self, now: float) -> None:
        """The operator allows the host to act: asked for during 2 s, until it is granted. See `Link.arm`."""
        self._session.arm(now)

    def release(self, now: float) -> None:
        """The operator has seen what latched, and releases it."""
        self._session.release(now)

    def withdraw(self) -> None:
        """A request to arm that is still pending ends. See `Link.withdraw`."""
        self._session.withdraw()

    def take_offers(self) -> bytes:
        """Frames that a panel with the operator's key must see, at most 8 of them; for its `OperatorSession`.

        They are handed on as they came, unread: this host cannot tell whether they are authentic, the panel can.
        """
        return self._session.take_offers()

    def relay(self, data: bytes, now: float) -> None:
        """Put a panel's answers on the line at once: frames of the operator's only, at most 4 between two `poll`."""
        frames = self._session.relay(data)
        if frames and not self._transport.write(frames, now):
            self._session.dropped += 1

    def close(self) -> None:
        """Give the host's authority up, as well as can be, and let go of the line."""
        farewell = self._session.disarm(self._now)
        if farewell:
            self._transport.write(farewell, self._now)
        self._transport.close()
        if self._panel is not None:
            self._panel.close()
        self._session.port_lost()

    def _serve(self, panel: Transport, now: float) -> None:
        asked = panel.read(now)
        if asked:
            self.relay(asked, now)
        offers = self.take_offers()
        if offers:
            panel.write(offers, now)

    def _follow_port(self) -> None:
        if not self._transport.connected:
            if self._session.state is not LinkState.CLOSED:
                self._session.port_lost()
        elif self._session.state is LinkState.CLOSED:
            self._session.port_opened()


def link_over(
    transport: Transport,
    *,
    key: bytes,
    policy_hash: bytes,
    actuators: Sequence[ActuatorLimit],
    operator_key: bytes | None = None,
    panel: Transport | None = None,
    valid: float = 0.100,
    nonce: Callable[[], bytes] = lambda: secrets.token_bytes(8),
) -> TransportLink:
    """Make a link over a transport that is already there. For the parameters see `open_link`.

    Raises:
        LinkError: a key or the policy's hash is not 32 bytes, both keys are the same, or there are no actuators.

    """
    if len(key) != 32 or len(policy_hash) != 32:
        raise LinkError("the device key and the policy's hash must be 32 bytes each")
    if operator_key is not None and (len(operator_key) != 32 or operator_key == key):
        raise LinkError("the operator's key must be 32 bytes, and another than the device key")
    if not actuators:
        raise LinkError("the policy's envelope names no actuator: nothing to link to")
    for limit in actuators:
        if not all(abs(value) <= LARGEST_VALUE for value in (limit.low, limit.high, limit.safe)):
            raise LinkError(
                f"actuator `{limit.name}`: min, max and safe must lie within {LARGEST_VALUE:g} of zero"
            )
    if not 0.0 < valid < math.inf:
        raise LinkError(f"commands must be valid for a time, not for {valid:g} s")
    session = HostSession(
        key=key,
        policy=policy_hash,
        actuators=tuple(actuators),
        nonce=nonce,
        valid=valid,
        operator=None if operator_key is None else OperatorSession(operator_key, policy_hash, valid),
    )
    return TransportLink(transport, session, panel)


def open_link(
    port: str,
    *,
    key: bytes,
    policy_hash: bytes,
    actuators: Sequence[ActuatorLimit],
    operator_key: bytes | None = None,
    panel: str | None = None,
    baud: int = 921_600,
    valid: float = 0.100,
) -> TransportLink:
    """Open the line to the microcontroller; the handshake happens in `poll`.

    Args:
        port: `auto`, a device or pty path, `socket://host:port`, `unix:///path`, or `can:interface/channel`.
        key: the device key, 32 bytes (`load_device_key`).
        policy_hash: SHA-256 of the policy file, 32 bytes: `bytes.fromhex(program.digest)`.
        actuators: the policy's envelope, in its order.
        operator_key: 32 bytes, only where this host may speak for the operator.
        panel: port of the operator's panel, where another machine does. It need not be there yet.
        baud: speed of a serial line.
        valid: s a command may be old, by the microcontroller's clock, when it arrives.

    Raises:
        LinkError: the port cannot be opened, or the key or hash has the wrong size.

    """
    return link_over(
        open_port(port, baud),
        key=key,
        policy_hash=policy_hash,
        actuators=actuators,
        operator_key=operator_key,
        panel=None if panel is None else later_port(panel, baud),
        valid=valid,
    )
