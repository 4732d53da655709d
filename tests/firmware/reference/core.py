"""The microcontroller's core a second time, from its text: `eg_core.h` and docs/explanation/microcontroller.md.

Integer exact, for N traces at once: every array has one entry a trace (first axis) and, where it has a second, one an
actuator. Written without a look at the C, so that a mistake has to be made twice; it may import nothing that decides.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tests.firmware.reference.layout import Records
from tests.firmware.reference.soundness import sound, within
from tests.firmware.reference.words import (
    ALL_LATCHES,
    GRAIN_US,
    NO_LIMIT,
    RESTARTS_THE_COUNT,
    SPAN_MOST_US,
    UNIT,
    Action,
    Latch,
    Mask,
    Mode,
    Numbers,
    Reason,
    Refusal,
    Source,
    Table,
    Times,
)


class Rules(NamedTuple):
    """The few choices that a test turns around, to see that a difference is noticed."""

    lost_is_late: bool = True
    """Silence of exactly `lost_us` is still in time."""
    rounds_down: bool = True
    """A move is rounded towards standing still."""


def step(
    table: Table, before: Records, inputs: Records, now: Times, rules: Rules | None = None
) -> tuple[Records, Records]:
    """One step of every trace: (state after it, outputs). `now` in us; `before` is left as it is."""
    return _Step(table, before, inputs, now, rules or Rules()).run()


class _Step:
    """One step, in the order in which the text tells it: memory, senses, deadlines, the request, the outputs."""

    def __init__(self, table: Table, before: Records, inputs: Records, now: Times, rules: Rules) -> None:
        self.table = table
        self.rules = rules
        self.now = now
        self.state = before.copy()
        self.channel = self.state["channel"]
        self.request = inputs["request"]
        self.senses = inputs["senses"]
        self.limits = {
            name: table["actuator"][name].astype(np.int64) for name in table["actuator"].dtype.names
        }
        self.refusal = np.zeros(len(now), np.uint8)

    def run(self) -> tuple[Records, Records]:
        self._check_memory()
        self.state["stepped_us"] = self.now
        self.stopped = (self.senses["stop_released"] != 1) & (self.table["stop"] == 1)
        self.usable, self.measured = self._feedback()
        self._look_at_stop()
        self._look_at_feedback()
        self._look_at_deadline()
        self._take_request()
        self._move()
        return self.state, self._outputs()

    # ---- memory

    def _check_memory(self) -> None:
        bad = ~sound(self.table, self.state) | (self.state["stepped_us"] > self.now)
        lost = bad[:, None] & ~within(self.channel["output"], self.limits)
        self.channel["output"] = np.where(lost, self.limits["safe"], self.channel["output"])
        self._forget(bad)
        self.state["latches"][bad] &= ALL_LATCHES
        self._latch(bad, Latch.MEMORY)
        self._lock_out(bad, Reason.STATE_INVALID)

    def _forget(self, where: Mask) -> None:
        """Everything but the outputs and the latches as after a reset: it cannot be trusted."""
        for field, value in (("target", self.limits["safe"]), ("source", Source.SAFE_STATE), ("in_time", 0)):
            self.channel[field] = np.where(where[:, None], value, self.channel[field])
        self.channel["heard_us"][where] = 0
        self.channel["spare"][where] = 0
        self.state["spare"][where] = 0
        self.state["session"][where] = 0
        self.state["slewed_us"][where] = self.now[where]

    def _latch(self, where: Mask, latch: Latch) -> None:
        self.state["latches"][where] |= np.uint8(latch)

    def _lock_out(self, where: Mask, reason: Reason) -> None:
        self.state["mode"][where] = Mode.LOCKOUT
        self.state["reason"][where] = reason

    # ---- what the board knows

    def _feedback(self) -> tuple[Mask, Numbers]:
        """Whether each actuator's measured position counts (where it needs none: yes), and where it is."""
        reading, limits = self.senses["measured"], self.limits
        value = reading["value"].astype(np.int64)
        near = (limits["min"] - limits["lead"] <= value) & (value <= limits["max"] + limits["lead"])
        fresh = _fresh(reading, self.now, self.table["actuator"]["feedback_age_us"])
        return (near & fresh) | (limits["feedback_age_us"] == 0), value

    def _look_at_stop(self) -> None:
        self._latch(self.stopped, Latch.STOP)
        self.channel["in_time"][self.stopped] = 0
        self._fall_back(self.stopped, Reason.STOPPED)
        self.state["reason"][self.stopped & (self.state["mode"] == Mode.FALLBACK_ONLY)] = Reason.STOPPED

    def _look_at_feedback(self) -> None:
        lost = ~self.usable.all(axis=1) & self._enabled()
        self._latch(lost, Latch.FEEDBACK)
        self._fall_back(lost, Reason.FEEDBACK_LOST)

    # ---- the host

    def _look_at_deadline(self) -> None:
        silent = self._silence()
        lost = silent > self.table["lost_us"] if self.rules.lost_is_late else silent >= self.table["lost_us"]
        self._fall_back(lost.any(axis=1), Reason.HOST_LOST)

    def _silence(self) -> Times:
        """us since each actuator's last command, modulo 2**64."""
        return np.asarray(self.now[:, None] - self.channel["heard_us"])

    def _enabled(self) -> Mask:
        return np.asarray(self.state["mode"] == Mode.ENABLED)

    def _fall_back(self, where: Mask, reason: Reason) -> None:
        """The host's authority ends, where it has any, and the way back to arming begins anew."""
        leaving = where & self._enabled()
        self.state["mode"][leaving] = Mode.FALLBACK_ONLY
        self.state["reason"][leaving] = reason
        self.channel["in_time"][leaving] = 0

    def _ready(self) -> Mask:
        """Whether an arm request would be granted now."""
        counted = self.channel["in_time"] >= self.table["arm_commands"]
        fresh = self._silence() <= self.table["degraded_us"]
        return np.asarray(
            (counted & fresh & self.usable).all(axis=1)
            & (self.state["session"] == 1)
            & (self.state["latches"] == 0)
            & (self.state["mode"] != Mode.LOCKOUT)
        )

    # ---- the request

    def _take_request(self) -> None:
        action = self.request["action"]
        self._open_session(action == Action.OPENED)
        asks = (action != Action.NOTHING) & (action != Action.OPENED)
        self._refuse(asks & (self.state["mode"] == Mode.LOCKOUT), Refusal.LOCKED_OUT)
        self._refuse(asks & (self.state["session"] != 1), Refusal.NO_SESSION)
        self._refuse(
            asks & (self.request["policy_hash"] != self.table["policy_hash"]), Refusal.NOT_THE_POLICY
        )
        self._fall_back(self.refusal == Refusal.NOT_THE_POLICY, Reason.POLICY_MISMATCH)
        age = self.request["age_ms"]
        self._refuse(
            asks & ((age > self.request["valid_ms"]) | (age > self.table["valid_max_ms"])), Refusal.TOO_OLD
        )
        self._refuse(asks & (self.request["source"] > Source.SAFE_STATE), Refusal.NO_SUCH_SOURCE)
        self._refuse(action > Action.OPENED, Refusal.NO_SUCH_ACTION)
        self._set(action == Action.SET)
        self._arm(action == Action.ARM)
        self._disarm(action == Action.DISARM)
        self._release(action == Action.RELEASE)
        self.channel["in_time"][np.isin(self.refusal, RESTARTS_THE_COUNT)] = 0

    def _granted(self) -> Mask:
        """Nothing has been refused in this step so far."""
        return np.asarray(self.refusal == Refusal.ACCEPTED)

    def _refuse(self, where: Mask, why: Refusal) -> None:
        """The first refusal counts."""
        self.refusal[where & self._granted()] = why

    def _open_session(self, where: Mask) -> None:
        self._fall_back(where, Reason.SESSION_REPLACED)
        self.state["session"][where] = 1
        self.channel["in_time"][where] = 0

    def _set(self, where: Mask) -> None:
        request, limits = self.request, self.limits
        self._refuse(where & (request["actuator"] >= len(limits["min"])), Refusal.NO_SUCH_ACTUATOR)
        at = np.minimum(request["actuator"], len(limits["min"]) - 1).astype(np.intp)
        self._refuse(where & (request["source"] < limits["authority"][at]), Refusal.NOT_ALLOWED)
        rows = np.flatnonzero(where & self._granted())
        at = at[rows]
        value = np.clip(request["value"][rows].astype(np.int64), limits["min"][at], limits["max"][at])
        safe = request["source"][rows] == Source.SAFE_STATE
        counted = self.channel["in_time"][rows, at].astype(np.int64)
        in_time = (self._silence()[rows, at] <= self.table["degraded_us"]) & (counted > 0)
        self.channel["target"][rows, at] = np.where(safe, limits["safe"][at], value)
        self.channel["source"][rows, at] = request["source"][rows]
        self.channel["in_time"][rows, at] = np.where(
            in_time, np.minimum(counted + 1, self.table["arm_commands"]), 1
        )
        self.channel["heard_us"][rows, at] = self.now[rows]

    def _by_operator(self) -> Mask:
        return np.asarray((self.request["by_operator"] == 1) & (self.request["source"] == Source.HUMAN))

    def _arm(self, where: Mask) -> None:
        self._refuse(where & ~self._by_operator(), Refusal.NOT_THE_OPERATOR)
        self._refuse(where & (self.state["latches"] != 0), Refusal.LATCHED)
        self._refuse(where & ~self._ready(), Refusal.NOT_READY)
        armed = where & self._granted()
        self.state["mode"][armed] = Mode.ENABLED
        self.state["reason"][armed] = Reason.ARMED

    def _disarm(self, where: Mask) -> None:
        given_up = where & self._granted()
        self._fall_back(given_up, Reason.DISARMED)
        self.channel["in_time"][given_up] = 0

    def _release(self, where: Mask) -> None:
        self._refuse(where & ~self._by_operator(), Refusal.NOT_THE_OPERATOR)
        self._refuse(where & self.stopped, Refusal.STOP_PRESSED)
        released = where & self._granted()
        self.state["latches"][released] = 0

    # ---- the outputs

    def _rule(self) -> Numbers:
        """Index of the first rule of the table that holds, where the fallback acts; -1: none, so safe."""
        sensor = self.senses["sensor"]
        table = self.table["sensor"]
        inside = (sensor["value"] >= table["min"]) & (sensor["value"] <= table["max"])
        usable = inside & _fresh(sensor, self.now, table["max_age_us"])
        chosen = np.full(len(self.now), -1, np.int64)
        for index in reversed(range(int(self.table["rules"]))):
            holds = np.ones(len(self.now), np.bool_)
            for term in self.table["rule"][index]["term"][: int(self.table["rule"][index]["terms"])]:
                at = int(term["sensor"])
                holds &= usable[:, at] & _compare(
                    int(term["relation"]), sensor["value"][:, at], term["limit"]
                )
            chosen[holds] = index
        acts = (self.state["mode"] == Mode.FALLBACK_ONLY) & (self.state["reason"] != Reason.STOPPED)
        return np.where(acts, chosen, -1)

    def _goal(self) -> Numbers:
        """Where each output is to go."""
        self.rule = self._rule()
        limits, enabled = self.limits, self._enabled()[:, None]
        by_rule = self.table["rule"]["value"].astype(np.int64)[self.rule]
        fallback = np.where(self.rule[:, None] >= 0, by_rule, limits["safe"])
        target = self.channel["target"].astype(np.int64)
        held = np.clip(target, self.measured - limits["lead"], self.measured + limits["lead"])
        commanded = np.where(limits["feedback_age_us"] > 0, held, target)
        return np.asarray(np.where(enabled, commanded, fallback))

    def _move(self) -> None:
        """Outputs move along rise and fall, at most every `GRAIN_US`, and never catch up with a leap."""
        goal = self._goal()
        elapsed = self.now - self.state["slewed_us"]
        moves = elapsed >= GRAIN_US
        span = np.minimum(elapsed, SPAN_MOST_US).astype(np.int64)[:, None]
        output = self.channel["output"].astype(np.int64)
        moved = output + np.clip(goal - output, -self._most("fall", span), self._most("rise", span))
        self.channel["output"] = np.where(moves[:, None], moved, output)
        self.state["slewed_us"][moves] = self.now[moves]

    def _most(self, side: str, span: Numbers) -> Numbers:
        """The largest move in `span` us, in 1e-6 of the unit."""
        rate = self.limits[side]
        rounding = 0 if self.rules.rounds_down else UNIT - 1
        return np.where(rate == NO_LIMIT, 2**33, (rate * span + rounding) // UNIT)

    def _outputs(self) -> Records:
        state, channel = self.state, self.channel
        kind = np.dtype([("value", "i4", (channel.shape[1],)), *((name, "u1") for name in _OUTPUT_BYTES)])
        out = np.zeros(len(state), kind)
        out["value"] = channel["output"]
        for name in ("mode", "reason", "latches"):
            out[name] = state[name]
        enabled = self._enabled()
        out["source"] = np.where(enabled, channel["source"].max(axis=1), Source.SAFE_STATE)
        out["refusal"] = self.refusal
        out["degraded"] = enabled & (self._silence() > self.table["degraded_us"]).any(axis=1)
        out["ready"] = self._ready()
        out["stopped"] = self.stopped
        return out


_OUTPUT_BYTES = ("mode", "reason", "source", "refusal", "latches", "degraded", "ready", "stopped")


def _fresh(reading: Records, now: Times, age_us: Any) -> Mask:
    """Taken, not in the future, and not too old."""
    at = reading["at_us"]
    age = now[:, None] - at
    return np.asarray((reading["valid"] == 1) & (at <= now[:, None]) & (age <= age_us))


def _compare(relation: int, value: Any, limit: Any) -> Mask:
    return np.asarray((value > limit, value >= limit, value < limit, value <= limit)[relation])
