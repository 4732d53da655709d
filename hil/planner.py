"""The complex function of the demo: from what the model says to brake and throttle, as an ordinary product would.

It trusts the answer blindly; doubting it is the guard's work, not this file's. No clock, no random number, no I/O.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edgeguard.types import Answer

MARGIN: Final = 2.0  # m before the line where the bumper is to stand
COMFORT: Final = 2.6  # m/s^2: braking for a stop begins where this deceleration would be needed
STEADY: Final = 1.2  # m/s^2: and goes on until less than this is needed
FULL_BRAKE: Final = 7.0  # m/s^2 at brake 1, as the product knows its vehicle
WINDOW: Final = 5  # frames of label smoothing
VOTES: Final = 3  # of them that must agree
SPEED_LIMITS: Final[Mapping[str, float]] = {"speed_30": 30.0 / 3.6, "yield": 6.0}
"""Speed (m/s) after a sign that names one. Other signs ask for nothing of a vehicle on a straight road."""


class SignPlanner:
    """Cruise at a set speed, slow down for limits, stop at stop signs. One object a drive: it remembers signs."""

    def __init__(self, cruise: float) -> None:
        """`cruise`: the speed (m/s) to hold while no sign says otherwise."""
        self._cruise = cruise
        self._target = cruise
        self._recent: deque[str] = deque(maxlen=WINDOW)
        self._frame: int | None = None
        self._stopping = False
        self._braking = False
        self.label = "none"

    def __call__(self, answer: Answer, context: Mapping[str, float]) -> Mapping[str, float]:
        """Return `brake` and `throttle` in [0, 1] for the newest answer and the `speed` and `distance` context."""
        if answer.frame != self._frame:
            self._frame = answer.frame
            self._read(answer.name)
        speed, distance = context.get("speed", 0.0), context.get("distance", 0.0)
        if self._stopping:
            return self._stop(speed, distance)
        self._braking = False
        return _cruise(speed, self._target)

    def _stop(self, speed: float, distance: float) -> Mapping[str, float]:
        brake = brake_to_stop(speed, distance, STEADY if self._braking else COMFORT)
        self._braking = brake > 0.0
        return {"brake": brake, "throttle": 0.0} if self._braking else _cruise(speed, speed)

    def _read(self, name: str) -> None:
        self._recent.append(name)
        label, votes = Counter(self._recent).most_common(1)[0]
        if votes < VOTES:
            return
        self.label = label
        self._stopping = label == "stop"
        if label in SPEED_LIMITS:
            self._target = min(self._cruise, SPEED_LIMITS[label])


def brake_to_stop(speed: float, distance: float, comfort: float = COMFORT) -> float:
    """Return the brake in [0, 1] that stops `MARGIN` before a line `distance` m ahead; 0 while it is still far."""
    room = distance - MARGIN
    needed = speed * speed / (2.0 * room) if room > 0.1 else FULL_BRAKE
    if speed < 0.3:
        return 0.5
    if needed < comfort and room > 0.1:
        return 0.0
    return min(1.0, 1.1 * needed / FULL_BRAKE)


def _cruise(speed: float, target: float) -> Mapping[str, float]:
    error = target - speed
    if error < -1.0:
        return {"brake": min(0.35, -0.15 * error), "throttle": 0.0}
    hold = (0.12 + 0.0006 * speed * speed) / 3.0
    return {"brake": 0.0, "throttle": min(0.6, max(0.0, hold + 0.2 * error))}
