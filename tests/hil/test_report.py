from __future__ import annotations

import re

import numpy as np
import pytest

from edgeguard.types import Authority
from hil.figures import doubt_of, spans
from hil.report import telling, write_report
from hil.results import claims, tabulate
from hil.scenario import load_all
from hil.trace import Drive, Thumbnail, Trace

SCENARIOS = [s for s in load_all() if s.scenario in ("clean-stop", "patch", "tampered-model")]


def trace(authorities: list[int], signals: bool) -> Trace:
    rows = len(authorities)
    way = [0.02 * i for i in range(rows)]
    kept = Trace(
        time=way, to_line=[10.0 - 20 * t for t in way], speed=[9.0] * rows, brake=[0.1] * rows, authority=authorities
    )  # fmt: skip
    if signals:
        kept.signals = {"certainty": [0.9] * rows, "novelty": [float("nan")] + [80.0] * (rows - 1)}
    return kept


def drives() -> list[Drive]:
    image = np.zeros((64, 64, 3), np.uint8)
    shot = Thumbnail(0.2, Authority.RULES, "<b>parking</b>", "unsure", image)
    found = []
    for scenario in SCENARIOS:
        refused = "model.onnx: digest-mismatch" if scenario.scenario == "tampered-model" else ""
        guarded = Drive(
            scenario.scenario, "guarded", 0, "stop", rest=2.0, onset=0.0, detected=0.2, reaction=0.003,
            refused=refused, trace=Trace() if refused else trace([0] * 10 + [1] * 20 + [3] * 10, signals=True),
            thumbnails=() if refused else (shot,),
        )  # fmt: skip
        bare = Drive(
            scenario.scenario, "unguarded", 0, "stop", violation=True, crossed_at=9.0,
            trace=trace([0] * 40, signals=False),
        )  # fmt: skip
        found += [guarded, bare]
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    made = drives()
    rows = tabulate(SCENARIOS, made)
    thresholds = {"certainty": 0.95, "novelty": 60.0}
    write_report(path, SCENARIOS, made, rows, claims(SCENARIOS, made), thresholds, {"cpu": "x"})
    return path.read_text(encoding="utf-8")


def test_the_page_fetches_nothing(page: str) -> None:
    links = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert links
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in links)
    assert "<script" not in page
    assert "@import" not in page


def test_the_page_says_that_scenes_are_semi_synthetic(page: str) -> None:
    assert "semi-synthetic" in page


def test_every_scenario_has_a_section_with_a_figure(page: str) -> None:
    for scenario in SCENARIOS:
        section = page.split(f'<section id="{scenario.scenario}">')[1].split("</section>", maxsplit=1)[0]
        assert "<svg" in section
    assert "never armed: model.onnx: digest-mismatch" in page


def test_what_comes_from_a_model_is_escaped(page: str) -> None:
    assert "<b>parking" not in page
    assert "&lt;b&gt;parking" in page


def test_a_failure_of_the_guard_is_shown_first() -> None:
    made = [
        Drive("patch", "guarded", 0, "stop"), Drive("patch", "unguarded", 0, "stop", violation=True),
        Drive("patch", "guarded", 1, "stop", violation=True), Drive("patch", "unguarded", 1, "stop"),
    ]  # fmt: skip
    guarded, bare = telling(made, "patch")
    assert guarded is not None
    assert bare is not None
    assert (guarded.seed, bare.seed) == (1, 1)
    assert telling(made, "pgd") == (None, None)


def test_spans_follow_the_authority() -> None:
    assert [(round(a, 2), round(b, 2), who) for a, b, who in spans(trace([0, 0, 1, 1, 1], signals=False))] == [
        (0.0, 0.04, 0), (0.04, 0.08, 1),
    ]  # fmt: skip


def test_doubt_is_measured_in_thresholds() -> None:
    assert doubt_of("certainty", 0.9, 0.95) == pytest.approx(2.0)
    assert doubt_of("contrast", 0.01, 0.02) == pytest.approx(2.0)
    assert doubt_of("novelty", 30.0, 60.0) == pytest.approx(0.5)
    assert doubt_of("novelty", -5.0, 60.0) == 0.01
    assert np.isnan(doubt_of("novelty", float("nan"), 60.0))
