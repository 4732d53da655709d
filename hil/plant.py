"""The plant: a vehicle that moves along one road towards a stop line, in metres and seconds.

Pure and deterministic: a state goes in, the next state comes out. No clock, no camera, no random number here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STANDSTILL: Final = 0.3  # m/s: slower than this counts as having stopped
STOP_ZONE: Final = 15.0  # m before the line: a stop further away is no stop at this line


@dataclass(frozen=True, slots=True)
class Vehicle:
    """What the vehicle can do. A family car on a dry road; full brake is below what its tyres hold."""

    full_brake: float = 7.0
    """Deceleration at brake 1 (m/s^2)."""
    full_throttle: float = 3.0
    """Acceleration at throttle 1 (m/s^2)."""
    brake_lag: float = 0.12
    """First-order time constant from the brake command to its pressure (s)."""
    throttle_lag: float = 0.20
    """First-order time constant from the throttle command to its torque (s)."""
    rolling: float = 0.12
    """Rolling resistance (m/s^2) while it moves."""
    air: float = 0.0006
    """Air resistance: deceleration per speed squared (1/m)."""


@dataclass(frozen=True, slots=True)
class PlantState:
    """Where the vehicle is. `to_line`: metres left to the stop line, negative once crossed."""

    time: float
    to_line: float
    speed: float
    brake: float = 0.0
    """Brake pressure in effect, in [0, 1]."""
    throttle: float = 0.0
    """Throttle in effect, in [0, 1]."""
    stood: bool = False
    """It has been at standstill inside the stop zone before the line."""
    crossed_at: float | None = None
    """Speed (m/s) at which it crossed the line; None: not crossed."""


def step(vehicle: Vehicle, state: PlantState, brake: float, throttle: float, dt: float) -> PlantState:
    """Return the state `dt` seconds later under commands in [0, 1]; what lies outside is clipped, as a valve does.

    Semi-implicit: actuators first, then speed, then position, so that a braking vehicle never rolls backwards.
    """
    pressure = _lag(state.brake, brake, vehicle.brake_lag, dt)
    torque = _lag(state.throttle, throttle, vehicle.throttle_lag, dt)
    drag = vehicle.rolling + vehicle.air * state.speed * state.speed
    push = vehicle.full_throttle * torque - vehicle.full_brake * pressure - drag
    speed = max(0.0, state.speed + push * dt)
    to_line = state.to_line - speed * dt
    crossing = state.crossed_at is None and state.to_line >= 0.0 > to_line
    standing = speed < STANDSTILL and 0.0 <= to_line <= STOP_ZONE
    return PlantState(
        time=state.time + dt,
        to_line=to_line,
        speed=speed,
        brake=pressure,
        throttle=torque,
        stood=state.stood or standing,
        crossed_at=speed if crossing else state.crossed_at,
    )


def ran_the_line(state: PlantState) -> bool:
    """Return whether the vehicle crossed the line without having stood still before it."""
    return state.crossed_at is not None and not state.stood


def stopping_distance(vehicle: Vehicle, speed: float, brake: float = 1.0) -> float:
    """Return an upper bound (m) for stopping from `speed` (m/s) at a constant `brake` in (0, 1]."""
    return speed * vehicle.brake_lag + speed * speed / (2.0 * vehicle.full_brake * brake)


def _lag(value: float, target: float, constant: float, dt: float) -> float:
    clipped = min(1.0, max(0.0, target))
    return value + (clipped - value) * min(1.0, dt / constant)
