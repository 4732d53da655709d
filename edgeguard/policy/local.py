"""Conditions of the microcontroller's own rules: comparisons of one sensor with a constant, joined by `&&`.

Nothing else fits into its table, so nothing else is let through. Pure: trees in, terms or problems out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from edgeguard.policy.diagnostics import quote
from edgeguard.policy.expr import interpreter, tree
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.fits import LARGEST_VALUE, MOST_TERMS
from edgeguard.program import Relation, Term

_RELATIONS: Mapping[str, Relation] = {
    ">": Relation.ABOVE,
    ">=": Relation.AT_LEAST,
    "<": Relation.BELOW,
    "<=": Relation.AT_MOST,
}
_MIRRORED = {">": "<", ">=": "<=", "<": ">", "<=": ">="}
_FORM = "write comparisons of one sensor with a number, joined by `&&`"


class Comparison(NamedTuple):
    """One term of a condition, by the name of its sensor."""

    sensor: str
    relation: Relation
    limit: float


def problems(node: tree.Node) -> tuple[Problem, ...]:
    """Why a checked condition is none for the microcontroller (EG1206, EG1332, EG1333), in text order."""
    parts = links(node)
    if len(parts) > MOST_TERMS:
        message = f"{len(parts)} comparisons, more than the {MOST_TERMS} of a local rule"
        return (Problem("EG1332", message, node.at, "leave out those that the others imply"),)
    return tuple(found for found in map(comparison, parts) if isinstance(found, Problem))


def terms(node: tree.Node, sensors: Sequence[str]) -> tuple[Term, ...]:
    """The comparisons of a condition without problems. `sensors`: their names in the table's order."""
    found = (part for part in map(comparison, links(node)) if isinstance(part, Comparison))
    return tuple(Term(sensors.index(part.sensor), part.relation, part.limit) for part in found)


def links(node: tree.Node) -> tuple[tree.Node, ...]:
    """The parts that `&&` joins, from left to right."""
    if isinstance(node, tree.Logic) and node.op == "&&":
        return (*links(node.left), *links(node.right))
    return (node,)


def is_constant(node: tree.Node) -> bool:
    """Whether the tree is a number that reads nothing at all."""
    return all(isinstance(part, (tree.Number, tree.Unary, tree.Arithmetic)) for part in tree.walk(node))


def comparison(link: tree.Node) -> Comparison | Problem:
    """What one part of a condition says to the microcontroller."""
    if isinstance(link, tree.Logic):
        return Problem("EG1332", "a local rule has no `||`", link.at, "write a rule for each side")
    if not isinstance(link, tree.Compare):
        return Problem("EG1332", "this is no comparison of a sensor with a number", link.at, _FORM)
    if link.op not in _RELATIONS:
        message = f"a local rule has no `{link.op}`: measured values are hardly ever equal"
        return Problem("EG1332", message, link.at, "write `<`, `<=`, `>` or `>=`")
    if is_constant(link.left) is is_constant(link.right):
        what = "reads no sensor" if is_constant(link.left) else "compares two measured values"
        return Problem("EG1332", f"this {what}", link.at, _FORM)
    if is_constant(link.left):
        return _comparison(link.right, _RELATIONS[_MIRRORED[link.op]], link.left)
    return _comparison(link.left, _RELATIONS[link.op], link.right)


def _comparison(sensor: tree.Node, relation: Relation, limit: tree.Node) -> Comparison | Problem:
    if not isinstance(sensor, tree.Name):
        return Problem("EG1332", "a sensor is compared as it is, without arithmetic", sensor.at, _FORM)
    value = interpreter.number(limit, {})
    if value is None:
        return Problem("EG1206", "this constant is too large", limit.at)
    if abs(value) > LARGEST_VALUE:
        message = f"{quote(f'{value:g}')} does not lie within {LARGEST_VALUE:g} units of zero"
        return Problem("EG1333", message, limit.at, "choose a larger unit")
    return Comparison(sensor.name, relation, value)
