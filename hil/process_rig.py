"""The real-time rig: a real host process that is killed or stopped on its way, and the firmware as a real process.

What it measures, it takes from the microcontroller's own timestamps, so that this process's scheduling does not count.
Several drives run at once in the loop of `hil.launch`; nothing here sleeps or starts a process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from edgeguard.types import Authority, Frame, Mode
from hil import plant, wire
from hil.approach import EMPTY, POST, REST, Eye
from hil.association import NOTHING_AHEAD
from hil.scenario import Drawn, Scenario
from hil.trace import Drive, Trace, handed_over, rules_share

if TYPE_CHECKING:
    from hil.mcu import ProcessMcu
    from hil.mcu_qemu import QemuMcu

    Microcontroller = ProcessMcu | QemuMcu

CONTROL: Final = 0.020  # s between two messages to the host
EXPOSE: Final = 0.050  # s between two frames
LONGEST_STEP: Final = 0.010  # s: the plant is never stepped further at once
START_WITHIN: Final = 30.0  # s: a host that has not come up by then is given up
SETTLED: Final = 0.4  # s on the test bench before the drive
ASK_AGAIN: Final = 0.25  # s
ARMED_WITHIN: Final = 5.0  # s

_SIGNALS: Final[Mapping[str, signal.Signals]] = {"kill-host": signal.SIGKILL, "hang-host": signal.SIGSTOP}


class Phase(Enum):
    """Where one run stands."""

    STARTING = 1
    BENCH = 2
    DRIVING = 3
    DONE = 4


@dataclass(slots=True)
class ProcessRun:
    """One drive of one arm with its own host process and, guarded, its own microcontroller."""

    scenario: Scenario
    drawn: Drawn
    arm: str
    mcu: Microcontroller | None
    host: subprocess.Popen[bytes]
    line: socket.socket
    eye: Eye
    yard: Eye
    state: plant.PlantState
    phase: Phase = Phase.STARTING
    since: float = 0.0
    """When the phase began."""
    report: wire.Report | None = None
    struck: float | None = None
    """When the host was killed or stopped."""
    trace: Trace = field(default_factory=Trace)
    problem: str = ""
    stuck_on_bench: bool = False
    fell_early: bool = False
    """The microcontroller had fallen back before the host was struck: the machine was too busy for the host."""
    memory: float = 0.0
    _vehicle: plant.Vehicle = field(default_factory=plant.Vehicle)
    _moved: float = 0.0
    _told: float = 0.0
    _ask_again: float = 0.0
    _exposed: float = 0.0
    _number: int = 0
    _rested: float = 0.0

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._listen()
        if self.phase is Phase.STARTING:
            self._await_host(now)
        elif self.phase is Phase.BENCH:
            self._tell(now, NOTHING_AHEAD)
            self._bench(now)
        elif self.phase is Phase.DRIVING:
            self._strike(now)
            self._move(now)
            self._tell(now, self.state.to_line)
            if self._over(now):
                self._enter(Phase.DONE, now)

    def close(self) -> None:
        """End the host and the microcontroller."""
        self.line.close()
        if self.host.poll() is None:
            self.host.send_signal(signal.SIGKILL)  # also ends a stopped process
        self.host.wait()
        if self.host.stderr is not None:
            self.host.stderr.close()
        if self.mcu is not None:
            self.mcu.close()

    def result(self) -> Drive:
        """Return what was driven and measured."""
        fallback = self._fallback()
        return Drive(
            scenario=self.scenario.scenario,
            arm=self.arm,
            seed=self.drawn.seed,
            sign=self.drawn.sign,
            violation=self.scenario.must_stop and plant.ran_the_line(self.state),
            stood=self.state.stood,
            crossed_at=self.state.crossed_at,
            rest=self.state.to_line if self.state.speed < plant.STANDSTILL else None,
            handed_over=handed_over(self.trace),
            rules_share=rules_share(self.trace),
            onset=self.scenario.fault.after if self.scenario.fault else None,
            fallback=fallback,
            refused=self.problem,
            memory=self.memory or None,
            fell_early=self.fell_early,
            trace=self.trace,
        )

    def _fallback(self) -> float | None:
        if self.mcu is None or self.struck is None:
            return None
        struck = self.struck
        if self.fell_early:
            return 0.0
        return next(
            (r.at - struck for r in self.mcu.records() if r.at >= struck and r.mode == "fallback_only"), None
        )

    def _enter(self, phase: Phase, now: float) -> None:
        self.phase, self.since = phase, now
        self._moved = now

    def _listen(self) -> None:
        while True:
            try:
                data = self.line.recv(wire.LARGEST)
            except (BlockingIOError, ConnectionResetError):
                return
            if not data:
                return
            if data == wire.READY:
                self._enter(Phase.BENCH, time.monotonic())
            report = wire.decode_report(data)
            if report is not None:
                self.report = report
                self.memory = max(self.memory, report.memory)

    def _await_host(self, now: float) -> None:
        if self.host.poll() is not None:
            said = self.host.stderr.read().decode(errors="replace").strip() if self.host.stderr else ""
            self.problem = said.splitlines()[-1] if said else f"the host ended with {self.host.returncode}"
            self._enter(Phase.DONE, now)
        elif now - self.since > START_WITHIN:
            self.problem = f"the host did not come up within {START_WITHIN:g} s"
            self._enter(Phase.DONE, now)

    def _bench(self, now: float) -> None:
        """Roll on a test bench until host and microcontroller are armed and the brakes are off."""
        if now - self.since > ARMED_WITHIN:
            host = self.report.mode if self.report else "silent"
            mcu = self.mcu.mode if self.mcu is not None else "none"
            self.problem = f"not armed within {ARMED_WITHIN:g} s: host `{host}`, microcontroller `{mcu}`"
            self.stuck_on_bench = True
            self._enter(Phase.DONE, now)
        if now - self.since < SETTLED or self.report is None:
            return
        idle = self.report.mode in (Mode.STANDBY.value, Mode.SAFE_STATE.value)
        if self.mcu is not None and idle and now >= self._ask_again:
            self._send(wire.ARM)  # again and again: one that comes while a signal is bad is refused
            self._ask_again = now + ASK_AGAIN
        if self.mcu is None or (
            self.mcu.mode == "enabled" and self.mcu.outputs_now().get("brake", 1.0) < 0.02
        ):
            self._enter(Phase.DRIVING, now)

    def _tell(self, now: float, distance: float) -> None:
        frame = None
        if now - self._exposed >= EXPOSE:
            self._exposed = now
            self._number += 1
            driving = self.phase is Phase.DRIVING
            picture = self.eye.expose(distance + POST) if driving else self.yard.expose(EMPTY)
            frame = Frame(picture, self._number, now)
        if frame is not None or now - self._told >= CONTROL:
            self._told = now
            self._send(wire.World(frame, self.state.speed, max(0.0, distance)).encode())

    def _send(self, data: bytes) -> None:
        # A dead or stopped host does not read: that is what the drive is about.
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            self.line.send(data)

    def _strike(self, now: float) -> None:
        fault = self.scenario.fault
        if fault is None or self.struck is not None or now - self.since < fault.after:
            return
        self.fell_early = self.mcu is not None and self.mcu.mode == "fallback_only"
        self.struck = time.monotonic()
        os.kill(self.host.pid, _SIGNALS[fault.kind])

    def _move(self, now: float) -> None:
        outputs = self._outputs()
        while self._moved < now:
            dt = min(LONGEST_STEP, now - self._moved)
            self.state = plant.step(
                self._vehicle, self.state, outputs.get("brake", 0.0), outputs.get("throttle", 0.0), dt
            )
            self._rested = self._rested + dt if self.state.speed < plant.STANDSTILL else 0.0
            self._moved += dt
        self._note(now, outputs)

    def _outputs(self) -> Mapping[str, float]:
        if self.mcu is not None:
            return self.mcu.outputs_now()
        report = self.report
        return {"brake": report.brake, "throttle": report.throttle} if report else {}

    def _note(self, now: float, outputs: Mapping[str, float]) -> None:
        report, trace = self.report, self.trace
        fallen = self.mcu is not None and self.mcu.mode == "fallback_only"
        authority = int(Authority.SAFE_STATE) if fallen else (report.authority if report else 0)
        trace.time.append(now - self.since)
        trace.to_line.append(self.state.to_line)
        trace.speed.append(self.state.speed)
        trace.brake.append(outputs.get("brake", 0.0))
        trace.throttle.append(outputs.get("throttle", 0.0))
        trace.wanted.append(report.brake if report else 0.0)
        trace.authority.append(authority)
        trace.mode.append(report.mode if report else "")
        trace.label.append(report.label if report else "")
        trace.cause.append("firmware fallback" if fallen else "")

    def _over(self, now: float) -> bool:
        return self._rested >= REST or self.state.to_line < -POST or now - self.since >= self.scenario.limit
