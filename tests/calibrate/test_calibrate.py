"""Calibration reads pictures, keeps the stated share, refuses what it cannot promise, and writes the agreed format."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from edgeguard.calibrate import calibrate, held_out, open_images, primaries
from edgeguard.calibrate.quantile import at_most
from edgeguard.calibrate.source import ImageSet
from edgeguard.errors import ContractError, SourceError, UsageError
from edgeguard.inference.perception import Perception
from edgeguard.policy.calibration import parse_calibration
from edgeguard.program import SignalSpec
from tests.calibrate.conftest import BOTTOM, TOP


@pytest.fixture(scope="module")
def perception(tiny: Any) -> Perception:
    return Perception.build(
        {
            "primary": tiny.classifier(temperature=20.0),
            "redundant": tiny.classifier(seed=1, role="redundant", temperature=20.0),
            "filter": tiny.filter(gain=0.8),
        },
        (),
        lambda: 0.0,
    )


def pictures(tiny: Any, count: int, labels: tuple[str, ...] | None = None) -> ImageSet:
    return ImageSet(
        count, lambda: (tiny.frame(i, 8, 8) for i in range(count)), labels, lambda i: f"picture {i}"
    )


def test_no_more_than_the_stated_share_is_refused(tiny: Any, perception: Perception) -> None:
    result = calibrate(perception, pictures(tiny, 300), policy="gate", abstain=0.1)
    assert set(result.thresholds) == {"certainty", "disagreement", "reconstruction", "squeezing"}
    assert 0.0 < result.abstained <= 0.1
    assert all(0.0 <= share <= 0.025 for share in result.refused.values())
    assert result.accuracy is None


def test_the_file_is_what_the_policy_reads(tiny: Any, perception: Perception) -> None:
    labels = tuple(tiny.classes[i % 3] for i in range(120))
    result = calibrate(perception, pictures(tiny, 120, labels), policy="gate", abstain=0.05)
    read = parse_calibration(result.to_json(), file="out.json")
    assert read.policy == "gate"
    assert read.frames == 120
    assert read.abstain == 0.05
    assert read.models == perception.digests
    assert read.thresholds == result.thresholds
    notes = json.loads(result.to_json())["notes"]
    assert notes["accuracy"] == result.accuracy


def test_the_same_pictures_give_the_same_bytes(tiny: Any, perception: Perception) -> None:
    once, again = (
        calibrate(perception, pictures(tiny, 120), policy="gate", abstain=0.05).to_json() for _ in range(2)
    )
    assert once == again
    assert once.endswith(b"}\n")


def test_labels_give_the_clean_accuracy(tiny: Any, perception: Perception) -> None:
    result = calibrate(perception, pictures(tiny, 120, ("stop",) * 120), policy="gate", abstain=0.05)
    assert result.accuracy is not None
    assert result.accepted_wrong is not None
    assert 0.0 <= result.accuracy <= 1.0
    assert result.accepted_wrong <= 1.0 - result.accuracy + 1e-9
    assert "right answers" in result.table()


def test_a_certificate_counts_only_frames_that_took_no_part_in_the_thresholds(
    tiny: Any, perception: Perception
) -> None:
    answers = calibrate(perception, pictures(tiny, 120, ("stop",) * 120), policy="gate", abstain=0.05)
    result = calibrate(
        perception, pictures(tiny, 180, ("stop",) * 180), policy="gate", abstain=0.05, confidence=0.9
    )
    assert result.frames == 120
    assert result.thresholds == answers.thresholds
    assert result.risk is not None
    assert 0 < result.risk["accepted"] <= 60
    assert 0.0 < result.risk["at_most"] <= 1.0
    read = parse_calibration(result.to_json(), file="out.json").risk
    assert read is not None
    assert (read.at_most, read.confidence) == (result.risk["at_most"], 0.9)
    assert "certified" in result.table()


def test_a_certificate_without_labels_is_refused(tiny: Any, perception: Perception) -> None:
    with pytest.raises(UsageError, match="labels"):
        calibrate(perception, pictures(tiny, 180), policy="gate", abstain=0.05, confidence=0.9)


def test_no_budget_goes_to_signals_that_nobody_asked_for(tiny: Any, perception: Perception) -> None:
    names = {"disagreement": "disagreement", "certainty": "certainty"}
    result = calibrate(perception, pictures(tiny, 60), policy="gate", abstain=0.05, names=names)
    assert list(result.thresholds) == ["certainty", "disagreement"]
    table = result.table()
    assert "certainty       below" in table
    assert "disagreement    above" in table
    assert "thresholds from 60 of them" in table


def test_too_few_pictures_are_refused_with_how_many_are_needed(tiny: Any, perception: Perception) -> None:
    with pytest.raises(UsageError, match=r"50 pictures are too few.*4 signals: at least 399 are needed"):
        calibrate(perception, pictures(tiny, 50), policy="gate", abstain=0.01)


@pytest.mark.parametrize("share", [0.0, -0.1, 0.6, math.nan])
def test_a_share_that_is_none_is_refused(tiny: Any, perception: Perception, share: float) -> None:
    with pytest.raises(UsageError, match="not a share"):
        calibrate(perception, pictures(tiny, 50), policy="gate", abstain=share)


def test_a_signal_that_these_models_do_not_give_is_refused(tiny: Any, perception: Perception) -> None:
    with pytest.raises(UsageError, match="`novelty` cannot be calibrated"):
        calibrate(perception, pictures(tiny, 50), policy="gate", abstain=0.1, names={"novelty": "novelty"})


def test_a_policy_that_uses_no_threshold_has_its_answers_counted_all_the_same(
    tiny: Any, perception: Perception
) -> None:
    result = calibrate(perception, pictures(tiny, 50, ("stop",) * 50), policy="gate", abstain=0.1, names={})
    assert (result.thresholds, result.abstained, result.frames) == ({}, 0.0, 50)
    assert result.accuracy is not None


def test_a_picture_without_an_answer_is_refused_by_name(tiny: Any) -> None:
    broken = Perception.build({"primary": tiny.brittle()}, (), lambda: 0.0)
    white = ImageSet(
        200, lambda: (np.full((8, 8, 3), 255, np.uint8) for _ in range(200)), None, lambda i: f"white {i}"
    )
    with pytest.raises(ContractError, match="white 0: the models give no `certainty`"):
        calibrate(broken, white, policy="gate", abstain=0.1)


def test_a_signal_of_a_free_name_is_calibrated_by_what_it_measures(tiny: Any) -> None:
    specs = [
        SignalSpec("sureness", "primary", 0, 1, 1, measure="margin", of=("primary",)),
        SignalSpec("doubt3", "primary+third", 0, 1, 1, measure="disagreement", of=("primary", "third")),
        SignalSpec("energy", "primary", -9, 9, 1, of=("primary",)),
    ]
    models = {
        "primary": tiny.classifier(temperature=20.0),
        "third": tiny.classifier(seed=1, temperature=20.0),
    }
    with primaries(models, (), lambda: 0.0, specs=specs) as built:
        names = {spec.name: spec.measure for spec in specs}
        result = calibrate(built["primary"], pictures(tiny, 120), policy="gate", abstain=0.1, names=names)
    assert list(result.thresholds) == ["sureness", "energy", "doubt3"]
    assert result.below == {"sureness"}
    assert "sureness        below" in result.table()
    assert 0.0 < result.abstained <= 0.1


@pytest.mark.parametrize("name", ["votes", "held_for", "latency"])
def test_what_is_counted_or_timed_takes_no_threshold_from_data(tiny: Any, name: str) -> None:
    models = {"primary": tiny.classifier(), "third": tiny.classifier(seed=1)}
    specs = [SignalSpec("votes", "primary+third", 1, 2, 1, of=("primary", "third"))]
    with (
        primaries(models, (), lambda: 0.0, specs=specs) as built,
        pytest.raises(UsageError, match=f"`{name}` cannot be calibrated"),
    ):
        calibrate(built["primary"], pictures(tiny, 60), policy="gate", abstain=0.1, names={name: name})


# --- several primaries ------------------------------------------------------------------------------------------------


def test_alternates_that_are_alike_change_no_threshold(tiny: Any) -> None:
    model = tiny.classifier(temperature=20.0)
    with primaries({"primary": model, "primary.1": model}, (), lambda: 0.0) as built:
        assert list(built) == ["primary", "primary.1"]
        first, *others = built.values()
        alone = calibrate(first, pictures(tiny, 99), policy="gate", abstain=0.1)
        both = calibrate(first, pictures(tiny, 99), policy="gate", abstain=0.1, alternates=others)
    assert both.thresholds == alone.thresholds
    assert both.refused == alone.refused


def test_a_threshold_is_the_quantile_over_all_primaries_that_take_turns(tiny: Any) -> None:
    models = {
        "primary": tiny.classifier(temperature=20.0),
        "primary.1": tiny.classifier(seed=5, temperature=60.0),
    }
    names = {"certainty": "certainty"}
    with primaries(models, (), lambda: 0.0) as built:
        first, other = built.values()
        alone = [
            calibrate(p, pictures(tiny, 199), policy="gate", abstain=0.1, names=names).thresholds["certainty"]
            for p in (first, other)
        ]
        both = calibrate(
            first, pictures(tiny, 199), policy="gate", abstain=0.1, names=names, alternates=[other],
            models={role: model.digest for role, model in models.items()},
        )  # fmt: skip
    assert min(alone) < both.thresholds["certainty"] < max(alone)
    assert 0.05 < both.abstained <= 0.1
    assert set(both.models) == {"primary", "primary.1"}


def test_a_certificate_is_that_of_the_worst_primary(halves: Any) -> None:
    models = {"primary": halves.model(TOP, "primary"), "primary.1": halves.model(BOTTOM, "primary")}
    with primaries(models, (), lambda: 0.0) as built:
        first, other = built.values()
        images = halves.pictures(330, top_wrong=1000)
        one = calibrate(first, images, policy="gate", abstain=0.1, confidence=0.95)
        both = calibrate(first, images, policy="gate", abstain=0.1, confidence=0.95, alternates=[other])
    assert one.risk is not None
    assert both.risk is not None
    assert (one.risk["wrong"], both.risk["wrong"]) == (0, 10)
    assert both.risk["at_most"] == at_most(10, int(both.risk["accepted"]), 0.975)
    assert both.accuracy is not None
    assert one.accuracy is not None
    assert both.accuracy < one.accuracy


# --- where pictures come from -----------------------------------------------------------------------------------------


def save(tiny: Any, file: Path, seed: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(tiny.frame(seed)).save(file)


def test_a_folder_is_read_in_order_and_labelled_by_its_top_folders(tiny: Any, tmp_path: Path) -> None:
    save(tiny, tmp_path / "stop" / "b.png", 2)
    save(tiny, tmp_path / "none" / "deep" / "a.PNG", 1)
    (tmp_path / "stop" / "notes.txt").write_text("not a picture")
    images = open_images(tmp_path, tiny.classes)
    assert images.count == 2
    assert images.labels == ("none", "stop")
    first, second = images.images()
    np.testing.assert_array_equal(first, tiny.frame(1))
    np.testing.assert_array_equal(second, tiny.frame(2))
    assert images.name(0).endswith("a.PNG")


def test_the_last_third_of_a_folder_holds_every_class(tiny: Any, tmp_path: Path) -> None:
    for i in range(6):
        for name in ("none", "stop"):
            save(tiny, tmp_path / name / f"{i}.png", i)
    images = open_images(tmp_path, tiny.classes)
    first = held_out(images)
    assert images.labels is not None
    assert images.labels[first:] == ("none", "none", "stop", "stop")
    assert [Path(images.name(i)).name for i in range(first, 12)] == ["4.png", "5.png", "4.png", "5.png"]


def test_a_folder_of_other_names_has_no_labels(tiny: Any, tmp_path: Path) -> None:
    save(tiny, tmp_path / "monday" / "a.jpg", 1)
    assert open_images(tmp_path, tiny.classes).labels is None


def test_a_grey_picture_becomes_three_channels(tiny: Any, tmp_path: Path) -> None:
    Pillow.new("L", (9, 7), 50).save(tmp_path / "grey.png")
    (image,) = open_images(tmp_path, tiny.classes).images()
    assert image.shape == (7, 9, 3)
    assert image.dtype == np.uint8


def test_a_picture_that_cannot_be_read_is_refused_by_name(tiny: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG but not really")
    with pytest.raises(SourceError, match=r"bad.png: cannot be read"):
        list(open_images(tmp_path, tiny.classes).images())


def test_a_folder_without_pictures_is_refused(tiny: Any, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no pictures"):
        open_images(tmp_path, tiny.classes)


def test_a_path_that_is_not_there_is_refused(tiny: Any, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such folder or file"):
        open_images(tmp_path / "nowhere", tiny.classes)


def test_without_pillow_a_folder_says_what_to_install(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tiny, tmp_path / "a.png", 1)
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(SourceError, match=r"edgeguard-runtime\[images\]"):
        list(open_images(tmp_path, tiny.classes).images())


def archive(path: Path, **arrays: Any) -> Path:
    np.savez(path / "data.npz", **arrays)
    return path / "data.npz"


IMAGES = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)


def test_an_archive_carries_its_own_class_names(tiny: Any, tmp_path: Path) -> None:
    file = archive(tmp_path, images=IMAGES, labels=np.array([1, 0]), classes=np.array(["yield", "stop"]))
    images = open_images(file, tiny.classes)
    assert images.labels == ("stop", "yield")
    assert [image.tolist() for image in images.images()] == IMAGES.tolist()
    assert images.name(1).endswith("data.npz: picture 1")


def test_an_archive_without_names_uses_the_models(tiny: Any, tmp_path: Path) -> None:
    assert open_images(archive(tmp_path, images=IMAGES, labels=np.array([2, 0])), tiny.classes).labels == (
        "yield",
        "none",
    )
    assert open_images(archive(tmp_path, images=IMAGES), tiny.classes).labels is None


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"images": IMAGES.astype(np.float32)},
        {"images": IMAGES[0]},
        {"images": IMAGES[:0]},
        {"images": IMAGES, "labels": np.array([0, 9])},
        {"images": IMAGES, "labels": np.array([-1, 0])},
        {"images": IMAGES, "labels": np.array([0.0, 1.0])},
        {"images": IMAGES, "labels": np.array([0])},
    ],
    ids=["nothing", "floats", "one", "empty", "beyond", "negative", "fractions", "short"],
)
def test_an_archive_of_another_form_is_refused(tiny: Any, tmp_path: Path, arrays: dict[str, Any]) -> None:
    with pytest.raises(SourceError, match=r"data.npz"):
        open_images(archive(tmp_path, **arrays), tiny.classes)


@pytest.mark.parametrize("data", [b"", b"junk", b"PK\x03\x04 junk"])
def test_a_file_that_is_no_archive_is_refused(tiny: Any, tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "data.npz"
    file.write_bytes(data)
    with pytest.raises(SourceError, match="cannot be read as"):
        open_images(file, tiny.classes)


def test_an_archive_with_pickled_objects_is_refused(tiny: Any, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        open_images(archive(tmp_path, images=np.array([{}], dtype=object)), tiny.classes)
