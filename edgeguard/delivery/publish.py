"""From staged to published: signatures one after another, then one release that devices see as a whole.

Nothing is published below its threshold. The timestamp is written last: until then a device sees the old release.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Metadata, MetaFile, Snapshot, Timestamp

from edgeguard.admission.keys import SigningKey
from edgeguard.admission.reasons import refusal, shown
from edgeguard.delivery.disk import write_whole
from edgeguard.delivery.plan import DAYS, DEFAULT_DAYS, moment_after
from edgeguard.delivery.repository import Repository, Signed
from edgeguard.delivery.signing import TufSigner
from edgeguard.errors import UsageError

_ONLINE = ("snapshot", "timestamp")


def sign(repository: Repository, keys: Sequence[SigningKey]) -> list[Signed]:
    """Add the signatures of these keys to everything staged that they count for. Returns how far each role is.

    Raises:
        UsageError: nothing is staged, or a key counts for nothing of it.
    """
    roles = repository.staged_roles()
    if not roles:
        raise UsageError(
            f"nothing in `{repository.folder}` waits for signatures: see `edgeguard publish show`"
        )
    for key in keys:
        signer = TufSigner(key)
        wanted = [role for role in roles if signer.public_key.keyid in repository.counts(role)]
        if not wanted:
            raise UsageError(
                f"the key `{key.public().hint[:16]}…` signs for none of {', '.join(roles)}: see "
                "`edgeguard publish show`"
            )
        for role in wanted:
            metadata = repository.newest(role)
            metadata.sign(signer, append=True)
            repository.stage(role, metadata)
    return [repository.progress(role) for role in roles]


def release(repository: Repository, keys: Sequence[SigningKey], now: float) -> list[Signed]:
    """Publish everything that is staged, with a new snapshot and timestamp signed by `keys`. Returns every role.

    Raises:
        AdmissionError: `below-threshold`, a role lacks signatures; `file-missing`, `digest-mismatch`, a file that is to
            be offered is not there. Nothing was published then.
    """
    staged = repository.staged_roles()
    every = ["root", "targets", *repository.offering()]
    for role in every:
        _check(repository, repository.progress(role))
    for role in staged:
        _check_files(repository, role)
    snapshot = _snapshot(repository, every, keys, now)
    timestamp = _timestamp(repository, snapshot, keys, now)
    for role in staged:
        metadata = repository.newest(role)
        write_whole(repository.metadata / f"{metadata.signed.version}.{role}.json", metadata.to_bytes())
    write_whole(repository.metadata / f"{snapshot.signed.version}.snapshot.json", snapshot.to_bytes())
    write_whole(repository.metadata / "timestamp.json", timestamp.to_bytes())
    for role in staged:
        repository.unstage(role)
    return [repository.progress(role) for role in (*every, *_ONLINE)]


def renew_timestamp(repository: Repository, keys: Sequence[SigningKey], now: float) -> Signed:
    """Sign the timestamp of the published release anew, so that devices see that it is still the newest.

    Raises:
        UsageError: nothing was published yet.
        AdmissionError: `below-threshold`.
    """
    snapshot = repository.published("snapshot")
    if snapshot is None:
        raise UsageError(
            f"`{repository.folder}` has no release yet: make one with `edgeguard publish release`"
        )
    timestamp = _timestamp(repository, snapshot, keys, now)
    write_whole(repository.metadata / "timestamp.json", timestamp.to_bytes())
    return repository.progress("timestamp")


def _check(repository: Repository, found: Signed) -> None:
    if found.missing:
        raise refusal(
            "below-threshold",
            str(repository.folder),
            f"`{found.role}` {found.version} has {found.signed} of {found.needed} signatures: have {found.missing} "
            "more made with `edgeguard publish sign`",
        )


def _check_files(repository: Repository, role: str) -> None:
    """A signer may have had the metadata alone: devices must find every file that it names."""
    for path, target in getattr(repository.newest(role).signed, "targets", {}).items():
        place = repository.folder / "targets" / target.get_prefixed_paths()[0]
        try:
            with place.open("rb") as file:
                target.verify_length_and_hashes(file)
        except OSError:
            raise refusal(
                "file-missing", str(place), f"`{role}` names `{shown(path)}`: copy it there"
            ) from None
        except LengthOrHashMismatchError:
            raise refusal(
                "digest-mismatch", str(place), "it is not what was added: copy it there again"
            ) from None


def _snapshot(
    repository: Repository, every: Sequence[str], keys: Sequence[SigningKey], now: float
) -> Metadata[Snapshot]:
    """What belongs together. Roles that are delegated to no more stay listed: a device refuses that one is missing."""
    before = repository.published("snapshot")
    meta = dict(before.signed.meta) if before else {}
    for role in every:
        if role != "root":
            data = repository.newest(role)
            meta[f"{role}.json"] = MetaFile.from_data(data.signed.version, data.to_bytes(), ["sha256"])
    version = before.signed.version + 1 if before else 1
    snapshot = Snapshot(version, expires=moment_after(now, _days(repository, "snapshot")), meta=meta)
    return _signed(repository, Metadata(snapshot), "snapshot", keys)


def _timestamp(
    repository: Repository, snapshot: Metadata[Snapshot], keys: Sequence[SigningKey], now: float
) -> Metadata[Timestamp]:
    before = repository.published("timestamp")
    version = before.signed.version + 1 if before else 1
    meta = MetaFile.from_data(snapshot.signed.version, snapshot.to_bytes(), ["sha256"])
    timestamp = Timestamp(
        version, expires=moment_after(now, _days(repository, "timestamp")), snapshot_meta=meta
    )
    return _signed(repository, Metadata(timestamp), "timestamp", keys)


def _signed(
    repository: Repository, metadata: Metadata[Any], role: str, keys: Sequence[SigningKey]
) -> Metadata[Any]:
    counts = repository.counts(role)
    for signer in map(TufSigner, keys):
        if signer.public_key.keyid in counts:
            metadata.sign(signer, append=True)
    result = repository.root().get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    expires = metadata.signed.expires.timestamp()
    _check(
        repository,
        Signed(
            role, metadata.signed.version, len(result.signed), result.threshold, staged=True, expires=expires
        ),
    )
    return metadata


def _days(repository: Repository, role: str) -> int:
    return int(repository.root().unrecognized_fields.get(f"{DAYS}-{role}", DEFAULT_DAYS[role]))
