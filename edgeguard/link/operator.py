"""The operator's end of the link as a pure machine: OFFERs and time in, signed requests out.

Only this file speaks with the operator's key. It answers an OFFER and never speaks by itself; what a request may do is
the microcontroller's to decide. Reads no clock, opens no port, and never raises on what the line brings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from edgeguard.link import messages, wire
from edgeguard.link.messages import Action, Offer, Request
from edgeguard.types import Authority

ARM_WINDOW = 2.0
"""s for which an operator's request is made again until the microcontroller has done it."""
COUNTER_MAX = 0xFFFF_FFFF
_HALF = 1 << 31


@dataclass(frozen=True, slots=True)
class OperatorStatus:
    """What the newest OFFER says. `last_heard`: s on the caller's clock; -inf: none came."""

    last_heard: float = -math.inf
    mode: str = "unknown"
    reason: str = "nothing heard"
    latches: tuple[str, ...] = ()
    stopped: bool = False
    """The emergency stop is pressed."""
    ready: bool = False
    """An arm request would be granted."""
    note: str = ""
    """What became of the operator's last request, where it was not granted."""


@dataclass(slots=True)
class OperatorSession:
    """One operator's view of one microcontroller. `valid`: s from an OFFER to the arrival of its answer.

    An OFFER proves who wrote it, not when: a recorded one can show an old state, but the microcontroller refuses the
    answer to it, by its session or its age.
    """

    key: bytes
    """The operator's, 32 bytes."""
    policy: bytes
    """SHA-256 of the policy file, 32 bytes: a machine under another policy gets no answer."""
    valid: float = 0.100
    note: str = ""
    rejected: int = 0
    _parser: wire.Parser = field(init=False)
    _offer: Offer | None = None
    _heard: float = -math.inf
    _until: dict[Action, float] = field(default_factory=dict)
    _seen: int = 0
    _counter: int = 0
    _sequence: int = 0

    def __post_init__(self) -> None:
        self._parser = wire.Parser(None, self.key)

    # -- what the operator wants ---------------------------------------------------------------------------------

    def arm(self, now: float) -> None:
        """Allow the host to act: asked for at each OFFER that would grant it, for at most ARM_WINDOW.

        It ends with the session it was asked in; before anything was heard, that is the first one heard.
        """
        self.note = ""
        self._until.pop(Action.DISARM, None)
        self._until[Action.ARM] = now + ARM_WINDOW

    def release(self, now: float) -> None:
        """Release the latches that the newest OFFER shows. One that comes after that was not seen, and stays.

        Ends a request to arm: who has released has not armed yet, and what was asked before was asked of a machine
        that was latched.
        """
        self._until.pop(Action.ARM, None)
        self._seen = 0 if self._offer is None else self._offer.latches
        if not self._seen:
            self.note = "release: the microcontroller has shown nothing to release"
            return
        self.note = ""
        self._until[Action.RELEASE] = now + ARM_WINDOW

    def disarm(self, now: float) -> None:
        """Take the host's authority away, and with it a request to arm that is still pending."""
        self.note = ""
        self._until.pop(Action.ARM, None)
        self._until[Action.DISARM] = now + ARM_WINDOW

    def withdraw(self) -> None:
        """Forget a request to arm: whoever asked for it has thought better of it."""
        self._until.pop(Action.ARM, None)

    def cancel(self) -> None:
        """Forget every request, as when the port vanished: another device may come back."""
        self._until.clear()
        self._parser.reset()
        self._offer = None

    # -- what the line brings ------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> bytes:
        """Take bytes with frames of link 3; return the answers, for link 2."""
        answer = b""
        for frame in self._parser.feed(data):
            if is_offer(frame):
                answer += self.hear(Offer.parse(frame.payload), now)
            else:
                self.rejected += 1
        self.tick(now)
        return answer

    def hear(self, offer: Offer, now: float) -> bytes:
        """Take an OFFER whose signature is good; return the answer, if a request is pending that it would grant."""
        before = self._offer
        if offer.policy_hash != int.from_bytes(self.policy[:4], "little"):
            self.rejected += 1
            self.note = f"the microcontroller holds policy {offer.policy_hash.to_bytes(4, 'little').hex()}"
            return b""
        if before is None:
            self._counter = 0
        elif before.session != offer.session:
            self._counter = 0
            self._end_with_session()
        elif (offer.mcu_ms - before.mcu_ms) % (2 * _HALF) >= _HALF:
            self.rejected += 1  # older than the last of its session
            return b""
        self._offer, self._heard = offer, now
        self.tick(now)
        action = self._wanted(offer)
        return b"" if action is None else self._request(action, offer, now)

    def tick(self, now: float) -> None:
        """Let time pass: a request that was not granted in time ends, and says why."""
        for action, until in tuple(self._until.items()):
            if now > until:
                del self._until[action]
                self.note = (
                    f"{action.name.lower()}: not granted within {ARM_WINDOW:g} s: {self._obstacle(action)}"
                )

    def status(self) -> OperatorStatus:
        """Snapshot of what is known."""
        offer = self._offer
        if offer is None:
            return OperatorStatus(note=self.note)
        return OperatorStatus(
            last_heard=self._heard,
            mode=messages.name_of(messages.MCU_MODES, offer.mode),
            reason=messages.name_of(messages.REASONS, offer.reason),
            latches=messages.latch_names(offer.latches),
            stopped=bool(offer.flags & messages.STOPPED),
            ready=bool(offer.flags & messages.READY),
            note=self.note,
        )

    # -- inside --------------------------------------------------------------------------------------------------

    def _wanted(self, offer: Offer) -> Action | None:
        """Which pending request this OFFER would grant; those that it shows granted end."""
        enabled = offer.mode == messages.ENABLED
        if not enabled:
            self._until.pop(Action.DISARM, None)
        else:
            self._until.pop(Action.ARM, None)
        if not offer.latches:
            self._until.pop(Action.RELEASE, None)
        elif offer.latches & ~self._seen:
            self._look_again()
        return next((action for action in _ORDER if action in self._until and _grants(offer, action)), None)

    def _end_with_session(self) -> None:
        """What would give authority was asked of another session: a machine that nobody has looked at since."""
        if self._until.pop(Action.ARM, None) is not None:
            self.note = "arm: the line was opened anew: look, and arm again"
        self._look_again()

    def _look_again(self) -> None:
        """What the operator saw is not what is there: it was another session, or something else has latched since."""
        if self._until.pop(Action.RELEASE, None) is not None:
            self.note = (
                "release: something else latched, or the line was opened anew: look, and release again"
            )

    def _obstacle(self, action: Action) -> str:
        offer = self._offer
        if offer is None:
            return "no offer came from the microcontroller"
        if action is Action.ARM and offer.latches:
            return f"latched: {', '.join(messages.latch_names(offer.latches))}; release first"
        if action is Action.RELEASE and offer.flags & messages.STOPPED:
            return "the emergency stop is pressed"
        if action is Action.ARM and not offer.flags & messages.READY:
            return "the microcontroller is not ready: it misses commands in time, or a measured position"
        return "the answers did not reach the microcontroller in time"

    def _request(self, action: Action, offer: Offer, now: float) -> bytes:
        # Beginning at the microcontroller's clock, so that a panel started anew in mid-session is not behind itself.
        counter = max(self._counter + 1, offer.mcu_ms)
        if counter > COUNTER_MAX:
            self.note = "the session's counter is used up: restart the host to open another"
            return b""
        self._counter = counter
        self._sequence += 1
        request = Request(
            session=offer.session,
            counter=counter,
            mcu_ms_echo=offer.mcu_ms,
            policy_hash=offer.policy_hash,
            value=0,
            valid_ms=min(round(self.valid * 1000), 0xFFFF),
            data_id=messages.DATA_ID,
            source=int(Authority.HUMAN),
            actuator=0,
            action=int(action),
        )
        frame = wire.RawFrame(
            wire.COMMAND, wire.SYSTEM_HOST, wire.COMPONENT, wire.OPERATOR_TO_MCU, request.encode()
        )
        return wire.pack(frame, sequence=self._sequence, stamp=int(now * 100_000), key=self.key)


_ORDER = (Action.DISARM, Action.RELEASE, Action.ARM)


def _grants(offer: Offer, action: Action) -> bool:
    """Whether the microcontroller would do it now: asking otherwise only adds to its refusals."""
    if action is Action.ARM:
        return bool(offer.flags & messages.READY) and not offer.latches
    return action is Action.DISARM or not offer.flags & messages.STOPPED


def is_offer(frame: wire.RawFrame) -> bool:
    """Whether an authentic frame is an OFFER from the microcontroller to the operator."""
    sender = (frame.message, frame.system, frame.component, frame.link)
    expected = (wire.OFFER, wire.SYSTEM_MCU, wire.COMPONENT, wire.MCU_TO_OPERATOR)
    return sender == expected and bool(frame.payload[-1] & messages.FLAG_ALWAYS)
