"""Trees: what a text becomes, node by node and place by place, and what the helpers over trees give back."""

from __future__ import annotations

import pytest

from edgeguard.decision.table import Truth
from edgeguard.policy.dimension import ONE, parse_unit
from edgeguard.policy.expr import interpreter, tree
from edgeguard.policy.expr.checker import check, examine
from edgeguard.policy.expr.expand import Filler
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.scope import Let, Scope, Type
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.expr.tree import (
    Arithmetic,
    Bool,
    Compare,
    Conditional,
    Flag,
    Kind,
    Label,
    Logic,
    Member,
    Name,
    Node,
    Number,
    Size,
    Unary,
    Within,
)

METRE = parse_unit("m")


def parsed(text: str) -> Node:
    node = parse_expression(text)
    assert not isinstance(node, Problem)
    return node


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" a ", Name(1, 2, "a")),
        ("2.5", Number(0, 3, 2.5)),
        ("true", Bool(0, 4, True)),
        ("false", Bool(0, 5, False)),
        ("a . b", Member(0, 5, "a", "b")),
        ("( a )", Name(2, 3, "a")),
        ("- a", Unary(0, 3, "-", Name(2, 3, "a"))),
        ("!!a", Unary(0, 3, "!", Unary(1, 3, "!", Name(2, 3, "a")))),
        ("a<b", Compare(0, 3, "<", Name(0, 1, "a"), Name(2, 3, "b"))),
        ("a||b", Logic(0, 4, "||", Name(0, 1, "a"), Name(3, 4, "b"))),
        ("a*b", Arithmetic(0, 3, "*", Name(0, 1, "a"), Name(2, 3, "b"))),
        (
            "a-b-c",
            Arithmetic(0, 5, "-", Arithmetic(0, 3, "-", Name(0, 1, "a"), Name(2, 3, "b")), Name(4, 5, "c")),
        ),
        ("a in [1, -2]", Within(0, 12, Name(0, 1, "a"), (1.0, -2.0))),
        ("a ? b : c", Conditional(0, 9, Name(0, 1, "a"), Name(4, 5, "b"), Name(8, 9, "c"))),
    ],
)
def test_a_text_becomes_this_tree(text: str, expected: Node) -> None:
    assert parsed(text) == expected


EVERY = "(!up && -a + 1 < calibrated.low || b in [2]) == (sign == sign.go ? true : up)"
SCOPE = Scope(
    {"a": Kind.NUMBER, "b": Kind.NUMBER, "up": Kind.TRUTH, "sign": Kind.CLASS},
    {"calibrated": ("low", "high"), "sign": ("stop", "go")},
)


def filled(text: str, scope: Scope = SCOPE) -> Node:
    node = parsed(text)
    assert check(node, scope) == ()
    found = Filler().fill(node, scope)
    assert isinstance(found, Let)
    assert found.node is not None
    return found.node


def places(node: Node) -> list[tuple[int, int]]:
    return [(part.at, part.end) for part in tree.walk(node)]


def test_walk_goes_from_left_to_right_through_every_part() -> None:
    kinds = [type(part).__name__ for part in tree.walk(filled(EVERY))]
    assert kinds == [
        "Compare", "Logic", "Logic", "Unary", "Flag", "Compare", "Arithmetic", "Unary", "Name", "Number", "Member",
        "Within", "Name", "Conditional", "Compare", "Name", "Label", "Bool", "Flag",
    ]  # fmt: skip


def test_names_come_once_each_in_order_of_appearance() -> None:
    assert tree.names(filled(EVERY)) == ("up", "a", "b", "sign")
    assert tree.names(filled("2 < 3")) == ()


def test_thresholds_are_the_members_of_calibrated_each_once() -> None:
    node = parsed("calibrated.high < a && calibrated.low < command.low && calibrated.high < b")
    assert [(part.name, part.at) for part in tree.calibrated(node)] == [
        ("high", 0),
        ("low", 23),
        ("high", 55),
    ]
    assert tree.thresholds(node) == ("high", "low")
    assert tree.thresholds(parsed("a < 1")) == ()


@pytest.mark.parametrize("by", [0, 7])
def test_a_shifted_tree_says_the_same_further_on(by: int) -> None:
    node = filled(EVERY)
    found = tree.shifted(node, by)
    assert places(found) == [(at + by, end + by) for at, end in places(node)]
    assert tree.skeleton(found) == tree.skeleton(node)


def test_a_moved_tree_says_the_same_in_one_place() -> None:
    node = filled(EVERY)
    found = tree.moved(node, 3, 5)
    assert set(places(found)) == {(3, 5)}
    assert tree.skeleton(found) == tree.skeleton(node)


def test_a_tree_with_other_parts_keeps_its_place() -> None:
    node = parsed("a ? b : c")
    parts = (Number(1, 2, 1.0), Number(3, 4, 2.0), Number(5, 6, 3.0))
    assert tree.with_parts(node, parts) == Conditional(0, 9, *parts)
    assert tree.with_parts(parsed("a<b"), parts[:2]) == Compare(0, 3, "<", *parts[:2])
    assert tree.with_parts(parsed("!a"), parts[:1]) == Unary(0, 2, "!", parts[0])
    assert tree.with_parts(parsed("a in [7]"), parts[:1]) == Within(0, 8, parts[0], (7.0,))


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("a", "b"), ("1", "2"), ("true", "false"), ("a.b", "a.c"), ("a.b", "c.b"), ("!a", "-a"), ("a < b", "a > b"),
        ("a < b", "b < a"), ("a && b", "a || b"), ("a + b", "a - b"), ("a in [1]", "a in [2]"), ("a", "a.b"),
        ("a ? b : c", "a ? c : b"), ("a && b", "a == b"), ("1", "true"),
    ],
)  # fmt: skip
def test_a_skeleton_tells_trees_apart_and_nothing_but_trees(text: str, other: str) -> None:
    assert tree.skeleton(parsed(text)) != tree.skeleton(parsed(other))
    assert tree.skeleton(parsed(text)) == tree.skeleton(parsed(f"  ( {text} )"))


def test_a_skeleton_is_one_entry_a_part_with_what_it_says() -> None:
    assert tree.skeleton(filled("-a < calibrated.low")) == (
        (Compare, "<"),
        (Unary, "-"),
        (Name, "a"),
        (Member, "calibrated", "low"),
    )
    assert tree.skeleton(filled("sign == sign.go")) == (
        (Compare, "=="),
        (Name, "sign"),
        (Label, "sign", "go", 1.0),
    )


def test_filling_in_puts_a_named_tree_where_its_name_stands() -> None:
    half = Arithmetic(0, 5, "/", Name(0, 1, "a"), Number(4, 5, 2.0))
    scope = Scope(
        {"a": Kind.NUMBER, "b": Kind.NUMBER}, {}, lets={"half": Let(Type(Kind.NUMBER, ONE), half, Size(3, 2))}
    )
    node = parsed("half < b")
    found = Filler().fill(node, scope)
    assert found == Let(
        None,
        Compare(0, 8, "<", Arithmetic(0, 4, "/", Name(0, 4, "a"), Number(0, 4, 2.0)), Name(7, 8, "b")),
        Size(5, 3),
    )


def test_filling_in_reads_truths_and_labels() -> None:
    assert filled("up && !up") == Logic(0, 9, "&&", Flag(0, 2, "up"), Unary(6, 9, "!", Flag(7, 9, "up")))
    stop, go = (filled(f"sign == sign.{label}") for label in ("stop", "go"))
    assert stop == Compare(0, 17, "==", Name(0, 4, "sign"), Label(8, 17, "sign", "stop", 0.0))
    assert go == Compare(0, 15, "==", Name(0, 4, "sign"), Label(8, 15, "sign", "go", 1.0))


def test_where_there_is_nothing_to_fill_in_the_tree_stays_the_same_object() -> None:
    node = parsed("a < calibrated.low && b in [1]")
    assert Filler().fill(node, SCOPE) == Let(None, node, Size(6, 3))
    assert filled("a < 1") is not filled("a < 1")
    found = Filler().fill(node, SCOPE)
    assert isinstance(found, Let)
    assert found.node is node


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.0", Type(Kind.NUMBER)),
        ("a", Type(Kind.NUMBER, ONE)),
        ("far", Type(Kind.NUMBER, METRE)),
        ("calibrated.far", Type(Kind.NUMBER, METRE)),
        ("calibrated.low", Type(Kind.NUMBER, ONE)),
        ("up", Type(Kind.TRUTH)),
        ("true", Type(Kind.TRUTH)),
        ("a < 1", Type(Kind.TRUTH)),
        ("a in [1]", Type(Kind.TRUTH)),
        ("up && up", Type(Kind.TRUTH)),
        ("!up", Type(Kind.TRUTH)),
        ("sign", Type(Kind.CLASS, owner="sign")),
        ("sign.go", Type(Kind.CLASS, owner="sign", label=True)),
        ("up ? sign : sign", Type(Kind.CLASS, owner="sign")),
        ("up ? sign.go : sign.stop", Type(Kind.CLASS, owner="sign", label=True)),
        ("up ? sign.go : sign", Type(Kind.CLASS, owner="sign")),
        ("-far", Type(Kind.NUMBER, METRE)),
        ("far + 1", Type(Kind.NUMBER, METRE)),
        ("1 - far", Type(Kind.NUMBER, METRE)),
        ("far * far", Type(Kind.NUMBER, METRE * METRE)),
        ("far / 2", Type(Kind.NUMBER, METRE)),
        ("1 / 2", Type(Kind.NUMBER)),
        ("2 * far", Type(Kind.NUMBER, METRE)),
        ("calibrated.gone < 1", Type(Kind.TRUTH)),
        ("gone", None),
        ("gone + 1", None),
        ("a / 0", None),
        ("up ? a : up", None),
    ],
)
def test_every_part_has_its_type(text: str, expected: Type | None) -> None:
    scope = Scope(
        {**SCOPE.names, "far": Kind.NUMBER},
        {**SCOPE.members, "calibrated": ("low", "far")},
        units={"far": METRE, "calibrated.far": METRE},
    )
    assert examine(parsed(text), scope)[0] == expected


VALUES: dict[str, float | None] = {
    "a": 3.0,
    "b": -2.0,
    "zero": 0.0,
    "up": 1.0,
    "sign": 1.0,
    "calibrated.low": 0.5,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b", 1.0), ("a - b", 5.0), ("a * b", -6.0), ("a / 2", 1.5), ("-a", -3.0), ("calibrated.low", 0.5),
        ("true ? a : b", 3.0), ("false ? a : b", -2.0), ("gone", None), ("a + gone", None), ("sign", 1.0),
    ],
)  # fmt: skip
def test_the_reference_computes_numbers(text: str, expected: float | None) -> None:
    assert interpreter.number(parsed(text), VALUES) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a < b", False), ("b < a", True), ("a < a", False), ("a <= a", True), ("a <= b", False), ("a > b", True),
        ("a > a", False), ("a >= a", True), ("b >= a", False), ("a == 3", True), ("a == b", False), ("a != b", True),
        ("a != 3", False), ("a in [1, 3]", True), ("a in [1]", False), ("true && false", False), ("true && true", True),
        ("false || true", True), ("false || false", False), ("!true", False), ("!false", True),
        ("true ? false : true", False), ("false ? false : true", True), ("sign == sign.go", True),
        ("sign == sign.stop", False), ("up", True), ("!up", False), ("true == (a > b)", True),
    ],
)  # fmt: skip
def test_the_reference_decides_conditions(text: str, expected: bool) -> None:
    scope = SCOPE
    assert interpreter.truth(filled(text, scope), VALUES) is (Truth.TRUE if expected else Truth.FALSE)


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf"), -float("inf")])
def test_the_reference_faults_on_a_value_that_is_none(bad: float | None) -> None:
    for text in ("a < 1", "a == a", "true || a < 1", "up", "a < calibrated.low"):
        for name in tree.names(filled(text)):
            assert interpreter.truth(filled(text), {**VALUES, name: bad}) is Truth.FAULT
    assert interpreter.truth(filled("b < calibrated.low"), {**VALUES, "calibrated.low": bad}) is Truth.FAULT
    assert interpreter.truth(filled("up"), {**VALUES, "up": 0.0}) is Truth.FALSE
