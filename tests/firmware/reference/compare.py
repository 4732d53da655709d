"""Both machines on the same random traces: equal in every byte of state and outputs, at every step, or a difference.

A difference is one step from one state; `Difference.literal` prints it, shrunk, as a test can hold it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from tests.firmware.reference import core
from tests.firmware.reference.layout import Layout, Records
from tests.firmware.reference.traces import TEMPERS, Maker, warm

MODES, ACTIONS, REFUSALS, REASONS = 4, 7, 13, 12
OTHER_ACTION = 6
"""Where every action that does not exist is counted."""
DAMAGED = 0.01
"""Share of steps before which one byte of an unhealthy trace's state is changed."""


class Core(Protocol):
    """The machine that is compared with the reference."""

    layout: Layout

    def begin(self, table: Any, retained: Records | None, now: Records) -> Records:
        """States after a reset."""

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
        for name in ("traces", "steps", "enabled", "moved", "damaged", "asked", "reasons", "ways"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Difference(NamedTuple):
    """One step at which the machines differ: from a state that both had."""

    layout: Layout
    table: Any
    before: Records
    inputs: Records
    now: Records
    """Each of one entry."""
    fields: tuple[str, ...]
    """What differs: `field: reference / C`."""


def compare(
    machine: Core,
    table: Any,
    *,
    seed: int,
    traces: int,
    steps: int,
    rules: core.Rules | None = None,
) -> tuple[Account, list[Difference]]:
    """Run so many traces of so many steps through both. Ends at the first step at which any trace differs."""
    rng = np.random.default_rng(seed)
    temper = np.array(TEMPERS)[rng.integers(len(TEMPERS), size=traces)]
    maker = Maker(rng, machine.layout, table, temper)
    account = Account(traces=traces)
    start = maker.starts()
    state = warm(maker, machine.begin(table, None, start))
    for _ in range(steps):
        before = maker.damage(state, DAMAGED)
        account.damaged += int(_differ(before, state).sum())
        now = maker.times(before)
        inputs = maker.inputs(before, now)
        state, outputs = core.step(table, before, inputs, now, rules)
        theirs, answered = machine.step(table, before, inputs, now)
        wrong = np.flatnonzero(_differ(state, theirs) | _differ(outputs, answered))
        if len(wrong):
            cases = [(before[i : i + 1], inputs[i : i + 1], now[i : i + 1]) for i in wrong]
            return account, [difference(machine, table, *case, rules=rules) for case in cases[:50]]
        account.add(before, inputs, outputs)
    return account, []


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
    fields = [
        f"{name}: {a} / {b}"
        for mine, other in zip(ours, theirs)
        for (name, a), (_, b) in zip(flat(mine[0]), flat(other[0]))
        if a != b
    ]
    return Difference(machine.layout, table, before, inputs, now, tuple(fields))


def flat(record: Any, prefix: str = "") -> list[tuple[str, int]]:
    """Every number of a record by its name, as `channel[0].output`."""
    if record.dtype.names:
        inner = [flat(record[name], f"{prefix}.{name}" if prefix else name) for name in record.dtype.names]
        return [pair for pairs in inner for pair in pairs]
    if record.shape:
        return [pair for i, entry in enumerate(record) for pair in flat(entry, f"{prefix}[{i}]")]
    return [(prefix, int(record))]


def _differ(ours: Records, theirs: Records) -> npt.NDArray[np.bool_]:
    return np.asarray((_bytes(ours) != _bytes(theirs)).any(axis=1))


def _bytes(records: Records) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(records).view(np.uint8).reshape(len(records), -1)
