"""What a published policy names and the repository does not offer: no device could install it. Only warns.

A file is offered by its name in `models/`, `policies/` or `keys/`, side by side on the device as on the desk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeguard.delivery.roles import device_of, prefix_of

if TYPE_CHECKING:
    from edgeguard.delivery.repository import Repository

_POLICY = (".yaml", ".yml")


def not_offered(repository: Repository, paths: Sequence[Path], device: str) -> list[str]:
    """A line for each file or bundle that a policy among `paths` names and that is not offered to `device`, or to all.

    Raises:
        PolicyError: a policy is not valid.
    """
    offered = set(_offered(repository, device))
    return [
        f"policies/{path.name} names {name}, which is not offered: add it, or no device can install this"
        for path in paths
        if path.suffix in _POLICY
        for name in _named(path)
        if not any(there == name or there.startswith(f"{name}/") for there in offered)
    ]


def _named(path: Path) -> list[str]:
    """What a policy needs beside it, relative to the folder above its own."""
    from edgeguard.policy import admission_terms, check_policy, model_refs
    from edgeguard.policy.load import calibration_path

    base = path.resolve().parent
    document = check_policy(path)
    calibration = calibration_path(document, base=base)
    places = [] if calibration is None else [str(calibration)]
    for ref in model_refs(document, base=base):
        places += [ref.path, *([ref.manifest] if ref.manifest else [])]
    for term in admission_terms(document, base=base).signers:
        pins = (term.key, term.authority, term.keyless, term.post_quantum)
        places += [pin.path for pin in pins if pin is not None]
    return [os.path.relpath(place, base.parent) for place in dict.fromkeys(places)]


def _offered(repository: Repository, device: str) -> Iterator[str]:
    for role in repository.offering():
        if device_of(role) in ("", device):
            yield from (name.removeprefix(prefix_of(role)) for name in repository.newest(role).signed.targets)
