"""What a worker says of its own sandbox counts only as far as the host can see it too."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.isolation import witness
from edgeguard.isolation.sandbox.levels import LAYERS, Level, Reached

ALL_ON = dict.fromkeys(LAYERS, "on")


@pytest.fixture
def believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "_refuted", lambda _: {})


@pytest.mark.usefixtures("believed")
def test_layers_entered_before_the_model_came_cannot_be_claimed_afterwards() -> None:
    before = ALL_ON | {"files": "no Landlock here"}
    got = witness.judged(before, ALL_ON, 1)
    assert got.level is Level.FILTERED
    assert got.layers["files"] == "no Landlock here"


@pytest.mark.usefixtures("believed")
def test_what_is_closed_when_it_is_sealed_is_taken_from_then() -> None:
    before = ALL_ON | {"seccomp": "not asked for", "user": "when sealed"}
    assert witness.judged(before, ALL_ON, 1).level is Level.STRICT
    assert witness.judged(ALL_ON, before, 1).level is Level.PROCESS


@pytest.mark.usefixtures("believed")
def test_what_was_never_said_is_not_on() -> None:
    assert witness.judged({}, {}, 1).level is Level.OFF
    assert witness.judged({}, ALL_ON, 1).layers["files"] == "not reported"


def test_this_process_has_no_sandbox_whatever_it_says() -> None:
    got = witness.judged(ALL_ON, ALL_ON, os.getpid())
    assert got.level is Level.OFF
    assert got.layers["seccomp"] == "the kernel says the filter is not there"
    assert got.layers["no_new_privs"] == "the kernel says it is not set"


def test_a_process_that_the_host_cannot_see_has_nothing_on_that_can_be_seen() -> None:
    got = witness.judged(ALL_ON, ALL_ON, 2**22 + 1)
    assert got.level is Level.OFF
    assert got.layers["seccomp"] == "the host cannot see it in /proc"
    assert witness._refuted(2**22 + 1) == UNSEEN


def statuses(
    monkeypatch: pytest.MonkeyPatch, *threads: dict[str, str], own: dict[str, str] | None = None
) -> None:
    told = iter([{"Seccomp_filters": "1"} if own is None else own, *threads])
    monkeypatch.setattr(witness, "_status", lambda _: next(told))
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(range(len(threads))))


CLOSED = {
    "NoNewPrivs": "1",
    "Seccomp": "2",
    "Seccomp_filters": "3",
    "CapEff": "0000000000000000",
    "CapPrm": "0000000000000000",
    "Uid": "7\t7\t7\t7",
}
NO_PRIVILEGES = {"no_new_privs": "the kernel says it is not set"}
CAPABILITIES = {"capabilities": "the kernel says it still has some"}
FILTER = {"seccomp": "the kernel says the filter is not there"}
ROOT = {"user": "the kernel says it is still root"}
UNSEEN = dict.fromkeys(
    ("no_new_privs", "capabilities", "seccomp_load", "seccomp"), "the host cannot see it in /proc"
)


@pytest.mark.parametrize(
    ("changes", "refuted"),
    [
        ({}, {}),
        ({"Seccomp": "0"}, FILTER),
        ({"Seccomp_filters": "2"}, FILTER),
        ({"NoNewPrivs": "0"}, NO_PRIVILEGES),
        ({"CapEff": "0000000000000001"}, CAPABILITIES),
        ({"CapPrm": "0000000000200000"}, CAPABILITIES),
        ({"CapEff": "1" * 16, "CapPrm": "1" * 16}, CAPABILITIES),
        ({"Uid": "0\t7\t7\t7"}, ROOT),
        ({"Uid": "7\t7\t7\t0"}, ROOT),
    ],
    ids=" ".join,
)
def test_every_thread_must_be_held(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], refuted: dict[str, str]
) -> None:
    statuses(monkeypatch, CLOSED, CLOSED | changes, CLOSED)
    assert witness._refuted(1) == refuted


@pytest.mark.parametrize(
    ("untold", "refuted"),
    [
        ("Seccomp", FILTER),
        ("NoNewPrivs", NO_PRIVILEGES),
        ("CapEff", CAPABILITIES),
        ("CapPrm", CAPABILITIES),
        ("Uid", ROOT),
    ],
)
def test_what_the_kernel_does_not_tell_is_not_on(
    monkeypatch: pytest.MonkeyPatch, untold: str, refuted: dict[str, str]
) -> None:
    statuses(monkeypatch, {name: value for name, value in CLOSED.items() if name != untold})
    assert witness._refuted(1) == refuted


def test_an_old_kernel_that_does_not_count_filters_is_asked_whether_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = {name: value for name, value in CLOSED.items() if name != "Seccomp_filters"}
    for own in ({"Seccomp_filters": "1"}, {}):
        statuses(monkeypatch, old, own=own)
        assert witness._refuted(1) == {}
        statuses(monkeypatch, old | {"Seccomp": "0"}, own=own)
        assert witness._refuted(1) == FILTER


def test_a_host_without_a_filter_of_its_own_wants_two_in_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    for filters, refuted in (("1", FILTER), ("2", {})):
        statuses(monkeypatch, CLOSED | {"Seccomp_filters": filters}, own={})
        assert witness._refuted(1) == refuted


def test_a_process_without_threads_has_nothing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses(monkeypatch)
    assert witness._refuted(1) == UNSEEN


def test_a_process_may_call_itself_what_it_likes_and_is_seen_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "status").write_bytes(b"Name:\tUid: 7\\n\xff\x85\rUid:\t7\nUid:\t0\t0\t0\t0\nState:\tS\n")
    told = witness._status(tmp_path)
    assert (told["Uid"], told["State"]) == ("0\t0\t0\t0", "S")
    assert told["Name"].startswith("Uid: 7")


def test_the_process_at_the_end_of_a_line_of_tools_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    children = {1: "2 3 ", 2: "4 ", 3: "", 4: ""}

    def read(path: Path) -> str:
        return next(told for n, told in children.items() if str(path) == f"/proc/{n}/task/{n}/children")

    monkeypatch.setattr(Path, "read_text", read)
    assert [witness.innermost(pid) for pid in (1, 2, 3, 4)] == [4, 4, 3, 4]


def test_without_a_list_of_children_a_process_is_taken_for_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(path: Path) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", missing)
    assert witness.innermost(7) == 7


@pytest.mark.parametrize(
    ("sandbox", "level", "may"),
    [
        ("off", Level.OFF, True),
        ("preferred", Level.OFF, True),
        ("required", Level.PROCESS, False),
        ("required", Level.FILTERED, True),
        ("strict", Level.FILTERED, False),
        ("strict", Level.STRICT, True),
    ],
)
def test_a_policys_word_is_a_least_level(sandbox: str, level: Level, may: bool) -> None:
    layers = {"files": "no Landlock here", "seccomp": "on", "scheduling": "not asked for"}
    short = witness.shortfall(Reached(level, layers), sandbox)
    assert (short == "") == may
    if not may:
        assert f"sandbox: {sandbox}" in short
        assert "`files`: no Landlock here" in short
        assert "`seccomp`" not in short
        assert "`scheduling`" not in short


def test_what_is_missing_is_told_in_one_sentence() -> None:
    layers = {
        "files": "no Landlock here",
        "seccomp": "on",
        "user": "still root",
        "scheduling": "not asked for",
    }
    assert witness.shortfall(Reached(Level.PROCESS, layers), "required") == (
        "reached the sandbox level `process`, but the policy asks for `filtered` (`sandbox: required`); "
        "missing here: `files`: no Landlock here; `user`: still root"
    )
    assert witness.shortfall(Reached(Level.FILTERED, layers), "required", Level.STRICT) == (
        "reached the sandbox level `filtered`, less than it had when it was started first (`strict`); "
        "missing now: `files`: no Landlock here; `user`: still root"
    )


@pytest.mark.parametrize(
    ("sandbox", "level"),
    [("off", Level.OFF), ("preferred", Level.STRICT), ("required", Level.STRICT), ("strict", Level.STRICT)],
)
def test_everything_but_off_tries_for_all_there_is(sandbox: str, level: Level) -> None:
    assert witness.tried(sandbox) is level


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b'{"ready": {"a": 1}}', {"ready": {"a": 1}}),
        (b"{}", {}),
        (b"[1]", {}),
        (b"7", {}),
        (b'"ready"', {}),
        (b"null", {}),
        (b'{"ready"', {}),
        (b"\xff\xfe", {}),
    ],
)
def test_a_line_that_is_an_object_is_taken_and_any_other_is_nothing(
    line: bytes, found: dict[str, Any]
) -> None:
    assert witness.parse(line) == found


def test_of_a_report_known_layers_count_by_their_words() -> None:
    told = {"layers": {"seccomp": "on", "files": "no\x1b[31m Landlock", "user": 1, "other": "on"}}
    assert witness.layers(told) == {"seccomp": "on", "files": "no [31m Landlock"}
    assert witness.layers({"layers": ["seccomp"]}) == {}
    assert witness.plain("x" * 5000) == "x" * 4000


@given(line=st.binary(max_size=200))
def test_any_line_is_an_object_or_nothing(line: bytes) -> None:
    assert isinstance(witness.parse(line), dict)


@given(
    told=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["layers", *LAYERS]), inner)
        ),
    )
)
def test_any_report_gives_known_layers_as_printable_words(told: Any) -> None:
    found = witness.layers(json.loads(json.dumps(told)))
    assert set(found) <= set(LAYERS)
    assert all(state.isprintable() for state in found.values())


def test_a_deeply_nested_report_is_nothing() -> None:
    assert witness.parse(b"[" * 100_000) == {}
