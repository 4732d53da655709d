from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.plant import PlantState, Vehicle, ran_the_line, step, stopping_distance

VEHICLE = Vehicle()
SPEEDS = st.floats(1.0, 30.0)


def drive(state: PlantState, brake: float, throttle: float, seconds: float) -> PlantState:
    for _ in range(round(seconds / 0.001)):
        state = step(VEHICLE, state, brake, throttle, 0.001)
    return state


@given(SPEEDS, st.floats(0.2, 1.0))
def test_it_stops_within_the_stopping_distance(speed: float, brake: float) -> None:
    state = PlantState(0.0, 1000.0, speed)
    while state.speed > 0.0:
        state = step(VEHICLE, state, brake, 0.0, 0.005)
    way = 1000.0 - state.to_line
    assert way <= stopping_distance(VEHICLE, speed, brake) + 0.005 * speed
    assert way >= 0.75 * speed * speed / (2 * VEHICLE.full_brake * brake + 1.5)


@given(SPEEDS, st.floats(-2.0, 3.0), st.floats(-2.0, 3.0))
def test_commands_outside_their_range_act_as_at_its_edge(speed: float, brake: float, throttle: float) -> None:
    state = PlantState(0.0, 100.0, speed)
    clipped = (min(1.0, max(0.0, brake)), min(1.0, max(0.0, throttle)))
    assert step(VEHICLE, state, brake, throttle, 0.01) == step(VEHICLE, state, *clipped, 0.01)


def test_it_never_rolls_backwards() -> None:
    state = drive(PlantState(0.0, 50.0, 2.0), 1.0, 0.0, 5.0)
    assert state.speed == 0.0
    assert state.to_line == drive(state, 1.0, 0.0, 1.0).to_line


def test_the_brake_lags_its_command() -> None:
    state = drive(PlantState(0.0, 50.0, 10.0), 1.0, 0.0, VEHICLE.brake_lag)
    assert state.brake == pytest.approx(1.0 - 0.368, abs=0.01)


def test_standing_before_the_line_is_no_violation() -> None:
    stood = drive(PlantState(0.0, 8.0, 5.0), 0.6, 0.0, 4.0)
    assert stood.stood
    gone_on = drive(stood, 0.0, 0.5, 8.0)
    assert gone_on.crossed_at is not None
    assert not ran_the_line(gone_on)


def test_crossing_without_a_stop_is_a_violation() -> None:
    state = drive(PlantState(0.0, 8.0, 10.0), 0.1, 0.0, 2.0)
    assert ran_the_line(state)
    assert state.crossed_at == pytest.approx(9.5, abs=0.4)


def test_a_stop_far_from_the_line_does_not_count() -> None:
    far = drive(PlantState(0.0, 40.0, 5.0), 1.0, 0.0, 3.0)
    assert not far.stood
    assert ran_the_line(drive(far, 0.0, 0.5, 12.0))
