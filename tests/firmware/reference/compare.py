"""Both machines on the same random traces: equal in every byte of state and outputs, at every step, or a difference.

A difference is one step from one state; `Difference.literal` prints it, shrunk, as a test can hold it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tests.firmware.reference import core, retained
from tests.firmware.reference.layout import Layout, Records
from tests.firmware.reference.shrink import Difference, differ, flat
from tests.firmware.reference.traces import TEMPERS, Maker, memory, strange_record, warm

MODES, ACTIONS, REFUSALS, REASONS = 4, 7, 13, 12
OTHER_ACTION = 6
"""Where every action that does not exist is counted."""
DAMAGED = 0.01
"""Share of steps before which one byte of an unhealthy trace's state is changed."""


WARM = 0.85
"""Share of traces that begin in the middle of a run."""


class Core(Protocol):
    """The machine that is compared with the reference."""

    layout: Layout

    def begin(self, table: Any, retained: Records | None, now: Records) -> Records:
        """States after a reset."""

    def retain(self, states: Records, retained: Records) -> Records:
        """What would be left in retained memory."""

    def lock(self, states: Records, reasons: Any, latches: Any) -> Records:
        """The states locked from outside."""

    def step(self, table: Any, states: Records, inputs: Records, now: Records) -> tuple[Records, Records]:
        """One step of every trace."""


@dataclass
class Account:
    """What the traces reached."""

    traces: int = 0
    steps: int = 0
    enabled: int = 0
    """Steps in mode ENABLED."""
    moved: int = 0
    """Steps in which an output moved."""
    damaged: int = 0
    """States changed from outside."""
    asked: npt.NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((MODES, ACTIONS, REFUSALS), np.int64)
    )
    """Steps by mode before, action and refusal."""
    reasons: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(REASONS, np.int64))
    """Times the mode or the reason changed, by the new reason."""
    ways: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((MODES, MODES), np.int64))
    """Steps by mode before and after."""
    begun: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(REASONS, np.int64))
    """Resets, by the reason after them."""

    def add(self, before: Records, inputs: Records, outputs: Records) -> None:
        """Count one step of every trace."""
        mode = np.minimum(before["mode"], MODES - 1)
        action = np.minimum(inputs["request"]["action"], OTHER_ACTION)
        np.add.at(self.asked, (mode, action, outputs["refusal"]), 1)
        np.add.at(self.ways, (mode, outputs["mode"]), 1)
        changed = (before["mode"] != outputs["mode"]) | (before["reason"] != outputs["reason"])
        np.add.at(self.reasons, outputs["reason"][changed], 1)
        self.steps += len(before)
        self.enabled += int((outputs["mode"] == 1).sum())
        self.moved += int((outputs["value"] != before["channel"]["output"]).any(axis=1).sum())

    def merge(self, other: Account) -> None:
        """Count another account's steps here."""
        for name in ("traces", "steps", "enabled", "moved", "damaged", "asked", "reasons", "ways", "begun"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def compare(
    machine: Core,
    table: Any,
    *,
    seed: int,
    traces: int,
    steps: int,
    rules: core.Rules | None = None,
) -> tuple[Account, list[Difference]]:
    """Run so many traces of so many steps through both, from a reset to a reset.

    Ends at the first step at which any trace differs; those that do are in the list, each shrunk to that step.
    """
    rng = np.random.default_rng(seed)
    temper = np.array(TEMPERS)[rng.integers(len(TEMPERS), size=traces)]
    maker = Maker(rng, machine.layout, table, temper)
    account = Account(traces=traces)
    fresh, found = _resets(machine, maker, account)
    state = warm(maker, fresh, WARM)
    for _ in range(0 if found else steps):
        before = maker.damage(state, DAMAGED)
        account.damaged += int(differ(before, state).sum())
        now = maker.times(before)
        inputs = maker.inputs(before, now)
        state, outputs = core.step(table, before, inputs, now, rules)
        theirs, answered = machine.step(table, before, inputs, now)
        wrong = np.flatnonzero(differ(state, theirs) | differ(outputs, answered))
        if len(wrong):
            cases = [(before[i : i + 1], inputs[i : i + 1], now[i : i + 1]) for i in wrong[:20]]
            return account, [difference(machine, table, *case, rules=rules) for case in cases]
        account.add(before, inputs, outputs)
    return account, found or _locks(machine, maker, state)


def _resets(machine: Core, maker: Maker, account: Account) -> tuple[Records, list[Difference]]:
    """States after a reset that finds anything at all in retained memory; and how writing to it differs."""
    table, kind, start = maker.table, machine.layout.state, maker.starts()
    nothing = machine.begin(table, None, start)
    found = _unlike("begin", retained.begin(table, kind, None, start), nothing)
    state = warm(maker, nothing, WARM)
    kept, fresh = _strange(maker, state), nothing
    for _ in range(3):
        found += _unlike("retain", retained.retain(state, kept), machine.retain(state, kept))
        kept = np.where(maker.rng.random(len(start)) < 0.6, machine.retain(state, kept), kept)
        kept = memory(maker, kept)
        fresh = retained.begin(table, kind, kept, start)
        found += _unlike("begin", fresh, machine.begin(table, kept, start))
        np.add.at(account.begun, fresh["reason"], 1)
    return fresh, found


def _strange(maker: Maker, state: Records) -> Records:
    """Retained memory whose records pass their checks, whatever they say."""
    kept = np.zeros(len(state), maker.layout.retained)
    for place in (0, 1):
        record = strange_record(maker, state)
        record["check"] = retained.check_of(record)
        kept["record"][:, place] = record
    return kept


def unlike_resets(machine: Core, table: Any, seed: int) -> list[Difference]:
    """How starts differ with a table that need not be sound, with and without retained memory."""
    maker = Maker(np.random.default_rng(seed), machine.layout, table, np.full(16, TEMPERS[-1]))
    kind, start = machine.layout.state, maker.starts()
    nothing = machine.begin(table, None, start)
    kept = memory(maker, _strange(maker, nothing))
    return [
        *_unlike("begin", retained.begin(table, kind, None, start), nothing),
        *_unlike("begin", retained.begin(table, kind, kept, start), machine.begin(table, kept, start)),
    ]


def _locks(machine: Core, maker: Maker, state: Records) -> list[Difference]:
    reasons = maker.rng.integers(0, REASONS, size=len(state)).astype(np.uint8)
    latches = maker.rng.integers(0, 16, size=len(state)).astype(np.uint8)
    ours, theirs = retained.lock(state, reasons, latches), machine.lock(state, reasons, latches)
    return _unlike("lock", ours, theirs)


def _unlike(call: str, ours: Records, theirs: Records) -> list[Difference]:
    wrong = np.flatnonzero(differ(ours, theirs))[:3]
    return [Difference(call, None, None, None, None, None, _fields(ours[i], theirs[i])) for i in wrong]


def difference(
    machine: Core,
    table: Any,
    before: Records,
    inputs: Records,
    now: Records,
    *,
    rules: core.Rules | None = None,
) -> Difference:
    """What differs after one step of one trace; `fields` is empty when nothing does."""
    ours = core.step(table, before, inputs, now, rules)
    theirs = machine.step(table, before, inputs, now)
    fields = _fields(ours[0][0], theirs[0][0]) + _fields(ours[1][0], theirs[1][0])
    return Difference("step", machine.layout, table, before, inputs, now, fields)


def _fields(ours: Any, theirs: Any) -> tuple[str, ...]:
    pairs = zip(flat(ours), flat(theirs))
    return tuple(f"{name}: {mine} / {other}" for (name, mine), (_, other) in pairs if mine != other)
