"""The layout of policy files, rule by rule, on files as people write them."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from edgeguard.desk.fmt import format_policy
from edgeguard.desk.fmt import formatter as module
from edgeguard.errors import EdgeguardError, PolicyError, UsageError

ROOT = Path(__file__).parents[2]
HOSTILE = sorted((ROOT / "tests" / "hostile" / "policies").glob("*.yaml"))
POLICIES = sorted([*(ROOT / "policies").glob("*.yaml"), *(ROOT / "hil").glob("*.yaml")])


def formatted(text: str) -> str:
    once = format_policy(textwrap.dedent(text).lstrip("\n").encode(), file="p.yaml")
    assert format_policy(once.encode(), file="p.yaml") == once
    return once


def laid_out(before: str, after: str) -> None:
    assert formatted(before) == textwrap.dedent(after).lstrip("\n")


def test_values_cells_and_comments_of_neighbours_line_up() -> None:
    laid_out(
        """
        signals:
          speed: {from: context, unit: m/s, range: [0, 60], max_age: 100ms}
          near:   {from: context, range: [0, 1], max_age: 100ms, on_fault: rules}  # a door
          # between
          unexplained:     {from: context, unit: s, range: [0, 3600], max_age: 100ms} # how long
        """,
        """
        signals:
          speed:       {from: context, unit: m/s, range: [0, 60],   max_age: 100ms}
          near:        {from: context,            range: [0, 1],    max_age: 100ms, on_fault: rules}   # a door
          # between
          unexplained: {from: context, unit: s,   range: [0, 3600], max_age: 100ms}                    # how long
        """,
    )


def test_a_blank_line_begins_a_new_table() -> None:
    laid_out(
        "envelope:\n  brake: {min: 0}\n\n\n  throttle_now: {min: 0}\n",
        "envelope:\n  brake: {min: 0}\n\n  throttle_now: {min: 0}\n",
    )


def test_entries_of_different_kinds_do_not_line_up() -> None:
    laid_out(
        "edgeguard:   1\npolicy: {name: a,    version: 1}\nlog:      {flush: 1s}\n",
        "edgeguard: 1\npolicy: {name: a, version: 1}\nlog: {flush: 1s}\n",
    )


def test_after_a_wide_gap_a_row_leaves_the_columns() -> None:
    laid_out(
        """
        signals:
          certainty: {of: primary, max_age: 150ms, nominal: 0.99}
          squeezing: {of: primary, max_age: 50ms, on_fault: safe_state, nominal: 0.5}
        """,
        """
        signals:
          certainty: {of: primary, max_age: 150ms, nominal: 0.99}
          squeezing: {of: primary, max_age: 50ms,  on_fault: safe_state, nominal: 0.5}
        """,
    )


def test_keys_that_never_stand_together_share_a_column() -> None:
    laid_out(
        """
        redundancy:
          - {id: two, agree: [speed, wheel_speed], tolerance: 0.5, then: rules}
          - {id: moving, if: speed > 1.0, expect: frozen_for < 0.2, then: human}
        """,
        """
        redundancy:
          - {id: two,    agree: [speed, wheel_speed], tolerance: 0.5, then: rules}
          - {id: moving, if: speed > 1.0, expect: frozen_for < 0.2,   then: human}
        """,
    )


def test_keys_in_another_order_begin_a_new_table() -> None:
    laid_out(
        "envelope:\n  a: {min: 0, max: 10, safe: 1}\n  b: {min: 0, safe: 1, max: 1}\n",
        "envelope:\n  a: {min: 0, max: 10, safe: 1}\n  b: {min: 0, safe: 1, max: 1}\n",
    )


def test_a_mapping_with_very_many_keys_is_laid_out_too() -> None:
    row = "{" + ", ".join(f"k{i}: 1" for i in range(40)) + "}"
    assert formatted(f"x:\n  - {row}\n  - {row}\n").count("\n") == 81
    short = "{" + ", ".join(f"{c}: 1" for c in "abcdefghij") + "}"
    other = "{" + ", ".join(f"{c}: 10" for c in "aBCDEFGHIJ") + "}"
    third = "{" + ", ".join(f"{c}: 10" for c in ("a", *"KLMPQRSTUVWXZ")) + "}"
    text = f"x:\n  - {short}\n  - {other}\n  - {third}\n"
    assert [line.replace(" ", "") for line in formatted(text).splitlines()] == text.replace(
        " ", ""
    ).splitlines()


def test_nothing_is_lined_up_past_the_last_column() -> None:
    long = "x" * 80
    text = f"log:   {{a: {long}, b: 1}}\nother: {{a: 1, b: {'y' * 70}}}\n"
    assert formatted(text) == text


def test_names_line_up_whatever_they_stand_for() -> None:
    laid_out(
        "let:\n  near: a<1   # close\n  hard_stop: {is: 5.0, unit: m/s2}\n",
        "let:\n  near:      a < 1   # close\n  hard_stop: {is: 5.0, unit: m/s2}\n",
    )


def test_expressions_are_written_canonically() -> None:
    laid_out(
        """
        rules:
          - id: a
            when: "(certainty<0.20)&&near"
            clear: {when: 'x in [1,2]', for: 2 frames}
          - id: b
            when: 'near ? a>1 : b>1'
          - id: c
            when: >
              a<1
              || b<1
        """,
        """
        rules:
          - id: a
            when: certainty < 0.20 && near
            clear: {when: "x in [1, 2]", for: 2 frames}
          - id: b
            when: 'near ? a > 1 : b > 1'
          - id: c
            when: a < 1 || b < 1
        """.replace('"x in [1, 2]"', "'x in [1, 2]'"),
    )


def test_expressions_of_the_microcontroller_are_written_canonically_and_its_notes_are_text() -> None:
    laid_out(
        """
        microcontroller:
          fallback:
            - {when: ground<3.0&&(sink>0.5), command: {climb: -0.2}, note: a<b&&c}
            - {when: '(4.0)>=ground', command: {climb: -0.25}}
        """,
        """
        microcontroller:
          fallback:
            - {when: ground < 3.0 && sink > 0.5, command: {climb: -0.2}, note: a<b&&c}
            - {when: 4.0 >= ground,              command: {climb: -0.25}}
        """,
    )


def test_a_broken_expression_stays_as_it_is() -> None:
    laid_out("rules:\n  - {id: a,   when: a<<1}\n", "rules:\n  - {id: a, when: a<<1}\n")


def test_a_line_too_long_in_flow_style_becomes_a_block() -> None:
    laid_out(
        f"rules:\n  - {{id: {'a' * 30}, when: disagreement > calibrated.disagreement && near, "
        "for: 40 frames, then: human}\n  - {id: short, when: near, then: rules}\n",
        """
        rules:
          - id: NAME
            when: disagreement > calibrated.disagreement && near
            for: 40 frames
            then: human
          - id: short
            when: near
            then: rules
        """.replace("NAME", "a" * 30),
    )


def test_a_mapping_with_a_comment_inside_becomes_a_block() -> None:
    laid_out(
        """
        envelope: {brake: {min: 0,   # never less
            # never more
            max: 1}, throttle: {min: 0}}   # last
        """,
        """
        envelope:
          brake:
            min: 0             # never less
            # never more
            max: 1
          throttle: {min: 0}   # last
        """,
    )


def test_flow_lines_broken_by_hand_are_joined() -> None:
    laid_out("log: {a: 1,\n  b: [1,\n   2]}\n", "log: {a: 1, b: [1, 2]}\n")


def test_a_long_condition_is_folded_before_its_operators() -> None:
    condition = " && ".join(["disagreement > calibrated.disagreement"] * 4)
    laid_out(
        f"rules:\n  - when: {condition}   # why\n",
        """
        rules:
          - when: >-   # why
              disagreement > calibrated.disagreement && disagreement > calibrated.disagreement
              && disagreement > calibrated.disagreement && disagreement > calibrated.disagreement
        """,
    )


def test_a_long_text_is_folded_between_words() -> None:
    once = formatted(f"rules:\n  - cause: {'word ' * 40}\n")
    assert max(map(len, once.splitlines())) <= 120
    assert once.splitlines()[1] == "  - cause: >-"


def test_a_text_of_several_lines_stays_one() -> None:
    laid_out('rules:\n  - cause: "one\\ntwo"\n', "rules:\n  - cause: |-\n      one\n      two\n")
    laid_out('rules:\n  - cause: " one\\ntwo"\n', 'rules:\n  - cause: " one\\ntwo"\n')


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"rules"', "rules"),
        ('"a: b"', '"a: b"'),
        ("'a: b'", "'a: b'"),
        ('"010"', '"010"'),
        ('"yes"', '"yes"'),
        ('"1.0"', '"1.0"'),
        ("1.50", "1.50"),
        ('"true"', '"true"'),
        ('"signal:certainty"', "signal:certainty"),
        (f'"{"a1" * 32}"', f'"{"a1" * 32}"'),
        ('"\\x41\\u00a0"', '"A\\xa0"'),
        ("'it''s'", "it's"),
        ("''", "''"),
    ],
)
def test_quotes_stand_only_where_they_must(before: str, after: str) -> None:
    laid_out(f"x: {before}\n", f"x: {after}\n")


def test_in_flow_style_a_colon_is_quoted_for_older_readers() -> None:
    laid_out('x: {rule: "signal:a", to: "a,b"}\n', 'x: {rule: "signal:a", to: "a,b"}\n')


def test_a_key_keeps_the_quotes_it_needs() -> None:
    laid_out('"1": 2\n"a": 3\n"<<": 4\n', '"1": 2\na: 3\n"<<": 4\n')


def test_a_whole_policy_on_one_line_stays_one() -> None:
    laid_out("{edgeguard:   1, log: {flush: 1s}}\n", "{edgeguard: 1, log: {flush: 1s}}\n")
    laid_out("{}   # nothing\n", "{}   # nothing\n")
    laid_out("{edgeguard: 1, # one\nlog: {flush: 1s}}\n", "edgeguard: 1   # one\nlog: {flush: 1s}\n")


def test_lists_and_indentation_take_one_form() -> None:
    laid_out(
        """
        ---
        rules:
        -   id: a
            then: rules
        # next
        -
            id: b
        tests: [ ]
        x:
            - - 1
              - 2
        """,
        """
        rules:
          - id: a
            then: rules
          # next
          - id: b
        tests: []
        x:
          - - 1
            - 2
        """,
    )


def test_comments_stay_where_they_belong() -> None:
    laid_out(
        """


        # first

        models:   # who
            # about primary
            primary: {bundle: a}
            # redundant: {bundle: b}   # off
        # about log
        log: {flush: 1s}
        # last
        """,
        """
        # first

        models:   # who
          # about primary
          primary: {bundle: a}
          # redundant: {bundle: b}   # off
        # about log
        log: {flush: 1s}
        # last
        """,
    )


def test_comments_behind_lines_share_a_column_only_where_all_fit() -> None:
    long = "# " + "x" * 100
    laid_out(f"a: 1 # one\nbb: 2 {long}\nccc: 3\n", f"a: 1    # one\nbb: 2   {long}\nccc: 3\n")
    wide = f"name: {'y' * 60}"
    laid_out(f"a: 1 {long}\n{wide} # one\n", f"a: 1   {long}\n{wide}   # one\n")


def test_windows_line_ends_become_plain_ones() -> None:
    assert format_policy(b"a: 1   # x\r\n\r\nb: 2\r\n", file="p") == "a: 1   # x\n\nb: 2\n"


@pytest.mark.parametrize(
    "text", ["a: &x 1\n", "a: yes\n", "- 1\n", "a: [\n", "a: 1\na: 2\n", "a: !!str 1\n", ""]
)
def test_a_file_outside_the_strict_subset_is_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        format_policy(text.encode(), file="p.yaml")


@pytest.mark.parametrize("path", HOSTILE, ids=lambda p: p.stem)
def test_a_hostile_file_is_formatted_or_refused(path: Path) -> None:
    try:
        once = format_policy(path.read_bytes(), file=path.name)
    except PolicyError:
        return
    assert format_policy(once.encode(), file=path.name) == once
    expected = [line for line in path.read_text().splitlines() if line.startswith("# expect: ")]
    assert [line for line in once.splitlines() if line.startswith("# expect: ")] == expected


def test_a_fault_of_the_formatter_is_noticed_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_lines", lambda _: ["a: 2"])
    with pytest.raises(EdgeguardError, match="without changing what it says"):
        format_policy(b"a: 1\n", file="p.yaml")


def test_a_text_that_no_longer_reads_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_lines", lambda _: ["a: ["])
    with pytest.raises(EdgeguardError, match="without changing what it says"):
        format_policy(b"a:   1\n", file="p.yaml")


def test_a_file_that_would_become_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 20)
    with pytest.raises(UsageError, match="formatted, it would be more than the 20 bytes allowed"):
        format_policy(b"rules: [{when: a<1&&b<2}]\n", file="p.yaml")


def test_a_lost_comment_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_lines", lambda _: ["a: 1"])
    with pytest.raises(EdgeguardError, match="without changing what it says"):
        format_policy(b"a: 1   # mine\n", file="p.yaml")


def test_a_changed_expression_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_lines", lambda _: ["rules: [{when: a - b - c < 1}]"])
    with pytest.raises(EdgeguardError, match="without changing what it says"):
        format_policy(b"rules: [{when: a - (b - c) < 1}]\n", file="p.yaml")


def test_a_large_file_is_formatted_too() -> None:
    rows = "".join(
        f"  s{i}: {{from: context, unit: {'m' * (i % 7 + 1)}, range: [0, {i}]}} # {i}\n" for i in range(300)
    )
    assert formatted(f"signals:\n{rows}").count("\n") == 301


@pytest.mark.parametrize("path", POLICIES, ids=lambda p: p.stem)
def test_the_policies_of_the_repository_are_formatted(path: Path) -> None:
    data = path.read_bytes()
    assert format_policy(data, file=path.name).encode() == data, (
        "run `edgeguard policy fmt`, then sign it again"
    )
