"""Each measure is taken from the looks that it needs, from no other, and has no value where one of them is missing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from edgeguard.inference.looks import Found, Scores
from edgeguard.inference.measures import Measured, getter, measured, needs, usual, votes
from edgeguard.program import SignalSpec

BARE = ("primary", "squeezed", "redundant", "third")
FILTERED = ("primary", "plain", "squeezed", "redundant", "third")
GRAPH = ("fused", "third")

ROWS = {
    "primary": (0.0, 0.75, 0.25),
    "plain": (0.0, 0.5, 0.5),
    "squeezed": (0.25, 0.25, 0.5),
    "redundant": (0.0, 0.25, 0.75),
    "third": (1.0, 0.0, 0.0),
}


def scores(row: tuple[float, ...]) -> Scores:
    return Scores(np.array(row, np.float32), -3.0, 0.125, "aa")


def found(*without: str, signals: Mapping[str, float] | None = None) -> Found:
    return Found({look: scores(row) for look, row in ROWS.items() if look not in without}, signals or {})


def signal(measure: str, *of: str) -> Measured:
    return Measured("any", measure, of or ("primary",), "primary")


@pytest.mark.parametrize(
    ("measure", "of", "looks", "wanted"),
    [
        ("certainty", ("primary",), FILTERED, {"primary"}),
        ("held_for", ("primary",), FILTERED, {"primary"}),
        ("reconstruction", ("primary", "filter"), FILTERED, {"primary", "plain"}),
        ("squeezing", ("primary",), FILTERED, {"plain", "squeezed"}),
        ("squeezing", ("primary",), BARE, {"primary", "squeezed"}),
        ("disagreement", ("primary", "third"), FILTERED, {"primary", "third"}),
        ("votes", ("primary", "redundant", "third"), FILTERED, {"primary", "redundant", "third"}),
        ("held_for", ("primary",), GRAPH, {"fused"}),
        ("margin", ("primary",), GRAPH, {"fused"}),
        ("novelty", ("primary",), GRAPH, {"fused"}),
        ("reconstruction", ("primary", "filter"), GRAPH, {"fused"}),
        ("squeezing", ("primary",), GRAPH, {"fused"}),
        ("disagreement", ("primary", "redundant"), GRAPH, {"fused"}),
        ("disagreement", ("primary", "third"), GRAPH, {"fused", "third"}),
        ("votes", ("primary", "third"), GRAPH, {"fused", "third"}),
    ],
)
def test_exactly_the_looks_that_a_measure_is_taken_from_are_asked_for(
    measure: str, of: tuple[str, ...], looks: tuple[str, ...], wanted: set[str]
) -> None:
    assert needs(measure, of, looks) == wanted


@pytest.mark.parametrize(
    ("what", "looks", "value", "without"),
    [
        (signal("certainty"), FILTERED, 0.75, "primary"),
        (signal("energy"), FILTERED, -3.0, "primary"),
        (signal("margin"), FILTERED, 0.5, "primary"),
        (signal("novelty"), FILTERED, 0.125, "primary"),
        (signal("reconstruction", "primary", "filter"), FILTERED, 0.25, "plain"),
        (signal("reconstruction", "primary", "filter"), FILTERED, 0.25, "primary"),
        (signal("squeezing"), FILTERED, 0.25, "plain"),
        (signal("squeezing"), BARE, 0.5, "primary"),
        (signal("squeezing"), BARE, 0.5, "squeezed"),
        (signal("disagreement", "primary", "redundant"), FILTERED, 0.5, "redundant"),
        (signal("disagreement", "primary", "third"), GRAPH, 1.0, "third"),
        (signal("votes", "primary", "plain", "third"), FILTERED, 2.0, "third"),
    ],
)
def test_a_measure_has_its_value_and_none_where_a_look_is_missing(
    what: Measured, looks: tuple[str, ...], value: float, without: str
) -> None:
    get = getter(what, looks)
    assert get(found()) == value
    assert get(found(without)) is None


@pytest.mark.parametrize(
    "measure", ["certainty", "energy", "margin", "reconstruction", "squeezing", "disagreement"]
)
def test_a_fused_graphs_own_signal_is_taken_and_never_made_up_from_looks(measure: str) -> None:
    get = getter(signal(measure, "primary", "redundant"), GRAPH)
    assert get(found(signals={measure: 0.0625})) == 0.0625
    assert get(found(signals={"other": 0.0625})) is None


def test_certainty_is_a_share_also_where_rounding_leaves_more() -> None:
    above = float(np.nextafter(np.float32(1.0), np.float32(2.0)))
    get = getter(signal("certainty"), FILTERED)
    assert get(Found({"primary": scores((above, 0.0))}, {})) == 1.0


def test_votes_are_for_the_first_models_label_and_need_every_model() -> None:
    told = found().scores
    assert votes(told, ("primary", "plain", "redundant", "third")) == 2.0
    assert votes(told, ("redundant", "primary")) == 1.0
    assert votes(found("redundant").scores, ("primary", "redundant")) is None
    assert votes({}, ("primary",)) is None


def test_without_a_policy_there_is_every_signal_that_the_looks_allow() -> None:
    def names(*looks: str, novelty: bool = False) -> list[str]:
        return [s.name for s in usual(looks, novelty=novelty)]

    assert usual(FILTERED, novelty=True) == (
        ("certainty", "certainty", ("primary",), "primary"),
        ("disagreement", "disagreement", ("primary", "redundant"), "redundant"),
        ("reconstruction", "reconstruction", ("primary", "filter"), "filter"),
        ("squeezing", "squeezing", ("primary",), "primary"),
        ("novelty", "novelty", ("primary",), "primary"),
    )
    assert names("primary") == ["certainty"]
    assert names("primary", novelty=True) == ["certainty", "novelty"]
    assert names("primary", "plain") == ["certainty", "reconstruction"]
    assert names("primary", "squeezed") == ["certainty", "squeezing"]
    assert names("primary", "redundant") == ["certainty", "disagreement"]
    assert names("fused") == ["certainty", "disagreement", "reconstruction", "squeezing"]


def test_of_a_policys_signals_only_numbers_of_models_are_measured() -> None:
    def spec(name: str, *of: str, kind: str = "number") -> SignalSpec:
        return SignalSpec(name, "+".join(of), 0.0, 9.0, 0.2, of=of, kind=kind, measure="disagreement")

    specs = (spec("doubt", "primary", "third"), spec("who", "redundant", kind="class"), spec("speed"))
    assert measured(specs) == (("doubt", "disagreement", ("primary", "third"), "primary+third"),)
