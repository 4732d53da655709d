"""What the microcontroller does by itself, from text to program: terms, namespaces, limits, and what is left out."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.decision.table import Truth
from edgeguard.errors import PolicyError
from edgeguard.policy import compile_policy, describe, parse
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.emit_c import emit
from edgeguard.policy.expr import interpreter
from edgeguard.policy.local import terms
from edgeguard.program import Feedback, Microcontroller, Program, Relation, SensorSpec, Term
from edgeguard.types import Authority

TEXT = """\
edgeguard: 1
policy: {name: lander, version: 1}
let:
  near:  {is: 3.0, unit: m}
  twice: near * 2.0
  fast:  sinking > 2.0
  deep:  ground * 0.5
signals:
  ground:  {from: context, unit: km, range: [0, 500], max_age: 100ms}
  sinking: {from: context, unit: m/s, range: [-10, 10], max_age: 100ms, nominal: 0}
rules:
  - {id: low, when: sinking > 5.0 || fast, then: rules}
envelope:
  climb:   {min: -1.5, max: 2, safe: -0.7, unit: m/s, feedback: {lead: 0.5, max_age: 50ms}, authority: rules}
  forward: {min: 0, max: 12, safe: 0}
microcontroller:
  stop: true
  sensors:
    ground:  {range: [0, 40], max_age: 100ms, unit: m}
    falling: {range: [-10, 10], max_age: 60ms, unit: m/s}
  fallback:
    - {when: ground < near && 0.5 <= falling, command: {climb: -0.2, forward: 0}, note: gently}
    - {when: twice >= ground && ground > -(1.0 + 2.0) / 4, command: {forward: 0, climb: -0.3}}
    - {command: {climb: -1, forward: 0}}
link: {key: keys/a.key, operator_key: ../b.key}
"""


def program(text: str = TEXT) -> Program:
    return compile_policy(parse(text.encode(), file="p.yaml"), base=Path("/policies"))


def with_rule(when: str) -> PolicyDocument:
    text = TEXT.replace("ground < near && 0.5 <= falling", when)
    assert text != TEXT
    return parse(text.encode(), file="p.yaml")


def test_every_word_of_the_section_reaches_the_program() -> None:
    own = program().microcontroller
    assert own.stop
    assert own.sensors == (SensorSpec("ground", 0.0, 40.0, 0.1), SensorSpec("falling", -10.0, 10.0, 0.06))
    assert [rule.terms for rule in own.rules] == [
        (Term(0, Relation.BELOW, 3.0), Term(1, Relation.AT_LEAST, 0.5)),
        (Term(0, Relation.AT_MOST, 6.0), Term(0, Relation.ABOVE, -0.75)),
        (),
    ]
    assert [dict(rule.command.values) for rule in own.rules] == [
        {"climb": -0.2, "forward": 0.0},
        {"climb": -0.3, "forward": 0.0},
        {"climb": -1.0, "forward": 0.0},
    ]
    assert [rule.text for rule in own.rules][2] == "otherwise"
    assert [TEXT.splitlines()[rule.line - 1].strip()[:6] for rule in own.rules] == [
        "- {whe",
        "- {whe",
        "- {com",
    ]


def test_feedback_authority_and_keys_reach_the_program() -> None:
    made = program()
    climb, forward = made.envelope
    assert climb.feedback == Feedback(0.5, 0.05)
    assert climb.authority is Authority.RULES
    assert (forward.feedback, forward.authority) == (None, Authority.MODEL)
    assert made.link is not None
    assert (made.link.key, made.link.operator_key) == ("/policies/keys/a.key", "/b.key")


def test_without_the_section_it_knows_nothing_and_does_nothing() -> None:
    head, rest = TEXT.split("microcontroller:\n")
    bare = head.replace(", feedback: {lead: 0.5, max_age: 50ms}, authority: rules", "") + "link: {}\n"
    made = program(bare)
    assert made.microcontroller == Microcontroller()
    assert all(limit.feedback is None and limit.authority is Authority.MODEL for limit in made.envelope)
    assert made.link is not None
    assert made.link.operator_key == ""
    assert "sensors" in rest


def test_a_signal_and_a_sensor_of_one_name_have_nothing_to_do_with_each_other() -> None:
    document = parse(TEXT.encode(), file="p.yaml")
    assert {path[0] for path in document.conditions} == {"rules"}
    assert {path[0] for path in document.local} == {"microcontroller"}
    with pytest.raises(PolicyError, match="compares `m` with `km`"):  # the sensor's unit, not the signal's
        program(TEXT.replace("near:  {is: 3.0, unit: m}", "near:  {is: 3.0, unit: km}"))


@pytest.mark.parametrize(
    ("when", "hint"),
    [
        ("sinking > 1.0", "it reads only its own `sensors`"),
        ("fast", "it reads only its own `sensors`"),
        ("falling < deep", "it reads only its own `sensors`"),
        ("authority == model", "it reads only its own `sensors`"),
        ("ground < calibrated.ground", "the microcontroller has no calibration"),
        ("groud < 1.0", "did you mean `ground`"),
    ],
)
def test_what_it_cannot_know_is_refused_with_the_reason(when: str, hint: str) -> None:
    with pytest.raises(PolicyError, match="EG1203") as caught:
        with_rule(when)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("ground + 1.0 > 2.0", "a sensor is compared as it is, without arithmetic"),
        ("-ground > 2.0", "a sensor is compared as it is, without arithmetic"),
        ("1.0 < 2.0", "this reads no sensor"),
        ("ground < ground", "this compares two measured values"),
        ("ground < 1.0 || ground > 2.0", "a local rule has no `||`"),
    ],
)
def test_what_the_table_has_no_room_for_is_refused_with_the_reason(when: str, message: str) -> None:
    with pytest.raises(PolicyError, match="EG1332") as caught:
        with_rule(when)
    assert message in str(caught.value)


def test_a_host_rule_that_reads_a_sensor_is_told_whose_it_is() -> None:
    with pytest.raises(PolicyError, match="it is a sensor of the microcontroller"):
        program(TEXT.replace("sinking > 5.0", "falling > 5.0"))


def test_a_mistake_elsewhere_hides_no_mistake_in_a_local_rule() -> None:
    broken = TEXT.replace("stop: true", "stop: 7").replace("ground < near && ", "ground == near && ")
    with pytest.raises(PolicyError) as caught:
        parse(broken.encode(), file="p.yaml")
    assert [d.code for d in caught.value.diagnostics] == ["EG1103", "EG1332"]


def test_as_much_as_the_microcontroller_holds_is_accepted_and_emitted() -> None:
    sensors = "".join(f"    s{i}: {{range: [-2000, 2000], max_age: {i + 1}ms}}\n" for i in range(8))
    long = " && ".join(f"s{i} < {2000 - i}.0" for i in range(4))
    rules = "".join(f"    - {{when: {long}, command: {{climb: -0.{i}, forward: 0}}}}\n" for i in range(8))
    head, rest = TEXT.split("  sensors:\n")
    text = f"{head}  sensors:\n{sensors}  fallback:\n{rules}link:{rest.split('link:')[1]}"
    own = program(text).microcontroller
    assert (len(own.sensors), len(own.rules), len(own.rules[7].terms)) == (8, 8, 4)
    table = emit(program(text))
    assert "#define EG_SENSORS_ROOM 8u" in table
    assert "#define EG_RULES_ROOM 8u" in table
    assert "#define EG_TERMS_ROOM 4u" in table
    assert table.count(".relation = 2u") == 32


@pytest.mark.parametrize("age", ["1ms", "300ms"])
def test_a_reading_may_count_for_as_long_as_a_step_or_as_the_interval_that_is_stated(age: str) -> None:
    made = program(TEXT.replace("max_age: 60ms", f"max_age: {age}") + "ftti: 300ms\n")
    assert made.microcontroller.sensors[1].max_age == float(age[:-2]) / 1000


def test_without_a_stated_interval_a_reading_counts_for_ten_seconds_at_most() -> None:
    assert program(TEXT.replace("max_age: 60ms", "max_age: 10s")).microcontroller.sensors[1].max_age == 10.0
    with pytest.raises(PolicyError, match="EG1333"):
        program(TEXT.replace("max_age: 60ms", "max_age: 10.001s"))


def test_the_description_says_it_all() -> None:
    told = describe(program())
    assert told["microcontroller"] == {
        "stop": True,
        "sensors": [
            {"name": "ground", "low": 0.0, "high": 40.0, "max_age": 0.1},
            {"name": "falling", "low": -10.0, "high": 10.0, "max_age": 0.06},
        ],
        "fallback": [
            {"line": rule.line, "when": rule.text, "command": dict(rule.command.values)}
            for rule in program().microcontroller.rules
        ],
    }
    envelope = told["envelope"]
    assert isinstance(envelope, list)
    assert envelope[0]["feedback"] == {"lead": 0.5, "max_age": 0.05}
    assert envelope[0]["authority"] == "rules"


LINK_SIGNALS = """
  link_latency:    {from: link, unit: s, range: [0, 10], max_age: 100ms}
  link_drops:      {from: link, range: [0, inf], max_age: 100ms}
  link_crc_errors: {from: link, range: [0, inf], max_age: 100ms}
  mcu_latched:     {from: link, type: bool, max_age: 100ms}
"""


def test_what_is_known_of_the_line_may_be_declared_and_is_worse_the_higher_it_is() -> None:
    made = program(TEXT.replace("signals:\n", f"signals:{LINK_SIGNALS}".rstrip(" ")))
    specs = {spec.name: spec for spec in made.signals if spec.source == "link"}
    assert set(specs) == {"link_latency", "link_drops", "link_crc_errors", "mcu_latched"}
    assert {spec.worse for spec in specs.values()} == {"higher"}
    assert {spec.nominal for spec in specs.values()} == {0.0}


_NUMBER = st.integers(-2_000_000_000, 2_000_000_000).map(lambda millionths: millionths / 1e6)
_COMPARISON = st.tuples(
    st.sampled_from(["ground", "falling"]),
    st.sampled_from(["<", "<=", ">", ">="]),
    _NUMBER.map(lambda n: f"{n:.6f}"),
    st.booleans(),
)
_COMPARES = {
    Relation.ABOVE: lambda value, limit: value > limit,
    Relation.AT_LEAST: lambda value, limit: value >= limit,
    Relation.BELOW: lambda value, limit: value < limit,
    Relation.AT_MOST: lambda value, limit: value <= limit,
}


@given(st.lists(_COMPARISON, min_size=1, max_size=4), _NUMBER, _NUMBER, st.data())
def test_terms_say_what_the_condition_says(
    comparisons: list[tuple[str, str, str, bool]], ground: float, falling: float, data: st.DataObject
) -> None:
    """The interpreter of all conditions and the table's comparisons, on values dense at the limits."""
    limits = [float(number) for _, _, number, _ in comparisons]
    ground = data.draw(st.sampled_from([ground, *limits]))
    falling = data.draw(st.sampled_from([falling, *limits]))
    parts = (f"{n} {op} {s}" if mirrored else f"{s} {op} {n}" for s, op, n, mirrored in comparisons)
    document = with_rule(" && ".join(parts).join("''"))
    node = document.local["microcontroller", "fallback", 0, "when"]
    found = terms(node, ("ground", "falling"))
    values = (ground, falling)
    holds = all(_COMPARES[term.relation](values[term.sensor], term.limit) for term in found)
    expected = Truth.TRUE if holds else Truth.FALSE
    assert interpreter.truth(node, {"ground": ground, "falling": falling}) is expected


_JUNK = st.recursive(
    st.sampled_from(
        ["true", "7", "-1e9", "''", "ground < 3.0", "'ground < || 3'", "fast", "[0, 1]", "100ms"]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(
            st.sampled_from(
                ["stop", "sensors", "fallback", "when", "command", "ground", "range", "max_age", "climb"]
            ),
            inner,
            max_size=4,
        ).map(lambda entries: "{" + ", ".join(f"{k}: {v}" for k, v in entries.items()) + "}"),
    ),
    max_leaves=12,
)


@given(_JUNK, _JUNK)
def test_whatever_stands_there_is_read_or_refused_in_words(section: str, feedback: str) -> None:
    head = TEXT.split("microcontroller:", maxsplit=1)[0].replace("{lead: 0.5, max_age: 50ms}", feedback)
    with contextlib.suppress(PolicyError):
        emit(program(f"{head}microcontroller: {section}\n"))
