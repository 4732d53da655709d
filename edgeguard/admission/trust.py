"""Whom a device believes, as loaded keys and certificates: the terms of a policy, or the options of a command.

Values only: what is decided with them is decided in the trust core. Nothing here opens a bundle or reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeguard.terms import AssessmentTerm, ClaimsTerm, Limits

if TYPE_CHECKING:
    from cryptography import x509

    from edgeguard.admission.keys import PublicKey
    from edgeguard.admission.post_quantum import PostQuantumKey


@dataclass(frozen=True, slots=True)
class Moment:
    """How late it is, as far as the device knows. `at`: Unix s."""

    at: float
    exact: bool = True
    """False: there is no clock, it is only known to be `at` or later. Then nothing is too early."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a trusted party may sign, and with what besides. The default: everything, with nothing."""

    signs: frozenset[str] = frozenset()
    """Some of `edgeguard.terms.SIGNABLE`; empty: everything."""
    post_quantum: PostQuantumKey | None = None


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key that may sign."""

    key: PublicKey
    grant: Grant = Grant()


@dataclass(frozen=True, slots=True)
class TrustedAuthority:
    """A root certificate under which certificates may sign; `identity`: for whom they must be, empty: for anybody."""

    certificate: x509.Certificate
    identity: str = ""
    grant: Grant = Grant()


@dataclass(frozen=True, slots=True)
class TrustedIdentity:
    """A person or machine that signs without a key of its own (Sigstore). `root`: a trusted root, JSON."""

    root: bytes
    identity: str
    issuer: str
    grant: Grant = Grant()


@dataclass(frozen=True, slots=True)
class Trust:
    """Everybody whose signature counts, and what counts no more. The default trusts nobody."""

    keys: tuple[TrustedKey, ...] = ()
    authorities: tuple[TrustedAuthority, ...] = ()
    identities: tuple[TrustedIdentity, ...] = ()
    revoked: frozenset[str] = frozenset()
    """Hex SHA-256 of public keys (PEM text), certificates (DER), bundles (root digest) and files."""
    post_quantum: bool = False
    """Every signature needs a second one with ML-DSA-65."""

    @classmethod
    def of(cls, keys: Iterable[PublicKey]) -> Trust:
        """Trust these keys for everything."""
        return cls(keys=tuple(TrustedKey(key) for key in keys))

    def __bool__(self) -> bool:
        return bool(self.keys or self.authorities or self.identities)


@dataclass(frozen=True, slots=True)
class Signatory:
    """A key that may sign, and why. `identity`: for whom its certificate is; empty for a key without one.

    `marks`: hex SHA-256 of every key (PEM) and certificate (DER) that this rests on.
    """

    key: PublicKey
    identity: str
    grant: Grant
    marks: frozenset[str]


@dataclass(frozen=True, slots=True)
class Demands:
    """What is asked of one bundle besides a signature. The default bounds its graph and asks nothing else."""

    role: str = ""
    """What the manifest must say it is; empty: anything."""
    security_version: int = 0
    """The policy's lowest."""
    floor: int = 0
    """The newest that this device ever admitted in this place."""
    pin: str = ""
    """Digest (hex) over names and contents of the one bundle that may stand here, whoever signed it, or nobody."""
    manifest: bytes = b""
    """An admitted `edgeguard.json` for a pinned bundle that has none; empty: the bundle's own."""
    assessment: AssessmentTerm | None = None
    claims: ClaimsTerm | None = None
    calibration_attested: bool = False
    limits: Limits = Limits()
    platform: str = ""
    """This device's, such as `linux-aarch64`; empty: not held against the manifest's."""
    revoked: frozenset[str] = frozenset()
    """As of `Trust`: a model made from a revoked bundle is revoked with it."""
