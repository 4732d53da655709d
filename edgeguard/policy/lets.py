"""The section `let`: named expressions and constants, each checked where it stands and filled in once.

A name may use only what stands above it, so there are no cycles; what grows too large is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from edgeguard.policy.diagnostics import Report
from edgeguard.policy.expr import tree
from edgeguard.policy.expr.checker import examine
from edgeguard.policy.expr.expand import expand
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.scope import Let, Scope, Type
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.expr.tree import Kind
from edgeguard.policy.scopes import unit_of, with_lets
from edgeguard.policy.source import Path, Source, Value


class Lets(NamedTuple):
    """Every named expression, and the tree of each as written."""

    known: Mapping[str, Let]
    written: Mapping[Path, tree.Node]


def lets(values: Mapping[str, Value], scope: Scope, source: Source, report: Report) -> Lets:
    """The policy's named expressions, in file order. One with a finding is known, but has no node."""
    section = values.get("let")
    entries = section if isinstance(section, Mapping) else {}
    known: dict[str, Let] = {}
    written: dict[Path, tree.Node] = {}
    for name, entry in entries.items():
        path: Path = ("let", name)
        known[name] = Let()
        if path in source.tainted or report.full:
            continue
        if isinstance(entry, str):
            later = [other for other in entries if other not in known or other == name]
            here = replace(with_lets(scope, {n: known[n] for n in known if n != name}), later=later)
            node = parse_expression(entry)
            if not isinstance(node, Problem):
                written[path] = node
            known[name] = _expression(node, here, path, source, report)
        else:
            known[name] = _constant(entry)
    return Lets(known, written)


def _expression(node: tree.Node | Problem, scope: Scope, path: Path, source: Source, report: Report) -> Let:
    kind, problems = (None, (node,)) if isinstance(node, Problem) else examine(node, scope)
    filled = None if isinstance(node, Problem) or problems else expand(node, scope)
    if isinstance(filled, Problem):
        problems, filled = (filled,), None
    for problem in problems:
        report.add(problem.code, problem.message, source.inside(path, problem.at), problem.hint)
    return Let(kind, filled)


def _constant(entry: Value) -> Let:
    """`0.5`, which takes any unit, or `{is: 5.0, unit: m/s2}`; anything else is the shape's finding."""
    value = entry.get("is") if isinstance(entry, Mapping) else entry
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return Let()
    unit = unit_of(entry) if isinstance(entry, Mapping) else None
    return Let(Type(Kind.NUMBER, unit), tree.Number(0, 0, float(value)))
