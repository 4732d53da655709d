"""A policy on trial: the compiled conditions, the machine, the gate and the cause chain, over scripted inputs.

The same functions in the same order as `Guard.step`, with no file, no clock and no model. Time starts at 0.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from edgeguard.decision.causes import CauseChain
from edgeguard.decision.handover import due
from edgeguard.decision.machine import Inputs, Outcome, initial, step
from edgeguard.decision.notices import Notices
from edgeguard.decision.table import Span, Truth
from edgeguard.errors import EdgeguardError, UsageError
from edgeguard.explain import summary
from edgeguard.gate.gate import Gated, gate, safe_command
from edgeguard.program import Program
from edgeguard.signals.readings import readings as read
from edgeguard.types import (
    Authority,
    Cause,
    Command,
    Event,
    GateDecision,
    Mode,
    Reading,
    Signal,
)

ONE_FRAME = Span(frames=1)
FAULTS = ("missing", "stale", "nan")
"""The ways in which a scripted signal can be at fault, besides a value outside its range."""

Values = Mapping[str, float | str]
"""What signals say: a number (a truth as 0 or 1, a label as its index) or one of `FAULTS`. Those not named have
their nominal value."""

_ROUNDING = 1e-9
"""How early (s) a frame may be due: a period times a count is not exact."""

_NO_SUGGESTION = Cause(
    "event:no-suggestion",
    0,
    "the planner gave no usable command",
    Authority.RULES,
    0.0,
    clears="a finite value for every declared actuator, and no other",
)


class NotArmable(EdgeguardError):  # noqa: N818 - a finding about a policy, named for what it says
    """The policy does not let its own calm be armed. `causes`: the rules that hold there."""

    exit_code = 5

    def __init__(self, causes: tuple[Cause, ...]) -> None:
        held = "; ".join(summary(cause) for cause in causes if cause.line) or "nothing says why"
        super().__init__(f"cannot be armed while every signal is at its nominal value: {held}")
        self.causes = causes


@dataclass(frozen=True, slots=True)
class Phase:
    """Inputs that stay the same for a span. `event` comes with its first step only."""

    values: Values
    span: Span = ONE_FRAME
    event: Event | None = None
    suggest: Mapping[str, float] | None = None
    """What the model suggests; None: the safe command."""
    manual: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One step, whole: what went in and what came of it."""

    now: float
    """s"""
    new_frame: bool
    events: tuple[Event, ...]
    values: Mapping[str, float | None]
    """Every declared signal; None: at fault."""
    mode: Mode
    authority: Authority
    causes: tuple[Cause, ...]
    notices: tuple[Cause, ...]
    command: Command
    gate: GateDecision
    fallback: int
    """Index of the fallback row that holds, whoever acts; -1: none."""
    when: tuple[Truth, ...]
    """One a rule of the table, then one a watched rule; so has `clear`."""
    clear: tuple[Truth, ...]
    source: Authority
    """Whose command it is: that of the model, the fallback rules or a human; SAFE_STATE: the safe command."""
    deadline: float | None
    """When a human has to have taken over (s), while one is asked to."""
    alerts: tuple[str, ...]
    """How the human is to be told now, while one is asked to take over."""
    readings: tuple[Reading, ...]


class Trial:
    """A guard without a world. Not armed at first: `arm` goes as far as NOMINAL."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._names = frozenset(spec.name for spec in program.signals)
        self._state = initial(program.table)
        names = [spec.name for spec in program.signals]
        self._chain = CauseChain(program.table, names, program.thresholds)
        self._notices = Notices(program.watched, names, program.thresholds)
        self._safe = safe_command(program.envelope).values
        self._command = safe_command(program.envelope)
        self._last = math.nan
        self._unplanned_since: float | None = None

    def arm(self) -> Seen:
        """Start up, and arm on a calm frame.

        Raises:
            NotArmable: a rule holds, or begins to, while every signal has its nominal value.
        """
        self.step({}, new_frame=False, event=Event.READY)
        self.step({}, new_frame=True)
        seen = self.step({}, new_frame=True, event=Event.ARM)
        if seen.mode is not Mode.NOMINAL:
            raise NotArmable(tuple(c for c in seen.causes if c.line) or self._holding(seen))
        return seen

    def run(self, phase: Phase) -> tuple[Seen, ...]:
        """Every step of a phase: one a control period, a frame each frame period beginning with the first step.

        The last step is the one at which a condition that held throughout has held for `phase.span`.
        """
        return tuple(self._steps(phase))

    def fork(self) -> Trial:
        """A second trial that goes on from here, independent of this one."""
        shared = (
            self.program,
            self.program.table,
            self.program.watched,
            self._state,
            self._command,
            self._safe,
        )
        return copy.deepcopy(self, {id(part): part for part in shared})

    def step(
        self,
        values: Values,
        *,
        new_frame: bool,
        event: Event | None = None,
        suggest: Mapping[str, float] | None = None,
        manual: Mapping[str, float] | None = None,
        dt: float | None = None,
    ) -> Seen:
        """Decide once, `dt` s (default: a control period) after the step before; the first step is at 0.

        `suggest`: None stands for the safe command, `{}` for a planner that gives none.

        Raises:
            UsageError: the policy declares no such signal.
        """
        now = 0.0 if math.isnan(self._last) else self._last + (self.program.period if dt is None else dt)
        program, events = self.program, () if event is None else (event,)
        numbers, healthy, rows = read(program.signals, self._signals(values, now), now)
        statuses = [row.status for row in rows]
        when, clear = program.when(numbers, healthy), program.clear(numbers, healthy)
        count, before = len(program.table.rules), self._state.mode
        inputs = Inputs(when[:count], clear[:count], new_frame, events)
        self._state, outcome = step(program.table, self._state, inputs, now)
        self._chain.remember(inputs.when, numbers, statuses)
        watched = Inputs(when[count:], clear[count:], new_frame, events)
        notices = self._notices.step(before, watched, numbers, statuses, now)
        suggested = self._safe if suggest is None else suggest
        chosen = program.choose(numbers, healthy)
        gated = self._gate(outcome, suggested, manual, chosen, now)
        authority, causes = self._who_acts(outcome, gated, now)
        return Seen(
            now=now,
            new_frame=new_frame,
            events=events,
            values={row.name: row.value if ok else None for row, ok in zip(rows, healthy)},
            mode=outcome.mode,
            authority=authority,
            causes=causes,
            notices=notices,
            command=gated.command,
            gate=gated.decision,
            fallback=chosen,
            when=when,
            clear=clear,
            source=gated.source,
            deadline=outcome.deadline,
            alerts=due(self.program.handover, self._state, now),
            readings=rows,
        )

    def _steps(self, phase: Phase) -> Iterator[Seen]:
        """See `run`. What is due is counted from the phase's own start, so that no rounding adds up."""
        frame_period = self.program.frame_period
        start, frames = math.nan, 0
        for count in itertools.count():
            due = math.floor((count * self.program.period + _ROUNDING) / frame_period)
            seen = self.step(
                phase.values,
                new_frame=due >= frames,
                event=None if count else phase.event,
                suggest=phase.suggest,
                manual=phase.manual,
            )
            yield seen
            start = start if count else seen.now
            frames += seen.new_frame
            if frames >= phase.span.frames and not seen.now - start < phase.span.seconds:
                return

    def _signals(self, values: Values, now: float) -> dict[str, Signal]:
        """The signals as a source would give them; what is missing is left out."""
        for name in values:
            if name not in self._names:
                raise UsageError(f"the policy declares no signal `{name}`")
        found: dict[str, Signal] = {}
        for spec in self.program.signals:
            value = values.get(spec.name, spec.nominal)
            if value == "missing":
                continue
            if value == "stale":
                # twice the age that is allowed, and more than any clock may be off by
                found[spec.name] = Signal(
                    spec.name, spec.nominal, now - 2.0 * spec.max_age - 1.0, spec.source
                )
                continue
            found[spec.name] = Signal(
                spec.name, math.nan if value == "nan" else float(value), now, spec.source
            )
        return found

    def _gate(
        self,
        outcome: Outcome,
        suggested: Mapping[str, float],
        manual: Mapping[str, float] | None,
        chosen: int,
        now: float,
    ) -> Gated:
        gated = gate(
            self.program.envelope,
            self.program.fallback,
            mode=outcome.mode,
            authority=outcome.authority,
            suggested=suggested,
            manual=manual,
            chosen=chosen,
            previous=self._command,
            elapsed=now - self._last,
        )
        self._command, self._last = gated.command, now
        return gated

    def _who_acts(self, outcome: Outcome, gated: Gated, now: float) -> tuple[Authority, tuple[Cause, ...]]:
        """The authority whose command goes out, and why: a model without a usable suggestion does not act."""
        if outcome.authority is not Authority.MODEL or gated.source is Authority.MODEL:
            self._unplanned_since = None
            return outcome.authority, self._chain.causes(self._state, outcome, now)
        if self._unplanned_since is None:
            self._unplanned_since = now
        return gated.source, (replace(_NO_SUGGESTION, demands=gated.source, since=self._unplanned_since),)

    def _holding(self, seen: Seen) -> tuple[Cause, ...]:
        """The rules that hold in a step and have not been believed yet."""
        return tuple(
            Cause(row.id, row.line, row.text, row.then, seen.now)
            for row, truth in zip(self.program.table.rules, seen.when)
            if truth is not Truth.FALSE
        )
