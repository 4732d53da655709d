"""What a publisher puts into a repository: bundles, policies and what lies beside them, each admitted first.

A file goes in under its digest, so that an old release stays whole while a new one is made. Nothing is signed here.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuf.api.metadata import TargetFile

from edgeguard.admission.keys import load_public_keys
from edgeguard.admission.reasons import shown
from edgeguard.admission.store import (
    MAX_BUNDLE_BYTES,
    MAX_FILE_BYTES,
    admit_bundle,
    admit_file,
    list_files,
    open_folder,
    read_file,
    read_files,
)
from edgeguard.admission.trust import Demands, Moment, Trust
from edgeguard.delivery.disk import write_whole
from edgeguard.delivery.offer import check_names
from edgeguard.delivery.plan import edit_targets
from edgeguard.delivery.repository import Repository
from edgeguard.delivery.roles import prefix_of, role_of, unit_of
from edgeguard.errors import AdmissionError, UsageError

_KEYS = (".pub", ".pem")


@dataclass(frozen=True, slots=True)
class Item:
    """A bundle or a single file with its signatures, admitted. `files`: bytes by their name on a device."""

    unit: str
    files: Mapping[str, bytes]


def admitted_item(
    path: Path, trust: Trust, *, now: Moment | None, pin: str = "", manifest: bytes = b""
) -> Item:
    """Read a bundle folder, a signed file or a public key, once, and admit these very bytes.

    `pin`: of a bundle that somebody else signed, or nobody, as the policy that names it has it (hex);
    `manifest`: the admitted one for such a bundle, where it has none. A key is not
    signed: the policy that uses it pins it.

    Raises:
        AdmissionError: it would be refused on a device.
        UsageError: it is no bundle, signed file or public key.
    """
    name = os.path.basename(os.path.realpath(path))  # noqa: PTH119 - never raises, also of a link to itself
    if path.is_dir():
        with open_folder(str(path)) as descriptor:
            contents = read_files(descriptor, str(path), list_files(descriptor, str(path)))
        files = {f"models/{name}/{inner}": content.data for inner, content in contents.items()}
        check_names(files, str(path))

        def admit(copy: Path) -> None:
            admit_bundle(copy / "models" / name, trust, Demands(pin=pin, manifest=manifest), now=now)

        return _admitted(Item(f"models/{name}", files), admit, path)
    if path.suffix in _KEYS:
        load_public_keys([path])
        return Item(f"keys/{name}", {f"keys/{name}": _read(path)})
    beside = [path, path.with_name(f"{name}.sig"), path.with_name(f"{name}.sig.ml-dsa-65")]
    files = {f"policies/{file.name}": _read(file) for file in beside if file.exists()}
    if f"policies/{name}" not in files:
        raise UsageError(f"`{path}` is not there: check the path")
    check_names(files, str(path))
    return _admitted(
        Item(f"policies/{name}", files),
        lambda copy: admit_file(copy / "policies" / name, trust, now=now),
        path,
    )


def _admitted(item: Item, admit: Callable[[Path], object], path: Path) -> Item:
    """Admit a copy made of the bytes that are published, and no other file."""
    with tempfile.TemporaryDirectory(prefix="edgeguard-") as folder:
        for name, data in item.files.items():
            place = Path(folder, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        try:
            admit(Path(folder))
        except AdmissionError as error:  # the publisher knows nothing of the copy
            ours = error.path.replace(str(Path(folder, item.unit)), shown(str(path)), 1)
            message = str(error).removeprefix(f"{error.path}: {error.reason}: ")
            raise AdmissionError(error.reason, ours, message) from None
        except OSError as error:
            raise UsageError(f"cannot read `{path}`: {(error.strerror or 'unknown').lower()}") from None
    return item


def _read(path: Path) -> bytes:
    with open_folder(str(path.parent)) as descriptor:
        return read_file(descriptor, str(path.parent), path.name, min(MAX_FILE_BYTES, MAX_BUNDLE_BYTES)).data


def add(repository: Repository, items: Sequence[Item], now: float, *, device: str = "") -> list[str]:
    """Stage that these are offered to every device, or to one, in place of what had their names. Returns the roles.

    Raises:
        UsageError: there is no such role, or the folder cannot be written.
    """
    by_role: dict[str, list[Item]] = {}
    for item in items:
        by_role.setdefault(role_of(item.unit, device), []).append(item)
    for role, some in by_role.items():
        new = {}
        for item in some:
            for name, data in item.files.items():
                path = f"{prefix_of(role)}{name}"
                new[path] = TargetFile.from_data(path, data, ["sha256"])
                for prefixed in new[path].get_prefixed_paths():
                    write_whole(repository.folder / "targets" / prefixed, data)
        units = {item.unit for item in some}

        def change(
            targets: dict[str, Any],
            role: str = role,
            units: set[str] = units,
            new: dict[str, TargetFile] = new,
        ) -> None:
            for path in [path for path in targets if unit_of(path.removeprefix(prefix_of(role))) in units]:
                del targets[path]
            targets.update(new)

        edit_targets(repository, role, change, now)
    return list(by_role)


def remove(repository: Repository, names: Sequence[str], now: float, *, device: str = "") -> list[str]:
    """Stage that these are offered no more. Returns the roles. The files stay for those on the old release.

    Raises:
        UsageError: one of them was not offered.
    """
    roles = set()
    for name in names:
        role, unit = role_of(name, device), unit_of(name)
        prefix = prefix_of(role)

        def change(targets: dict[str, Any], prefix: str = prefix, unit: str = unit) -> None:
            gone = [path for path in targets if unit_of(path.removeprefix(prefix)) == unit]
            if not gone:
                offered = sorted({unit_of(path.removeprefix(prefix)) for path in targets})
                raise UsageError(f"`{unit}` is not offered: name one of {', '.join(offered) or 'nothing'}")
            for path in gone:
                del targets[path]

        edit_targets(repository, role, change, now)
        roles.add(role)
    return sorted(roles)
