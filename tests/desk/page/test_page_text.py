"""What is on paper and in the page: complete, the same every time, and nothing of a policy's text becomes markup."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from edgeguard.decision.machine import Seat, Summary, next_mode
from edgeguard.desk.page import html, markdown
from edgeguard.desk.page.controls import slider_range
from edgeguard.desk.page.data import embedded
from edgeguard.desk.page.diagram import mermaid, svg, transitions
from edgeguard.policy import DraftPolicy
from edgeguard.program import SignalSpec
from edgeguard.types import Authority, Event, Mode

Run = Callable[[DraftPolicy, str], Any]

NASTY = "</script><img src=x onerror=window.hacked=1>"
HOSTILE = f"""\
edgeguard: 1
policy: {{name: hostile, version: 1}}
signals:
  speed: {{from: context, range: [0, 60], max_age: 1s}}
rules:
  - id: fast
    when: 'speed < 0.0 || speed > 5.0'
    then: rules
    cause: '{NASTY} @@data@@ | ``` [a](javascript:b) <!-- '
envelope: {{brake: {{min: 0, max: 1, safe: 1}}}}
tests:
  - {{name: '{NASTY} $title', given: {{speed: 9}}, expect: {{authority: rules, rule: fast}}}}
"""


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def hostile(load: Callable[[str], DraftPolicy]) -> DraftPolicy:
    return load(HOSTILE)


# --- the text of a policy is text ---


def test_text_of_the_policy_is_no_markup_in_the_page(hostile: DraftPolicy) -> None:
    page = html(hostile)
    assert "<img" not in page
    found = Elements(page).found
    assert not [
        tag
        for tag, _ in found
        if tag in ("img", "iframe", "object", "embed", "link", "form", "a") and tag != "a"
    ]
    assert [tag for tag, _ in found].count("script") == 6
    assert not [
        name for _, attributes in found for name in attributes if name.startswith("on") or name == "style"
    ]


def test_text_of_the_policy_is_text_in_the_browser(hostile: DraftPolicy, browse: Run) -> None:
    said = browse(
        hostile,
        """
        document.querySelector("#presets button").click();
        return [window.hacked === undefined, document.images.length, document.querySelector("#headline").textContent,
          document.querySelector("#presets button").textContent];
        """,
    )
    assert said[:2] == [True, 0]
    assert said[2].startswith(f"fast: {NASTY} @@data@@ | ``` [a](javascript:b) <!-- ")
    assert said[3] == f"{NASTY} $title"


def test_text_of_the_policy_is_no_markup_on_paper(hostile: DraftPolicy) -> None:
    text = markdown(hostile)
    assert "<img" not in text
    assert "<!--" not in text
    row = next(line for line in text.splitlines() if line.startswith("| `fast`"))
    assert r"\| \`\`\` \[a\](javascript:b)" in row
    assert r"`speed < 0.0 \|\| speed > 5.0`" in row
    header = next(line for line in text.splitlines() if line.startswith("| rule | line | condition"))
    assert len(re.findall(r"(?<!\\)\|", row)) == len(re.findall(r"(?<!\\)\|", header))


def test_nothing_in_the_embedded_table_ends_its_element() -> None:
    assert embedded({"a": "</script> & <!-- > \u2028"}) == (
        r'{"a":"\u003c/script\u003e \u0026 \u003c!-- \u003e \u2028"}'
    )


# --- the page stands alone ---


def test_the_page_refers_to_nothing_outside_of_itself(draft: DraftPolicy) -> None:
    page = html(draft)
    for tag, attributes in Elements(page).found:
        assert "src" not in attributes, tag
        assert str(attributes.get("href", "#")).startswith("#"), tag
    assert not re.findall(
        r"https?:|url\((?!#)|@import|import\(|fetch\(|XMLHttp|WebSocket|innerHTML|eval\(", page
    )
    policy = next(
        a["content"] for _, a in Elements(page).found if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


def test_the_browser_has_nothing_to_complain_about(draft: DraftPolicy, browse: Run) -> None:
    # the page's own security policy lets its style and all of its scripts through
    said = browse(
        draft,
        """
        return [getComputedStyle(document.querySelector(".bar")).position,
          document.querySelector("#word").textContent, performance.getEntriesByType("resource").length];
        """,
    )
    assert said == ["sticky", "MODEL", 0]


def test_every_control_has_a_name_and_every_id_stands_once(draft: DraftPolicy) -> None:
    found = Elements(html(draft)).found
    ids = [str(attributes["id"]) for _, attributes in found if "id" in attributes]
    assert len(ids) == len(set(ids))
    labels = {attributes.get("for") for tag, attributes in found if tag == "label"}
    for tag, attributes in found:
        if tag in ("input", "select") and attributes.get("name") != "view":
            assert attributes.get("id") in labels or "aria-label" in attributes, attributes
        for name in ("aria-labelledby", "list"):
            assert attributes.get(name) is None or attributes[name] in ids


def test_both_are_the_same_bytes_every_time(policy_file: Path, draft: DraftPolicy) -> None:
    from edgeguard.policy import compile_draft

    again = compile_draft(policy_file)
    assert markdown(draft) == markdown(again)
    assert html(draft) == html(again)


# --- complete ---


def test_paper_and_page_name_every_rule_row_and_limit(draft: DraftPolicy) -> None:
    program = draft.program
    names = [row.id for row in (*program.table.rules, *program.watched)]
    names += [spec.name for spec in program.signals] + [limit.name for limit in program.envelope]
    names += [program.digest, *(f"calibrated.{name}" for name in program.thresholds)]
    for text, opened, closed in ((markdown(draft), "`", "`"), (html(draft), "<code>", "</code>")):
        for name in names:
            assert f"{opened}{name}{closed}" in text


def test_the_decision_table_has_the_most_restrictive_first(everything: DraftPolicy) -> None:
    lines = markdown(everything).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("| rule | line | condition"))
    table = list(itertools.takewhile(lambda line: line.startswith("|"), lines[at + 2 :]))
    ids = [line.split("`")[1] for line in table]
    assert ids[:7] == ["doors", "exact", "braking", "stop-sign-far", "outvoted", "unsure", "listed"]
    assert ids[7:11] == ["two-speeds", "told", "noted", "same-sign"]
    assert [name.split(":")[0] for name in ids[11:]] == ["signal"] * 10
    assert ids[-3:] == [
        "signal:disagreement",
        "signal:certainty",
        "signal:votes",
    ]  # human, then rules, behind the safe states


def test_tests_and_invariants_stand_on_paper_in_words(everything: DraftPolicy) -> None:
    text = markdown(everything)
    assert "| never: authority" not in text
    assert "| `never: authority == model && certainty < 0.05` | for 3 frames |" in text
    assert "| safe state is left only by the operator |" in text
    assert "| doubt near a sign | " in text
    assert "certainty 0.2, distance 20 |  | 3 frames | authority rules, rule unsure |" in text
    assert "wheel\\_speed not a number" in text
    assert "| … step 2 |  | all is well | TAKE | 100ms | authority human, mode manual |" in text
    assert "This page does not check it: edgeguard policy prove does." in text


def test_times_stand_against_the_stated_interval(load: Callable[[str], DraftPolicy]) -> None:
    draft = load(HOSTILE.replace("envelope:", "ftti: 1200ms\nenvelope:"))
    text = markdown(draft)
    assert "| `fast` | 6 | 0ms | 20ms | 150ms | 170ms | 1.2s | yes |" in text
    assert "| `signal:speed` | 4 | 1s | 20ms | 150ms | 1.17s | 1.2s | yes |" in text


# --- the diagram ---

SUMMARIES = [
    Summary(demand, active, pending, fresh)
    for demand in Authority
    for active, pending, fresh in itertools.product((False, True), repeat=3)
    if active or (demand is Authority.MODEL and not fresh)  # what cannot be
]
EVENTS = [events for n in range(3) for events in itertools.combinations(Event, n)]


@pytest.mark.parametrize("lockout_after", [0, 1, 3])
def test_the_diagram_shows_exactly_the_ways_that_the_machine_has(lockout_after: int) -> None:
    seen = set()
    waiting = [Seat(Mode.INIT)]
    known = {(Mode.INIT, 0)}
    while waiting:
        seat = waiting.pop()
        for summary, events in itertools.product(SUMMARIES, EVENTS):
            after = next_mode(lockout_after, seat, summary, events)
            if after.mode is not seat.mode:
                seen.add((seat.mode, after.mode))
            place = (after.mode, min(after.entries, 4))
            if place not in known:
                known.add(place)
                waiting.append(Seat(after.mode, after.event, place[1]))
    ways = transitions(lockout_after)
    drawn = {
        pair for way in ways for pair in itertools.product(way.sources, way.targets) if pair[0] is not pair[1]
    }
    unreachable = {Mode.SAFE_STATE} if lockout_after == 1 else set()
    assert {way for way in drawn if way[0] not in unreachable} == seen


def test_the_diagram_is_drawn_whole() -> None:
    text = mermaid(3)
    assert text.startswith("stateDiagram-v2\n")
    for mode in Mode:
        assert f" as {mode.value}\n" in text
        assert f'data-mode="{mode.value}"' in svg(3)
    assert "at entry 3" in svg(3)
    assert "at entry" not in svg(0)
    assert "armed --> manual: TAKE, unless the safe state is demanded" in text


# --- controls ---


@pytest.mark.parametrize(
    ("low", "high", "nominal", "marks", "wanted"),
    [
        (0.0, 1.0, 0.99, (0.5,), (0.0, 1.0)),
        (0.0, 500.0, 120.0, (100.0,), (0.0, 500.0)),
        (0.0, 3600.0, 0.0, (0.14,), (0.0, 0.7000000000000001)),  # an hour is no scale for a tenth of a second
        (0.0, 3600.0, 2.0, (0.14,), (0.0, 2.5)),  # but what is normal stays on it
        (0.0, float("inf"), 0.0, (), (0.0, 1.0)),
        (float("-inf"), float("inf"), 1.0, (3.0,), (-3.0, 7.0)),
    ],
)
def test_a_slider_reaches_as_far_as_conditions_look(
    low: float, high: float, nominal: float, marks: tuple[float, ...], wanted: tuple[float, float]
) -> None:
    spec = SignalSpec("speed", "context", low, high, 1.0, nominal=nominal)
    assert slider_range(spec, marks) == wanted


# --- what the microcontroller does by itself ---


def test_the_document_says_what_the_microcontroller_does_by_itself(everything: DraftPolicy) -> None:
    told = markdown(everything)
    assert "There is an emergency stop" in told
    assert "| `brake` | anybody | within 0.25 of where it is | 50ms |" in told
    assert "| `gap` | m | 0 to 40 | 100ms |" in told
    assert '| `gap < 2.0 * 1.5 && 1.0 <= speed` | 0.75 | 0 | a wall &lt;near&gt; "it" |' in told
    assert "|  | none holds | 1 | 0 | the safe values |" in told


def test_a_document_of_a_policy_without_a_word_about_it_has_no_such_tables(hostile: DraftPolicy) -> None:
    assert "icrocontroller" not in markdown(hostile).replace("at the microcontroller", "")


def test_a_rule_without_a_condition_stands_last_and_needs_no_safe_values(
    load: Callable[[str], DraftPolicy],
) -> None:
    own = "microcontroller: {fallback: [{command: {brake: 0.5}, note: slowly}]}\n"
    told = markdown(load(HOSTILE + own))
    assert "| otherwise | 0.5 | slowly |" in told
    assert "none holds |" not in told.split("## Rules of the microcontroller")[1].split("## ")[0]
    assert "There is no emergency stop" in told
