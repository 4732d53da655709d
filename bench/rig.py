"""A guard over the demo's sign models in two workers, as a user would run it; for the injections and the soak.

Nothing is trained, nothing is measured here. A worker may be given another program: that is how a hostile one gets in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgeguard.admission import AdmittedModel, admit_bundle, trust_keys
from edgeguard.errors import EdgeguardError
from edgeguard.guard import Guard
from edgeguard.inference.member import parts_for, scoring_for
from edgeguard.isolation import WorkerMember
from edgeguard.policy.compiler import compile_policy
from edgeguard.policy.document import parse
from edgeguard.types import Event, Frame, Mode
from edgeguard.wiring import perceive

if TYPE_CHECKING:
    from edgeguard.program import Program
    from edgeguard.types import Image, Verdict

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"primary": "primary", "redundant": "redundant", "filter": "denoise"}
LOOKS = {"eyes": ("primary", "plain", "squeezed"), "second": ("redundant",)}

POLICY = """
edgeguard: 1
policy: {{name: rig, version: 1}}
models:
  primary: {{bundle: primary}}
  redundant: {{bundle: redundant}}
filter: {{bundle: denoise}}
admission: {{signers: [{{key: key.pub, sha256: "0000000000000000000000000000000000000000000000000000000000000000"}}]}}
isolation:
  sandbox: {sandbox}
  workers:
    eyes: {{runs: [filter, primary], deadline: {deadline}, restarts: {{most: 3, within: 60s, then: {then}}}}}
    second: {{runs: [redundant], deadline: {deadline}, restarts: {{most: 3, within: 60s, then: {then}}}}}
signals:
  certainty: {{of: primary, range: [0, 1], max_age: 150ms, on_fault: rules}}
  disagreement: {{of: [primary, redundant], range: [0, 1], max_age: 150ms, on_fault: rules}}
  reconstruction: {{of: [primary, filter], range: [0, 1], max_age: 150ms, on_fault: rules}}
  squeezing: {{of: primary, range: [0, 1], max_age: 150ms, on_fault: rules}}
rules:
  - {{id: unsure, when: certainty < 0.5, then: rules}}
  - {{id: disagree, when: disagreement > 0.5, then: rules}}
  - {{id: reconstruction-shift, when: reconstruction > 0.5, then: rules}}
  - {{id: squeezing-shift, when: squeezing > 0.5, then: rules}}
fallback:
  - {{command: {{brake: 0.1}}}}
envelope:
  brake: {{min: 0, max: 1, rise: 4/s, fall: 4/s, safe: 1.0}}
period: 20ms
"""


class MissingError(EdgeguardError):
    """The demo's models are not there."""


class Rig(NamedTuple):
    """A guard with its workers."""

    guard: Guard
    workers: Mapping[str, WorkerMember]

    def step(self, image: Image | None, number: int, *, now: float | None = None) -> Verdict:
        """Decide about a picture that was taken just now; None: there is no new one."""
        at = time.monotonic() if now is None else now
        return self.guard.step(None if image is None else Frame(image, number, at), {}, at)

    def arm(self, verdict: Verdict) -> None:
        """Do what an operator does to have the model act again."""
        if verdict.mode is Mode.STANDBY:
            self.guard.operator(Event.ARM)
        elif verdict.mode is Mode.SAFE_STATE:
            self.guard.operator(Event.RESET)


def models() -> dict[str, AdmittedModel]:
    """The demo's sign models, by role.

    Raises:
        MissingError: they are not exported here.
        AdmissionError: they are not signed with `keys/demo.key`.
    """
    folder = ROOT / "models" / "signs"
    if not (folder / "primary" / "model.onnx").is_file():
        raise MissingError("the sign models are not exported; `make models` makes them")
    signers = trust_keys([ROOT / "keys" / "demo.pub"])
    return {role: admit_bundle(folder / where, signers) for role, where in FOLDERS.items()}


def pictures(count: int) -> tuple[Image, ...]:
    """Rendered sign scenes (semi-synthetic)."""
    from models.signs.calibration import render

    return tuple(np.ascontiguousarray(image) for image in render(count)[0])


def program(
    *, sandbox: str = "preferred", deadline: str = "50ms", then: str = "stay_down", most: int | None = None
) -> Program:
    """The rig's compiled policy. `most`: more restarts than a policy may allow."""
    text = POLICY.format(sandbox=sandbox, deadline=deadline, then=then)
    compiled = compile_policy(parse(text.encode(), file="rig.yaml"), base=ROOT, calibration=None)
    if most is None:
        return compiled
    return replace(
        compiled, workers=tuple(replace(worker, restarts_most=most) for worker in compiled.workers)
    )


def build(
    program: Program,
    admitted: Mapping[str, AdmittedModel],
    *,
    hostile: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Rig:
    """Start the workers and wire the guard. `hostile`: another program for a worker, by its name.

    Raises:
        ContractError: a worker does not start, or not at its sandbox level.
    """
    programs = hostile or {}
    workers = {}
    try:
        for spec in program.workers:
            looks = LOOKS[spec.name]
            parts = parts_for(looks, admitted, {})
            workers[spec.name] = WorkerMember(
                replace(spec, looks=looks),
                parts,
                {role: admitted[role].model for role in parts},
                scoring_for(parts, admitted),
                clock=clock,
                program=programs.get(spec.name, ""),
            )
        for worker in workers.values():
            worker.wait_until_ready()
        perception = perceive(tuple(workers.values()), admitted, program, clock)
        perception.warm_up()
    except BaseException:
        for worker in workers.values():
            worker.close()
        raise
    return Rig(Guard(program, perception, planner=lambda _answer, _context: {"brake": 0.2}), workers)
