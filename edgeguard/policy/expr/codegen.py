"""Compiles all conditions of a policy into three functions over the values of its signals.

Built from `ast` nodes, never from text, and passed by the opcode list before they exist as functions.
What they compute is defined by `interpreter`; a differential test holds the two together.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any, NamedTuple, TypeVar

from edgeguard.decision.table import Truth, calm
from edgeguard.policy.expr import tree
from edgeguard.policy.expr.emit import AT, HIGH, LOW, Emitter, assign, constant, every, finite, load, total
from edgeguard.policy.expr.opcodes import forbidden
from edgeguard.program import Choice, Conditions

_TRUTHS = {Truth.FALSE: "FALSE", Truth.TRUE: "TRUE", Truth.FAULT: "FAULT"}
_CALM = "CALM"
_SHORT = 30
_WHOLE: Mapping[str, Any] = {**AT, "type_params": []}
"""Of a function. Python 3.12 wants type parameters, 3.10 does not know them."""

Body = list[ast.stmt]
Answer = TypeVar("Answer")


class Condition(NamedTuple):
    """The two conditions of one rule. `clear` None: not `when`, and a fault when `when` is one."""

    when: tree.Node
    clear: tree.Node | None = None


class Compiled(NamedTuple):
    """The functions of `edgeguard.program.Program`."""

    when: Conditions
    clear: Conditions
    choose: Choice


def build(
    signals: Sequence[str],
    thresholds: Mapping[str, float],
    rules: Sequence[Condition],
    fallback: Sequence[tree.Node],
    watched: Sequence[Condition] = (),
) -> Compiled:
    """Rows of `when` and `clear`: the `rules` in order, one fault row a signal, the `watched` rules.

    `thresholds` must hold every `calibrated.NAME` of the trees, and every tree must have passed the checker.
    """
    index = {name: i for i, name in enumerate(signals)}
    count = len(rules) + len(signals) + len(watched)
    quiet, faults = calm(count), (Truth.FAULT,) * count
    writer = _Writer(index, thresholds, len(rules), (*rules, *watched))
    return Compiled(
        _total(_function(writer.when(), quiet), faults),
        _total(_function(writer.clear()), faults),
        _total(_function(writer.choose(fallback)), -1),
    )


def build_due(
    signals: Sequence[str], thresholds: Mapping[str, float], conditions: Sequence[tree.Node]
) -> Conditions:
    """One row a condition and nothing else, for what is computed when one holds."""
    index = {name: i for i, name in enumerate(signals)}
    writer = _Writer(index, thresholds, len(conditions), [Condition(node) for node in conditions])
    return _total(_function(writer.due()), (Truth.FAULT,) * len(conditions))


def _total(raw: FunctionType, otherwise: Answer) -> Callable[[Sequence[float], Sequence[bool]], Answer]:
    """`raw`, but what it cannot compute (too few values, a value that is no number) is a fault of every rule."""

    def function(values: Sequence[float], healthy: Sequence[bool]) -> Answer:
        try:
            answer: Answer = raw(values, healthy)
        except (TypeError, ValueError, ArithmeticError):
            return otherwise
        return answer

    return function


def _function(body: Body, quiet: tuple[Truth, ...] = ()) -> FunctionType:
    """The function whose statements are `body`; `quiet`: what it returns for a step in which no rule holds.

    Raises:
        AssertionError: it contains an instruction that is not on the list.
    """
    code = _compile(body)
    wrong = forbidden(code)
    if wrong:
        raise AssertionError(f"compiled conditions may not contain {', '.join(wrong)}")
    constants = (-math.inf, math.inf, Truth.FALSE, Truth.TRUE, Truth.FAULT, quiet)
    return FunctionType(code, {"__builtins__": {}}, argdefs=constants)


def _compile(body: Body) -> CodeType:
    names = ("values", "healthy", LOW, HIGH, *_TRUTHS.values(), _CALM)
    arguments = ast.arguments([], [ast.arg(n, **AT) for n in names], None, [], [], None, [])
    function = ast.FunctionDef("policy", arguments, body, [], **_WHOLE)
    outer = compile(ast.Module([function], []), "<policy>", "exec", dont_inherit=True)
    return next(c for c in outer.co_consts if isinstance(c, CodeType))


class _Writer:
    """Writes the functions' statements. Locals: v0.. values, h0.. health, t0.. sums, r0.. results."""

    def __init__(
        self,
        index: Mapping[str, int],
        thresholds: Mapping[str, float],
        enforced: int,
        conditions: Sequence[Condition],
    ) -> None:
        self.index = index
        self.thresholds = thresholds
        self.conditions = conditions
        size = len(index)
        self.rows = [i if i < enforced else i + size for i in range(len(conditions))]
        """The row of each condition: the signals' fault rows stand behind the enforced ones."""
        self.faults = range(enforced, enforced + size)

    def when(self) -> Body:
        body = [*self.unpack(), *self.calm(), *self.truths()]
        return body + self.fault_rows(Truth.FALSE) + self.result(len(self.conditions) + len(self.index))

    def due(self) -> Body:
        return [*self.unpack(), *self.truths(), *self.result(len(self.conditions))]

    def truths(self) -> Body:
        body = self.health()
        for row, condition in zip(self.rows, self.conditions):
            outcomes = (_truth(row, truth) for truth in (Truth.TRUE, Truth.FALSE, Truth.FAULT))
            body += self.three_ways(condition.when, *outcomes)
        return body

    def clear(self) -> Body:
        body = [*self.unpack(), *self.health()]
        for row, condition in zip(self.rows, self.conditions):
            opposite = condition.clear is None
            true, false = (Truth.FALSE, Truth.TRUE) if opposite else (Truth.TRUE, Truth.FALSE)
            outcomes = (_truth(row, truth) for truth in (true, false, Truth.FAULT))
            body += self.three_ways(condition.clear or condition.when, *outcomes)
        return body + self.fault_rows(Truth.TRUE) + self.result(len(self.conditions) + len(self.index))

    def choose(self, fallback: Sequence[tree.Node]) -> Body:
        """First condition that holds; one that faults ends the search, for what follows assumes it did not hold."""
        body = [*self.unpack(), *self.health()]
        for i, node in enumerate(fallback):
            body += self.three_ways(node, _answer(i), [ast.Pass(**AT)], _answer(-1))
        return body + _answer(-1)

    def unpack(self) -> Body:
        found: Body = []
        for source, kind in (("values", "v"), ("healthy", "h")):
            targets: list[ast.expr] = [ast.Name(f"{kind}{i}", ast.Store(), **AT) for i in self.index.values()]
            if targets:
                found.append(ast.Assign([ast.Tuple(targets, ast.Store(), **AT)], load(source), **AT))
        return found

    def calm(self) -> Body:
        """The common case at once: every signal healthy, everything finite, no rule holds. Else nothing is decided."""
        if not self.index:
            return []
        emitter = Emitter(self.index, self.thresholds)
        conditions = [emitter.truth(condition.when) for condition in self.conditions]
        holds = (
            ast.BoolOp(ast.Or(), conditions, **AT)
            if len(conditions) > 1
            else [*conditions, constant(value=False)][0]
        )
        inner: Body = [_if(ast.UnaryOp(ast.Not(), holds, **AT), [_return(load(_CALM))], [])]
        if emitter.sums:
            sums = total("s", [load(name) for name in emitter.sums])
            inner = [*emitter.pending, *sums, _if(finite(load("s")), inner, [])]
        values = total("s", [load(f"v{i}") for i in self.index.values()])
        healthy = every([load(f"h{i}") for i in self.index.values()])
        return [_if(healthy, [*values, _if(finite(load("s")), inner, [])], [])]

    def health(self) -> Body:
        """A signal counts as healthy only when its value is finite, too."""
        return [assign(f"h{i}", every([load(f"h{i}"), finite(load(f"v{i}"))])) for i in self.index.values()]

    def fault_rows(self, fine: Truth) -> Body:
        return [
            _if(load(f"h{i}"), _truth(row, fine), _truth(row, Truth.FAULT))
            for row, i in zip(self.faults, self.index.values())
        ]

    def result(self, count: int) -> Body:
        return [_return(_joined([load(f"r{row}") for row in range(count)]))]

    def three_ways(self, node: tree.Node, true: Body, false: Body, fault: Body) -> Body:
        """If everything read is healthy: compute the sums; if all are finite: if the condition holds ..."""
        emitter = Emitter(self.index, self.thresholds)
        inner: Body = [_if(emitter.truth(node), true, false)]
        if emitter.sums:
            checks = every([finite(load(name)) for name in emitter.sums])
            inner = [*emitter.pending, _if(checks, inner, list(fault))]
        reads = [load(f"h{self.index[name]}") for name in tree.names(node)]
        return [_if(every(reads), inner, fault)] if reads else inner


def _if(test: ast.expr, then: Body, otherwise: Body) -> ast.stmt:
    return ast.If(test, then, otherwise, **AT)


def _return(value: ast.expr) -> ast.stmt:
    return ast.Return(value, **AT)


def _truth(row: int, truth: Truth) -> Body:
    return [assign(f"r{row}", load(_TRUTHS[truth]))]


def _answer(row: int) -> Body:
    return [_return(constant(row))]


def _joined(parts: list[ast.expr]) -> ast.expr:
    """A tuple of any length. CPython builds one of more than 30 items through a list, with instructions that are not
    allowed here; so long ones are joined from short ones, in halves, so that the cost stays near linear."""
    if len(parts) <= _SHORT:
        return ast.Tuple(parts, ast.Load(), **AT)
    half = (len(parts) // (2 * _SHORT) or 1) * _SHORT
    return ast.BinOp(_joined(parts[:half]), ast.Add(), _joined(parts[half:]), **AT)
