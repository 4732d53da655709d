"""`policy compare`: prepared pairs with their verdicts, every setting, and what is not known is never equivalent."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("z3")

from edgeguard.desk.compare import Comparison, Order, Side, compare, pairing, sides
from edgeguard.desk.compare.order import joined, reverse
from edgeguard.desk.solve.search import Answer, Found
from edgeguard.errors import ContractError, UsageError
from edgeguard.policy.document import parse

PAIRS = Path(__file__).parent / "pairs"
NAMES = sorted(path.name for path in PAIRS.iterdir())
ROOT = Path(__file__).parents[2]

WHOLE = """edgeguard: 1
policy: {name: whole, version: 1}
models:
  primary: {bundle: models/a}
  redundant: {bundle: models/b}
admission:
  signers: [{key: a.pub, sha256: "aaaa"}, {key: b.pub, sha256: "bbbb"}]
  require: {security_version: 2}
isolation: {workers: {second: {runs: [redundant]}}}
frame: {period: 50ms}
signals:
  certainty: {of: primary, range: [0, 1], max_age: 100ms}
  doubt: {measure: disagreement, of: [primary, redundant], range: [0, 1], max_age: 250ms}
  speed: {from: context, range: [0, 60], max_age: 100ms}
rules:
  - {id: asks, when: speed > 50.0, then: human, within: 4s}
handover: {escalate: [{after: 1s, alert: visual}, {after: 2s, alert: audible}]}
envelope:
  brake: {min: 0.1, max: 0.9, rise: 4/s, safe: 0.5}
disclosure: {outputs: top1}
link: {port: auto, lost_after: 100ms, heartbeat: 20ms}
period: 20ms
ftti: 500ms
lockout_after: 3
log: {flush: 1s}
""".replace("aaaa", "a" * 64).replace("bbbb", "b" * 64)

RUNNING = [
    ("runs: [redundant]", "runs: [redundant], sandbox: required", Order.STRICTER),
    ("runs: [redundant]", 'runs: [redundant], sandbox: "off"', Order.PERMISSIVE),
    ("runs: [redundant]", "runs: [redundant], sandbox: preferred", Order.EQUIVALENT),
    ("{workers: {second", "{sandbox: strict, workers: {second", Order.STRICTER),
    ("runs: [redundant]", "runs: [redundant], memory: 1GiB", Order.STRICTER),
    ("runs: [redundant]", "runs: [redundant], deadline: 40ms", Order.STRICTER),
    ("runs: [redundant]", "runs: [redundant], deadline: 60ms", Order.PERMISSIVE),
    ("runs: [redundant]", "runs: [redundant], restarts: {most: 4}", Order.PERMISSIVE),
    ("runs: [redundant]", "runs: [redundant], restarts: {within: 2min}", Order.STRICTER),
    ("runs: [redundant]", "runs: [redundant], restarts: {then: lockout}", Order.STRICTER),
    ("runs: [redundant]", "runs: [redundant], cpus: [1], scheduling: {fifo: 9}", Order.EQUIVALENT),
    ("runs: [redundant]", "runs: [redundant, squeezed]", Order.INCOMPARABLE),
    ("models/b}", "models/b, backend: auto, cpu_fallback: true}", Order.INCOMPARABLE),
    ("models/a}", "models/a, alternates: [models/c], switch: {every: 9 frames}}", Order.INCOMPARABLE),
    ("frame:", "qualification: {redundant: {accuracy_loss: 5%}}\nframe:", Order.STRICTER),
    ("frame:", "fused: {bundle: models/f}\nframe:", Order.INCOMPARABLE),
    ("frame:", "realtime: {lock_memory: true}\nframe:", Order.EQUIVALENT),
    ("frame:", "realtime: {lock_memory: true, required: true}\nframe:", Order.STRICTER),
    ("frame:", "schedule: {doubt: {every: 2 frames}}\nframe:", Order.PERMISSIVE),
    ("frame:", "schedule: {doubt: {background: true}}\nframe:", Order.PERMISSIVE),
]

BY_ITSELF = [
    ("\nperiod: 20ms\n", "\nmicrocontroller: {stop: true}\nperiod: 20ms\n", Order.STRICTER),
    ("\nperiod: 20ms\n", "\nmicrocontroller: {stop: false}\nperiod: 20ms\n", Order.EQUIVALENT),
    ("safe: 0.5}", "safe: 0.5, feedback: {lead: 0.1, max_age: 50ms}}", Order.STRICTER),
    ("safe: 0.5}", "safe: 0.5, authority: model}", Order.EQUIVALENT),
    ("safe: 0.5}", "safe: 0.5, authority: rules}", Order.STRICTER),
    ("safe: 0.5}", "safe: 0.5, authority: human}", Order.STRICTER),
    ("heartbeat: 20ms", "heartbeat: 20ms, key: d.key", Order.INCOMPARABLE),
    ("heartbeat: 20ms", "heartbeat: 20ms, operator_key: o.key", Order.PERMISSIVE),
]

SETTINGS = [
    ("bundle: models/a", "bundle: models/c", Order.INCOMPARABLE),
    (
        "  redundant: {bundle: models/b}\n",
        "  redundant: {bundle: models/b, backend: auto}\n",
        Order.INCOMPARABLE,
    ),
    (', {key: b.pub, sha256: "' + "b" * 64 + '"}', "", Order.STRICTER),
    ("key: b.pub", "key: moved/b.pub", Order.EQUIVALENT),
    ("b" * 64, "c" * 64, Order.INCOMPARABLE),
    ("security_version: 2", "security_version: 3", Order.STRICTER),
    ("isolation: {workers: {second: {runs: [redundant]}}}\n", "", Order.PERMISSIVE),
    ("second: {runs", "other: {runs", Order.EQUIVALENT),
    ("runs: [redundant]}", "runs: [redundant, primary]}", Order.INCOMPARABLE),
    ("frame: {period: 50ms}", "frame: {period: 40ms}", Order.INCOMPARABLE),
    ("{after: 1s, alert: visual}", "{after: 500ms, alert: visual}", Order.STRICTER),
    ("alert: audible", "alert: haptic", Order.INCOMPARABLE),
    (
        "handover: {escalate: [{after: 1s, alert: visual}, {after: 2s, alert: audible}]}\n",
        "",
        Order.PERMISSIVE,
    ),
    ("min: 0.1", "min: 0.2", Order.STRICTER),
    ("max: 0.9", "max: 1", Order.PERMISSIVE),
    ("rise: 4/s", "rise: 3/s", Order.STRICTER),
    ("rise: 4/s, ", "", Order.PERMISSIVE),
    ("rise: 4/s", "rise: 4/s, fall: 4/s", Order.STRICTER),
    ("safe: 0.5", "safe: 0.6", Order.INCOMPARABLE),
    ("safe: 0.5}", "safe: 0.5, unit: bar}", Order.EQUIVALENT),
    ("envelope:\n", "envelope:\n  horn: {min: 0, max: 1, safe: 0}\n", Order.INCOMPARABLE),
    ("outputs: top1", "outputs: probabilities", Order.PERMISSIVE),
    ("lost_after: 100ms", "lost_after: 80ms", Order.STRICTER),
    ("port: auto", "port: /dev/ttyS1", Order.INCOMPARABLE),
    ("heartbeat: 20ms", "heartbeat: 10ms", Order.INCOMPARABLE),
    ("link: {port: auto, lost_after: 100ms, heartbeat: 20ms}\n", "", Order.INCOMPARABLE),
    ("period: 20ms\n", "period: 10ms\n", Order.INCOMPARABLE),
    ("ftti: 500ms", "ftti: 400ms", Order.STRICTER),
    ("ftti: 500ms\n", "", Order.PERMISSIVE),
    ("lockout_after: 3", "lockout_after: 0", Order.PERMISSIVE),
    ("lockout_after: 3", "lockout_after: 2", Order.STRICTER),
    ("flush: 1s", "flush: 2s", Order.PERMISSIVE),
    ("log:", "risk: {at_most: 0.01, confidence: 0.95}\nlog:", Order.STRICTER),
    *BY_ITSELF,
    ("name: whole", "name: other", Order.EQUIVALENT),
    *RUNNING,
    ("version: 1}", "version: 2}", Order.EQUIVALENT),
]


def test_there_are_enough_pairs_of_every_verdict() -> None:
    counts = Counter(expected(name) for name in NAMES)
    assert len(NAMES) >= 20
    assert set(counts) == set(Order)
    assert min(counts.values()) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_pair_has_its_verdict_and_every_difference_is_seen_to_happen(name: str) -> None:
    comparison = compare(*sides(PAIRS / name / "old.yaml", PAIRS / name / "new.yaml"))
    print(
        f"{name}: {comparison.order.value}, {len(comparison.differences)} differences"
    )  # `pytest -rP` lists them
    assert comparison.order is expected(name)
    assert joined(d.order for d in comparison.differences) is comparison.order
    for difference in comparison.differences:
        setting = difference.text.startswith("`")
        assert setting or difference.witness is not None, difference


@pytest.mark.parametrize("name", NAMES)
def test_the_other_way_round_the_verdict_is_reversed(name: str) -> None:
    comparison = compare(*sides(PAIRS / name / "new.yaml", PAIRS / name / "old.yaml"))
    assert comparison.order is reverse(expected(name))


def test_a_demand_for_a_human_split_in_two_asks_anew_where_the_halves_take_turns() -> None:
    asks = "then: human, within: 1s, otherwise: safe_state"
    one = solid("x > 5.0 || y > 5.0").replace("then: rules", asks)
    two = one.replace("x > 5.0 || y > 5.0", "x > 5.0").replace(
        "envelope:", f"  - {{id: s, when: y > 5.0, {asks}}}\nenvelope:"
    )
    comparison = compared(one, two)
    assert comparison.order is Order.PERMISSIVE
    assert "old: safe_state, new: human" in str(comparison.differences[0].witness)


def test_the_fallback_is_compared_where_only_a_human_without_a_command_gets_it() -> None:
    row = "  - {when: x > 5.0, command: {brake: 0.2}}\n"
    old = (
        solid("x > 5.0")
        .replace("then: rules", "then: safe_state")
        .replace("envelope:", f"fallback:\n{row}  - {{command: {{brake: 0.7}}}}\nenvelope:")
    )
    comparison = compared(old, old.replace(row, ""))
    assert comparison.order is Order.INCOMPARABLE
    (difference,) = comparison.differences
    assert "old: brake = 0.2, new: brake = 0.7" in str(difference.witness)


@pytest.mark.parametrize(("before", "after", "order"), SETTINGS)
def test_setting_is_ordered(before: str, after: str, order: Order) -> None:
    changed = WHOLE.replace(before, after, 1)
    assert compared(WHOLE, changed).order is order
    assert compared(changed, WHOLE).order is reverse(order)


def test_everything_that_a_policy_may_say_is_compared_or_known_to_take_nothing() -> None:
    from edgeguard.policy.schema import Policy

    by_solver = {"signals", "rules", "redundancy", "fallback"}
    by_value = {"period", "frame", "ftti", "lockout_after", "log", "disclosure", "risk", "models", "filter"}
    by_value |= {"microcontroller", "fused", "qualification", "schedule", "realtime"}
    by_value |= {"admission", "isolation", "link", "envelope", "handover", "calibration"}
    nothing = {"edgeguard", "policy", "let", "invariants", "tests"}
    assert set(Policy.model_fields) == by_solver | by_value | nothing


OWN = """microcontroller:
  stop: true
  sensors: {gap: {range: [0, 9], max_age: 50ms, unit: m}, rate: {range: [0, 9], max_age: 50ms}}
  fallback:
    - {when: gap < 2.0 && rate > 1.0, command: {brake: 0.8}}
    - {when: gap < 4.0, command: {brake: 0.7}}
"""
BY_ITSELF_TOO = WHOLE.replace("safe: 0.5}", "safe: 0.5, feedback: {lead: 0.1, max_age: 50ms}}") + OWN


@pytest.mark.parametrize(
    ("before", "after", "order"),
    [
        ("lead: 0.1", "lead: 0.2", Order.PERMISSIVE),
        ("lead: 0.1", "lead: 0.05", Order.STRICTER),
        ("lead: 0.1, max_age: 50ms", "lead: 0.1, max_age: 60ms", Order.PERMISSIVE),
        (", feedback: {lead: 0.1, max_age: 50ms}", "", Order.PERMISSIVE),
        ("stop: true", "stop: false", Order.PERMISSIVE),
        (OWN, "", Order.PERMISSIVE),
        ("    - {when: gap < 4.0, command: {brake: 0.7}}\n", "", Order.PERMISSIVE),
        ("    - {when: gap < 2.0 && rate > 1.0, command: {brake: 0.8}}\n", "", Order.PERMISSIVE),
        ("gap < 2.0 && rate > 1.0", "1.0 < rate && gap < 4.0 / 2", Order.EQUIVALENT),
        ("gap < 2.0", "gap <= 2.0", Order.INCOMPARABLE),
        ("{brake: 0.7}", "{brake: 0.6}", Order.INCOMPARABLE),
        ("{brake: 0.7}}", "{brake: 0.7}, note: near}", Order.EQUIVALENT),
        ("{brake: 0.7}}\n", "{brake: 0.7}}\n    - {command: {brake: 0.5}}\n", Order.EQUIVALENT),
        ("{brake: 0.7}}\n", "{brake: 0.7}}\n    - {command: {brake: 0.6}}\n", Order.INCOMPARABLE),
        ("gap: {range: [0, 9]", "gap: {range: [0, 8]", Order.INCOMPARABLE),
        ("9], max_age: 50ms, unit: m", "9], max_age: 60ms, unit: m", Order.INCOMPARABLE),
        ("50ms, unit: m}", "50ms, unit: cm}", Order.INCOMPARABLE),
    ],
)
def test_what_the_microcontroller_does_by_itself_is_ordered(before: str, after: str, order: Order) -> None:
    changed = BY_ITSELF_TOO.replace(before, after, 1)
    assert changed != BY_ITSELF_TOO
    assert compared(BY_ITSELF_TOO, changed).order is order


def test_a_rule_for_the_microcontroller_is_not_stricter_for_being_new() -> None:
    """Its command has no order: it may be further from safe."""
    assert (
        compared(WHOLE + OWN.split("    - {when: gap < 4", maxsplit=1)[0], WHOLE + OWN).order
        is Order.INCOMPARABLE
    )


def test_it_is_told_how_many_rules_there_are() -> None:
    comparison = compared(WHOLE + OWN, WHOLE + OWN.split("    - {when: gap < 4", maxsplit=1)[0])
    assert [d.text for d in comparison.differences] == ["`microcontroller.fallback` is 1 rule, was 2 rules"]


def test_rules_in_another_order_are_other_rules() -> None:
    rows = OWN.splitlines(keepends=True)
    swapped = "".join([*rows[:-2], rows[-1], rows[-2]])
    assert compared(WHOLE + OWN, WHOLE + swapped).order is Order.INCOMPARABLE


def test_a_policy_is_equivalent_to_itself() -> None:
    gate = ROOT / "policies" / "sign_gate.yaml"
    comparison = compare(*sides(gate, gate))
    assert (comparison.order, comparison.differences) == (Order.EQUIVALENT, ())


def test_no_answer_in_time_is_incomparable_and_never_equivalent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "answer", lambda *_, **__: Answer.UNKNOWN)
    comparison = compared(solid("x * y > 3.0 * z"), solid("y * x > z * 3.0"))
    assert comparison.order is Order.INCOMPARABLE
    assert any("no answer within 5 s" in difference.text for difference in comparison.differences)


def test_no_input_in_time_leaves_the_fallback_incomparable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "ask", lambda *_, **__: Found(Answer.UNKNOWN))
    row = "fallback:\n  - {when: x * y > 3.0, command: {brake: 0.5}}\nenvelope"
    old = solid("x > 1.0").replace("envelope", row)
    comparison = compared(old, old.replace("x * y", "y * x"))
    assert comparison.order is Order.INCOMPARABLE
    assert all("no answer" in difference.text for difference in comparison.differences)


def test_calibration_that_is_there_and_is_none_is_told(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text((ROOT / "policies" / "sign_gate.yaml").read_text())
    (tmp_path / "sign_gate.calibration.json").write_text("{")
    with pytest.raises(ContractError, match="not JSON"):
        sides(policy, policy)


def test_without_a_calibration_it_holds_for_every_threshold(tmp_path: Path) -> None:
    old, new = doubting("x > calibrated.x"), doubting("x >= calibrated.x")
    comparison = compared(old, new)
    assert not comparison.measured
    assert comparison.order is Order.STRICTER
    assert comparison.differences[0].witness is not None
    fixed = compared(old, doubting("x > 0.5"))
    assert fixed.order is Order.INCOMPARABLE


def test_a_threshold_that_fits_only_one_policy_is_told() -> None:
    old = doubting("x > calibrated.x")
    with pytest.raises(UsageError, match="no threshold of `x` is in the range of both policies"):
        compared(old, old.replace("range: [0, 1]", "range: [2, 3]"))


def test_with_calibrations_the_thresholds_are_compared(tmp_path: Path) -> None:
    files = [calibrated(tmp_path / "old", 0.8), calibrated(tmp_path / "new", 0.7)]
    comparison = compare(*sides(*files))
    assert comparison.measured
    assert comparison.order is Order.STRICTER
    assert "x = 0.8" in str(comparison.differences[0].witness)


def test_calibration_measured_with_other_models_is_incomparable(tmp_path: Path) -> None:
    old, new = calibrated(tmp_path / "old", 0.8), calibrated(tmp_path / "new", 0.8, model="c")
    assert compare(*sides(old, new)).order is Order.INCOMPARABLE


def test_another_calibration_that_is_not_at_hand_is_incomparable() -> None:
    old = doubting("x > calibrated.x")
    assert compared(old, old.replace("c.json", "d.json")).order is Order.INCOMPARABLE


def test_a_difference_stands_where_it_is_in_the_new_policy() -> None:
    pair = PAIRS / "22-debounce-lengthened"
    comparison = compare(*sides(pair / "old.yaml", pair / "new.yaml"))
    (difference,) = comparison.differences
    assert difference.new == ("rules", 0)
    line = comparison.new.place(difference.new).line
    assert "for: 3 frames" in (pair / "new.yaml").read_text().splitlines()[line - 1]


def test_watched_rules_take_nothing() -> None:
    old = WHOLE.replace("rules:\n", "rules:\n  - {id: told, when: speed > 1.0, mode: warn, then: rules}\n")
    assert compared(old, WHOLE).order is Order.EQUIVALENT


def expected(name: str) -> Order:
    for line in (PAIRS / name / "new.yaml").read_text().splitlines():
        if line.startswith("# expected: "):
            return Order(line.removeprefix("# expected: "))
    raise AssertionError(name)


def side(text: str) -> Side:
    return Side(parse(text.encode(), file="policy.yaml"), Path(), None)


def compared(old: str, new: str, *, timeout: float = 5.0) -> Comparison:
    return compare(side(old), side(new), timeout=timeout)


def solid(condition: str) -> str:
    return f"""edgeguard: 1
policy: {{name: solid, version: 1}}
signals:
  x: {{from: context, range: [0, 60], max_age: 100ms}}
  y: {{from: context, range: [0, 60], max_age: 100ms}}
  z: {{from: context, range: [0, 60], max_age: 100ms}}
rules:
  - {{id: hard, when: {condition}, then: rules}}
envelope: {{brake: {{min: 0, max: 1, safe: 1}}}}
"""


def doubting(condition: str) -> str:
    return f"""edgeguard: 1
policy: {{name: doubting, version: 1}}
admission: {{signers: [{{key: a.pub, sha256: "{"a" * 64}"}}]}}
calibration: c.json
signals:
  x: {{from: context, range: [0, 1], max_age: 100ms}}
rules:
  - {{id: doubt, when: {condition}, then: rules}}
envelope: {{brake: {{min: 0, max: 1, safe: 1}}}}
"""


def calibrated(folder: Path, threshold: float, *, model: str = "b") -> Path:
    folder.mkdir()
    thresholds = {"x": threshold}
    content = {
        "edgeguard_calibration": 1,
        "policy": "doubting",
        "models": {"primary": model * 64},
        "frames": 1000,
        "abstain": 0.01,
        "thresholds": thresholds,
    }
    (folder / "c.json").write_text(json.dumps(content))
    (folder / "policy.yaml").write_text(doubting("x > calibrated.x"))
    return folder / "policy.yaml"


SCHEDULED = WHOLE.replace("frame:", "schedule: {doubt: {every: 3 frames}}\nframe:", 1)
"""Its signal may be 250 ms old, and its worker takes 50 ms, so 4 frames are the most."""


@pytest.mark.parametrize(
    ("pace", "order"),
    [
        ("{every: 2 frames}", Order.STRICTER),
        ("{every: 4 frames}", Order.PERMISSIVE),
        ("{every: 3 frames, offset: 1}", Order.INCOMPARABLE),
        ("{every: 3 frames, or_when: certainty < 0.5}", Order.STRICTER),
        ("{every: 4 frames, or_when: certainty < 0.5}", Order.INCOMPARABLE),
    ],
)
def test_a_sparser_schedule_is_more_permissive(pace: str, order: Order) -> None:
    other = SCHEDULED.replace("{every: 3 frames}", pace)
    found = compared(SCHEDULED, other)
    assert found.order is order
    assert found.differences[0].text.startswith("`schedule.doubt` is computed with")


def test_a_qualification_that_is_gone_is_more_permissive() -> None:
    asked = WHOLE.replace(
        "frame:", "qualification: {redundant: {accuracy_loss: 5%, common_mode: 0.3}}\nframe:", 1
    )
    assert compared(asked, WHOLE).order is Order.PERMISSIVE
    assert compared(asked, asked.replace("5%", "4%")).order is Order.STRICTER
    assert compared(asked, asked.replace("0.3", "0.4")).order is Order.PERMISSIVE
