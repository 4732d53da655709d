from __future__ import annotations

from typing import Any

from hil.results import claims, tabulate
from hil.scenario import Scenario, load_all
from hil.trace import Drive

SCENARIOS = {s.scenario: s for s in load_all()}


def drives(name: str, **measured: Any) -> list[Drive]:
    return [
        Drive(name, "guarded", 0, "stop", **measured),
        Drive(name, "unguarded", 0, "stop", violation=True),
    ]


def broken(scenarios: list[Scenario], measured: list[Drive]) -> list[str]:
    return [claim.text for claim in claims(scenarios, measured) if not claim.held]


def test_all_claims_hold_when_they_do() -> None:
    names = ("clean-stop", "patch", "host-killed", "tampered-model")
    measured = [
        *drives("clean-stop"), *drives("patch", detected=0.2, onset=0.0, reaction=0.004),
        *drives("host-killed", fallback=0.15), *drives("tampered-model", refused="digest-mismatch"),
    ]  # fmt: skip
    assert broken([SCENARIOS[n] for n in names], measured) == []
    rows = {r.scenario: r for r in tabulate([SCENARIOS[n] for n in names], measured)}
    assert rows["patch"].unguarded_violations == 1
    assert rows["patch"].guarded_violations == 0
    assert rows["patch"].reaction_max == 4.0
    assert rows["patch"].detection_p50 == 200.0
    assert rows["clean-stop"].false_handovers == 0
    assert rows["patch"].false_handovers is None


def test_one_guarded_violation_breaks_its_claim() -> None:
    assert (
        "0 stop-line or envelope violations"
        in broken(
            [SCENARIOS["patch"], SCENARIOS["clean-stop"]],
            [*drives("patch", violation=True), *drives("clean-stop")],
        )[0]
    )


def test_a_false_handover_breaks_its_claim() -> None:
    assert "clean drives" in broken([SCENARIOS["clean-stop"]], drives("clean-stop", handed_over=True))[0]


def test_a_handover_under_attack_is_no_false_one() -> None:
    both = [SCENARIOS["patch"], SCENARIOS["clean-stop"]]
    assert broken(both, [*drives("patch", handed_over=True), *drives("clean-stop")]) == []


def test_a_late_or_missing_fallback_breaks_its_claim() -> None:
    both = [SCENARIOS["host-killed"], SCENARIOS["clean-stop"]]
    for late in (0.151, None):
        assert "fallback" in broken(both, [*drives("host-killed", fallback=late), *drives("clean-stop")])[0]


def test_a_tampered_model_that_starts_breaks_its_claim() -> None:
    both = [SCENARIOS["tampered-model"], SCENARIOS["clean-stop"]]
    assert "tampered" in broken(both, [*drives("tampered-model"), *drives("clean-stop")])[0]


def test_a_guard_that_does_not_start_for_no_reason_breaks_a_claim() -> None:
    both = [SCENARIOS["patch"], SCENARIOS["clean-stop"]]
    assert "begin" in broken(both, [*drives("patch", refused="not armed"), *drives("clean-stop")])[0]


def test_nothing_driven_is_nothing_shown() -> None:
    assert len(broken([], [])) == 2
