"""The page's controls: for every signal a slider, a switch or a choice, and the way in which it may be at fault.

Markup from a compiled policy; every text of the policy is escaped here. Decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from edgeguard.desk.page.facts import number
from edgeguard.policy import DraftPolicy
from edgeguard.policy.expr import interpreter, tree
from edgeguard.program import ActuatorLimit, SignalSpec

_HEALTH = (("healthy", "healthy"), ("missing", "missing"), ("stale", "stale"), ("nan", "not a number"))
_WIDE = 40.0
"""A slider ends well inside of a range that is so many times as wide as what conditions compare with."""


def controls(draft: DraftPolicy) -> str:
    """One row a signal, in file order."""
    marks = _marks(draft)
    return "\n".join(
        _control(i, spec, marks.get(spec.name, ())) for i, spec in enumerate(draft.program.signals)
    )


def commands(envelope: Sequence[ActuatorLimit]) -> str:
    """Fields for what the model suggests and what a human commands; values outside of the envelope are allowed."""
    head = "<thead><tr><th>actuator</th><th>the model suggests</th><th>a human commands</th></tr></thead>"
    rows = "".join(
        f'<tr><th scope="row"><code>{escape(a.name)}</code></th>'
        f"<td>{_amount('suggest', a, 'the model suggests')}</td>"
        f"<td>{_amount('manual', a, 'a human commands')}</td></tr>"
        for a in envelope
    )
    return f"<table>{head}<tbody>{rows}</tbody></table>"


def _amount(who: str, limit: ActuatorLimit, label: str) -> str:
    name = escape(limit.name)
    return (
        f'<input type="number" step="any" data-{who}="{name}" aria-label="{name}: {label}" '
        f'value="{number(limit.safe)}">'
    )


def _control(i: int, spec: SignalSpec, marks: Sequence[float]) -> str:
    name = escape(spec.name)
    origin = " · ".join(part for part in (spec.unit, spec.source) if part)
    health = "".join(f'<option value="{value}">{text}</option>' for value, text in _HEALTH)
    return (
        f'<div class="signal" data-signal="{i}" data-state="pass">'
        f'<p class="named"><label for="v{i}"><code>{name}</code></label> '
        f'<span class="soft">{escape(origin)}</span> <span class="status" data-status></span></p>'
        f'<div class="set">{_input(i, spec, marks)}'
        f'<select data-health aria-label="{name}: health">{health}</select></div></div>'
    )


def _input(i: int, spec: SignalSpec, marks: Sequence[float]) -> str:
    name = escape(spec.name)
    if spec.kind == "bool":
        return (
            f'<span class="grow"><input type="checkbox" role="switch" id="v{i}" data-value> '
            '<span class="soft" aria-hidden="true">true</span></span>'
        )
    if spec.kind == "class":
        options = "".join(
            f'<option value="{k}">{escape(label)}</option>' for k, label in enumerate(spec.labels)
        )
        return (
            f'<select class="grow" id="v{i}" data-value>{options}<option value="-1">another</option></select>'
        )
    low, high = slider_range(spec, marks)
    ticks = "".join(f'<option value="{number(mark)}"></option>' for mark in marks if low <= mark <= high)
    return (
        f'<input class="grow" type="range" aria-label="{name}: slider" min="{number(low)}" max="{number(high)}" '
        f'step="{1 if spec.whole else _step(low, high)}" value="{number(spec.nominal)}" list="m{i}">'
        f'<datalist id="m{i}">{ticks}</datalist>'
        f'<input type="number" id="v{i}" data-value step="any" value="{number(spec.nominal)}">'
    )


def slider_range(spec: SignalSpec, marks: Sequence[float]) -> tuple[float, float]:
    """Where a slider begins and ends: the range, unless it is open or far wider than what conditions compare with.

    The field beside the slider takes every number.
    """
    known = (spec.nominal, *marks)
    room = 2.0 * (max(known) - min(known)) or 1.0
    low = spec.low if math.isfinite(spec.low) else min(known) - room
    high = spec.high if math.isfinite(spec.high) else max(known) + room
    reach = max((mark - low for mark in marks), default=0.0)
    if 0.0 < _WIDE * reach < high - low:
        high = max(low + 5.0 * reach, low + 1.25 * (spec.nominal - low))
    return low, high


def _step(low: float, high: float) -> str:
    """About a thousandth of the way, in a decimal that reads well."""
    width = high - low
    return (
        f"{10.0 ** math.floor(math.log10(width / 500.0)):g}" if math.isfinite(width) and width > 0 else "any"
    )


def _marks(draft: DraftPolicy) -> Mapping[str, tuple[float, ...]]:
    """By signal, the constants that conditions compare it with."""
    env = {f"calibrated.{name}": value for name, value in draft.program.thresholds.items()}
    found: dict[str, set[float]] = {}
    for trigger in draft.document.triggers:
        for root in (trigger.when, trigger.clear):
            for node in tree.walk(root) if root is not None else ():
                if isinstance(node, tree.Compare):
                    for name, side in _sides(node):
                        found.setdefault(name, set()).update(_constants(side, env))
    return {name: tuple(sorted(values)) for name, values in found.items()}


def _sides(node: tree.Compare) -> Iterator[tuple[str, tree.Node]]:
    for one, other in ((node.left, node.right), (node.right, node.left)):
        if isinstance(one, tree.Name):
            yield one.name, other


def _constants(node: tree.Node, env: Mapping[str, float]) -> Iterator[float]:
    """The value of a side that reads no signal; of a choice, the values of its branches."""
    if isinstance(node, tree.Conditional):
        yield from _constants(node.then, env)
        yield from _constants(node.otherwise, env)
    elif not tree.names(node):
        value = interpreter.number(node, env)
        if value is not None:
            yield value
