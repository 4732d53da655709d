"""Random well-typed expressions as text, once as a policy writes them and once as Google's CEL does.

The two differ in whole numbers, which CEL wants with a point, and in named expressions, which CEL does not have.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from edgeguard.policy.expr import interpreter
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.tokens import Problem

NUMBERS, FLAGS, LABELS = ("a", "b", "c", "d"), ("p", "q"), ("stop", "yield", "none")
THRESHOLDS = {"a": 0.1, "b": -1e200, "c": 5e-324}
MEMBERS = {f"calibrated.{name}": value for name, value in THRESHOLDS.items()}
MEMBERS |= {f"kind.{label}": float(i) for i, label in enumerate(LABELS)}
EDGES = (
    0.0, 1.0, 0.1, 0.2, 0.3, 2.5, 3.0, 5e-324, 1e-320, 2.2250738585072014e-308, 1e-160, 2.0**53, 1e154, 1e200, 1e308,
    1.7976931348623157e308, 1.0000000000000002, 0.9999999999999999,
)  # fmt: skip
MORE_LITERALS = (
    "2",
    "10",
    "9007199254740993",
    "1e-400",
    "0.1000000000000000055511151231257827",
    "0.30000000000000004",
)
LEVELS = {"?:": 0, "||": 1, "&&": 2, "+": 4, "-": 4, "*": 5, "/": 5, "negative": 6, "!": 6}
SUMS = ("+", "-", "*", "/")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a random expression. `ours`, `theirs`: what a leaf is called by us and in CEL."""

    op: str
    parts: tuple[Part, ...] = ()
    ours: str = ""
    theirs: str = ""
    brackets: bool = False

    @property
    def level(self) -> int:
        return LEVELS.get(self.op, 3 if self.op in (*COMPARISONS, "in") else 7)

    def walk(self) -> Iterator[Part]:
        yield self
        for part in self.parts:
            yield from part.walk()


def leaf(ours: str, theirs: str = "") -> Part:
    return Part("leaf", (), ours, theirs or ours)


CONSTANTS = (leaf("half", "0.5"), leaf("less", "(-4.0)"), leaf("tiny", "1e-300"))
"""Named numbers, as they stand in `let`."""


def written(part: Part, *, theirs: bool = False, least: int = 0) -> str:
    """The text of a part, with no more brackets than it needs and those that it was given."""

    def inner(i: int, level: int) -> str:
        return written(part.parts[i], theirs=theirs, least=level)

    level, name = part.level, part.theirs if theirs else part.ours
    if part.op == "leaf":
        return name
    if part.op == "let":
        return f"({inner(0, 0)})" if theirs else name
    if part.op == "?:":
        found = f"{inner(0, 1)} ? {inner(1, 1)} : {inner(2, 0)}"
    elif level == 6:
        found = ("!" if part.op == "!" else "-") + inner(0, 6)
    elif part.op == "in":
        found = f"{inner(0, 4)} in {name}"
    else:
        found = f"{inner(0, 4 if level == 3 else level)} {part.op} {inner(1, level + 1)}"
    return f"({found})" if level < least or part.brackets else found


class Maker:
    """Makes random well-typed expressions, and the named ones that they use."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.lets: dict[str, Part] = {}

    def literal(self) -> Part:
        if self.rng.random() < 0.2:
            text = self.rng.choice(MORE_LITERALS)
        else:
            value = self.rng.choice((*EDGES, self.rng.uniform(0, 10)))
            text = repr(value)
        return leaf(text, text if set(text) & set(".e") else text + ".0")

    def number(self, size: int) -> Part:
        rng = self.rng
        if size <= 1:
            names = [name for name in self.lets if name.startswith("n")]
            if names and rng.random() < 0.1:
                name = rng.choice(names)
                return Part("let", (self.lets[name],), name)
            if rng.random() < 0.3:
                return rng.choice((*CONSTANTS, *[self.literal()] * 9))
            return leaf(rng.choice((*NUMBERS, *NUMBERS, "calibrated.a", "calibrated.b", "calibrated.c")))
        op = rng.choice(("+", "-", "*", "+", "-", "*", "/", "negative", "?:"))
        if op == "negative":
            return Part(op, (self.number(size - 1),), brackets=rng.random() < 0.2)
        if op == "/":
            divisor = rng.choice((*CONSTANTS, self.literal()))
            if float(divisor.theirs.strip("()")) == 0.0:
                divisor = CONSTANTS[0]
            return Part(op, (self.number(size - 1), divisor), brackets=rng.random() < 0.2)
        if op == "?:":
            one, two, three = self.split(size, 3)
            return Part(op, (self.truth(one), self.number(two), self.number(three)), brackets=True)
        left, right = self.split(size, 2)
        return Part(op, (self.number(left), self.number(right)), brackets=rng.random() < 0.2)

    def truth(self, size: int) -> Part:
        rng = self.rng
        if size <= 1:
            return self.small_truth()
        op = rng.choice(("<", "<=", ">", ">=", "==", "!=", "&&", "||", "!", "in", "?:", "same"))
        one, two = self.split(size, 2)
        if op == "!":
            return Part(op, (self.truth(size - 1),), brackets=rng.random() < 0.2)
        if op == "in":
            return self.membership(self.number(size - 1))
        if op == "?:":
            one, two, three = self.split(size, 3)
            return Part(
                op, (self.truth(one), self.truth(two), self.truth(three)), brackets=rng.random() < 0.2
            )
        if op in ("&&", "||", "same"):
            op = rng.choice(("==", "!=")) if op == "same" else op
            return Part(op, (self.truth(one), self.truth(two)), brackets=rng.random() < 0.2)
        return Part(op, (self.number(one), self.number(two)), brackets=rng.random() < 0.2)

    def small_truth(self) -> Part:
        rng = self.rng
        names = [name for name in self.lets if name.startswith("t")]
        if names and rng.random() < 0.2:
            name = rng.choice(names)
            return Part("let", (self.lets[name],), name)
        choice = rng.random()
        if choice < 0.3:
            sides = [leaf("kind"), leaf(f"kind.{rng.choice(LABELS)}")]
            rng.shuffle(sides)
            return Part(rng.choice(("==", "!=")), tuple(sides))
        if choice < 0.8:
            return leaf(rng.choice(FLAGS))
        return leaf(rng.choice(("true", "false")))

    def membership(self, operand: Part) -> Part:
        items = [self.literal() for _ in range(self.rng.randint(1, 4))]
        signs = [self.rng.choice(("", "-")) for _ in items]
        ours, theirs = (
            "["
            + ", ".join(sign + (item.theirs if foreign else item.ours) for sign, item in zip(signs, items))
            + "]"
            for foreign in (False, True)
        )
        return Part("in", (operand,), ours, theirs)

    def split(self, size: int, ways: int) -> list[int]:
        """Sizes of `ways` parts; often one gets nearly everything, so that trees grow deep as well as wide."""
        rest = max(size - 1, ways)
        if self.rng.random() < 0.5:
            sizes = [1] * (ways - 1) + [rest - ways + 1]
            self.rng.shuffle(sizes)
            return sizes
        cuts = sorted(self.rng.randint(0, rest - ways) for _ in range(ways - 1))
        return [b - a + 1 for a, b in zip([0, *cuts], [*cuts, rest - ways])]

    def condition(self) -> Part:
        """An expression that the language has room for and that is not constantly too large."""
        while True:
            size = self.rng.choice((2, 3, 4, 4, 6, 6, 9, 9, 14, 14, 25, 40, 60, 100, 200))
            found = self.truth(size)
            if fits(found):
                return found

    def name(self, kind: str) -> None:
        """One more named expression."""
        while True:
            size = self.rng.randint(1, 8)
            found = self.truth(size) if kind == "t" else self.number(size)
            if fits(found) and found.op != "leaf":
                self.lets[f"{kind}{len(self.lets)}"] = found
                return


def fits(part: Part) -> bool:
    node = parse_expression(written(part))
    if isinstance(node, Problem):
        assert node.code == "EG1202", node
        return False
    fixed = [written(p, theirs=True) for p in part.walk() if p.op in SUMS and not mentioned(p)]
    return sum(1 for _ in part.walk()) < 500 and all(is_finite(text) for text in fixed)


def is_finite(text: str) -> bool:
    """Whether a constant is: the loader refuses those that are not."""
    node = parse_expression(text)
    return isinstance(node, Problem) or interpreter.number(node, MEMBERS) is not None


def mentioned(part: Part) -> frozenset[str]:
    signals = {*NUMBERS, *FLAGS, "kind"}
    return frozenset(p.ours for p in part.walk() if p.op == "leaf" and p.ours in signals)
