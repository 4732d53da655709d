"""The gate in Python against the core in C: what the gate lets out, the core carries out unchanged.

Same envelope, same commands, steps of whole control periods. The actuators follow at once: what is measured is where
they were told to go. Raises nothing; every disagreement is a line of text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeguard.gate.gate import gate, safe_command
from edgeguard.program import FallbackRow, Program
from edgeguard.types import Authority, Command
from edgeguard.types import Mode as HostMode
from tests.firmware.reference.layout import Records
from tests.firmware.reference.machine import Machine
from tests.firmware.reference.words import UNIT, Action, Mode

TICK_US = 1_000
PERIODS_US = (5_000, 10_000, 20_000, 50_000)
STRANGE = (math.nan, math.inf, -math.inf, 1e300, -1e300, 1e18)
START_US = 10_000_000
Values = npt.NDArray[np.float64]


@dataclass
class GateAccount:
    """What was compared, and what did not fit."""

    commands: int = 0
    """Commands of one actuator that the gate let out and the core had a period for."""
    exact: int = 0
    """Of these, reached to the last digit."""
    worst: int = 0
    """Largest distance between gate and core after a period (1e-6 of the unit)."""
    problems: list[str] = field(default_factory=list)

    def merge(self, other: GateAccount) -> None:
        """Count another account here."""
        self.commands += other.commands
        self.exact += other.exact
        self.worst = max(self.worst, other.worst)
        self.problems += other.problems


class GateRun:
    """N pairs of a gate and a core, from the safe values on."""

    def __init__(self, machine: Machine, program: Program, *, seed: int, traces: int) -> None:
        self.machine, self.program, self.traces = machine, program, traces
        self.rng = np.random.default_rng(seed)
        self.table = machine.table()
        self.account = GateAccount()
        self.now = np.full(traces, START_US, np.uint64)
        self.state = machine.begin(self.table, None, self.now)
        self.sent = [safe_command(program.envelope) for _ in range(traces)]
        self.lag = np.zeros((traces, len(program.envelope)), np.int64)
        """How far a core may be behind its gate by rounding alone, since it was last where the gate is."""
        self.fallback = _fallback(self.rng, program)
        self._enable()

    def run(self, periods: int) -> GateAccount:
        """So many control periods, of lengths that the table's times leave room for."""
        rooms = [p for p in PERIODS_US if p < int(self.table["lost_us"])] or [TICK_US]
        for _ in range(periods):
            self._period(int(self.rng.choice(rooms)))
        return self.account

    def _period(self, period_us: int) -> None:
        gated = [self._gated(command, period_us / UNIT) for command in self.sent]
        self.sent = [command for command, _ in gated]
        wanted = np.array([list(command.values.values()) for command in self.sent])
        steps = np.rint(wanted * UNIT).astype(np.int64)
        for index, limit in enumerate(self.program.envelope):
            source = [s if s >= limit.authority else Authority.SAFE_STATE for _, s in gated]
            self._request(Action.SET, index, steps[:, index], source, steps)
        for _ in range(period_us // TICK_US):
            self.now += np.uint64(TICK_US)
            self._step(self._nothing(), steps)
        self._check(steps, period_us // TICK_US)

    def _check(self, steps: npt.NDArray[np.int64], ticks: int) -> None:
        output = self.state["channel"]["output"].astype(np.int64)
        distance = np.abs(output - steps)
        self.lag = np.where(distance == 0, 0, self.lag + ticks + 1)
        limits = self.table["actuator"]
        self.account.commands += distance.size
        self.account.exact += int((distance == 0).sum())
        self.account.worst = max(self.account.worst, int(distance.max()))
        for trace, index in np.argwhere(distance > self.lag):
            name, at = self.program.envelope[index].name, (int(trace), int(index))
            self._say(f"`{name}`: the gate let {steps[at]} out, the core is at {output[at]} (1e-6)")
        for what, values in (("gate", steps), ("core", output)):
            if ((values < limits["min"]) | (values > limits["max"])).any():
                self._say(f"the {what} left the envelope")
        if (self.state["mode"] != Mode.ENABLED).any():
            self._say("the core took the host's authority away")

    def _say(self, text: str) -> None:
        self.account.problems.append(f"{self.program.name}: {text}")

    # ---- the host

    def _gated(self, previous: Command, elapsed: float) -> tuple[Command, Authority]:
        rng = self.rng
        mode = HostMode.MANUAL if rng.random() < 0.2 else HostMode.NOMINAL
        out = gate(
            self.program.envelope,
            self.fallback,
            mode=mode,
            authority=Authority(int(rng.choice(4, p=(0.7, 0.1, 0.1, 0.1)))),
            suggested=self._values(),
            manual=self._values(),
            chosen=int(rng.integers(-1, len(self.fallback) + 1)),
            previous=previous,
            elapsed=elapsed,
        )
        return out.command, out.source

    def _values(self) -> dict[str, float] | None:
        rng = self.rng
        if rng.random() < 0.03:
            return None
        found = {}
        for limit in self.program.envelope:
            inside = float(rng.uniform(limit.low, limit.high))
            marks = (limit.low, limit.high, limit.safe, limit.low - 1.0, limit.high + 1.0)
            found[limit.name] = marks[int(rng.integers(len(marks)))] if rng.random() < 0.4 else inside
            if rng.random() < 0.002:
                found[limit.name] = STRANGE[int(rng.integers(len(STRANGE)))]
        return found

    # ---- the core

    def _enable(self) -> None:
        """Open a session, five commands for every actuator, and the operator's request: all at once."""
        safe = np.broadcast_to(self.table["actuator"]["safe"].astype(np.int64), self.lag.shape)
        highest = [Authority.SAFE_STATE] * self.traces
        self._request(Action.OPENED, 0, safe[:, 0], highest, safe)
        for _ in range(int(self.table["arm_commands"])):
            for index in range(safe.shape[1]):
                self._request(Action.SET, index, safe[:, index], highest, safe)
        self._request(Action.ARM, 0, safe[:, 0], [Authority.HUMAN] * self.traces, safe)

    def _nothing(self) -> Records:
        return np.zeros(self.traces, self.machine.layout.inputs)

    def _request(
        self,
        action: Action,
        index: int,
        value: npt.NDArray[np.int64],
        source: list[Authority],
        measured: npt.NDArray[np.int64],
    ) -> None:
        inputs = self._nothing()
        request = inputs["request"]
        request["action"], request["actuator"], request["value"] = action, index, value
        request["source"] = source
        request["by_operator"] = action == Action.ARM
        request["valid_ms"] = 1
        request["policy_hash"] = self.table["policy_hash"]
        self._step(inputs, measured)

    def _step(self, inputs: Records, measured: npt.NDArray[np.int64]) -> None:
        senses = inputs["senses"]
        senses["stop_released"] = 1
        senses["measured"]["value"], senses["measured"]["valid"] = measured, 1
        senses["measured"]["at_us"] = self.now[:, None]
        self.state, outputs = self.machine.step(self.table, self.state, inputs, self.now)
        if (outputs["refusal"] != 0).any():
            self._say(f"the core refused a request with {outputs['refusal'].max()}")


def _fallback(rng: np.random.Generator, program: Program) -> tuple[FallbackRow, ...]:
    """The policy's own fallback rows, and one that leaves the envelope."""
    wild: Any = {limit.name: float(rng.uniform(-3000.0, 3000.0)) for limit in program.envelope}
    return (*program.fallback, FallbackRow(0, "", Command(wild)))
