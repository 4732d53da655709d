"""What a reviewer wants to know about a policy, as tables of text. The Markdown and the page print the same ones.

Reads a compiled policy and its document; formats nothing for any medium, and decides nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgeguard.decision.table import RuleRow
from edgeguard.policy import DraftPolicy
from edgeguard.policy.sources import FAULT_PREFIX
from edgeguard.policy.units import duration_text, span_text
from edgeguard.program import Program, SignalSpec


class Code(str):
    """Text that stands in the policy word for word."""

    __slots__ = ()


Cell = str
"""Prose, unless it is `Code`."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table under a heading. `keys`: what the page calls each row; empty where it calls none."""

    id: str
    title: str
    about: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    keys: tuple[str, ...] = ()
    empty: str = ""
    """What to say where there are no rows."""


def words(name: str) -> str:
    """`SAFE_STATE` as `safe state`."""
    return name.lower().replace("_", " ")


def number(value: float) -> str:
    """A number as short as it can be without saying another one."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def ordered(program: Program) -> tuple[int, ...]:
    """Positions of the rows (enforced, then watched) as a reader wants them: declared rules before fault rows, and
    in both the most restrictive first; rules that only tell stand behind those that act."""
    rows = rows_of(program)

    def rank(i: int) -> tuple[bool, bool, int, int]:
        row = rows[i]
        return (row.id.startswith(FAULT_PREFIX), row.mode != "enforce", -row.then, i)

    return tuple(sorted(range(len(rows)), key=rank))


def rows_of(program: Program) -> tuple[RuleRow, ...]:
    """Enforced rows, then watched ones: the order of the compiled conditions."""
    return (*program.table.rules, *program.watched)


def head(draft: DraftPolicy) -> tuple[tuple[str, Cell], ...]:
    """Which file this is, and with which numbers it runs."""
    program, calibration = draft.program, draft.calibration
    found: list[tuple[str, Cell]] = [
        ("SHA-256 of the file", Code(program.digest)),
        ("Calibration", "none" if calibration is None else _calibration(draft)),
    ]
    limit = program.table.lockout_after
    found += [
        ("Decides every", duration_text(program.period)),
        ("A picture every", duration_text(program.frame_period)),
        ("Fault-tolerant time interval", duration_text(program.ftti) if program.ftti else "not stated"),
        ("Locks out", f"at entry {limit} into the safe state" if limit else "never by itself"),
    ]
    return tuple(found)


def _calibration(draft: DraftPolicy) -> str:
    calibration = draft.calibration
    if calibration is None:
        return "none"
    return f"{calibration.frames} frames; refuses at most {number(calibration.abstain * 100)} % of clean ones"


def thresholds(program: Program) -> Sheet:
    """What calibration measured."""
    return Sheet(
        "thresholds",
        "Calibrated thresholds",
        "Measured on data, and used exactly so.",
        ("name", "value"),
        tuple((Code(f"calibrated.{name}"), number(v)) for name, v in sorted(program.thresholds.items())),
    )


def signals(program: Program) -> Sheet:
    """What is measured."""
    return Sheet(
        "signals",
        "Signals",
        "A signal that is missing, older than its maximum age, not a number or outside its range is at fault.",
        ("signal", "source", "unit", "range", "maximum age", "at fault", "worse", "all is well at"),
        tuple(
            (
                Code(spec.name),
                spec.source,
                spec.unit,
                _range(spec),
                duration_text(spec.max_age),
                words(spec.on_fault.name),
                spec.worse,
                nominal(spec),
            )
            for spec in program.signals
        ),
    )


def _range(spec: SignalSpec) -> str:
    if spec.kind == "bool":
        return "true or false"
    if spec.kind == "class":
        return f"{', '.join(spec.labels)}, or another"
    low, high = math.isfinite(spec.low), math.isfinite(spec.high)
    if low and high:
        return f"{number(spec.low)} to {number(spec.high)}"
    if low:
        return f"from {number(spec.low)}"
    return f"up to {number(spec.high)}" if high else "any number"


def _fault(spec: SignalSpec) -> str:
    if spec.kind == "bool":
        return "missing, stale, or neither true nor false"
    if spec.kind == "class":
        return "missing, stale or no class"
    if not (math.isfinite(spec.low) or math.isfinite(spec.high)):
        return "missing, stale or not a number"
    return f"missing, stale, not a number or outside its range ({_range(spec)})"


def nominal(spec: SignalSpec) -> str:
    """The value when all is well, in words."""
    if spec.kind == "bool":
        return "true" if spec.nominal else "false"
    if spec.kind == "class":
        at = int(spec.nominal)
        return spec.labels[at] if 0 <= at < len(spec.labels) else "another"
    return number(spec.nominal)


def decisions(program: Program) -> Sheet:
    """Every trigger, the most restrictive first, then the fault of every signal."""
    rows, order = rows_of(program), ordered(program)
    return Sheet(
        "decisions",
        "Decision table",
        "Of all rules that are active, the most restrictive demand decides. A rule whose condition reads a signal at "
        "fault counts as holding, and clears nothing.",
        ("rule", "line", "condition", "for", "clears on", "clear for", "latch", "then", "mode", "cause"),
        tuple(_decision(rows[i], program.signals) for i in order),
        tuple(str(i) for i in order),
    )


def _decision(row: RuleRow, signals: tuple[SignalSpec, ...]) -> tuple[Cell, ...]:
    fault = row.id.startswith(FAULT_PREFIX)
    spec = signals[row.reads[0]] if fault else None
    return (
        Code(row.id),
        str(row.line),
        _fault(spec) if spec else Code(row.text),
        span_text(row.hold),
        "healthy again" if fault else Code(row.clear_text),
        span_text(row.clear),
        "until RESET" if row.latch else "",
        then(row),
        row.mode,
        row.cause,
    )


def then(row: RuleRow) -> str:
    """Who acts, and who does when nobody took over in time."""
    if not row.within:
        return words(row.then.name)
    return f"{words(row.then.name)} within {duration_text(row.within)}, otherwise {words(row.otherwise.name)}"


def fallback(program: Program) -> Sheet:
    """What is commanded when the rules act."""
    names = [limit.name for limit in program.envelope]
    rows = [
        (str(row.line), condition(row.text), *(number(row.command.values[name]) for name in names))
        for row in program.fallback
    ]
    rows.append(("", "none holds, or one is at fault", *(number(limit.safe) for limit in program.envelope)))
    return Sheet(
        "fallback",
        "Fallback rules",
        "While the rules act, the first row whose condition holds commands.",
        ("line", "condition", *names),
        tuple(rows),
        (*(str(i) for i in range(len(program.fallback))), "-1"),
    )


def condition(text: str) -> Cell:
    """A row's condition, or the word for having none."""
    return text if text == "otherwise" else Code(text)


def envelope(draft: DraftPolicy) -> Sheet:
    """What no actuator is ever told."""
    units = {name: actuator.unit for name, actuator in draft.document.policy.envelope.items()}
    return Sheet(
        "envelope",
        "Envelope",
        "No command leaves these limits, whoever gives it.",
        ("actuator", "unit", "min", "max", "largest rise", "largest fall", "safe value"),
        tuple(
            (
                Code(limit.name),
                units[limit.name],
                number(limit.low),
                number(limit.high),
                _rate(limit.rise),
                _rate(limit.fall),
                number(limit.safe),
            )
            for limit in draft.program.envelope
        ),
        tuple(limit.name for limit in draft.program.envelope),
    )


def _rate(value: float) -> str:
    return f"{number(value)} a second" if math.isfinite(value) else "no limit"


def handover(program: Program) -> Sheet:
    """How a human is asked."""
    return Sheet(
        "handover",
        "Handover ladder",
        "While a human is asked to take over.",
        ("after", "alert"),
        tuple((duration_text(after), alert) for after, alert in program.handover),
        empty="No alerts are declared.",
    )
