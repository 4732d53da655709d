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


def statuses(monkeypatch: pytest.MonkeyPatch, *threads: dict[str, str]) -> None:
    told = iter([{"Seccomp_filters": "1"}, *threads])
    monkeypatch.setattr(witness, "_status", lambda _: next(told))
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(range(len(threads))))


CLOSED = {
    "NoNewPrivs": "1",
    "Seccomp": "2",
    "Seccomp_filters": "3",
    "CapEff": "0000000000000000",
    "CapPrm": "0000000000000000",
}


@pytest.mark.parametrize(
    ("changes", "refuted"),
    [
        ({}, set()),
        ({"Seccomp": "0"}, {"seccomp"}),
        ({"Seccomp_filters": "2"}, {"seccomp"}),
        ({"NoNewPrivs": "0"}, {"no_new_privs"}),
        ({"CapEff": "0000000000000001"}, {"capabilities"}),
        ({"CapPrm": "0000000000200000"}, {"capabilities"}),
    ],
    ids=str,
)
def test_every_thread_must_be_held(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], refuted: set[str]
) -> None:
    statuses(monkeypatch, CLOSED, CLOSED | changes)
    assert set(witness._refuted(1)) == refuted


def test_an_old_kernel_that_does_not_count_filters_is_asked_whether_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = {name: value for name, value in CLOSED.items() if name != "Seccomp_filters"}
    statuses(monkeypatch, old)
    assert not witness._refuted(1)
    statuses(monkeypatch, old | {"Seccomp": "0"})
    assert set(witness._refuted(1)) == {"seccomp"}


def test_a_process_without_threads_has_nothing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses(monkeypatch)
    assert "seccomp" in witness._refuted(1)


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
