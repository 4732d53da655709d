"""Random inputs for N traces of one table, dense at every limit. They look at the state, so that they get somewhere.

A trace has a temper: how often a step of it is what a healthy host and board would do. The same generator, table and
states give the same inputs. Nothing here knows what the core answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.firmware.reference.layout import Layout, Records

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LOWEST, HIGHEST = -(2**31), 2**31 - 1
TEMPERS = (1.0, 0.99, 0.95, 0.8, 0.3)
STARTS_US = (0, 1, 2**32 - 40_000, 2**32 * 1000 - 40_000, 2**63 - 40_000, 2**64 - 10_000_000)
"""Times at which counters of 32 bits, of us and of ms, are about to turn over, and the ends of the clock itself."""
GOOD_STEPS_US = (0, 1, 500, 999, 1_000, 1_000, 1_000, 1_001, 2_000, 7_000)
QUICK_STEPS_US = (0, 0, 0, 1, 100, 1_000)
"""For a table whose actuators could not all be commanded in time with longer ones."""
SPAN_US = 50_000
GRAIN_US = 1_000
SET, ARM, DISARM, RELEASE, OPENED = 1, 2, 3, 4, 5


@dataclass(frozen=True)
class Maker:
    """Makes the inputs of one batch of traces."""

    rng: np.random.Generator
    layout: Layout
    table: Any
    temper: Floats
    """(N,): share of healthy steps."""

    # ---- time

    def starts(self) -> Records:
        """When each trace begins, us."""
        return np.asarray(self._pick(STARTS_US).astype(np.uint64) + self._up_to(5_000_000))

    def times(self, state: Records) -> Records:
        """When each trace's next step is, us: mostly soon, often at a deadline, seldom before the last step."""
        quick = int(self.table["degraded_us"]) < 3_000 * self.layout.actuators
        steps = QUICK_STEPS_US if quick else GOOD_STEPS_US
        now = state["stepped_us"] + self._pick(steps).astype(np.uint64)
        column = self.rng.integers(self.layout.actuators, size=len(now))
        heard = state["channel"]["heard_us"][np.arange(len(now)), column]
        marks = (
            (heard, int(self.table["degraded_us"])),
            (heard, int(self.table["lost_us"])),
            (state["slewed_us"], GRAIN_US),
            (state["slewed_us"], SPAN_US),
            (state["stepped_us"], 0),
            (state["stepped_us"], SPAN_US * 3),
        )
        for mark, after in marks:
            at = mark + np.uint64(after) + self._pick((-1, 0, 1)).astype(np.uint64)
            take = self._seldom(0.06) & (at >= state["stepped_us"])
            now = np.where(take, at, now)
        back = self._seldom(0.02) & (self.rng.random(len(now)) < 0.3)
        now = np.where(back, state["stepped_us"] - self._pick((1, 1_000, 10**6)).astype(np.uint64), now)
        return np.asarray(now.astype(np.uint64))

    # ---- inputs

    def inputs(self, state: Records, now: Records) -> Records:
        """One step's request and senses for every trace."""
        inputs = np.zeros(len(now), self.layout.inputs)
        self._request(inputs["request"], state, now)
        senses = inputs["senses"]
        senses["stop_released"] = np.where(self._seldom(0.08), self._pick((0, 0, 0, 2, 255)), 1)
        self._measure(senses["measured"], state, now)
        self._sense(senses["sensor"], now)
        return inputs

    def _request(self, request: Records, state: Records, now: Records) -> None:
        request["policy_hash"] = self.table["policy_hash"]
        request["source"] = 2
        request["valid_ms"] = self._pick((1, 100, int(self.table["valid_max_ms"]), 0xFFFF))
        most = np.minimum(request["valid_ms"], self.table["valid_max_ms"])
        request["age_ms"] = np.where(self._seldom(0.5), most, self.rng.integers(0, most + 1))
        request["action"] = self._next_action(state)
        asks_operator = np.isin(request["action"], (ARM, RELEASE))
        request["by_operator"] = asks_operator
        self._command(request, state, now)
        self._spoil(request)

    def _next_action(self, state: Records) -> Ints:
        """What a host and an operator who want to get going would ask for."""
        full = (state["channel"]["in_time"] >= self.table["arm_commands"]).all(axis=1)
        wants_arm = full & (state["mode"] != 1) & (self.rng.random(len(state)) < 0.7)
        action = np.where(self.rng.random(len(state)) < 0.85, SET, 0)
        action = np.where(wants_arm, ARM, action)
        action = np.where((state["latches"] != 0) & (self.rng.random(len(state)) < 0.4), RELEASE, action)
        action = np.where((state["session"] == 0) & (self.rng.random(len(state)) < 0.5), OPENED, action)
        return np.where(
            self._seldom(0.10), self._pick((0, SET, ARM, DISARM, RELEASE, OPENED, 6, 255)), action
        )

    def _command(self, request: Records, state: Records, now: Records) -> None:
        """A value for the actuator that has waited longest, or that lacks most for arming."""
        channel, rows = state["channel"], np.arange(len(now))
        enabled = (state["mode"] == 1)[:, None]
        silent = (now[:, None] - channel["heard_us"]).astype(np.float64)
        lacks = np.where(enabled, silent, -channel["in_time"].astype(np.float64) + self._noise(channel.shape))
        at = np.where(
            self._seldom(0.3), self.rng.integers(channel.shape[1], size=len(now)), lacks.argmax(axis=1)
        )
        limits = self.table["actuator"]
        request["actuator"] = at
        request["value"] = self._near(limits["min"][at], limits["max"][at], channel["output"][rows, at])
        source = np.maximum(limits["authority"][at], self._pick((0, 0, 1, 2, 3)))
        request["source"] = np.where(request["action"] == SET, source, request["source"])

    def _spoil(self, request: Records) -> None:
        """One field at a time, to what it must not be."""
        valid, most = request["valid_ms"].astype(np.int64), int(self.table["valid_max_ms"])
        age = (
            self._pick((0, 1, 2**32 - 1, 2**31)),
            valid + 1,
            np.full(len(valid), most + 1),
            valid,
            valid * 0 + most,
        )
        changes = (
            ("policy_hash", self.rng.integers(2**32, size=len(valid)), 0.02),
            ("policy_hash", self.table["policy_hash"] ^ (1 << self.rng.integers(32, size=len(valid))), 0.02),
            *(("age_ms", value, 0.03) for value in age),
            ("valid_ms", self._pick((0, 1, most, most + 1, 0xFFFF)), 0.05),
            ("source", self._pick((0, 1, 2, 3, 4, 255)), 0.10),
            ("actuator", self._pick((0, self.layout.actuators, self.layout.actuators - 1, 255)), 0.05),
            ("by_operator", self._pick((0, 1, 1, 2, 255)), 0.06),
        )
        for field, value, share in changes:
            room = 2 ** (8 * request.dtype[field].itemsize) - 1
            request[field] = np.where(self._seldom(share), value & room, request[field])

    def _measure(self, reading: Records, state: Records, now: Records) -> None:
        """Near the output, and at the ends of where the core believes it."""
        limits, output = self.table["actuator"], state["channel"]["output"].astype(np.int64)
        lead = limits["lead"].astype(np.int64)
        value = output + (self._noise(output.shape) * np.minimum(lead, 50_000)).astype(np.int64)
        target = state["channel"]["target"].astype(np.int64)
        edge = self._picks(
            output.shape,
            (
                limits["min"] - lead,
                limits["max"] + lead,
                limits["min"] - lead - 1,
                limits["max"] + lead + 1,
                output + lead,
                target - lead,
                target + lead + 1,
                output * 0 + LOWEST,
                output * 0 + HIGHEST,
            ),
        )
        outside = (value < limits["min"] - lead) | (value > limits["max"] + lead)
        value = np.where(outside, output, value)
        value = np.where(self._seldom_each(output.shape, 0.1), edge, value)
        self._read(reading, value, limits["feedback_age_us"], now)

    def _sense(self, reading: Records, now: Records) -> None:
        """At the limits that rules compare with, and at the ends of the range."""
        table, shape = self.table["sensor"], reading.shape
        terms = self.table["rule"]["term"]["limit"].astype(np.int64).reshape(-1)
        marks = np.concatenate([terms, table["min"].astype(np.int64), table["max"].astype(np.int64)])
        value = marks[self.rng.integers(len(marks), size=shape)] + self.rng.integers(-1, 2, size=shape)
        low, high = table["min"].astype(np.int64), table["max"].astype(np.int64)
        inside = self.rng.integers(low, np.maximum(low, high) + 1, size=shape)
        value = np.where(self.rng.random(shape) < 0.5, inside, value)
        self._read(reading, value, table["max_age_us"], now)

    def _read(self, reading: Records, value: Any, age_us: Any, now: Records) -> None:
        shape = reading.shape
        most = age_us.astype(np.int64)
        age = (self.rng.random(shape) * np.minimum(most, 20_000)).astype(np.int64)
        odd = self._picks(shape, (most, most + 1, most - 1, most * 0 - 1, most * 0, most * 0 - 10**12))
        age = np.where(self._seldom_each(shape, 0.1), odd, age)
        reading["at_us"] = now[:, None] - age.astype(np.uint64)
        reading["value"] = np.clip(value, LOWEST, HIGHEST)
        reading["valid"] = np.where(self._seldom_each(shape, 0.05), self._picks(shape, (0, 0, 2, 255)), 1)

    # ---- damage

    def damage(self, state: Records, share: float) -> Records:
        """The states, one byte of some of them changed."""
        raw = state.copy().view(np.uint8).reshape(len(state), -1)
        rows = np.flatnonzero(self.rng.random(len(state)) < share * (1.01 - self.temper))
        raw[rows, self.rng.integers(raw.shape[1], size=len(rows))] ^= self.rng.integers(
            1, 256, size=len(rows), dtype=np.uint8
        )
        return np.asarray(raw.reshape(-1).view(state.dtype))

    # ---- dice

    def _pick(self, choices: tuple[int, ...]) -> Any:
        values = np.array([c & (2**64 - 1) for c in choices], np.uint64).astype(np.int64)
        return values[self.rng.integers(len(choices), size=len(self.temper))]

    def _picks(self, shape: tuple[int, ...], choices: tuple[Any, ...]) -> Ints:
        which = self.rng.integers(len(choices), size=shape, dtype=np.uint8)
        return np.choose(which, [np.asarray(choice, np.int64) for choice in choices])

    def _near(self, low: Any, high: Any, output: Any) -> Ints:
        low, high, output = (np.asarray(v, np.int64) for v in (low, high, output))
        inside = self.rng.integers(low, high + 1)
        shape = inside.shape
        marks = self._picks(shape, (low, high, low * 0, output, low * 0 + LOWEST, low * 0 + HIGHEST))
        near = np.clip(marks + self.rng.integers(-1, 2, size=shape), LOWEST, HIGHEST)
        return np.asarray(np.where(self.rng.random(shape) < 0.5, inside, near))

    def _noise(self, shape: tuple[int, ...]) -> Floats:
        return self.rng.random(shape) - 0.5

    def _up_to(self, most: int) -> Any:
        return self.rng.integers(most, size=len(self.temper)).astype(np.uint64)

    def _seldom(self, share: float) -> Mask:
        """In so many of the unhealthy steps."""
        return np.asarray(
            (self.rng.random(len(self.temper)) < share)
            & (self.rng.random(len(self.temper)) >= self.temper * 0.9)
        )

    def _seldom_each(self, shape: tuple[int, ...], share: float) -> Mask:
        return np.asarray((self.rng.random(shape) < share) & (self.rng.random(shape) >= self.temper[:, None]))


def warm(maker: Maker, fresh: Records, share: float) -> Records:
    """Some of the states as they could be in the middle of a run, so that short traces see all of it too."""
    rng, layout, table = maker.rng, maker.layout, maker.table
    state, limits = fresh.copy(), table["actuator"]
    count, shape = len(state), (len(state), layout.actuators)
    low, high = limits["min"].astype(np.int64), limits["max"].astype(np.int64)
    arm = int(table["arm_commands"])
    lowest = np.where(rng.random(count) < 0.6, arm, rng.integers(0, arm + 1, size=count))[:, None]
    for field in ("output", "target"):
        state["channel"][field] = rng.integers(np.broadcast_to(low, shape), high + 1)
    state["channel"]["source"] = rng.integers(0, 4, size=shape)
    state["channel"]["in_time"] = np.maximum(lowest, rng.integers(0, arm + 1, size=shape))
    silent = rng.integers(0, 1 + int(table["degraded_us"]) // 2, size=shape).astype(np.uint64)
    state["channel"]["heard_us"] = state["stepped_us"][:, None] - np.minimum(
        silent, state["stepped_us"][:, None]
    )
    state["mode"] = rng.choice(4, size=count, p=(0.15, 0.6, 0.22, 0.03))
    state["reason"] = rng.integers(0, 12, size=count)
    state["latches"] = np.where(rng.random(count) < 0.8, 0, rng.integers(0, 16, size=count))
    state["session"] = rng.random(count) < 0.95
    in_order = (state["mode"] == 1) & (rng.random(count) < 0.98)
    state["latches"][in_order] = 0
    state["session"][in_order] = 1
    return np.where(rng.random(count) < share, state, fresh)


def memory(maker: Maker, retained: Records) -> Records:
    """Retained memory as resets may find it: `retained` with damage, or nothing but noise."""
    rng, count = maker.rng, len(retained)
    records: Records = retained.copy()
    raw = records.view(np.uint8).reshape(count, -1)
    rows = np.flatnonzero(rng.random(count) < 0.25)
    raw[rows, rng.integers(raw.shape[1], size=len(rows))] ^= rng.integers(
        1, 256, size=len(rows), dtype=np.uint8
    )
    noise = np.flatnonzero(rng.random(count) < 0.05)
    raw[noise] = rng.integers(0, 256, size=(len(noise), raw.shape[1]), dtype=np.uint8)
    return records


def strange_record(maker: Maker, state: Records) -> Records:
    """One record that says what no core wrote, but for its check: the caller puts that in."""
    rng, count, layout = maker.rng, len(state), maker.layout
    record = np.zeros(count, layout.record)
    shape = (count, layout.actuators)
    wild = rng.integers(LOWEST, HIGHEST + 1, size=shape)
    record["turn"] = rng.choice([0, 1, 2, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1], size=count)
    record["output"] = np.where(rng.random(shape) < 0.9, state["channel"]["output"], wild)
    record["mode"] = rng.choice([0, 1, 1, 1, 2, 3, 4, 255], size=count)
    record["latches"] = rng.choice([0, 0, 1, 2, 4, 8, 15, 16, 255], size=count)
    record["spare"] = rng.random((count, 2)) < 0.05
    return record
