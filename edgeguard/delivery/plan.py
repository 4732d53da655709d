"""Changes of a repository that wait for signatures: new roles and keys, and what is offered to whom.

Every change is staged, never published; the time is an argument. No private key is seen here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Role, Root, Targets

from edgeguard.admission.keys import PublicKey
from edgeguard.delivery.repository import Repository
from edgeguard.delivery.roles import OFFERING, TOP, check_role, patterns_of
from edgeguard.delivery.signing import tuf_key
from edgeguard.errors import UsageError

DAY = 86400.0
DAYS = "x-edgeguard-days"
"""In metadata: for how many days it is valid each time that it is made anew."""
DEFAULT_DAYS: Mapping[str, int] = {"root": 730, "snapshot": 60, "timestamp": 30}
_OTHER_DAYS = 365
_MOST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Holders:
    """Who signs for a role: some of these keys, `threshold` of them. `days` None: as it was, or the default."""

    keys: tuple[PublicKey, ...]
    threshold: int = 1
    days: int | None = None

    def check(self, role: str) -> None:
        """Raises: UsageError, the threshold cannot be met, a key is there twice, or the days make no sense."""
        check_role(role)
        different = {key.hint for key in self.keys}
        if len(different) != len(self.keys):
            raise UsageError(f"`{role}` names the same key twice: a signer counts once")
        if not 1 <= self.threshold <= len(self.keys):
            raise UsageError(
                f"`{role}` needs {self.threshold} signatures of {len(self.keys)} keys: name more keys, or ask for 1 to "
                f"{len(self.keys)}"
            )
        if self.days is not None and not 1 <= self.days <= _MOST_DAYS:
            raise UsageError(f"`{role}` cannot be valid for {self.days} days: 1 to {_MOST_DAYS}")


def create(repository: Repository, holders: Mapping[str, Holders], now: float) -> None:
    """Make a new repository with everything staged. `targets` is signed as `root` where nobody is named, `snapshot`
    as `timestamp`.

    Raises:
        UsageError: a role has no keys, or the folder is not new.
    """
    who = dict(holders)
    for role, other in (("targets", "root"), ("snapshot", "timestamp")):
        if role not in who and other in who:
            who[role] = Holders(who[other].keys, who[other].threshold)
    for role in ("root", "timestamp", *OFFERING):
        if role not in who:
            raise UsageError(f"nobody signs for `{role}`: name a key with `--key {role}=KEY.pub`")
    for role, holder in who.items():
        holder.check(role)
    repository.make()
    root = Root(consistent_snapshot=True)
    repository.stage("root", _renewed(Metadata(root), "root", who["root"].days, now))
    targets = Targets(delegations=Delegations({}, {}))
    repository.stage("targets", _renewed(Metadata(targets), "targets", who["targets"].days, now))
    for role, holder in who.items():
        set_holders(repository, role, holder, now)


def set_holders(repository: Repository, role: str, holder: Holders, now: float) -> None:
    """Stage other keys for a role, or a new device; what the role says is staged to be signed again.

    Raises:
        UsageError: there is no such role, or the keys cannot serve.
    """
    holder.check(role)
    keys = [tuf_key(key) for key in holder.keys]
    if role in TOP:
        root = edited(repository, "root", now)
        root.signed.roles[role] = Role([], holder.threshold)
        for key in keys:
            root.signed.add_key(key, role)
        _forget_unused_keys(root.signed)
        if role in ("snapshot", "timestamp"):
            root.signed.unrecognized_fields[f"{DAYS}-{role}"] = holder.days or DEFAULT_DAYS[role]
        repository.stage("root", root)
    else:
        targets = edited(repository, "targets", now)
        roles = targets.signed.delegations.roles
        roles[role] = DelegatedRole(role, [], holder.threshold, terminating=False, paths=patterns_of(role))
        for key in keys:
            targets.signed.add_key(key, role)
        _forget_unused_delegates(targets.signed)
        repository.stage("targets", targets)
    if role in ("snapshot", "timestamp"):
        return
    known = repository.staged(role) or repository.published(role)
    if known is None:
        repository.stage(role, _renewed(Metadata(Targets()), role, holder.days, now))
    else:
        repository.stage(role, edited(repository, role, now, days=holder.days))


def remove_device(repository: Repository, role: str, now: float) -> None:
    """Stage that nothing is offered to a device of its own any more. Raises: UsageError, there is no such role."""
    targets = edited(repository, "targets", now)
    if role in OFFERING or role not in targets.signed.delegations.roles:
        raise UsageError(f"`{role}` is not the role of a device here: see `edgeguard publish show`")
    del targets.signed.delegations.roles[role]
    _forget_unused_delegates(targets.signed)
    repository.stage("targets", targets)
    repository.unstage(role)


def edit_targets(
    repository: Repository, role: str, change: Callable[[dict[str, Any]], None], now: float
) -> None:
    """Stage a change of what an offering role names. Raises: UsageError, there is no such role."""
    if role not in repository.offering():
        raise UsageError(
            f"nobody may offer that: there is no role `{role}`; add it with `edgeguard publish keys REPO {role} --key "
            "KEY.pub`"
        )
    metadata = edited(repository, role, now)
    change(metadata.signed.targets)
    repository.stage(role, metadata)


def renew(repository: Repository, roles: Sequence[str], now: float) -> None:
    """Stage roles as they are, with a new expiry. Raises: UsageError, there is no such role."""
    for role in roles:
        if role in ("snapshot", "timestamp"):
            raise UsageError(f"`{role}` is made anew by `edgeguard publish release` and `publish timestamp`")
        repository.stage(role, edited(repository, role, now))


def edited(repository: Repository, role: str, now: float, *, days: int | None = None) -> Metadata[Any]:
    """A copy of the newest metadata of a role to change: the next version, valid from now on, signed by nobody."""
    if repository.staged(role) is None and repository.published(role) is not None:
        metadata = copy.deepcopy(repository.newest(role))
        metadata.signed.version += 1
    else:
        metadata = repository.newest(role)
    metadata.signatures.clear()
    return _renewed(metadata, role, days, now)


def _renewed(metadata: Metadata[Any], role: str, days: int | None, now: float) -> Metadata[Any]:
    fields = metadata.signed.unrecognized_fields
    if days is not None or DAYS not in fields:
        fields[DAYS] = days or DEFAULT_DAYS.get(role, _OTHER_DAYS)
    metadata.signed.expires = moment_after(now, fields[DAYS])
    return metadata


def moment_after(now: float, days: float) -> datetime:
    """`days` after `now` (Unix s), in whole seconds, as metadata has it."""
    return datetime.fromtimestamp(int(now + days * DAY), tz=timezone.utc)


def _forget_unused_keys(root: Root) -> None:
    used = {keyid for role in root.roles.values() for keyid in role.keyids}
    root.keys = {keyid: key for keyid, key in root.keys.items() if keyid in used}


def _forget_unused_delegates(targets: Targets) -> None:
    if targets.delegations is not None:
        used = {keyid for role in (targets.delegations.roles or {}).values() for keyid in role.keyids}
        keys = targets.delegations.keys
        targets.delegations.keys = {keyid: key for keyid, key in keys.items() if keyid in used}
