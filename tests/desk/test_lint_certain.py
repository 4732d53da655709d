"""What the linter says about values holds for any values: its claims on random policies against the interpreter."""

from __future__ import annotations

import random
from collections.abc import Iterator

from edgeguard.decision.table import Truth
from edgeguard.desk.lint import lint
from edgeguard.policy.document import PolicyDocument, parse
from edgeguard.policy.expr import interpreter, tree

HEAD = """\
edgeguard: 1
policy: {name: p, version: 1}
signals:
  a: {from: context, range: [0, 4], max_age: 100ms}
  b: {from: context, range: [-2, 2], max_age: 100ms, nominal: 1}
  door: {from: context, type: bool, max_age: 100ms}
  reply: {from: context, type: class, labels: [stop, yield], max_age: 100ms}
rules:
"""
TAIL = "envelope: {brake: {min: 0, max: 1, safe: 1}}\n"
POLICIES = 80
POINTS = 50


def amount(pick: random.Random) -> str:
    one = pick.choice(("a", "b", "a * b", "a - b", "b * b", "(door ? a : b)", "-a", "a / 2.0"))
    return pick.choice((one, one, str(pick.choice((-3, -2, 0, 0.5, 1, 2, 4, 5)))))


def truth(pick: random.Random, depth: int) -> str:
    if depth == 0:
        compared = f"{amount(pick)} {pick.choice(('<', '<=', '>', '>=', '==', '!='))} {amount(pick)}"
        return pick.choice((compared, compared, "door", "reply == reply.stop", "a in [0, 7]", "!(b >= 1.0)"))
    one, other = truth(pick, depth - 1), truth(pick, depth - 1)
    return pick.choice((f"({one}) && ({other})", f"({one}) || ({other})", f"(({one}) ? {other} : {one})"))


def policies(pick: random.Random) -> Iterator[PolicyDocument]:
    for _ in range(POLICIES):
        rules = "".join(
            f"  - {{id: r{i}, when: '{truth(pick, i % 3)}', clear: {{when: '{truth(pick, i % 2)}', for: 2 frames}}, "
            "then: safe_state}\n"
            for i in range(4)
        )
        yield parse((HEAD + rules + TAIL).encode(), file="p.yaml")


def points(pick: random.Random) -> Iterator[dict[str, float | None]]:
    for _ in range(POINTS):
        yield {
            "a": pick.choice((0.0, 4.0, 2.0, pick.uniform(0, 4))),
            "b": pick.choice((-2.0, 2.0, 0.0, pick.uniform(-2, 2))),
            "door": float(pick.randrange(2)),
            "reply": float(pick.randrange(-1, 2)),
        }


def holds(node: tree.Node, env: dict[str, float | None]) -> bool:
    return interpreter.truth(node, env) is Truth.TRUE


def test_no_values_contradict_a_finding() -> None:
    pick = random.Random(5)
    seen: dict[str, int] = {}
    for document in policies(pick):
        rules = {rule.line: rule for rule in document.triggers}
        samples = list(points(pick))
        for finding in lint(document):
            rule = rules.get(finding.line)
            if rule is None:
                continue
            clear = rule.clear if rule.clear is not None else rule.when
            if finding.code == "EG1403":
                assert not any(holds(clear, at) and not holds(rule.when, at) for at in samples), finding
            elif finding.message.endswith("never holds"):
                assert not any(holds(rule.when, at) for at in samples), finding
            elif finding.code == "EG1409":
                assert all(
                    _part_is(document, rule.path, finding.column, finding.message, at) for at in samples
                )
            else:
                continue
            seen[finding.code] = seen.get(finding.code, 0) + 1
    assert min(seen.get("EG1403", 0), seen.get("EG1409", 0)) > 20, seen


def _part_is(
    document: PolicyDocument,
    rule: tuple[str | int, ...],
    column: int,
    message: str,
    at: dict[str, float | None],
) -> bool:
    """Whether some comparison at that column is as the finding says."""
    told = message.endswith("always true")
    for path in ((*rule, "when"), (*rule, "clear", "when")):
        for part in tree.walk(document.conditions[path]):
            here = document.source.inside(path, part.at).column == column
            if here and isinstance(part, (tree.Compare, tree.Within)) and holds(part, at) is told:
                return True
    return False
