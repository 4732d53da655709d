"""One decision, from checked readings to the command that acts: conditions, machine, notices, causes, gate.

No clock, no camera, no model, no port: a guard gives it the world's readings, a trial at the desk gives it a script's,
so that what was tried is what runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from edgeguard.decision.causes import CauseChain
from edgeguard.decision.handover import due
from edgeguard.decision.machine import Inputs, Outcome, State, idle, initial, step
from edgeguard.decision.notices import Notices
from edgeguard.decision.table import Truth, calm
from edgeguard.gate.gate import Gated, gate, is_command, safe_command
from edgeguard.types import Authority, Cause, Event, Mode, Reading, Status

if TYPE_CHECKING:
    from edgeguard.program import Program

_NO_SUGGESTION = Cause(
    "event:no-suggestion",
    0,
    "the planner gave no usable command",
    Authority.RULES,
    0.0,
    clears="a finite `float` for every declared actuator, and no other",
)


class World(NamedTuple):
    """What one step sees: the checked signals by their index, and what people and the planner say."""

    values: tuple[float, ...]
    healthy: tuple[bool, ...]
    readings: tuple[Reading, ...]
    new_frame: bool
    events: tuple[Event, ...] = ()
    suggested: Mapping[str, float] | None = None
    manual: Mapping[str, float] | None = None


class Decided(NamedTuple):
    """What came of it. `readings` are marked SUSPECT where a rule that holds has read them."""

    mode: Mode
    authority: Authority
    """Whose command goes out: a model without a usable suggestion does not act."""
    causes: tuple[Cause, ...]
    notices: tuple[Cause, ...]
    alerts: tuple[str, ...]
    deadline: float | None
    gated: Gated
    readings: tuple[Reading, ...]


class Decider:
    """Everything that is remembered from one decision to the next. Not for several threads."""

    def __init__(self, program: Program) -> None:
        self.program = program
        names = tuple(spec.name for spec in program.signals)
        self._chain = CauseChain(program.table, names, program.thresholds)
        self._notices = Notices(program.watched, names, program.thresholds)
        # what clears is only asked for while a rule is active; a fault clears nothing
        rows = len(program.table.rules) + len(program.watched)
        nothing = (0.0,) * len(program.signals), (False,) * len(program.signals)
        if not len(program.when(*nothing)) == len(program.clear(*nothing)) == rows:
            # the machine pairs rules with conditions: a rule without one would never be asked
            raise AssertionError(f"`{program.name}` has {rows} rules and not as many conditions")
        self._unasked, self._quiet = (Truth.FAULT,) * rows, calm(rows)
        self._state = initial(program.table)
        self._command = safe_command(program.envelope)
        self._unplanned_since: float | None = None
        self.last = math.nan
        """When the last step was (s); not a number before the first."""

    @property
    def mode(self) -> Mode:
        """The mode after the last step."""
        return self._state.mode

    @property
    def state(self) -> State:
        """The machine's memory: immutable."""
        return self._state

    def decide(self, world: World, now: float) -> Decided:
        """Decide once, at `now` (s, monotonic). Total: nothing in `world` makes it raise."""
        program, before = self.program, self._state.mode
        inputs, watched = self._inputs(world)
        self._state, outcome = step(program.table, self._state, inputs, now)
        readings = world.readings
        if inputs.when is not program.table.calm:
            readings = self._suspect(inputs.when, readings)
            self._chain.remember(inputs.when, world.values, [reading.status for reading in readings])
        notices: tuple[Cause, ...] = ()
        if program.watched:
            statuses = [reading.status for reading in readings]
            notices = self._notices.step(before, watched, world.values, statuses, now)
        gated = self._gate(outcome, world, now)
        authority, causes = self._who_acts(outcome, gated, now)
        alerts = due(program.handover, self._state, now)
        return Decided(outcome.mode, authority, causes, notices, alerts, outcome.deadline, gated, readings)

    def _inputs(self, world: World) -> tuple[Inputs, Inputs]:
        """What the decision sees, and what the rules that only tell see."""
        program, count = self.program, len(self.program.table.rules)
        when = program.when(world.values, world.healthy)
        clear = self._unasked
        if self._state.rules is not idle(count) or self._notices.active:
            clear = program.clear(world.values, world.healthy)
        seen, events = world.new_frame, world.events
        if not program.watched:
            return Inputs(when, clear, seen, events), Inputs((), (), seen, events)
        enforced = program.table.calm if when is self._quiet else when[:count]
        return (
            Inputs(enforced, clear[:count], seen, events),
            Inputs(when[count:], clear[count:], seen, events),
        )

    def _suspect(self, when: tuple[Truth, ...], readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
        """Mark the healthy signals that a rule which holds has read."""
        marked = {
            i for row, truth in zip(self.program.table.rules, when) if truth is Truth.TRUE for i in row.reads
        }
        return tuple(
            Reading(r.name, r.value, r.age, Status.SUSPECT) if i in marked and r.status is Status.PASS else r
            for i, r in enumerate(readings)
        )

    def _gate(self, outcome: Outcome, world: World, now: float) -> Gated:
        program, chosen = self.program, -1
        if outcome.authority is not Authority.MODEL or not is_command(program.envelope, world.suggested):
            chosen = program.choose(world.values, world.healthy)
        gated = gate(
            program.envelope,
            program.fallback,
            mode=outcome.mode,
            authority=outcome.authority,
            suggested=world.suggested,
            manual=world.manual,
            chosen=chosen,
            previous=self._command,
            elapsed=now - self.last,
        )
        self._command, self.last = gated.command, now
        return gated

    def _who_acts(self, outcome: Outcome, gated: Gated, now: float) -> tuple[Authority, tuple[Cause, ...]]:
        """The authority whose command goes out, and why. A model without a usable suggestion does not act."""
        if outcome.authority is not Authority.MODEL or gated.source is Authority.MODEL:
            self._unplanned_since = None
            return outcome.authority, self._chain.causes(self._state, outcome, now)
        if self._unplanned_since is None:
            self._unplanned_since = now
        return gated.source, (replace(_NO_SUGGESTION, demands=gated.source, since=self._unplanned_since),)
