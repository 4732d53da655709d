"""Wires guards to measure: one policy as rich as the demo's, with or without workers, a schedule, a fused graph.

Thresholds are literal, and so far out that clean pictures never reach them: no calibration is needed to measure, and
every guard measured is one that lets its model act.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeguard.errors import ContractError
from edgeguard.guard import Guard
from edgeguard.log import DecisionLog
from edgeguard.policy.compiler import compile_policy
from edgeguard.policy.document import parse
from edgeguard.types import Authority, Event, Frame
from edgeguard.wiring import build_members, perceive

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
    from edgeguard.program import Program
    from edgeguard.types import Image, Verdict

PERIOD = 0.05
"""Time between two frames, as the policy believes (s)."""
SETTLED = 16
"""Frames after which every signal was measured, whatever its schedule."""

_POLICY = """
edgeguard: 1
policy: {{name: bench, version: 1}}
models:
  primary: {{bundle: primary}}
  redundant: {{bundle: redundant}}
filter: {{bundle: denoise}}
{more}
admission: {{signers: [{{key: key.pub, sha256: "{zeros}"}}]}}
frame: {{period: 50ms}}
signals:
  certainty: {{of: primary, range: [0, 1], max_age: 150ms}}
  disagreement: {{of: [primary, redundant], range: [0, 1], max_age: 3s, on_fault: rules}}
  reconstruction: {{of: [primary, filter], range: [0, 1], max_age: 3s, on_fault: rules}}
  squeezing: {{of: primary, range: [0, 1], max_age: 3s, on_fault: rules}}{novelty}
  frame_age: {{from: frame, unit: s, range: [0, 10], max_age: 150ms}}
  frozen_for: {{from: frame, unit: s, range: [0, 3600], max_age: 150ms}}
  contrast: {{from: frame, range: [0, 1], max_age: 150ms}}
  latency: {{from: runtime, unit: s, range: [0, 10], max_age: 150ms, on_fault: rules}}
  speed: {{from: context, unit: m/s, range: [0, 60], max_age: 100ms}}
rules:
  - {{id: unsure, when: certainty < 0.001, for: 2 frames, then: rules}}
  - {{id: disagree, when: disagreement > 0.9999, for: 2 frames, then: rules}}
  - {{id: reconstruction-shift, when: reconstruction > 0.9999, for: 2 frames, then: rules}}
  - {{id: squeezing-shift, when: squeezing > 0.9999, for: 2 frames, then: rules}}
  - {{id: late-frame, when: frame_age > 0.12 || latency > 5.0, then: rules}}
  - {{id: frozen-camera, when: frozen_for > 600.0, latch: true, then: safe_state}}
  - {{id: blank-camera, when: contrast < 0.001, for: 2 frames, latch: true, then: safe_state}}
fallback:
  - {{when: speed > 8.0, command: {{brake: 0.4}}}}
  - {{command: {{brake: 0.1}}}}
envelope:
  brake: {{min: 0, max: 1, rise: 4/s, fall: 4/s, safe: 1.0}}
period: 20ms
"""
_NOVELTY = "\n  novelty: {of: primary, range: [-1000, 1000000], max_age: 150ms, on_fault: rules}"

GATED = """
schedule:
  disagreement: {every: 8 frames, or_when: certainty < 0.2}
  reconstruction: {every: 8 frames, offset: 4}
  squeezing: {every: 8 frames, offset: 4}
"""
"""Each doubt is measured every 0.4 s; the second opinion also at once when the answer is not sure of itself."""

ONE_WORKER = """
isolation:
  sandbox: preferred
  workers:
    all: {runs: [filter, primary, redundant], deadline: 1s, PLACE-1}
"""
TWO_WORKERS = """
isolation:
  sandbox: preferred
  workers:
    eyes: {runs: [filter, primary, redundant], deadline: 1s, PLACE-1}
    second: {runs: [plain, squeezed], deadline: 1s, PLACE-0}
"""
APART = """
isolation:
  sandbox: preferred
  workers:
    eyes: {runs: [filter, primary], deadline: 1s, PLACE-1}
    second: {runs: [redundant, plain], deadline: 1s, PLACE-0}
"""
HALF = """
isolation:
  sandbox: preferred
  workers:
    second: {runs: [plain, squeezed], deadline: 1s, PLACE-0}
"""
BACKGROUND = """
isolation:
  sandbox: preferred
  workers:
    second: {runs: [redundant], deadline: 1s, PLACE-0}
schedule:
  disagreement: {background: true}
"""
FUSED = "fused: {bundle: fused}"


@dataclass(frozen=True, slots=True)
class Setting:
    """How one guard is wired: its models by role, and what its policy says besides."""

    models: Mapping[str, AdmittedModel]
    more: str = ""
    without: tuple[str, ...] = ()
    """Signals that the policy does not have, nor a rule on them: looks that nothing needs are not run."""
    placed: bool = False
    """Whether each worker has a CPU of its own, as far as there are so many, and a real-time priority."""


def program(setting: Setting) -> Program:
    """Compile the bench's policy for a setting."""
    novelty = any(output.meaning == "novelty" for output in setting.models["primary"].manifest.outputs)
    text = _POLICY.format(more=_placed(setting), novelty=_NOVELTY if novelty else "", zeros="0" * 64)
    for name in setting.without:
        kept = [
            line for line in text.splitlines() if f"  {name}:" not in line and f"when: {name} " not in line
        ]
        text = "\n".join(kept)
    return compile_policy(parse(text.encode(), file="bench.yaml"), base=Path.cwd(), calibration=None)


def _placed(setting: Setting) -> str:
    cpus = range(os.cpu_count() or 1)  # the measuring thread itself may be on one of them
    text = setting.more
    for name, cpu in (("PLACE-1", cpus[-1]), ("PLACE-0", cpus[0])):
        place = (
            f"cpus: [{cpu}], scheduling: {{fifo: 40}}"
            if setting.placed
            else "restarts: {most: 3, within: 60s}"
        )
        text = text.replace(name, place)
    return text


class Guarded:
    """A guard that lets the model act, and the frames it is shown, over and over."""

    def __init__(self, guard: Guard, frames: Sequence[Image]) -> None:
        """Arm it, once what it measures is known to be healthy.

        Raises:
            ContractError: it does not let the model act on every one of these frames.
        """
        self.guard = guard
        self._frames = itertools.cycle(frames)
        self._number = 0
        for _ in range(SETTLED):
            self.step()
        guard.operator(Event.ARM)
        for _ in range(SETTLED):
            self.step()
        for _ in range(
            -(-len(frames) // SETTLED) * SETTLED
        ):  # so that schedules begin anew with the first frame
            verdict = self.step()
            if verdict.authority is not Authority.MODEL:
                causes = ", ".join(cause.rule for cause in verdict.causes)
                raise ContractError(f"the bench's guard does not let the model act: {causes}")

    def step(self) -> Verdict:
        """One whole step of the guard with a new frame."""
        return self.show(next(self._frames))

    def show(self, image: Image) -> Verdict:
        """One whole step of the guard with a frame of the caller's."""
        self._number += 1
        at = self._number * PERIOD
        return self.guard.step(Frame(image, self._number, at), {"speed": 5.0}, at)


def _plan(answer: object, context: Mapping[str, float]) -> Mapping[str, float]:  # noqa: ARG001 - a planner's
    return {"brake": 0.25}


@contextmanager
def guarded(setting: Setting, frames: Sequence[Image], log: Path) -> Iterator[Guarded]:
    """A guard of a setting, armed, with its decision log at `log`; closed at the end."""
    compiled = program(setting)
    with ExitStack() as stack:
        members = build_members(setting.models, compiled)
        perception = perceive(members, setting.models, compiled, time.perf_counter)
        stack.callback(perception.close)
        perception.warm_up()
        guard = Guard(compiled, perception, log=DecisionLog(log), planner=_plan)
        stack.callback(guard.close)
        yield Guarded(guard, frames)
