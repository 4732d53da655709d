"""The trust core: a chain of certificates in, the key that may sign and for whom out. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeguard.admission.reasons import refusal
from edgeguard.admission.trust import Grant

if TYPE_CHECKING:
    from edgeguard.admission.keys import PublicKey
    from edgeguard.admission.trust import Moment, TrustedAuthority


@dataclass(frozen=True, slots=True)
class Signatory:
    """A key that may sign, and why. `identity`: for whom its certificate is; empty for a key without one.

    `marks`: hex SHA-256 of every key (PEM) and certificate (DER) that this rests on.
    """

    key: PublicKey
    identity: str
    grant: Grant
    marks: frozenset[str]


def check_chain(
    chain: Sequence[bytes], authorities: Sequence[TrustedAuthority], path: str, now: Moment | None
) -> Signatory:
    """Check a chain (DER, the signer's own certificate first) up to one of the trusted authorities.

    Raises:
        AdmissionError: `certificate-malformed`, `certificate-untrusted`, `certificate-unfit`, `certificate-expired`,
            `certificate-not-yet-valid`, `clock-wrong` or `identity-mismatch`.
    """
    raise refusal("certificate-untrusted", path, "signed with a certificate, and no authority is trusted")
