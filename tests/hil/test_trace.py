from __future__ import annotations

import math

import pytest

from hil.trace import Trace, detection, handed_over, percentile, reaction, rules_share


def trace(*authorities: int) -> Trace:
    return Trace(time=[0.02 * i for i in range(len(authorities))], authority=list(authorities))


def test_detection_is_the_first_loss_of_authority_after_the_onset() -> None:
    assert detection(trace(1, 0, 0, 1, 3), 0.02) == 3
    assert detection(trace(0, 0, 0), 0.0) is None


def test_reaction_is_the_first_output_on_its_way_to_the_substituted_command() -> None:
    outputs = [
        (0.000, 0.0, 0.1),
        (0.020, 0.0, 0.1),
        (0.022, 0.0, 0.1),
        (0.023, 0.02, 0.1),
        (0.024, 0.04, 0.0),
    ]
    assert reaction(outputs, 0.020, 0.5, 0.1) == pytest.approx(0.003)
    assert reaction(outputs, 0.020, 0.0, 0.0) == pytest.approx(0.004)


def test_an_output_that_moves_away_is_no_reaction() -> None:
    assert reaction([(0.0, 0.5, 0.0), (0.1, 0.3, 0.0)], 0.0, 0.9, 0.0) is None


def test_a_command_that_is_already_out_needs_no_reaction() -> None:
    assert reaction([(0.0, 0.5, 0.0)], 0.0, 0.5, 0.0) == 0.0


def test_handover_and_rules_share() -> None:
    assert not handed_over(trace(0, 1, 1, 0))
    assert handed_over(trace(0, 2))
    assert rules_share(trace(0, 1, 1, 0)) == 0.5
    assert rules_share(trace()) == 0.0


def test_a_signal_that_comes_late_is_nan_before() -> None:
    kept = Trace()
    kept.note_signals({"certainty": 0.9})
    kept.time.append(0.0)
    kept.note_signals({"certainty": None, "novelty": 3.0})
    kept.time.append(0.02)
    assert math.isnan(kept.signals["novelty"][0])
    assert math.isnan(kept.signals["certainty"][1])
    assert kept.signals["novelty"][1] == 3.0


def test_percentiles_are_values_that_were_measured() -> None:
    values = [5.0, 1.0, 9.0, 3.0]
    assert percentile(values, 0.5) == 3.0
    assert percentile(values, 1.0) == 9.0
    assert percentile(values, 0.0) == 1.0
    assert percentile([], 0.5) is None
