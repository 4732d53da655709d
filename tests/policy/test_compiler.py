"""From document to program: rows in file order, defaults of `clear`, implicit fault rows, paths, descriptions."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from edgeguard.decision.table import RuleRow, Span, Truth
from edgeguard.errors import Diagnostic, PolicyError
from edgeguard.policy import (
    Calibration,
    PolicyDocument,
    compile_policy,
    describe,
    model_refs,
    parse,
    signal_specs,
)
from edgeguard.program import Program
from edgeguard.terms import Pin, SignerTerm
from edgeguard.types import Authority

SMALL = """\
edgeguard: 1
policy: {name: small, version: 1}
signals:
  speed: {from: context, range: [0, 60], max_age: 100ms, unit: m/s}
  distance: {from: context, range: [-inf, inf], max_age: 1s, on_fault: human, within: 2s, otherwise: rules}
rules:
%s
envelope:
  brake: {min: 0, max: 1, rise: 4/s, safe: 1}
"""


SIGNED = 'admission: {signers: [{key: k, sha256: "' + "ab" * 32 + '"}]}'


def small(rule: str, more: str = "") -> Program:
    text = SMALL % f"  - {rule}" + more
    return compile_policy(parse(text.encode(), file="p.yaml"), base=Path("/etc/policies"), calibration=None)


def row(rule: str) -> RuleRow:
    return small(rule).table.rules[0]


def test_rule_without_for_and_clear_holds_at_once_and_clears_on_its_opposite_after_one_frame() -> None:
    found = row("{id: fast, when: speed > 8.0, then: rules}")
    assert (found.hold, found.clear, found.latch) == (Span(), Span(frames=1), False)
    assert found.clear_text == "!(speed > 8.0)"
    assert (found.reads, found.line, found.then, found.text) == ((0,), 7, Authority.RULES, "speed > 8.0")


def test_rule_without_clear_clears_after_the_span_of_its_debounce() -> None:
    assert row("{id: fast, when: speed > 8.0, for: 3 frames, then: rules}").clear == Span(frames=3)
    assert row("{id: fast, when: speed > 8.0, for: 300ms, then: rules}").clear == Span(seconds=0.3)


def test_clear_by_operator_needs_the_opposite_and_the_operator() -> None:
    found = row("{id: fast, when: speed > 8.0, for: 2 frames, then: safe_state, latch: true}")
    assert (found.latch, found.clear, found.clear_text) == (True, Span(frames=2), "!(speed > 8.0)")


def test_clear_has_its_own_condition_and_span() -> None:
    program = small("{id: fast, when: speed > 8.0, then: rules, clear: {when: speed < 6.0, for: 5 frames}}")
    found = program.table.rules[0]
    assert (found.clear, found.clear_text) == (Span(frames=5), "speed < 6.0")
    for speed, when, clear in (
        (9.0, Truth.TRUE, Truth.FALSE),
        (7.0, Truth.FALSE, Truth.FALSE),
        (5.0, Truth.FALSE, Truth.TRUE),
    ):
        given = [speed, 0.0], [True, True]
        assert (program.when(*given)[0], program.clear(*given)[0]) == (when, clear)
    assert program.clear([5.0, 0.0], [False, True])[0] is Truth.FAULT


def test_clear_without_for_uses_the_debounce() -> None:
    assert row(
        "{id: f, when: speed > 8.0, for: 4 frames, then: rules, clear: {when: speed < 6.0}}"
    ).clear == Span(frames=4)


def test_human_rule_carries_its_budget_and_what_follows() -> None:
    found = row("{id: fast, when: speed > 8.0, then: human, within: 3s}")
    assert (found.then, found.within, found.otherwise) == (Authority.HUMAN, 3.0, Authority.SAFE_STATE)
    assert (
        row("{id: f, when: speed > 8.0, then: human, within: 3s, otherwise: rules}").otherwise
        is Authority.RULES
    )


def test_every_signal_has_an_implicit_fault_rule_after_the_declared_ones() -> None:
    program = small("{id: fast, when: speed > 8.0, then: rules}")
    assert [r.id for r in program.table.rules] == ["fast", "signal:speed", "signal:distance"]
    speed, distance = program.table.rules[1:]
    assert (speed.then, speed.line, speed.hold, speed.reads) == (Authority.SAFE_STATE, 4, Span(), (0,))
    assert (distance.then, distance.within, distance.otherwise) == (Authority.HUMAN, 2.0, Authority.RULES)
    assert speed.clear == Span(seconds=0.25)
    assert program.when([1.0, 1.0], [True, False]) == (Truth.FALSE, Truth.FALSE, Truth.FAULT)
    assert program.clear([1.0, 1.0], [True, False]) == (Truth.TRUE, Truth.TRUE, Truth.FAULT)


def test_fault_of_a_signal_of_the_models_clears_after_five_healthy_frames(
    sign_gate: PolicyDocument, sign_gate_calibration: Calibration
) -> None:
    program = compile_policy(sign_gate, base=Path(), calibration=sign_gate_calibration)
    rows = {r.id: r for r in program.table.rules}
    assert rows["signal:certainty"].clear == Span(frames=5)
    assert rows["signal:speed"].clear == Span(seconds=0.25)


def test_rates_not_given_are_unlimited() -> None:
    limit = small("{id: f, when: speed > 8.0, then: rules}").envelope[0]
    assert (limit.rise, limit.fall, limit.low, limit.high, limit.safe) == (4.0, math.inf, 0.0, 1.0, 1.0)


def test_without_fallback_rules_the_safe_command_follows() -> None:
    program = small("{id: f, when: speed > 8.0, then: rules}")
    assert program.fallback == ()
    assert program.choose([9.0, 0.0], [True, True]) == -1


def test_paths_count_from_the_folder_of_the_policy() -> None:
    more = "link: {key: ../keys/k}\nmodels: {primary: {bundle: ../m/p}}\nfilter: {bundle: /abs/f}\n"
    more += 'admission: {signers: [{key: k.pub, sha256: "' + "ab" * 32 + '"}]}\n'
    text = SMALL.replace("speed: {from: context", "contrast: {from: frame").replace(", unit: m/s", "")
    text = text % "  - {id: f, when: contrast > 8.0, then: rules}" + more
    program = compile_policy(parse(text.encode(), file="p.yaml"), base=Path("/etc/policies"))
    assert program.link is not None
    assert program.link.key == "/etc/keys/k"
    assert [(m.role, m.path) for m in program.models] == [("primary", "/etc/m/p"), ("filter", "/abs/f")]
    assert program.admission.signers == (SignerTerm(key=Pin("/etc/policies/k.pub", "ab" * 32)),)


def test_models_are_found_from_the_folder_of_the_policy(sign_gate: PolicyDocument) -> None:
    refs = {ref.role: ref for ref in model_refs(sign_gate, base=Path("/p"))}
    assert refs["filter"].path == "/models/signs/denoise"


def test_signals_keep_their_order_sources_and_lines(sign_gate: PolicyDocument) -> None:
    specs = signal_specs(sign_gate)
    assert [s.name for s in specs] == list(sign_gate.policy.signals)
    sources = {s.name: s.source for s in specs}
    assert sources["certainty"] == "primary"
    assert sources["disagreement"] == "primary+redundant"
    assert sources["speed"] == "context"
    lines = sign_gate.source.text.split("\n")
    assert all(lines[s.line - 1].strip().startswith(f"{s.name}:") for s in specs)


def test_missing_threshold_is_found_in_a_clear_condition_too() -> None:
    text = SMALL % "  - {id: f, when: speed > 8.0, clear: {when: speed < calibrated.speed}, then: rules}"
    text += f"calibration: c.json\n{SIGNED}\n"
    document = parse(text.encode(), file="p.yaml")
    for calibration, code in (
        (None, "EG1307"),
        (Calibration("c", "small", {}, 1, 0.0, {"sped": 1.0}), "EG1308"),
    ):
        with pytest.raises(PolicyError) as caught:
            compile_policy(document, base=Path(), calibration=calibration)
        (found,) = caught.value.diagnostics
        assert (found.code, found.line, found.column) == (
            code,
            7,
            text.split("\n")[6].index("calibrated") + 1,
        )


def test_threshold_only_an_invariant_names_is_not_needed_to_run() -> None:
    more = f"calibration: c.json\n{SIGNED}\ninvariants:\n  - {{never: speed > calibrated.speed}}\n"
    assert small("{id: f, when: speed > 8.0, then: rules}", more).thresholds == {}


def test_description_is_json_and_names_every_part(
    sign_gate: PolicyDocument, sign_gate_calibration: Calibration
) -> None:
    program = compile_policy(sign_gate, base=Path("/p"), calibration=sign_gate_calibration)
    text = json.dumps(describe(program), allow_nan=False)
    for name in (
        "sign-gate",
        "split-vote",
        "signal:novelty",
        "brake",
        "audible",
        "disagreement < calibrated",
    ):
        assert name in text
    assert describe(small("{id: f, when: speed > 8.0, then: rules}"))["link"] is None


def test_program_carries_the_digest_of_the_very_bytes() -> None:
    first = parse((SMALL % "  - {id: f, when: speed > 8.0, then: rules}").encode(), file="p.yaml")
    second = parse((SMALL % "  - {id: f, when: speed > 8.0, then: rules}").encode() + b"#\n", file="p.yaml")
    assert len(first.digest) == 64
    assert first.digest != second.digest


def test_all_findings_come_at_once_in_file_order() -> None:
    text = SMALL % "  - {id: f, when: sped > 8.0, then: ruls}\n  - {id: g, when: speed >, then: human}"
    with pytest.raises(PolicyError) as caught:
        parse(text.replace("max_age: 1s", "max_age: 1").encode(), file="p.yaml")
    assert [d.code for d in caught.value.diagnostics] == ["EG1105", "EG1203", "EG1107", "EG1201"]
    assert str(Diagnostic("EG1", "m", "f", 1, 2)) == "f:1:2: EG1: m"


def test_slow_rule_is_allowed_where_another_takes_the_same_condition_in_time() -> None:
    slow = "{id: slow, when: speed > 8.0, for: 5s, then: safe_state}"
    fast = "{id: fast, when: (speed > 8.0), then: rules}"
    text = (SMALL % f"  - {slow}\n  - {fast}").replace("max_age: 1s", "max_age: 100ms") + "ftti: 400ms\n"
    parse(text.encode(), file="p.yaml")
    with pytest.raises(PolicyError, match="EG1309"):
        parse(text.replace("(speed > 8.0)", "speed > 9.0").encode(), file="p.yaml")


def test_budget_counts_a_frame_for_what_comes_with_frames() -> None:
    text = (SMALL % "  - {id: f, when: frame_age > 1.0, then: rules}").replace(
        "max_age: 1s", "max_age: 100ms"
    )
    text = text.replace("rules:\n", "  frame_age: {from: frame, range: [0, 9], max_age: 10ms}\nrules:\n")
    text += "frame: {period: 200ms}\nlink: {lost_after: 60ms}\nftti: 270ms\n"
    with pytest.raises(PolicyError, match="EG1309: rule `f` may take 280ms"):
        parse(text.encode(), file="p.yaml")


def test_findings_of_unknown_keys_deep_in_sections_are_suggested() -> None:
    text = SMALL % "  - {id: f, when: speed > 8.0, then: rules, clear: {wen: speed < 1}}"
    text += "invariants:\n  - {leave: safe_state, only_bye: operator}\n"
    with pytest.raises(PolicyError) as caught:
        parse(text.encode(), file="p.yaml")
    hints = {d.message: d.hint for d in caught.value.diagnostics if d.code == "EG1101"}
    assert hints == {
        "`rules[1].clear.wen` is not a known key": "did you mean `when`?",
        "`invariants[1].only_bye` is not a known key": "did you mean `only_by`?",
    }
