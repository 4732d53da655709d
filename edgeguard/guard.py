"""The guard: the one place where the stages are wired together, and where a frame goes the whole way.

perception -> readings -> compiled policy -> decision -> gate -> link and log. One direction only. `Guard.step` never
raises on bad data: what is missing, stale, wrong or broken only removes authority.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from numbers import Integral
from types import MappingProxyType
from typing import TYPE_CHECKING

from edgeguard.decider import Decider, World
from edgeguard.errors import UsageError
from edgeguard.gate.gate import Gated
from edgeguard.signals.labels import Labels
from edgeguard.signals.readings import CLOCK_SLACK, number
from edgeguard.signals.readings import readings as read
from edgeguard.signals.schedule import Schedule
from edgeguard.types import (
    Answer,
    Cause,
    Command,
    Event,
    Frame,
    Mode,
    Signal,
    Verdict,
)

if TYPE_CHECKING:
    from edgeguard.here import Device
    from edgeguard.inference.perception import Observation, Perception
    from edgeguard.link import Link, LinkStatus
    from edgeguard.log import DecisionLog
    from edgeguard.policy.load import LoadedPolicy
    from edgeguard.program import Program
    from edgeguard.wiring import Admitted

Planner = Callable[[Answer, Mapping[str, float]], Mapping[str, float]]
"""The complex function: the model's newest answer and the context values -> a suggested command."""

_ACTS_ALONE = {"enabled": 0.0, "fallback_only": 1.0, "lockout": 1.0}
"""Whether the microcontroller acts without the host, by its mode. Of any other mode nothing is known."""
_ARMED = frozenset({Mode.NOMINAL, Mode.DEGRADED, Mode.TAKEOVER_REQUEST, Mode.MANUAL})


class Guard:
    """Decides, for every step, who may act: the model, the rules, a human, or nobody.

    Not for several threads, except `operator`. Times are seconds on one monotonic clock, the caller's.
    """

    def __init__(
        self,
        program: Program,
        perception: Perception,
        *,
        link: Link | None = None,
        log: DecisionLog | None = None,
        planner: Planner | None = None,
        digests: Mapping[str, str] | None = None,
    ) -> None:
        """Wire stages that are ready: models admitted and warm. `Guard.open` does that from a loaded policy."""
        self.program = program
        self._perception = perception
        self._link = link
        self._log = log
        self._planner = planner
        self._digests = MappingProxyType(dict(digests or {}))
        self._context = tuple(
            (spec.name, i) for i, spec in enumerate(program.signals) if spec.source == "context"
        )
        self._decider = Decider(program)
        self._labels = Labels(program.signals)
        self._schedule = Schedule(program)
        self._events: deque[Event] = deque((Event.READY,))
        self._signals: dict[str, Signal] = {}
        self._answer: Answer | None = None
        self._last_frame = -1
        self._frame_at: float | None = None
        self._acted = False  # whether the microcontroller has followed the host since the host was armed
        self.planner_failures = 0
        self.perception_failures = 0
        self._count = 0

    @classmethod
    def open(
        cls,
        policy: LoadedPolicy | Admitted,
        *,
        device: Device | None = None,
        link: Link | None = None,
        log: DecisionLog | None = None,
        planner: Planner | None = None,
        clock: Callable[[], float] = time.monotonic,
        refused: Sequence[str] = (),
    ) -> Guard:
        """Admit every model of the policy, build and warm its sessions; the first step enters STANDBY.

        `policy`: loaded, or with its models admitted already (by `wiring.admit`, for several guards at once).
        `device`: what this device remembers and how late it is; None: this machine, which remembers nothing.
        `refused`: what was refused before, in words, for the log.

        Raises:
            AdmissionError: a bundle is unsigned, altered, too old or from an unknown signer.
            ContractError: a model does not fit its manifest, or the calibration was made for another model.

        """
        from edgeguard.wiring import Admitted, admit, build_perception  # noqa: PLC0415 - no file on the frame path

        admitted = policy if isinstance(policy, Admitted) else admit(policy, device)
        perception = build_perception(admitted, clock)
        program, digests = admitted.policy.program, admitted.digests
        with ExitStack() as started:
            started.callback(perception.close)
            if log is not None:
                wall = time.time()
                members = perception.describe()
                log.begin(
                    program.name,
                    program.version,
                    digests,
                    monotonic=clock(),
                    wall=wall,
                    members=members,
                    refused=refused,
                )
            guard = cls(program, perception, link=link, log=log, planner=planner, digests=digests)
            started.pop_all()
        return guard

    @property
    def digests(self) -> Mapping[str, str]:
        """Admitted digests (hex) of the policy, its calibration and every model."""
        return self._digests

    @property
    def members(self) -> Mapping[str, Mapping[str, str]]:
        """In words, by member, where it runs, its sandbox and its models; and the seed of a moving target."""
        return self._perception.describe()

    @property
    def mode(self) -> Mode:
        """The mode after the last step."""
        return self._decider.mode

    def operator(self, event: Event) -> None:
        """Tell the decision what the operator did; it counts at the next step. Safe from any thread."""
        self._events.append(event)

    def step(
        self,
        frame: Frame | None,
        context: Mapping[str, float | Signal],
        now: float,
        *,
        manual: Mapping[str, float] | None = None,
    ) -> Verdict:
        """Decide once. Call it every control period, with `frame` None when there is no new picture.

        `context`: the values the policy declares `from: context`, as of `now` unless given as a `Signal` with its
        own time. `manual`: the human's command, used only after a takeover. Returns the verdict; the command in it
        was sent over the link, and it was logged.

        `now` is monotonic: a step before the last one locks out, as no age or span can be trusted any more.

        Raises:
            UsageError: `now` is not a finite number.

        """
        if not math.isfinite(now):
            raise UsageError(f"`now` is {now}: a step needs a finite number of seconds")
        if now < self._decider.last:  # every age and span that was begun before is wrong from here on
            self._events.append(Event.INTEGRITY)
        if self._link is not None:
            self._link.poll(now)
        if not self._tend(now):
            self._events.append(Event.INTEGRITY)
        seen = self._see(frame, context, now)
        self._collect(context, now)
        values, healthy, readings = read(self.program.signals, self._signals, now)
        suggested, before = self._suggest(values), self._decider.mode
        events = self._take_events()
        world = World(values, healthy, readings, seen, events, suggested, manual)
        decided = self._decider.decide(world, now)
        gated = decided.gated
        self._ask(events, before, decided.mode, now)
        self._send(gated, now)
        self._count += 1
        verdict = Verdict(
            number=self._count,
            frame=self._last_frame if self._last_frame >= 0 else None,
            at=now,
            mode=decided.mode,
            authority=decided.authority,
            gate=gated.decision,
            command=gated.command,
            causes=decided.causes,
            readings=decided.readings,
            answer=self._answer,
            suggested=None if suggested is None else Command(suggested),
            takeover_deadline=decided.deadline,
            alerts=decided.alerts,
            notices=(*decided.notices, *self._fallen(now)),
            digests=self._digests,
        )
        if self._log is not None:
            self._log.append(verdict)
        return verdict

    def close(self) -> None:
        """Give authority up and close the link, then end the worker processes and close the log, whatever fails."""
        with ExitStack() as last_first:
            if self._log is not None:
                last_first.callback(self._log.close)
            last_first.callback(self._perception.close)
            if self._link is not None:
                last_first.callback(self._link.close)

    def _tend(self, now: float) -> bool:
        """Look after the workers. False: restarts are used up and the policy says to lock out, or it fell over."""
        try:
            return self._perception.tend(now)
        except Exception:  # noqa: BLE001 - who supervises models that it cannot look after has lost its integrity
            self.perception_failures += 1
            return False

    def _fallen(self, now: float) -> tuple[Cause, ...]:
        """Which workers do not answer, and why: it is told, and takes nothing by itself."""
        try:
            return self._perception.fallen(now)
        except Exception:  # noqa: BLE001 - words must not stand in the way of a verdict
            return ()

    def _see(self, frame: Frame | None, context: Mapping[str, float | Signal], now: float) -> bool:
        """Run perception over a new frame. A frame that is not newer than the last is no frame: its signals age."""
        if frame is None or not _is_whole(frame.number) or frame.number <= self._last_frame:
            return False
        self._last_frame = int(frame.number)
        self._frame_at = number(frame.at)
        self._answer = None
        try:
            observation = self._observe(frame, context, now)
        except Exception:  # noqa: BLE001 - what a frame did to it, the older frames' signals must not cover up
            self.perception_failures += 1
            self._signals.clear()
            return True
        self._answer = observation.answer
        for signal in (
            *observation.signals,
            *self._labels.signals(observation.answer, frame.at),
            *self._labels.named(observation.named),
        ):
            self._signals[signal.name] = signal
        return True

    def _observe(self, frame: Frame, context: Mapping[str, float | Signal], now: float) -> Observation:
        """Look at a frame, at the signals whose turn it is, and at those that the answer makes worth having."""
        schedule = self._schedule
        if schedule.always:
            return self._perception.observe(frame, now)

        def besides(known: Sequence[Signal], answer: Answer | None) -> frozenset[str]:
            fresh = {signal.name: signal for signal in (*known, *self._labels.signals(answer, frame.at))}
            self._take_context(context, fresh, now)
            values, healthy, _ = read(self.program.signals, fresh, now)
            return schedule.besides(values, healthy)

        return self._perception.observe(
            frame, now, due=schedule.due(), besides=besides if schedule.conditional else None
        )

    def _take_context(
        self, context: Mapping[str, float | Signal], signals: dict[str, Signal], now: float
    ) -> None:
        for name, _ in self._context:
            value = context.get(name)
            signals[name] = value if isinstance(value, Signal) else Signal(name, value, now, "context")

    def _collect(self, context: Mapping[str, float | Signal], now: float) -> None:
        """Take the context values and measure what the runtime itself knows."""
        signals = self._signals
        self._take_context(context, signals, now)
        signals["workers_down"] = Signal("workers_down", float(self._perception.down), now, "runtime")
        age = None if self._frame_at is None else now - self._frame_at
        if age is not None and -CLOCK_SLACK <= age < 0.0:
            age = 0.0  # a camera's thread reads the clock after the loop did
        signals["frame_age"] = Signal("frame_age", age, now, "frame")
        if self._log is not None:
            signals["log_failures"] = Signal("log_failures", float(self._log.failures), now, "runtime")
        if self._link is not None:
            status = self._link.status
            acted = self._acted or status.mcu_mode == "enabled"
            self._acted = acted and self._decider.mode in _ARMED
            for name, value, at in _of_the_line(status, now, acted=self._acted):
                signals[name] = Signal(name, value, at, "link")

    def _take_events(self) -> tuple[Event, ...]:
        if self._decider.mode is Mode.INIT:
            # what the operator asks for meanwhile waits for the end of the start-up
            return (self._events.popleft(),)
        # an event that arrives meanwhile, from another thread, waits for the next step
        return tuple([self._events.popleft() for _ in range(len(self._events))])

    def _suggest(self, values: tuple[float, ...]) -> Mapping[str, float] | None:
        """Ask the planner. Whatever it does wrong, the answer is no suggestion."""
        if self._planner is None or self._answer is None:
            return None
        context = {name: values[i] for name, i in self._context}
        try:
            return dict(self._planner(self._answer, context))
        except Exception:  # noqa: BLE001 - the complex function is not trusted, not even to return
            self.planner_failures += 1
            return None

    def _ask(self, events: Sequence[Event], before: Mode, mode: Mode, now: float) -> None:
        """Hand the operator's wishes on to the microcontroller: to act, and, apart from that, to release latches.

        Arming again while the host may act already is for a microcontroller that has fallen back by itself.
        """
        if self._link is None:
            return
        if Event.RESET in events:
            self._link.release(now)
        if mode in _ARMED and (before not in _ARMED or Event.ARM in events):
            self._link.arm(now)
        elif mode not in _ARMED and before in _ARMED:
            self._link.withdraw()  # a stop must not be followed by an authority that was asked for before it

    def _send(self, gated: Gated, now: float) -> None:
        if self._link is not None:
            self._link.send(gated.command.values, gated.source, now)


def _of_the_line(
    status: LinkStatus, now: float, *, acted: bool
) -> tuple[tuple[str, float | None, float], ...]:
    """Name, value and time of every signal that the line gives. No value: nothing is known of it now.

    `acted`: the microcontroller has followed the host, so that one that is silent lost its power, and the arming.
    """
    alone = float(acted) if status.mcu_mode == "silent" else _ACTS_ALONE.get(status.mcu_mode)
    latched = None if alone is None else float(bool(status.latches))
    trip = status.round_trip
    return (
        ("link_age", now - status.last_heard, now),
        ("link_latency", trip, now if trip is None else status.round_trip_at),
        ("link_drops", float(status.dropped + status.lost), now),
        ("link_rejected", float(status.rejected), now),
        ("link_crc_errors", float(status.crc_errors), now),
        ("mcu_fallback", alone, now),
        ("mcu_latched", latched, now),
    )


def _is_whole(value: object) -> bool:
    """Whether it is a whole number, numpy's included: of anything else `newer` means nothing."""
    return isinstance(value, Integral)
