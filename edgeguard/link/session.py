"""The host's end of the link as a pure machine: bytes and time in, bytes and status out.

Opens sessions, sends requests, judges what comes back. Never raises on what the line brings, reads no clock, opens no
port. It holds no opinion on authority: the microcontroller decides what a request may do, and says so in its STATUS.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType

from edgeguard.link import messages, wire
from edgeguard.link.messages import Action, Hello, Offer, Open, Request, Status, name_of
from edgeguard.link.operator import OperatorSession, is_offer
from edgeguard.link.relay import Relay
from edgeguard.link.status import Counts, LinkState, LinkStatus
from edgeguard.program import ActuatorLimit
from edgeguard.types import NO_VALUES, Authority

STATUS_LOST = 0.100
"""s without an authentic STATUS after which the session counts as lost."""
OPEN_AGAIN = 0.040
"""s before the same HELLO is answered again: less than the microcontroller's own period of 0.05 s."""
REMEMBERED = 64
"""Requests whose time of sending is kept to measure round trips."""
OTHER_KEY = "what comes is signed with another device key than this host's"
NO_OPERATOR = "this host does not hold the operator's key: arm and release at the operator's panel"

COUNTER_LAST = 0xFFFF_0000
"""Counters do not wrap: a session ends before its last one."""


@dataclass(slots=True)
class HostSession:
    """One host's view of one microcontroller. `valid`: s a command may be old on arrival.

    `operator`: speaks for the operator, where this host may. Without it OFFERs are only handed on: `take_offers`.
    """

    key: bytes
    policy: bytes
    """SHA-256 of the policy file, 32 bytes."""
    actuators: Sequence[ActuatorLimit]
    nonce: Callable[[], bytes]
    """8 random bytes."""
    valid: float = 0.100
    operator: OperatorSession | None = None
    state: LinkState = LinkState.WAITING
    reason: str = "waiting for the microcontroller"
    sent: int = 0
    received: int = 0
    rejected: int = 0
    dropped: int = 0
    lost: int = 0
    last_heard: float = -math.inf
    round_trip: float | None = None
    round_trip_at: float = -math.inf
    note: str = ""
    """What became of the operator's last request here."""
    _parser: wire.Parser = field(init=False)
    _relay: Relay = field(default_factory=Relay)
    _theirs: Counts = field(default_factory=Counts)
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
    _sent_at: OrderedDict[int, float] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self._parser = wire.Parser(self.key, None if self.operator is None else self.operator.key)

    # -- what the line brings ------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> bytes:
        """Take bytes from the line; return what must be answered at once (OPEN, and the operator's requests)."""
        answer = b""
        self._relay.next_round()
        for frame in self._parser.feed(data):
            if self.operator is not None and is_offer(frame):
                answer += self._hear(Offer.parse(frame.payload), self.operator, now)
            elif not _from_mcu(frame):
                self.rejected += 1
            elif frame.message == wire.HELLO:
                answer += self._hello(Hello.parse(frame.payload), now)
            elif frame.message == wire.STATUS:
                self._take_status(Status.parse(frame.payload), now)
            else:
                self.rejected += 1
        self._relay.keep(self._parser.foreign)
        return answer

    def take_offers(self) -> bytes:
        """Frames for the operator's panel since the last call, as they came: not authenticated. See `relay`.

        Empty at a host that holds the operator's key: there it answers by itself.
        """
        return self._relay.take()

    def relay(self, data: bytes) -> bytes:
        """Take bytes from the operator's panel; return the frames in them that may go on the line: see `Relay`."""
        frames = self._relay.let_through(data, is_open=self.state is LinkState.OPEN)
        self.sent += len(frames)
        return b"".join(frames)

    def tick(self, now: float) -> None:
        """Let time pass: a microcontroller that fell silent has no session any more."""
        quiet = now - max(self._status_at, self._opened_at) > STATUS_LOST
        if self.state in (LinkState.OPEN, LinkState.OPENING) and quiet:
            self._drop_session("the microcontroller fell silent")
        if self.operator is not None:
            self.operator.tick(now)

    def port_lost(self) -> None:
        """The port vanished, and with it the operator's pending request: another device may come back."""
        if self.operator is not None:
            self.operator.cancel()
        self.note = ""
        self._relay.reset()
        self._drop_session("the port is closed")
        self.state = LinkState.CLOSED

    def port_opened(self) -> None:
        """The port is there, for the first time or again."""
        self._drop_session("waiting for the microcontroller")

    # -- what the host wants ---------------------------------------------------------------------------------------

    def command(self, values: Mapping[str, float], source: Authority, now: float) -> bytes:
        """Frames that command every actuator; empty without a session.

        An actuator without a finite value is commanded to its safe value as SAFE_STATE.
        """
        status = self._status
        if self.state is LinkState.OPEN and self._counter > COUNTER_LAST:
            # After two months with 16 actuators at 50 Hz, two years with one: the next session begins at 1.
            self._drop_session("the session's counter is used up")
        if self.state is not LinkState.OPEN or status is None:
            self.dropped += 1
            return b""
        return b"".join(
            self._set(index, limit, values.get(limit.name, math.nan), source, status, now)
            for index, limit in enumerate(self.actuators)
        )

    def arm(self, now: float) -> None:
        """The operator allows the host to act: ask at every OFFER until granted, for at most ARM_WINDOW.

        A host without the operator's key cannot ask, and says so in the status' reason.
        """
        if self.operator is None:
            self.note = NO_OPERATOR
        else:
            self.operator.arm(now)

    def release(self, now: float) -> None:
        """The operator has seen what latched and releases it: as `arm`, and apart from it."""
        if self.operator is None:
            self.note = NO_OPERATOR
        else:
            self.operator.release(now)

    def withdraw(self) -> None:
        """Forget a request to arm that is still pending."""
        if self.operator is not None:
            self.operator.withdraw()

    def disarm(self, now: float) -> bytes:
        """Frame that gives the host's authority up; empty without a session. Ends a request to arm, too."""
        if self.operator is not None:
            self.operator.cancel()
        if self.state is not LinkState.OPEN or self._status is None:
            return b""
        return self._request(Action.DISARM, 0, 0, Authority.SAFE_STATE, self._status, now)

    def status(self) -> LinkStatus:
        """Snapshot of everything known. No count in it ever goes back, whatever vanishes, resets or comes again."""
        s = self._status
        parser, relay, theirs = self._parser, self._relay, self._theirs
        refused = self.rejected + parser.signature_errors + relay.rejected + theirs.rejected
        note = self.note
        if not self.received and parser.signature_errors:
            note = OTHER_KEY
        if self.operator is not None:
            note, refused = self.operator.note or note, refused + self.operator.rejected
        return LinkStatus(
            state=self.state.value,
            mcu_mode="unknown" if s is None else name_of(messages.MCU_MODES, s.mode),
            last_heard=self.last_heard,
            round_trip=self.round_trip,
            sent=self.sent,
            received=self.received,
            rejected=refused,
            crc_errors=parser.crc_errors + theirs.crc_errors,
            outputs=MappingProxyType(dict(self._outputs)) if self._outputs else NO_VALUES,
            reason=f"{self.reason}; {note}" if note else self.reason,
            dropped=self.dropped + relay.dropped + theirs.dropped,
            degraded=s is not None and bool(s.flags & messages.DEGRADED),
            ready=s is not None and bool(s.flags & messages.READY),
            refusal="" if s is None else messages.REFUSALS.get(s.refusal, f"code {s.refusal}"),
            source="unknown" if s is None else name_of(_SOURCES, s.source),
            latches=() if s is None else messages.latch_names(s.latches),
            stopped=s is not None and bool(s.flags & messages.STOPPED),
            lost=self.lost,
            round_trip_at=self.round_trip_at,
        )

    # -- inside ----------------------------------------------------------------------------------------------------

    def _hear(self, offer: Offer, operator: OperatorSession, now: float) -> bytes:
        if not self._session or offer.session != self._session:
            self.rejected += 1
            return b""
        self.received += 1
        answer = operator.hear(offer, now)
        self.sent += bool(answer)
        return answer

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
        last = 0 if self._status is None else self._status.counter
        if not expected or status.counter <= last or status.actuator >= len(self.actuators):
            self.rejected += 1
            return
        self.received += 1
        self.last_heard = self._status_at = now
        self.lost += status.counter - last - 1
        self._theirs = self._theirs.then(status)
        self.state, self._status = LinkState.OPEN, status
        self.reason = name_of(messages.REASONS, status.reason)
        self._outputs[self.actuators[status.actuator].name] = status.value / messages.SCALE
        if status.mode == messages.ENABLED:
            self.note = ""
        sent = self._sent_at.pop(status.counter_echo, None)
        if sent is not None:
            self.round_trip, self.round_trip_at = max(0.0, now - sent - status.age * 1e-4), now

    def _drop_session(self, reason: str) -> None:
        self._parser.reset()
        self._session, self._status = b"", None
        self._outputs.clear()
        self.round_trip = None
        self.state, self.reason = LinkState.WAITING, reason

    def _set(
        self, index: int, limit: ActuatorLimit, value: float, source: Authority, status: Status, now: float
    ) -> bytes:
        if not math.isfinite(value) or source < limit.authority:  # the gate has seen to it already
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


def _from_mcu(frame: wire.RawFrame) -> bool:
    sender = (frame.system, frame.component, frame.link)
    expected = (wire.SYSTEM_MCU, wire.COMPONENT, wire.TO_HOST)
    return sender == expected and bool(frame.payload[-1] & messages.FLAG_ALWAYS)
