"""Expressions: what is accepted, what it means, and that the compiled function means the same as the reference."""

from __future__ import annotations

import math
from types import CodeType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.decision.table import Truth
from edgeguard.policy.expr import codegen, interpreter, tree
from edgeguard.policy.expr.checker import Scope, check
from edgeguard.policy.expr.codegen import Condition, build
from edgeguard.policy.expr.opcodes import forbidden
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.expr.tree import Kind

SIGNALS = ("a", "b", "c")
THRESHOLDS = {"low": 0.25, "high": 1e200}
SCOPE = Scope(dict.fromkeys(SIGNALS, Kind.NUMBER), {"calibrated": frozenset(THRESHOLDS)})
NAN, INF, TINY = math.nan, math.inf, 5e-324

LITERALS = ("0", "1", "2.5", "0.1", "1e300", "1e-320", "5e-324", "1.7976931348623157e308", "3")
DIVISORS = ("2", "0.1", "1e-300", "5e-324", "3e200")
NUMBERS = st.sampled_from([*SIGNALS, "calibrated.low", "calibrated.high", *LITERALS])
TRUTHS = st.sampled_from(["true", "false", "(a < b)", "(c >= 0.5)", "(a == a)", "(b in [0, -1, 2.5])"])


def bigger(parts: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
    """From pairs (a number, a truth) to larger pairs, so that both kinds grow through each other."""
    two = st.tuples(parts, parts, parts)
    numbers = st.one_of(
        st.builds(lambda p, op: f"({p[0][0]} {op} {p[1][0]})", two, st.sampled_from("+-*")),
        st.builds(lambda p, d: f"({p[0]} / {d})", parts, st.sampled_from(DIVISORS)),
        st.builds(lambda p: f"(-{p[0]})", parts),
        st.builds(lambda p: f"({p[0][1]} ? {p[1][0]} : {p[2][0]})", two),
    )
    truths = st.one_of(
        st.builds(
            lambda p, op: f"({p[0][0]} {op} {p[1][0]})",
            two,
            st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
        ),
        st.builds(
            lambda p, op: f"({p[0][1]} {op} {p[1][1]})", two, st.sampled_from(["&&", "||", "==", "!="])
        ),
        st.builds(lambda p: f"(!{p[1]})", parts),
        st.builds(lambda p: f"({p[0]} in [1, -2.5, 0])", parts),
        st.builds(lambda p: f"({p[0][1]} ? {p[1][1]} : {p[2][1]})", two),
    )
    return st.tuples(numbers, truths)


CONDITIONS = st.recursive(st.tuples(NUMBERS, TRUTHS), bigger, max_leaves=12).map(lambda pair: pair[1])
VALUES = st.one_of(
    st.sampled_from([NAN, INF, -INF, 0.0, -0.0, TINY, -TINY, 1e308, -1e308, 1.0, 2.5, 0.25]), st.floats()
)


def tree_of(text: str, scope: Scope = SCOPE) -> tree.Node:
    node = parse_expression(text)
    assert not isinstance(node, Problem), (text, node)
    assert check(node, scope) == (), text
    return node


def problem(text: str, wanted: Kind = Kind.TRUTH) -> Problem:
    node = parse_expression(text)
    return node if isinstance(node, Problem) else check(node, SCOPE, wanted)[0]


def reference(node: tree.Node, values: list[float], healthy: list[bool]) -> Truth:
    env: dict[str, float | None] = {f"calibrated.{name}": value for name, value in THRESHOLDS.items()}
    env |= {name: value if fine else None for name, value, fine in zip(SIGNALS, values, healthy)}
    return interpreter.truth(node, env)


def compiled(text: str, values: list[float], healthy: tuple[bool, ...] = (True, True, True)) -> Truth:
    return build(SIGNALS, THRESHOLDS, [Condition(tree_of(text))], []).when(values, healthy)[0]


@settings(max_examples=60)
@given(CONDITIONS, st.lists(st.tuples(*[VALUES] * 3, *[st.booleans()] * 3), min_size=1, max_size=6))
def test_compiled_condition_means_what_the_reference_says(
    text: str, inputs: list[tuple[float, float, float, bool, bool, bool]]
) -> None:
    node = parse_expression(text)
    if isinstance(node, Problem):
        assert node.code == "EG1202"
        return
    assert check(node, SCOPE) == ()
    compiled = build(SIGNALS, THRESHOLDS, [Condition(node), Condition(node, node)], [node])
    for row in [*inputs, *((*i[:3], True, True, True) for i in inputs)]:
        values, healthy = list(row[:3]), [bool(x) for x in row[3:]]
        expected = reference(node, values, healthy)
        assert compiled.when(values, healthy)[:2] == (expected, expected)
        opposite = {Truth.TRUE: Truth.FALSE, Truth.FALSE: Truth.TRUE, Truth.FAULT: Truth.FAULT}[expected]
        assert compiled.clear(values, healthy)[:2] == (opposite, expected)
        assert compiled.choose(values, healthy) == (0 if expected is Truth.TRUE else -1)


@settings(max_examples=50)
@given(CONDITIONS)
def test_parsing_keeps_every_position(text: str) -> None:
    node = parse_expression(text)
    if isinstance(node, Problem):
        return
    for part in tree.walk(node):
        assert 0 <= part.at < part.end <= len(text)
        if isinstance(part, tree.Name):
            assert text[part.at : part.end] == part.name
        if isinstance(part, tree.Number):
            assert float(text[part.at : part.end]) == part.value


@settings(max_examples=150)
@given(
    st.one_of(st.text(max_size=60), st.text(alphabet="ab&|!<>=()+-*/.?:[], 0123456789eintrue", max_size=80))
)
def test_any_text_gives_a_tree_or_a_problem_inside_it(text: str) -> None:
    node = parse_expression(text)
    found = [node] if isinstance(node, Problem) else check(node, SCOPE)
    assert all(0 <= p.at <= len(text) for p in found)


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("a < b || b < c && c < 1", "(a < b) || ((b < c) && (c < 1))"),
        ("a + b * c < 1", "(a + (b * c)) < 1"),
        ("a - b - c < 1", "((a - b) - c) < 1"),
        ("a / 2 * 3 < 1", "((a / 2) * 3) < 1"),
        ("-a * b < 1", "((-a) * b) < 1"),
        ("!true || true", "(!true) || true"),
        ("true ? false : true ? false : true", "true ? false : (true ? false : true)"),
        ("a + 1 in [2]", "(a + 1) in [2]"),
        ("a < 1 == true", None),
    ],
)
def test_precedence_is_that_of_cel(text: str, same_as: str | None) -> None:
    left = parse_expression(text)
    if same_as is None:
        assert isinstance(left, Problem)
        return
    right = parse_expression(same_as)
    assert not isinstance(left, Problem)
    assert not isinstance(right, Problem)
    assert tree.skeleton(left) == tree.skeleton(right)


def test_skeleton_tells_different_trees_apart() -> None:
    assert tree.skeleton(tree_of("a < b")) != tree.skeleton(tree_of("a > b"))
    assert tree.skeleton(tree_of("a in [1]")) != tree.skeleton(tree_of("a in [2]"))
    assert tree.skeleton(tree_of("a < 1")) != tree.skeleton(tree_of("a < 1 && true"))


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_a_value_that_is_no_finite_number_is_a_fault_even_when_called_healthy(bad: float) -> None:
    assert compiled("a < 0.8", [bad, 0.0, 0.0]) is Truth.FAULT
    assert compiled("!(a < 0.8)", [bad, 0.0, 0.0]) is Truth.FAULT


def test_an_unhealthy_signal_is_a_fault_even_where_logic_would_not_look() -> None:
    assert compiled("true || a < 1", [0.5, 0.0, 0.0], (False, True, True)) is Truth.FAULT
    assert compiled("false && a < 1", [0.5, 0.0, 0.0], (False, True, True)) is Truth.FAULT
    assert compiled("true ? b < 1 : a < 1", [0.5, 0.0, 0.0], (False, True, True)) is Truth.FAULT


def test_an_unhealthy_signal_that_is_not_read_does_not_matter() -> None:
    assert compiled("b < 1", [NAN, 0.5, 0.0], (False, True, True)) is Truth.TRUE


@pytest.mark.parametrize(
    "text",
    [
        "a * b < 0",
        "a * b > 0",
        "a + b - a - b == 0",
        "-(a * b) < 0",
        "-(a * b) > 0",
        "true || a * b > 0",
        "a / 1e-300 > 0",
    ],
)
def test_a_sum_that_overflows_is_a_fault_on_both_sides_of_a_comparison(text: str) -> None:
    values = [1e308, 1e308, 0.0]
    assert compiled(text, values) is Truth.FAULT
    assert reference(tree_of(text), values, [True] * 3) is Truth.FAULT


def test_a_sum_in_a_branch_not_taken_is_a_fault_too() -> None:
    assert compiled("(c > 1 ? a * b : c) < 1", [1e308, 1e308, 0.0]) is Truth.FAULT


def test_denormal_numbers_are_numbers() -> None:
    assert compiled("a > 0", [TINY, 0.0, 0.0]) is Truth.TRUE
    assert compiled("a * 0.5 == 0", [TINY, 0.0, 0.0]) is Truth.TRUE


def test_too_few_or_strange_values_are_a_fault_of_every_rule() -> None:
    program = build(SIGNALS, THRESHOLDS, [Condition(tree_of("a < 1"))], [tree.Bool(0, 0, value=True)])
    for values, healthy in (
        ([0.0], [True] * 3),
        ([0.0] * 3, [True]),
        ([0.0, None, 0.0], [True] * 3),
        ([0.0, "1", 0.0], [True] * 3),
        (None, None),
    ):
        when, clear = program.when(values, healthy), program.clear(values, healthy)  # type: ignore[arg-type]
        assert when == clear == (Truth.FAULT,) * 4
        assert program.choose(values, healthy) == -1  # type: ignore[arg-type]


def test_an_unhealthy_value_is_never_read() -> None:
    class Trap(float):
        def __lt__(self, other: object) -> bool:
            raise AssertionError("read")

        __gt__ = __le__ = __ge__ = __lt__

    trap = Trap(0.5)
    assert compiled("a < 1 || b < 1", [trap, 0.0, 0.0], (False, True, True)) is Truth.FAULT


def test_a_fallback_condition_that_faults_ends_the_search_with_the_safe_command() -> None:
    rows = [tree_of("a > 1"), tree_of("b > 1"), tree.Bool(0, 0, value=True)]
    choose = build(SIGNALS, THRESHOLDS, [], rows).choose
    assert choose([2, 0, 0], [True] * 3) == 0
    assert choose([0, 2, 0], [True] * 3) == 1
    assert choose([0, 0, 0], [True] * 3) == 2
    assert choose([0, 0, 0], [False, True, True]) == -1
    assert choose([0, 0, 0], [True, False, True]) == -1
    assert choose([2, 0, 0], [True, False, True]) == 0


def test_without_signals_rules_or_fallback_there_is_nothing_and_the_safe_command() -> None:
    program = build((), {}, [], [])
    assert (program.when((), ()), program.clear((), ()), program.choose((), ())) == ((), (), -1)


def test_compiled_code_has_only_allowed_instructions_and_no_names() -> None:
    node = tree_of("(a + b * calibrated.low < c ? -a : b / 2) in [1, 2] || !(a == b) && true != (c >= 1)")
    writer = codegen._Writer(dict(zip(SIGNALS, range(3))), THRESHOLDS, 1, [Condition(node)])
    for body in (writer.when(), writer.clear(), writer.choose([node])):
        code = codegen._compile(body)
        assert forbidden(code) == ()
        assert code.co_names == ()
        assert not any(isinstance(constant, CodeType) for constant in code.co_consts)


@pytest.mark.parametrize(
    "source",
    [
        "def f(values): return values.__class__",
        "def f(values): return print(values)",
        "def f(values): import os",
        "def f(values): return [v for v in values]",
        "def f(values): return lambda: values",
        "def f(values): values[0] = 1",
        "def f(values):\n while True: pass",
        "def f(values): yield 1",
        "def f(values): raise values",
    ],
)
def test_instruction_list_refuses_calls_attributes_globals_loops_and_nested_code(source: str) -> None:
    space: dict[str, object] = {}
    exec(source, space)  # noqa: S102  # a fixed text of this test
    code = space["f"].__code__  # type: ignore[attr-defined]
    assert forbidden(code)


def test_generator_that_wrote_a_call_would_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codegen, "forbidden", lambda _: ("CALL",))
    with pytest.raises(AssertionError, match="CALL"):
        build(SIGNALS, THRESHOLDS, [], [])


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        ("", "EG1201", 0),
        ("   ", "EG1201", 0),
        ("a <", "EG1201", 3),
        ("a < b c", "EG1201", 6),
        ("a ; b", "EG1201", 2),
        ("a < 1 | b < 1", "EG1201", 6),
        ("not a < 1", "EG1201", 0),
        ("a. < 1", "EG1201", 3),
        ("a in b", "EG1201", 5),
        ("a in []", "EG1201", 6),
        ("a in [1", "EG1201", 7),
        ("a in [true]", "EG1201", 6),
        ("in < 1", "EG1201", 0),
        ("(a < 1", "EG1201", 6),
        ("a < 1)", "EG1201", 5),
        ("a < .5", "EG1201", 4),
        ("a < 5.", "EG1201", 4),
        ("a < 1x", "EG1201", 4),
        ("true ? a < 1", "EG1201", 12),
        ("a < 1 < 2", "EG1201", 6),
        ("a < 1\u00a0&& true\u2003é", "EG1201", 5),
        ("a < " + "9" * 41, "EG1206", 4),
        ("d < 1", "EG1203", 0),
        ("a < calibrated.lwo", "EG1203", 4),
        ("a < other.low", "EG1203", 4),
        ("a", "EG1204", 0),
        ("a + true < 1", "EG1204", 4),
        ("!a", "EG1204", 1),
        ("a && true", "EG1204", 0),
        ("-true < 1", "EG1204", 1),
        ("a ? true : false", "EG1204", 0),
        ("true in [1]", "EG1204", 0),
        ("true < false", "EG1204", 0),
        ("a == true", "EG1204", 0),
        ("(true ? a : true) < 1", "EG1204", 1),
        ("a / b < 1", "EG1205", 4),
        ("a / -0.0 < 1", "EG1205", 4),
        ("a / 0 < 1", "EG1205", 4),
    ],
)
def test_problem_has_code_and_offset(text: str, code: str, at: int) -> None:
    found = problem(text)
    assert (found.code, found.at) == (code, at), found


def test_every_problem_of_an_expression_is_found_at_once() -> None:
    node = parse_expression("x < 1 && y < 2 && a / 0 > 1")
    assert not isinstance(node, Problem)
    assert [p.code for p in check(node, SCOPE)] == ["EG1203", "EG1203", "EG1205"]


def test_misspelt_word_gets_a_suggestion() -> None:
    scope = Scope({"certainty": Kind.NUMBER}, {"calibrated": frozenset({"certainty"})})
    node = parse_expression("certianty < calibrated.certanty")
    assert not isinstance(node, Problem)
    assert [p.hint for p in check(node, scope)] == ["did you mean `certainty`?"] * 2


def test_caps_hold_exactly_at_their_limits() -> None:
    assert not isinstance(parse_expression("a < 1" + " " * 995), Problem)
    assert problem("a < 1" + " " * 996).code == "EG1202"
    assert not isinstance(parse_expression("(" * 31 + "a < 1" + ")" * 31), Problem)
    assert problem("(" * 32 + "a < 1" + ")" * 32).code == "EG1202"
    assert problem("true ? " * 40 + "true" + ": true" * 40).code == "EG1202"


def test_constants_are_folded_and_a_negated_literal_divides() -> None:
    assert compiled("a > calibrated.low * 4", [1.5, 0.0, 0.0]) is Truth.TRUE
    assert compiled("-(1 + 2) < a", [0.0, 0.0, 0.0]) is Truth.TRUE


def test_reference_and_compiler_agree_on_a_constant_that_overflows() -> None:
    assert compiled("calibrated.high * 1e300 > 1", [0.0] * 3) is Truth.FAULT
    assert reference(tree_of("calibrated.high * 1e300 > 1"), [0.0] * 3, [True] * 3) is Truth.FAULT


@pytest.mark.parametrize("count", [27, 28, 57, 58, 93, 300])
def test_any_number_of_rules_keeps_its_order(count: int) -> None:
    triggers = [Condition(tree_of(f"a * {i} < b + 40")) for i in range(count)]
    program = build(SIGNALS, THRESHOLDS, triggers, [])
    given = [1.0, 0.0, 3.0], [True, True, False]
    truths = [Truth.TRUE if i < 40 else Truth.FALSE for i in range(count)]
    assert program.when(*given) == (*truths, Truth.FALSE, Truth.FALSE, Truth.FAULT)
    assert program.clear(*given)[count:] == (Truth.TRUE, Truth.TRUE, Truth.FAULT)
