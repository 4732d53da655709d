"""What is declared and does nothing: signals and macros nobody reads, demands nobody carries out, things said twice.

Looks at names and structure only; what values do is `conditions`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from edgeguard.desk.findings import Finding, Severity
from edgeguard.desk.lint.subject import Subject
from edgeguard.policy.diagnostics import quote
from edgeguard.policy.expr import tree
from edgeguard.policy.source import Path
from edgeguard.types import Authority


def unread_signals(subject: Subject) -> Iterator[Finding]:
    """EG1401. A signal that the guard measures itself may be there for its age alone: then it is only a note."""
    document = subject.document
    nodes = [*document.conditions.values(), *(trigger.when for trigger in document.triggers)]
    read = {name for node in nodes for name in tree.names(node)}
    for name, signal in document.policy.signals.items():
        if name not in read:
            message = f"nothing reads {quote(name)}: it only acts when it is missing, stale or out of range"
            place = subject.name("signals", name)
            severity: Severity = "warning" if signal.from_ == "context" else "note"
            yield subject.finding("EG1401", message, place, "read it in a rule, or remove it", severity)


def unused_macros(subject: Subject) -> Iterator[Finding]:
    """EG1402: not used by any expression, not even through another macro."""
    macros = subject.document.policy.let
    uses = {path: set(tree.names(node)) for path, node in subject.document.written.items()}
    used = {name for path, names in uses.items() if path[0] != "let" for name in names}
    waiting = list(used)
    while waiting:
        more = uses.get(("let", waiting.pop()), set()) - used
        used |= more
        waiting.extend(more)
    for name in macros:
        if name not in used:
            place = subject.name("let", name)
            yield subject.finding("EG1402", f"nothing uses {quote(name)}", place, "use it, or remove it")


def idle_demands(subject: Subject) -> Iterator[Finding]:
    """EG1404: authority goes to rule-based logic that is not there; the safe command acts in its place."""
    if subject.document.policy.fallback:
        return
    for path, who in _demands(subject, "rules"):
        message = f"{who} gives authority to the rules, and there is no `fallback` rule"
        hint = "add a `fallback` section, or demand `safe_state`, whose command acts anyway"
        yield subject.finding("EG1404", message, subject.value(*path), hint)


def ladders(subject: Subject) -> Iterator[Finding]:
    """EG1405: who asks a human to take over, and how loudly, must fit together."""
    handover = subject.document.policy.handover
    asked = list(_demands(subject, "human"))
    if handover is None:
        for path, who in asked:
            message = f"{who} asks a human to take over, and no `handover` says how"
            hint = "add `handover: {escalate: [{after: 1s, alert: audible}]}`"
            yield subject.finding("EG1405", message, subject.value(*path), hint)
        return
    if not asked:
        message = "nothing ever asks a human to take over"
        yield subject.finding("EG1405", message, subject.name("handover"), "remove it, or let a rule use it")
    for i, (before, after) in enumerate(pairwise(handover.escalate), start=1):
        if before.alert == after.alert:
            message = f"this step repeats the {after.alert} alert of the one before it"
            place = subject.value("handover", "escalate", i, "alert")
            yield subject.finding("EG1405", message, place, "escalate to another alert, or remove the step")


def _demands(subject: Subject, authority: str) -> Iterator[tuple[Path, str]]:
    """Where and by whom `authority` is demanded, by what is enforced."""
    for trigger in subject.document.triggers:
        if trigger.mode != "enforce":
            continue
        if trigger.then is Authority[authority.upper()]:
            yield (*trigger.path, "then"), subject.who(trigger)
        elif trigger.then is Authority.HUMAN and trigger.otherwise is Authority[authority.upper()]:
            yield (*trigger.path, "otherwise"), subject.who(trigger)
    for name, signal in subject.document.policy.signals.items():
        if signal.on_fault == authority:
            yield ("signals", name, "on_fault"), f"signal {quote(name)}"
        elif signal.on_fault == "human" and signal.otherwise == authority:
            yield ("signals", name, "otherwise"), f"signal {quote(name)}"


def repeated_conditions(subject: Subject) -> Iterator[Finding]:
    """EG1410: two triggers that hold and clear together, and one condition that says the same twice."""
    first: dict[tuple[object, ...], str] = {}
    for trigger in subject.document.triggers:
        clear = tree.skeleton(trigger.clear) if trigger.clear is not None else ()
        holds = (trigger.mode, trigger.hold, tree.skeleton(trigger.when))
        what = (*holds, trigger.let_go, trigger.latch, clear)
        if what in first:
            message = f"{subject.who(trigger)} holds and clears exactly when {first[what]} does"
            hint = "keep the one with the more restrictive demand"
            yield subject.finding("EG1410", message, subject.start(trigger), hint)
        first.setdefault(what, f"{subject.who(trigger)} at line {trigger.line}")
    for path, node in subject.document.conditions.items():
        for part in _repeats(node):
            message = f"{subject.written(path, part)} stands here a second time"
            yield subject.finding("EG1410", message, subject.inside(path, part), "remove it, or mend it")


def _repeats(node: tree.Node) -> Iterator[tree.Node]:
    """Parts of an `&&` or `||` chain that an earlier part of it already says."""
    inside_chain: set[int] = set()
    for part in tree.walk(node):
        if not isinstance(part, tree.Logic) or id(part) in inside_chain:
            continue
        seen: set[tuple[object, ...]] = set()
        for link in _links(part, inside_chain):
            says = tree.skeleton(link)
            if says in seen:
                yield link
            seen.add(says)


def _links(node: tree.Logic, inside_chain: set[int]) -> Iterator[tree.Node]:
    """The parts of a chain of one operator, from left to right."""
    waiting: list[tree.Node] = [node]
    while waiting:
        top = waiting.pop()
        if isinstance(top, tree.Logic) and top.op == node.op:
            inside_chain.add(id(top))
            waiting += [top.right, top.left]
        else:
            yield top


def idle_rows(subject: Subject) -> Iterator[Finding]:
    """EG1411: the row below commands the same."""
    for i, (row, below) in enumerate(pairwise(subject.document.policy.fallback)):
        if row.when is None or not _same(row.command, below.command):
            continue
        place = subject.value("fallback", i)
        if below.when is None:
            message, hint = (
                "while all is healthy, the next row commands the same without this one",
                "remove it",
            )
            yield subject.finding("EG1411", message, place, hint)
        else:
            message, hint = "this row commands what the next one does", "join the conditions with `||`"
            yield subject.finding("EG1411", message, place, hint, "note")


def _same(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return dict(one) == dict(other)
