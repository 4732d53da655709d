"""The reasons of a decision as lines for people and as plain values for programs. Text only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from edgeguard.decision.table import Span, Truth
from edgeguard.desk.levers import Lever
from edgeguard.desk.why import Compared, Reason
from edgeguard.explain import number
from edgeguard.policy.units import span_text
from edgeguard.program import SignalSpec
from edgeguard.types import Authority

_DEMANDS: Mapping[Authority, str] = {
    Authority.MODEL: "nothing",
    Authority.RULES: "the fallback rules",
    Authority.HUMAN: "a human",
    Authority.SAFE_STATE: "the safe state",
}
_OUTCOMES: Mapping[Truth, str] = {Truth.TRUE: "true", Truth.FALSE: "false", Truth.FAULT: "a fault"}


def told(reason: Reason, file: str, signals: Sequence[SignalSpec], start: float) -> Iterator[str]:
    """One rule and why, a line at a time. `start`: what times count from (s)."""
    row = reason.row
    would = "would demand" if row.mode != "enforce" else "demands"
    said = f" ({row.cause})" if row.cause else ""
    demand = _DEMANDS[row.then]
    if reason.expired:
        demand += f", and as nobody took over in time {_DEMANDS[row.otherwise]}"
    yield f"{file}:{reason.place.line}: `{row.id}` {would} {demand}{said}: {_standing(reason, start)}"
    for title, comparisons in (("when", reason.holds), ("clear", reason.clears)):
        for compared in comparisons:
            yield f"  {title:5}  {compared.place.line}:{compared.place.column}: {_compared(compared)}"
    for wrong in reason.faults:
        yield f"  fault  {wrong}"
    yield f"  back   {_back(reason)}"
    specs = {spec.name: spec for spec in signals}
    if reason.levers is not None:
        alone = " or ".join(lever_text(lever, specs[lever.signal]) for lever in reason.levers)
        yield f"  alone  {alone or 'no single signal can'}"


def lever_text(lever: Lever, spec: SignalSpec) -> str:
    """From where on a signal would let the rule go: `certainty` above 0.95."""
    if spec.kind == "bool":
        return f"`{spec.name}` {'true' if lever.value else 'false'}"
    if spec.kind == "class":
        known = 0 <= lever.value < len(spec.labels)
        return f"`{spec.name}` {spec.labels[int(lever.value)] if known else 'any other class'}"
    if lever.inclusive:
        return f"`{spec.name}` at {lever.value:.6g}"
    return f"`{spec.name}` {'above' if lever.up else 'below'} {lever.value:.6g}"


def as_json(reason: Reason, start: float) -> dict[str, object]:
    """The same for programs; times in s since `start`."""
    row = reason.row
    return {
        "rule": row.id,
        "line": reason.place.line,
        "column": reason.place.column,
        "when": row.text,
        "demands": (row.otherwise if reason.expired else row.then).name.lower(),
        "expired": reason.expired,
        "mode": row.mode,
        "cause": row.cause,
        "standing": reason.standing,
        "since": None if reason.since is None else reason.since - start,
        "clears": row.clear_text,
        "latch": row.latch,
        "for": {"frames": reason.needs.frames, "seconds": reason.needs.seconds},
        "comparisons": [_compared_json(compared) for compared in reason.holds],
        "clearing": [_compared_json(compared) for compared in reason.clears],
        "faults": list(reason.faults),
        "alone": None if reason.levers is None else [_lever_json(lever) for lever in reason.levers],
    }


def _standing(reason: Reason, start: float) -> str:
    if reason.since is None:
        return f"holds now, and is believed after {_span(reason.row.hold)} of it"
    since = f"since {reason.since - start:.2f} s"
    return f"{since}, and it holds" if reason.standing == "active" else f"{since}, and it holds no more"


def _back(reason: Reason) -> str:
    row = reason.row
    if reason.standing == "coming":
        return f"at once when not ({row.text})"
    reset = ", and the operator's reset" if row.latch else ""
    return f"{row.clear_text} for {_span(row.clear)}{reset}"


def _span(span: Span) -> str:
    parts = [span_text(part) for part in (Span(span.frames), Span(0, span.seconds)) if part != Span()]
    return " and ".join(parts) or "the first step"


def _compared(compared: Compared) -> str:
    shown = " against ".join(number(side) for side in compared.sides)
    return f"`{compared.text}` is {_OUTCOMES[compared.outcome]}: {shown}"


def _compared_json(compared: Compared) -> dict[str, object]:
    return {
        "text": compared.text,
        "line": compared.place.line,
        "column": compared.place.column,
        "outcome": compared.outcome.name.lower(),
        "sides": list(compared.sides),
    }


def _lever_json(lever: Lever) -> dict[str, object]:
    value = lever.value if math.isfinite(lever.value) else None
    side = "at" if lever.inclusive else "above" if lever.up else "below"
    return {"signal": lever.signal, "value": value, "side": side}
