"""The section `let`: named expressions and constants, each checked where it stands and filled in once.

A name may use only what stands above it, so there are no cycles; what grows too large is refused here.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from edgeguard.policy.diagnostics import Report
from edgeguard.policy.expr import tree
from edgeguard.policy.expr.checker import examine
from edgeguard.policy.expr.expand import Filler
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.scope import Let, Scope, Type
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.expr.tree import Kind
from edgeguard.policy.schema import MOST_NAMES
from edgeguard.policy.scopes import unit_of, with_lets
from edgeguard.policy.source import Path, Source, Value


class Lets(NamedTuple):
    """Every named expression, and the tree of each as written."""

    known: Mapping[str, Let]
    written: Mapping[Path, tree.Node]


def lets(values: Mapping[str, Value], scope: Scope, filler: Filler, source: Source, report: Report) -> Lets:
    """The policy's named expressions, in file order. One with a finding is known, but has no node."""
    section = values.get("let")
    entries = section if isinstance(section, Mapping) else {}
    known: dict[str, Let] = {}
    written: dict[Path, tree.Node] = {}
    for name, entry in itertools.islice(entries.items(), MOST_NAMES):
        path: Path = ("let", name)
        if path in source.tainted or report.full:
            known[name] = Let()
        elif not isinstance(entry, str):
            known[name] = _constant(entry)
        else:
            here = replace(with_lets(scope, known), later=entries.keys() - known.keys())
            node = parse_expression(entry)
            if not isinstance(node, Problem):
                written[path] = node
            known[name], problems = _expression(node, here, filler)
            for problem in problems:
                report.add(problem.code, problem.message, source.inside(path, problem.at), problem.hint)
    return Lets({**dict.fromkeys(entries, Let()), **known}, written)


def _expression(node: tree.Node | Problem, scope: Scope, filler: Filler) -> tuple[Let, tuple[Problem, ...]]:
    """What the name stands for, and every problem of it."""
    if isinstance(node, Problem):
        return Let(), (node,)
    kind, problems = examine(node, scope)
    if problems:
        return Let(kind), problems
    filled = filler.fill(node, scope)
    return (Let(kind), (filled,)) if isinstance(filled, Problem) else (replace(filled, type=kind), ())


def _constant(entry: Value) -> Let:
    """`0.5`, which takes any unit, or `{is: 5.0, unit: m/s2}`; anything else is the shape's finding."""
    value = entry.get("is") if isinstance(entry, Mapping) else entry
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return Let()
    unit = unit_of(entry) if isinstance(entry, Mapping) else None
    return Let(Type(Kind.NUMBER, unit), tree.Number(0, 0, float(value)))
