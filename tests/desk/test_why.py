"""Why: which rule at which place, which values against which, and what one signal alone would have to be."""

from __future__ import annotations

import math
import os
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgeguard.decision.table import Span, Truth
from edgeguard.desk.levers import Lever, lever
from edgeguard.desk.telling import lever_text, told
from edgeguard.desk.trial import Phase, Trial, Values
from edgeguard.desk.why import Reason, reasons
from edgeguard.policy import compile_policy
from edgeguard.policy.document import PolicyDocument, parse
from edgeguard.policy.expr import interpreter, tree
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.program import Program, SignalSpec

GATE = """\
edgeguard: 1
policy: {name: gate, version: 1}
let: {enough: "speed > 10.0 ? 0.9 : 0.5"}
signals:
  sure:  {from: context, range: [0, 1],  max_age: 300ms, worse: lower, on_fault: rules}
  speed: {from: context, range: [0, 20], max_age: 300ms}
  open:  {from: context, type: bool, max_age: 300ms}
  seen:  {from: context, type: class, labels: [go, stop], max_age: 300ms}
rules:
  - id: unsure
    when: sure < enough
    for: 2 frames
    clear: {when: sure > enough + 0.05, for: 3 frames}
    then: rules
    cause: it is not sure
  - {id: ajar, when: open && speed > 1.0, latch: true, then: safe_state}
  - {id: stop-sign, when: seen == seen.stop, mode: warn, then: rules}
  - {id: both, when: (sure < 0.8 || speed > 12.0) && (sure < 0.8 || seen == seen.stop), then: rules}
envelope: {brake: {min: 0, max: 1, safe: 1.0}}
"""


@lru_cache
def gate() -> tuple[PolicyDocument, Program]:
    document = parse(GATE.encode(), file="gate.yaml")
    return document, compile_policy(document, base=Path())


def why(values: Values, span: Span = Span(frames=1)) -> dict[str, Reason]:  # noqa: B008 - a frozen value
    document, program = gate()
    trial = Trial(program)
    trial.arm()
    last = trial.run(Phase(values, span))[-1]
    found = reasons(document, program, last.readings, (*last.causes, *last.notices))
    return {reason.row.id: reason for reason in found}


def alone(reason: Reason) -> list[str] | None:
    specs = {spec.name: spec for spec in gate()[1].signals}
    return None if reason.levers is None else [lever_text(one, specs[one.signal]) for one in reason.levers]


def test_nothing_holds_while_all_is_well() -> None:
    assert why({}) == {}


def test_a_rule_that_acts_says_where_since_when_on_what_and_what_would_let_it_go() -> None:
    reason = why({"sure": 0.4}, Span(frames=4))["unsure"]
    assert (reason.place, reason.standing, reason.row.latch) == ((10, 5), "active", False)
    assert reason.since == pytest.approx(0.12)
    assert reason.needs == Span(frames=3)
    assert [(c.place, c.text, c.outcome, c.sides) for c in reason.holds] == [
        ((11, 11), "sure < (speed > 10.0 ? 0.9 : 0.5)", Truth.TRUE, (0.4, 0.5)),
        ((11, 18), "speed > 10.0", Truth.FALSE, (0.0, 10.0)),
    ]
    assert [(c.place, c.outcome) for c in reason.clears] == [((13, 19), Truth.FALSE), ((13, 26), Truth.FALSE)]
    assert alone(reason) == ["`sure` above 0.55"]


def test_a_rule_that_is_not_believed_yet_says_so() -> None:
    reason = why({"sure": 0.4})["unsure"]
    assert (reason.standing, reason.since, reason.needs) == ("coming", None, Span(frames=2))
    assert alone(reason) == ["`sure` at 0.5"]


def test_a_rule_that_only_waits_has_nothing_to_change() -> None:
    document, program = gate()
    trial = Trial(program)
    trial.arm()
    trial.run(Phase({"sure": 0.4}, Span(frames=2)))
    last = trial.run(Phase({}, Span(frames=2)))[-1]
    (reason,) = reasons(document, program, last.readings, last.causes)
    assert (reason.row.id, reason.standing, reason.levers) == ("unsure", "quiet", None)


def test_each_signal_that_could_do_it_alone_is_named() -> None:
    found = why({"open": 1.0, "speed": 8.0, "seen": 1.0})
    assert alone(found["ajar"]) == ["`open` false", "`speed` at 1"]
    assert alone(found["stop-sign"]) == ["`seen` go"]


def test_a_rule_that_only_tells_and_one_that_is_coming_say_so() -> None:
    document, program = gate()
    found = why({"sure": 0.4, "seen": 1.0})
    coming = list(told(found["unsure"], document.file, program.signals, 0.0))
    assert coming[0].endswith(
        "demands the fallback rules (it is not sure): holds now, and is believed after 2 frames of it"
    )
    assert coming[-2:] == ["  back   at once when not (sure < enough)", "  alone  `sure` at 0.5"]
    telling = list(told(found["stop-sign"], document.file, program.signals, 0.06))
    assert (
        telling[0] == "gate.yaml:17: `stop-sign` would demand the fallback rules: since 0.00 s, and it holds"
    )
    fault = list(told(why({"sure": "nan"})["unsure"], document.file, program.signals, 0.0))
    assert "  when   11:11: `sure < (speed > 10.0 ? 0.9 : 0.5)` is a fault: no value against 0.5" in fault
    assert "  fault  `sure` is not a number" in fault


def test_a_class_that_is_none_of_the_labels_can_do_it_too() -> None:
    spec = SignalSpec("seen", "context", -1.0, 1.0, 1.0, kind="class", labels=("go", "stop"))
    condition = node("seen < 0.0")
    found = lever(spec, (condition,), {"seen": 1.0}, lambda e: interpreter.truth(condition, e) is Truth.TRUE)
    assert found is not None
    assert lever_text(found, spec) == "`seen` any other class"


def test_it_says_when_no_single_signal_can() -> None:
    document, program = gate()
    reason = why({"sure": 0.7, "speed": 14.0, "seen": 1.0})["both"]
    assert alone(reason) == []
    lines = list(told(reason, document.file, program.signals, 0.0))
    assert lines[-1] == "  alone  no single signal can"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("missing", "`sure` is missing"),
        ("nan", "`sure` is not a number"),
        ("stale", "`sure` is stale: 1.6 s old, and 0.3 s at most is allowed"),
        (1.5, "`sure` is 1.5, outside 0 to 1"),
    ],
)
def test_a_fault_says_what_is_wrong_with_the_signal(value: float | str, said: str) -> None:
    found = why({"sure": value})
    assert found["signal:sure"].faults == (said,)
    assert found["unsure"].faults == (said,)
    assert alone(found["unsure"]) == ["`sure` at 1"]
    assert [c.outcome for c in found["unsure"].holds] == [Truth.FAULT, Truth.FALSE]


def test_a_takeover_that_nobody_made_is_told() -> None:
    text = GATE.replace("latch: true, then: safe_state", "then: human, within: 100ms")
    document = parse(text.encode(), file="gate.yaml")
    program = compile_policy(document, base=Path())
    trial = Trial(program)
    trial.arm()
    last = trial.run(Phase({"open": 1.0, "speed": 4.0}, Span(seconds=0.2)))[-1]
    (reason,) = reasons(document, program, last.readings, last.causes)
    first, *_ = told(reason, document.file, program.signals, 0.06)
    assert first == (
        "gate.yaml:16: `ajar` demands a human, and as nobody took over in time the safe state: since 0.00 s, and it "
        "holds"
    )


def test_half_a_truth_is_none_of_its_values() -> None:
    assert why({"open": 0.5})["signal:open"].faults == ("`open` is 0.5, which is none of its values",)


def test_the_lines_read_from_the_rule_to_what_gives_back() -> None:
    document, program = gate()
    found = why({"sure": 0.4, "open": 1.0, "speed": 4.0}, Span(frames=2))
    lines = [line for r in found.values() for line in told(r, document.file, program.signals, 0.06)]
    assert lines == [
        "gate.yaml:16: `ajar` demands the safe state: since 0.00 s, and it holds",
        "  when   16:22: `open` is true: 1",
        "  when   16:30: `speed > 1.0` is true: 4 against 1",
        "  back   !(open && speed > 1.0) for 1 frame, and the operator's reset",
        "  alone  `open` false or `speed` at 1",
        "gate.yaml:18: `both` demands the fallback rules: since 0.00 s, and it holds",
        "  when   18:23: `sure < 0.8` is true: 0.4 against 0.8",
        "  when   18:37: `speed > 12.0` is false: 4 against 12",
        "  when   18:55: `sure < 0.8` is true: 0.4 against 0.8",
        "  when   18:69: `seen == seen.stop` is false: 0 against 1",
        "  back   !((sure < 0.8 || speed > 12.0) && (sure < 0.8 || seen == seen.stop)) for 1 frame",
        "  alone  `sure` at 0.8",
        "gate.yaml:10: `unsure` demands the fallback rules (it is not sure): since 0.06 s, and it holds",
        "  when   11:11: `sure < (speed > 10.0 ? 0.9 : 0.5)` is true: 0.4 against 0.5",
        "  when   11:18: `speed > 10.0` is false: 4 against 10",
        "  clear  13:19: `sure > (speed > 10.0 ? 0.9 : 0.5) + 0.05` is false: 0.4 against 0.55",
        "  clear  13:26: `speed > 10.0` is false: 4 against 10",
        "  back   sure > enough + 0.05 for 3 frames",
        "  alone  `sure` above 0.55",
    ]


# --- the search for what one signal alone could do --------------------------------------------------------------------


def node(text: str) -> tree.Node:
    found = parse_expression(text)
    assert not isinstance(found, tuple), found
    return found


def nearest(
    text: str, x: float | None, low: float = 0.0, high: float = 100.0, **others: float
) -> Lever | None:
    """The nearest `x` at which `text` holds."""
    condition = node(text)
    spec = SignalSpec("x", "context", low, high, 1.0, nominal=50.0)
    env = {"x": x, **others}
    return lever(spec, (condition,), env, lambda e: interpreter.truth(condition, e) is Truth.TRUE)


@pytest.mark.parametrize(
    ("text", "x", "expected"),
    [
        ("x > 20.0", 5.0, (20.0, True, False)),
        ("x >= 20.0", 5.0, (20.0, True, True)),
        ("x < 20.0", 30.0, (20.0, False, False)),
        ("x <= 20.0", 30.0, (20.0, False, True)),
        ("2.0 * x - 10.0 > y", 5.0, (8.5, True, False)),
        ("-(x / 2.0) <= -y", 5.0, (14.0, True, True)),
        ("x == 20.0", 5.0, (20.0, True, True)),
        ("x != 20.0", 20.0, (20.0, True, False)),
        ("x in [3, 30]", 10.0, (3.0, False, True)),
        ("x > 90.0 || x < 3.0", 10.0, (3.0, False, False)),
        ("x > 90.0 && x < 3.0", 10.0, None),
        ("x > 10.0 && x < 12.0", 50.0, (12.0, False, False)),
        ("x > 100.0", 5.0, None),
        ("x >= 100.0", 5.0, (100.0, True, True)),
        ("(x < 40.0 ? x : 2.0 * x) > 90.0", 5.0, (45.0, True, False)),
        ("y > (x < 40.0 ? x : 0.0)", 30.0, (40.0, True, True)),
        ("y > 50.0", 5.0, None),
        ("(x > 20.0) == (y > 50.0)", 30.0, (20.0, False, True)),
        ("!(x < 20.0)", 5.0, (20.0, True, True)),
        ("x > 1.0 && z > 1.0", 0.0, None),
        ("x + z in [3]", 0.0, None),
        ("2.0 * (x + 1.0) in [9]", 0.0, (3.5, True, True)),
    ],
)
def test_a_linear_condition_gives_the_exact_nearest_value(
    text: str, x: float, expected: tuple[float, bool, bool] | None
) -> None:
    found = nearest(text, x, y=7.0)
    assert (found and (found.value, found.up, found.inclusive)) == expected


@pytest.mark.parametrize(
    ("text", "x", "expected"),
    [
        ("x * x > 50.0", 1.0, math.sqrt(50.0)),
        ("50.0 < x * x", 1.0, math.sqrt(50.0)),
        ("x * x * x < 8.0 * x", 60.0, math.sqrt(8.0)),
    ],
)
def test_a_condition_that_is_not_linear_is_closed_in_on(text: str, x: float, expected: float) -> None:
    found = nearest(text, x)
    assert found is not None
    assert found.value == pytest.approx(expected, rel=1e-12)


def test_an_open_range_is_searched_beyond_the_last_border() -> None:
    found = nearest("x > 1e9", 0.0, -math.inf, math.inf)
    assert found == Lever("x", 1e9, up=True, inclusive=False)
    assert nearest("x * x > 1e8", 0.0, -math.inf, math.inf) is not None
    assert nearest("y > 1.0", 0.0, -math.inf, math.inf, y=0.0) is None
    assert nearest("x < -5.0", 0.0, -math.inf, math.inf) == Lever("x", -5.0, up=False, inclusive=False)


def test_a_signal_at_fault_may_simply_be_well_again() -> None:
    assert nearest("x > 20.0", None) == Lever("x", 50.0, up=True, inclusive=True)
    assert nearest("x > 70.0", None) == Lever("x", 70.0, up=True, inclusive=False)


SMALL = st.integers(-8, 8).map(lambda n: n / 2)
SUM = st.builds("{} * x + {}".format, SMALL, SMALL) | SMALL.map(str)
COMPARED = st.builds("({} {} {})".format, SUM, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), SUM)
CONDITION = st.recursive(
    COMPARED,
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["&&", "||"]), inner),
    max_leaves=4,
)


@settings(max_examples=int(os.environ.get("EDGEGUARD_TRIAL_EXAMPLES", "100")))
@given(CONDITION, st.integers(-40, 40).map(lambda n: n / 4))
def test_no_value_on_a_grid_is_nearer_than_the_nearest(text: str, x: float) -> None:
    condition = node(text)

    def holds(value: float) -> bool:
        return interpreter.truth(condition, {"x": value}) is Truth.TRUE

    assume(not holds(x))
    found = nearest(text, x, -10.0, 10.0)
    reached = [v for v in (n / 16 for n in range(-160, 161)) if holds(v)]
    if found is None:
        assert reached == []
        return
    step = 0.0 if found.inclusive else 1e-6 if found.up else -1e-6
    assert holds(found.value + step) or abs(found.value + step) > 10.0
    assert all(abs(v - x) >= abs(found.value - x) - 1e-9 for v in reached)
