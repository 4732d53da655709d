"""Compiles all conditions of a policy into one function over the values of its signals.

Built from `ast` nodes, never from text, and passed by the opcode list before it exists as a function.
What it computes is defined by `interpreter`; a differential test holds the two together.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType

from edgeguard.decision.table import Truth
from edgeguard.policy.expr import interpreter, tree
from edgeguard.policy.expr.opcodes import forbidden
from edgeguard.program import Evaluate, Evaluation

_LOW, _HIGH = "LOW", "HIGH"
_TRUTHS = {Truth.FALSE: "FALSE", Truth.TRUE: "TRUE", Truth.FAULT: "FAULT"}
_COMPARE: Mapping[str, type[ast.cmpop]] = {
    "<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE, "==": ast.Eq, "!=": ast.NotEq,
}  # fmt: skip
_ARITHMETIC: Mapping[str, type[ast.operator]] = {"+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div}


@dataclass(frozen=True, slots=True)
class Trigger:
    """The two conditions of one rule. `clear` None: not `when`, and a fault when `when` is one."""

    when: tree.Node
    clear: tree.Node | None = None


def build(
    signals: Sequence[str],
    thresholds: Mapping[str, float],
    triggers: Sequence[Trigger],
    fallback: Sequence[tree.Node],
) -> Evaluate:
    """One function for all triggers (in order), then one fault row a signal, then the fallback conditions.

    `thresholds` must hold every `calibrated.NAME` of the trees, and every tree must have passed the checker.
    """
    writer = _Writer({name: i for i, name in enumerate(signals)}, thresholds)
    code = _compile(writer.function(triggers, fallback))
    wrong = forbidden(code)
    if wrong:
        raise AssertionError(f"compiled conditions may not contain {', '.join(wrong)}")
    constants = (-math.inf, math.inf, Truth.FALSE, Truth.TRUE, Truth.FAULT)
    raw = FunctionType(code, {"__builtins__": {}}, "evaluate", constants)
    count = len(triggers) + len(signals)
    return _total(raw, Evaluation((Truth.FAULT,) * count, (Truth.FAULT,) * count, -1))


def _total(raw: FunctionType, all_faults: Evaluation) -> Evaluate:
    """`raw`, but what it cannot compute (too few values, a value that is no number) is a fault of every rule."""
    new = tuple.__new__

    def evaluate(values: Sequence[float], healthy: Sequence[bool]) -> Evaluation:
        try:
            return new(Evaluation, raw(values, healthy))
        except (TypeError, ValueError, ArithmeticError):
            return all_faults

    return evaluate


def _compile(function: ast.FunctionDef) -> CodeType:
    module = ast.fix_missing_locations(ast.Module([function], []))
    outer = compile(module, "<policy>", "exec", dont_inherit=True, optimize=2)
    return next(c for c in outer.co_consts if isinstance(c, CodeType))


def _load(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _set(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], value)


def _all(parts: Sequence[ast.expr]) -> ast.expr:
    return parts[0] if len(parts) == 1 else ast.BoolOp(ast.And(), list(parts))


def _joined(parts: list[ast.expr]) -> ast.expr:
    """A tuple of any length. CPython builds one of more than 30 items through a list, with instructions that are not
    allowed here; so long ones are joined from short ones, in halves, so that the cost stays near linear."""
    if len(parts) <= 30:
        return ast.Tuple(parts, ast.Load())
    half = (len(parts) // 60 or 1) * 30
    return ast.BinOp(_joined(parts[:half]), ast.Add(), _joined(parts[half:]))


def _finite(value: ast.expr) -> ast.expr:
    """`LOW < value < HIGH`: false for infinities and for not-a-number, for which every comparison is false."""
    return ast.Compare(_load(_LOW), [ast.Lt(), ast.Lt()], [value, _load(_HIGH)])


@dataclass(slots=True)
class _Writer:
    """Writes the function's statements. Locals: v0.. values, h0.. health, t0.. sums, w0.. and c0.. results."""

    index: Mapping[str, int]
    thresholds: Mapping[str, float]
    sums: int = 0
    pending: list[ast.stmt] = field(default_factory=list)
    checks: list[ast.expr] = field(default_factory=list)

    def function(self, triggers: Sequence[Trigger], fallback: Sequence[tree.Node]) -> ast.FunctionDef:
        body = self.prologue()
        for i, trigger in enumerate(triggers):
            body += self.trigger(i, trigger)
        size = len(triggers)
        body.extend(self.fault_row(size + i, i) for i in self.index.values())
        rows = range(size + len(self.index))
        body += [_set(name, _joined([_load(f"{name[0]}{i}") for i in rows])) for name in ("when", "clear")]
        body += self.search(fallback)
        names = ("values", "healthy", _LOW, _HIGH, *_TRUTHS.values())
        arguments = ast.arguments([], [ast.arg(n) for n in names], None, [], [], None, [])
        function = ast.FunctionDef("evaluate", arguments, body, [])
        setattr(function, "type_params", [])  # noqa: B010  # Python 3.12 wants it, 3.10 does not know it
        return function

    def prologue(self) -> list[ast.stmt]:
        """Unpack values and health; a signal counts as healthy only when its value is finite, too."""
        body: list[ast.stmt] = []
        if not self.index:
            return body
        for source, kind in (("values", "v"), ("healthy", "h")):
            targets: list[ast.expr] = [ast.Name(f"{kind}{i}", ast.Store()) for i in self.index.values()]
            body.append(ast.Assign([ast.Tuple(targets, ast.Store())], _load(source)))
        body.extend(self.health(i) for i in self.index.values())
        return body

    def health(self, i: int) -> ast.stmt:
        return _set(f"h{i}", ast.BoolOp(ast.And(), [_load(f"h{i}"), _finite(_load(f"v{i}"))]))

    def trigger(self, i: int, trigger: Trigger) -> list[ast.stmt]:
        when, clear = f"w{i}", f"c{i}"
        if trigger.clear is not None:
            return self.condition(when, trigger.when) + self.condition(clear, trigger.clear)
        true, false = self.outcome(when, Truth.TRUE), self.outcome(when, Truth.FALSE)
        true.append(_set(clear, _load("FALSE")))
        false.append(_set(clear, _load("TRUE")))
        fault = [*self.outcome(when, Truth.FAULT), _set(clear, _load("FAULT"))]
        return self.three_ways(trigger.when, true, false, fault)

    def condition(self, name: str, node: tree.Node) -> list[ast.stmt]:
        outcomes = (self.outcome(name, truth) for truth in (Truth.TRUE, Truth.FALSE, Truth.FAULT))
        return self.three_ways(node, *outcomes)

    def outcome(self, name: str, truth: Truth) -> list[ast.stmt]:
        return [_set(name, _load(_TRUTHS[truth]))]

    def fault_row(self, row: int, signal: int) -> ast.stmt:
        fine = [*self.outcome(f"w{row}", Truth.FALSE), *self.outcome(f"c{row}", Truth.TRUE)]
        broken = [*self.outcome(f"w{row}", Truth.FAULT), *self.outcome(f"c{row}", Truth.FAULT)]
        return ast.If(_load(f"h{signal}"), fine, broken)

    def search(self, fallback: Sequence[tree.Node]) -> list[ast.stmt]:
        """First condition that holds; one that faults ends the search, for what follows assumes it did not hold."""

        def answer(value: int) -> list[ast.stmt]:
            return [ast.Return(ast.Tuple([_load("when"), _load("clear"), ast.Constant(value)], ast.Load()))]

        body: list[ast.stmt] = []
        for i, node in enumerate(fallback):
            body += self.three_ways(node, answer(i), [ast.Pass()], answer(-1))
        return body + answer(-1)

    def three_ways(
        self, node: tree.Node, true: list[ast.stmt], false: list[ast.stmt], fault: list[ast.stmt]
    ) -> list[ast.stmt]:
        """If everything read is healthy: compute the sums; if all are finite: if the condition holds ..."""
        self.pending, self.checks = [], []
        test = self.truth(node)
        inner: list[ast.stmt] = [ast.If(test, true, false)]
        if self.checks:
            inner = [*self.pending, ast.If(_all(self.checks), inner, list(fault))]
        reads = [_load(f"h{self.index[name]}") for name in tree.names(node)]
        return [ast.If(_all(reads), inner, fault)] if reads else inner

    def truth(self, node: tree.Node) -> ast.expr:
        """A condition as a Python expression. Its sums have been put into locals before it."""
        if isinstance(node, tree.Bool):
            return ast.Constant(node.value)
        if isinstance(node, tree.Unary):
            return ast.UnaryOp(ast.Not(), self.truth(node.operand))
        if isinstance(node, tree.Logic):
            op = ast.And() if node.op == "&&" else ast.Or()
            return ast.BoolOp(op, [self.truth(node.left), self.truth(node.right)])
        if isinstance(node, tree.Conditional):
            return ast.IfExp(self.truth(node.test), self.truth(node.then), self.truth(node.otherwise))
        if isinstance(node, tree.Within):
            items = ast.Tuple([ast.Constant(item) for item in node.items], ast.Load())
            return ast.Compare(self.number(node.operand), [ast.In()], [items])
        if not isinstance(node, tree.Compare):
            raise AssertionError(node)  # noqa: TRY004  # the checker lets nothing else through
        side = self.number if _is_number(node.left) else self.truth
        return ast.Compare(side(node.left), [_COMPARE[node.op]()], [side(node.right)])

    def number(self, node: tree.Node) -> ast.expr:
        """A number as a Python expression. A sum goes into a local of its own that is checked to be finite.

        One check at the root of a sum is enough: no `+ - *`, negation or division by a finite literal turns an
        infinity or not-a-number back into a finite number.
        """
        if isinstance(node, tree.Unary):
            return ast.UnaryOp(ast.USub(), self.number(node.operand))
        if not isinstance(node, tree.Arithmetic):
            return self.term(node)
        known = self.constant(node)
        if known is not None:
            return ast.Constant(known)
        value = self.term(node)
        name = f"t{self.sums}"
        self.sums += 1
        self.pending.append(_set(name, value))
        self.checks.append(_finite(_load(name)))
        return _load(name)

    def constant(self, node: tree.Node) -> float | None:
        """The value of a sum that reads no signal, so that it is not computed at every step."""
        if tree.names(node):
            return None
        env = {f"calibrated.{name}": value for name, value in self.thresholds.items()}
        return interpreter.number(node, env)

    def term(self, node: tree.Node) -> ast.expr:
        if isinstance(node, tree.Number):
            return ast.Constant(node.value)
        if isinstance(node, tree.Name):
            return _load(f"v{self.index[node.name]}")
        if isinstance(node, tree.Member):
            return ast.Constant(self.thresholds[node.name])
        if isinstance(node, tree.Unary):
            return ast.UnaryOp(ast.USub(), self.term(node.operand))
        if isinstance(node, tree.Conditional):
            parts = (self.truth(node.test), self.number(node.then), self.number(node.otherwise))
            return ast.IfExp(*parts)
        if not isinstance(node, tree.Arithmetic):
            raise AssertionError(node)  # noqa: TRY004  # the checker lets nothing else through
        return ast.BinOp(self.term(node.left), _ARITHMETIC[node.op](), self.term(node.right))


def _is_number(node: tree.Node) -> bool:
    """Whether a checked node gives a number rather than a truth."""
    if isinstance(node, tree.Conditional):
        return _is_number(node.then)
    if isinstance(node, tree.Unary):
        return node.op == "-"
    return isinstance(node, (tree.Number, tree.Name, tree.Member, tree.Arithmetic))
