"""The canonical text of an expression: the same tree again, one text for all ways to write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.desk.unparse import canonical, same_expression, unparse
from edgeguard.policy.expr import tree
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.tokens import Problem

LEAVES = st.sampled_from(
    (
        "a",
        "speed",
        "calibrated.certainty",
        "answer.stop",
        "1",
        "0.20",
        "1e-3",
        "5e-324",
        "100.0",
        "true",
        "model",
    )
)
SPACE = st.sampled_from(("", " ", "  ", "\n", "\t "))


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Larger texts: the words are kept apart, the rest is spaced and parenthesised at random."""
    operators = ("+", "-", "*", "/", "<", "<=", ">", ">=", "==", "!=", "&&", "||")
    either = st.builds("{1}{0}{2}{0}{3}".format, SPACE, inner, st.sampled_from(operators), inner)
    choice = st.builds("{1}{0}?{0}{2}{0}:{0}{3}".format, SPACE, inner, inner, inner)
    listed = st.builds("{0} in{1}[{2}]".format, inner, SPACE, st.sampled_from(("1", "1,-2.50", "-0, 3e5,7")))
    signed = st.builds("{0}{1}{2}".format, st.sampled_from("-!"), SPACE, inner)
    wrapped = st.builds("({0}{1}{0})".format, SPACE, inner)
    return st.one_of(either, choice, listed, signed, wrapped, wrapped)


TEXTS = st.recursive(LEAVES, _grown, max_leaves=24)


def parsed(text: str) -> tree.Node | None:
    node = parse_expression(text)
    return None if isinstance(node, Problem) else node


@given(TEXTS)
def test_the_text_of_a_tree_parses_to_the_same_tree(text: str) -> None:
    node = parsed(text)
    if node is None:
        return
    for again in (unparse(node), unparse(node, text)):
        found = parsed(again)
        assert found is not None, again
        assert tree.skeleton(found) == tree.skeleton(node), again


@given(TEXTS)
def test_canonical_text_is_canonical(text: str) -> None:
    once = canonical(text)
    assert canonical(once) == once
    assert same_expression(text, once)


@given(st.text(alphabet="ab.(1)+-*/<=&|!?:[], \n", max_size=40))
def test_what_is_no_expression_stays_as_it_is(text: str) -> None:
    if parsed(text) is None:
        assert canonical(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a<1", "a < 1"),
        ("((a)) < (1)", "a < 1"),
        ("a*(b+1)", "a * (b + 1)"),
        ("(a*b)+1", "a * b + 1"),
        ("a-(b-c)", "a - (b - c)"),
        ("(a-b)-c", "a - b - c"),
        ("a>1 && b>1 || c>1", "(a > 1 && b > 1) || c > 1"),
        ("a>1 || (b>1 && c>1)", "a > 1 || (b > 1 && c > 1)"),
        ("(a>1 || b>1) && c>1", "(a > 1 || b > 1) && c > 1"),
        ("(a>1) && ((b>1))", "a > 1 && b > 1"),
        ("!(a<1)", "!(a < 1)"),
        ("! door_open", "!door_open"),
        ("- - a < 1", "-(-a) < 1"),
        ("a<(b<1 ? 2:3)", "a < (b < 1 ? 2 : 3)"),
        ("a<1 ? 1 : (b<1 ? 2 : 3)", "a < 1 ? 1 : b < 1 ? 2 : 3"),
        ("(a<1) == (b<1)", "(a < 1) == (b < 1)"),
        ("a in[1,-2,  3]", "a in [1, -2, 3]"),
        ("certainty > 0.20", "certainty > 0.20"),
        ("a <\n  1", "a < 1"),
        ("a < ", "a < "),
    ],
)
def test_expressions_are_written_in_one_way(text: str, expected: str) -> None:
    assert canonical(text) == expected


def test_numbers_without_a_text_are_written_as_short_as_they_can_be() -> None:
    node = parsed("a < 0.20 && b in [1, -2.50]")
    assert node is not None
    assert unparse(node) == "a < 0.2 && b in [1.0, -2.5]"


def test_checked_trees_are_written_as_well() -> None:
    node = tree.Logic(0, 0, "&&", tree.Flag(0, 0, "door"), tree.Compare(
        0, 0, "==", tree.Name(0, 0, "answer"), tree.Label(0, 0, "answer", "stop", 0.0)
    ))  # fmt: skip
    assert unparse(node) == "door && answer == answer.stop"
    assert unparse(tree.Arithmetic(0, 0, "-", tree.Name(0, 0, "a"), tree.Number(0, 0, -1.0))) == "a - -1.0"


def test_an_expression_that_would_become_too_long_stays_as_it_is() -> None:
    text = "+".join("a" * 1 for _ in range(250)) + "<" + "1" * 40
    long = text + "&&b<" + "1" * 40
    assert parsed(long) is not None or len(long) > 0
    wide = "&&".join(["aaaaaaaaaaaaaaa<1"] * 50)
    assert len(wide) < 1000 < len(wide.replace("<", " < ").replace("&&", " && "))
    assert canonical(wide) == wide
