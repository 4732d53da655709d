"""Encrypting: what `edgeguard encrypt` does, a copy of a bundle whose model only a device with its key can read.

Reads files by the same rules as admission. The copy appears whole or not at all, and is never written over anything.
It is not signed: signatures are over what is encrypted, so signing comes after.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from edgeguard.admission import strictjson
from edgeguard.admission.bundle import SECOND_FILE, SIGNATURE_FILE, Content, check_contents, check_manifest
from edgeguard.admission.claims import Encryption
from edgeguard.admission.decryption import associated_data, key_id
from edgeguard.admission.manifest import MANIFEST_FILE, parse_manifest
from edgeguard.admission.store import list_files, no_secrets, open_folder, read_files
from edgeguard.admission.streaming import FORMAT, KEY_BYTES, encrypt
from edgeguard.admission.trust import Demands
from edgeguard.errors import UsageError


def encrypt_bundle(folder: str | Path, key: bytes, out: str | Path) -> Path:
    """Write a copy of the plain bundle in `folder` to the new folder `out`, its model encrypted. Returns `out`.

    `key`: 32 bytes. Signatures are not copied.

    Raises:
        UsageError: the key has another length, the model is encrypted already, or `out` exists or cannot be written.
        AdmissionError: the folder is not a bundle that admission would accept.
    """
    if len(key) != KEY_BYTES:
        raise UsageError(f"a content key has {KEY_BYTES} bytes, not {len(key)}: name another one")
    root, place = str(folder), Path(out)
    if os.path.lexists(place):
        raise UsageError(f"`{place}` exists already and is not overwritten: name a new folder with `--out`")
    with open_folder(root) as descriptor:
        names = [name for name in list_files(descriptor, root) if name not in (SIGNATURE_FILE, SECOND_FILE)]
        contents = read_files(descriptor, root, names)
    manifest = check_manifest(contents, root)
    if manifest.encryption is not None:
        raise UsageError(f"the model of `{root}` is encrypted already: name the plain bundle")
    check_contents(manifest, contents, root, Demands(), no_secrets)
    claim = Encryption(FORMAT, key_id(key), contents[manifest.file].digest)
    files: dict[str, Iterable[bytes]] = {name: [content.data] for name, content in contents.items()}
    files[MANIFEST_FILE] = [_with_claim(contents[MANIFEST_FILE], claim)]
    files[manifest.file] = encrypt(key, contents[manifest.file].data, associated_data(manifest))
    _write_folder(place, files)
    return place


def _with_claim(content: Content, claim: Encryption) -> bytes:
    """The manifest with `encryption` added and everything else as it was."""
    values = cast("dict[str, object]", strictjson.parse(content.data))  # it was read as a manifest before
    values["encryption"] = dataclasses.asdict(claim)
    data = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    parse_manifest(data, MANIFEST_FILE)
    return data


def _write_folder(place: Path, files: Mapping[str, Iterable[bytes]]) -> None:
    """Write beside its place, then give it its name."""
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    except (OSError, ValueError) as error:
        raise _cannot_write(place, error) from None
    try:
        for name, pieces in files.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            with (temporary / name).open("xb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
        temporary.chmod(0o755)
        temporary.rename(place)
    except OSError as error:
        raise _cannot_write(place, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # nothing, once it was renamed


def _cannot_write(place: Path, error: OSError | ValueError) -> UsageError:
    why = getattr(error, "strerror", None) or "no file can have this name"
    return UsageError(f"cannot write `{place}`: {why.lower()}; check the folder and the disk")
