"""The benchmark compares every setting in one run, takes frames apart, and says what it leaves out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import (
    cameras,
    cheaper,
    defended,
    fidelity,
    frame,
    guards,
    profiles,
    report,
    spans,
    turns,
    variants,
)
from bench.profiles import Profile
from edgeguard.build import fusion, int8
from edgeguard.errors import AdmissionError, ContractError, UsageError


@pytest.fixture(autouse=True)
def without_art(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(defended, "PYTHON", tmp_path / "nowhere")


@pytest.fixture
def only_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started."""
    known = variants.settings

    def inline(profile: Profile, *, placed: bool = False) -> dict[str, guards.Setting]:
        return {k: s for k, s in known(profile, placed=placed).items() if "isolation" not in s.more}

    for module in (variants, frame, fidelity):
        monkeypatch.setattr(module, "settings", inline)


@pytest.mark.usefixtures("only_inline")
def test_the_bare_network_sessions_by_hand_and_the_guard_take_turns(profile: Profile) -> None:
    result = frame.measure(profile, 16, seconds=0.0)
    assert set(result["variants"]) == {variants.READY, variants.BASE, variants.SESSIONS, variants.INLINE}
    assert result["variants"][variants.BASE]["ratio"] == 1.0
    assert result["frames"] == turns.TURN
    for row in result["variants"].values():
        assert 0.0 < row["p50"] <= row["p99"] <= row["p99.9"]


@pytest.mark.usefixtures("only_inline")
def test_what_cannot_be_had_is_named_with_the_way_to_get_it(profile: Profile) -> None:
    result = frame.measure(replace(profile, missing=("no second core",)), 16, seconds=0.0)
    assert result["left out"][0] == "no second core"
    assert "adversarial-robustness-toolbox" in result["left out"][1]


@pytest.mark.usefixtures("only_inline")
def test_the_parts_of_a_frame_and_its_glue_are_the_whole_frame(profile: Profile) -> None:
    row = frame.measure(profile, 16, seconds=0.0)["in situ"][variants.INLINE]
    assert {"picture health", "resize", "squeeze", "filter", "primary", "redundant"} <= set(row["parts"])
    assert {*spans.DOUBT, *spans.DECISION} <= set(row["parts"])
    assert row["parts"]["primary"]["alone"] > 0.0
    assert row["parts"]["log"]["alone"] is None
    groups = sum(group["mean"] for group in row["groups"].values())
    assert groups + row["orchestration"]["mean"] == pytest.approx(row["whole"]["mean"])


def test_stamps_count_a_part_inside_a_part_once() -> None:
    stamps = spans.Stamps()
    inner = stamps.wrap(lambda: sum(range(1000)), "inner")
    outer = stamps.wrap(lambda: (inner(), inner(), sum(range(50_000))), "outer")
    parts = stamps.frame(lambda: (outer(), inner()))
    assert set(parts) == {"inner", "outer", spans.GLUE}
    assert all(us > 0.0 for us in parts.values())
    assert parts["outer"] > parts["inner"]


def test_every_wrapped_function_is_put_back(profile: Profile, tmp_path: Path) -> None:
    before = [vars(place.owner)[place.name] for place in spans.places()]
    with guards.guarded(guards.Setting(profile.models), profile.frames, tmp_path / "log") as guard:
        with spans.stamped() as stamps:
            parts = stamps.frame(guard.step)
        spans.alone(guard)
    assert set(parts) >= {"primary", "readings", "gate", "log"}
    assert [vars(place.owner)[place.name] for place in spans.places()] == before


@pytest.mark.process
def test_a_worker_of_its_own_is_measured_beside_the_host(profile: Profile, tmp_path: Path) -> None:
    with variants.variants(profile, tmp_path) as (table, left_out):
        assert not [reason for reason in left_out if "isolated" in reason]
        times = turns.take_turns(table, 4, lead=2, turn=4)
    assert times[variants.ISOLATED].min() > 0.0


def test_a_step_that_times_itself_is_believed() -> None:
    times = turns.take_turns({"elsewhere": lambda: 7.5, "here": lambda: None}, 5, lead=1, turn=5)
    assert times["elsewhere"].tolist() == [7.5] * 5
    assert times["here"].max() > 0.0


def test_sessions_by_hand_find_what_the_guard_finds(profile: Profile, tmp_path: Path) -> None:
    by_hand = variants.ThreeSessions(profile)
    plain = replace(profile, models={r: _at_temperature_one(m) for r, m in profile.models.items()})
    with guards.guarded(guards.Setting(plain.models), plain.frames, tmp_path / "log") as guard:
        verdict = guard.show(profile.frames[0])
    label, *numbers = by_hand.step()
    values = {r.name: r.value or 0.0 for r in verdict.readings}
    names = ("certainty", "disagreement", "reconstruction", "squeezing")
    assert verdict.answer is not None
    assert label == verdict.answer.label
    np.testing.assert_allclose(numbers, [values[name] for name in names], atol=1e-5)


def _at_temperature_one(model: Any) -> Any:
    return replace(model, manifest=replace(model.manifest, temperature=1.0))


def test_a_guard_that_does_not_let_the_model_act_is_not_measured(profile: Profile, tmp_path: Path) -> None:
    black = (np.zeros((16, 16, 3), np.uint8),)
    with (
        pytest.raises(ContractError, match="blank-camera"),
        guards.guarded(guards.Setting(profile.models), black, tmp_path / "log"),
    ):
        pass


def test_every_setting_is_a_policy_that_passes_its_checks(profile: Profile) -> None:
    whole = replace(
        profile,
        int8=profile.models,
        fused={"fp32": profile.models["primary"]} | {"int8": profile.models["primary"]},
    )
    for placed in (False, True):
        found = variants.settings(whole, placed=placed)
        assert set(found) == set(variants.ORDER) - {
            variants.READY,
            variants.BASE,
            variants.SESSIONS,
            variants.ART,
        }
        for setting in found.values():
            assert guards.program(setting).models


def test_cheaper_models_are_made_once(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cheaper, "_pictures", lambda _: profile.frames)
    made = cheaper.with_cheaper(profile, tmp_path)
    assert set(made.int8) == {"primary", "redundant"}
    assert made.fused["int8"].manifest.parts["primary"] == made.int8["primary"].digest
    assert made.int8["primary"].digest != profile.models["primary"].digest
    monkeypatch.setattr(int8, "quantise", None)
    monkeypatch.setattr(fusion, "fuse", None)
    assert cheaper.with_cheaper(profile, tmp_path).fused == made.fused
    with guards.guarded(
        guards.Setting({**made.models, "fused": made.fused["fp32"]}, guards.FUSED),
        made.frames,
        tmp_path / "log",
    ) as guard:
        assert guard.step().answer is not None


def test_without_the_tools_the_cheaper_models_are_left_out(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bytes:
        raise UsageError("the `onnx` package is missing")

    monkeypatch.setattr(cheaper, "_pictures", lambda _: profile.frames)
    monkeypatch.setattr(int8, "quantise", refuse)
    without = cheaper.with_cheaper(profile, tmp_path)
    assert not without.int8
    assert not without.fused
    assert "the `onnx` package is missing" in without.missing[0]


@pytest.mark.usefixtures("only_inline")
def test_accuracy_is_measured_on_labels_or_on_what_fp32_sees_in_the_whole(
    profile: Profile, tmp_path: Path
) -> None:
    labelled = fidelity.fidelity(profile, tmp_path)
    assert labelled["labelled"]
    cut = replace(profile, labels=np.arange(4), wholes=profile.frames)
    found = fidelity.fidelity(cut, tmp_path)
    assert not found["labelled"]
    assert found["settings"][variants.INLINE]["right"] == 1.0


def test_cameras_share_nothing_but_the_cores(profile: Profile, tmp_path: Path) -> None:
    rows = cameras.cameras(profile, guards.Setting(profile.models), tmp_path, seconds=0.05, counts=(1, 2))
    assert [row["cameras"] for row in rows] == [1, 2]
    assert all(row["frames/s"] > 0.0 and row["p50"] <= row["p99"] for row in rows)


@contextmanager
def _one_profile(monkeypatch: pytest.MonkeyPatch, profile: Profile) -> Iterator[None]:
    monkeypatch.setattr(frame, "load", lambda _name, **_: profile)
    monkeypatch.setattr(frame, "with_cheaper", lambda given, _: given)
    yield


@pytest.mark.usefixtures("only_inline")
def test_the_results_are_written_for_people_and_machines_and_into_the_page(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n\n<!-- frame-table: by the bench -->\nold\n<!-- /frame-table -->\nafter\n")
    monkeypatch.setattr(frame, "PICTURE", tmp_path / "shown.png")
    with _one_profile(monkeypatch, profile):
        arguments = ["--profile", "signs", "--frames", "16", "--seconds", "0", "--out", str(tmp_path / "out")]
        assert frame.main([*arguments, "--page", str(page)]) == 0
    document = json.loads((tmp_path / "out" / "frame-signs.json").read_text())
    assert document["frames"] == turns.TURN
    assert (tmp_path / "out" / "frame.md").read_text() in capsys.readouterr().out
    assert (tmp_path / "shown.png").stat().st_size > 10_000
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("<!-- /frame-table -->\nafter\n")
    assert "### tiny: 16 frames of 16 x 16 pixels" in text
    assert "old" not in text


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing to fill\n")
    with pytest.raises(UsageError, match="frame-table"):
        report.fill(page, "frame-table", "text")
    assert page.read_text() == "nothing to fill\n"


def test_a_profile_that_was_not_exported_is_skipped_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(profiles, "ROOT", tmp_path)
    assert frame.main(["--profile", "photos"]) != 0
    assert "profile `photos` is skipped" in capsys.readouterr().err


def test_an_unsigned_model_is_an_error_of_admission(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_name: str, **_: Any) -> Profile:
        raise AdmissionError("unsigned", "primary", "it has no signature")

    monkeypatch.setattr(frame, "load", refuse)
    assert frame.main(["--profile", "signs"]) == AdmissionError.exit_code
    assert "primary: unsigned" in capsys.readouterr().err
