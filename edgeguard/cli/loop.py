"""The guarded loop of `edgeguard run`: polls a source, steps the guard at the policy's period, shows and counts.

Time and waiting are arguments. It decides nothing; what it may do is arm, and hand the operator's keys on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from edgeguard.types import Answer, Authority, Event, Frame, Mode, Signal, Verdict

if TYPE_CHECKING:
    from edgeguard.console import Extra, Screen
    from edgeguard.sources import Source
    from edgeguard.types import Image

USE_ANSWER = "use_answer"
"""An envelope of this one actuator gates the answer itself: 1, what comes after may use it; 0, it may not."""


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


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as the loop sees it. Both in s, monotonic."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """How the loop runs. `seconds`: its longest duration; `arm`: arm as soon as no rule holds; times in s."""

    period: float
    seconds: float = float("inf")
    arm: bool = True


def use_answer(answer: Answer, context: Mapping[str, float]) -> Mapping[str, float]:  # noqa: ARG001 - a planner's form
    """Suggest that the answer may be used: the planner for an envelope of `use_answer` alone."""
    return {USE_ANSWER: 1.0}


def run_loop(
    guard: Steps,
    source: Source,
    screen: Screen,
    keys: Presses,
    *,
    context: Mapping[str, float],
    limits: Limits,
    clock: Clock,
    extra: Callable[[], Extra],
) -> Summary:
    """Step until the source ends, the time is over or the operator quits."""
    summary = Summary()
    start = due = clock.now()
    image: Image | None = None
    arming = limits.arm
    while not (source.ended or keys.quit) and clock.now() - start < limits.seconds:
        for event in keys.poll():
            guard.operator(event)
            arming = arming and event is not Event.STOP  # whoever stops it before it acts means it
        if arming:
            guard.operator(Event.ARM)
        now = clock.now()
        frame = source.poll(now)
        image = image if frame is None else frame.image
        verdict = guard.step(frame, context, now)
        arming = arming and verdict.mode in (Mode.INIT, Mode.STANDBY)
        _count(summary, verdict, frame)
        screen.show(verdict, image, extra())
        due += limits.period
        ahead = due - clock.now()
        if ahead > 0.0:
            clock.sleep(ahead)
        else:
            due = clock.now()  # late: no burst of steps to catch up
    summary.seconds = clock.now() - start
    return summary


def _count(summary: Summary, verdict: Verdict, frame: Frame | None) -> None:
    summary.steps += 1
    summary.authority[verdict.authority] += 1
    if frame is not None:
        summary.frames += 1
        summary.labels[verdict.answer.name if verdict.answer is not None else "(no answer)"] += 1
