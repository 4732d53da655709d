"""A frame is drawn once for all that look at it, shown to each once, and no worker waits for the host's own models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from edgeguard.errors import ContractError
from edgeguard.inference import asking
from edgeguard.inference.asking import Asking
from edgeguard.inference.background import Background
from edgeguard.inference.looks import Canonical, Found, Reply
from edgeguard.inference.preprocess import Resizer
from tests.inference.test_looks_asked import (
    STOP,
    YIELD,
    FakeMember,
    host,
    perception,
    second,
    see,
    spec,
    values,
)

SMALL, LARGE = Canonical(4, 4, "area"), Canonical(6, 8, "area")
GREY = np.full((4, 4, 3), 51, np.uint8)


class Recorder(FakeMember):
    """Tells in one list what it and others were asked."""

    told: list[Any]

    def begin(self, number: int) -> Sequence[Any] | None:
        self.told.append((self.name, "begin", number))
        self.shown += [kind.blank() for kind in self.kinds]
        return self.shown[-len(self.kinds) :] if self.takes else None

    def submit(self, looks: Sequence[str]) -> None:
        self.told.append((self.name, "submit", *looks))
        super().submit(looks)

    def collect(self) -> Reply:
        self.told.append((self.name, "collect"))
        return super().collect()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(Recorder, "told", found, raising=False)
    return found


def worker(name: str = "worker", looks: tuple[str, ...] = ("redundant",), **more: Any) -> Recorder:
    return Recorder(name, looks, dict.fromkeys(looks, YIELD), **more)


def here(**more: Any) -> Recorder:
    return Recorder("host", ("primary", "squeezed"), {"primary": STOP, "squeezed": YIELD}, **more)


def test_every_member_has_its_question_before_the_hosts_own_models_run(told: list[Any]) -> None:
    members = (worker(), here())
    line = Asking(members, members)
    line.begin(GREY, 7, 0)
    got = line.ask(frozenset({"primary", "redundant"}))
    assert sorted(told[:2]) == [("host", "begin", 7), ("worker", "begin", 7)]
    assert sorted(told[2:4]) == [("host", "submit", "primary"), ("worker", "submit", "redundant")]
    assert told[4:] == [("host", "collect"), ("worker", "collect")]
    assert set(got.scores) == {"primary", "redundant"}


@pytest.mark.parametrize("takes", [True, False])
def test_a_member_is_shown_a_frame_once_however_often_it_is_asked(told: list[Any], takes: bool) -> None:
    member = here(takes=takes)
    line = Asking([member], [member])
    for number in (1, 2):
        line.begin(GREY, number, 0)
        for _ in range(2):
            line.ask(frozenset({"primary"}))
    assert [what for what in told if what[1] == "begin"] == [("host", "begin", 1), ("host", "begin", 2)]
    assert len(member.asked) == (4 if takes else 0)


def test_each_kind_of_picture_is_made_once_a_frame_and_copied_to_the_others(
    told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Canonical] = []

    class Counting(Resizer):
        def __init__(self, *kind: Any) -> None:
            super().__init__(*kind)
            self.kind = Canonical(*kind)

        def __call__(self, *arguments: Any) -> None:
            drawn.append(self.kind)
            super().__call__(*arguments)

    monkeypatch.setattr(asking, "Resizer", Counting)
    members = (here(), worker("a", kinds=(SMALL, LARGE)), worker("b", kinds=(LARGE,)))
    line = Asking(members, members)
    for number in range(2):
        line.begin(GREY + np.uint8(number * 51), number, 0)
        line.ask(frozenset({"primary", "redundant"}))
        assert sorted(drawn) == [SMALL, LARGE]
        drawn.clear()
    assert told
    rooms = [room for member in members for room in member.shown]
    assert [room.shape[1:] for room in rooms] == [(4, 4)] * 3 + [(6, 8), (4, 4), (6, 8)] + [(6, 8)] * 2
    bright = [round(float(room.mean()), 3) for room in rooms]
    assert bright == [0.2, 0.4, 0.2, 0.2, 0.4, 0.4, 0.2, 0.4]


def test_whose_looks_are_wanted_is_worked_out_once() -> None:
    counted: list[str] = []

    class Counted(FakeMember):
        @property
        def looks(self) -> tuple[str, ...]:
            counted.append(self.name)
            return ("primary", "squeezed")

        @looks.setter
        def looks(self, _: tuple[str, ...]) -> None:
            pass

    member = Counted("host", (), {"primary": STOP, "squeezed": YIELD})
    line = Asking([member], [member])
    for number in range(4):
        line.begin(GREY, number, 0)
        line.ask(frozenset({"primary"}))
        line.ask(frozenset({"squeezed"}))
    assert len(counted) == 2
    assert member.asked == [("primary",), ("squeezed",)] * 4


def test_a_further_model_is_asked_whichever_primary_answers() -> None:
    looks = ("primary", "primary.1", "redundant")
    member = FakeMember("host", looks, dict.fromkeys(looks, STOP))
    line = Asking([member], [member])
    for variant, primary in enumerate(("primary", "primary.1")):
        line.begin(GREY, 1, variant)
        assert line.looks(member, ("primary", "redundant")) == (primary, "redundant")
        assert set(line.ask(frozenset({"primary", "redundant"})).scores) == {"primary", "redundant"}
        assert member.asked[-1] == (primary, "redundant")


# --- in the background ------------------------------------------------------------------------------------------------

BOTH = (
    spec("certainty", "primary"),
    spec("one", "primary", "redundant", measure="disagreement"),
    spec("two", "primary", "third", measure="disagreement"),
)


def third(**more: Any) -> FakeMember:
    return FakeMember("third", ("third",), {"third": STOP}, **more)


def test_a_busy_member_of_the_background_holds_up_no_other() -> None:
    first, other = second(), third()
    watcher = perception(host(), first, other, specs=BOTH, background=("one", "two"))
    see(watcher, 1.0)
    first.ready = False
    assert {name: v for name, v in values(see(watcher, 2.0)).items() if name in ("one", "two")} == {
        "two": 0.0
    }
    assert (len(first.asked), len(other.asked)) == (1, 2)


def test_an_ended_member_of_the_background_holds_up_no_other() -> None:
    first, other = second(), third()
    first.answering = False
    watcher = perception(host(), first, other, specs=BOTH, background=("one", "two"))
    see(watcher, 1.0)
    got = values(see(watcher, 2.0))
    assert (first.asked, got.get("one"), got["two"]) == ([], None, 0.0)


def test_votes_in_the_background_have_no_value_where_the_primary_gave_no_answer() -> None:
    first = host()
    first.says = {}
    specs = (spec("certainty", "primary"), spec("votes", "primary", "redundant"))
    watcher = perception(first, second(), specs=specs, background=("votes",))
    see(watcher, 1.0)
    assert [(s.value, s.at) for s in see(watcher, 2.0).signals if s.name == "votes"] == [(None, 1.0)]


def test_a_late_answer_brings_looks_and_no_ready_signals() -> None:
    member = second()
    needs = {"": frozenset({"primary"}), "doubt": frozenset({"primary", "redundant"})}
    background = Background([host(), member], needs, ["doubt"])
    line = Asking([member], [])
    line.begin(GREY, 1, 0)
    background.ask(line, 5.0)
    (late,) = background.take()
    assert (late.names, late.at) == (frozenset({"doubt"}), 5.0)
    assert late.found == Found({"redundant": YIELD}, {})
    assert background.take() == []


def test_a_signal_that_others_wait_for_is_refused_with_what_to_do() -> None:
    with pytest.raises(ContractError) as caught:
        perception(host(), second(), background={"squeezing"})
    assert str(caught.value) == (
        "`squeezing` is to be computed in the background, but other signals wait for every look it needs: "
        "run its model in a worker of its own"
    )
