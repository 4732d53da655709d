"""The model's answer as a signal: its label's index, -1 for every other class, nothing without an answer."""

from __future__ import annotations

import pytest

from edgeguard.program import SignalSpec
from edgeguard.signals.labels import Labels, label, unknown
from edgeguard.types import Answer, Signal

SIGN = SignalSpec("sign", "primary", -1.0, 1.0, 0.1, kind="class", labels=("stop", "speed_limit_30"))
SPEED = SignalSpec("speed", "context", 0.0, 60.0, 0.1)


def answer(name: str) -> Answer:
    return Answer(1, 1.0, 3, name, 0.9, (0.9, 0.1), "d")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("stop", 0.0),
        ("Stop", 0.0),
        ("Speed limit 30", 1.0),
        ("speed-limit-30", 1.0),
        ("yield", -1.0),
        ("", -1.0),
    ],
)
def test_an_answer_becomes_the_index_of_its_label(name: str, expected: float) -> None:
    assert Labels((SPEED, SIGN)).signals(answer(name), 2.0) == (Signal("sign", expected, 2.0, "primary"),)


def test_without_an_answer_the_signal_has_no_value() -> None:
    assert Labels((SIGN,)).signals(None, 2.0) == (Signal("sign", None, 2.0, "primary"),)


def test_a_policy_without_labels_gets_no_signal() -> None:
    assert Labels((SPEED,)).signals(answer("stop"), 2.0) == ()


def test_a_label_is_lower_case_letters_digits_and_joiners() -> None:
    assert label("  Speed limit (30)! ") == "speed_limit_30"


def test_a_label_that_the_model_does_not_know_or_knows_twice_is_told() -> None:
    assert unknown((SIGN, SPEED), ("stop", "Speed limit 30", "none")) == ()
    assert unknown((SIGN,), ("stop", "none")) == ("speed_limit_30",)
    assert unknown((SIGN,), ("stop", "Stop", "speed limit 30")) == ("stop",)


def test_labels_of_a_class_from_context_are_no_classes_of_the_model() -> None:
    weather = SignalSpec("weather", "context", -1.0, 1.0, 0.1, kind="class", labels=("dry", "wet"))
    assert unknown((SIGN, weather), ("stop", "Speed limit 30")) == ()
