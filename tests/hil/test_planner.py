from __future__ import annotations

import pytest

from edgeguard.types import Answer
from hil.planner import MARGIN, SignPlanner
from hil.plant import PlantState, Vehicle, ran_the_line, step


def answer(frame: int, name: str) -> Answer:
    return Answer(frame, 0.0, 0, name, 0.9, (0.9,), "")


def approach(planner: SignPlanner, sign: str, speed: float, seconds: float = 14.0) -> PlantState:
    state = PlantState(0.0, 50.0, speed)
    for tick in range(round(seconds / 0.02)):
        context = {"speed": state.speed, "distance": max(0.0, state.to_line)}
        command = planner(answer(tick // 3, sign), context)
        assert set(command) == {"brake", "throttle"}
        assert all(0.0 <= value <= 1.0 for value in command.values())
        for _ in range(10):
            state = step(Vehicle(), state, command["brake"], command["throttle"], 0.002)
    return state


@pytest.mark.parametrize("speed", [6.0, 9.0, 14.0])
def test_a_stop_sign_stops_it_at_the_line(speed: float) -> None:
    state = approach(SignPlanner(speed), "stop", speed)
    assert state.stood
    assert not ran_the_line(state)
    assert state.to_line == pytest.approx(MARGIN, abs=1.0)


def test_no_sign_keeps_the_cruising_speed() -> None:
    state = approach(SignPlanner(11.0), "none", 11.0, 3.0)
    assert state.speed == pytest.approx(11.0, abs=0.3)


def test_a_speed_limit_slows_it_down_and_is_remembered() -> None:
    planner = SignPlanner(13.0)
    approach(planner, "speed_30", 13.0, 1.0)
    state = approach(planner, "none", 13.0, 4.0)
    assert state.speed == pytest.approx(30 / 3.6, abs=0.6)


def test_one_odd_frame_does_not_change_its_mind() -> None:
    planner = SignPlanner(10.0)
    context = {"speed": 10.0, "distance": 12.0}
    for frame in range(5):
        planner(answer(frame, "none"), context)
    assert planner(answer(5, "stop"), context)["brake"] == 0.0
    commands = [planner(answer(frame, "stop"), context) for frame in range(6, 9)]
    assert commands[-1]["brake"] > 0.0


def test_it_trusts_a_wrong_answer() -> None:
    assert ran_the_line(approach(SignPlanner(10.0), "parking", 10.0))
