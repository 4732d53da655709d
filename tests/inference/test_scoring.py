"""Whoever ran a model: only sane numbers of the declared kind become scores, and what is not sane is missing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from edgeguard.admission import AdmittedModel
from edgeguard.admission.manifest import InputSpec, Manifest, TensorSpec
from edgeguard.errors import ContractError
from edgeguard.inference import scoring
from edgeguard.inference.scoring import Raw, Scorer, Scoring, stacked
from edgeguard.inference.session import Outputs

CLASSES = ("none", "stop", "yield")
PICTURE = InputSpec(
    "picture", "float32", ("N", 3, 4, 4), "NCHW", "RGB", "area", 1 / 255, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
)


def model(
    *outputs: tuple[str, tuple[int, ...]],
    role: str = "primary",
    classes: tuple[str, ...] = CLASSES,
    temperature: float = 1.0,
) -> AdmittedModel:
    specs = tuple(TensorSpec(name, "float32", ("N", *shape), name) for name, shape in outputs)
    manifest = Manifest("m", "1", 0, role, "model.onnx", PICTURE, specs, classes, temperature)
    return AdmittedModel(manifest, b"", digest="aa", signer="")


LOGITS, PROBABILITIES, NOVELTY = ("logits", (3,)), ("probabilities", (3,)), ("novelty", ())
ROWS = np.array([[0.0, 1.0, 2.0], [3.0, 1.0, 1.0]], np.float32)
SHARES = np.array([[0.25, 0.5, 0.25], [0.125, 0.125, 0.75]], np.float32)


def softmax(rows: Any, temperature: float) -> Any:
    spread = np.exp(np.asarray(rows, float) / temperature)
    return spread / spread.sum(axis=1, keepdims=True)


# --- what a model must declare ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "classes"),
    [
        ((NOVELTY,), CLASSES),
        ((("logits", (2,)),), CLASSES),
        ((("logits", (3, 1)),), CLASSES),
        ((("probabilities", (4,)), NOVELTY), CLASSES),
        ((("logits", (2,)), PROBABILITIES), CLASSES),
    ],
)
def test_a_model_without_a_score_for_each_class_is_refused(outputs: Any, classes: tuple[str, ...]) -> None:
    with pytest.raises(ContractError) as caught:
        Scorer(model(*outputs, classes=classes))
    assert str(caught.value) == (
        "bundle `m`: a primary model needs an output of meaning `logits` or `probabilities` with one score for each "
        "of its 3 classes, and two classes at least"
    )


@pytest.mark.parametrize("classes", [(), ("stop",)])
def test_a_model_of_fewer_than_two_classes_is_refused_before_a_frame_comes(classes: tuple[str, ...]) -> None:
    output = TensorSpec("logits", "float32", ("N", len(classes)) if classes else ("N",), "logits")
    admitted = model(classes=classes)
    manifest = Manifest("m", "1", 0, "redundant", "model.onnx", PICTURE, (output,), classes)
    with pytest.raises(ContractError, match=rf"each of its {len(classes)} classes, and two classes at least"):
        Scorer(AdmittedModel(manifest, admitted.model, "aa", ""))


def test_two_classes_are_enough() -> None:
    scorer = Scorer(model(("logits", (2,)), classes=("no", "yes")))
    assert scorer.classes == ("no", "yes")
    assert scorer.contract.digest == "aa"


@pytest.mark.parametrize("temperature", [0.0, 0.0099, math.nan, -1.0])
def test_a_temperature_at_which_float32_overflows_is_refused(temperature: float) -> None:
    with pytest.raises(ContractError) as caught:
        Scorer(model(LOGITS, temperature=temperature))
    assert str(caught.value) == "bundle `m`: `temperature` must be at least 0.01"
    Scorer(model(LOGITS, temperature=0.01))


@pytest.mark.parametrize("name", ["novelty", "squeezing"])
def test_a_signal_of_a_graph_is_one_number_a_picture(name: str) -> None:
    with pytest.raises(ContractError) as caught:
        Scorer(model(PROBABILITIES, (name, (2,)), role="fused"))
    assert str(caught.value) == f"bundle `m`: `{name}` must be one number a picture"
    for shape in ((), (1,)):
        scorer = Scorer(model(PROBABILITIES, (name, shape), role="fused"))
        assert scorer.novelty is (name == "novelty")
        assert scorer.signals == (() if scorer.novelty else (name,))


# --- what it may answer -----------------------------------------------------------------------------------------------


def test_logits_become_probabilities_at_the_temperature_of_the_manifest() -> None:
    rows = Scorer(model(LOGITS, PROBABILITIES, temperature=2.0)).scores({"logits": ROWS}, energy=False)
    assert rows is not None
    np.testing.assert_allclose([row.probabilities for row in rows], softmax(ROWS, 2.0), rtol=1e-5)
    assert [(row.novelty, row.digest) for row in rows] == [(None, "aa")] * 2
    assert all(math.isnan(row.energy) for row in rows)


def test_energies_are_given_where_they_are_wanted_and_there_are_logits() -> None:
    rows = Scorer(model(LOGITS, temperature=2.0)).scores({"logits": ROWS}, energy=True)
    assert rows is not None
    expected = -2.0 * np.log(np.exp(ROWS.astype(float) / 2.0).sum(axis=1))
    np.testing.assert_allclose([row.energy for row in rows], expected, rtol=1e-5)
    told = Scorer(model(PROBABILITIES)).scores({"probabilities": SHARES}, energy=True)
    assert told is not None
    assert all(math.isnan(row.energy) for row in told)


def test_a_fused_graph_has_its_temperature_inside() -> None:
    for role, expected in (("fused", SHARES), ("primary", softmax(np.log(SHARES), 2.0))):
        admitted = model(PROBABILITIES, role=role, temperature=2.0)
        rows = Scorer(admitted).scores({"probabilities": SHARES}, energy=False)
        assert rows is not None
        np.testing.assert_allclose([row.probabilities for row in rows], expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_novelty_is_a_finite_number_for_each_picture(shape: tuple[int, ...]) -> None:
    scorer = Scorer(model(LOGITS, ("novelty", shape[1:])))
    for values, taken in (([0.5, -7.0], True), ([0.5, math.nan], False), ([math.inf, 0.5], False)):
        novelty = np.array(values, np.float32).reshape(shape)
        rows = scorer.scores({"logits": ROWS, "novelty": novelty}, energy=False)
        assert (None if rows is None else [row.novelty for row in rows]) == (values if taken else None)


# --- what becomes a reply ---------------------------------------------------------------------------------------------

GRAPH = model(PROBABILITIES, ("certainty", ()), ("energy", (1,)), ("margin", ()), role="fused")
HALF = np.array([[0.5, 0.5, 0.0]], np.float32)


def graph(**told: float) -> Raw:
    """What a fused graph says of an answer that two classes share."""
    given = {"certainty": 0.5, "energy": -3.0, "margin": 0.0} | told
    outputs = {name: np.array([value], np.float32) for name, value in given.items()}
    return Raw(("fused",), {"probabilities": HALF, **outputs})


def test_a_fused_graphs_answer_is_the_primarys_and_its_signals_come_with_it() -> None:
    third = Raw(("third",), {"logits": ROWS[:1]})
    got = Scoring({"fused": GRAPH, "third": model(LOGITS)}).reply(7, {"fused": graph(), "third": third})
    assert got.number == 7
    assert got.signals == {"certainty": 0.5, "energy": -3.0, "margin": 0.0}
    assert list(got.scores) == ["primary", "third"]
    np.testing.assert_allclose(got.scores["primary"].probabilities, HALF[0], atol=1e-6)


@pytest.mark.parametrize("energy", [1e9, -1e9, 2e9, -2e9, math.inf, math.nan])
def test_a_graphs_signal_beyond_all_measure_is_no_answer(energy: float) -> None:
    got = Scoring({"fused": GRAPH}).reply(1, {"fused": graph(energy=energy)})
    assert (list(got.scores), "energy" in got.signals) == (
        (["primary"], True) if abs(energy) == 1e9 else ([], False)
    )


@pytest.mark.parametrize(("name", "honest"), [("certainty", 0.5), ("margin", 0.0)])
def test_a_graph_may_round_what_it_says_of_its_answer_and_no_more(
    name: str, honest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "_ROUNDED", 2**-7)
    fused = Scoring({"fused": GRAPH})
    for off, taken in ((2**-7, True), (-(2**-7), True), (2**-6, False), (-(2**-6), False)):
        got = fused.reply(1, {"fused": graph(**{name: honest + off})})
        assert (list(got.scores), bool(got.signals)) == ((["primary"], True) if taken else ([], False))


def test_what_is_not_sane_is_missing_and_nothing_else_is() -> None:
    both = Scoring({"primary": model(LOGITS), "redundant": model(PROBABILITIES)})
    raws = {
        "primary": Raw(("primary", "plain"), {"logits": np.full((2, 3), math.nan, np.float32)}),
        "redundant": Raw(("redundant",), {"probabilities": SHARES[:1]}),
    }
    assert list(both.reply(1, raws).scores) == ["redundant"]
    raws["primary"] = Raw(("primary", "plain"), {"logits": ROWS})
    assert list(both.reply(1, raws).scores) == ["primary", "plain", "redundant"]
    assert both.reply(1, raws).signals == {}


def test_energies_cost_a_little_and_are_had_only_where_they_are_wanted() -> None:
    one = Scoring({"primary": model(LOGITS)})
    raws = {"primary": Raw(("primary",), {"logits": ROWS[:1]})}
    assert one.energy is False
    assert math.isnan(one.reply(1, raws).scores["primary"].energy)
    one.energy = True
    assert math.isfinite(one.reply(1, raws).scores["primary"].energy)


def test_runs_of_one_picture_each_are_put_together_in_their_order() -> None:
    parts: list[Outputs] = [
        {"logits": ROWS[i : i + 1], "novelty": np.array([i], np.float32)} for i in range(2)
    ]
    whole = stacked(parts)
    np.testing.assert_array_equal(whole["logits"], ROWS)
    np.testing.assert_array_equal(whole["novelty"], [0.0, 1.0])
    np.testing.assert_array_equal(stacked(parts[:1])["logits"], ROWS[:1])
