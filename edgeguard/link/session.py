"""The host's end of the link as a pure machine: bytes and time in, bytes and status out.

Opens sessions, sends requests, judges what comes back. Never raises on what the line brings, reads no clock, opens no
port. It holds no opinion on authority: the microcontroller decides what a request may do, and says so in its STATUS.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from types import MappingProxyType

from edgeguard.link import messages, wire
from edgeguard.link.messages import Action, Hello, Open, Request, Status
from edgeguard.program import ActuatorLimit
from edgeguard.types import NO_VALUES, Authority

STATUS_LOST = 0.100
"""s without an authentic STATUS after which the session counts as lost."""
ARM_WINDOW = 2.0
"""s for which an operator's arm request is repeated until the microcontroller grants it."""
OPEN_AGAIN = 0.040
"""s before the same HELLO is answered again: less than the microcontroller's own period of 0.05 s."""
REMEMBERED = 64
"""Requests whose time of sending is kept to measure round trips."""

COUNTER_LAST = 0xFFFF_0000
"""Counters do not wrap: a session ends before its last one."""


class LinkState(str, Enum):
    """Where the host stands with the microcontroller."""

    CLOSED = "closed"
    """The port is gone or was never there."""
    WAITING = "waiting"
    """The port is open; no HELLO yet, or the microcontroller fell silent."""
    OPENING = "opening"
    """HELLO heard, OPEN sent."""
    OPEN = "open"
    """Authentic STATUS of this session arrives."""
    MISMATCH = "mismatch"
    """The microcontroller has another policy, protocol or number of actuators."""


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """What is known of the line and the microcontroller. Times in s on the caller's clock."""

    state: str
    mcu_mode: str
    """`silent`, `enabled`, `fallback_only`, `lockout`, or `unknown` while no STATUS arrives."""
    last_heard: float
    """When the last STATUS of a session came; -inf: never. A HELLO does not count: it may be a recording."""
    round_trip: float | None
    """From sending a request to hearing that it was accepted, less the time the answer waited for its turn."""
    sent: int
    """Frames handed to the line."""
    received: int
    """Authentic frames from the microcontroller."""
    rejected: int
    """Frames refused on either side: forged, replayed, stale, out of session."""
    crc_errors: int
    """Frames with a bad checksum on either side."""
    outputs: Mapping[str, float]
    """What the microcontroller drives each actuator to, as last reported."""
    reason: str
    """Why it is so, in a word: the microcontroller's reason for its mode, or what keeps the link from opening."""
    dropped: int = 0
    """Commands that found no session or no room on the line."""
    degraded: bool = False
    ready: bool = False
    """The microcontroller would grant an arm request now."""
    refusal: str = ""
    """Why the microcontroller refused the last frame that it refused."""
    source: str = "unknown"
    """Whose command the outputs follow: an authority's name in lower case."""


@dataclass(slots=True)
class HostSession:
    """One host's view of one microcontroller. `valid`: s a command may be old on arrival."""

    key: bytes
    policy: bytes
    """SHA-256 of the policy file, 32 bytes."""
    actuators: Sequence[ActuatorLimit]
    nonce: Callable[[], bytes]
    """8 random bytes."""
    valid: float = 0.100
    state: LinkState = LinkState.WAITING
    reason: str = "waiting for the microcontroller"
    sent: int = 0
    received: int = 0
    rejected: int = 0
    dropped: int = 0
    last_heard: float = -math.inf
    round_trip: float | None = None
    _parser: wire.Parser = field(init=False)
    _session: bytes = b""
    _mcu_nonce: bytes = b""
    _host_nonce: bytes = b""
    _valid_ms: int = 0
    _counter: int = 0
    _sequence: int = 0
    _status_at: float = -math.inf
    _opened_at: float = -math.inf
    _status: Status | None = None
    _outputs: dict[str, float] = field(default_factory=dict)
    _arm_until: float = -math.inf
    _sent_at: OrderedDict[int, float] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self._parser = wire.Parser(self.key)

    # -- what the line brings ------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> bytes:
        """Take bytes from the line; return what must be answered at once (OPEN)."""
        answer = b""
        for frame in self._parser.feed(data):
            if (frame.system, frame.component, frame.link) != (
                wire.SYSTEM_MCU,
                wire.COMPONENT,
                wire.TO_HOST,
            ) or not frame.payload[-1] & messages.FLAG_ALWAYS:
                self.rejected += 1
            elif frame.message == wire.HELLO:
                answer += self._hello(Hello.parse(frame.payload), now)
            elif frame.message == wire.STATUS:
                self._take_status(Status.parse(frame.payload), now)
            else:
                self.rejected += 1
        return answer

    def tick(self, now: float) -> None:
        """Let time pass: a microcontroller that fell silent has no session any more."""
        quiet = now - max(self._status_at, self._opened_at) > STATUS_LOST
        if self.state in (LinkState.OPEN, LinkState.OPENING) and quiet:
            self._drop_session("the microcontroller fell silent")

    def port_lost(self) -> None:
        """The port vanished, and with it the operator's pending request: another device may come back."""
        self._arm_until = -math.inf
        self._drop_session("the port is closed")
        self.state = LinkState.CLOSED

    def port_opened(self) -> None:
        """The port is there, for the first time or again."""
        self._drop_session("waiting for the microcontroller")

    # -- what the host wants ---------------------------------------------------------------------------------------

    def command(self, values: Mapping[str, float], source: Authority, now: float) -> bytes:
        """Frames that command every actuator, and the arm request while one is pending; empty without a session.

        An actuator without a finite value is commanded to its safe value as SAFE_STATE.
        """
        status = self._status
        if self.state is LinkState.OPEN and self._counter > COUNTER_LAST:
            # After two months with 16 actuators at 50 Hz, two years with one: the next session begins at 1.
            self._drop_session("the session's counter is used up")
        if self.state is not LinkState.OPEN or status is None:
            self.dropped += 1
            return b""
        frames = b"".join(
            self._set(index, limit, values.get(limit.name, math.nan), source, status, now)
            for index, limit in enumerate(self.actuators)
        )
        if now <= self._arm_until and status.flags & messages.READY:
            frames += self._request(Action.ARM, 0, 0, Authority.HUMAN, status, now)
        return frames

    def arm(self, now: float) -> None:
        """The operator allows the host to act: ask until granted, for at most ARM_WINDOW."""
        self._arm_until = now + ARM_WINDOW

    def disarm(self, now: float) -> bytes:
        """Frame that gives the host's authority up; empty without a session."""
        self._arm_until = -math.inf
        if self.state is not LinkState.OPEN or self._status is None:
            return b""
        return self._request(Action.DISARM, 0, 0, Authority.SAFE_STATE, self._status, now)

    def status(self) -> LinkStatus:
        """Snapshot of everything known."""
        s = self._status
        parser = self._parser
        return LinkStatus(
            state=self.state.value,
            mcu_mode="unknown" if s is None else _name(messages.MCU_MODES, s.mode),
            last_heard=self.last_heard,
            round_trip=self.round_trip,
            sent=self.sent,
            received=self.received,
            rejected=self.rejected + parser.signature_errors + (0 if s is None else s.rejected),
            crc_errors=parser.crc_errors + (0 if s is None else s.crc_errors),
            outputs=MappingProxyType(dict(self._outputs)) if self._outputs else NO_VALUES,
            reason=self.reason,
            dropped=self.dropped + (0 if s is None else s.dropped),
            degraded=s is not None and bool(s.flags & messages.DEGRADED),
            ready=s is not None and bool(s.flags & messages.READY),
            refusal="" if s is None else messages.REFUSALS.get(s.refusal, f"code {s.refusal}"),
            source="unknown" if s is None else _name(_SOURCES, s.source),
        )

    # -- inside ----------------------------------------------------------------------------------------------------

    def _hello(self, hello: Hello, now: float) -> bytes:
        self.received += 1
        if self.state is LinkState.OPEN:
            return b""  # its STATUS is what counts; a replayed HELLO must not end a session
        reason = self._objection(hello)
        if reason:
            self.state, self.reason = LinkState.MISMATCH, reason
            return b""
        if self.state is LinkState.OPENING and hello.nonce == self._mcu_nonce:
            # The same HELLO again: a second nonce of ours would make the first OPEN's session a stranger.
            return self._open_again(now)
        self._mcu_nonce, self._host_nonce = hello.nonce, self.nonce()
        self._session = sha256(self.key + self._mcu_nonce + self._host_nonce).digest()[:8]
        self._valid_ms = min(round(self.valid * 1000), hello.valid_max_ms)
        self._counter = 0
        self._status = None
        self._sent_at.clear()
        self.state, self.reason = LinkState.OPENING, "opening a session"
        return self._send_open(now)

    def _open_again(self, now: float) -> bytes:
        return self._send_open(now) if now - self._opened_at >= OPEN_AGAIN else b""

    def _send_open(self, now: float) -> bytes:
        self._opened_at = now
        return self._frame(wire.OPEN, Open(self._mcu_nonce, self._host_nonce, self.policy[:16]).encode(), now)

    def _objection(self, hello: Hello) -> str:
        if hello.protocol != messages.PROTOCOL:
            return f"the microcontroller speaks protocol {hello.protocol}, this host {messages.PROTOCOL}"
        if hello.policy != self.policy[:16]:
            return f"the microcontroller holds policy {hello.policy[:4].hex()}, this host {self.policy[:4].hex()}"
        if hello.actuators != len(self.actuators):
            return f"the microcontroller has {hello.actuators} actuators, the policy {len(self.actuators)}"
        return ""

    def _take_status(self, status: Status, now: float) -> None:
        expected = self.state in (LinkState.OPEN, LinkState.OPENING) and status.session == self._session
        last = -1 if self._status is None else self._status.counter
        if not expected or status.counter <= last or status.actuator >= len(self.actuators):
            self.rejected += 1
            return
        self.received += 1
        self.last_heard = self._status_at = now
        self.state, self._status = LinkState.OPEN, status
        self.reason = _name(messages.REASONS, status.reason)
        self._outputs[self.actuators[status.actuator].name] = status.value / messages.SCALE
        if _name(messages.MCU_MODES, status.mode) == "enabled":
            self._arm_until = -math.inf
        sent = self._sent_at.pop(status.counter_echo, None)
        if sent is not None:
            self.round_trip = max(0.0, now - sent - status.age * 1e-4)

    def _drop_session(self, reason: str) -> None:
        self._parser.reset()
        self._session, self._status = b"", None
        self._outputs.clear()
        self.round_trip = None
        self.state, self.reason = LinkState.WAITING, reason

    def _set(
        self, index: int, limit: ActuatorLimit, value: float, source: Authority, status: Status, now: float
    ) -> bytes:
        if not math.isfinite(value):
            value, source = limit.safe, Authority.SAFE_STATE
        steps = round(max(limit.low, min(limit.high, value)) * messages.SCALE)
        return self._request(Action.SET, index, steps, source, status, now)

    def _request(
        self, action: Action, actuator: int, value: int, source: Authority, status: Status, now: float
    ) -> bytes:
        self._counter += 1
        self._sent_at[self._counter] = now
        if len(self._sent_at) > REMEMBERED:
            self._sent_at.popitem(last=False)
        request = Request(
            session=self._session,
            counter=self._counter,
            mcu_ms_echo=status.mcu_ms,
            policy_hash=int.from_bytes(self.policy[:4], "little"),
            value=value,
            valid_ms=self._valid_ms,
            data_id=messages.DATA_ID + actuator,
            source=int(source),
            actuator=actuator,
            action=int(action),
        )
        return self._frame(wire.COMMAND, request.encode(), now)

    def _frame(self, message: int, payload: bytes, now: float) -> bytes:
        self.sent += 1
        self._sequence += 1
        raw = wire.RawFrame(message, wire.SYSTEM_HOST, wire.COMPONENT, wire.TO_MCU, payload)
        return wire.pack(raw, sequence=self._sequence, stamp=int(now * 100_000), key=self.key)


_SOURCES = tuple(authority.name.lower() for authority in Authority)


def _name(names: Sequence[str], code: int) -> str:
    return names[code] if code < len(names) else f"code {code}"
