"""The guarded loop of `edgeguard run`: polls each source, steps its guard at the policy's period, shows and counts.

Time and waiting are arguments. It decides nothing; what it may do is arm, and hand the operator's keys on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from edgeguard.explain import changed
from edgeguard.types import Answer, Authority, Event, Frame, Mode, Signal, Verdict

if TYPE_CHECKING:
    from edgeguard.sources import Source
    from edgeguard.types import Image

USE_ANSWER = "use_answer"
"""An envelope of this one actuator gates the answer itself: 1, what comes after may use it; 0, it may not."""
IDLE_EVERY = 1.0
"""Time from one call of `Clock.idle` to the next (s)."""
IDLE_ROOM = 0.005
"""`Clock.idle` is only called when the next step is this far away (s)."""


class Steps(Protocol):
    """What the loop needs of a guard."""

    def step(self, frame: Frame | None, context: Mapping[str, float | Signal], now: float) -> Verdict:
        """Decide once."""
        ...

    def operator(self, event: Event) -> None:
        """Tell what the operator did."""
        ...


class Presses(Protocol):
    """What the loop needs of the operator's keys."""

    quit: bool

    def poll(self) -> list[Event]:
        """Return what was pressed since the last call."""
        ...


class Manager(Protocol):
    """What the loop needs of the service manager."""

    def stepped(self, now: float, *, healthy: bool, status: str) -> None:
        """Hear that a round was done."""
        ...


@dataclass(slots=True)
class Summary:
    """What happened. `authority`: steps by who could act; `labels`: frames by answer."""

    steps: int = 0
    frames: int = 0
    seconds: float = 0.0
    authority: Counter[Authority] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        lines = [f"{self.frames} frames and {self.steps} steps in {self.seconds:.1f} s"]
        for who in Authority:
            if self.authority[who]:
                share = self.authority[who] / self.steps
                lines.append(f"  {who.name.lower().replace('_', ' '):<11}{share:7.1%} of the steps")
        common = ", ".join(f"{name} {count}" for name, count in self.labels.most_common(5))
        return "\n".join([*lines, f"  the model said: {common or 'nothing'}"])

    def count(self, verdict: Verdict, frame: Frame | None) -> None:
        """Take one step into account."""
        self.steps += 1
        self.authority[verdict.authority] += 1
        if frame is not None:
            self.frames += 1
            self.labels[verdict.answer.name if verdict.answer is not None else "(no answer)"] += 1


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as the loop sees it. Both in s, monotonic. `idle` is called now and then, when there is time."""

    now: Callable[[], float]
    sleep: Callable[[float], None]
    idle: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Limits:
    """How the loop runs. `seconds`: its longest duration; `arm`: arm as soon as no rule holds; times in s."""

    period: float
    seconds: float = float("inf")
    arm: bool = True


@dataclass(slots=True)
class Camera:
    """One camera with the guard that decides on it. One that fails gives up and is out; the others go on."""

    name: str
    guard: Steps
    source: Source
    show: Callable[[Verdict, Image | None], None]
    give_up: Callable[[Exception], None] = lambda _: None
    """Gives the host's authority up at once, without waiting for anything, and tells why."""
    summary: Summary = field(default_factory=Summary)
    failure: Exception | None = None
    arming: bool = False
    state: str = "start"
    """Who acts, in a word, for the service manager."""
    image: Image | None = None
    last: Verdict | None = None

    @property
    def over(self) -> bool:
        """Whether nothing will come of it any more."""
        return self.source.ended or self.failure is not None

    def turn(self, events: Sequence[Event], context: Mapping[str, float | Signal], now: float) -> bool:
        """Do one step; tell whether it was done."""
        try:
            self._step(events, context, now)
        except Exception as error:  # noqa: BLE001 - a fault of one guard is none of the others
            self.failure = error
            self.state = "failed"
            with suppress(Exception):  # a line that is broken, too, has lost its authority anyway
                self.give_up(error)
        return self.failure is None

    def _step(self, events: Sequence[Event], context: Mapping[str, float | Signal], now: float) -> None:
        for event in events:
            self.guard.operator(event)
            self.arming = self.arming and event is not Event.STOP  # whoever stops it before it acts means it
        if self.arming:
            self.guard.operator(Event.ARM)
        frame = self.source.poll(now)
        self.image = self.image if frame is None else frame.image
        verdict = self.guard.step(frame, context, now)
        self.arming = self.arming and verdict.mode in (Mode.INIT, Mode.STANDBY)
        self.summary.count(verdict, frame)
        if changed(self.last, verdict):
            self.state = f"{verdict.authority.name.lower()} ({verdict.mode.value})"
        self.last = verdict
        self.show(verdict, self.image)


def use_answer(answer: Answer, context: Mapping[str, float]) -> Mapping[str, float]:  # noqa: ARG001 - a planner's form
    """Suggest that the answer may be used: the planner for an envelope of `use_answer` alone."""
    return {USE_ANSWER: 1.0}


def run_loop(
    cameras: Sequence[Camera],
    keys: Presses,
    *,
    context: Mapping[str, float],
    limits: Limits,
    clock: Clock,
    manager: Manager | None = None,
) -> None:
    """Step all in turn until the last source ends, the time is over, the operator quits, or no guard is left."""
    start = due = idled = clock.now()
    for camera in cameras:
        camera.arming = limits.arm
    while not (keys.quit or all(camera.over for camera in cameras)) and clock.now() - start < limits.seconds:
        events = keys.poll()
        stepped = [c.turn(events, context, clock.now()) for c in cameras if c.failure is None]
        if manager is not None:
            status = "; ".join(f"{camera.name}: {camera.state}" for camera in cameras)
            manager.stepped(clock.now(), healthy=any(stepped), status=status)
        due += limits.period
        now = clock.now()
        if now - idled >= IDLE_EVERY and due - now >= IDLE_ROOM:
            clock.idle()
            idled = now
        ahead = due - clock.now()
        if ahead > 0.0:
            clock.sleep(ahead)
        else:
            due = clock.now()  # late: no burst of steps to catch up
    for camera in cameras:
        camera.summary.seconds = clock.now() - start
    failed = [camera.failure for camera in cameras if camera.failure is not None]
    if len(failed) == len(cameras):
        raise failed[0]
