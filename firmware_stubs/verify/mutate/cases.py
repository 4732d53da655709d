"""What the core must do, worked out once by its second implementation: single steps, starts, locks, kept records.

A mutant is asked the same, in one call for thousands of cases; a byte that differs kills it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeguard.program import Program
from tests.firmware.reference import core, retained
from tests.firmware.reference.layout import Layout, Records
from tests.firmware.reference.machine import Machine
from tests.firmware.reference.policies import random_policy
from tests.firmware.reference.table import table_of
from tests.firmware.reference.traces import TEMPERS, Maker, warm
from tests.firmware.reference.words import Table

ACTUATORS, SENSORS, RULES, TERMS = 3, 8, 8, 4
DAMAGED = 0.02
WARM = 0.5
"""Share of traces that begin in the middle of a run."""
UNSOUND = 2
"""Tables of which every number is taken to its edges."""


Change = tuple[tuple[str, ...], tuple[int, ...], int]
"""Names of the fields, places in their arrays behind the state's own, and the value."""


@dataclass(frozen=True)
class Steps:
    """One step from each of N states, and what must come of it."""

    table: Table
    before: Records
    inputs: Records
    now: Records
    after: Records
    outputs: Records

    def holds(self, machine: Machine) -> bool:
        """Whether the machine does the same."""
        after, outputs = machine.step(self.table, self.before, self.inputs, self.now)
        return after.tobytes() == self.after.tobytes() and outputs.tobytes() == self.outputs.tobytes()


@dataclass(frozen=True)
class Starts:
    """N resets, with retained memory or without."""

    table: Table
    kept: Records | None
    now: Records
    after: Records

    def holds(self, machine: Machine) -> bool:
        """Whether the machine begins the same."""
        return machine.begin(self.table, self.kept, self.now).tobytes() == self.after.tobytes()


@dataclass(frozen=True)
class Keeps:
    """N states written to retained memory, and locked."""

    states: Records
    kept: Records
    after: Records
    locked: Records
    reasons: Records
    latches: Records

    def holds(self, machine: Machine) -> bool:
        """Whether the machine keeps and locks the same."""
        kept = machine.retain(self.states, self.kept)
        locked = machine.lock(self.states, self.reasons, self.latches)
        return kept.tobytes() == self.after.tobytes() and locked.tobytes() == self.locked.tobytes()


Cases = list[Steps | Starts | Keeps]


def largest_policy(seed: int = 1) -> Program:
    """A policy that takes all the room of `ACTUATORS` to `TERMS`: the library's sizes."""
    rng = np.random.default_rng(seed)
    for number in range(10_000):
        policy = random_policy(rng, actuators=ACTUATORS, name=f"p{number}")
        own = policy.microcontroller
        terms = max((len(rule.terms) for rule in own.rules), default=0)
        if (len(own.sensors), len(own.rules), terms) == (SENSORS, RULES, TERMS):
            return policy
    raise RuntimeError("no policy of that size was drawn")


def make_cases(layout: Layout, *, seed: int, tables: int, traces: int, steps: int) -> Cases:
    """Work out what must come of so many random tables, traces of each, and steps of those."""
    rng = np.random.default_rng(seed)
    found: Cases = []
    for number in range(tables):
        table = table_of(random_policy(rng, actuators=ACTUATORS, name=f"p{number}"), layout)
        found += _starts(rng, layout, table)
        found += _traces(rng, layout, table, traces, steps)
    return found + edges(layout, seed=seed)


def edges(layout: Layout, *, seed: int) -> Cases:
    """Every number of a table and of a state at the last value that is sound, and at the first that is not."""
    rng = np.random.default_rng(seed)
    found: Cases = []
    for _ in range(UNSOUND):
        table = table_of(largest_policy(int(rng.integers(2**31))), layout)
        found += _table_edges(rng, layout, table)
        found += [_state_edges(rng, layout, table, mode) for mode in range(5)]
    return found


def _traces(
    rng: np.random.Generator, layout: Layout, table: Table, traces: int, steps: int
) -> Iterator[Steps | Keeps]:
    temper = np.array(TEMPERS)[rng.integers(len(TEMPERS), size=traces)]
    maker = Maker(rng, layout, table, temper)
    state = warm(maker, retained.begin(table, layout.state, None, maker.starts()), WARM)
    kept = np.zeros(traces, layout.retained)
    for _ in range(steps):
        before = maker.damage(state, DAMAGED)
        now = maker.times(before)
        inputs = maker.inputs(before, now)
        state, outputs = core.step(table, before, inputs, now)
        yield Steps(table, before, inputs, now, state, outputs)
        reasons = rng.integers(0, 12, size=traces, dtype=np.uint8)
        latches = rng.integers(0, 16, size=traces, dtype=np.uint8)
        after = retained.retain(state, kept)
        yield Keeps(state, kept, after, retained.lock(state, reasons, latches), reasons, latches)
        kept = _damaged(rng, after)


def _damaged(rng: np.random.Generator, kept: Records) -> Records:
    """Retained memory, some of it with one byte changed, and some with turns about to come round again."""
    raw = kept.copy().view(np.uint8).reshape(len(kept), -1)
    rows = np.flatnonzero(rng.random(len(kept)) < 0.1)
    raw[rows, rng.integers(raw.shape[1], size=len(rows))] ^= rng.integers(
        1, 256, size=len(rows), dtype=np.uint8
    )
    changed = raw.reshape(-1).view(kept.dtype)
    turns = rng.choice(
        np.array([0, 1, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1], np.uint32), size=(len(kept), 2)
    )
    turned = changed.copy()
    turned["record"]["turn"] = turns
    for place in range(2):
        turned["record"]["check"][:, place] = retained.check_of(turned["record"][:, place])
    return np.asarray(np.where(rng.random(len(kept)) < 0.1, turned, changed))


def _starts(rng: np.random.Generator, layout: Layout, table: Table, count: int = 200) -> Iterator[Starts]:
    now = rng.integers(0, 2**40, size=count).astype(np.uint64)
    yield Starts(table, None, now, retained.begin(table, layout.state, None, now))
    kept = np.zeros(count, layout.retained)
    record = kept["record"]
    shape = record["output"].shape
    limits = table["actuator"]
    inside = rng.integers(np.broadcast_to(limits["min"], shape), limits["max"].astype(np.int64) + 1)
    record["output"] = np.where(rng.random(shape) < 0.8, inside, rng.integers(-(2**31), 2**31, size=shape))
    record["mode"] = rng.integers(0, 5, size=record.shape)
    record["latches"] = rng.integers(0, 20, size=record.shape)
    first = rng.integers(0, 2**32, size=count)
    record["turn"] = (
        np.stack([first, first + rng.choice([-2, -1, 0, 1, 2, 2**31], size=count)], axis=1) % 2**32
    )
    for place in range(2):
        record["check"][:, place] = retained.check_of(record[:, place])
    kept = _damaged(rng, kept)
    yield Starts(table, kept, now, retained.begin(table, layout.state, kept, now))


def _table_edges(rng: np.random.Generator, layout: Layout, like: Table) -> Iterator[Starts]:
    """Starts from tables in which one number is the last that is sound, or the first that is not."""
    kept = np.zeros(2, layout.retained)
    kept["record"]["output"] = like["actuator"]["max"] // 2
    kept["record"]["mode"], kept["record"]["latches"] = 1, 5
    kept["record"]["check"][1] = retained.check_of(kept["record"][1])  # and the first has none that is sound
    now = rng.integers(0, 2**40, size=2).astype(np.uint64)
    for path, value in _changes(like):
        table = like.copy()
        place: Any = table
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        yield Starts(table, kept, now, retained.begin(table, layout.state, kept, now))


def _changes(table: Table) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Every number that soundness asks for, by its way into the table, with the values next to where it ends."""
    degraded, lost = int(table["degraded_us"]), int(table["lost_us"])
    plain = {
        "arm_commands": (0, 1),
        "stop": (0, 1, 2, 255),
        "degraded_us": (0, 1, lost, lost + 1),
        "lost_us": (degraded, degraded - 1),
        "sensors": (0, SENSORS, SENSORS + 1),
        "rules": (0, RULES, RULES + 1),
    }
    for name, values in plain.items():
        yield from (((name,), value) for value in values)
    for i, actuator in enumerate(table["actuator"]):
        least, safe, most = (int(actuator[name]) for name in ("min", "safe", "max"))
        own = {
            "min": (safe, safe + 1),
            "max": (safe, safe - 1),
            "safe": (least, least - 1, most, most + 1),
            "rise": (0, 1, -1),
            "fall": (0, 1, -1),
            "lead": (0, -1),
            "authority": (3, 4, 255),
        }
        for name, values in own.items():
            yield from ((("actuator", i, name), value) for value in values)
        for j in range(RULES):
            yield from ((("rule", j, "value", i), v) for v in (least, least - 1, most, most + 1))
    sensors = int(table["sensors"])
    for j in range(RULES):
        yield from ((("rule", j, "terms"), value) for value in (0, TERMS, TERMS + 1))
        for k in range(TERMS):
            yield from ((("rule", j, "term", k, "sensor"), value) for value in (sensors, 255))
            yield from ((("rule", j, "term", k, "relation"), value) for value in (3, 4))


def _state_edges(rng: np.random.Generator, layout: Layout, table: Table, mode: int) -> Steps:
    """One step from states that are sound but for one number."""
    now = 10_000_000
    like = retained.begin(table, layout.state, None, np.array([now - 5_000], np.uint64))
    like["mode"], like["session"] = mode, 1
    like["channel"]["heard_us"] = now - 5_000
    like["channel"]["in_time"] = table["arm_commands"]
    changes = list(_state_changes(table, like[0]))
    before = np.repeat(like, len(changes))
    for row, (names, index, value) in enumerate(changes):
        numbers: Any = before
        for name in names:
            numbers = numbers[name]
        place = (row, *index)
        numbers[place] = value
    times = np.full(len(before), now, np.uint64)
    inputs = np.zeros(len(before), layout.inputs)
    senses = inputs["senses"]
    senses["stop_released"] = 1
    senses["measured"]["at_us"], senses["measured"]["valid"] = now, 1
    senses["measured"]["value"] = like["channel"]["output"]
    senses["sensor"]["value"] = rng.integers(-(2**31), 2**31, size=senses["sensor"].shape)
    after, outputs = core.step(table, before, inputs, times)
    return Steps(table, before, inputs, times, after, outputs)


def _state_changes(table: Table, like: Table) -> Iterator[Change]:
    """Every number that soundness asks for, at its edges."""
    stepped = int(like["stepped_us"])
    plain: dict[str, tuple[int, ...]] = {
        "stepped_us": (stepped, stepped + 4_999, stepped + 5_000, stepped + 5_001, 2**64 - 1),
        "slewed_us": (0, stepped, stepped + 1),
        "mode": (0, 1, 2, 3, 4, 255),
        "reason": (0, 11, 12, 255),
        "latches": (0, 1, 8, 15, 16, 255),
        "session": (0, 1, 2, 255),
    }
    for name, values in plain.items():
        yield from (((name,), (), value) for value in values)
    yield from ((("spare",), (i,), 1) for i in range(4))
    for i, limits in enumerate(table["actuator"]):
        least, most = int(limits["min"]), int(limits["max"])
        own = {
            "heard_us": (0, stepped, stepped + 1),
            "target": (least, least - 1, most, most + 1),
            "output": (least, least - 1, most, most + 1),
            "source": (0, 3, 4, 255),
            "in_time": (0, int(table["arm_commands"]), int(table["arm_commands"]) + 1, 255),
        }
        for name, values in own.items():
            yield from ((("channel", name), (i,), value) for value in values)
        yield from ((("channel", "spare"), (i, j), 255) for j in range(6))
