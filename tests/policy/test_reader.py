"""Strict YAML: what plain values mean, and where everything stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.decision.table import Span
from edgeguard.errors import PolicyError
from edgeguard.policy import units
from edgeguard.policy.diagnostics import MOST_SHOWN, Place, Report, quote, suggest
from edgeguard.policy.reader import read
from edgeguard.policy.scalars import read_plain
from edgeguard.policy.source import Source


def source_of(text: str) -> Source:
    report = Report("p.yaml")
    _, source = read(text.encode(), report)
    assert report.found == []
    return source


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("0", 0),
        ("-7", -7),
        ("12.50", 12.5),
        ("1e3", 1000.0),
        ("1.5E-3", 0.0015),
        ("-0.0", -0.0),
        ("text", "text"),
        ("inf", "inf"),
        ("4/s", "4/s"),
        ("2 frames", "2 frames"),
        ("100ms", "100ms"),
        ("1.2.3", "1.2.3"),
        ("speed > 8.0", "speed > 8.0"),
    ],
)
def test_plain_scalar_has_one_meaning(text: str, value: object) -> None:
    got = read_plain(text)
    assert (got.value, type(got.value), got.code) == (value, type(value), "")


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "No",
        "ON",
        "off",
        "y",
        "N",
        "TRUE",
        "False",
        "null",
        "NULL",
        "~",
        "=",
        ".inf",
        "-.Inf",
        ".NaN",
        "010",
        "08",
        "00",
        "0x1f",
        "0o17",
        "0b11",
        "1_000",
        "12:30:45",
        "1:30",
        "2026-11-21",
        "2026-11-21T10:00:00Z",
        "+5",
        ".5",
        "5.",
        "-.5",
        "1_0.5",
        "+.inf",
    ],
)
def test_scalar_that_readers_understand_differently_is_refused(text: str) -> None:
    got = read_plain(text)
    assert got.code == "EG1011"
    assert got.hint


@pytest.mark.parametrize("text", ["1e999", "-1e400", "9" * 41])
def test_number_that_cannot_be_represented_is_refused(text: str) -> None:
    assert read_plain(text).code == "EG1014"


def test_quoted_scalars_are_always_text() -> None:
    report = Report("p.yaml")
    values, _ = read(b"a: 'no'\nb: \"010\"\nc: |\n  12:30\nd: ''\n", report)
    assert values == {"a": "no", "b": "010", "c": "12:30\n", "d": ""}
    assert report.found == []


@pytest.mark.parametrize(
    ("text", "offset", "place"),
    [
        ("k: ab cd", 3, (1, 7)),
        ("# \u00e9\u00e9\nk: \u00e9b cd", 3, (2, 7)),
        ("k: 'ab cd'", 3, (1, 8)),
        ('k: "ab cd"', 3, (1, 8)),
        ('k: "a\\tb cd"', 4, (1, 4)),
        ("k: >-\n  ab\n    cd\n", 5, (3, 5)),
        ("k: |  # note\n  ab\n  cd\n", 3, (3, 3)),
        ("k: ab\n  cd ef", 6, (2, 6)),
        ("k: ab cd", 5, (1, 9)),
        ("k: ''", 0, (1, 4)),
    ],
)
def test_place_inside_a_scalar_is_found_through_quotes_folds_and_breaks(
    text: str, offset: int, place: tuple[int, int]
) -> None:
    assert source_of(text).inside(("k",), offset) == place


def test_places_of_keys_and_values() -> None:
    source = source_of("a:\n  - x: 1\n    y: [2, 3]\n")
    assert source.key(("a", 0, "y")) == (3, 5)
    assert source.value(("a", 0, "y")) == (3, 8)
    assert source.value(("a", 0, "y", 1)) == (3, 12)
    assert source.value(("a", 0, "z")) == source.value(("a", 0)) == (2, 5)
    assert source.key(("q",)) == (1, 1)
    assert source.inside(("nothing",), 3) == (1, 1)


def test_crlf_lines_count_as_lines() -> None:
    source = source_of("a: 1\r\nb: x y\r\n")
    assert source.value(("b",)) == (2, 4)
    assert source.inside(("b",), 2) == (2, 6)


def test_first_of_two_equal_keys_is_kept_and_the_second_is_a_finding() -> None:
    report = Report("p.yaml")
    values, _ = read(b"a: 1\na: 2\n", report)
    assert values == {"a": 1}
    assert [str(d) for d in report.found] == [
        "p.yaml:2:1: EG1005: key `a` stands here a second time (the first is at line 1)"
    ]


def test_nested_key_that_is_no_name_is_passed_over_whole() -> None:
    report = Report("p.yaml")
    values, _ = read(b"? {a: [1, 2], b: {c: d}}\n: 1\nx: 2\n", report)
    assert values["x"] == 2
    assert [d.code for d in report.found] == ["EG1012"]


def test_key_nested_too_deeply_stops_the_reading() -> None:
    with pytest.raises(PolicyError) as caught:
        read(b"? " + b"[" * 40 + b"]" * 40 + b"\n: 1\n", Report("p.yaml"))
    assert "EG1010" in [d.code for d in caught.value.diagnostics]


def test_too_many_values_stop_the_reading() -> None:
    with pytest.raises(PolicyError) as caught:
        read(b"a: [" + b"1," * 50_001 + b"]", Report("p.yaml"))
    assert [d.code for d in caught.value.diagnostics] == ["EG1010"]


def test_many_findings_are_counted_not_listed() -> None:
    report = Report("p.yaml")
    read(b"".join(b"k%d: no\n" % i for i in range(500)), report)
    assert len(report.found) == MOST_SHOWN
    with pytest.raises(PolicyError) as caught:
        report.raise_if_any()
    assert "300 more" in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_give_values_or_findings(data: bytes) -> None:
    report = Report("p.yaml")
    try:
        values, _ = read(data, report)
    except PolicyError:
        assert report.found
    else:
        assert isinstance(values, dict)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("100ms", 0.1),
        ("3s", 3.0),
        ("1.5s", 1.5),
        ("2min", 120.0),
        ("250us", 0.00025),
        ("60 ms", 0.06),
        ("0ms", 0.0),
    ],
)
def test_duration_in_seconds(text: str, seconds: float) -> None:
    assert units.duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "3", "s", "3 sec", "-1s", "1e3ms", "03s", "3s ", " 3s", "1,5s", "3S", "\u0663s", "inf s"]
)
def test_what_is_not_a_duration(text: str) -> None:
    assert units.duration(text) is None


def test_spans_and_rates() -> None:
    assert units.span("1 frame") == units.span("1 frames") == Span(frames=1)
    assert units.span("300ms") == Span(seconds=0.3)
    assert units.span("0 frames") is units.span("frames") is units.span("2frames") is None
    assert units.rate("4/s") == units.rate("4 / s") == 4.0
    assert units.rate("0.5/s") == 0.5
    assert units.rate("4") is units.rate("4/min") is units.rate("-4/s") is None


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (Span(), "at once"),
        (Span(frames=1), "1 frame"),
        (Span(frames=3), "3 frames"),
        (Span(seconds=0.3), "300ms"),
    ],
)
def test_span_in_words(span: Span, text: str) -> None:
    assert units.span_text(span) == text


def test_user_input_is_quoted_cut_and_printable() -> None:
    assert quote("a\nb") == "`a?b`"
    assert len(quote("x" * 1000)) == 62


def test_suggestion_is_the_nearest_name_or_the_choice_or_nothing() -> None:
    assert suggest("certianty", ["certainty", "speed"]) == "did you mean `certainty`?"
    assert suggest("zzz", ["certainty", "speed"]) == "known: `certainty`, `speed`"
    assert suggest("zzz", []) == suggest("zzz", [f"name{i}q" for i in range(20)]) == ""


def test_report_refuses_a_code_that_does_not_exist() -> None:
    with pytest.raises(AssertionError):
        Report("p.yaml").add("EG9999", "message", Place(1, 1))
