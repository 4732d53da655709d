"""Named expressions mean exactly what would stand there in parentheses, and cannot make a policy explode."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.errors import PolicyError
from edgeguard.policy.document import PolicyDocument, parse
from edgeguard.policy.expr import tree

HEAD = """\
edgeguard: 1
policy: {name: p, version: 1}
signals:
  a: {from: context, range: [0, 60], max_age: 100ms}
  b: {from: context, range: [0, 60], max_age: 100ms}
  up: {from: context, type: bool, max_age: 100ms}
  sign: {from: context, type: class, labels: [stop, go], max_age: 100ms}
envelope: {brake: {min: 0, max: 1, safe: 1}}
"""


def document(rules: list[str], lets: dict[str, str]) -> PolicyDocument:
    text = HEAD + "".join(
        ["let:\n", *(f"  {name}: '{text}'\n" for name, text in lets.items())] if lets else []
    )
    text += "rules:\n" + "".join(f"  - {{id: r{i}, when: '{r}', then: rules}}\n" for i, r in enumerate(rules))
    return parse(text.encode(), file="p.yaml")


def codes(rules: list[str], lets: dict[str, str]) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        document(rules, lets)
    return [d.code for d in caught.value.diagnostics]


def condition(text: str, lets: dict[str, str]) -> tree.Node:
    return document([text], lets).conditions[("rules", 0, "when")]


TRUTHS = st.recursive(
    st.sampled_from(["a < 1.0", "up", "sign == sign.go", "a + b >= 2.0", "b in [1, 2]", "-a != b * 2.0"]),
    lambda inner: st.one_of(
        st.builds(lambda x, op, y: f"({x}) {op} ({y})", inner, st.sampled_from(["&&", "||", "=="]), inner),
        st.builds(lambda x: f"!({x})", inner),
        st.builds(lambda x, y, z: f"({x}) ? ({y}) : ({z})", inner, inner, inner),
    ),
    max_leaves=4,
)


@settings(max_examples=60)
@given(TRUTHS, TRUTHS, st.sampled_from(["p && q", "!p || q", "p ? q : !p", "p == q", "p != (q && p)"]))
def test_name_means_what_would_stand_there_in_parentheses(p: str, q: str, use: str) -> None:
    named = condition(use, {"p": p, "q": q})
    written = condition(use.replace("p", "@").replace("q", f"({q})").replace("@", f"({p})"), {})
    assert tree.skeleton(named) == tree.skeleton(written)


def test_name_may_use_names_above_it() -> None:
    lets = {"twice": "a * 2.0", "more": "twice + b", "high": "more > 5.0"}
    assert tree.skeleton(condition("high", lets)) == tree.skeleton(condition("((a * 2.0) + b) > 5.0", {}))


def test_parts_of_a_name_stand_where_it_is_used() -> None:
    text = "up || high"
    filled = condition(text, {"high": "a > b + 1.0"})
    places = {text[n.at : n.end] for n in tree.walk(filled) if not isinstance(n, tree.Logic)}
    assert places == {"up", "high"}


def test_tree_as_written_keeps_its_names() -> None:
    found = document(["up || high"], {"high": "a > 1.0"})
    assert tree.names(found.written[("rules", 0, "when")]) == ("up", "high")
    assert tree.names(found.conditions[("rules", 0, "when")]) == ("up", "a")
    assert tree.names(found.written[("let", "high")]) == ("a",)


def test_truth_and_label_are_told_apart_from_numbers() -> None:
    found = list(tree.walk(condition("up && sign == sign.go && a > 1.0", {})))
    assert [n.name for n in found if isinstance(n, tree.Flag)] == ["up"]
    assert [(n.signal, n.label, n.value) for n in found if isinstance(n, tree.Label)] == [("sign", "go", 1.0)]
    assert [n.name for n in found if isinstance(n, tree.Name)] == ["sign", "a"]


def test_constant_keeps_its_sign_and_value() -> None:
    text = HEAD + "let: {cold: {is: -5.5}, half: 0.5}\nrules: [{id: r, when: a < cold + half, then: rules}]\n"
    node = parse(text.encode(), file="p.yaml").conditions[("rules", 0, "when")]
    assert [n.value for n in tree.walk(node) if isinstance(n, tree.Number)] == [-5.5, 0.5]


def test_name_for_a_number_may_divide() -> None:
    assert tree.skeleton(condition("a / two > 1.0", {"two": "2.0"})) == tree.skeleton(
        condition("a / 2.0 > 1.0", {})
    )


def test_doubling_names_are_refused_before_they_are_built() -> None:
    lets = {"x0": "a + b", **{f"x{i}": f"x{i - 1} + x{i - 1}" for i in range(1, 200)}}
    assert codes(["x199 > 1.0"], lets) == ["EG1202"]


def test_growing_chain_of_names_is_refused_before_it_is_too_deep() -> None:
    lets = {"x0": " + ".join(["a"] * 100), **{f"x{i}": f"(x{i - 1}) + a" for i in range(1, 250)}}
    assert codes(["x249 > 1.0"], lets) == ["EG1202"]


def chain(length: int) -> str:
    """A sum of `length` signals: 2 * `length` - 1 parts on `length` levels."""
    return "+".join(["a"] * length)


def test_caps_on_size_hold_exactly_at_their_limits() -> None:
    lets = {"x": chain(120)}
    use = "x > 1.0 || x > 2.0" + " || up" * 13 + " || x"
    fits = "!(x + x > 1.0" + " || up" * 15 + ")"  # 1 + (2 * 239 + 1 + 2) + 2 * 15
    assert sum(1 for _ in tree.walk(condition(fits, lets))) == 512
    assert codes(["!" + fits], lets) == ["EG1202"]
    assert codes([use], lets) == ["EG1204"]  # kinds are told before sizes


def test_caps_on_depth_hold_exactly_at_their_limits() -> None:
    lets = {"x": chain(255)}
    assert tree.names(condition("x > 1.0", lets)) == ("a",)
    assert codes(["!(x > 1.0)"], lets) == ["EG1202"]


def test_cap_on_all_expressions_together_holds_exactly_at_its_limit() -> None:
    lets = {"x": chain(249), "tiny": "up"}
    uses = ["!(x > 1.0)"] * 99  # of 500 parts each, beside 498 of the names themselves
    assert len(document([*uses, "tiny", "tiny"], lets).triggers) == 101
    assert codes([*uses, "tiny", "tiny", "tiny"], lets) == ["EG1202"]


def test_cap_counts_expressions_without_names_too() -> None:
    long = " || ".join(["up"] * 120)
    assert codes([long] * 250, {}) == ["EG1202"]


def test_many_uses_of_a_large_name_are_refused_together() -> None:
    assert codes(["x > 1.0"] * 1000, {"x": chain(120)}) == ["EG1202"]


def test_too_many_names_are_refused() -> None:
    assert codes(["up"], {f"x{i}": "a" for i in range(2000)}) == ["EG1106"]


def test_finding_in_a_name_is_told_once_and_not_where_it_is_used() -> None:
    assert codes(["bad && up", "!bad"], {"bad": "aa > 1.0", "worse": "bad || up"}) == ["EG1203"]


def test_calibrated_threshold_in_a_name_is_asked_for_where_it_is_used() -> None:
    assert codes(["low"], {"low": "a < calibrated.a"}) == ["EG1307"]


def in_metres(let: str) -> str:
    text = HEAD.replace("a: {from: context,", "a: {from: context, unit: m,") + f"let: {{far: {let}}}\n"
    return text + "rules: [{id: r, when: a > far, then: rules}]\n"


@pytest.mark.parametrize("let", ["5.0", "'2.0 + 3.0'", "{is: 5.0, unit: m}"])
def test_name_for_a_number_alone_takes_any_unit(let: str) -> None:
    assert len(parse(in_metres(let).encode(), file="p.yaml").triggers) == 1


@pytest.mark.parametrize("let", ["{is: 5.0}", "{is: 5.0, unit: cm}", "'2.0 * b'"])
def test_constant_has_the_unit_that_it_says_and_no_other(let: str) -> None:
    with pytest.raises(PolicyError, match="EG1207"):
        parse(in_metres(let).encode(), file="p.yaml")
