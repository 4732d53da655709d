"""What a policy promises and how it is checked, as tables of text: names, times, invariants and tests.

Like `facts`: reads a document, formats for no medium, decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgeguard.desk.budget import Budget, budgets
from edgeguard.desk.cases import Expect, Step, embedded_cases
from edgeguard.desk.page.facts import Cell, Code, Sheet, number
from edgeguard.policy import DraftPolicy
from edgeguard.policy.schema import Constant, Leave
from edgeguard.policy.units import duration_text, span_text
from edgeguard.program import Program, SignalSpec


def names(draft: DraftPolicy) -> Sheet:
    """The named expressions."""
    rows: list[tuple[Cell, ...]] = []
    for name, value in draft.document.policy.let.items():
        unit = value.unit if isinstance(value, Constant) else ""
        text = number(value.is_) if isinstance(value, Constant) else value
        rows.append((Code(name), Code(number(text) if isinstance(text, float) else text), unit))
    return Sheet(
        "names",
        "Named expressions",
        "Conditions use them by name.",
        ("name", "stands for", "unit"),
        tuple(rows),
    )


def timing(draft: DraftPolicy) -> Sheet:
    """The worst time from a fault to its command at the microcontroller, rule by rule."""
    stated = "; the policy states no fault-tolerant time interval" if draft.program.ftti is None else ""
    found = budgets(draft.document)
    spared = any(one.schedule for one in found)
    return Sheet(
        "timing",
        "Timing budget",
        f"From the moment something is wrong to the command at the microcontroller, at worst{stated}.",
        (
            *("rule", "line"),
            *(("schedule",) if spared else ()),
            *("debounce or maximum age", "period", "link", "together", "allowed", "in time"),
        ),
        tuple(_budget(one, spared=spared) for one in found),
    )


def _budget(one: Budget, *, spared: bool) -> tuple[Cell, ...]:
    verdict = "" if one.ftti is None else "yes"
    if one.late:
        verdict = f"no, but {one.covered} acts in time on the same condition"
    allowed = "" if one.ftti is None else duration_text(one.ftti)
    before = (duration_text(one.schedule) if one.schedule else "",) if spared else ()
    times = (duration_text(t) for t in (one.waited, one.period, one.link, one.total))
    return (Code(one.id), str(one.line), *before, *times, allowed, verdict)


def invariants(draft: DraftPolicy) -> Sheet:
    """What must be true in every run."""
    rows: list[tuple[Cell, ...]] = []
    for i, one in enumerate(draft.document.policy.invariants):
        line = str(draft.document.line(("invariants", i)))
        if isinstance(one, Leave):
            rows.append((line, f"{one.leave.replace('_', ' ')} is left only by the {one.only_by}", ""))
        else:
            span = span_text(one.for_) if one.for_ else ""
            rows.append((line, Code(f"never: {one.never}"), span and f"for {span}"))
    return Sheet(
        "invariants",
        "Invariants",
        "What must hold in every run. This page does not check it: edgeguard policy prove does.",
        ("line", "invariant", "how long"),
        tuple(rows),
        empty="None are declared.",
    )


def tests(draft: DraftPolicy) -> Sheet:
    """The embedded test cases, each step a row; `each` is written out."""
    rows: list[tuple[Cell, ...]] = []
    for case in embedded_cases(draft.document, draft.program):
        for i, step in enumerate(case.steps):
            name = case.name if i == 0 else f"… step {i + 1}"
            phase = step.phase
            event = phase.event.value.upper() if phase.event else ""
            rows.append(
                (
                    name,
                    str(case.line) if i == 0 else "",
                    _given(step, draft.program),
                    event,
                    span_text(phase.span),
                    expected(step.expect),
                )
            )
    return Sheet(
        "tests",
        "Tests",
        "From a healthy, armed start; signals that are not named keep the value at which all is well.",
        ("test", "line", "given", "operator", "for", "expects"),
        tuple(rows),
        empty="None are embedded.",
    )


def _given(step: Step, program: Program) -> str:
    specs = {spec.name: spec for spec in program.signals}
    parts = [f"{name} {_value(specs[name], value)}" for name, value in step.phase.values.items()]
    for who, command in (("the model suggests", step.phase.suggest), ("a human commands", step.phase.manual)):
        if command is not None:
            parts.append(f"{who} {_command(command)}")
    return ", ".join(parts) or "all is well"


def _value(spec: SignalSpec, value: float | str) -> str:
    if isinstance(value, str):
        return "not a number" if value == "nan" else value
    if spec.kind == "bool" and value in (0.0, 1.0):
        return "true" if value else "false"
    if spec.kind == "class" and value in range(len(spec.labels)):
        return spec.labels[int(value)]
    return number(value)


def expected(expect: Expect) -> str:
    """An expectation in words."""
    parts = []
    if expect.authority is not None:
        parts.append(f"authority {expect.authority.name.lower().replace('_', ' ')}")
    if expect.mode is not None:
        parts.append(f"mode {expect.mode.value.replace('_', ' ')}")
    if expect.rule is not None:
        parts.append(f"rule {expect.rule}")
    if expect.command:
        parts.append(_command(expect.command))
    return ", ".join(parts) or "nothing yet"


def _command(command: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in command.items())
