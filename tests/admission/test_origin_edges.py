"""The last sound value and the first that is not, of what a manifest says about origins and shares."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest

from edgeguard.admission.manifest import parse_manifest
from edgeguard.admission.origin import origin_problems
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import Json, manifest

DIGEST = "ab" * 32
SIGNALS = {
    "certainty": "primary",
    "energy": "primary",
    "margin": "primary",
    "reconstruction": "filter",
    "squeezing": "primary",
    "disagreement": "redundant",
}

Change = Callable[[Json], object]


def _accepted(change: Change) -> bool:
    try:
        parse_manifest(manifest(change), "m")
    except AdmissionError:
        return False
    return True


def _parent(key: str, value: object) -> Change:
    made = {"digest": DIGEST, "how": "int8", "samples": 300, "agreement": 0.9, "deviation": 0.1, key: value}
    return lambda values: values.update(parent=made)


@pytest.mark.parametrize(
    ("key", "value", "good"),
    [
        ("samples", 0, False),
        ("samples", 1, True),
        ("samples", 2**31 - 1, True),
        ("samples", 2**31, False),
        ("agreement", -1e-12, False),
        ("agreement", 0.0, True),
        ("agreement", 1.0, True),
        ("agreement", 1.0000001, False),
        ("deviation", -1e-12, False),
        ("deviation", 0.0, True),
        ("deviation", 1e300, True),
        ("accuracy_loss", -1.0000001, False),
        ("accuracy_loss", -1.0, True),
        ("accuracy_loss", 1.0, True),
        ("accuracy_loss", 1.0000001, False),
    ],
)
def test_figures_of_a_parent_have_both_ends(key: str, value: object, good: bool) -> None:
    assert _accepted(_parent(key, value)) is good


@pytest.mark.parametrize(("value", "good"), [(-1e-12, False), (0.0, True), (1.0, True), (1.0000001, False)])
@pytest.mark.parametrize("key", ["clean_accuracy", "robust_accuracy", "risk"])
def test_shares_of_an_assessment_have_both_ends(key: str, value: float, good: bool) -> None:
    claim = {"report": "a.json", "samples": 5, key: value}
    assert _accepted(lambda values: values.update(assessment=claim)) is good


@pytest.mark.parametrize(
    ("kind", "good"), [("tensorrt", True), ("tensorrt-rtx", True), ("tensorrt-", False), ("", False)]
)
def test_a_plan_is_of_a_known_engine(kind: str, good: bool) -> None:
    engine = {"kind": kind, "version": "10.3.0", "compute_capability": "8.7", "platform": "linux-aarch64"}

    def change(values: Json) -> None:
        _parent("how", "plan")(values)
        values["engine"] = engine

    assert _accepted(change) is good


def _fused(meaning: str, shape: list[object], parts: list[str], **said: object) -> Change:
    def change(values: Json) -> None:
        _parent("how", "fused")(values)
        values.update(role="fused", temperature=1, parts=dict.fromkeys(parts, DIGEST))
        values["input"].update(said)
        values["outputs"][0]["meaning"] = "probabilities"
        values["outputs"].append({"name": "more", "dtype": "float32", "shape": shape, "meaning": meaning})

    return change


@pytest.mark.parametrize("meaning", SIGNALS)
def test_a_signal_needs_its_part_and_a_fused_graph_and_is_one_number(meaning: str) -> None:
    parts = sorted({"primary", SIGNALS[meaning]})
    others = sorted({"primary", "filter", "redundant"} - {SIGNALS[meaning]})
    assert _accepted(_fused(meaning, ["N"], parts))
    assert _accepted(_fused(meaning, ["N", 1], parts))
    assert not _accepted(_fused(meaning, ["N", 2], parts))
    assert not _accepted(_fused(meaning, ["N", 1, 1], parts))
    assert not _accepted(_fused(meaning, ["N"], others))

    def single(values: Json) -> None:
        values["outputs"].append({"name": "more", "dtype": "float32", "shape": ["N"], "meaning": meaning})

    assert not _accepted(single)


@pytest.mark.parametrize("said", [{"std": [1, 1, 0.5]}, {"mean": [0, 0.5, 0]}, {"scale": 1 / 254.999}])
def test_a_fused_graph_takes_the_canonical_picture_alone(said: Json) -> None:
    assert _accepted(_fused("certainty", ["N"], ["primary"]))
    assert not _accepted(_fused("certainty", ["N"], ["primary"], **said))


def test_an_endless_deviation_is_none_whoever_wrote_it() -> None:
    made = parse_manifest(manifest(_parent("deviation", 0.1)), "m")
    assert made.parent is not None
    assert not list(origin_problems(made))
    endless = dataclasses.replace(made, parent=dataclasses.replace(made.parent, deviation=math.inf))
    assert [problem.split()[0] for problem in origin_problems(endless)] == ["`parent.deviation`"]
