"""Where the time of a guarded frame goes: time stamps around its parts, taken inside the frame itself.

Wraps the package's own functions while it measures and puts them back. Stamps cost time, too: whole frames are measured
without them beside. Only for the process it runs in: of a worker's part it sees the waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.turns import LEAD, REST, TURN, quiet

if TYPE_CHECKING:
    from bench.guards import Guarded
    from bench.turns import Step, Times

GLUE = "glue"
"""What no part accounts for: calls, loops, and whatever lies between two parts."""

WORK = (
    "picture health",
    "resize",
    "normalise",
    "squeeze",
    "filter",
    "primary",
    "redundant",
    "fused",
    "worker",
)
"""Pictures and networks: what has to be done by whoever wants these signals."""
DOUBT = ("scoring", "answer", "signals")
"""From what networks gave to numbers of doubt: who wires sessions by hand does this, too."""
DECISION = ("readings", "decision: modes", "decision: rest", "gate", "log")
"""What a guard is for."""
PARTS = (*WORK, *DOUBT, *DECISION)
"""Everything that is a part of its own; the rest of a frame is orchestration."""

Label = Callable[[Sequence[Any]], str]


@dataclass(frozen=True, slots=True)
class Place:
    """A function to wrap: `name` of `owner`. `label` gives the part's name from the call's arguments."""

    owner: object
    name: str
    label: str | Label


def places() -> tuple[Place, ...]:
    """Every part of a frame, in the order of the frame."""
    from edgeguard import decider, guard
    from edgeguard.filter.squeeze import Squeezer
    from edgeguard.inference.asking import Asking
    from edgeguard.inference.member import HostMember
    from edgeguard.inference.onnx_backend import OnnxSession
    from edgeguard.inference.perception import Perception
    from edgeguard.inference.preprocess import Normaliser, Resizer
    from edgeguard.inference.runner import Runner
    from edgeguard.inference.scoring import Scoring
    from edgeguard.isolation import WorkerMember
    from edgeguard.log import DecisionLog
    from edgeguard.signals.health import FrameHealth

    return (
        Place(FrameHealth, "step", "picture health"),
        Place(Resizer, "__call__", "resize"),
        Place(Normaliser, "__call__", "normalise"),
        Place(Squeezer, "__call__", "squeeze"),
        Place(OnnxSession, "run", lambda args: _role(args[0].contract.bundle)),
        Place(WorkerMember, "collect", "worker"),
        Place(WorkerMember, "submit", "asking"),
        Place(Runner, "run", "running the looks"),
        Place(HostMember, "collect", "asking"),
        Place(Asking, "ask", "asking"),
        Place(Scoring, "reply", "scoring"),
        Place(Perception, "_values", "signals"),
        Place(Perception, "_answer", "answer"),
        Place(Perception, "observe", "perception, rest"),
        Place(guard, "read", "readings"),
        Place(decider, "step", "decision: modes"),
        Place(decider, "gate", "gate"),
        Place(decider.Decider, "decide", "decision: rest"),
        Place(DecisionLog, "append", "log"),
    )


def _role(bundle: str) -> str:
    words = {"fused": "fused", "redundant": "redundant", "primary": "primary"}
    return next((role for word, role in words.items() if word in bundle), "filter")


class Stamps:
    """Start and end of every wrapped call of one frame; a part's time is without that of the parts inside it."""

    def __init__(self) -> None:
        self._calls: list[tuple[str, int, int]] = []

    def wrap(self, work: Callable[..., Any], label: str | Label) -> Callable[..., Any]:
        """`work`, with a note of when it ran. As little as can be is done between the two readings of the clock."""
        clock, note = time.perf_counter_ns, self._calls.append

        def timed(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever it wraps
            started = clock()
            result = work(*args, **named)
            ended = clock()
            note((label if isinstance(label, str) else label(args), started, ended))
            return result

        return timed

    def frame(self, step: Callable[[], object]) -> dict[str, float]:
        """One frame's parts (us); what no part accounts for is glue, and the whole is their sum."""
        self._calls.clear()
        started = time.perf_counter_ns()
        step()
        ended = time.perf_counter_ns()
        spent: dict[str, float] = {}
        inside: list[tuple[int, int]] = []  # parts that ended and whose caller did not: (start, whole time)
        for label, begun, done in [*self._calls, (GLUE, started, ended)]:
            within = sum(whole for start, whole in inside if start >= begun)
            inside = [part for part in inside if part[0] < begun] + [(begun, done - begun)]
            spent[label] = spent.get(label, 0.0) + (done - begun - within) / 1000.0
        return spent


Wrap = Callable[[Callable[..., Any], "str | Label"], Callable[..., Any]]


@contextmanager
def stamped() -> Iterator[Stamps]:
    """Every part wrapped, until the end."""
    stamps = Stamps()
    with _wrapped(places(), stamps.wrap):
        yield stamps


@contextmanager
def _wrapped(chosen: Sequence[Place], wrap: Wrap) -> Iterator[None]:
    saved = [(place, vars(place.owner)[place.name]) for place in chosen]
    try:
        for place, work in saved:
            setattr(place.owner, place.name, wrap(work, place.label))
        yield
    finally:
        for place, work in saved:
            setattr(place.owner, place.name, work)


@dataclass(frozen=True, slots=True)
class InSitu:
    """Times (us) by part, one a frame, and of whole frames without any stamp."""

    parts: dict[str, Times]
    unstamped: Times

    @property
    def whole(self) -> Times:
        """A stamped frame."""
        return _sum(self.parts.values())

    def of(self, names: Sequence[str]) -> Times:
        """The time of some parts together, a frame."""
        return _sum([times for name, times in self.parts.items() if name in names] or [0.0 * self.whole])

    @property
    def orchestration(self) -> Times:
        """What no part accounts for, a frame, stamps included."""
        return self.whole - self.of(PARTS)


def in_situ(table: Mapping[str, Guarded], count: int) -> dict[str, InSitu]:
    """Take at least `count` frames of each guard apart; each takes a turn with stamps and one without."""
    frames: dict[str, list[dict[str, float]]] = {name: [] for name in table}
    whole: dict[str, list[float]] = {name: [] for name in table}
    with quiet():
        for _ in range(-(-count // TURN)):
            for name, guarded in table.items():
                began = time.perf_counter()
                for _ in range(LEAD):
                    guarded.step()
                with stamped() as stamps:
                    stamps.frame(guarded.step)
                    frames[name] += [stamps.frame(guarded.step) for _ in range(TURN)]
                time.sleep(REST * (time.perf_counter() - began))
                began = time.perf_counter()
                for i in range(-1, TURN):
                    started = time.perf_counter_ns()
                    guarded.step()
                    if i >= 0:
                        whole[name].append((time.perf_counter_ns() - started) / 1000.0)
                time.sleep(REST * (time.perf_counter() - began))
    return {name: InSitu(_columns(frames[name]), np.array(whole[name])) for name in table}


def alone(guarded: Guarded) -> dict[str, Step]:
    """The parts of one frame that are work: each one's own calls, to be made again by themselves."""
    calls: dict[str, list[Step]] = {}

    def recording(work: Callable[..., Any], label: str | Label) -> Callable[..., Any]:
        def recorded(*args: Any) -> Any:  # noqa: ANN401 - whatever it wraps
            name = label if isinstance(label, str) else label(args)
            calls.setdefault(name, []).append(partial(work, *args))
            return work(*args)

        return recorded

    with _wrapped(
        [place for place in places() if not isinstance(place.label, str) or place.label in WORK], recording
    ):
        guarded.step()
    return {name: partial(_each, steps) for name, steps in calls.items()}


def _each(steps: Sequence[Step]) -> None:
    for step in steps:
        step()


def _columns(frames: Sequence[Mapping[str, float]]) -> dict[str, Times]:
    order = dict.fromkeys([*(name for parts in frames for name in parts if name != GLUE), GLUE])
    return {name: np.array([frame.get(name, 0.0) for frame in frames]) for name in order}


def _sum(times: Iterable[Times]) -> Times:
    return np.asarray(np.sum(list(times), axis=0))
