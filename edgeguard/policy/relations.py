"""Redundancy relations: what each says, as a condition that holds when it is broken, and whether that makes sense."""

from __future__ import annotations

from edgeguard.policy.diagnostics import quote
from edgeguard.policy.dimension import parse_unit, shown
from edgeguard.policy.expr import tree
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.findings import Findings
from edgeguard.policy.schema import Policy, Relation
from edgeguard.policy.source import Path

_WAYS = "write `agree` with `tolerance`, or `if` with `expect`"
_NOT_OF = "a class agrees or not: remove it"


def check_relations(findings: Findings) -> None:
    """Report every relation that is not one of the two forms, or compares what cannot agree."""
    for i, relation in enumerate(findings.policy.redundancy):
        path: Path = ("redundancy", i)
        classes = _classes(findings.policy, relation)
        if classes and relation.tolerance is not None:
            message = "`tolerance` is for numbers"
            findings.at_key("EG1323", message, (*path, "tolerance"), _NOT_OF)
            continue
        agrees = (relation.agree is not None, relation.tolerance is not None or classes)
        expects = (relation.if_ is not None, relation.expect is not None)
        if not (agrees == (True, True) and not any(expects)) and not (
            expects == (True, True) and not any(agrees)
        ):
            findings.at_key(
                "EG1323", f"relation {quote(relation.id)} is neither of the two forms", path, _WAYS
            )
        elif relation.agree is not None:
            _agreement(findings, relation.agree, (*path, "agree"))


def _agreement(findings: Findings, names: tuple[str, ...], path: Path) -> None:
    signals = findings.policy.signals
    for i, name in enumerate(names):
        if name not in signals:
            hint = findings.suggest(name, signals)
            findings.at_value("EG1302", f"there is no signal {quote(name)}", (*path, i), hint)
        elif signals[name].type == "bool":
            hint = "write `if` and `expect`"
            findings.at_value("EG1323", f"{quote(name)} is neither a number nor a class", (*path, i), hint)
    types = [signals[name].type for name in names if name in signals]
    if names[0] == names[1]:
        findings.at_value("EG1323", f"{quote(names[0])} always agrees with itself", (*path, 1))
    elif sorted(types) == ["class", "number"]:
        message = f"{quote(names[0])} and {quote(names[1])} are not of the same type"
        findings.at_value("EG1323", message, (*path, 1), "compare numbers with numbers, classes with classes")
    elif types == ["class", "class"]:
        if signals[names[0]].labels != signals[names[1]].labels:
            message = f"{quote(names[0])} and {quote(names[1])} do not have the same labels in the same order"
            findings.at_value("EG1323", message, (*path, 1), "write the same `labels` for both")
    elif types == ["number", "number"]:
        left, right = (parse_unit(signals[name].unit) for name in names)
        if left != right:
            message = f"{quote(names[0])} is {shown(left)}, {quote(names[1])} is {shown(right)}"
            hint = "units are never converted: bring both to the same one"
            findings.at_value("EG1207", message, (*path, 1), hint)


def _classes(policy: Policy, relation: Relation) -> bool:
    """Whether what is to agree are classes."""
    known = [policy.signals[name] for name in relation.agree or () if name in policy.signals]
    return bool(known) and all(signal.type == "class" for signal in known)


def agreement_text(relation: Relation) -> str:
    """The condition under which two signals do not agree; empty for a relation of the other form.

    Classes agree where both give the same label: two others that the policy has no label for are one number (-1), and
    nobody knows whether they are the same.
    """
    if relation.agree is None:
        return ""
    (left, right), most = relation.agree, relation.tolerance
    if most is None:
        return f"{left} != {right} || {left} < 0.0"
    return f"{left} - {right} > {most!r} || {right} - {left} > {most!r}"


def agreement(policy: Policy, relation: Relation) -> tree.Node | None:
    """`agreement_text` as a tree; None where what it names has a finding."""
    known = [name for name in relation.agree or () if name in policy.signals]
    kinds = {policy.signals[name].type for name in known}
    fits = kinds == ({"class"} if relation.tolerance is None else {"number"})
    if len(known) < 2 or not fits:
        return None
    node = parse_expression(agreement_text(relation))
    return None if isinstance(node, Problem) else node


def broken(holds: tree.Node, expected: tree.Node, texts: tuple[str, str]) -> tuple[tree.Node, str]:
    """The condition that `if` holds and `expect` does not, and its text; offsets count in that text."""
    first, second = texts
    text = f"({first}) && !({second})"
    start = len(first) + len("() && !")
    denied = tree.Unary(start - 1, len(text), "!", tree.shifted(expected, start + 1))
    return tree.Logic(0, len(text), "&&", tree.shifted(holds, 1), denied), text
