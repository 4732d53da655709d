"""The sections of a policy about whose word counts, for what, and what it must say, as strict, frozen models.

Kinds and bounds of single values only, as in `schema`; what they say together is checked in `signers`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgeguard.policy.fields import (
    Bound,
    Digest,
    KeyPlace,
    Operator,
    Opset,
    TensorMemory,
    Text,
    Toggle,
)
from edgeguard.policy.running import Section

Signable = Literal["primary", "redundant", "filter", "fused", "calibration", "manifest"]
"""`edgeguard.terms.SIGNABLE` without the policy: whose policies count is said on the device, never in one."""


class SecondKey(Section):
    """An ML-DSA-65 public key file, relative to the policy file, and what it must hold."""

    key: Text
    sha256: Digest


class Signer(Section):
    """One key, authority or identity: a file, relative to the policy file, and what it must hold: it is not signed."""

    key: Text | None = None
    authority: Text | None = None
    keyless: Text | None = None
    sha256: Digest
    identity: Text | None = None
    issuer: Text | None = None
    signs: Annotated[tuple[Signable, ...], Field(min_length=1, max_length=16)] | None = None
    post_quantum: SecondKey | None = None


class Assessment(Section):
    """Bounds on what a bundle's signed assessment states."""

    clean_accuracy: Bound | None = None
    robust_accuracy: Bound | None = None
    risk_at_most: Bound | None = None


class Claims(Section):
    """What a bundle must claim of its training."""

    adversarial_training: Toggle = False
    data_filtering: Toggle = False
    ensemble: Toggle = False
    epsilon_at_most: Annotated[float, Field(ge=0)] | None = None


class Required(Section):
    """What a bundle must state, and what must vouch for it, to be admitted."""

    security_version: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    assessment: Assessment | None = None
    claims: Claims | None = None
    calibration: Literal["attested"] | None = None
    post_quantum: Toggle = False
    floor: Literal["optional", "file", "tpm"] = "optional"


class Revocation(Section):
    """A key, certificate, bundle or file that counts no more."""

    sha256: Digest
    note: Text | None = None


class GraphLimits(Section):
    """What a model's graph may be, before any engine sees it. What is left out is as `edgeguard.terms.Limits` says."""

    nodes: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    tensors: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    memory: TensorMemory | None = None
    opset: Opset | None = None
    operators: Annotated[tuple[Operator, ...], Field(max_length=256)] = ()


class Admission(Section):
    """Whose signatures count for models and calibration, what is required of them, and what counts no more."""

    signers: Annotated[tuple[Signer, ...], Field(max_length=32)] = ()
    require: Required = Required()
    clock: Literal["system", "none"] = "system"
    revoked: Annotated[tuple[Revocation, ...], Field(max_length=1024)] = ()
    limits: GraphLimits = GraphLimits()
    decrypt: Annotated[tuple[KeyPlace, ...], Field(max_length=32)] = ()
