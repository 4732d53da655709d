"""What a device brings to every admission: what it remembers, how late it is, its secrets, and what it is.

Made once, at the start; the clock is read here and nowhere below. No policy is read here.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeguard.admission.reasons import refusal
from edgeguard.admission.store import no_secrets
from edgeguard.device.moment import moment

if TYPE_CHECKING:
    from edgeguard.admission import Floor, Moment
    from edgeguard.admission.bundle import Secrets
    from edgeguard.terms import AdmissionTerms

_STRENGTHS = ("optional", "memory", "file", "tpm")


@dataclass(frozen=True, slots=True)
class Device:
    """`wall`: Unix s, None: no clock. `floor` None: it remembers nothing. `platform`: such as `linux-aarch64`."""

    wall: float | None = None
    floor: Floor | None = None
    platform: str = ""
    open_secret: Callable[[str], bytes] | None = None
    """Gives the content key at a place that a policy names; None: there are none here."""

    @classmethod
    def here(cls, floor: Floor | None = None) -> Device:
        """This machine, now."""
        return cls(time.time(), floor, f"{sys.platform}-{platform.machine()}", _open_secret)

    def now(self, terms: AdmissionTerms | None = None) -> Moment | None:
        """How late it is, by the policy's `clock`; None: that is not known."""
        return moment(self.floor, terms.clock if terms else "system", self.wall)

    def at(self, place: str) -> int:
        """The newest version ever admitted in this place; 0: none, or nothing is remembered."""
        return self.floor.at(place) if self.floor else 0

    def check_memory(self, terms: AdmissionTerms, path: str) -> None:
        """Refuse where the policy asks for a better memory than there is.

        Raises:
            AdmissionError: `floor-weak`.
        """
        strength = self.floor.strength if self.floor else "optional"
        if _STRENGTHS.index(strength) < _STRENGTHS.index(terms.floor):
            raise refusal(
                "floor-weak",
                path,
                f"the policy asks for a floor of the kind `{terms.floor}`, and this device has "
                f"{'none' if self.floor is None else f'one of the kind `{strength}`'}: make one with "
                f"`edgeguard floor new STATE{' --tpm' if terms.floor == 'tpm' else ''}`, and name it with `--state`",
            )

    def secrets(self, terms: AdmissionTerms) -> Secrets:
        """The content keys of the policy's `decrypt`, each opened when it is first asked for."""
        if not terms.content_keys or self.open_secret is None:
            return no_secrets
        from edgeguard.admission.decryption import secrets_from  # noqa: PLC0415 - only encrypted bundles need it

        return secrets_from(terms.content_keys, self.open_secret)


def _open_secret(where: str) -> bytes:
    from edgeguard.keystores import open_secret  # noqa: PLC0415 - tokens are looked for only where a policy asks

    return open_secret(where)
