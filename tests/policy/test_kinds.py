"""Numbers, truths and classes do not mix; what is said about it helps."""

from __future__ import annotations

import pytest

from edgeguard.policy.dimension import parse_unit
from edgeguard.policy.expr import tree
from edgeguard.policy.expr.checker import check, examine
from edgeguard.policy.expr.expand import Filler
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.scope import Let, Scope, Type
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.expr.tree import Kind

METRE = parse_unit("m")
SCOPE = Scope(
    {"far": Kind.NUMBER, "up": Kind.TRUTH, "sign": Kind.CLASS, "lamp": Kind.CLASS},
    {"calibrated": ("far",), "sign": ("stop", "go"), "lamp": ("red", "stop")},
    foreign={"authority": "authority is only known in `invariants`"},
    units={"far": METRE, "calibrated.far": METRE},
    lets={
        "two": Let(Type(Kind.NUMBER), tree.Number(0, 0, 2.0)),
        "span": Let(Type(Kind.NUMBER, METRE), tree.Number(0, 0, -4.0)),
        "none": Let(Type(Kind.NUMBER), tree.Number(0, 0, 0.0)),
        "halt": Let(Type(Kind.CLASS, owner="sign", label=True), tree.Label(0, 0, "sign", "stop", 0.0)),
        "broken": Let(),
        "huge": Let(Type(Kind.NUMBER, METRE)),
    },
    later=("later",),
)


BARE = " (compare it with something)"
BY_LABEL = " (compare it with one of its labels, by `==` or `!=`)"
WITH_LABEL = " (compare with a label, like `sign.NAME`)"
CONVERT = " (units are never converted: bring both to the same one)"
TRUTH = "must be true or false, and this is"
BOTH = "compares two signals, not a signal with a label"


def parsed(text: str) -> tree.Node:
    node = parse_expression(text)
    assert not isinstance(node, Problem)
    return node


def said(text: str) -> list[str]:
    return [
        f"{p.code}@{p.at} {p.message}" + (f" ({p.hint})" if p.hint else "")
        for p in check(parsed(text), SCOPE)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "up",
        "up == !up",
        "up != true",
        "sign == sign.stop",
        "sign.go != sign",
        "sign == halt",
        "(up ? sign : sign) == sign.go",
        "sign == (up ? sign.go : halt)",
        "far > 1.0 && up ? up : far < 2.0",
        "far / two > span",
        "far / span > 0.5",
        "far * span > far * far",
        "-far < span",
        "calibrated.far - far < span",
        "(up ? far : 1.0) < span",
        "broken",
        "broken > 1.0",
        "broken + far > 1.0",
        "far / broken > 1.0",
        "far / huge > 1.0",
        "(up ? broken : far) > 1.0",
    ],
)
def test_what_fits_is_accepted_and_what_has_a_finding_elsewhere_is_not_told_again(text: str) -> None:
    assert said(text) == []
    filled = Filler().fill(parsed(text), SCOPE)
    assert not isinstance(filled, Problem)
    assert (filled.node is None) is any(name in text for name in ("broken", "huge"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("far", f"EG1204@0 the whole expression {TRUTH} a number{BARE}"),
        (
            "sign",
            f"EG1204@0 the whole expression {TRUTH} a class{BY_LABEL}",
        ),
        ("!far", f"EG1204@1 what `!` takes {TRUTH} a number{BARE}"),
        ("-up > 1.0", "EG1204@1 what `-` takes must be a number, and this is true or false"),
        ("up + 1.0 > 2.0", "EG1204@0 what `+` takes must be a number, and this is true or false"),
        ("far / up > 2.0", "EG1204@6 what `/` takes must be a number, and this is true or false"),
        ("up in [1]", "EG1204@0 what stands before `in` must be a number, and this is true or false"),
        ("far ? up : up", f"EG1204@0 what stands before `?` {TRUTH} a number{BARE}"),
        ("up ? far : up", "EG1204@0 one branch is a number, the other true or false"),
        ("(up ? sign : lamp) == sign.go", "EG1204@1 one branch is of `sign`, the other of `lamp`"),
        ("sign == 1", "EG1204@0 `==` compares a class with a number"),
        ("up < up", "EG1204@0 `<` cannot order true and false (use `==`, `!=`, `&&` or `||`)"),
        ("sign >= sign.go", "EG1204@0 `>=` cannot order classes (use `==` or `!=`)"),
        (
            "sign == lamp",
            f"EG1204@0 `==` {BOTH}{WITH_LABEL}",
        ),
        (
            "halt != sign.go",
            f"EG1204@0 `!=` compares two labels, not a signal with a label{WITH_LABEL}",
        ),
        ("sign == lamp.stop", "EG1204@0 `==` compares a class of `sign` with one of `lamp` (write a label of `sign`)"),
        ("lamp.stop == sign", "EG1204@0 `==` compares a class of `lamp` with one of `sign` (write a label of `sign`)"),
        ("(up ? sign : sign.go) == sign", f"EG1204@1 `==` {BOTH}{WITH_LABEL}"),
        ("sign == sign.og", "EG1203@8 `sign` has no `og` (known: `go`, `stop`)"),
        ("far > calibrated.sign", "EG1203@6 `calibrated` has no `sign` (known: `far`)"),
        ("up.on", "EG1203@0 `up` has no members (known: `calibrated`, `lamp`, `sign`)"),
        ("spann > far", "EG1203@0 nothing is called `spann` (did you mean `span`?)"),
        ("authority == up", "EG1203@0 nothing is called `authority` (authority is only known in `invariants`)"),
        ("later > far", "EG1208@0 `later` is not defined yet (a name may use only those that stand above it)"),
        ("far / none > 1.0", "EG1205@6 division by zero"),
        ("far / 0.0 > 1.0", "EG1205@6 division by zero"),
        ("far / far > 1.0", "EG1205@6 only a number written out may divide (multiply the other side instead)"),
        (
            "far / two > two * 1.0 / span",
            f"EG1207@0 `>` compares `m` with `1/m`{CONVERT}",
        ),
        (
            "far + far * far > 1.0",
            f"EG1207@0 `+` takes `m` and `m2`{CONVERT}",
        ),
        (
            "(up ? far : far * far) > 1.0",
            f"EG1207@1 `?:` gives `m` or `m2`{CONVERT}",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_what_to_do(text: str, expected: str) -> None:
    assert said(text) == [expected]


def test_one_finding_does_not_hide_another_beside_it() -> None:
    assert [p.code for p in check(parsed("-up + fra > 1.0 && far / none > 2.0 && later"), SCOPE)] == [
        "EG1204",
        "EG1203",
        "EG1205",
        "EG1208",
    ]


def test_findings_come_in_the_order_of_the_text() -> None:
    assert [p.at for p in check(parsed("far * far > far + far * far"), SCOPE)] == [0, 12]


@pytest.mark.parametrize(
    ("text", "kind", "unit"),
    [
        ("2.0", Kind.NUMBER, None),
        ("2.0 * 3.0 - 1.0", Kind.NUMBER, None),
        ("two / 2.0", Kind.NUMBER, None),
        ("far * far", Kind.NUMBER, "m2"),
        ("far / span", Kind.NUMBER, ""),
        ("2.0 * far", Kind.NUMBER, "m"),
        ("1.0 / span", Kind.NUMBER, "1/m"),
        ("-far", Kind.NUMBER, "m"),
        ("up ? 1.0 : far", Kind.NUMBER, "m"),
        ("up ? far : 1.0", Kind.NUMBER, "m"),
        ("far > 1.0", Kind.TRUTH, None),
        ("sign.go", Kind.CLASS, None),
    ],
)
def test_every_expression_has_a_kind_and_a_number_a_unit(text: str, kind: Kind, unit: str | None) -> None:
    found, problems = examine(parsed(text), SCOPE)
    assert problems == ()
    assert found is not None
    assert (found.kind, found.unit) == (kind, None if unit is None else parse_unit(unit))
