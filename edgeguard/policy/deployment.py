"""What a checked policy says about who runs what, as the plain values of a `Program`: models, trust, workers, schedule.

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
from edgeguard.policy.vouching import Admission, Assessment, Claims, GraphLimits, Signer
from edgeguard.program import Conditions, ModelRef, Realtime, Scheduled, Switch, WorkerSpec, never
from edgeguard.terms import AdmissionTerms, AssessmentTerm, ClaimsTerm, Limits, Pin, SignerTerm


def absolute(base: Path, text: str) -> str:
    """Absolute, with `..` taken out by name: a link on the way is the admission's business, not hidden here."""
    return os.path.normpath(Path(base).absolute() / text)


def model_refs(document: PolicyDocument, *, base: Path) -> tuple[ModelRef, ...]:
    """Where the policy's model bundles lie and how each is run: the primary, its alternates, then the others."""
    found: list[ModelRef] = []
    for role, model in bundles(document.policy).items():
        manifest = absolute(base, model.manifest) if model.manifest else ""
        folder, pin = absolute(base, model.bundle), model.pin or ""
        found.append(ModelRef(role, folder, model.backend, model.cpu_fallback, pin, manifest))
        for i, other in enumerate(alternates(document.policy) if role == PRIMARY else (), start=1):
            found.append(ModelRef(f"{role}.{i}", absolute(base, other), model.backend, model.cpu_fallback))
    return tuple(found)


def alternates(policy: Policy) -> tuple[str, ...]:
    """Folders of the primary's alternates."""
    primary = (policy.models or {}).get(PRIMARY)
    return (primary.alternates or ()) if primary else ()


def security_version(policy: Policy) -> int:
    """The policy's own: a device refuses an older one than it ran."""
    head = policy.policy
    return head.version if head.security_version is None else head.security_version


def admission_terms(document: PolicyDocument, *, base: Path) -> AdmissionTerms:
    """Who may sign the policy's models and calibration, what it asks of them, and what counts no more."""
    return terms(document.policy.admission or Admission(), base=base)


def terms(admission: Admission, *, base: Path) -> AdmissionTerms:
    """The section as plain values, with absolute paths."""
    require = admission.require
    return AdmissionTerms(
        signers=tuple(_signer(signer, base) for signer in admission.signers),
        security_version=require.security_version,
        assessment=_assessment(require.assessment),
        claims=_claims(require.claims),
        calibration_attested=require.calibration == "attested",
        post_quantum=require.post_quantum,
        revoked=frozenset(entry.sha256 for entry in admission.revoked),
        limits=_limits(admission.limits),
        clock=admission.clock,
        floor=require.floor,
        content_keys=tuple(_key_place(base, place) for place in admission.decrypt),
    )


def _signer(signer: Signer, base: Path) -> SignerTerm:
    second = signer.post_quantum

    def pin(file: str | None) -> Pin | None:
        return None if file is None else Pin(absolute(base, file), signer.sha256)

    return SignerTerm(
        key=pin(signer.key),
        authority=pin(signer.authority),
        keyless=pin(signer.keyless),
        identity=signer.identity or "",
        issuer=signer.issuer or "",
        signs=signer.signs or (),
        post_quantum=None if second is None else Pin(absolute(base, second.key), second.sha256),
    )


def _assessment(asked: Assessment | None) -> AssessmentTerm | None:
    if asked is None:
        return None
    return AssessmentTerm(asked.clean_accuracy, asked.robust_accuracy, asked.risk_at_most)


def _claims(asked: Claims | None) -> ClaimsTerm | None:
    if asked is None:
        return None
    return ClaimsTerm(asked.adversarial_training, asked.data_filtering, asked.ensemble, asked.epsilon_at_most)


def _limits(given: GraphLimits) -> Limits:
    usual = Limits()
    return Limits(
        nodes=usual.nodes if given.nodes is None else given.nodes,
        tensors=usual.tensors if given.tensors is None else given.tensors,
        memory=usual.memory if given.memory is None else given.memory,
        opset=usual.opset if given.opset is None else given.opset,
        operators=given.operators,
    )


def _key_place(base: Path, text: str) -> str:
    """A path, absolute also behind `tpm:`; what a PKCS#11 URI says is not a path."""
    if text.startswith("pkcs11:"):
        return text
    if text.startswith("tpm:"):
        return "tpm:" + absolute(base, text.removeprefix("tpm:"))
    return absolute(base, text)


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
