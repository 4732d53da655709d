"""Every expression of a policy: finds them, parses them and checks their names against what the policy declares.

Works on plain values, so that a mistake elsewhere in the file does not hide a mistake in a condition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgeguard.policy.diagnostics import Report
from edgeguard.policy.expr import tree
from edgeguard.policy.expr.checker import Scope, check
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.expr.tree import Kind
from edgeguard.policy.source import Path, Source, Value

AUTHORITIES = ("model", "rules", "human", "safe_state")


def conditions(values: Mapping[str, Value], source: Source, report: Report) -> dict[Path, tree.Node]:
    """The checked tree of every expression, by its place in the file; those with findings are left out."""
    in_rules, in_invariants = _scopes(values)
    found: dict[Path, tree.Node] = {}
    for path, text in _expressions(values):
        if path in source.tainted:
            continue
        if report.full:
            break
        scope = in_invariants if path[0] == "invariants" else in_rules
        node = parse_expression(text)
        problems = (node,) if isinstance(node, Problem) else check(node, scope)
        for problem in problems:
            report.add(problem.code, problem.message, source.inside(path, problem.at), problem.hint)
        if not isinstance(node, Problem) and not problems:
            found[path] = node
    return found


def _expressions(values: Mapping[str, Value]) -> Iterator[tuple[Path, str]]:
    for section, key in (("rules", "when"), ("fallback", "when"), ("invariants", "never")):
        entries = values.get(section)
        for i, entry in enumerate(entries if isinstance(entries, tuple) else ()):
            if not isinstance(entry, Mapping):
                continue
            text = entry.get(key)
            if isinstance(text, str):
                yield (section, i, key), text
            clear = entry.get("clear")
            inner = clear.get("when") if isinstance(clear, Mapping) else None
            if section == "rules" and isinstance(inner, str):
                yield (section, i, "clear", "when"), inner


def _scopes(values: Mapping[str, Value]) -> tuple[Scope, Scope]:
    signals, envelope = (values.get(key) for key in ("signals", "envelope"))
    names = dict.fromkeys(signals, Kind.NUMBER) if isinstance(signals, Mapping) else {}
    actuators = frozenset(envelope) if isinstance(envelope, Mapping) else frozenset[str]()
    calibrated = {"calibrated": frozenset(names)}
    elsewhere = dict.fromkeys(("authority", *AUTHORITIES), "authority is only known in `invariants`")
    in_rules = Scope(names, calibrated, elsewhere)
    words = dict.fromkeys(("authority", *AUTHORITIES), Kind.AUTHORITY)
    in_invariants = Scope({**names, **words}, {**calibrated, "command": actuators})
    return in_rules, in_invariants
