"""What a verified repository offers to one device: names and digests, each name held to admission's own rules.

Which names there are is read from the client's store; what they are only ever comes from python-tuf.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeguard.admission.reasons import refusal, shown
from edgeguard.admission.statement import MAX_FILES, folder_statement
from edgeguard.admission.store import MAX_BUNDLE_BYTES
from edgeguard.delivery.roles import OFFERING, device_role, prefix_of, unit_of
from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata, TargetFile
    from tuf.ngclient import Updater

_ANY = "0" * 64
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Offered:
    """One file. `name`: where it goes on the device, below the folder of the release."""

    name: str
    target: TargetFile


def check_names(names: Iterable[str], where: str) -> None:
    """Hold names to the rules of a signed statement: none leaves the folder, no two are one file anywhere.

    Raises:
        AdmissionError: `name-unsafe`, `name-duplicate`, `too-large` for too many.
    """
    chosen = list(names)
    if len(chosen) > MAX_FILES:
        raise refusal("too-large", where, f"it has {len(chosen)} files, more than {MAX_FILES}: remove some")
    folder_statement(dict.fromkeys(chosen, _ANY), where)
    for name in chosen:
        if len(name.encode()) > 400 or any(len(part.encode()) > 200 for part in name.split("/")):
            raise refusal("name-unsafe", where, f"the name `{shown(name)}` is too long: rename the file")


def refresh(updater: Updater, device: str) -> None:
    """Bring the client's store up to date, for the roles of this device and no others."""
    updater.refresh()
    prefixes = ["", prefix_of(device_role(device))] if device else [""]
    for prefix in prefixes:
        for probe in ("models/any/any", "policies/any"):
            updater.get_targetinfo(f"{prefix}{probe}")


def offered(updater: Updater, store: Path, device: str) -> tuple[Offered, ...]:
    """Every file that is offered to this device. What a role of its own offers stands in place of what all are offered.

    Raises:
        AdmissionError: a name is unsafe, a role names what it may not, a file is too large or has no SHA-256, or there
            is nothing.
    """
    own = _of_role(updater, store, device_role(device)) if device else []
    units = {unit_of(file.name) for file in own}
    shared = [file for role in OFFERING for file in _of_role(updater, store, role)]
    files = [*own, *(file for file in shared if unit_of(file.name) not in units)]
    if not files:
        raise refusal(
            "file-missing",
            str(store),
            f"the repository offers nothing{f' to `{device}`' if device else ''}: have something added to it",
        )
    check_names([file.name for file in files], "the repository's offer")
    for file in files:
        if set(file.target.hashes) != {"sha256"} or not _DIGEST.fullmatch(file.target.hashes["sha256"]):
            raise refusal(
                "metadata-invalid",
                shown(file.name),
                "it is not named by its SHA-256 alone: have it added with `edgeguard publish add`",
            )
        if file.target.length > MAX_BUNDLE_BYTES:
            raise refusal(
                "too-large", shown(file.name), f"it has more than {MAX_BUNDLE_BYTES} bytes: check the file"
            )
    return tuple(sorted(files, key=lambda file: file.name))


def delegated(store: Path) -> Sequence[str]:
    """The roles that the verified targets delegate to."""
    delegations = _local(store, "targets").signed.delegations
    return list(delegations.roles or {}) if delegations is not None else []


def _of_role(updater: Updater, store: Path, role: str) -> list[Offered]:
    if role not in delegated(store):
        return []
    prefix = prefix_of(role)
    found = []
    for path in _local(store, role).signed.targets:
        target = updater.get_targetinfo(path) if path.startswith(prefix) else None
        if target is None or target.path != path:
            raise refusal(
                "signer-not-allowed",
                shown(path),
                f"the role `{role}` names this, which is not its to offer: have it removed from that role",
            )
        found.append(Offered(path.removeprefix(prefix), target))
    return found


def expiries(store: Path, device: str) -> list[tuple[str, float]]:
    """When the verified metadata that this device uses expires, by role. Unix s."""
    roles = [
        "root",
        "timestamp",
        "snapshot",
        "targets",
        *OFFERING,
        *([device_role(device)] if device else []),
    ]
    there = [*roles[:4], *(role for role in roles[4:] if role in delegated(store))]
    return [(role, _local(store, role).signed.expires.timestamp()) for role in there]


def _local(store: Path, role: str) -> Metadata[Any]:
    from tuf.api.metadata import Metadata  # noqa: PLC0415 - a publisher's names are checked without it

    try:
        return Metadata.from_bytes((store / f"{role}.json").read_bytes())
    except OSError as error:
        raise UsageError(
            f"cannot read `{store / role}.json`: {(error.strerror or 'unknown').lower()}; run it again"
        ) from None
