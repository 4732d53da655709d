"""The trust core: what a manifest states against what is asked of it. No I/O, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeguard.admission.reasons import refusal

if TYPE_CHECKING:
    from edgeguard.admission.manifest import Manifest
    from edgeguard.admission.trust import Demands, Moment


def check_demands(manifest: Manifest, demands: Demands, path: str, now: Moment | None) -> None:
    """Refuse a bundle whose manifest does not meet the demands. `path`: of the manifest, for messages.

    Raises:
        AdmissionError: `rollback`, `wrong-role`, `revoked`, `expired`, `not-yet-valid`, `clock-wrong`, `wrong-device`,
            `attestation-missing` or `attestation-below`.
    """
    if manifest.security_version < demands.security_version:
        raise refusal(
            "rollback",
            path,
            f"its security_version is {manifest.security_version}, the policy requires at least "
            f"{demands.security_version}: install a newer bundle",
        )
    if manifest.security_version < demands.floor:
        raise refusal(
            "rollback",
            path,
            f"its security_version is {manifest.security_version}, this device ran {demands.floor} already: install a "
            "newer bundle",
        )
