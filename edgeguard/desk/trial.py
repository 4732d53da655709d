"""A policy on trial: the decider that a guard runs, over scripted inputs.

No file, no clock and no model. Time starts at 0.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edgeguard.decider import Decider, World
from edgeguard.decision.table import Span, Truth
from edgeguard.errors import EdgeguardError, UsageError
from edgeguard.explain import summary
from edgeguard.gate.gate import safe_command
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
        self._safe = safe_command(program.envelope).values
        self._decider = Decider(program)

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
        shared = (self.program, self.program.table, self.program.watched, self._decider.state, self._safe)
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
        last, program = self._decider.last, self.program
        now = 0.0 if math.isnan(last) else last + (program.period if dt is None else dt)
        events = () if event is None else (event,)
        numbers, healthy, rows = read(program.signals, self._signals(values, now), now)
        suggested = self._safe if suggest is None else suggest
        decided = self._decider.decide(
            World(numbers, healthy, rows, new_frame, events, suggested, manual), now
        )
        return Seen(
            now=now,
            new_frame=new_frame,
            events=events,
            values={row.name: row.value if ok else None for row, ok in zip(rows, healthy)},
            mode=decided.mode,
            authority=decided.authority,
            causes=decided.causes,
            notices=decided.notices,
            command=decided.gated.command,
            gate=decided.gated.decision,
            fallback=program.choose(numbers, healthy),
            when=program.when(numbers, healthy),
            clear=program.clear(numbers, healthy),
            source=decided.gated.source,
            deadline=decided.deadline,
            alerts=decided.alerts,
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

    def _holding(self, seen: Seen) -> tuple[Cause, ...]:
        """The rules that hold in a step and have not been believed yet."""
        return tuple(
            Cause(row.id, row.line, row.text, row.then, seen.now)
            for row, truth in zip(self.program.table.rules, seen.when)
            if truth is not Truth.FALSE
        )
