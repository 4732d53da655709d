"""What is proved of random policies is never broken by random runs through the real runtime.

`EDGEGUARD_PROVE_POLICIES=N` tries N policies instead of a few.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeguard.desk.monitor import Monitor
from edgeguard.desk.prove import theorems
from edgeguard.desk.prove.inputs import ASKED
from edgeguard.desk.prove.result import Status
from edgeguard.desk.prove.subject import Subject
from edgeguard.desk.trial import NotArmable, Seen, Trial
from edgeguard.policy import DraftPolicy, compile_draft
from edgeguard.types import Authority, Event, Mode

POLICIES = int(os.environ.get("EDGEGUARD_PROVE_POLICIES", "8"))
RUNS, STEPS = 6, 150
VALUES = (0.0, 0.2, 0.25, 0.3, 0.5, 0.55, 0.75, 0.8, 1.0)
WORDS = (
    "a > 0.25",
    "a > 0.5",
    "a >= 0.75",
    "b > 0.5",
    "b < 0.25",
    "a + b > 1.0",
    "a > 0.5 && b > 0.25",
    "a > b",
)
SPANS = ("2 frames", "3 frames", "60ms", "1 frame")
EVENTS = (Event.TAKE, Event.RELEASE, Event.RESET, Event.STOP, Event.ARM)


def condition(rng: random.Random) -> str:
    word = rng.choice(WORDS)
    return f"!({word})" if rng.random() < 0.15 else word


def rule(rng: random.Random, number: int) -> str:
    parts = [f"id: r{number}", f'when: "{condition(rng)}"']
    if rng.random() < 0.6:
        parts.append(f"for: {rng.choice(SPANS)}")
    if rng.random() < 0.5:
        parts.append(f'clear: {{when: "{condition(rng)}", for: {rng.choice(SPANS)}}}')
    if rng.random() < 0.2:
        parts.append("latch: true")
    then = rng.choice(("rules", "rules", "human", "safe_state"))
    parts.append(f"then: {then}")
    if then == "human":
        parts.append(f"within: 200ms, otherwise: {rng.choice(('rules', 'safe_state'))}")
    return f"  - {{{', '.join(parts)}}}"


def never(rng: random.Random) -> str:
    who = rng.choice(("model", "model", "rules", "safe_state", "human"))
    what = rng.choice((*WORDS, "command.brake < 0.5", "command.brake > 0.4", "command.horn > 0.1"))
    lasting = f", for: {rng.choice((*SPANS, '4 frames', '300ms'))}" if rng.random() < 0.6 else ""
    return f'  - {{never: "authority == {who} && {what}"{lasting}}}'


def policy(rng: random.Random) -> str:
    fault = rng.choice(("rules", "safe_state", "safe_state"))
    rows = [
        f'  - {{when: "{condition(rng)}", command: {{brake: {rng.choice((0.3, 0.6))}, horn: 0.0}}}}'
        for _ in range(rng.randrange(3))
    ]
    if rng.random() < 0.8:
        rows.append("  - {command: {brake: 0.5, horn: 0.0}}")
    rules = "\n".join(rule(rng, i) for i in range(rng.randrange(1, 4)))
    body = "\n".join(rows)
    return (
        "edgeguard: 1\npolicy: {name: made, version: 1}\nsignals:\n"
        f"  a: {{from: context, range: [0, 1], max_age: 100ms, worse: higher, on_fault: {fault}}}\n"
        "  b: {from: context, range: [0, 1], max_age: 100ms, nominal: 0.3}\n"
        f"rules:\n{rules}\n" + (f"fallback:\n{body}\n" if rows else "") + "envelope:\n"
        f"  brake: {{min: 0, max: 1, rise: {rng.choice((1, 4))}/s, safe: 1.0}}\n"
        "  horn: {min: 0, max: 1, fall: 2/s, safe: 0.0}\n"
        f"lockout_after: {rng.choice((0, 1, 2, 3))}\n"
        "invariants:\n" + "\n".join(never(rng) for _ in range(6)) + "\n"
    )


def drawn(rng: random.Random, before: dict[str, float | str]) -> dict[str, float | str]:
    return {
        name: before[name]
        if name in before and rng.random() < 0.75
        else ("missing" if rng.random() < 0.06 else rng.choice(VALUES))
        for name in ("a", "b")
    }


def run(rng: random.Random, found: DraftPolicy) -> Iterator[Seen]:
    """One random run, from power-up, with whatever an operator may do."""
    trial = Trial(found.program)
    yield trial.step({}, new_frame=False, event=Event.READY)
    values: dict[str, float | str] = {}
    suggested: dict[str, float] | None = None
    armed = False
    for _ in range(STEPS):
        values = {} if not armed else drawn(rng, values)
        event = None if armed else Event.ARM
        if armed and rng.random() < 0.06:
            event = rng.choice(EVENTS)
        if rng.random() < 0.1:
            suggested = {"brake": rng.choice((0.0, 1.0)), "horn": rng.choice((0.0, 1.0))}
        seen = trial.step(
            values, new_frame=rng.random() < 0.7, event=event, suggest=suggested, manual=suggested
        )
        armed = seen.mode is not Mode.STANDBY or rng.random() < 0.05
        yield seen


def compiled(seed: int, folder: Path) -> DraftPolicy:
    path = folder / "made.yaml"
    path.write_text(policy(random.Random(seed)))
    return compile_draft(path)


@pytest.mark.parametrize("seed", range(POLICIES))
def test_no_random_run_breaks_what_is_proved(seed: int, tmp_path: Path) -> None:
    found = compiled(seed, tmp_path)
    results = list(theorems.prove(Subject.of(found.document, found.program)))
    proved = {r.name for r in results if r.status is Status.PROVED}
    lines = {
        found.document.line(("invariants", i)): f"invariant-{i + 1}"
        for i in range(len(found.document.policy.invariants))
    }
    for attempt in range(RUNS):
        rng = random.Random(seed * 1000 + attempt)
        monitor = Monitor(found.document, found.program.thresholds)
        last: Seen | None = None
        for seen in run(rng, found):
            for broken in monitor.step(seen):
                assert lines[broken.line] not in proved, (broken, seen)
            if {"total", "pairs"} <= proved and seen.mode in ASKED:
                assert seen.fallback >= 0, seen
            if "fail-closed" in proved and seen.mode is Mode.NOMINAL:
                assert None not in seen.values.values()
            if "takeover" in proved and last is not None and seen.mode is Mode.LOCKOUT:
                assert last.mode is Mode.LOCKOUT or found.program.table.lockout_after != 1
            last = seen


@pytest.mark.parametrize("seed", range(POLICIES))
def test_where_doubt_is_proved_monotone_the_worse_run_has_every_rule_active(
    seed: int, tmp_path: Path
) -> None:
    found = compiled(seed + 10_000, tmp_path)
    results = theorems.prove(Subject.of(found.document, found.program), ["monotone"])
    if next(results).status is not Status.PROVED:
        return
    rng = random.Random(seed)
    better, worse = Trial(found.program), Trial(found.program)
    try:
        better.arm()
        worse.arm()
    except NotArmable:
        return
    values: dict[str, float | str] = {}
    for _ in range(4 * STEPS):
        values = drawn(rng, values)
        doubt = values["a"]
        more = rng.choice([v for v in VALUES if isinstance(doubt, str) or v >= doubt])
        frame = rng.random() < 0.7
        better.step(values, new_frame=frame)
        worse.step({**values, "a": "missing" if isinstance(doubt, str) else more}, new_frame=frame)
        for row, one, other in zip(
            found.program.table.rules, better._decider.state.rules, worse._decider.state.rules
        ):
            assert other.active or not one.active, row.id


def test_the_random_policies_are_of_every_kind(tmp_path: Path) -> None:
    statuses = set()
    for seed in range(8):
        found = compiled(seed, tmp_path)
        results = theorems.prove(Subject.of(found.document, found.program))
        statuses |= {(r.name.split("-")[0], r.status) for r in results}
    assert {("invariant", s) for s in (Status.PROVED, Status.REFUTED)} <= statuses
    assert {("total", s) for s in (Status.PROVED, Status.REFUTED)} <= statuses
    assert Authority.MODEL < Authority.RULES
