"""Which member is asked for which looks on which frame, and what becomes of late, scheduled or many answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgeguard.errors import ContractError
from edgeguard.inference.looks import Canonical, Reply, Scores
from edgeguard.inference.moving import MovingTarget
from edgeguard.inference.perception import Observation, Perception
from edgeguard.program import SignalSpec, Switch
from edgeguard.types import Answer, Frame, Signal

KIND = Canonical(4, 4, "area")
CLASSES = ("none", "stop", "yield")


def scores(*probabilities: float, digest: str = "aa", energy: float = -3.0) -> Scores:
    return Scores(np.array(probabilities, np.float32), energy, None, digest)


STOP = scores(0.0, 0.75, 0.25)
YIELD = scores(0.0, 0.25, 0.75)


@dataclass
class FakeMember:
    name: str
    looks: tuple[str, ...]
    says: Mapping[str, Scores]
    kinds: tuple[Canonical, ...] = (KIND,)
    answering: bool = True
    asked: list[tuple[str, ...]] = field(default_factory=list)
    shown: list[Any] = field(default_factory=list)
    ready: bool = True
    takes: bool = True
    within: bool = True
    tended: int = 0
    closed: int = 0
    scoring: Any = field(default_factory=lambda: SimpleNamespace(energy=False))

    def begin(self, number: int) -> Sequence[Any] | None:
        if not self.takes:
            return None
        self.shown.append(KIND.blank())
        return (self.shown[-1],)

    def submit(self, looks: Sequence[str]) -> None:
        self.asked.append(tuple(looks))

    def collect(self) -> Reply:
        return Reply(0, {look: self.says[look] for look in self.asked[-1] if look in self.says})

    def poll(self) -> Reply | None:
        return self.collect() if self.ready else None

    def tend(self, now: float) -> bool:
        self.tended += 1
        return self.within

    def describe(self) -> Mapping[str, str]:
        return {"runs in": self.name}

    def close(self) -> None:
        self.closed += 1


def model(role: str, classes: tuple[str, ...] = CLASSES, **more: Any) -> Any:
    return SimpleNamespace(
        digest=f"{role}-digest", manifest=SimpleNamespace(name=role, classes=classes, outputs=(), **more)
    )


MODELS: Mapping[str, Any] = {role: model(role) for role in ("primary", "filter", "redundant", "third")}


def spec(name: str, *of: str, **more: Any) -> SignalSpec:
    return SignalSpec(name, "+".join(of), 0.0, 9.0, 0.2, of=of, **more)


SPECS = (
    spec("certainty", "primary"),
    spec("disagreement", "primary", "redundant"),
    spec("squeezing", "primary"),
)


def perception(*members: Any, specs: Any = SPECS, **more: Any) -> Perception:
    return Perception(members, MODELS, lambda: 0.0, specs=specs, **more)


def see(watcher: Perception, at: float = 1.0, image: Any = None, **more: Any) -> Observation:
    picture = np.full((4, 4, 3), 51, np.uint8) if image is None else image
    return watcher.observe(Frame(picture, int(at * 10), at), at, **more)


def values(observation: Observation) -> dict[str, float | None]:
    return {s.name: s.value for s in observation.signals}


def host(**says: Scores) -> FakeMember:
    return FakeMember(
        "host", ("primary", "plain", "squeezed"), {"primary": STOP, "plain": STOP, "squeezed": YIELD} | says
    )


def second(**says: Scores) -> FakeMember:
    return FakeMember("second", ("redundant",), {"redundant": YIELD} | says)


def test_each_member_is_shown_the_picture_once_and_asked_for_its_own_looks() -> None:
    first, other = host(), second()
    got = values(see(perception(first, other)))
    assert first.asked == [("primary", "plain", "squeezed")]
    assert other.asked == [("redundant",)]
    assert len(first.shown) == len(other.shown) == 1
    np.testing.assert_allclose(other.shown[0], 0.2, atol=1e-6)
    assert got["certainty"] == 0.75
    assert got["disagreement"] == got["squeezing"] == 0.5


def test_a_signal_that_is_not_due_is_not_computed_and_not_there() -> None:
    first, other = host(), second()
    watcher = perception(first, other)
    got = values(see(watcher, due={"certainty", "squeezing"}))
    assert other.asked == []
    assert "disagreement" not in got
    assert got["squeezing"] == 0.5
    assert first.asked == [("primary", "plain", "squeezed")]
    assert values(see(watcher, 2.0, due={"certainty"})).keys() == {
        "certainty",
        "frame_age",
        "frozen_for",
        "contrast",
        "latency",
    }
    assert first.asked[-1] == ("primary",)


def test_what_is_wanted_besides_is_asked_after_the_answer_is_known() -> None:
    first, other = host(), second()
    known: list[Signal] = []
    answers: list[Answer | None] = []

    def besides(signals: Sequence[Signal], answer: Answer | None) -> set[str]:
        known.extend(signals)
        answers.append(answer)
        assert other.asked == []
        return {"disagreement", "not-declared"}

    got = values(see(perception(first, other), due={"certainty"}, besides=besides))
    assert [(s.name, s.value) for s in known] == [("certainty", 0.75)]
    assert answers[0] is not None
    assert (first.asked, other.asked) == ([("primary",)], [("redundant",)])
    assert len(first.shown) == 1
    assert got["disagreement"] == 0.5


def test_the_answer_is_asked_for_even_where_nothing_is_due() -> None:
    first = host()
    observation = see(perception(first, second()), due=set())
    assert first.asked == [("primary",)]
    assert observation.answer is not None
    assert (observation.answer.name, observation.answer.digest) == ("stop", "aa")


def test_a_member_that_takes_no_frame_costs_the_values_of_its_signals() -> None:
    other = second()
    other.takes = False
    got = values(see(perception(host(), other)))
    assert got["disagreement"] is None
    assert got["certainty"] == 0.75


def test_a_background_signal_is_never_waited_for_and_carries_its_own_frames_time() -> None:
    first, other = host(), second()
    other.ready = False
    watcher = perception(first, other, background={"disagreement"})
    assert "disagreement" not in values(see(watcher, 1.0))
    assert "disagreement" not in values(see(watcher, 2.0))
    assert other.asked == [("redundant",)]  # it is busy: the second frame was not shown to it
    other.ready = True
    first.says = {**first.says, "primary": YIELD}
    late = [s for s in see(watcher, 3.0).signals if s.name == "disagreement"]
    assert [(s.value, s.at) for s in late] == [(0.5, 1.0)]  # against what the primary said about frame 1
    assert len(other.asked) == 2  # idle again, so it got frame 3
    assert [(s.value, s.at) for s in see(watcher, 4.0).signals if s.name == "disagreement"] == [(0.0, 3.0)]


def test_a_background_member_that_ended_is_asked_again_once_it_is_back() -> None:
    other = second()
    other.ready = False
    watcher = perception(host(), other, background={"disagreement"})
    see(watcher, 1.0)
    other.answering = False
    see(watcher, 2.0)
    assert (len(other.asked), watcher.down) == (1, 1)
    other.answering = other.ready = True
    see(watcher, 3.0)
    assert (len(other.asked), watcher.down) == (2, 0)


def test_a_background_signal_needs_a_worker_of_its_own() -> None:
    with pytest.raises(ContractError, match="`squeezing` is to be computed in the background"):
        perception(host(), second(), background={"squeezing"})


def test_a_signal_that_nobody_answers_is_refused() -> None:
    with pytest.raises(ContractError, match="the signal `disagreement` needs the look `redundant`"):
        perception(host())
    with pytest.raises(ContractError, match="every guard needs the look `primary`"):
        perception(second(), specs=())


def test_votes_count_the_models_that_name_the_primarys_class() -> None:
    third = FakeMember("third", ("third",), {"third": STOP})
    specs = (spec("votes", "primary", "redundant", "third"), spec("two", "primary", "third", measure="votes"))
    watcher = perception(host(), second(), third, specs=specs)
    got = values(see(watcher))
    assert (got["votes"], got["two"]) == (2.0, 2.0)
    third.says = {}
    got = values(see(watcher))
    assert (got["votes"], got["two"]) == (None, None)


def test_further_models_name_classes_of_their_own() -> None:
    specs = (*SPECS, spec("other", "redundant", kind="class", labels=("yield",)))
    watcher = perception(host(), second(), specs=specs)
    assert see(watcher).named == {"other": ("yield", 1.0)}
    assert see(watcher, 2.0, due={"certainty"}).named == {}
    silent = perception(host(), FakeMember("second", ("redundant",), {}), specs=specs)
    assert see(silent).named == {"other": (None, 1.0)}
    assert see(silent, image=np.zeros((0, 1, 3), np.uint8)).named == {"other": (None, 1.0)}


def test_a_measure_may_have_a_name_of_its_own_and_another_pair_of_models() -> None:
    third = FakeMember("third", ("third",), {"third": STOP})
    specs = (
        spec("doubt", "primary", "third", measure="disagreement"),
        spec("free", "primary", measure="energy"),
    )
    first = host()
    got = values(see(perception(first, second(), third, specs=specs)))
    assert (got["doubt"], got["free"]) == (0.0, -3.0)
    assert first.scoring.energy


def test_margin_and_how_long_the_answer_has_stood() -> None:
    first = host()
    watcher = perception(first, specs=(spec("margin", "primary"), spec("held_for", "primary")))
    stood = []
    for at, says in ((1.0, STOP), (1.5, STOP), (2.0, YIELD), (2.25, YIELD), (3.0, None), (3.5, YIELD)):
        first.says = {} if says is None else {"primary": says}
        stood.append(values(see(watcher, at))["held_for"])
        if at == 1.0:
            assert values(see(watcher, 1.0))["margin"] == 0.5
    assert stood == [0.0, 0.5, 0.0, 0.25, None, 0.0]


def test_a_moving_target_asks_the_alternate_whose_turn_it_is() -> None:
    views = ("primary", "plain", "squeezed")
    looks = tuple(f"{view}{variant}" for variant in ("", ".1") for view in views)
    both = FakeMember("host", looks, {look: STOP._replace(digest=look) for look in looks})
    models = {**MODELS, "primary.1": model("primary.1")}
    switch = Switch(every=2, seed=5)
    watcher = Perception((both, second()), models, lambda: 0.0, specs=SPECS, switch=switch)
    digests = []
    for number in range(40):
        answer = see(watcher, float(number)).answer
        assert answer is not None
        digests.append(answer.digest)
    assert set(digests) == {"primary", "primary.1"}
    assert digests[::2] == digests[1::2]
    target = MovingTarget(switch, 2)
    assert digests == ["primary.1" if target.variant(n) else "primary" for n in range(40)]
    assert all(len({look.partition(".")[2] for look in asked}) == 1 for asked in both.asked)
    assert watcher.describe()["switch"] == {"seed": "5"}


def test_a_seed_that_is_not_given_differs_from_start_to_start() -> None:
    assert MovingTarget(Switch(1), 3).seed != MovingTarget(Switch(1), 3).seed
    spread = [MovingTarget(Switch(1, seed), 3).variant(9) for seed in range(60)]
    assert set(spread) == {0, 1, 2}
    assert {MovingTarget(None, 3).variant(n) for n in range(9)} == {0}


def test_ready_signals_of_a_fused_graph_are_taken_as_they_are() -> None:
    ready = {"certainty": 0.7, "disagreement": 0.9, "squeezing": 0.1}

    class Fused(FakeMember):
        def collect(self) -> Reply:
            return Reply(0, {"primary": STOP}, ready)

    models = {**MODELS, "fused": model("fused")}
    watcher = Perception((Fused("host", ("fused",), {}),), models, lambda: 0.0, specs=SPECS)
    observation = see(watcher)
    assert {name: values(observation)[name] for name in ready} == ready
    assert observation.answer is not None


def test_every_member_is_tended_and_one_out_of_restarts_is_told() -> None:
    first, other = host(), second()
    watcher = perception(first, other)
    assert watcher.tend(1.0)
    first.within = False
    assert not watcher.tend(2.0)
    assert (first.tended, other.tended) == (2, 2)


def test_closing_closes_every_member_whatever_fails() -> None:
    class Stuck(FakeMember):
        def close(self) -> None:
            super().close()
            raise OSError

    first, other = host(), Stuck("second", ("redundant",), {"redundant": YIELD})
    watcher = perception(first, other)
    with pytest.raises(OSError, match=r"^$"):
        watcher.close()
    assert (first.closed, other.closed) == (1, 1)


def test_every_look_of_one_picture_can_be_measured() -> None:
    watcher = perception(host(), second())
    assert set(watcher.scores(np.zeros((4, 4, 3), np.uint8))) == {"primary", "plain", "squeezed", "redundant"}


def test_a_time_that_is_no_number_gives_signals_without_a_time() -> None:
    observation = see(perception(host(), second()), image=None)
    assert observation.answer is not None
    odd: Any = "now"
    silent = perception(host(), second()).observe(Frame(np.zeros((4, 4, 3), np.uint8), 1, odd), 1.0)
    assert all(signal.value is None and math.isnan(signal.at) for signal in silent.signals)
