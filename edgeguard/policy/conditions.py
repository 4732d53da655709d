"""Every expression of a policy: finds them, parses them, checks them, and fills in what they name.

Works on plain values, so that a mistake elsewhere in the file does not hide a mistake in a condition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from edgeguard.policy.diagnostics import Report
from edgeguard.policy.expr import tree
from edgeguard.policy.expr.checker import check
from edgeguard.policy.expr.expand import Filler
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.scope import Scope
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.lets import lets
from edgeguard.policy.local import problems
from edgeguard.policy.scopes import invariant_scope, local_scope, scope_of, with_lets
from edgeguard.policy.source import Path, Source, Value

_KEYS = (
    ("redundancy", ("if", "expect")),
    ("rules", ("when",)),
    ("fallback", ("when",)),
    ("invariants", ("never",)),
)
MICROCONTROLLER = "microcontroller"
_CLEARED = ("redundancy", "rules")


class Expressions(NamedTuple):
    """The tree of every expression by its place in the file; those with findings are left out."""

    written: Mapping[Path, tree.Node]
    """As it stands, with its names; those of `let` as well."""
    filled: Mapping[Path, tree.Node]
    """As it is compiled: named expressions filled in, truths and labels told apart."""
    local: Mapping[Path, tree.Node]
    """The same of the microcontroller's own rules, which read other names than all others do."""


def conditions(values: Mapping[str, Value], source: Source, report: Report) -> Expressions:
    """The checked trees of the policy's expressions, with a finding for everything that does not fit."""
    plain, filler = scope_of(values), Filler()
    known, let_trees = lets(values, plain, filler, source, report)
    in_rules = with_lets(plain, known)
    in_invariants = invariant_scope(values, in_rules)
    in_local_rules = local_scope(values, known)
    written, filled, local = dict(let_trees), dict[Path, tree.Node](), dict[Path, tree.Node]()
    for path, text in _expressions(values):
        if path in source.tainted:
            continue
        if report.full:
            break
        node = parse_expression(text)
        is_local = path[0] == MICROCONTROLLER
        scope = in_local_rules if is_local else in_invariants if path[0] == "invariants" else in_rules
        result = _filled(node, scope, filler)
        if not isinstance(node, Problem):
            written[path] = node
        if not isinstance(result, tuple):
            (local if is_local else filled)[path] = result
            result = problems(result) if is_local else ()
        for problem in result:
            report.add(problem.code, problem.message, source.inside(path, problem.at), problem.hint)
    return Expressions(written, filled, local)


def _filled(node: tree.Node | Problem, scope: Scope, filler: Filler) -> tree.Node | tuple[Problem, ...]:
    """The tree to compile, or why there is none (nothing, when a name in it has a finding of its own)."""
    problems = (node,) if isinstance(node, Problem) else check(node, scope)
    if isinstance(node, Problem) or problems:
        return problems
    filled = filler.fill(node, scope)
    if isinstance(filled, Problem):
        return (filled,)
    return () if filled.node is None else filled.node


def _expressions(values: Mapping[str, Value]) -> Iterator[tuple[Path, str]]:
    yield from _local(values)
    for section, keys in _KEYS:
        entries = values.get(section)
        for i, entry in enumerate(entries if isinstance(entries, tuple) else ()):
            if not isinstance(entry, Mapping):
                continue
            for key in keys:
                text = entry.get(key)
                if isinstance(text, str):
                    yield (section, i, key), text
            clear = entry.get("clear")
            inner = clear.get("when") if isinstance(clear, Mapping) else None
            if section in _CLEARED and isinstance(inner, str):
                yield (section, i, "clear", "when"), inner
    schedule = values.get("schedule")
    for name, entry in schedule.items() if isinstance(schedule, Mapping) else ():
        text = entry.get("or_when") if isinstance(entry, Mapping) else None
        if isinstance(text, str):
            yield ("schedule", name, "or_when"), text


def _local(values: Mapping[str, Value]) -> Iterator[tuple[Path, str]]:
    own = values.get(MICROCONTROLLER)
    entries = own.get("fallback") if isinstance(own, Mapping) else None
    for i, entry in enumerate(entries if isinstance(entries, tuple) else ()):
        text = entry.get("when") if isinstance(entry, Mapping) else None
        if isinstance(text, str):
            yield (MICROCONTROLLER, "fallback", i, "when"), text
