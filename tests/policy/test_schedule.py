"""Schedules: what loads stays fresh while all goes well, and a rule's way to its command counts every spared frame."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.desk.budget import budgets
from edgeguard.desk.lint import lint
from edgeguard.errors import PolicyError
from edgeguard.policy.document import PolicyDocument, parse
from edgeguard.policy.pace import deadline, frames_held, oldest, waiting

SIGNED = 'admission: {signers: [{key: k.pub, sha256: "' + "0" * 64 + '"}]}\n'
PERIODS = st.sampled_from([10, 20, 33, 40, 50])
DEADLINES = st.integers(5, 120)


def text(pace: str, *, period: int = 50, limit: int = 50, age: int = 300, more: str = "") -> str:
    """A policy with one scheduled signal in a worker. Times in ms."""
    return f"""\
edgeguard: 1
policy: {{name: paced, version: 1}}
models: {{primary: {{bundle: m}}, redundant: {{bundle: r}}}}
{SIGNED}frame: {{period: {period}ms}}
isolation: {{workers: {{w: {{runs: [redundant], deadline: {limit}ms}}}}}}
schedule: {{doubt: {pace}}}
signals:
  certainty: {{of: primary, range: [0, 1], max_age: 300ms}}
  doubt: {{of: [primary, redundant], measure: disagreement, range: [0, 1], max_age: {age}ms}}
{more}envelope: {{brake: {{min: 0, max: 1, safe: 1}}}}
"""


def loaded(source: str) -> PolicyDocument:
    return parse(source.encode(), file="p.yaml")


def codes(source: str) -> list[str]:
    """Of every finding about a policy."""
    try:
        loaded(source)
    except PolicyError as error:
        return [finding.code for finding in error.diagnostics]
    return []


def ages(every: int, offset: int, period: int, late: int) -> int:
    """The greatest age (ms) that is seen over a long run in which each answer takes `late` ms."""
    taken = [n * period for n in range(10 * every) if n % every == offset]
    return max(after - before + late for before, after in itertools.pairwise(taken))


@given(st.integers(2, 9), st.integers(0, 8), PERIODS, DEADLINES, st.integers(40, 900))
def test_a_schedule_loads_exactly_when_every_value_lives_until_the_next(
    every: int, offset: int, period: int, limit: int, age: int
) -> None:
    offset %= every
    source = text(f"{{every: {every} frames, offset: {offset}}}", period=period, limit=limit, age=age)
    assert codes(source) == ([] if ages(every, offset, period, limit) <= age else ["EG1327"])


def background(period: int, took: int) -> int:
    """The greatest age (ms) of a value that is asked for with a frame whenever nothing is asked, and seen with one."""
    asked, seen, worst = 0, -1, 0
    for now in range(period, 200 * period, period):
        if now - asked >= took:
            worst = max(worst, now - seen if seen >= 0 else 0)
            seen, asked = asked, now
    return worst


@given(PERIODS, DEADLINES, st.integers(1, 120))
def test_in_the_background_no_value_is_older_than_is_counted(period: int, limit: int, took: int) -> None:
    document = loaded(text("{background: true}", period=period, limit=limit, age=2000))
    took = min(took, limit)
    assert background(period, took) <= oldest(document.policy, "doubt") * 1000 + 1e-6
    assert math.ceil(took / period) <= frames_held(document.policy, "doubt")


def first_seen(every: int, wrong_from: int) -> int:
    """The first measured frame (of those with offset 0) on which something wrong since `wrong_from` shows."""
    return next(n for n in range(wrong_from, wrong_from + every) if n % every == 0)


@given(st.integers(2, 9), st.integers(0, 40))
def test_a_fault_shows_within_the_delay_that_is_counted(every: int, wrong_from: int) -> None:
    document = loaded(text(f"{{every: {every} frames}}", age=2000))
    late = (first_seen(every, wrong_from) - wrong_from) * 0.05
    assert late <= waiting(document.policy, "doubt") + 1e-9
    assert waiting(document.policy, "doubt") == pytest.approx((every - 1) * 0.05)


def test_what_is_computed_on_every_frame_waits_for_nothing() -> None:
    document = loaded(text("{every: 4 frames}"))
    assert (waiting(document.policy, "certainty"), frames_held(document.policy, "certainty")) == (0.0, 1)
    assert deadline(document.policy, "doubt") == 0.05
    assert deadline(document.policy, "certainty") == 0.0


def test_the_slowest_worker_that_a_signal_needs_counts() -> None:
    source = text("{every: 4 frames}", limit=50).replace(
        "workers: {w:", "workers: {eyes: {runs: [primary], deadline: 90ms}, w:"
    )
    assert deadline(loaded(source).policy, "doubt") == 0.09
    assert codes(source.replace("90ms", "110ms")) == ["EG1327"]


RULES = """\
rules:
  - {id: unsure, when: certainty < 0.5, for: 2 frames, then: rules}
  - {id: doubted, when: doubt > 0.5, for: 6 frames, then: rules}
  - {id: either, when: doubt > 0.5 || certainty < 0.1, then: rules}
"""


def test_budget_of_a_rule_counts_the_frames_that_its_signal_is_spared() -> None:
    document = loaded(text("{every: 4 frames}", more=RULES))
    found = {b.id: b for b in budgets(document)}
    assert [found[name].schedule for name in ("unsure", "doubted", "either")] == pytest.approx(
        [0, 0.15, 0.15]
    )
    assert found["doubted"].total == pytest.approx(0.15 + 0.3 + 0.02 + 0.15)
    assert str(found["doubted"]).startswith("doubted: 150ms schedule + 300ms debounce + 20ms period + ")
    assert "schedule" not in str(found["unsure"])
    assert found["signal:doubt"].schedule == 0.0


def test_the_same_rule_is_in_time_without_a_schedule_and_late_with_it() -> None:
    slow = text("{every: 4 frames}", age=250, more=RULES + "ftti: 500ms\n")
    with pytest.raises(PolicyError) as caught:
        parse(slow.encode(), file="p.yaml")
    (finding,) = caught.value.diagnostics
    assert (finding.code, "doubted" in finding.message) == ("EG1309", True)
    assert finding.hint == "schedule 150ms + debounce 300ms + period 20ms + link 150ms"
    parse(slow.replace("schedule: {doubt: {every: 4 frames}}\n", "").encode(), file="p.yaml")


@pytest.mark.parametrize(
    ("hold", "told"),
    [
        ("2 frames", True),
        ("4 frames", True),
        ("5 frames", False),
        ("1 frame", False),
        ("199ms", True),
        ("200ms", False),
    ],
)
def test_lint_tells_of_a_debounce_that_one_value_fulfils(hold: str, told: bool) -> None:
    rule = f"rules:\n  - {{id: doubted, when: doubt > 0.5, for: {hold}, then: rules}}\n"
    document = loaded(text("{every: 4 frames}", more=rule))
    assert ("EG1412" in {f.code for f in lint(document)}) is told


@given(st.integers(2, 6), st.integers(1, 12))
def test_one_value_counts_in_as_many_frames_as_it_is_held(every: int, hold: int) -> None:
    """A single wrong measurement, right before and after: does a debounce of `hold` frames believe it?"""
    wrong = [n // every == 3 for n in range(10 * every)]
    longest = max(len(run) for run in "".join("x" if w else " " for w in wrong).split())
    rule = f"rules:\n  - {{id: doubted, when: doubt > 0.5, for: {hold} frames, then: rules}}\n"
    document = loaded(text(f"{{every: {every} frames}}", age=2000, more=rule))
    assert frames_held(document.policy, "doubt") == longest
    told = "EG1412" in {f.code for f in lint(document)}
    assert told == (1 < hold <= longest)
