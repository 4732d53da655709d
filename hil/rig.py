"""The virtual-time rig: plant, camera, guard, link and microcontroller on one clock that only this file moves.

Deterministic: the same scenario, seed and arm give the same trace. Nothing here sleeps; a drive of eight seconds takes
about one. The unguarded arm is the same planner and model straight on the actuators: the last command holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from edgeguard.types import Authority, Event, GateDecision, Mode
from hil import plant
from hil.approach import (
    ARM_AGAIN_TICKS,
    CONTROL_TICKS,
    EMPTY,
    FRAME_TICKS,
    POST,
    ROLLING_START,
    TICK,
    Bare,
    Faults,
    Host,
    Line,
    Run,
    Step,
    Watch,
    eye_for,
    yard,
)
from hil.planner import brake_to_stop
from hil.scenario import Drawn, Scenario
from hil.trace import Drive, Thumbnail, Trace, detection, handed_over, reaction, rules_share

if TYPE_CHECKING:
    from edgeguard.types import Image, Verdict


def drive_bare(scenario: Scenario, drawn: Drawn, host: Bare) -> Drive:
    """Drive the unguarded arm."""
    run = _begin(scenario, drawn)
    for _ in range(_settling_ticks()):  # the same exposures before the drive as the guarded arm has
        run.see(EMPTY)
        if run.ticks % CONTROL_TICKS == 0:
            host.command(run.take_frame(), run.context(None))
        run.ticks += 1
    run.start()
    outputs: Mapping[str, float] = {"brake": 0.0, "throttle": 0.0}
    while not run.over():
        if run.fault_due():
            run.broken = True
            run.eye.frozen = run.eye.frozen or _is(scenario, "freeze-camera")
        run.see(run.state.to_line + POST)
        if run.ticks % CONTROL_TICKS == 0:
            outputs = host.command(run.take_frame(), run.context(host.label))
            run.note(outputs, None, host.label)
        run.move(outputs)
    return _conclude(run, "unguarded", envelope_left=False)


def drive_guarded(
    scenario: Scenario,
    drawn: Drawn,
    host: Host,
    line: Line,
    faults: Faults,
    limits: Mapping[str, tuple[float, float]],
    watch: Watch | None = None,
) -> Drive:
    """Drive the guarded arm. `limits`: the envelope's (low, high) by actuator, held against the outputs."""
    run = _begin(scenario, drawn)
    failed = _arm(run, host, line)
    if failed is not None:
        return failed
    run.start()
    outputs: list[tuple[float, float, float]] = []
    thumbnails: list[Thumbnail] = []
    left, asked, last = False, None, int(Authority.MODEL)
    verdict: Verdict | None = None
    substituted: tuple[float, float] | None = None
    while not run.over():
        if run.fault_due():
            _break(run, faults)
        run.see(run.state.to_line + POST)
        line.advance(run.now)
        out = line.outputs
        left = left or any(not low - 1e-6 <= out[name] <= high + 1e-6 for name, (low, high) in limits.items())
        outputs.append((run.time, out.get("brake", 0.0), out.get("throttle", 0.0)))
        if run.ticks % CONTROL_TICKS == 0:
            frame = run.take_frame()
            asked = _operate(run, host, verdict, asked)
            context = run.context(verdict.answer.name if verdict and verdict.answer else None)
            verdict = host.step(frame, context, run.now, manual=_drive_by_hand(run))
            run.note(out, verdict, verdict.answer.name if verdict.answer else "")
            if verdict.authority != last and run.eye.picture is not None:
                last = int(verdict.authority)
                thumbnails.append(_thumbnail(run, verdict, run.eye.picture))
            if substituted is None and verdict.authority != Authority.MODEL and run.time >= _onset(scenario):
                substituted = _commanded(verdict)
            if watch is not None:
                watch(Step(run.time, run.state, verdict, frame.image if frame else None, out))
        run.move(out)
    done = _conclude(run, "guarded", envelope_left=left)
    return _measure(done, scenario, outputs, substituted, tuple(thumbnails))


def _begin(scenario: Scenario, drawn: Drawn) -> Run:
    state = plant.PlantState(0.0, drawn.distance, drawn.speed)
    return Run(scenario, drawn, eye_for(scenario, drawn), yard(), state)


def _settling_ticks() -> int:
    return round(0.5 / TICK)


def _arm(run: Run, host: Host, line: Line) -> Drive | None:
    """Bring the guard and the microcontroller up with the vehicle rolling on a test bench; then let it go.

    Returns a drive that is over when they do not come up: a handover before the start counts as one.
    """
    asked, settled, next_try = False, 0, ARM_AGAIN_TICKS
    while run.ticks * TICK < ROLLING_START:
        run.see(EMPTY)
        line.advance(run.now)
        if run.ticks % CONTROL_TICKS == 0:
            verdict = host.step(run.take_frame(), run.context(None), run.now)
            if verdict.mode is Mode.STANDBY and run.ticks >= next_try:
                host.operator(Event.ARM)  # again and again: one that comes while a signal is bad is refused
                asked, next_try = True, run.ticks + ARM_AGAIN_TICKS
            if (
                asked
                and verdict.authority >= Authority.HUMAN
                and verdict.mode not in (Mode.STANDBY, Mode.INIT)
            ):
                run.note(line.outputs, verdict, "")
                return replace(_conclude(run, "guarded", envelope_left=False), handed_over=True)
            ready = line.mode == "enabled" and verdict.mode in (Mode.NOMINAL, Mode.DEGRADED)
            settled = settled + 1 if ready and line.outputs.get("brake", 1.0) < 0.02 else 0
        run.ticks += 1
        if settled >= 2 and run.ticks % FRAME_TICKS == 0:
            return None
    reason = f"not armed within {ROLLING_START:g} s: microcontroller `{line.mode}`"
    return replace(_conclude(run, "guarded", envelope_left=False), refused=reason, trace=Trace())


def _break(run: Run, faults: Faults) -> None:
    run.broken = True
    if _is(run.scenario, "freeze-camera"):
        run.eye.frozen = True
    if _is(run.scenario, "kill-redundant"):
        faults.kill_redundant()


def _operate(run: Run, host: Host, verdict: Verdict | None, asked: float | None) -> float | None:
    """Let the operator answer a takeover request after the scenario's reaction time. Returns when it was made."""
    operator = run.scenario.operator
    if operator is None or verdict is None or verdict.mode is not Mode.TAKEOVER_REQUEST:
        return asked if verdict is not None and verdict.mode is Mode.MANUAL else None
    if asked is None:
        return run.time
    if asked >= 0.0 and run.time - asked >= operator.responds_after:
        host.operator(Event.TAKE)
        return -1.0
    return asked


def _drive_by_hand(run: Run) -> Mapping[str, float] | None:
    """Return the command of a person who sees what the vehicle has to do."""
    if run.scenario.operator is None:
        return None
    brake = brake_to_stop(run.state.speed, run.state.to_line, 2.0) if run.scenario.must_stop else 0.0
    return {"brake": brake, "throttle": 0.0 if brake else 0.1}


def _thumbnail(run: Run, verdict: Verdict, picture: Image) -> Thumbnail:
    return Thumbnail(
        time=run.time,
        authority=int(verdict.authority),
        label=verdict.answer.name if verdict.answer else "nothing",
        cause=verdict.causes[0].rule if verdict.causes else "",
        image=picture,
    )


def _commanded(verdict: Verdict) -> tuple[float, float] | None:
    if verdict.gate not in (GateDecision.SUBSTITUTE, GateDecision.BLOCK):
        return None
    values = verdict.command.values
    return values.get("brake", 0.0), values.get("throttle", 0.0)


def _onset(scenario: Scenario) -> float:
    return scenario.fault.after if scenario.fault is not None else 0.0


def _is(scenario: Scenario, kind: str) -> bool:
    return scenario.fault is not None and scenario.fault.kind == kind


def _conclude(run: Run, arm: str, *, envelope_left: bool) -> Drive:
    ran = run.scenario.must_stop and plant.ran_the_line(run.state)
    standing = run.state.speed < plant.STANDSTILL
    return Drive(
        scenario=run.scenario.scenario,
        arm=arm,
        seed=run.drawn.seed,
        sign=run.drawn.sign,
        violation=ran or envelope_left,
        stood=run.state.stood,
        crossed_at=run.state.crossed_at,
        rest=run.state.to_line if standing else None,
        trace=run.trace,
    )


def _measure(
    drive: Drive,
    scenario: Scenario,
    outputs: list[tuple[float, float, float]],
    substituted: tuple[float, float] | None,
    thumbnails: tuple[Thumbnail, ...],
) -> Drive:
    trace = drive.trace
    wrong = not scenario.clean
    row = detection(trace, _onset(scenario)) if wrong else None
    found = trace.time[row] if row is not None else None
    answered = None
    if found is not None and substituted is not None:
        answered = reaction(outputs, found, *substituted)
    return replace(
        drive,
        handed_over=handed_over(trace),
        rules_share=rules_share(trace),
        onset=_onset(scenario) if wrong else None,
        detected=found,
        reaction=answered,
        thumbnails=thumbnails,
    )
