"""Test cases of a policy: the embedded ones, those of other files, and traces written out as cases.

Read, run and written here. Another file's cases go through the very checks of the policy's own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from edgeguard.decision.table import Span
from edgeguard.desk.findings import Finding
from edgeguard.desk.monitor import Monitor
from edgeguard.desk.trial import FAULTS, ONE_FRAME, Phase, Seen, Trial, Values
from edgeguard.desk.wording import in_words
from edgeguard.errors import Diagnostic, PolicyError, UsageError
from edgeguard.policy.diagnostics import Report, quote, suggest
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.meaning import check_meaning
from edgeguard.policy.reader import read
from edgeguard.policy.schema import Case as Declared
from edgeguard.policy.schema import Expectation, Stage
from edgeguard.policy.shape import shape
from edgeguard.policy.source import Path, Source
from edgeguard.program import Program, SignalSpec
from edgeguard.types import Authority, Event, Mode, no_values

Given = Mapping[str, float | bool | str]
_SAME = 1e-9
"""How far a command may be from the expected one."""
MOST_STEPS = 50_000
"""Control steps of one case: 1,000 s at a period of 20 ms."""


@dataclass(frozen=True, slots=True)
class Expect:
    """What must be so at the end of a step. None, or no actuator: anything will do."""

    authority: Authority | None = None
    mode: Mode | None = None
    rule: str | None = None
    """Must be among the causes, or among the notices where the rule only tells."""
    command: Mapping[str, float] = field(default_factory=no_values)


@dataclass(frozen=True, slots=True)
class Step:
    """One phase and what is expected at its end. `path`: where it stands in the case's file."""

    phase: Phase
    expect: Expect
    path: Path


@dataclass(frozen=True, slots=True)
class Case:
    """One test from an armed, calm start. `source`: the file that it stands in, at `path`."""

    name: str
    declared: str
    """The name without what `each` adds to it."""
    steps: tuple[Step, ...]
    source: Source
    path: Path

    @property
    def shown(self) -> str:
        """Its whole name in a message."""
        return f"`{''.join(c if c.isprintable() else '?' for c in self.name)}`"

    @property
    def line(self) -> int:
        """Where it begins, from 1."""
        return self.source.key(self.path).line


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case. `seen`: the step that armed it, then every step of its own."""

    case: Case
    seen: tuple[Seen, ...]
    findings: tuple[Finding, ...]
    words: str
    """The last step explained; times count from the case's first step."""

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def embedded_cases(document: PolicyDocument, program: Program) -> tuple[Case, ...]:
    """The cases under `tests` of the policy itself, `each` written out."""
    return _cases(document.policy.tests, document.source, program)


def read_cases(document: PolicyDocument, program: Program, data: bytes, *, file: str) -> tuple[Case, ...]:
    """The cases of another file: the one section `tests`, as a policy would hold it. `file` is for messages.

    Raises:
        PolicyError: with every finding; every name is checked against the policy.
    """
    report = Report(file)
    values, source = read(data, report)
    wrong = [key for key in values if key != "tests"]
    if wrong or "tests" not in values:
        place = source.key((wrong[0],)) if wrong else source.value(())
        message = (
            f"{quote(wrong[0])} is not a key of a cases file" if wrong else "there is no section `tests`"
        )
        hint = suggest(wrong[0], ("tests",)) if wrong else "write the cases under `tests:`"
        raise PolicyError((Diagnostic("EG1504", message, file, place.line, place.column, hint),))
    own, _ = read(document.source.text.encode(), Report(document.file))
    policy = shape({**own, "tests": values["tests"]}, source, report)
    if policy is not None and not source.tainted:
        check_meaning(policy, document.conditions, document.triggers, source, report)
    if policy is None or report.found:
        raise report.error()
    return _cases(policy.tests, source, program)


def run_cases(document: PolicyDocument, program: Program, cases: Sequence[Case]) -> tuple[Result, ...]:
    """Run every case for itself, with every invariant of the policy watched.

    Raises:
        NotArmable: the policy cannot be armed while all is well; then no case means anything.
    """
    return tuple(_run(document, program, case) for case in cases)


def _run(document: PolicyDocument, program: Program, case: Case) -> Result:
    trial, monitor = Trial(program), Monitor(document, program.thresholds)
    seen = [trial.arm()]
    steps = sum(_steps(program, step.phase.span) for step in case.steps)
    if steps > MOST_STEPS:
        message = f"{case.shown}: takes {steps:.3g} control steps, more than the {MOST_STEPS} allowed"
        finding = _finding("EG1506", message, case, case.path)
        return Result(case, tuple(seen), (finding,), in_words(seen[-1], start=seen[0].now))
    broken = dict.fromkeys(monitor.step(seen[0]))
    found: list[Finding] = []
    for step in case.steps:
        for now in trial.run(step.phase):
            broken.update(dict.fromkeys(monitor.step(now)))
            seen.append(now)
        found += _compared(case, step, seen[-1])
    for invariant in broken:
        message = f"{case.shown}: broke the invariant of line {invariant.line}: {invariant.text}"
        found.append(_finding("EG1505", message, case, case.path))
    return Result(case, tuple(seen), tuple(found), in_words(seen[-1], start=seen[1].now))


def _steps(program: Program, span: Span) -> float:
    """About how many control steps a span takes."""
    return max(span.frames * max(program.frame_period, program.period), span.seconds) / program.period


def _compared(case: Case, step: Step, seen: Seen) -> Iterator[Finding]:
    """One finding for everything that is not as expected."""
    expect = step.expect
    who, wanted = seen.authority.name.lower(), expect.authority
    if wanted is not None and wanted is not seen.authority:
        yield _unseen(case, step, ("authority",), f"authority `{wanted.name.lower()}`", f"`{who}`")
    if expect.mode is not None and expect.mode is not seen.mode:
        yield _unseen(case, step, ("mode",), f"mode `{expect.mode.value}`", f"`{seen.mode.value}`")
    told = [cause.rule for cause in (*seen.causes, *seen.notices)]
    if expect.rule is not None and expect.rule not in told:
        listed = ", ".join(quote(rule) for rule in told) or "none"
        yield _unseen(case, step, ("rule",), f"rule {quote(expect.rule)} among the causes", listed)
    for name, value in expect.command.items():
        got = seen.command.values[name]
        if not abs(got - value) <= _SAME:
            yield _unseen(case, step, ("command", name), f"`{name}` at {value:g}", f"{got:g}")


def _unseen(case: Case, step: Step, keys: Path, wanted: str, got: str) -> Finding:
    where = (
        f" at the end of step {step.path[-1] + 1}"
        if isinstance(step.path[-1], int) and len(case.steps) > 1
        else ""
    )
    message = f"{case.shown}: expected {wanted}{where}, saw {got}"
    return _finding("EG1501", message, case, (*step.path, "expect", *keys))


def _finding(code: str, message: str, case: Case, path: Path) -> Finding:
    place = case.source.value(path) if code == "EG1501" else case.source.key(path)
    return Finding(code, message, case.source.file, place.line, place.column)


def to_yaml(name: str, phases: Sequence[Phase], expect: Expect) -> str:
    """A cases file with one case: `phases` one after another from an armed, calm start, then `expect`.

    Each span counts frames or seconds, not both. Values that no file can hold (infinities) become `nan`: a fault like
    them.

    Raises:
        UsageError: a phase has a planner that suggests nothing, which no case can say.
    """
    if any(phase.suggest is not None and not phase.suggest for phase in phases):
        raise UsageError(f"{quote(name)} cannot be written as a test case: its planner suggests nothing")
    lines = [f"tests:\n  - name: {json.dumps(name, ensure_ascii=False)}\n    steps:\n"]
    for i, phase in enumerate(phases):
        last = i == len(phases) - 1
        parts = list(_phase_fields(phase))
        if last:
            parts.append(f"expect: {{{', '.join(_expect_fields(expect))}}}")
        lines.append(f"      - {{{', '.join(parts)}}}\n")
    return "".join(lines)


def _cases(declared: Sequence[Declared], source: Source, program: Program) -> tuple[Case, ...]:
    specs = {spec.name: spec for spec in program.signals}
    return tuple(case for i, one in enumerate(declared) for case in _each(one, ("tests", i), source, specs))


def _each(declared: Declared, path: Path, source: Source, specs: Mapping[str, SignalSpec]) -> Iterator[Case]:
    """One case of steps, or one for every entry of `each`, laid over what is given."""
    if declared.steps is not None:
        steps = tuple(
            _step(stage, stage.given or {}, (*path, "steps", i), specs)
            for i, stage in enumerate(declared.steps)
        )
        yield Case(declared.name, declared.name, steps, source, path)
        return
    for extra in declared.each or ({},):
        shown = ", ".join(f"{name}={_shown(value)}" for name, value in extra.items())
        name = f"{declared.name} [{shown}]" if extra else declared.name
        given = {**(declared.given or {}), **extra}
        yield Case(name, declared.name, (_step(declared, given, path, specs),), source, path)


def _step(stage: Stage, given: Given, path: Path, specs: Mapping[str, SignalSpec]) -> Step:
    phase = Phase(
        values={name: _value(specs[name], value) for name, value in given.items()},
        span=stage.for_ or ONE_FRAME,
        event=Event(stage.event) if stage.event else None,
        suggest=stage.suggest,
        manual=stage.manual,
    )
    return Step(phase, _expect(stage.expect), path)


def _value(spec: SignalSpec, given: float | bool | str) -> float | str:  # noqa: FBT001 - as the file says it
    if isinstance(given, str) and given not in FAULTS:
        return float(spec.labels.index(given))
    return given if isinstance(given, str) else float(given)


def _expect(declared: Expectation | None) -> Expect:
    if declared is None:
        return Expect()
    return Expect(
        authority=Authority[declared.authority.upper()] if declared.authority else None,
        mode=Mode(declared.mode) if declared.mode else None,
        rule=declared.rule,
        command=declared.command or no_values(),
    )


def _shown(value: float | bool | str) -> str:  # noqa: FBT001 - as the file says it
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else f"{value:g}"


def _phase_fields(phase: Phase) -> Iterator[str]:
    if phase.event is not None:
        yield f"event: {phase.event.value}"
    if phase.values:
        yield f"given: {_mapping(phase.values)}"
    for key, command in (("suggest", phase.suggest), ("manual", phase.manual)):
        if command:
            yield f"{key}: {_mapping(command)}"
    yield f"for: {_span(phase.span)}"


def _expect_fields(expect: Expect) -> Iterator[str]:
    if expect.authority is not None:
        yield f"authority: {expect.authority.name.lower()}"
    if expect.mode is not None:
        yield f"mode: {expect.mode.value}"
    if expect.rule is not None:
        yield f"rule: {json.dumps(expect.rule)}"
    if expect.command:
        yield f"command: {_mapping(expect.command)}"


def _mapping(values: Values) -> str:
    return "{" + ", ".join(f"{name}: {_number(value)}" for name, value in values.items()) + "}"


def _number(value: float | str) -> str:
    """A number so that reading it gives the same one; the shortest text that does."""
    if isinstance(value, str):
        return value
    return repr(float(value)) if math.isfinite(value) else "nan"


def _span(span: Span) -> str:
    """In microseconds where milliseconds do not do: that is as fine as the language is."""
    if span.frames:
        return "1 frame" if span.frames == 1 else f"{span.frames} frames"
    microseconds = max(1, round(span.seconds * 1e6))
    return f"{microseconds // 1000}ms" if microseconds % 1000 == 0 else f"{microseconds}us"
