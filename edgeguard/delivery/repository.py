"""A repository as a folder: what is published, what is staged for signing, and how far its signatures go.

    REPO/metadata/   what devices read: N.ROLE.json and timestamp.json
    REPO/targets/    the files, each under its digest
    REPO/staged/     what still lacks signatures: ROLE.json; travels from signer to signer

Reads and writes metadata; decides nothing and signs nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets

from edgeguard.admission.reasons import refusal
from edgeguard.delivery.disk import write_whole
from edgeguard.delivery.roles import TOP
from edgeguard.disk import sync_folder
from edgeguard.errors import UsageError

LARGEST = 5_000_000
"""Bytes of one metadata file, as a device's client takes at most."""
_VERSIONED = re.compile(r"([0-9]{1,9})\.([a-z0-9-]{1,80})\.json")


@dataclass(frozen=True, slots=True)
class Signed:
    """How far the signatures of one role go. `signed` of `needed`; a new root needs both the old and the new keys."""

    role: str
    version: int
    signed: int
    needed: int
    staged: bool
    expires: float
    """Unix s."""

    @property
    def missing(self) -> int:
        """How many signatures are still to be made."""
        return max(0, self.needed - self.signed)


@dataclass(frozen=True, slots=True)
class Repository:
    """The folder of a publisher."""

    folder: Path

    @property
    def metadata(self) -> Path:
        """What devices read."""
        return self.folder / "metadata"

    @property
    def staged_folder(self) -> Path:
        """What still lacks signatures."""
        return self.folder / "staged"

    def make(self) -> None:
        """Make the folders of a new repository. Raises: UsageError, there is something already."""
        try:
            if self.folder.exists() and any(self.folder.iterdir()):
                raise UsageError(f"`{self.folder}` exists and is not empty: name a new folder")
            for name in ("metadata", "targets", "staged"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot make `{self.folder}`: {why(error)}; check the folder") from None

    def versions(self) -> dict[str, int]:
        """The newest published version of every role but the timestamp."""
        found: dict[str, int] = {}
        for name in _names(self.metadata):
            if match := _VERSIONED.fullmatch(name):
                found[match[2]] = max(int(match[1]), found.get(match[2], 0))
        return found

    def published(self, role: str) -> Metadata[Any] | None:
        """The newest published metadata of a role; None: there is none yet."""
        version = self.versions().get(role)
        if role == "timestamp":
            place = self.metadata / "timestamp.json"
            return read_metadata(place, role) if place.exists() else None
        return None if version is None else read_metadata(self.metadata / f"{version}.{role}.json", role)

    def staged(self, role: str) -> Metadata[Any] | None:
        """What is staged for a role; None: nothing, or only what was published already when the power failed."""
        place = self.staged_folder / f"{role}.json"
        if not place.exists():
            return None
        found = read_metadata(place, role)
        return found if found.signed.version > self.versions().get(role, 0) else None

    def staged_roles(self) -> list[str]:
        """The roles that have something staged, root first."""
        _names(self.staged_folder)
        roles = ["root", "targets", *sorted(self.offering())]
        return [role for role in roles if self.staged(role) is not None]

    def newest(self, role: str) -> Metadata[Any]:
        """What is staged for a role, or else published. Raises: UsageError, neither is there."""
        found = self.staged(role) or self.published(role)
        if found is None:
            raise UsageError(
                f"`{self.folder}` has no role `{role}`: check the path, or add it with `edgeguard publish keys`"
            )
        return found

    def root(self) -> Root:
        """The newest root, signed or not."""
        return cast("Root", self.newest("root").signed)

    def targets(self) -> Targets:
        """The newest top-level targets, signed or not."""
        return cast("Targets", self.newest("targets").signed)

    def offering(self) -> list[str]:
        """The roles that are delegated to, signed or not."""
        delegations = self.targets().delegations
        return [] if delegations is None else list(delegations.roles or {})

    def stage(self, role: str, metadata: Metadata[Any]) -> None:
        """Write staged metadata, whole or not at all. Raises: UsageError, it is more than a device takes."""
        data = metadata.to_bytes()
        if len(data) > LARGEST:
            raise UsageError(
                f"`{role}` would have {len(data)} bytes, more than {LARGEST}: offer less in one repository"
            )
        write_whole(self.staged_folder / f"{role}.json", data)

    def unstage(self, role: str) -> None:
        """Forget what is staged for a role."""
        (self.staged_folder / f"{role}.json").unlink(missing_ok=True)
        sync_folder(self.staged_folder)

    def progress(self, role: str) -> Signed:
        """How far the signatures of the newest metadata of a role go, by the newest keys."""
        staged = self.staged(role)
        metadata = staged or self.newest(role)
        signed, payload = metadata.signed, metadata.signed_bytes
        if role == "root":
            before = self.published("root") if staged else None
            previous = cast("Root", before.signed) if before else None
            if previous is not None and signed.version != previous.version + 1:
                raise refusal(
                    "metadata-invalid",
                    str(self.staged_folder / "root.json"),
                    f"it is version {signed.version} and not the one after {previous.version}: remove it, make it anew",
                )
            both = cast("Root", signed).get_root_verification_result(previous, payload, metadata.signatures)
            halves = (both.first, both.second)
            missing = max(half.missing for half in halves)
            needed = max(half.threshold for half in halves)
            have = needed - missing
        else:
            delegator = self.root() if role in ("targets", "snapshot", "timestamp") else self.targets()
            result = delegator.get_verification_result(role, payload, metadata.signatures)
            have, needed = len(result.signed), result.threshold
        expires = signed.expires.timestamp()
        return Signed(role, signed.version, have, needed, staged is not None, expires)

    def changes(self, role: str) -> list[str]:
        """What an offering role names: `+` and `-` for what is staged, a digest for every file."""

        def named(metadata: Metadata[Any] | None) -> dict[str, str]:
            targets = metadata.signed.targets if metadata else {}
            return {path: target.hashes["sha256"] for path, target in targets.items()}

        before, after = named(self.published(role)), named(self.newest(role))
        gone = [f"- {path}" for path in before if path not in after]
        there = [f"{' ' if before.get(path) == after[path] else '+'} {path} {after[path]}" for path in after]
        return sorted([*gone, *there], key=lambda line: line[2:])

    def counts(self, role: str) -> set[str]:
        """The ids of the keys whose signatures count for what is staged for a role."""
        if role == "root":
            before = self.published("root")
            roots = [self.root(), *([cast("Root", before.signed)] if before else [])]
            return {keyid for root in roots for keyid in root.roles["root"].keyids}
        delegator = self.root() if role in ("targets", "snapshot", "timestamp") else self.targets()
        return set(delegator.get_delegated_role(role).keyids)


def read_metadata(path: Path, role: str) -> Metadata[Any]:
    """Read the metadata of a role.

    Raises:
        UsageError: it cannot be read.
        AdmissionError: `metadata-invalid`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"cannot read `{path}`: {why(error)}; check the repository") from None
    found: Metadata[Any] | None
    try:
        found = Metadata.from_bytes(data if len(data) <= LARGEST else b"")
    except RepositoryError:
        found = None
    if found is None or found.signed.type != (role if role in TOP else "targets"):
        raise refusal(
            "metadata-invalid", str(path), "this is no metadata of a repository: put the right file back"
        )
    return found


def why(error: OSError) -> str:
    """What the system says, in lower case."""
    return (error.strerror or "input/output error").lower()


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError as error:
        raise UsageError(
            f"cannot read `{folder}`: {why(error)}; name the folder that `edgeguard publish new` made"
        ) from None
