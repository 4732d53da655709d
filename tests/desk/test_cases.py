"""Test cases of a policy: what they say is what is run, a case that is wrong is refused, a failure says why."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.decision.table import Span
from edgeguard.desk.cases import Case, Expect, Result, embedded_cases, read_cases, run_cases, to_yaml
from edgeguard.desk.monitor import Monitor
from edgeguard.desk.trial import NotArmable, Phase, Trial
from edgeguard.errors import PolicyError, UsageError
from edgeguard.policy import compile_policy
from edgeguard.policy.document import PolicyDocument, parse
from edgeguard.program import Program
from edgeguard.types import Authority, Event, Mode

GATE = """\
edgeguard: 1
policy: {name: gate, version: 1}
signals:
  sure:  {from: context, range: [0, 1],  max_age: 300ms, worse: lower, on_fault: rules}
  speed: {from: context, range: [0, 20], max_age: 300ms}
  open:  {from: context, type: bool, max_age: 300ms}
  seen:  {from: context, type: class, labels: [stop, go], max_age: 300ms}
rules:
  - {id: unsure, when: sure < 0.5, for: 2 frames, clear: {when: sure > 0.6, for: 3 frames}, then: rules}
  - {id: stop-sign, when: seen == seen.stop && speed > 1.0, then: rules}
  - {id: ajar, when: open, latch: true, then: safe_state}
  - {id: fast, when: speed > 15.0, mode: audit, then: rules}
fallback:
  - {when: speed > 5.0, command: {brake: 0.8}}
  - {command: {brake: 0.2}}
envelope: {brake: {min: 0, max: 1, rise: 4/s, safe: 1.0}}
invariants:
  - {never: authority == model && speed > 19.0}
  - {never: authority == rules, for: 400ms}
  - {leave: safe_state, only_by: operator}
"""
NOMINAL_GO = GATE.replace("labels: [stop, go]", "labels: [stop, go], nominal: go")


@lru_cache
def gate(tests: str = "", text: str = NOMINAL_GO) -> tuple[PolicyDocument, Program]:
    document = parse((text + ("tests:\n" + tests if tests else "")).encode(), file="gate.yaml")
    return document, compile_policy(document, base=Path())


def ran(tests: str) -> tuple[Result, ...]:
    document, program = gate(tests)
    return run_cases(document, program, embedded_cases(document, program))


def messages(tests: str) -> list[str]:
    return [f"{f.code}: {f.message}" for result in ran(tests) for f in result.findings]


Read = Callable[[str], tuple[Case, ...]]


@pytest.fixture
def read() -> Read:
    document, program = gate()
    return lambda text: read_cases(document, program, text.encode(), file="more.yaml")


@pytest.mark.parametrize(
    "case",
    [
        "given: {sure: 0.4}, for: 2 frames, expect: {authority: rules, mode: degraded, rule: unsure}",
        "given: {sure: 0.4}, for: 1 frame, expect: {authority: model, mode: nominal}",
        "given: {sure: missing}, expect: {authority: rules, rule: 'signal:sure'}",
        "given: {sure: stale}, expect: {rule: 'signal:sure'}",
        "given: {sure: nan}, expect: {rule: 'signal:sure'}",
        "given: {open: true}, expect: {authority: safe_state, rule: ajar, command: {brake: 1}}",
        "given: {open: false}, expect: {authority: model}",
        "given: {seen: stop, speed: 4}, expect: {rule: stop-sign}",
        "given: {seen: go, speed: 4}, expect: {authority: model}",
        "given: {speed: 16}, expect: {authority: model, rule: fast}",
        "given: {seen: stop, speed: 6}, for: 300ms, expect: {command: {brake: 0.8}}",
        "given: {seen: stop, speed: 4}, for: 300ms, expect: {command: {brake: 0.2}}",
        "suggest: {brake: 0.3}, expect: {authority: model, command: {brake: 0.3}}",
        "suggest: {brake: 7}, expect: {authority: model, command: {brake: 1}}",
        "event: take, manual: {brake: 0.4}, expect: {authority: human, mode: manual, command: {brake: 0.4}}",
        "event: stop, expect: {authority: safe_state, mode: safe_state}",
    ],
)
def test_a_case_that_is_so_passes(case: str) -> None:
    assert messages(f"  - {{name: it, {case}}}\n") == []


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("expect: {authority: rules}", "EG1501: `it`: expected authority `rules`, saw `model`"),
        ("expect: {mode: manual}", "EG1501: `it`: expected mode `manual`, saw `nominal`"),
        ("expect: {rule: ajar}", "EG1501: `it`: expected rule `ajar` among the causes, saw none"),
        (
            "given: {open: true}, expect: {rule: unsure}",
            "EG1501: `it`: expected rule `unsure` among the causes, saw `ajar`",
        ),
        ("expect: {command: {brake: 0.5}}", "EG1501: `it`: expected `brake` at 0.5, saw 1"),
    ],
)
def test_a_case_that_is_not_so_says_what_was_seen(case: str, expected: str) -> None:
    assert messages(f"  - {{name: it, {case}}}\n") == [expected]


def test_a_failure_stands_at_what_was_expected_and_is_explained() -> None:
    (result,) = ran("  - name: it\n    given: {open: true}\n    expect:\n      authority: model\n")
    (finding,) = result.findings
    assert (finding.file, finding.line, finding.column) == ("gate.yaml", 25, 18)
    assert "because rule `ajar` (line 11) has demanded the safe state" in result.words


def test_a_failure_in_a_step_names_the_step() -> None:
    found = messages(
        "  - {name: it, steps: [{for: 1 frame}, {given: {sure: 0.4}, expect: {authority: rules}}]}\n"
    )
    assert found == ["EG1501: `it`: expected authority `rules` at the end of step 2, saw `model`"]


def test_steps_go_on_from_one_another() -> None:
    steps = (
        "{given: {sure: 0.4}, for: 2 frames, expect: {authority: rules}}, "
        "{given: {sure: 0.55}, for: 10 frames, expect: {authority: rules}}, "
        "{given: {sure: 0.7}, for: 2 frames, expect: {authority: rules}}, "
        "{given: {sure: 0.7}, for: 1 frame, expect: {authority: model}}"
    )
    assert messages(f"  - {{name: it, steps: [{steps}]}}\n") == [
        "EG1505: `it`: broke the invariant of line 19: never authority == rules"
    ]


def test_the_safe_state_is_left_by_reset_and_arm() -> None:
    steps = (
        "{given: {open: true}, expect: {mode: safe_state}}, {for: 5 frames, expect: {mode: safe_state}}, "
        "{event: reset, expect: {mode: standby}}, {event: arm, expect: {mode: nominal}}"
    )
    assert messages(f"  - {{name: it, steps: [{steps}]}}\n") == []


def test_each_entry_is_a_case_of_its_own() -> None:
    results = ran(
        "  - {name: it, given: {speed: 4}, each: [{seen: stop}, {seen: stop, speed: 0.5}, {open: true}], "
        "expect: {rule: stop-sign}}\n"
    )
    assert [result.case.name for result in results] == [
        "it [seen=stop]",
        "it [seen=stop, speed=0.5]",
        "it [open=true]",
    ]
    assert [result.passed for result in results] == [True, False, False]


def test_a_broken_invariant_fails_a_case_that_expects_nothing_of_the_kind() -> None:
    found = messages(
        "  - {name: it, given: {speed: 19.5}, suggest: {brake: 0}, expect: {authority: model}}\n"
    )
    assert found == ["EG1505: `it`: broke the invariant of line 18: never authority == model && speed > 19.0"]


def test_an_invariant_with_a_span_is_broken_only_after_it() -> None:
    case = "  - {{name: it, given: {{sure: 0.4}}, for: {}, expect: {{authority: rules}}}}\n"
    assert messages(case.format("420ms")) == []  # the rule takes a frame of it
    assert len(messages(case.format("500ms"))) == 1


def test_leaving_the_safe_state_without_the_operator_breaks_the_invariant_that_forbids_it() -> None:
    document, program = gate()
    trial = Trial(program)
    calm = trial.arm()
    stopped = trial.step({"open": 1.0}, new_frame=True)
    assert stopped.mode is Mode.SAFE_STATE
    for left, lines in (
        (
            replace(calm, events=()),
            [20],
        ),  # no machine of ours does this: the monitor must not need one to be right
        (replace(calm, mode=Mode.LOCKOUT), []),
        (replace(calm, mode=Mode.STANDBY, events=(Event.RESET,)), []),
        (replace(calm, mode=Mode.MANUAL, events=(Event.TAKE,)), []),
        (replace(calm, events=(Event.ARM,)), [20]),
    ):
        monitor = Monitor(document, program.thresholds)
        assert monitor.step(stopped) == ()
        assert [broken.line for broken in monitor.step(left)] == lines


def test_a_fault_breaks_no_invariant() -> None:
    assert messages("  - {name: it, given: {speed: missing}, expect: {authority: safe_state}}\n") == []


def test_a_policy_that_cannot_be_armed_has_no_results() -> None:
    document, program = gate("  - {name: it, expect: {authority: model}}\n", GATE)
    assert run_cases(document, program, embedded_cases(document, program))[0].passed
    document, program = gate(
        "  - {name: it, expect: {authority: model}}\n", GATE.replace("sure < 0.5", "sure < 1.5")
    )
    with pytest.raises(NotArmable, match="unsure"):
        run_cases(document, program, embedded_cases(document, program))


# --- cases of another file --------------------------------------------------------------------------------------------


def test_another_file_s_cases_are_run_like_the_policy_s_own(read: Read) -> None:
    document, program = gate()
    cases = read("tests:\n  - {name: more, given: {open: true}, expect: {authority: model}}\n")
    (result,) = run_cases(document, program, cases)
    assert [str(f) for f in result.findings] == [
        "more.yaml:2:59: EG1501: `more`: expected authority `model`, saw `safe_state`"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tests: [{name: a, expect: {rule: unsur}}]", "more.yaml:1:34: EG1302: there is no rule `unsur`"),
        ("tests: [{name: a, given: {sped: 1}, expect: {authority: model}}]", "more.yaml:1:27: EG1302"),
        ("tests: [{name: a, given: {seen: halt}, expect: {authority: model}}]", "more.yaml:1:33: EG1107"),
        ("tests: [{name: a, expect: {command: {brke: 1}}}]", "more.yaml:1:38: EG1305"),
        ("tests: [{name: a, expects: {authority: model}}]", "more.yaml:1:19: EG1101"),
        ("tests: [{name: a, expect: {authority: yes}}]", "more.yaml:1:39: EG1011"),
        ("tests: []\ntests: []", "more.yaml:2:1: EG1005"),
        ("tests: 3", "more.yaml:1:8: EG1103"),
        ("rules: []\ntests: []", "more.yaml:1:1: EG1504: `rules` is not a key of a cases file"),
        ("test: []", "more.yaml:1:1: EG1504: `test` is not a key of a cases file (did you mean `tests`?)"),
        ("{}", "more.yaml:1:1: EG1504: there is no section `tests`"),
    ],
)
def test_a_cases_file_that_is_wrong_is_refused_with_its_place(read: Read, text: str, expected: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read(text)
    assert str(caught.value).splitlines()[0].startswith(expected)


# --- traces as cases --------------------------------------------------------------------------------------------------

SPANS = st.one_of(
    st.integers(1, 4).map(lambda n: Span(frames=n)), st.integers(1, 200_000).map(lambda us: Span(0, us / 1e6))
)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "sure": st.floats(-1, 2) | st.sampled_from(["missing", "stale", "nan"]),
        "speed": st.floats(allow_nan=True, allow_infinity=True),
        "open": st.sampled_from([0.0, 1.0]),
        "seen": st.sampled_from([-1.0, 0.0, 1.0]),
    },
)
EVENTS = st.none() | st.sampled_from([Event.TAKE, Event.STOP, Event.RESET, Event.ARM, Event.RELEASE])
COMMANDS = st.none() | st.floats(-1, 2).map(lambda value: {"brake": value})
PHASES = st.lists(st.builds(Phase, VALUES, SPANS, EVENTS, COMMANDS, COMMANDS), min_size=1, max_size=4)


@settings(max_examples=int(os.environ.get("EDGEGUARD_TRIAL_EXAMPLES", "60")))
@given(st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=20), PHASES)
def test_a_trace_written_as_a_case_passes_with_what_it_came_to(name: str, phases: list[Phase]) -> None:
    document, program = gate(text=NOMINAL_GO.split("invariants:", maxsplit=1)[0])
    trial = Trial(program)
    trial.arm()
    last = [trial.run(phase) for phase in phases][-1][-1]
    rule = last.causes[0].rule if last.causes and last.causes[0].line else None
    expect = Expect(last.authority, last.mode, rule, last.command.values)
    cases = read_cases(document, program, to_yaml(name, phases, expect).encode(), file="trace.yaml")
    (result,) = run_cases(document, program, cases)
    assert cases[0].name == name
    assert [str(finding) for finding in result.findings] == []
    assert result.seen[-1].now == last.now


def test_a_trace_reads_like_a_case_that_somebody_wrote() -> None:
    phases = [
        Phase({"open": 1.0, "speed": math.inf}, Span(frames=3), Event.TAKE, manual={"brake": 0.5}),
        Phase({"sure": "stale"}, Span(seconds=0.0125)),
    ]
    assert to_yaml("it", phases, Expect(Authority.RULES, Mode.DEGRADED, "signal:sure", {"brake": 0.2})) == (
        "tests:\n"
        '  - name: "it"\n'
        "    steps:\n"
        "      - {event: take, given: {open: 1.0, speed: nan}, manual: {brake: 0.5}, for: 3 frames}\n"
        "      - {given: {sure: stale}, for: 12500us, expect: {authority: rules, mode: degraded, "
        'rule: "signal:sure", command: {brake: 0.2}}}\n'
    )


def test_a_planner_that_suggests_nothing_cannot_be_written() -> None:
    with pytest.raises(UsageError, match="suggests nothing"):
        to_yaml("it", [Phase({}, suggest={})], Expect(Authority.RULES))


def test_case_of_too_many_steps_is_told_and_not_run() -> None:
    text = (
        GATE
        + "tests:\n  - {name: a day, given: {sure: 0.1}, for: 999999 frames, expect: {authority: rules}}\n"
    )
    document = parse(text.encode(), file="gate.yaml")
    program = compile_policy(document, base=Path())
    (result,) = run_cases(document, program, embedded_cases(document, program))
    (finding,) = result.findings
    assert (finding.code, finding.line) == ("EG1506", text.count("\n"))
    assert "more than the 50000 allowed" in finding.message
