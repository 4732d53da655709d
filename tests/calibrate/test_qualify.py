"""What models beside the primary cost and share is counted exactly, bounded, and written as the policy reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from edgeguard.admission import AdmittedModel
from edgeguard.calibrate import calibrate, held_out, primaries, qualify
from edgeguard.calibrate.quantile import at_least, at_most, loss_at_most
from edgeguard.calibrate.report import markdown, table
from edgeguard.calibrate.source import ImageSet
from edgeguard.errors import UsageError
from edgeguard.policy.calibration import parse_calibration
from edgeguard.policy.qualification import CommonMode, Loss, Qualified
from edgeguard.program import ModelRef
from tests.calibrate.conftest import BOTTOM, TOP


def run(models: Mapping[str, AdmittedModel], images: ImageSet, **more: Any) -> Qualified:
    digests = {role: model.digest for role, model in models.items()}
    with primaries(models, (), lambda: 0.0) as built:
        return qualify(built, images, models=digests, **more)


def loss(found: Qualified, model: str, primary: str = "primary") -> Loss:
    (row,) = (row for row in found.losses if (row.model, row.primary) == (model, primary))
    return row


def common(found: Qualified, model: str, of_set: str = "clean", primary: str = "primary") -> CommonMode:
    (row,) = (r for r in found.common if (r.model, r.primary, r.of_set) == (model, primary, of_set))
    return row


def test_two_models_that_look_at_the_same_thing_fail_together(halves: Any) -> None:
    models = {"primary": halves.model(TOP, "primary"), "redundant": halves.model(TOP, gain=2.0)}
    found = run(models, halves.pictures(300))
    row = common(found, "redundant")
    assert (row.pictures, row.failures, row.wrong, row.common, row.same) == (300, 30, 30, 30, 30)
    assert row.beta == 1.0
    assert row.at_least == pytest.approx(0.05 ** (1 / 30))
    assert (row.at_most, row.same_at_most) == (1.0, 1.0)
    assert loss(found, "redundant").share == 0.0


def test_two_models_that_look_at_different_things_fail_apart(halves: Any) -> None:
    models = {"primary": halves.model(TOP, "primary"), "redundant": halves.model(BOTTOM)}
    found = run(models, halves.pictures(330))
    row = common(found, "redundant")
    # the top misleads in 33 pictures, the bottom in 30, both in pictures 60, 170 and 280, each in its own way
    assert (row.failures, row.wrong, row.common, row.same) == (33, 30, 3, 0)
    assert row.beta == pytest.approx(3 / 33)
    assert row.at_most == at_most(3, 33, 0.95)
    assert row.at_least == at_least(3, 33, 0.95)
    assert row.same_at_most == at_most(0, 33, 0.95)


def test_a_filter_that_takes_away_what_the_primary_looks_at_costs_its_answers(halves: Any) -> None:
    pictures = halves.pictures(300)
    models = {"primary": halves.model(TOP, "primary"), "filter": halves.dimming(TOP)}
    row = loss(run(models, pictures), "filter")
    # a black top is the first class to the primary: right where that is so
    assert (row.pictures, row.right, row.lost, row.gained) == (300, 100, 180, 10)
    assert row.share == pytest.approx(170 / 300)
    assert row.at_most == loss_at_most(180, 10, 300, 0.95) > row.share
    harmless = loss(run({**models, "filter": halves.dimming(BOTTOM)}, pictures), "filter")
    assert (harmless.lost, harmless.gained, harmless.right) == (0, 0, 270)
    assert 0.0 < harmless.at_most < 0.013


def test_a_redundant_model_is_held_against_the_primary_alone(halves: Any) -> None:
    models = {
        "primary": halves.model(TOP, "primary"),
        "filter": halves.dimming(TOP),
        "redundant": halves.model(BOTTOM),
    }
    found = run(models, halves.pictures(330))
    row = loss(found, "redundant")
    assert (row.right, row.lost, row.gained) == (300, 27, 30)
    # and for common mode against what acts, which is the primary behind the filter
    assert common(found, "redundant").failures > 200


def test_every_further_model_is_measured(halves: Any) -> None:
    models = {
        "primary": halves.model(TOP, "primary"),
        "redundant": halves.model(TOP, gain=2.0),
        "third": halves.model(BOTTOM),
    }
    found = run(models, halves.pictures(330))
    assert common(found, "redundant").beta == 1.0
    assert common(found, "third").common == 3
    assert {row.model for row in found.losses} == {"redundant", "third"}


def test_every_alternate_is_held_against_every_other_model(halves: Any) -> None:
    models = {
        "primary": halves.model(TOP, "primary"),
        "primary.1": halves.model(BOTTOM, "primary"),
        "redundant": halves.model(BOTTOM, gain=3.0),
    }
    found = run(models, halves.pictures(330))
    assert common(found, "redundant").common == 3
    assert common(found, "redundant", primary="primary.1").beta == 1.0
    assert (loss(found, "primary.1").lost, loss(found, "primary.1").gained) == (27, 30)
    assert set(found.models) == {"primary", "primary.1", "redundant"}


def test_an_int8_primary_is_measured_like_any_other(halves: Any) -> None:
    models = {"primary": halves.quantised(TOP), "redundant": halves.model(BOTTOM)}
    row = common(run(models, halves.pictures(330)), "redundant")
    assert (row.failures, row.common) == (33, 3)


def test_a_fused_graph_gives_thresholds_and_its_parts_the_qualification(halves: Any) -> None:
    primary = halves.model(TOP, "primary")
    models = {"primary": primary, "redundant": halves.model(BOTTOM), "fused": halves.fused(TOP, primary)}
    pictures = halves.pictures(330)
    with primaries(models, (), lambda: 0.0) as built:
        assert "fused" in built["primary"].looks
        done = calibrate(
            built["primary"], pictures, policy="gate", abstain=0.2, names={"squeezing": "squeezing"}
        )
    assert 0.2 < done.thresholds["squeezing"] < 0.5
    with primaries(models, (), lambda: 0.0, fused=False) as built:
        assert "fused" not in built["primary"].looks
        parts = {role: model.digest for role, model in models.items() if role != "fused"}
        row = common(qualify(built, pictures, models=parts), "redundant")
    assert (row.failures, row.common) == (33, 3)


def test_each_primary_runs_on_its_own_backend(halves: Any) -> None:
    models = {"primary": halves.model(TOP, "primary"), "primary.1": halves.model(BOTTOM, "primary")}
    refs = [ModelRef("primary", "a"), ModelRef("primary.1", "b", "nonsense")]
    with pytest.raises(UsageError, match="nonsense"), primaries(models, refs, lambda: 0.0):
        pass


def test_a_model_that_gives_no_answer_is_wrong_and_never_alike(tiny: Any) -> None:
    models = {"primary": tiny.brittle(), "redundant": tiny.classifier(role="redundant", poison=float("nan"))}
    white = ImageSet(9, lambda: iter([np.full((8, 8, 3), 255, np.uint8)] * 9), ("none",) * 9, str)
    row = common(run(models, white, stress=False), "redundant")
    assert (row.failures, row.wrong, row.common, row.same) == (9, 9, 9, 0)


def test_stress_is_counted_by_kind_and_together(halves: Any) -> None:
    models = {"primary": halves.model(TOP, "primary"), "redundant": halves.model(BOTTOM)}
    found = run(models, halves.pictures(200))
    sets = [row.of_set for row in found.common]
    assert sets == ["clean", "noise", "blur", "darkness", "occlusion", "stress"]
    kinds = [common(found, "redundant", name) for name in sets[1:-1]]
    whole = common(found, "redundant", "stress")
    assert [row.pictures for row in kinds] == [50] * 4
    for key in ("pictures", "failures", "wrong", "common", "same"):
        assert sum(getattr(row, key) for row in kinds) == getattr(whole, key)
    assert [row.of_set for row in run(models, halves.pictures(30), stress=False).common] == ["clean"]


def test_only_the_pictures_from_the_first_on_are_used(halves: Any) -> None:
    models = {"primary": halves.model(TOP, "primary"), "redundant": halves.model(BOTTOM)}
    pictures = halves.pictures(330)
    row = common(run(models, pictures, first=held_out(pictures)), "redundant")
    assert (row.pictures, row.failures) == (110, 11)


@pytest.mark.parametrize(
    ("labels", "first", "said"),
    [(None, 0, "labels"), (("stop",) * 30, 30, "too few"), (("bus",) * 30, 0, "`bus` is a label")],
)
def test_pictures_that_qualify_nothing_are_refused(
    halves: Any, labels: tuple[str, ...] | None, first: int, said: str
) -> None:
    pictures = ImageSet(30, halves.pictures(30).images, labels, str)
    with pytest.raises(UsageError, match=said):
        run({"primary": halves.model(TOP, "primary"), "redundant": halves.model(TOP)}, pictures, first=first)


def test_one_model_alone_has_nothing_to_be_held_against(halves: Any) -> None:
    with pytest.raises(UsageError, match="one model is nothing to qualify"):
        run({"primary": halves.model(TOP, "primary")}, halves.pictures(30))


def test_a_primary_that_never_fails_bounds_nothing(halves: Any) -> None:
    models = {"primary": halves.model(TOP, "primary"), "redundant": halves.model(BOTTOM)}
    row = common(run(models, halves.pictures(100, top_wrong=1000)), "redundant")
    assert row.failures == 1
    row = common(run(models, halves.pictures(99, top_wrong=1000), first=1), "redundant")
    assert (row.failures, row.beta, row.at_least, row.at_most) == (0, None, 0.0, 1.0)


# --- what is written --------------------------------------------------------------------------------------------------


@pytest.fixture
def found(halves: Any) -> Qualified:
    models = {
        "primary": halves.model(TOP, "primary"), "filter": halves.dimming(BOTTOM), "redundant": halves.model(BOTTOM),
    }  # fmt: skip
    return run(models, halves.pictures(330))


def test_the_file_holds_the_qualification_as_the_policy_reads_it(halves: Any, found: Qualified) -> None:
    models = {
        "primary": halves.model(TOP, "primary"), "filter": halves.dimming(BOTTOM), "redundant": halves.model(BOTTOM),
    }  # fmt: skip
    with primaries(models, (), lambda: 0.0) as built:
        done = calibrate(built["primary"], halves.pictures(330), policy="gate", abstain=0.2)
    document = json.loads(done.to_json()) | {"qualification": found.to_json()}
    assert parse_calibration(json.dumps(document).encode(), file="c.json").qualification == found


def test_the_same_pictures_give_the_same_qualification(halves: Any) -> None:
    models = {"primary": halves.model(TOP, "primary"), "redundant": halves.model(BOTTOM)}
    assert run(models, halves.pictures(60)) == run(models, halves.pictures(60))


def test_the_table_says_every_figure_with_its_set(found: Qualified) -> None:
    text = table(found)
    lines = text.splitlines()
    assert any(line.split()[:3] == ["redundant", "primary", "clean"] for line in lines)
    assert any(line.split()[:3] == ["redundant", "primary", "stress"] for line in lines)
    assert "0.09" in text
    assert "95% confidence" in text


def test_the_report_is_markdown_with_beta_factors_and_digests(found: Qualified) -> None:
    text = markdown("gate", found)
    assert text.startswith("# Qualification of `gate`\n")
    assert "| redundant | primary | clean | 330 | 30 | 33 | 3 | 0 | 0.09 | " in text
    assert all(digest in text for digest in found.models.values())
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| redundant | primary | ")}
    assert widths == {9, 12}
