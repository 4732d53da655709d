"""What a small change of a Python source is: operators, constants, conditions, arguments, statements.

For tests of tests (`bench.mutate_admission`). It yields changes of a syntax tree, and knows which parts are only words.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

Place: TypeAlias = Any
"""A node or a list of nodes, in which something stands at an attribute or an index."""
Node: TypeAlias = Any
"""A node of the kind that a function of `_OF` is for."""

FLIP: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr, ast.Mod: ast.Add,
}  # fmt: skip
SWAP = {"fullmatch": "match", "search": "match", "min": "max", "any": "all", "pairwise": "iter"}
UNWRAP = {"sorted", "frozenset", "shown", "tuple", "list", "set", "bool", "str"}
STRIP = {"casefold", "encode", "decode", "values", "items"}
ONLY_WORDS: dict[str, tuple[int, ...]] = {
    "refusal": (2,), "_refuse": (0, 1), "_unfit": (0, 2), "_malformed": (1,), "NotStrictError": (0,), "_decode": (1,),
    "cast": (0,),
}  # fmt: skip
"""Arguments that end in the words of a message, or in a type, and decide nothing."""
WORDS = {"_RESIGN", "_RESTORE", "_AUTHORITY", "_CHAIN"}
WORDY = {"first_day", "last_day"}


class Change(NamedTuple):
    """Put `new` at `key` of `holder`."""

    holder: Place
    key: Any
    new: Any
    what: str
    words: bool = False

    def swap(self) -> Change:
        """Make the change. Returns the one that takes it back."""
        if isinstance(self.holder, list):
            old, self.holder[self.key] = self.holder[self.key], self.new
        else:
            old = getattr(self.holder, self.key)
            setattr(self.holder, self.key, self.new)
        return self._replace(new=old)


def called(node: ast.AST) -> str:
    """The name of the function that is called; empty: none is."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def wording(tree: ast.AST) -> set[int]:
    """Ids of all nodes whose only effect is on the words of a message, or on types."""
    found: set[int] = set()
    for node in ast.walk(tree):
        parts: list[ast.AST] = []
        if isinstance(node, ast.Call):
            parts += [arg for i, arg in enumerate(node.args) if i in ONLY_WORDS.get(called(node), ())]
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id in WORDS
        ):
            parts.append(node)
        if isinstance(node, ast.FunctionDef) and node.name in WORDY:
            parts += node.body
        if isinstance(node, ast.Raise) and node.cause is not None:
            parts.append(node.cause)
        found |= {id(below) for part in parts for below in ast.walk(part)}
    return found


def changes(holder: Place, key: object, node: ast.AST, words: set[int]) -> Iterator[Change]:
    """Every change of `node`, which is at `key` of `holder`, and of what is below it."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    for kind, of_kind in _OF.items():
        if isinstance(node, kind):
            for change in of_kind(holder, key, node):
                yield change._replace(words=id(node) in words)
    if not isinstance(node, ast.arguments):  # defaults are changed apart
        for place in _places(node):
            yield from changes(*place, words)


def constants(value: object) -> Iterator[object]:
    """What may stand in the place of a value."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        yield from (value + 1, value - 1)
    elif isinstance(value, (str, bytes)):
        more: Any = "XX" if isinstance(value, str) else b"XX"
        yield value + more
        if value:
            yield value[:0]


def _places(node: ast.AST) -> Iterator[tuple[Place, object, ast.AST]]:
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        if isinstance(value, ast.AST):
            yield node, field, value
        elif isinstance(value, list):
            yield from ((value, i, below) for i, below in enumerate(value) if isinstance(below, ast.AST))


def _says_nothing(node: ast.AST | None) -> bool:
    """None already; or False, which is as good as None where truth is asked."""
    return node is None or (isinstance(node, ast.Constant) and (node.value is None or node.value is False))


_NONE = ast.Constant(None)


def _compared(_: Place, __: object, node: Node) -> Iterator[Change]:
    for i, op in enumerate(node.ops):
        for new in FLIP[type(op)]:
            yield Change(node.ops, i, new(), f"{type(op).__name__} to {new.__name__}")


def _logic(holder: Place, key: object, node: Node) -> Iterator[Change]:
    yield Change(node, "op", ast.And() if isinstance(node.op, ast.Or) else ast.Or(), "and/or")
    for i in range(len(node.values)):
        rest = node.values[:i] + node.values[i + 1 :]
        new = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        yield Change(holder, key, new, f"operand {i} dropped")


def _sign(holder: Place, key: object, node: Node) -> Iterator[Change]:
    yield Change(holder, key, node.operand, "sign dropped")


def _sum(holder: Place, key: object, node: Node) -> Iterator[Change]:
    if type(node.op) in ARITHMETIC:
        yield Change(node, "op", ARITHMETIC[type(node.op)](), f"{type(node.op).__name__} changed")
    yield Change(holder, key, node.left, "left only")
    yield Change(holder, key, node.right, "right only")


def _constant(holder: Place, key: object, node: Node) -> Iterator[Change]:
    for value in constants(node.value):
        yield Change(holder, key, ast.Constant(value), f"{node.value!r:.40} to {value!r:.40}")  # type: ignore[arg-type]


def _condition(_: Place, __: object, node: Node) -> Iterator[Change]:
    tests = list(enumerate(node.ifs)) if isinstance(node, ast.comprehension) else [("test", node.test)]
    for key, test in tests:
        holder = node.ifs if isinstance(node, ast.comprehension) else node
        yield Change(holder, key, ast.Constant(True), "condition forced true")  # noqa: FBT003
        yield Change(holder, key, ast.Constant(False), "condition forced false")  # noqa: FBT003
        if not isinstance(test, (ast.Compare, ast.UnaryOp)):
            yield Change(holder, key, ast.UnaryOp(ast.Not(), test), "condition turned")


def _returned(holder: Place, key: object, node: Node) -> Iterator[Change]:
    if node.value is None:
        yield Change(holder, key, ast.Pass(), "statement dropped")
    elif not _says_nothing(node.value):
        yield Change(node, "value", _NONE, "returns None")


def _dropped(holder: Place, key: object, _: Node) -> Iterator[Change]:
    yield Change(holder, key, ast.Pass(), "statement dropped")


def _assigned(_: Place, __: object, node: Node) -> Iterator[Change]:
    if not _says_nothing(node.value):
        yield Change(node, "value", _NONE, "assigned None")


def _loop(_: Place, __: object, node: Node) -> Iterator[Change]:
    yield Change(node, "iter", ast.Tuple([], ast.Load()), "no turn")
    for part, what in ((ast.Slice(ast.Constant(1)), "first"), (ast.Slice(None, ast.Constant(-1)), "last")):
        whole = ast.Call(ast.Name("list", ast.Load()), [node.iter], [])
        yield Change(node, "iter", ast.Subscript(whole, part, ast.Load()), f"without its {what} turn")


def _slice(_: Place, __: object, node: Node) -> Iterator[Change]:
    for end in ("lower", "upper"):
        if getattr(node, end) is not None:
            yield Change(node, end, None, f"no {end} end")


def _elements(_: Place, __: object, node: Node) -> Iterator[Change]:
    if isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        for i in range(len(node.elts)):
            if len(node.elts) > 1 or not isinstance(node, ast.Set):
                yield Change(node, "elts", node.elts[:i] + node.elts[i + 1 :], f"element {i} dropped")


def _entries(holder: Place, key: object, node: Node) -> Iterator[Change]:
    for i in range(len(node.keys)):
        new = ast.Dict(node.keys[:i] + node.keys[i + 1 :], node.values[:i] + node.values[i + 1 :])
        yield Change(holder, key, new, f"entry {i} dropped")


def _call(holder: Place, key: object, node: Node) -> Iterator[Change]:
    name = called(node)
    for i, arg in enumerate(node.args):
        if i not in ONLY_WORDS.get(name, ()) and not isinstance(arg, ast.Starred) and not _says_nothing(arg):
            yield Change(node.args, i, _NONE, f"{name}: argument {i} None")
    for i, word in enumerate(node.keywords):
        yield Change(
            node, "keywords", node.keywords[:i] + node.keywords[i + 1 :], f"{name}: {word.arg} dropped"
        )
        if not _says_nothing(word.value):
            yield Change(word, "value", _NONE, f"{name}: {word.arg} None")
    if name in SWAP:
        attribute = "id" if isinstance(node.func, ast.Name) else "attr"
        yield Change(node.func, attribute, SWAP[name], f"{name} to {SWAP[name]}")
    if name in UNWRAP and node.args and not isinstance(node.args[0], ast.Starred):
        yield Change(holder, key, node.args[0], f"{name} taken off")
    if isinstance(node.func, ast.Attribute) and name in STRIP:
        yield Change(holder, key, node.func.value, f"{name} taken off")


_OF: dict[Any, Callable[[Place, object, Any], Iterator[Change]]] = {
    ast.Compare: _compared,
    ast.BoolOp: _logic,
    ast.UnaryOp: _sign,
    ast.BinOp: _sum,
    ast.Constant: _constant,
    (ast.If, ast.While, ast.IfExp, ast.comprehension): _condition,
    ast.Return: _returned,
    (ast.Raise, ast.Expr, ast.AugAssign): _dropped,
    (ast.Assign, ast.AnnAssign): _assigned,
    ast.For: _loop,
    ast.Slice: _slice,
    (ast.Tuple, ast.List, ast.Set): _elements,
    ast.Dict: _entries,
    ast.Call: _call,
}
