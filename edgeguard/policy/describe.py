"""A program as plain JSON values, for tables, reports and documents. Reads a program, computes nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from edgeguard.decision.table import RuleRow, Span
from edgeguard.policy.units import span_text
from edgeguard.program import ActuatorLimit, Microcontroller, Program, SignalSpec, WorkerSpec
from edgeguard.terms import AdmissionTerms, SignerTerm

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]


def describe(program: Program) -> dict[str, Json]:
    """Everything a reader wants to know about `program`. Open ends and unlimited rates are None; times in s."""
    return {
        "name": program.name,
        "version": program.version,
        "digest": program.digest,
        "period": program.period,
        "ftti": program.ftti,
        "lockout_after": program.table.lockout_after,
        "models": [
            {
                "role": m.role,
                "path": m.path,
                "backend": m.backend,
                "cpu_fallback": m.cpu_fallback,
                "pin": m.pin or None,
                "manifest": m.manifest or None,
            }
            for m in program.models
        ],
        "admission": _admission(program.admission),
        "switch": None if program.switch is None else program.switch.every,
        "workers": [_worker(spec) for spec in program.workers],
        "schedule": [
            {"signal": s.name, "every": s.every, "offset": s.offset, "background": s.background}
            for s in program.schedule
        ],
        "signals": [_signal(spec) for spec in program.signals],
        "thresholds": dict(program.thresholds),
        "rules": [_rule(row, program.signals) for row in program.table.rules],
        "fallback": [
            {"line": row.line, "when": row.text, "command": dict(row.command.values)}
            for row in program.fallback
        ],
        "envelope": [actuator(limit) for limit in program.envelope],
        "handover": [{"after": after, "alert": alert} for after, alert in program.handover],
        "link": None
        if program.link is None
        else {
            "port": program.link.port,
            "baud": program.link.baud,
            "heartbeat": program.link.heartbeat,
            "lost_after": program.link.lost_after,
        },
        "microcontroller": _microcontroller(program.microcontroller),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _span(value: Span) -> dict[str, Json]:
    return {"frames": value.frames, "seconds": value.seconds, "text": span_text(value)}


def _signal(spec: SignalSpec) -> dict[str, Json]:
    return {
        "name": spec.name,
        "source": spec.source,
        "unit": spec.unit,
        "low": _finite(spec.low),
        "high": _finite(spec.high),
        "max_age": spec.max_age,
        "on_fault": spec.on_fault.name.lower(),
        "line": spec.line,
    }


def _admission(terms: AdmissionTerms) -> dict[str, Json]:
    asked, claims, limits = terms.assessment, terms.claims, terms.limits
    return {
        "signers": [_signer(signer) for signer in terms.signers],
        "security_version": terms.security_version,
        "assessment": None if asked is None else asdict(asked),
        "claims": None if claims is None else asdict(claims),
        "calibration_attested": terms.calibration_attested,
        "post_quantum": terms.post_quantum,
        "floor": terms.floor,
        "clock": terms.clock,
        "revoked": sorted(terms.revoked),
        "limits": {**asdict(limits), "opset": list(limits.opset), "operators": list(limits.operators)},
        "content_keys": list(terms.content_keys),
    }


def _signer(signer: SignerTerm) -> dict[str, Json]:
    pins = {"key": signer.key, "authority": signer.authority, "keyless": signer.keyless}
    return {
        **{name: None if pin is None else asdict(pin) for name, pin in pins.items()},
        "identity": signer.identity or None,
        "issuer": signer.issuer or None,
        "signs": list(signer.signs) or None,
        "post_quantum": asdict(signer.post_quantum) if signer.post_quantum else None,
    }


def _worker(spec: WorkerSpec) -> dict[str, Json]:
    return {
        "name": spec.name,
        "looks": list(spec.looks),
        "sandbox": spec.sandbox,
        "memory": spec.memory,
        "gpu": spec.gpu,
        "deadline": spec.deadline,
    }


def _rule(row: RuleRow, signals: Sequence[SignalSpec]) -> dict[str, Json]:
    return {
        "id": row.id,
        "line": row.line,
        "when": row.text,
        "then": row.then.name.lower(),
        "for": _span(row.hold),
        "clear": {"when": row.clear_text, "for": _span(row.clear), "latch": row.latch},
        "within": row.within or None,
        "otherwise": row.otherwise.name.lower() if row.within else None,
        "reads": [signals[i].name for i in row.reads],
        "thresholds": list(row.thresholds),
    }


def actuator(limit: ActuatorLimit) -> dict[str, Json]:
    """The envelope of one actuator; rates without a limit are None."""
    return {
        "name": limit.name,
        "min": limit.low,
        "max": limit.high,
        "rise": _finite(limit.rise),
        "fall": _finite(limit.fall),
        "safe": limit.safe,
        "authority": limit.authority.name.lower(),
        "feedback": None
        if limit.feedback is None
        else {"lead": limit.feedback.lead, "max_age": limit.feedback.max_age},
    }


def _microcontroller(own: Microcontroller) -> dict[str, Json]:
    return {
        "stop": own.stop,
        "sensors": [
            {"name": s.name, "low": s.low, "high": s.high, "max_age": s.max_age} for s in own.sensors
        ],
        "fallback": [
            {"line": rule.line, "when": rule.text, "command": dict(rule.command.values)} for rule in own.rules
        ],
    }
