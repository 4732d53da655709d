"""What a checked policy says about who runs what, as the plain values of a `Program`: models, workers, schedule.

Opens no file, and checks nothing: whatever could be wrong has its finding already.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgeguard.policy.channels import CAMERA, DECISION, FRAME, SUGGESTION, lines
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.expr import tree
from edgeguard.policy.expr.codegen import build_due
from edgeguard.policy.looks import FILTER, PRIMARY, bundles, homes, workers
from edgeguard.policy.schema import Policy
from edgeguard.program import Conditions, ModelRef, Realtime, Scheduled, Switch, WorkerSpec, never
from edgeguard.terms import AdmissionTerms, Pin, SignerTerm


def absolute(base: Path, text: str) -> str:
    """Absolute, with `..` taken out by name: a link on the way is the admission's business, not hidden here."""
    return os.path.normpath(Path(base).absolute() / text)


def model_refs(document: PolicyDocument, *, base: Path) -> tuple[ModelRef, ...]:
    """Where the policy's model bundles lie and how each is run: the primary, its alternates, then the others."""
    found: list[ModelRef] = []
    for role, model in bundles(document.policy).items():
        found.append(ModelRef(role, absolute(base, model.bundle), model.backend, model.cpu_fallback))
        for i, folder in enumerate(alternates(document.policy) if role == PRIMARY else (), start=1):
            found.append(ModelRef(f"{role}.{i}", absolute(base, folder), model.backend, model.cpu_fallback))
    return tuple(found)


def alternates(policy: Policy) -> tuple[str, ...]:
    """Folders of the primary's alternates."""
    primary = (policy.models or {}).get(PRIMARY)
    return (primary.alternates or ()) if primary else ()


def admission_terms(document: PolicyDocument, *, base: Path) -> AdmissionTerms:
    """Who may sign the policy's models and calibration, and what it asks of them."""
    admission = document.policy.admission
    if admission is None:
        return AdmissionTerms()
    return AdmissionTerms(
        signers=tuple(SignerTerm(key=Pin(absolute(base, s.key), s.sha256)) for s in admission.signers),
        security_version=admission.require.security_version,
    )


def worker_specs(policy: Policy) -> tuple[WorkerSpec, ...]:
    """The worker processes, in file order, with the looks that each of them runs."""
    where, known = homes(policy), lines(policy)
    sandbox = policy.isolation.sandbox if policy.isolation else "preferred"
    return tuple(
        WorkerSpec(
            name=name,
            looks=tuple(look for look in where if where[look] == name and look != FILTER),
            sandbox=worker.sandbox or sandbox,
            memory=worker.memory,
            cpus=worker.cpus or (),
            fifo=worker.scheduling.fifo if worker.scheduling else None,
            gpu=worker.devices is not None,
            deadline=worker.deadline,
            restarts_most=worker.restarts.most,
            restarts_within=worker.restarts.within,
            lockout=worker.restarts.then == "lockout",
            hears=(CAMERA, name, FRAME) in known,
            speaks=(name, DECISION, SUGGESTION) in known,
        )
        for name, worker in workers(policy).items()
    )


def schedule(policy: Policy) -> tuple[Scheduled, ...]:
    """The signals that are not computed on every frame, in file order."""
    return tuple(
        Scheduled(name, pace.every or 1, pace.offset, pace.background)
        for name, pace in policy.schedule.items()
    )


def due(document: PolicyDocument, signals: Sequence[str], thresholds: Mapping[str, float]) -> Conditions:
    """When each signal of the schedule is computed besides."""
    names = tuple(document.policy.schedule)
    if not names:
        return never
    nothing = tree.Bool(0, 0, value=False)
    nodes = [document.conditions.get(("schedule", name, "or_when"), nothing) for name in names]
    return build_due(signals, thresholds, nodes)


def switch(policy: Policy) -> Switch | None:
    """How the primary and its alternates take turns."""
    primary = (policy.models or {}).get(PRIMARY)
    given = primary.switch if primary else None
    return Switch(given.every, given.seed) if given else None


def realtime(policy: Policy) -> Realtime | None:
    """What the host's process should have of the operating system."""
    given = policy.realtime
    if given is None:
        return None
    return Realtime(
        fifo=given.scheduling.fifo if given.scheduling else None,
        cpus=given.cpus or (),
        lock_memory=given.lock_memory,
        freeze_gc=given.gc == "freeze",
        required=given.required,
    )
