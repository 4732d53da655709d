"""What `policy compare` proves, held against random runs: a stricter policy never leaves more authority on any of them.

`EDGEGUARD_COMPARE_EXAMPLES` sets how many random pairs of policies are tried.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("z3")

from edgeguard.desk.compare import Order, Side, compare
from edgeguard.desk.trial import NotArmable, Seen, Trial
from edgeguard.policy.document import parse
from edgeguard.types import Authority, Event

EXAMPLES = int(os.environ.get("EDGEGUARD_COMPARE_EXAMPLES", "30"))
RUNS = 6

HEAD = """edgeguard: 1
policy: {name: random, version: 1}
period: 50ms
signals:
  x: {from: context, range: [0, XTOP], max_age: 200ms, on_fault: XFAULT, nominal: 5}
  y: {from: context, range: [0, 10], max_age: 200ms, on_fault: rules, nominal: 5}
  b: {from: context, type: bool, max_age: 200ms, on_fault: rules}
"""
TAIL = "envelope: {act: {min: 0, max: 1, safe: 0}}\n"

CONDITIONS = (
    "x < 2.0", "x <= 2.0", "x < 3.0", "y > 7.0", "y >= 7.0", "y > 8.0", "b", "b && x < 4.0", "x < 2.0 || y > 7.0",
    "x + y < 6.0", "2.0 * x < 4.0", "!(x >= 2.0)", "b ? x < 2.0 : y > 8.0", "x < 3.0 && y > 7.0", "x < 2.0 || b",
)  # fmt: skip
CLEARS = ("", "x > 4.0", "y < 6.0", "x > 3.0 && y < 6.0", "!b", "x > 4.0 || !b")
SPANS = ("", "1 frame", "2 frames", "3 frames", "100ms", "150ms")

rule = st.fixed_dictionaries(
    {
        "when": st.sampled_from(CONDITIONS),
        "for": st.sampled_from(SPANS),
        "clear": st.sampled_from(CLEARS),
        "span": st.sampled_from(SPANS),
        "latch": st.sampled_from(("false", "false", "true")),
        "then": st.sampled_from(("rules", "human", "safe_state")),
        "within": st.sampled_from(("100ms", "200ms")),
        "otherwise": st.sampled_from(("rules", "safe_state")),
        "mode": st.sampled_from(("enforce", "enforce", "enforce", "warn")),
    }
)
signals = st.fixed_dictionaries(
    {"top": st.sampled_from(("10", "9")), "fault": st.sampled_from(("rules", "safe_state"))}
)
row = st.sampled_from((*CONDITIONS, ""))
policies = st.fixed_dictionaries(
    {
        "signals": signals,
        "rules": st.lists(rule, max_size=3),
        "fallback": st.lists(st.tuples(row, st.sampled_from(("0.2", "0.4"))), max_size=2),
    }
)
values = st.sampled_from((0.0, 1.0, 2.0, 2.5, 3.0, 3.5, 5.0, 7.0, 7.5, 8.5, 9.5, "missing"))
step = st.fixed_dictionaries({"x": values, "y": values, "b": st.sampled_from((0.0, 0.0, 1.0, "missing"))})
runs = st.lists(
    st.lists(
        st.tuples(step, st.integers(1, 4), st.sampled_from((True, True, False)), st.booleans()),
        min_size=1,
        max_size=10,
    ),
    min_size=RUNS,
    max_size=RUNS,
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A policy, and the same with a few changes: two of a kind are seldom drawn by chance."""
    old: dict[str, Any] = draw(policies)
    new: dict[str, Any] = {
        "signals": dict(old["signals"]),
        "rules": [dict(r) for r in old["rules"]],
        "fallback": old["fallback"],
    }
    for _ in range(draw(st.integers(0, 2))):
        kind = draw(
            st.sampled_from(("rule", "rule", "rule", "rule", "signals", "drop", "add", "split", "fallback"))
        )
        if kind == "signals":
            new["signals"] = draw(signals)
        elif kind == "fallback":
            new["fallback"] = draw(policies)["fallback"]
        elif kind == "add":
            new["rules"].insert(0, draw(rule))
        elif new["rules"]:
            chosen = draw(st.integers(0, len(new["rules"]) - 1))
            if kind == "drop":
                del new["rules"][chosen]
            elif kind == "split":
                halves = new["rules"][chosen]["when"].split(" || ")
                new["rules"][chosen : chosen + 1] = [
                    {**new["rules"][chosen], "when": half} for half in halves
                ]
            else:
                key = draw(st.sampled_from(sorted(new["rules"][chosen])))
                new["rules"][chosen][key] = draw(rule)[key]
    return (old, new) if draw(st.booleans()) else (new, old)


def text(policy: dict[str, Any]) -> str:
    rules = [rule_text(i, r) for i, r in enumerate(policy["rules"])]
    rows = [r for i, r in enumerate(policy["fallback"]) if r[0] or i + 1 == len(policy["fallback"])]
    head = HEAD.replace("XTOP", policy["signals"]["top"]).replace("XFAULT", policy["signals"]["fault"])
    listed = "rules:\n" + "".join(rules) if rules else ""
    fallback = "fallback:\n" + "".join(
        f"  - {{{f'when: {quoted(when)}, ' if when else ''}command: {{act: {act}}}}}\n" for when, act in rows
    )
    return head + listed + (fallback if rows else "") + TAIL


def rule_text(number: int, r: dict[str, str]) -> str:
    parts = [f"id: r{number}", f"when: {quoted(r['when'])}", f"then: {r['then']}", f"mode: {r['mode']}"]
    parts.append(f"latch: {r['latch']}")
    if r["for"]:
        parts.append(f"for: {r['for']}")
    if r["clear"]:
        span = f", for: {r['span']}" if r["span"] else ""
        parts.append(f"clear: {{when: {quoted(r['clear'])}{span}}}")
    if r["then"] == "human":
        parts.append(f"within: {r['within']}, otherwise: {r['otherwise']}")
    return f"  - {{{', '.join(parts)}}}\n"


def quoted(condition: str) -> str:
    return f'"{condition}"'


def side(policy: dict[str, Any]) -> Side:
    return Side(parse(text(policy).encode(), file="random.yaml"), Path(), None)


def command(trial: Trial, seen: Seen) -> dict[str, float]:
    rows = trial.program.fallback
    return dict(rows[seen.fallback].command.values) if seen.fallback >= 0 else {"act": 0.0}


@settings(max_examples=EXAMPLES)
@given(pairs(), runs)
def test_no_run_contradicts_the_verdict(
    pair: tuple[dict[str, Any], dict[str, Any]],
    scripts: list[list[tuple[dict[str, float | str], int, bool, bool]]],
) -> None:
    old, new = (side(policy) for policy in pair)
    order = compare(old, new).order
    if order is Order.INCOMPARABLE:
        return
    for script in scripts:
        trials = [Trial(s.program({})) for s in (old, new)]
        try:
            for trial in trials:
                trial.arm()
        except NotArmable:
            return
        for given_values, count, new_frame, reset in script:
            for i in range(count):
                event = Event.RESET if reset and i == 0 else None
                before, after = (t.step(given_values, new_frame=new_frame, event=event) for t in trials)
                if order in (Order.EQUIVALENT, Order.STRICTER):
                    assert after.authority >= before.authority, (script, text(pair[0]), text(pair[1]))
                if order in (Order.EQUIVALENT, Order.PERMISSIVE):
                    assert before.authority >= after.authority, (script, text(pair[0]), text(pair[1]))
                if Authority.SAFE_STATE not in (before.authority, after.authority):
                    assert command(trials[0], before) == command(trials[1], after)
