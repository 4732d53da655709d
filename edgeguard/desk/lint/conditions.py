"""What conditions come to over the declared ranges: always or never true, never clearing, true while all is well.

Every finding is certain: it follows from ranges by interval arithmetic, or from values that were tried out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from edgeguard.decision.table import Truth
from edgeguard.desk.findings import Finding, Severity
from edgeguard.desk.lint.ranges import Box, Interval, outcomes
from edgeguard.desk.lint.subject import Subject
from edgeguard.policy.expr import interpreter, tree
from edgeguard.policy.pace import frame_period
from edgeguard.policy.triggers import Trigger

_OPPOSITE = {
    "<": (">=", ">"),
    "<=": (">", ">="),
    ">": ("<=", "<"),
    ">=": ("<", "<="),
    "==": ("!=",),
    "!=": ("==",),
}
_MOST_NAMED = 3


def constant_comparisons(subject: Subject) -> Iterator[Finding]:
    """EG1409. Invariants may well be impossible within the ranges: that is what they are for."""
    for path, node in subject.document.conditions.items():
        if path[0] == "invariants" or path not in subject.document.source.texts:
            continue
        for part, outcome in _constants(node, subject.box(node)):
            message = f"{subject.written(path, part)} is {'always' if outcome else 'never'} true"
            hint = _ranges(subject, part)
            yield subject.finding("EG1409", message, subject.inside(path, part), hint)


def _constants(node: tree.Node, box: Box) -> Iterator[tuple[tree.Node, bool]]:
    """Comparisons that read a signal and only come out one way."""
    for part in tree.walk(node):
        if isinstance(part, (tree.Compare, tree.Within)) and tree.names(part):
            can = outcomes(part, box)
            if len(can) == 1:
                yield part, next(iter(can))


def constant_conditions(subject: Subject) -> Iterator[Finding]:
    """EG1409: comparisons that contradict or complete each other. A rule that always holds never clears (EG1403)."""
    for trigger in subject.document.triggers:
        written_out = (*trigger.path, "agree") not in subject.document.conditions
        told = written_out and _told_of(subject, trigger.when)
        if not told and _only(subject, trigger.when, outcome=False):
            message = f"{subject.who(trigger)} never holds"
            yield subject.finding("EG1409", message, subject.start(trigger), _ranges(subject, trigger.when))
    for i in range(len(subject.document.policy.fallback)):
        node = subject.document.conditions.get(("fallback", i, "when"))
        for outcome, word in ((False, "never"), (True, "always")):
            if node is not None and _only(subject, node, outcome=outcome) and not _told_of(subject, node):
                place = subject.value("fallback", i, "when")
                message = f"the condition of this row {word} holds"
                yield subject.finding("EG1409", message, place, _ranges(subject, node))


def _only(subject: Subject, node: tree.Node, *, outcome: bool) -> bool:
    """Whether a condition only comes out so."""
    return not subject.search.covers(node, not outcome, subject.box(node))


def _told_of(subject: Subject, node: tree.Node) -> bool:
    """Whether a comparison in it explains that already."""
    return any(_constants(node, subject.box(node)))


def _ranges(subject: Subject, node: tree.Node) -> str:
    specs = [subject.specs[name] for name in tree.names(node) if name in subject.specs]
    told = [f"`{s.name}` is {s.low:g} to {s.high:g}" for s in specs[:_MOST_NAMED]]
    return ", ".join(told)


def endless(subject: Subject) -> Iterator[Finding]:
    """EG1403: nothing within the ranges fulfils the clear condition and not the condition itself."""
    for trigger in subject.document.triggers:
        if _never_clears(subject, trigger):
            message = f"{subject.who(trigger)} can never clear"
            hint = "its clear condition must be able to hold while its condition does not"
            yield subject.finding("EG1403", message, subject.clearing(trigger), hint, "error")


def _never_clears(subject: Subject, trigger: Trigger) -> bool:
    let_go = (trigger.clear, True) if trigger.clear is not None else (trigger.when, False)
    box = subject.box(trigger.when, let_go[0])
    return not subject.search.both((trigger.when, False), let_go, box)


def holding_at_rest(subject: Subject) -> Iterator[Finding]:
    """EG1406: with every signal at its nominal value the rule holds, so that the policy never rests."""
    nominal = {name: spec.nominal for name, spec in subject.specs.items()}
    env = subject.env(nominal)
    for trigger in subject.document.triggers:
        if subject.calibrated(trigger.when) and interpreter.truth(trigger.when, env) is not Truth.FALSE:
            told = _told(nominal, tree.names(trigger.when))
            message = f"{subject.who(trigger)} holds while every signal is nominal: {told}"
            hint = "declare a `nominal` value at which all is well, or mend the condition"
            severity: Severity = "error" if trigger.mode == "enforce" else "warning"
            yield subject.finding("EG1406", message, subject.start(trigger), hint, severity)


def flickering(subject: Subject) -> Iterator[Finding]:
    """EG1407: nothing lies between holding and clearing, neither a gap nor more than one frame."""
    for trigger in subject.document.triggers:
        analogue = any(subject.specs[name].kind == "number" for name in tree.names(trigger.when))
        brief = trigger.let_go.frames <= 1 and trigger.let_go.seconds <= frame_period(subject.document.policy)
        no_gap = trigger.clear is None or _opposite(trigger.when, trigger.clear)
        if analogue and brief and no_gap and not trigger.latch:
            message = f"{subject.who(trigger)} clears as soon as its condition ends, and may flicker"
            hint = "add `clear: {when: ..., for: 10 frames}` with a gap to the condition, or `latch: true`"
            yield subject.finding("EG1407", message, subject.start(trigger), hint, "note")


def _opposite(one: tree.Node, other: tree.Node) -> bool:
    """Whether `other` says not `one`, or differs from that only where two numbers are equal."""
    if isinstance(other, tree.Unary) and other.op == "!":
        return tree.skeleton(one) == tree.skeleton(other.operand)
    if isinstance(one, tree.Unary) and one.op == "!":
        return tree.skeleton(one.operand) == tree.skeleton(other)
    if isinstance(one, tree.Logic) and isinstance(other, tree.Logic) and one.op != other.op:
        return _opposite(one.left, other.left) and _opposite(one.right, other.right)
    if isinstance(one, tree.Compare) and isinstance(other, tree.Compare):
        sides = (one.left, other.left), (one.right, other.right)
        return other.op in _OPPOSITE[one.op] and all(tree.skeleton(a) == tree.skeleton(b) for a, b in sides)
    return False


def overlapping(subject: Subject) -> Iterator[Finding]:
    """EG1408, with values at which both hold. A rule that can never clear has its own finding."""
    for trigger in subject.document.triggers:
        clear = trigger.clear
        if clear is None or not subject.calibrated(trigger.when, clear) or _never_clears(subject, trigger):
            continue
        witness = _witness(subject, trigger.when, clear)
        if witness is not None:
            told = _told(witness, tuple(dict.fromkeys(tree.names(trigger.when) + tree.names(clear))))
            message = f"{subject.who(trigger)} holds and clears on the same values: {told}"
            hint = "while its condition holds a rule does not clear; leave a gap between the two"
            yield subject.finding("EG1408", message, subject.clearing(trigger), hint)


def _witness(subject: Subject, when: tree.Node, clear: tree.Node) -> Mapping[str, float] | None:
    """Values at which both conditions are true."""
    for box in subject.search.both((when, True), (clear, True), subject.box(when, clear)):
        for pick in _PICKS:
            values = {name: _pick(pick, box, name) for name in box.ranges}
            env = subject.env(values)
            if all(interpreter.truth(node, env) is Truth.TRUE for node in (when, clear)):
                return values
    return None


def _middle(interval: Interval) -> float:
    """A number well inside; of a range with an open end one near the other end."""
    low, high = interval
    if math.isinf(low) or math.isinf(high):
        return min(max(0.0, low + 1.0), high - 1.0 if math.isinf(low) else math.inf)
    return low / 2 + high / 2


_PICKS: Sequence[Callable[[Interval], float]] = (_middle, lambda i: i.low, lambda i: i.high)


def _pick(pick: Callable[[Interval], float], box: Box, name: str) -> float:
    value = pick(box.ranges[name])
    return float(round(value)) if name in box.whole else value


def _told(values: Mapping[str, float], names: Sequence[str]) -> str:
    told = [f"`{name}` {values[name]:g}" for name in names[:_MOST_NAMED] if name in values]
    more = ["..."] if len(names) > _MOST_NAMED else []
    return ", ".join(told + more) or "whatever the signals say"
