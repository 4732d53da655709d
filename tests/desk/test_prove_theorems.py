"""Each built-in theorem has a policy that violates it, with the run that shows it; sound policies are proved whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from edgeguard.desk.cases import read_cases, run_cases
from edgeguard.desk.prove import invariants, theorems
from edgeguard.desk.prove.replay import told
from edgeguard.desk.prove.result import Objection, Result, Status
from edgeguard.desk.prove.subject import Subject
from edgeguard.desk.solve import search
from edgeguard.desk.solve.search import Answer
from edgeguard.errors import UsageError
from edgeguard.policy import DraftPolicy, compile_draft
from edgeguard.types import Authority, Mode

ROOT = Path(__file__).parents[2]
VIOLATIONS = Path(__file__).parent / "violations"


def draft(name: str) -> DraftPolicy:
    return compile_draft(VIOLATIONS / f"{name}.yaml")


def subject(name: str) -> Subject:
    found = draft(name)
    return Subject.of(found.document, found.program)


def refuted(name: str) -> dict[str, Result]:
    """The theorems that are not proved of this policy, by name."""
    return {r.name: r for r in theorems.prove(subject(name)) if r.status is not Status.PROVED}


def only_objection(name: str, theorem: str) -> Objection:
    found = refuted(name)
    assert list(found) == [theorem]
    assert found[theorem].status is Status.REFUTED
    (objection,) = found[theorem].objections
    return objection


def shown(objection: Objection) -> list[str]:
    assert objection.trace is not None
    return [line.strip() for line in told(objection.trace)]


def test_a_gap_between_fallback_rows_is_shown() -> None:
    objection = only_objection("total", "total")
    assert objection.code == "EG1601"
    said = (
        "the rules are to act and no fallback row commands at certainty 0, speed 5: the safe command follows"
    )
    assert objection.message == said
    assert shown(objection) == [
        "0.040 s  armed, every signal nominal: nominal, authority model, brake 1",
        "0.060 s  certainty 0, speed 5: nominal, authority model, brake 1",
        "0.120 s  degraded, authority rules, brake 1 (unsure)",
    ]


def test_a_product_that_overflows_is_shown() -> None:
    objection = only_objection("overflow", "total")
    assert objection.code == "EG1601"
    assert objection.message.startswith("a sum is no finite number at speed 1.")
    assert shown(objection)[-1].endswith("safe_state, authority safe_state, brake 1 (energy)")


def test_rules_and_rows_that_are_there_for_nothing_are_found() -> None:
    found = refuted("reachable")
    assert list(found) == ["reachable"]
    never, shadowed, row = found["reachable"].objections
    assert {o.code for o in (never, shadowed, row)} == {"EG1602"}
    assert never.message == "`impossible` never holds: no input within the ranges makes its condition true"
    assert shadowed.message.startswith("`much-too-fast` is shadowed: whenever it acts, `too-fast` acts")
    assert shown(shadowed)[-1].endswith("degraded, authority rules, brake 0.2 (too-fast, much-too-fast)")
    assert row.message.startswith("fallback row 2 never commands")
    assert [o.place.line for o in (never, shadowed, row)] == [10, 9, 13]


def test_a_machine_that_can_never_be_armed_is_found() -> None:
    objection = only_objection("unarmable", "reachable")
    assert objection.message == "the machine can never be armed: at every input some rule holds"
    assert objection.trace is None


def test_a_rule_that_more_doubt_ends_is_shown() -> None:
    objection = only_objection("monotone", "monotone")
    assert objection.code == "EG1604"
    assert objection.message == "`split-vote` holds at split 0.8, and not with split 1, which is worse"
    assert shown(objection) == [
        "0.040 s  armed, every signal nominal: nominal, authority model, brake 1",
        "0.060 s  split 1: nominal, authority model, brake 1",
        "0.140 s  split 0.8: nominal, authority model, brake 1",
        "0.200 s  degraded, authority rules, brake 0.2 (split-vote)",
    ]


def test_a_rule_that_more_doubt_clears_is_shown() -> None:
    objection = only_objection("monotone_clear", "monotone")
    said = "`fast-and-unsure` does not let go at doubt 0.1, and does with doubt 1, which is worse"
    assert objection.message == said
    assert shown(objection)[-1].endswith("nominal, authority model, brake 1")


def test_a_lockout_before_the_operator_could_act_is_shown() -> None:
    objection = only_objection("takeover", "takeover")
    assert objection.code == "EG1606"
    assert (
        objection.message
        == "the first entry into the safe state locks out, before the operator can take over"
    )
    assert shown(objection) == [
        "0.040 s  armed, every signal nominal: nominal, authority model, brake 1",
        "0.060 s  speed missing: lockout, authority safe_state, brake 1 (signal:speed, too-fast)",
    ]


def test_a_fault_that_blinds_the_rules_that_are_to_act_is_shown() -> None:
    objection = only_objection("pairs", "pairs")
    assert objection.code == "EG1607"
    assert objection.message == (
        "with `distance` at fault the rules are to act, and the fallback reads it: at distance missing the safe "
        "command follows"
    )
    assert shown(objection)[-1].endswith(
        "distance missing: degraded, authority rules, brake 1 (near, signal:distance)"
    )
    table = next(r for r in theorems.prove(subject("pairs"), ["pairs"])).facts["pairs"]
    assert isinstance(table, list)
    assert table[0] == {
        "causes": ["near", "signal:speed"],
        "together": True,
        "authority": "safe_state",
        "when_nobody_took_over": "safe_state",
    }


def test_an_invariant_without_the_time_that_its_rule_needs_is_broken_by_one_frame() -> None:
    objection = only_objection("invariant", "invariant-1")
    assert objection.code == "EG1609"
    assert shown(objection) == [
        "0.040 s  armed, every signal nominal: nominal, authority model, brake 1",
        "0.060 s  confidence 0: nominal, authority model, brake 1",
    ]


def test_a_command_that_takes_its_time_breaks_an_invariant_that_gives_it_none() -> None:
    objection = only_objection("invariant_command", "invariant-1")
    assert objection.trace is not None
    last = objection.trace.seen[-1]
    assert last.authority is Authority.SAFE_STATE
    assert last.command.values["throttle"] > 0.1


def test_rules_that_take_turns_break_an_invariant_that_neither_ends() -> None:
    objection = only_objection("invariant_turns", "invariant-1")
    assert [line.split("s  ")[1] for line in shown(objection)][1:] == [
        "confidence 0: nominal, authority model, brake 1",
        "confidence 0, speed 10: nominal, authority model, brake 1",
        "confidence 0: nominal, authority model, brake 1",
        "confidence 0, speed 10: nominal, authority model, brake 1",
    ]


def test_what_is_neither_proved_nor_seen_is_unknown() -> None:
    found = refuted("unknown")
    assert list(found) == ["invariant-1"]
    assert found["invariant-1"].status is Status.UNKNOWN
    (objection,) = found["invariant-1"].objections
    assert objection.code == "EG1610"
    assert objection.message == "not proved while the model acts, and no run was found that breaks it"


def test_the_sign_gate_is_proved_whole() -> None:
    found = compile_draft(ROOT / "policies" / "sign_gate.yaml")
    results = list(theorems.prove(Subject.of(found.document, found.program)))
    assert [r.name for r in results if r.status is not Status.PROVED] == []
    assert len(results) == len(theorems.THEOREMS) + len(found.document.policy.invariants)


@pytest.mark.parametrize("name", sorted(p.stem for p in VIOLATIONS.glob("*.yaml")))
def test_every_counterexample_is_a_test_case_that_can_be_run(name: str) -> None:
    found = draft(name)
    results = list(theorems.prove(Subject.of(found.document, found.program)))
    text = theorems.as_cases(found.program, results)
    traces = [o for r in results for o in r.objections if o.trace is not None]
    if not traces:
        assert text == ""
        return
    cases = read_cases(found.document, found.program, text.encode(), file="cases.yaml")
    assert len(cases) == len(traces)
    codes = {f.code for r in run_cases(found.document, found.program, cases) for f in r.findings}
    assert codes == ({"EG1505"} if name.startswith("invariant") else set())


@pytest.mark.parametrize("name", sorted(p.stem for p in VIOLATIONS.glob("*.yaml")))
def test_every_refutation_was_seen_or_is_about_what_never_happens(name: str) -> None:
    for result in refuted(name).values():
        for objection in result.objections:
            assert objection.unknown or objection.trace is not None or "never" in objection.message


def test_what_the_solver_does_not_know_is_never_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    found = compile_draft(ROOT / "policies" / "sign_gate.yaml")
    asked = Subject.of(found.document, found.program)
    monkeypatch.setattr(search._Search, "check", lambda *_: (Answer.UNKNOWN, None))
    by_name = {r.name: r.status for r in theorems.prove(asked)}
    solved = ("total", "reachable", "monotone", "pairs", "invariant-1", "invariant-2")
    assert {name: by_name[name] for name in solved} == dict.fromkeys(solved, Status.UNKNOWN)


@pytest.mark.parametrize("name", ["total", "overflow", "monotone", "monotone_clear", "pairs", "invariant"])
def test_what_does_not_replay_is_unknown_and_not_refuted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("inputs", "doubts", "attack"):
        monkeypatch.setattr(f"edgeguard.desk.prove.{module}.play", lambda *_: None)
    (result,) = refuted(name).values()
    assert result.status is Status.UNKNOWN
    assert {o.code for o in result.objections} == {"EG1610"}


def test_a_theorem_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="`totale`: choose from total, reachable"):
        list(theorems.prove(subject("total"), ["totale"]))


POLICY = """\
edgeguard: 1
policy: {name: made, version: 1}
signals:
  a: {from: context, range: [0, 1], max_age: 100ms, worse: higher%s}
  b: {from: context, range: [0, 1], max_age: 100ms}
rules:
%s
fallback:
%s
envelope: {brake: {min: 0, max: 1, rise: 2/s, safe: 1.0}, horn: {min: 0, max: 1, safe: 0.0}}
invariants:
%s
"""
RULE = "  - {id: r, when: a > 0.5, clear: {when: a < 0.45, for: 3 frames}, then: rules}"
ROW = "  - {command: {brake: 0.5, horn: 0.0}}"


def made(
    tmp_path: Path,
    *,
    rules: Sequence[str] = (RULE,),
    rows: Sequence[str] = (ROW,),
    never: Sequence[str] = ("a > 2.0",),
    fault: str = "",
) -> dict[str, Result]:
    promises = "\n".join(f"  - {{never: {n}}}" for n in never)
    path = tmp_path / "made.yaml"
    path.write_text(POLICY % (fault, "\n".join(rules), "\n".join(rows), promises))
    found = compile_draft(path)
    return {r.name: r for r in theorems.prove(Subject.of(found.document, found.program))}


def status(results: dict[str, Result], name: str) -> Status:
    return results[name].status


def test_a_latched_rule_shadows_one_that_lets_go_and_not_the_other_way_round(tmp_path: Path) -> None:
    free = "  - {id: free, when: a > 0.6, then: rules}"
    latched = "  - {id: kept, when: a > 0.5, latch: true, then: rules}"
    assert status(made(tmp_path, rules=[free, latched]), "reachable") is Status.REFUTED
    wider = "  - {id: free, when: a > 0.5, then: rules}"
    narrower = "  - {id: kept, when: a > 0.6, latch: true, then: rules}"
    assert status(made(tmp_path, rules=[wider, narrower]), "reachable") is Status.PROVED


def test_of_two_equal_rules_only_the_later_one_is_shadowed(tmp_path: Path) -> None:
    twice = made(tmp_path, rules=[RULE, RULE.replace("id: r", "id: again")])["reachable"]
    assert [o.message.split()[0] for o in twice.objections] == ["`again`"]


def test_a_slower_rule_that_demands_more_is_not_shadowed(tmp_path: Path) -> None:
    slow = "  - {id: slow, when: a > 0.5, for: 3s, then: human, within: 4s}"
    assert status(made(tmp_path, rules=[RULE, slow]), "reachable") is Status.PROVED


def test_a_human_who_may_be_followed_by_the_rules_shadows_no_other_demand_for_a_human(tmp_path: Path) -> None:
    one = "  - {id: one, when: a > 0.5, then: human, within: 4s, otherwise: rules}"
    two = "  - {id: two, when: a > 0.6, then: human, within: 4s}"
    assert status(made(tmp_path, rules=[one, two]), "reachable") is Status.PROVED


def test_a_row_is_needed_only_where_the_rules_may_act(tmp_path: Path) -> None:
    rows = ["  - {when: b <= 0.5, command: {brake: 0.5, horn: 0.0}}"]
    stops = "  - {id: stop, when: b > 0.5, then: safe_state}"
    assert status(made(tmp_path, rules=[RULE, stops], rows=rows), "total") is Status.PROVED
    late = stops.replace("then", "for: 2 frames, then")
    assert status(made(tmp_path, rules=[RULE, late], rows=rows), "total") is Status.REFUTED


def test_a_row_commands_a_human_without_a_command_where_the_safe_state_is_demanded(tmp_path: Path) -> None:
    rows = ["  - {when: b > 0.5, command: {brake: 0.5, horn: 0.0}}", ROW]
    stops = "  - {id: stop, when: b > 0.5, then: safe_state}"
    assert status(made(tmp_path, rules=[RULE, stops], rows=rows), "reachable") is Status.PROVED


def test_frames_that_come_faster_than_steps_settle_with_the_steps(tmp_path: Path) -> None:
    path = tmp_path / "fast.yaml"
    path.write_text(
        "edgeguard: 1\npolicy: {name: fast, version: 1}\nperiod: 20ms\nframe: {period: 5ms}\n"
        "signals:\n  a: {from: context, range: [0, 1], max_age: 100ms}\n"
        "rules:\n  - {id: slow, when: a > 0.5, for: 100 frames, then: safe_state}\n"
        "envelope: {brake: {min: 0, max: 1, safe: 1.0}}\n"
    )
    found = compile_draft(path)
    (result,) = theorems.prove(Subject.of(found.document, found.program), only=["no-loop"])
    assert "settled within 2.04 s" in result.how


def test_a_promise_that_only_every_step_together_proves_is_proved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(
        ["", "", "", "", "no", "no", "no", "no"]
    )  # the solver ran out of time for the last steps alone
    monkeypatch.setattr(invariants, "_impossible", lambda *_: next(answers))
    found = made(tmp_path, never=["a > 0.5, for: 2 frames"])
    assert status(found, "invariant-1") is Status.PROVED


def test_a_fault_that_nothing_reads_may_leave_the_rules_in_charge(tmp_path: Path) -> None:
    rows = ["  - {when: b > 0.5, command: {brake: 1.0, horn: 0.0}}", ROW]
    assert status(made(tmp_path, rows=rows, fault=", on_fault: rules"), "pairs") is Status.PROVED


@pytest.mark.parametrize(
    ("never", "expected"),
    [
        ("authority == model && a > 0.5", Status.PROVED),
        ("authority == model && a >= 0.5", Status.REFUTED),
        ("authority == rules && a < 0.4", Status.REFUTED),
        ("authority == rules && command.horn > 0.0", Status.PROVED),
        ("authority == rules && command.brake < 0.5", Status.REFUTED),
        ("authority == rules && command.brake < 0.5, for: 300ms", Status.PROVED),
        ("authority == rules && command.brake < 0.4, for: 100ms", Status.REFUTED),
        # a frame may come with every step of 20 ms, and 0.5 takes 250 ms
        ("authority == rules && command.brake < 0.5, for: 13 frames", Status.PROVED),
        ("authority == rules && command.brake < 0.5, for: 12 frames", Status.UNKNOWN),
        ("authority == human && command.brake < 0.5", Status.REFUTED),
        ("authority == human && a > 0.5", Status.REFUTED),
        ("authority == safe_state && command.horn > 0.0", Status.PROVED),
        ("command.horn > 0.9 && command.brake < 0.1", Status.REFUTED),
        ("command.horn > 1.0", Status.PROVED),
        ("authority == model && b > 0.9, for: 10 frames", Status.REFUTED),
    ],
)
def test_invariants_come_out_as_they_are(tmp_path: Path, never: str, expected: Status) -> None:
    result = made(tmp_path, never=[never])["invariant-1"]
    assert result.status is expected, result


def test_an_invariant_over_a_signal_at_fault_is_not_broken_by_it(tmp_path: Path) -> None:
    results = made(tmp_path, never=["authority == model && !(b <= 1.0)"])
    assert status(results, "invariant-1") is Status.PROVED


def test_a_rule_that_only_warns_ends_nothing(tmp_path: Path) -> None:
    warned = RULE.replace("then:", "mode: warn, then:")
    results = made(tmp_path, rules=[warned], never=["authority == model && a > 0.5"])
    assert status(results, "invariant-1") is Status.REFUTED


def test_a_bool_and_a_class_are_proved_about(tmp_path: Path) -> None:
    path = tmp_path / "kinds.yaml"
    path.write_text(
        """\
edgeguard: 1
policy: {name: kinds, version: 1}
signals:
  open:   {from: context, type: bool, max_age: 100ms, worse: higher}
  said: {from: context, type: class, labels: [stop, go], max_age: 100ms}
rules:
  - {id: ajar, when: "!open && said == said.go", then: rules}
fallback:
  - {when: said == said.stop, command: {brake: 1.0}}
  - {command: {brake: 0.5}}
envelope: {brake: {min: 0, max: 1, safe: 1.0}}
invariants:
  - {never: authority == model && said == said.go && !open}
  - {never: authority == model && said == said.go}
"""
    )
    found = compile_draft(path)
    results = {r.name: r for r in theorems.prove(Subject.of(found.document, found.program))}
    assert [n for n, r in results.items() if r.status is Status.REFUTED] == ["monotone", "invariant-2"]
    (objection,) = results["monotone"].objections
    assert objection.message == "`ajar` holds at open 0, said 1, and not with open 1, which is worse"


def test_a_human_who_takes_over_from_the_safe_state_is_tried(tmp_path: Path) -> None:
    stops = "  - {id: stop, when: a > 0.5, then: safe_state}"
    results = made(tmp_path, rules=[stops], never=["authority == human && a > 0.5"])
    (objection,) = results["invariant-1"].objections
    assert objection.trace is not None
    assert [s.mode for s in objection.trace.seen][-2:] == [Mode.SAFE_STATE, Mode.MANUAL]


def test_a_planner_that_gives_nothing_is_tried_and_is_no_test_case(tmp_path: Path) -> None:
    stops = "  - {id: stop, when: a > 0.5, then: safe_state}"
    results = made(tmp_path, rules=[stops], never=["authority == rules && b > 0.5"])
    (objection,) = results["invariant-1"].objections
    assert any("the model suggests nothing" in line for line in shown(objection))
    found = compile_draft(tmp_path / "made.yaml")
    assert theorems.as_cases(found.program, [results["invariant-1"]]) == ""


def test_where_nominal_values_cannot_be_armed_that_is_what_to_mend(tmp_path: Path) -> None:
    results = made(tmp_path, rules=["  - {id: r, when: a < 0.5, then: rules}"], never=["b > 0.5"])
    assert results["invariant-1"].status is Status.UNKNOWN
    assert "EG1503" in results["invariant-1"].objections[0].hint


def test_a_rule_that_waits_for_a_day_does_not_keep_anybody_waiting(tmp_path: Path) -> None:
    slow = "  - {id: r, when: a > 0.5, for: 1440min, then: rules}"
    results = made(tmp_path, rules=[slow], never=["authority == model && a > 0.5"])
    assert status(results, "reachable") is Status.PROVED
    assert status(results, "invariant-1") is Status.REFUTED


def test_the_gap_of_a_policy_without_rows_is_shown_at_a_healthy_input(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    path.write_text(
        "edgeguard: 1\npolicy: {name: none, version: 1}\nsignals:\n"
        "  speed: {from: context, range: [0, 60], max_age: 100ms, on_fault: human, within: 2s}\n"
        "envelope: {brake: {min: 0, max: 1, safe: 1.0}}\n"
    )
    found = compile_draft(path)
    (result,) = theorems.prove(Subject.of(found.document, found.program), ["total"])
    (objection,) = result.objections
    assert objection.message.endswith(
        "no fallback row commands at every signal nominal: the safe command follows"
    )
    assert objection.trace is not None
    assert objection.trace.seen[-1].values == {"speed": 0.0}
