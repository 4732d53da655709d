"""One seed of one scenario in virtual time, both arms, with the real policy, models, guard, link and firmware.

The wiring between the rig and edgeguard: opened here, driven in `hil.rig`.
"""

from __future__ import annotations

import hashlib
import os
import signal
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeguard.errors import AdmissionError, UsageError
from edgeguard.guard import Guard
from edgeguard.inference.perception import Perception
from edgeguard.isolation import WorkerMember
from edgeguard.link import link_over
from edgeguard.wiring import admit, build_members, perceive
from hil.approach import START, Faults, Watch
from hil.bare import BareHost
from hil.line import VirtualLine
from hil.mcu import VirtualMcu
from hil.planner import SignPlanner
from hil.profile import PROFILE, Profile, bundle_of, device_key, open_policy, operator_key
from hil.rig import drive_bare, drive_guarded
from hil.scenario import Drawn, Scenario, draw
from hil.tamper import tamper
from hil.trace import Drive

if TYPE_CHECKING:
    from edgeguard.inference.looks import Member
    from edgeguard.log import DecisionLog
    from edgeguard.policy.load import LoadedPolicy

PATIENCE: Final = 20.0  # s a worker may take: it works in real time, the drive does not


@dataclass(slots=True)
class Clock:
    """A clock that stands still: in virtual time inference takes none."""

    now: float = START

    def __call__(self) -> float:
        """Return the time (s)."""
        return self.now


class Workshop:
    """Admitted models with their sessions, kept between drives: each drive gets a guard and a perception of its own."""

    def __init__(self, policy: LoadedPolicy) -> None:
        """Raises: AdmissionError, ContractError as `Guard.open`."""
        # In virtual time a worker may take as long as it likes, and one that was killed stays down: when it would be
        # back depends on the machine, not on the drive.
        workers = tuple(replace(w, deadline=PATIENCE, restarts_most=0) for w in policy.program.workers)
        self._program = replace(policy.program, workers=workers)
        admitted = admit(policy)
        self._models, self.digests = admitted.models, admitted.digests
        self._members: tuple[Member, ...] = ()

    def perception(self) -> Perception:
        """Return a perception that remembers no frame, on sessions that are alive and warm."""
        if not self._members:
            self._members = build_members(self._models, self._program)
            self._perceive().warm_up()
        return self._perceive()

    def kill_redundant(self) -> None:
        """Kill the redundant model's process, as a crash would. Raises: UsageError when it has none of its own."""
        for member in self._members:
            if isinstance(member, WorkerMember) and "redundant" in member.looks and member.pid is not None:
                os.kill(member.pid, signal.SIGKILL)
                return
        raise UsageError("the policy runs the redundant model in no process of its own: nothing to kill")

    def close(self) -> None:
        """End the worker processes; the next perception starts new ones."""
        for member in self._members:
            member.close()
        self._members = ()

    def _perceive(self) -> Perception:
        return perceive(self._members, self._models, self._program, Clock())


def where(members: Mapping[str, Mapping[str, str]]) -> str:
    """`eyes: strict sandbox`, for each member that a perception describes."""
    return ", ".join(
        f"{name}: {facts['sandbox']} sandbox" if "sandbox" in facts else f"{name}: no process of its own"
        for name, facts in members.items()
    )


@cache
def policy_of(profile: Profile) -> LoadedPolicy:
    """Return the profile's policy, loaded once a process."""
    return open_policy(profile.policy, profile.trust)


@cache
def _workshop_of(profile: Profile) -> Workshop:
    return Workshop(policy_of(profile))


def drive_seed(scenario: Scenario, seed: int, profile: Profile = PROFILE) -> tuple[Drive, Drive]:
    """Return (guarded, unguarded) for one seed. Raises: what opening the policy or its models raises."""
    drawn = draw(scenario, seed)
    policy = policy_of(profile)
    if _has(scenario, "tamper-model"):
        return _tampered(scenario, drawn, policy)
    workshop = _workshop_of(profile)
    bare = BareHost(bundle_of(policy.program, "primary"), drawn.speed)
    try:
        return guarded(scenario, drawn, policy, workshop), drive_bare(scenario, drawn, bare)
    finally:
        if _has(scenario, "kill-redundant"):
            workshop.close()


def guarded(
    scenario: Scenario,
    drawn: Drawn,
    policy: LoadedPolicy,
    workshop: Workshop,
    *,
    watch: Watch | None = None,
    log: DecisionLog | None = None,
) -> Drive:
    """Drive the guarded arm of one seed. The log, if any, stays open."""
    program = policy.program
    seed = hashlib.sha256(f"{scenario.scenario} {drawn.seed}".encode()).digest()
    host, operator = device_key(program), operator_key(program)
    line = VirtualLine(VirtualMcu(program, key=host, operator_key=operator, seed=seed[:16], now=START))
    nonces = iter(range(1 << 16))
    link = link_over(
        line,
        key=host,
        operator_key=operator,
        policy_hash=bytes.fromhex(program.digest),
        actuators=program.envelope,
        nonce=lambda: hashlib.sha256(seed + next(nonces).to_bytes(2, "big")).digest()[:8],
    )
    perception = workshop.perception()
    planner = SignPlanner(drawn.speed)
    if log is not None:
        members = perception.describe()
        log.begin(
            program.name,
            program.version,
            workshop.digests,
            monotonic=START,
            wall=time.time(),
            members=members,
        )
    guard = Guard(program, perception, link=link, log=log, planner=planner, digests=workshop.digests)
    limits = {limit.name: (limit.low, limit.high) for limit in program.envelope}
    drive = drive_guarded(scenario, drawn, guard, line, Faults(workshop.kill_redundant), limits, watch)
    return replace(drive, isolation=where(perception.describe()))


def _tampered(scenario: Scenario, drawn: Drawn, policy: LoadedPolicy) -> tuple[Drive, Drive]:
    """Drive with a primary bundle in which one byte was changed on disk."""
    with tempfile.TemporaryDirectory(prefix="edgeguard-tampered-") as folder:
        bundle, _ = tamper(bundle_of(policy.program, "primary"), Path(folder))
        models = tuple(
            replace(ref, path=str(bundle)) if ref.role == "primary" else ref for ref in policy.program.models
        )
        changed = replace(policy, program=replace(policy.program, models=models))
        bare = drive_bare(scenario, drawn, BareHost(bundle, drawn.speed))
        try:
            workshop = Workshop(changed)
        except AdmissionError as error:
            said = f"{Path(error.path).name}: {error.reason}"
            return Drive(scenario.scenario, "guarded", drawn.seed, drawn.sign, refused=said), bare
        return guarded(scenario, drawn, changed, workshop), bare


def _has(scenario: Scenario, kind: str) -> bool:
    return scenario.fault is not None and scenario.fault.kind == kind
