"""What is said about a text that is no expression: every message in full, with its place and what to do instead."""

from __future__ import annotations

import pytest

from edgeguard.policy.expr import expand, tree
from edgeguard.policy.expr.checker import check
from edgeguard.policy.expr.expand import Filler
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.scope import Let, Scope, Type
from edgeguard.policy.expr.tokens import Problem, Token, tokenize
from edgeguard.policy.expr.tree import Kind, Size

DECIMAL = "write a plain decimal number"
SPLIT = "split it into several rules"
NO_TEXT = "there is no text in expressions: compare numbers"
CHAINED = ("comparisons cannot be chained", "join two comparisons with `&&`")


def problem(text: str) -> Problem:
    found = parse_expression(text)
    assert isinstance(found, Problem)
    return found


@pytest.mark.parametrize(
    ("text", "at", "message", "hint"),
    [
        ("a < 1x", 4, "`1x` is not a number", DECIMAL),
        ("a < 12.", 4, "`12.` is not a number", DECIMAL),
        ("a < 1_", 4, "`1_` is not a number", DECIMAL),
        ("a < 1 & b < 1", 6, "`&` has no meaning here", "write `&&` for and"),
        ("a < 1 | b < 1", 6, "`|` has no meaning here", "write `||` for or"),
        ("a = 1", 2, "`=` has no meaning here", "write `==` to compare"),
        ("a % 2 < 1", 2, "`%` has no meaning here", "there is no remainder in this language"),
        ("a ^ 2 < 1", 2, "`^` has no meaning here", "there is no power in this language"),
        ('a == "x"', 5, '`"` has no meaning here', NO_TEXT),
        ("a == 'x'", 5, "`'` has no meaning here", NO_TEXT),
        ("a ; b", 2, "`;` has no meaning here", ""),
        ("a \a < 1", 2, "`U+0007` has no meaning here", ""),
        ("a \u00a0< 1", 2, "`U+00A0` has no meaning here", ""),
        ("é < 1", 0, "`é` has no meaning here", ""),
        ("  é", 2, "`é` has no meaning here", ""),
        ("", 0, "a value is missing before the end", ""),
        ("a <  ", 3, "a value is missing before the end", ""),
        ("< 1", 0, "a value is missing before `<`", ""),
        ("a < in", 4, "a value is missing before `in`", ""),
        ("a < 1 b", 6, "`b` is too much here", ""),
        ("a < 1 )", 6, "`)` is too much here", ""),
        ("a < 1 and b < 1", 6, "`and` is too much here", "write `&&`"),
        ("a < 1 or b < 1", 6, "`or` is too much here", "write `||`"),
        ("not a < 1", 0, "`not` has no meaning here", "write `!`"),
        ("True || a", 0, "`True` has no meaning here", "write `true`"),
        ("False || a", 0, "`False` has no meaning here", "write `false`"),
        ("(a < 1", 6, "`)` is missing before the end", ""),
        ("(a < 1 b", 7, "`)` is missing before `b`", ""),
        ("a in 1", 5, "`[` is missing before `1`", ""),
        ("a in [1", 7, "`]` is missing before the end", ""),
        ("a in [1 2]", 8, "`]` is missing before `2`", ""),
        ("a in [b]", 6, "a list holds numbers only", ""),
        ("a in [- -1]", 8, "a list holds numbers only", ""),
        ("true ? a < 1", 12, "`:` is missing before the end", ""),
        ("a < 1 < 2", 6, *CHAINED),
        ("a in [1] in [2]", 9, *CHAINED),
        ("sqrt(a) < 1", 0, "`sqrt(` looks like a call", "there are no functions in this language"),
        ("a[0] < 1", 1, "there is no indexing in this language", ""),
        ("a. < 1", 3, "a name is missing after `.`", ""),
        ("a.b.c < 1", 3, "`.` is too much here", ""),
    ],
)
def test_a_text_that_is_no_expression_is_told_with_what_to_write(
    text: str, at: int, message: str, hint: str
) -> None:
    assert problem(text) == Problem("EG1201", message, at, hint)


@pytest.mark.parametrize(
    ("text", "at", "shown"),
    [("a < 1e999", 4, "1e999"), ("9" * 42, 0, "9" * 40), ("a < " + "0" * 41, 4, "0" * 40)],
)
def test_a_number_that_no_float_holds_or_nobody_reads_is_refused(text: str, at: int, shown: str) -> None:
    assert problem(text) == Problem("EG1206", f"`{shown}` is too large or too long a number", at)


def test_a_number_of_forty_digits_is_a_number() -> None:
    assert parse_expression("9" * 40) == tree.Number(0, 40, 1e40)


@pytest.mark.parametrize(
    ("text", "at", "message", "hint"),
    [
        ("a < 1" + " " * 996, 0, "1001 characters, more than the 1000 allowed", ""),
        ("(" * 32 + "a" + ")" * 32, 32, "nested deeper than 32 levels", SPLIT),
        ("!" * 32 + "true", 31, "nested deeper than 32 levels", SPLIT),
        ("(" * 30 + "(a) + (((a" + ")" * 33, 38, "nested deeper than 32 levels", SPLIT),
        ("(" * 30 + "!a && !!!a" + ")" * 30, 37, "nested deeper than 32 levels", SPLIT),
        ("true?" * 32 + "a", 160, "nested deeper than 32 levels", SPLIT),
        ("+".join("a" * 257), 512, "more than 256 parts", SPLIT),
    ],
)
def test_a_text_beyond_a_limit_is_told_the_limit(text: str, at: int, message: str, hint: str) -> None:
    assert problem(text) == Problem("EG1202", message, at, hint)


@pytest.mark.parametrize(
    "text",
    [
        "a < 1" + " " * 995,
        "(" * 31 + "a" + ")" * 31,
        "!" * 31 + "true",
        "true?" * 31 + "a" + ":a" * 31,
        "!(a) || " * 40 + "a",
        "(a ? a : a) + " * 20 + "a",
        "+".join("a" * 256),
        "-" + "+".join("a" * 256),
    ],
)
def test_a_text_at_a_limit_is_an_expression(text: str) -> None:
    assert not isinstance(parse_expression(text), Problem)


def test_tokens_keep_their_kind_and_place() -> None:
    assert tokenize(" a1>= 2.5e-1 \t") == (
        Token("name", "a1", 1, 3),
        Token("op", ">=", 3, 5),
        Token("number", "2.5e-1", 6, 12),
        Token("end", "", 12, 14),
    )


@pytest.mark.parametrize("op", ["&&", "||", "<=", ">=", "==", "!=", *"-+*/<>!?:().,[]"])
def test_every_sign_of_the_language_is_one_token(op: str) -> None:
    assert tokenize(f"{op} ") == (Token("op", op, 0, len(op)), Token("end", "", len(op), len(op) + 1))


def lets(**sizes: Size) -> Scope:
    truth = Type(Kind.TRUTH)
    filled = {name: Let(truth, tree.Flag(0, 0, "up"), size) for name, size in sizes.items()}
    return Scope({"up": Kind.TRUTH}, {}, lets=filled)


def parsed(text: str, scope: Scope) -> tree.Node:
    node = parse_expression(text)
    assert not isinstance(node, Problem)
    assert check(node, scope) == ()
    return node


@pytest.mark.parametrize(
    ("size", "fits"),
    [(Size(509, 2), True), (Size(510, 2), False), (Size(2, 254), True), (Size(2, 255), False)],
)
def test_what_names_grow_to_has_a_limit_in_parts_and_in_levels(size: Size, fits: bool) -> None:
    scope = lets(big=size)
    found = Filler().fill(parsed("up || !big", scope), scope)
    assert isinstance(found, Let) is fits


def test_what_grows_too_large_is_told_how_large() -> None:
    scope = lets(big=Size(600, 3))
    assert Filler().fill(parsed("up  || !big", scope), scope) == Problem(
        "EG1202",
        "with its names filled in it has 603 parts on 5 levels",
        0,
        "at most 512 parts and 256 levels: split it into several rules",
    )


def test_what_all_expressions_grow_to_has_a_limit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expand, "MOST_TOGETHER", 21)
    scope, filler = lets(ten=Size(10, 2)), Filler()
    node = parsed("ten", scope)
    assert filler.fill(node, scope) == Let(None, tree.Flag(0, 3, "up"), Size(10, 2))
    assert filler.fill(parsed("up", scope), scope) == Let(None, tree.Flag(0, 2, "up"), Size(1, 1))
    assert filler.fill(node, scope) == Let(None, tree.Flag(0, 3, "up"), Size(10, 2))
    assert filler.fill(parsed("  ten", scope), scope) == Problem(
        "EG1202",
        "with their names filled in, the expressions so far have 31 parts",
        2,
        "at most 21 in a policy",
    )
    assert filler.fill(node, scope) == Let()
