"""An approach to a stop line as the rig sees it: what the parts must offer, and the moving state of one drive.

One clock, moved in ticks by `hil.rig` alone. No guard, no model and no microcontroller is opened here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from edgeguard.types import Authority, Event, Frame
from hil import plant
from hil.association import NOTHING_AHEAD, Association
from hil.camera import Camera, Condition
from hil.scenario import Drawn, Scenario
from hil.trace import Trace

if TYPE_CHECKING:
    from edgeguard.types import Image, Verdict

TICK: Final = 0.001  # s: plant and microcontroller
CONTROL_TICKS: Final = 20  # 50 Hz
FRAME_TICKS: Final = 50  # 20 Hz
EXPOSURE_TICKS: Final = 10  # from the exposure to the host's memory
POST: Final = 4.0  # m that the sign stands behind its stop line
EMPTY: Final = 70.0  # m: further than the tracker sees
START: Final = 10.0  # s on the rig's clock at power-on: nothing may depend on starting at 0
ROLLING_START: Final = 3.0  # s in which arming has to succeed
YARD_SEED: Final = 0
ARM_AGAIN_TICKS: Final = 250  # the operator asks this often
REST: Final = 0.4  # s of standing after which a drive is over

Watch = Callable[["Step"], None]


@dataclass(frozen=True, slots=True)
class Step:
    """What a live view may see of one control step."""

    time: float
    state: plant.PlantState
    verdict: Verdict | None
    frame: Image | None
    outputs: Mapping[str, float]


class Line(Protocol):
    """A microcontroller on the rig's clock."""

    def advance(self, now: float) -> None:
        """Let the microcontroller live until `now` and carry what is due over the wire."""
        ...

    @property
    def outputs(self) -> Mapping[str, float]:
        """What the actuators get now."""
        ...

    @property
    def mode(self) -> str:
        """The microcontroller's mode, as `silent`, `enabled`, `fallback_only` or `lockout`."""
        ...


class Host(Protocol):
    """The guarded host: what the rig needs of `edgeguard.Guard`."""

    def step(
        self,
        frame: Frame | None,
        context: Mapping[str, float],
        now: float,
        *,
        manual: Mapping[str, float] | None = None,
    ) -> Verdict:
        """Decide once."""
        ...

    def operator(self, event: Event) -> None:
        """Tell it what the operator did."""
        ...


class Bare(Protocol):
    """The unguarded host: the model's answer to a frame, straight to the planner."""

    def command(self, frame: Frame | None, context: Mapping[str, float]) -> Mapping[str, float]:
        """Return what goes to the actuators."""
        ...

    @property
    def label(self) -> str:
        """What the model said last."""
        ...


@dataclass(slots=True)
class Eye:
    """The rig's camera: exposes on its own beat, and freezes when told so."""

    camera: Camera
    sign: str | None
    condition: Condition
    frozen: bool = False
    picture: Image | None = None
    """The last picture it gave."""

    def expose(self, distance: float) -> Image:
        """Return the next picture: a new exposure, or the last one again if the camera is frozen."""
        if self.picture is None or not self.frozen:
            self.picture = self.camera.frame(self.sign, distance, self.condition)
        return self.picture


def eye_for(scenario: Scenario, drawn: Drawn) -> Eye:
    """Return the camera of one drive; both arms get the same exposures."""
    sign = None if drawn.sign == "none" else drawn.sign
    set_to = scenario.camera
    condition = Condition(
        light=set_to.light, noise=set_to.noise, blur=set_to.blur, patch=set_to.patch, attack=set_to.attack
    )
    return Eye(Camera(split="test", seed=drawn.camera_seed), sign, condition)


def yard() -> Eye:
    """Return the camera before a drive: clear light, no sign, one background that every drive is armed in front of."""
    return Eye(Camera(split="calibration", seed=YARD_SEED), None, Condition())


@dataclass(slots=True)
class Faults:
    """What the rig can break on the guarded host, by the scenario's name for it."""

    kill_redundant: Callable[[], None] = field(default=lambda: None)


@dataclass(slots=True)
class Run:
    """The moving parts of one drive, and the one place where its clock moves."""

    scenario: Scenario
    drawn: Drawn
    eye: Eye
    """The scenario's camera, from the beginning of the drive."""
    yard: Eye
    """The camera before that: a clear, empty yard, the same for every drive, where the guard is armed."""
    state: plant.PlantState
    vehicle: plant.Vehicle = field(default_factory=plant.Vehicle)
    trace: Trace = field(default_factory=Trace)
    association: Association = field(default_factory=Association)
    number: int = 0
    """Of the last frame."""
    ticks: int = 0
    started: bool = False
    origin: int = 0
    """The tick at which the drive began."""
    pending: Frame | None = None
    delivered: Frame | None = None
    broken: bool = False
    rested: float = 0.0

    def start(self) -> None:
        """Let the vehicle go, and the scenario begin."""
        self.started, self.origin = True, self.ticks

    @property
    def now(self) -> float:
        """Time on the rig's clock (s)."""
        return START + self.ticks * TICK

    @property
    def time(self) -> float:
        """Time since the drive began (s)."""
        return (self.ticks - self.origin) * TICK

    def see(self, distance: float) -> None:
        """Expose when it is time to, and deliver the frame when it has arrived."""
        if self.ticks % FRAME_TICKS == 0:
            eye = self.eye if self.started else self.yard
            self.number += 1
            self.pending = Frame(eye.expose(distance), self.number, self.now)
        if self.ticks % FRAME_TICKS == EXPOSURE_TICKS and self.pending is not None:
            self.delivered, self.pending = self.pending, None

    def take_frame(self) -> Frame | None:
        """Return the frame that has arrived since the last call, if any."""
        frame, self.delivered = self.delivered, None
        return frame

    def move(self, outputs: Mapping[str, float]) -> None:
        """Let one tick pass under these actuator values."""
        self.state = plant.step(
            self.vehicle, self.state, outputs.get("brake", 0.0), outputs.get("throttle", 0.0), TICK
        )
        self.rested = self.rested + TICK if self.state.speed < plant.STANDSTILL else 0.0
        self.ticks += 1

    def fault_due(self) -> bool:
        """Return whether the scenario's fault has to happen now."""
        fault = self.scenario.fault
        return fault is not None and not self.broken and self.time >= fault.after

    def over(self) -> bool:
        """Return whether the vehicle rests, has passed, or the time is up."""
        return self.rested >= REST or self.state.to_line < -POST or self.time >= self.scenario.limit

    def context(self, named: str | None) -> dict[str, float]:
        """Return what the vehicle knows beside the camera's picture; `named`: what the camera last called it.

        `speed` in m/s; `distance` to the object that the range sensor holds, in m; `unexplained`: see Association.
        """
        there = self.started and self.drawn.sign != "none"
        distance = max(0.0, self.state.to_line) if there else NOTHING_AHEAD
        unexplained = self.association.step(distance, named, self.now)
        return {"speed": self.state.speed, "distance": distance, "unexplained": unexplained}

    def note(self, outputs: Mapping[str, float], verdict: Verdict | None, label: str) -> None:
        """Add this step to the trace."""
        trace = self.trace
        trace.note_signals({} if verdict is None else {r.name: r.value for r in verdict.readings})
        trace.time.append(self.time)
        trace.to_line.append(self.state.to_line)
        trace.speed.append(self.state.speed)
        trace.brake.append(outputs.get("brake", 0.0))
        trace.throttle.append(outputs.get("throttle", 0.0))
        trace.label.append(label)
        if verdict is None:
            trace.wanted.append(math.nan)
            trace.authority.append(int(Authority.MODEL))
            trace.mode.append("")
            trace.cause.append("")
        else:
            trace.wanted.append(verdict.command.values.get("brake", math.nan))
            trace.authority.append(int(verdict.authority))
            trace.mode.append(verdict.mode.value)
            trace.cause.append(verdict.causes[0].rule if verdict.causes else "")
