"""Whom and what a device admits, as tables for a reviewer: who may sign what, what is required, what is revoked.

Reads a compiled policy and its document, as `facts` does; formats nothing for any medium, and opens no key.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from edgeguard.desk.page.facts import Cell, Code, Sheet, number
from edgeguard.policy import DraftPolicy
from edgeguard.policy.units import memory_text
from edgeguard.program import Program
from edgeguard.terms import AdmissionTerms, AssessmentTerm, ClaimsTerm, Pin, SignerTerm

_KINDS = ("key", "authority", "keyless")
_FLOORS = {"file": "a file or better", "tpm": "a TPM"}


def sheets(draft: DraftPolicy) -> tuple[Sheet, ...]:
    """Those tables that the policy has rows for."""
    found = (signers(draft.program), required(draft.program), revoked(draft))
    return tuple(sheet for sheet in found if sheet.rows)


def signers(program: Program) -> Sheet:
    """Who may sign what."""
    terms = program.admission
    about = "Whose signatures count. Each file must hold what its SHA-256 says."
    if terms.post_quantum:
        about += " Every signature needs a second one with ML-DSA-65."
    columns: tuple[str, ...] = ("signer", "file", "SHA-256", "for whom", "may sign")
    if any(signer.post_quantum for signer in terms.signers):
        columns += ("second key", "SHA-256 of the second key")
    rows = tuple(_signer(signer)[: len(columns)] for signer in terms.signers)
    return Sheet("signers", "Signers", about, columns, rows)


def _signer(signer: SignerTerm) -> tuple[Cell, ...]:
    kind, pin = next((kind, pin) for kind in _KINDS if (pin := getattr(signer, kind)) is not None)
    second = signer.post_quantum
    return (
        kind,
        _file(pin),
        Code(pin.sha256),
        _whom(kind, signer),
        ", ".join(signer.signs) or "everything",
        _file(second) if second else "",
        Code(second.sha256) if second else "",
    )


def _whom(kind: str, signer: SignerTerm) -> Cell:
    if kind == "key":
        return "who holds the key"
    if not signer.identity:
        return "anybody with a certificate"
    return f"{signer.identity}, says {signer.issuer}" if signer.issuer else signer.identity


def _file(pin: Pin) -> Cell:
    return Code(PurePath(pin.path).name)


def required(program: Program) -> Sheet:
    """What is asked of every bundle."""
    rows = tuple(_asked(program.admission)) if program.models or program.calibration else ()
    about = "What every bundle must state, and be, to be admitted."
    return Sheet("required", "Required of every bundle", about, ("asked", "value"), rows)


def _asked(terms: AdmissionTerms) -> Iterator[tuple[Cell, ...]]:
    limits, (low, high) = terms.limits, terms.limits.opset
    rows = (
        ("security version", f"at least {terms.security_version}"),
        *_figures(terms.assessment or AssessmentTerm()),
        *_claimed(terms.claims or ClaimsTerm()),
        ("calibration", "attested" if terms.calibration_attested else ""),
        ("second signature", "with ML-DSA-65" if terms.post_quantum else ""),
        ("newest versions remembered by", _FLOORS.get(terms.floor, "")),
        ("clock", "none: only signed times tell how late it is at least" if terms.clock == "none" else ""),
        ("graph", f"at most {limits.nodes} nodes, {limits.tensors} tensors and {memory_text(limits.memory)}"),
        ("operators", f"versions {low} to {high} of the standard ones"),
        ("operators besides", ", ".join(limits.operators)),
        ("encrypted bundles", _places(len(terms.content_keys))),
    )
    return (row for row in rows if row[1])


def _figures(asked: AssessmentTerm) -> tuple[tuple[Cell, Cell], ...]:
    return (
        ("assessed accuracy on clean pictures", _share("at least", asked.clean_accuracy)),
        ("assessed accuracy under attack", _share("at least", asked.robust_accuracy)),
        ("assessed risk", _share("at most", asked.risk_at_most)),
    )


def _claimed(asked: ClaimsTerm) -> tuple[tuple[Cell, Cell], ...]:
    budget = asked.epsilon_at_most
    return (
        ("adversarial training", "claimed" if asked.adversarial_training else ""),
        ("filtered training data", "claimed" if asked.data_filtering else ""),
        ("ensemble", "claimed" if asked.ensemble else ""),
        ("differential privacy", "" if budget is None else f"epsilon at most {number(budget)}"),
    )


def _share(bound: str, value: float | None) -> Cell:
    return "" if value is None else f"{bound} {number(value * 100)} %"


def _places(count: int) -> Cell:
    return "" if count == 0 else f"decrypted with keys from {count} {'place' if count == 1 else 'places'}"


def revoked(draft: DraftPolicy) -> Sheet:
    """What counts no more."""
    admission = draft.document.policy.admission
    return Sheet(
        "revoked",
        "Revoked",
        "Keys, certificates, bundles and files that count no more, whoever signed them.",
        ("SHA-256", "note"),
        tuple((Code(entry.sha256), entry.note or "") for entry in (admission.revoked if admission else ())),
    )
