"""What `edgeguard verify` holds a bundle or file to: nothing but its signature, or all that a signed policy asks.

Only admission decides: this says who is trusted and what is asked, exactly as the guard's start does.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeguard.admission import (
    Demands,
    Moment,
    Trust,
    admit_bundle,
    admit_file,
    admit_models,
    load_trust,
)
from edgeguard.admission.loading import role_of
from edgeguard.errors import UsageError
from edgeguard.here import Device
from edgeguard.terms import SIGNABLE, AdmissionTerms

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedFile, AdmittedModel
    from edgeguard.program import ModelRef

FILES = ("calibration", "manifest", "policy")
"""Kinds of single files."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is asked. `place`: a bundle's place in the policy; None: there is no policy, and `trust` counts."""

    trust: Trust
    terms: AdmissionTerms
    now: Moment
    role: str = ""
    place: ModelRef | None = None

    def admit(self, path: Path) -> AdmittedModel | AdmittedFile:
        """Admit what lies at `path`.

        Raises:
            AdmissionError: with a reason, the offending file and what to do.
            UsageError: it is a file and the role a model's, or the other way round.
        """
        if not os.path.isdir(path):  # noqa: PTH112 - asks about any text, and never raises
            if self.role and self.role not in FILES:
                raise UsageError(
                    f"`{path}` is no folder: say what kind of file with `--role`, one of {', '.join(FILES)}"
                )
            return admit_file(path, self.trust, kind=self.role, now=self.now)
        if self.role in FILES:
            raise UsageError(f"`{path}` is a folder: `--role {self.role}` is for a file")
        secrets = Device.here().secrets(self.terms)
        if self.place is None:
            demands = Demands(
                role=role_of(self.role) if self.role else "", security_version=self.terms.security_version
            )
            return admit_bundle(path, self.trust, demands, now=self.now, secrets=secrets)
        ref = dataclasses.replace(self.place, path=str(path))
        return admit_models([ref], self.terms, now=self.now, secrets=secrets)[ref.role]


def held_to_nothing(trust: Trust, role: str, now: Moment) -> Held:
    """A good signature of somebody trusted, and a sound bundle; `role`: one of `SIGNABLE`, or empty for any.

    Raises:
        UsageError: there is no such role.
    """
    if role and role not in SIGNABLE:
        raise UsageError(f"`--role {role}`: without a policy it is one of {', '.join(SIGNABLE)}")
    return Held(trust, AdmissionTerms(), now, role)


def held_to_policy(policy: Path, trust: Trust, role: str, now: Moment) -> Held:
    """All that the policy asks of what stands in the place `role`; empty: its only model.

    The policy is admitted first. Its calibration is not looked at, and no floor is: they are the device's.

    Raises:
        AdmissionError: the policy is not signed by somebody trusted, or a key is not the pinned one.
        PolicyError: it is not valid.
        UsageError: it has no such place.
    """
    from edgeguard.policy.deployment import admission_terms, model_refs
    from edgeguard.policy.document import parse

    document = parse(admit_file(policy, trust, kind="policy", now=now).data, file=str(policy))
    terms = admission_terms(document, base=policy.parent)
    if role in FILES:
        return Held(load_trust(terms), terms, now, role)
    places = {ref.role: ref for ref in model_refs(document, base=policy.parent)}
    if not role and len(places) == 1:
        role = next(iter(places))
    if role not in places:
        said = f"has no model `{role}`" if role else "has several models"
        raise UsageError(f"`{policy}` {said}: name one with `--role`: {', '.join(places)}")
    return Held(load_trust(terms), terms, now, role, places[role])
