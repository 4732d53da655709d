"""Tokens to tree: precedence climbing over the CEL subset, with caps on length, depth and size.

Grammar, loosest first: `?:` (right), `||`, `&&`, one comparison or `in`, `+ -`, `* /`, unary `! -`, atoms.
Accepts only what the language has; kinds and names are the checker's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from edgeguard.policy.expr import tree
from edgeguard.policy.expr.tokens import Problem, Token, tokenize

LONGEST = 1000
DEEPEST = 32
MOST_NODES = 256

_COMPARISONS = frozenset({"<", "<=", ">", ">=", "==", "!="})
_LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"||"}),
    frozenset({"&&"}),
    _COMPARISONS | {"in"},
    frozenset({"+", "-"}),
    frozenset({"*", "/"}),
)
_COMPARISON_LEVEL = 2
_ENGLISH = {"and": "&&", "or": "||", "not": "!", "True": "true", "False": "false"}
RESERVED_WORDS = frozenset({"true", "false", "in"})


class _StopError(Exception):
    """Leaves the recursion at the first problem; never leaves this module."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def parse_expression(text: str) -> tree.Node | Problem:
    """The tree of `text`, or its first problem (EG1201, EG1202, EG1206)."""
    if len(text) > LONGEST:
        return Problem("EG1202", f"{len(text)} characters, more than the {LONGEST} allowed", 0)
    tokens = tokenize(text)
    if isinstance(tokens, Problem):
        return tokens
    try:
        return _Parser(tokens).whole()
    except _StopError as stop:
        return stop.problem


@dataclass(slots=True)
class _Parser:
    tokens: tuple[Token, ...]
    position: int = 0
    depth: int = 0
    nodes: int = 0

    def whole(self) -> tree.Node:
        node = self.ternary()
        left = self.tokens[self.position]
        if left.kind != "end":
            hint = f"write `{_ENGLISH[left.text]}`" if left.text in _ENGLISH else ""
            self.stop(f"`{left.text}` is too much here", left, hint)
        return node

    def stop(self, message: str, token: Token, hint: str = "", code: str = "EG1201") -> NoReturn:
        raise _StopError(Problem(code, message, token.at, hint))

    def peek(self) -> Token:
        return self.tokens[self.position]

    def advance(self) -> Token:
        token = self.tokens[self.position]
        self.position += 1
        self.nodes += 1
        if self.nodes > 2 * MOST_NODES:
            self.stop(f"more than {MOST_NODES} parts", token, "split it into several rules", "EG1202")
        return token

    def expect(self, text: str) -> Token:
        token = self.peek()
        if token.text != text:
            found = f"`{token.text}`" if token.text else "the end"
            self.stop(f"`{text}` is missing before {found}", token)
        return self.advance()

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            self.stop(
                f"nested deeper than {DEEPEST} levels", self.peek(), "split it into several rules", "EG1202"
            )

    def ternary(self) -> tree.Node:
        self.deeper()
        test = self.binary(0)
        if self.peek().text == "?":
            self.advance()
            then = self.ternary()
            self.expect(":")
            otherwise = self.ternary()
            test = tree.Conditional(test.at, otherwise.end, test, then, otherwise)
        self.depth -= 1
        return test

    def binary(self, level: int) -> tree.Node:
        if level == len(_LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        while self.peek().kind in ("op", "name") and self.peek().text in _LEVELS[level]:
            op = self.advance()
            left = self.joined(left, op, level)
            if level == _COMPARISON_LEVEL and self.peek().text in _LEVELS[level]:
                self.stop("comparisons cannot be chained", self.peek(), "join two comparisons with `&&`")
        return left

    def joined(self, left: tree.Node, op: Token, level: int) -> tree.Node:
        if op.text == "in":
            items, end = self.items()
            return tree.Within(left.at, end, left, items)
        right = self.binary(level + 1)
        if level == _COMPARISON_LEVEL:
            return tree.Compare(left.at, right.end, op.text, left, right)
        kind = tree.Logic if op.text in ("&&", "||") else tree.Arithmetic
        return kind(left.at, right.end, op.text, left, right)

    def items(self) -> tuple[tuple[float, ...], int]:
        self.expect("[")
        found = [self.signed()]
        while self.peek().text == ",":
            self.advance()
            found.append(self.signed())
        return tuple(found), self.expect("]").end

    def signed(self) -> float:
        negative = self.peek().text == "-"
        if negative:
            self.advance()
        token = self.peek()
        if token.kind != "number":
            self.stop("a list holds numbers only", token)
        value = float(self.advance().text)
        return -value if negative else value

    def unary(self) -> tree.Node:
        token = self.peek()
        if token.kind != "op" or token.text not in ("!", "-"):
            return self.atom()
        self.deeper()
        self.advance()
        operand = self.unary()
        self.depth -= 1
        return tree.Unary(token.at, operand.end, token.text, operand)

    def atom(self) -> tree.Node:
        token = self.peek()
        if token.kind == "number":
            self.advance()
            return tree.Number(token.at, token.end, float(token.text))
        if token.text in ("true", "false"):
            self.advance()
            return tree.Bool(token.at, token.end, token.text == "true")
        if token.kind == "name" and token.text not in RESERVED_WORDS:
            return self.name()
        if token.text == "(":
            self.advance()
            inner = self.ternary()
            self.expect(")")
            return inner
        found = f"`{token.text}`" if token.text else "the end"
        return self.stop(f"a value is missing before {found}", token)

    def name(self) -> tree.Node:
        token = self.advance()
        after = self.peek()
        if after.text == "(":
            self.stop(f"`{token.text}(` looks like a call", token, "there are no functions in this language")
        if after.text == "[":
            self.stop("there is no indexing in this language", after)
        if token.text in _ENGLISH:
            self.stop(f"`{token.text}` has no meaning here", token, f"write `{_ENGLISH[token.text]}`")
        if after.text != ".":
            return tree.Name(token.at, token.end, token.text)
        self.advance()
        member = self.peek()
        if member.kind != "name":
            self.stop("a name is missing after `.`", member)
        self.advance()
        return tree.Member(token.at, member.end, token.text, member.text)
