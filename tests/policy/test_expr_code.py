"""The generated functions, statement by statement: what is computed, what is checked first, and nothing else."""

from __future__ import annotations
import __future__

import ast
import math
from types import CodeType, FunctionType

import pytest

from edgeguard.decision.table import Truth, calm
from edgeguard.policy.expr import codegen, emit, tree
from edgeguard.policy.expr.codegen import Condition, build
from edgeguard.policy.expr.emit import Emitter
from edgeguard.policy.expr.opcodes import forbidden
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.tokens import Problem

T, F, X = Truth.TRUE, Truth.FALSE, Truth.FAULT


def parsed(text: str) -> tree.Node:
    node = parse_expression(text)
    assert not isinstance(node, Problem)
    return node


def text_of(body: list[ast.stmt]) -> str:
    return ast.unparse(ast.Module(body, []))


WRITER = codegen._Writer(
    {"a": 0, "b": 1},
    {"low": 0.25},
    1,
    [
        Condition(parsed("a + b < 1.0")),
        Condition(parsed("b > calibrated.low * 2.0"), parsed("b < a * 2.0 - 1.0 && a - b > 0.0")),
    ],
)

WHEN = """\
v0, v1 = values
h0, h1 = healthy
if h0 and h1:
    s = v0 + v1
    if LOW < s < HIGH:
        t0 = v0 + v1
        s = t0
        if LOW < s < HIGH:
            if not (t0 < 1.0 or v1 > 0.5):
                return CALM
h0 = h0 and LOW < v0 < HIGH
h1 = h1 and LOW < v1 < HIGH
if h0 and h1:
    t0 = v0 + v1
    if LOW < t0 < HIGH:
        if t0 < 1.0:
            r0 = TRUE
        else:
            r0 = FALSE
    else:
        r0 = FAULT
else:
    r0 = FAULT
if h1:
    if v1 > 0.5:
        r3 = TRUE
    else:
        r3 = FALSE
else:
    r3 = FAULT
if h0:
    r1 = FALSE
else:
    r1 = FAULT
if h1:
    r2 = FALSE
else:
    r2 = FAULT
return (r0, r1, r2, r3)"""

CLEAR = """\
v0, v1 = values
h0, h1 = healthy
h0 = h0 and LOW < v0 < HIGH
h1 = h1 and LOW < v1 < HIGH
if h0 and h1:
    t0 = v0 + v1
    if LOW < t0 < HIGH:
        if t0 < 1.0:
            r0 = FALSE
        else:
            r0 = TRUE
    else:
        r0 = FAULT
else:
    r0 = FAULT
if h1 and h0:
    t0 = v0 * 2.0 - 1.0
    t1 = v0 - v1
    if LOW < t0 < HIGH and LOW < t1 < HIGH:
        if v1 < t0 and t1 > 0.0:
            r3 = TRUE
        else:
            r3 = FALSE
    else:
        r3 = FAULT
else:
    r3 = FAULT
if h0:
    r1 = TRUE
else:
    r1 = FAULT
if h1:
    r2 = TRUE
else:
    r2 = FAULT
return (r0, r1, r2, r3)"""

CHOOSE = """\
v0, v1 = values
h0, h1 = healthy
h0 = h0 and LOW < v0 < HIGH
h1 = h1 and LOW < v1 < HIGH
if h0 and h1:
    if v0 < v1:
        return 0
    else:
        pass
else:
    return -1
if True:
    return 1
else:
    pass
return -1"""


def test_a_step_of_all_conditions_is_written_so() -> None:
    assert text_of(WRITER.when()) == WHEN


def test_a_step_of_all_clear_conditions_is_written_so() -> None:
    assert text_of(WRITER.clear()) == CLEAR


def test_a_search_through_the_fallback_rules_is_written_so() -> None:
    assert text_of(WRITER.choose([parsed("a < b"), parsed("true")])) == CHOOSE


def test_a_policy_without_rules_still_looks_at_every_signal() -> None:
    assert text_of(codegen._Writer({"a": 0}, {}, 0, []).when()).startswith(
        "v0, = values\nh0, = healthy\nif h0:\n    s = v0\n    if LOW < s < HIGH:\n        if not False:\n"
        "            return CALM\nh0 = h0 and LOW < v0 < HIGH\n"
    )


def test_a_policy_without_signals_has_no_quick_way() -> None:
    writer = codegen._Writer({}, {}, 1, [Condition(parsed("true"))])
    assert text_of(writer.when()) == "if True:\n    r0 = TRUE\nelse:\n    r0 = FALSE\nreturn (r0,)"
    assert writer.calm() == []


def test_rows_are_rules_then_signals_then_watched_rules() -> None:
    high, low = Condition(parsed("a > 1.0")), Condition(parsed("a < 1.0"))
    program = build(("a", "b"), {}, [high, low], [], [low])
    assert program.when([2.0, 0.0], [True, False]) == (T, F, F, X, F)
    assert program.clear([2.0, 0.0], [True, False]) == (F, T, T, X, T)
    assert program.when([2.0], [True]) == program.clear([2.0], [True]) == (X,) * 5
    assert program.choose([2.0], [True]) == -1


def test_a_quiet_step_is_the_one_object_that_says_so() -> None:
    program = build(("a",), {}, [Condition(parsed("a > 1.0"))], [])
    assert program.when([0.0], [True]) is calm(2)
    assert program.when([2.0], [True]) == (T, F)


@pytest.mark.parametrize(
    ("count", "lengths"),
    [(0, [0]), (1, [1]), (30, [30]), (31, [30, 1]), (60, [30, 30]), (61, [30, 30, 1]), (95, [30, 30, 30, 5]),
     (120, [30, 30, 30, 30]), (150, [30] * 5), (301, [30] * 10 + [1])],
)  # fmt: skip
def test_a_long_result_is_joined_from_short_ones(count: int, lengths: list[int]) -> None:
    found = codegen._joined([emit.load(f"r{i}") for i in range(count)])
    tuples = [node for node in ast.walk(found) if isinstance(node, ast.Tuple)]
    assert sorted(len(part.elts) for part in tuples) == sorted(lengths)
    names = [name for part in ast.unparse(found).replace("+", ",").split(",") if (name := part.strip(" ()"))]
    assert names == [f"r{i}" for i in range(count)]


def test_a_long_result_is_halved_so_that_it_nests_little() -> None:
    found = codegen._joined([emit.load("r") for _ in range(240)])
    assert isinstance(found, ast.BinOp)
    sides = [sum(isinstance(n, ast.Tuple) for n in ast.walk(side)) for side in (found.left, found.right)]
    assert sides == [4, 4]


@pytest.mark.parametrize(("count", "pieces"), [(1, 1), (2, 1), (32, 1), (33, 2), (64, 2), (65, 3)])
def test_a_long_sum_is_added_up_in_short_pieces(count: int, pieces: int) -> None:
    found = emit.total("s", [emit.load(f"v{i}") for i in range(count)])
    assert len(found) == pieces
    parts = [ast.unparse(statement).removeprefix("s = ").split(" + ") for statement in found]
    assert all(part[0] == "s" for part in parts[1:])
    names = [name for i, part in enumerate(parts) for name in part[1 if i else 0 :]]
    assert names == [f"v{i}" for i in range(count)]


INDEX = {"a": 0, "b": 1, "up": 2, "sign": 3}


def emitted(node: tree.Node) -> tuple[str, list[str], list[str]]:
    emitter = Emitter(INDEX, {"low": 0.25})
    shown = ast.unparse(emitter.truth(node))
    return shown, [ast.unparse(statement) for statement in emitter.pending], emitter.sums


UP, OTHER = tree.Flag(0, 2, "up"), tree.Label(0, 0, "sign", "go", 1.0)


@pytest.mark.parametrize(
    ("node", "shown", "pending"),
    [
        (parsed("true"), "True", []),
        (UP, "v2 != 0.0", []),
        (tree.Unary(0, 0, "!", UP), "not v2 != 0.0", []),
        (tree.Logic(0, 0, "&&", UP, parsed("false")), "v2 != 0.0 and False", []),
        (tree.Logic(0, 0, "||", UP, parsed("false")), "v2 != 0.0 or False", []),
        (tree.Conditional(0, 0, UP, parsed("true"), parsed("false")), "True if v2 != 0.0 else False", []),
        (parsed("a in [1, -2.5]"), "v0 in (1.0, -2.5)", []),
        (parsed("-a in [1]"), "-v0 in (1.0,)", []),
        *((parsed(f"a {op} b"), f"v0 {op} v1", []) for op in ("<", "<=", ">", ">=", "==", "!=")),
        (parsed("calibrated.low < a"), "0.25 < v0", []),
        (parsed("2.5 < a"), "2.5 < v0", []),
        (tree.Compare(0, 0, "==", OTHER, tree.Name(0, 0, "sign")), "1.0 == v3", []),
        (tree.Compare(0, 0, "==", UP, parsed("!true")), "(v2 != 0.0) == (not True)", []),
        (tree.Compare(0, 0, "!=", parsed("!true"), UP), "(not True) != (v2 != 0.0)", []),
        (parsed("(true ? a : b) < -b"), "(v0 if True else v1) < -v1", []),
        (parsed("(true ? false : true) == true"), "(False if True else True) == True", []),
        (parsed("a + b < -(a * 2)"), "t0 < -t1", ["t0 = v0 + v1", "t1 = v0 * 2.0"]),
        (parsed("a - b - -a / 2 > 0"), "t0 > 0.0", ["t0 = v0 - v1 - -v0 / 2.0"]),
        (parsed("a + (true ? a - b : 3) > 0"), "t0 > 0.0", ["t1 = v0 - v1", "t0 = v0 + (t1 if True else 3.0)"]),
        (
            parsed("a + b < a - b && a * b < 1"),
            "t0 < t1 and t2 < 1.0",
            ["t0 = v0 + v1", "t1 = v0 - v1", "t2 = v0 * v1"],
        ),
        (parsed("a < 2 * calibrated.low + 1"), "v0 < 1.5", []),
        (parsed("a < 1e308 * 10"), "v0 < t0", ["t0 = 1e+308 * 10.0"]),
        (parsed("a + sign > 0"), "t0 > 0.0", ["t0 = v0 + v3"]),
    ],
)  # fmt: skip
def test_every_kind_of_condition_is_written_so(node: tree.Node, shown: str, pending: list[str]) -> None:
    assert emitted(node) == (shown, pending, [line.split(" = ")[0] for line in pending])
    program = build(tuple(INDEX), {"low": 0.25}, [Condition(node)], [node])
    assert program.when([1.0] * 4, [False] * 4)[1:] == (X,) * 4


def test_what_the_checker_does_not_let_through_is_no_condition_and_no_number() -> None:
    number, truth = parsed("1"), parsed("true")
    emitter = Emitter({}, {})
    with pytest.raises(AssertionError) as caught:
        emitter.truth(number)
    assert caught.value.args == (number,)
    with pytest.raises(AssertionError) as caught:
        emitter.term(truth)
    assert caught.value.args == (truth,)


def function() -> FunctionType:
    return codegen._function(WRITER.when(), (T,))


def test_a_generated_function_reaches_no_builtin_and_no_global() -> None:
    raw = function()
    assert raw.__globals__ == {"__builtins__": {}}
    assert getattr(raw, "__builtins__") == {}  # noqa: B009  # not known to every version of the type stubs
    assert (raw.__name__, raw.__code__.co_name, raw.__code__.co_filename) == ("policy", "policy", "<policy>")
    assert raw.__defaults__ == (-math.inf, math.inf, F, T, X, (T,))
    assert raw.__code__.co_varnames[:8] == (
        "values",
        "healthy",
        "LOW",
        "HIGH",
        "FALSE",
        "TRUE",
        "FAULT",
        "CALM",
    )


def test_a_generated_function_takes_nothing_over_from_the_module_that_makes_it() -> None:
    assert not function().__code__.co_flags & __future__.annotations.compiler_flag


def code_of(source: str) -> CodeType:
    return next(c for c in compile(source, "<test>", "exec").co_consts if isinstance(c, CodeType))


def test_what_is_not_on_the_list_is_named_each_once() -> None:
    assert forbidden(code_of("def f(v): return v < 1.0 or v > 2.0")) == ()
    calls = forbidden(code_of("def f(v): return one(v), two(v), one(v)"))
    assert calls[-2:] == ("name `one`", "name `two`")
    assert "LOAD_GLOBAL" in calls
    assert len(set(calls)) == len(calls)
    nested = forbidden(code_of("def f(v):\n x = 1\n def g(): return x\n return g"))
    assert "nested code `g`" in nested
    assert "name `x`" in nested
    inner = next(
        c
        for c in code_of("def f(v):\n x = 1\n def g(): return x\n return g").co_consts
        if isinstance(c, CodeType)
    )
    assert "name `x`" in forbidden(inner)


def test_code_that_is_refused_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    call = ast.parse("values(1)").body
    with pytest.raises(AssertionError, match=r"compiled conditions may not contain .*CALL"):
        codegen._function(call)
    monkeypatch.setattr(codegen, "forbidden", lambda _: ("CALL", "name `print`"))
    with pytest.raises(AssertionError) as caught:
        codegen._function(call)
    assert str(caught.value) == "compiled conditions may not contain CALL, name `print`"
