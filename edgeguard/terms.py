"""What a policy asks of everything that is to be admitted, who may sign what, and what a model must be.

Standard library only: the policy writes these terms, admission holds bundles to them, and neither imports the other.
"""

from __future__ import annotations

from dataclasses import dataclass

ROLES = ("primary", "redundant", "filter", "fused")
"""What a model can be in a bundle's manifest."""
SIGNABLE = (*ROLES, "calibration", "manifest", "policy")
"""What a signer can be limited to: models by the role in their manifest, and single files by their kind."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A file by absolute path and what it must hold: the file itself is not signed. `sha256`: hex."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class SignerTerm:
    """Somebody who may sign. One of `key`, `authority` and `keyless` is set."""

    key: Pin | None = None
    """A public key (PEM); pinned by the SHA-256 of its PEM text."""
    authority: Pin | None = None
    """A root certificate (PEM); pinned by the SHA-256 of its DER bytes."""
    keyless: Pin | None = None
    """A Sigstore trusted root (JSON); pinned by the SHA-256 of the file."""
    identity: str = ""
    """Of `authority` and `keyless`: who the certificate must be for (e-mail, URI, DNS name or common name)."""
    issuer: str = ""
    """Of `keyless`: who must have vouched for that identity (the OpenID issuer's URL)."""
    signs: tuple[str, ...] = ()
    """Some of `SIGNABLE`; empty: everything."""
    post_quantum: Pin | None = None
    """An ML-DSA-65 public key (PEM) that signs besides; pinned like `key`."""


@dataclass(frozen=True, slots=True)
class AssessmentTerm:
    """Bounds on the figures that a bundle's signed assessment states. None: not asked for.

    Held against every model that answers. A filter gives no answer that could be wrong: `qualification` bounds it.
    """

    clean_accuracy: float | None = None
    """At least, 0 to 1."""
    robust_accuracy: float | None = None
    """At least, 0 to 1."""
    risk_at_most: float | None = None
    """At most, 0 to 1."""


@dataclass(frozen=True, slots=True)
class ClaimsTerm:
    """What a bundle must claim of its training. False and None: not asked for."""

    adversarial_training: bool = False
    data_filtering: bool = False
    ensemble: bool = False
    epsilon_at_most: float | None = None
    """Largest differential-privacy budget."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model's graph may be, before any engine sees it."""

    nodes: int = 20_000
    tensors: int = 50_000
    memory: int = 1024**3
    """Bytes of all tensors that are computed for one picture, without the weights."""
    opset: tuple[int, int] = (7, 24)
    """Lowest and highest version of the standard operators."""
    operators: tuple[str, ...] = ()
    """Allowed besides the known ones, as `Name` or `domain::Name`; their memory is not known."""


@dataclass(frozen=True, slots=True)
class AdmissionTerms:
    """The whole of a policy's `admission:`. The default admits nothing, because nobody may sign."""

    signers: tuple[SignerTerm, ...] = ()
    security_version: int = 0
    """The lowest that is admitted."""
    assessment: AssessmentTerm | None = None
    claims: ClaimsTerm | None = None
    calibration_attested: bool = False
    """A bundle's manifest must attest its calibration."""
    post_quantum: bool = False
    """Every signature needs a second one with ML-DSA-65."""
    revoked: frozenset[str] = frozenset()
    """Hex SHA-256 of keys, certificates (DER), bundles (root) and files that count no more."""
    limits: Limits = Limits()
    clock: str = "system"
    """`system`, or `none`: the device has no clock, and only signed times tell how late it is at least."""
    floor: str = "optional"
    """What must remember the newest admitted versions: `optional`, `file` (or better), `tpm`."""
    content_keys: tuple[str, ...] = ()
    """Where the keys of encrypted bundles are: absolute paths, `tpm:PATH` or `pkcs11:...`."""
