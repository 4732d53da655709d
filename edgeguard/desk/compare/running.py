"""What of a policy says who runs what, where and how often, as facts: models, workers, schedules, qualifications.

The weaker the sandbox, the more that share a process, the sparser the schedule and the less that was asked of a model,
the more permissive. Cores and priorities are not compared: they take nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import NamedTuple, get_args

from edgeguard.desk.compare.fact import Fact, fewer, limit
from edgeguard.desk.compare.order import Order, changed, falling, joined, rising
from edgeguard.policy.deployment import alternates, switch
from edgeguard.policy.looks import FILTER, HOST, bundles, home, place, runnable, workers
from edgeguard.policy.pace import waiting
from edgeguard.policy.running import Sandbox, Worker
from edgeguard.policy.schema import Policy
from edgeguard.policy.source import Path
from edgeguard.policy.units import duration_text, memory_text

LEVELS: tuple[str, ...] = ("in the host", *get_args(Sandbox))
"""From the least that keeps a look apart to the most."""


class Turns(NamedTuple):
    """When a signal is computed: how long it may be spared (s), and what else computes it."""

    spared: float
    offset: int
    or_when: str


ALWAYS = Turns(0.0, 0, "")
"""On every frame."""


def running(policy: Policy) -> Iterator[tuple[Path, Fact]]:
    """Every such fact of a policy by its place."""
    yield from _models(policy)
    yield from _qualified(policy)
    roles = tuple(
        dict.fromkeys((*runnable(policy), *((FILTER,) if policy.filter and not policy.fused else ())))
    )
    yield ("isolation", "workers"), Fact(frozenset(_shared(policy, roles)), fewer, _together)
    for look in roles:
        yield from _kept_apart(policy, look)
    for name in policy.signals:
        yield ("schedule", name), Fact(_turns(policy, name), _sparser, _said)
    yield ("realtime", "required"), Fact(bool(policy.realtime and policy.realtime.required), rising, _yes)


def _models(policy: Policy) -> Iterator[tuple[Path, Fact]]:
    """Which models run, and on what."""
    for role, model in bundles(policy).items():
        path = place(role)
        yield path, Fact((model.bundle, model.backend), changed, " on ".join)
        yield (*path, "cpu_fallback"), Fact(model.cpu_fallback, _known(falling), _yes)
    others = frozenset(alternates(policy))
    yield ("models", "primary", "alternates"), Fact(others, fewer, _listed)
    yield ("models", "primary", "switch"), Fact(switch(policy), changed, lambda s: f"every {s.every} frames")


def _qualified(policy: Policy) -> Iterator[tuple[Path, Fact]]:
    """What was asked of each model; of what is not stated, nothing was."""
    for role, asked in policy.qualification.items():
        path: Path = ("qualification", role)
        yield (*path, "accuracy_loss"), Fact(asked.accuracy_loss, limit, _share)
        yield (*path, "common_mode"), Fact(asked.common_mode, limit, _share)


def _shared(policy: Policy, roles: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Which looks share a process with which other, or with the host."""
    homes = {**{role: home(policy, role) for role in roles}, "host": HOST}
    return ((a, b) for a, b in combinations(homes, 2) if homes[a] == homes[b])


def _kept_apart(policy: Policy, look: str) -> Iterator[tuple[Path, Fact]]:
    """What the process of a look may do. A look that one policy does not have is no fact."""
    worker = workers(policy).get(home(policy, look))
    path: Path = ("isolation", look)
    level = LEVELS.index(_sandbox(policy, worker)) if worker else 0
    yield (*path, "sandbox"), Fact(level, _known(rising), LEVELS.__getitem__)
    if worker is None:
        return
    yield (*path, "memory"), Fact(worker.memory, limit, memory_text)
    yield (
        (*path, "devices"),
        Fact(worker.devices is not None, _known(falling), lambda gpu: "gpu" if gpu else "none"),
    )
    yield (*path, "deadline"), Fact(worker.deadline, _known(falling), duration_text)
    given = worker.restarts
    yield (*path, "restarts", "most"), Fact(given.most, _known(falling))
    yield (*path, "restarts", "within"), Fact(given.within, _known(rising), duration_text)
    yield (
        (*path, "restarts", "then"),
        Fact(given.then == "lockout", _known(rising), lambda out: "lockout" if out else "stay_down"),
    )


def _sandbox(policy: Policy, worker: Worker) -> str:
    return worker.sandbox or (policy.isolation.sandbox if policy.isolation else "preferred")


def _known(order: Callable[[float, float], Order]) -> Callable[[float | None, float | None], Order]:
    """`order`, where both policies say something."""
    return lambda old, new: Order.EQUIVALENT if old is None or new is None else order(old, new)


def _sparser(old: Turns | None, new: Turns | None) -> Order:
    """The more often the stricter; on every frame is the strictest."""
    if old is None or new is None:
        return Order.EQUIVALENT
    if ALWAYS in (old, new):
        return rising(old == ALWAYS, new == ALWAYS)
    sooner = falling(old.spared, new.spared)
    waits = changed(old.offset, new.offset) if sooner is Order.EQUIVALENT else sooner
    if old.or_when == new.or_when:
        return waits
    besides = (
        rising(bool(old.or_when), bool(new.or_when))
        if not (old.or_when and new.or_when)
        else Order.INCOMPARABLE
    )
    return joined((waits, besides))


def _turns(policy: Policy, name: str) -> Turns:
    pace = policy.schedule.get(name)
    return Turns(waiting(policy, name), pace.offset, pace.or_when or "") if pace else ALWAYS


def _said(turns: Turns) -> str:
    if turns == ALWAYS:
        return "computed on every frame"
    besides = f", or when {turns.or_when}" if turns.or_when else ""
    return f"computed with {duration_text(turns.spared)} between at most{besides}"


def _yes(value: bool) -> str:  # noqa: FBT001 - a fact's own value
    return "true" if value else "false"


def _share(value: float) -> str:
    return f"{value:g}"


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _together(pairs: frozenset[tuple[str, str]]) -> str:
    listed = ", ".join(sorted(" with ".join(pair) for pair in pairs))
    return f"one process for {listed}" if listed else "a process each"
