"""Encrypting: what `edgeguard encrypt` does, a copy of a bundle whose model only a device with its key can read.

Reads files by the same rules as admission. The copy appears whole or not at all, and is never written over anything.
It is not signed: signatures are over what is encrypted, so signing comes after.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable
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
from edgeguard.disk import why, write_folder
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
    try:
        write_folder(place, files, private=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write `{place}`: {why(error)}; check the folder and the disk") from None
    return place


def _with_claim(content: Content, claim: Encryption) -> bytes:
    """The manifest with `encryption` added and everything else as it was."""
    values = cast("dict[str, object]", strictjson.parse(content.data))  # it was read as a manifest before
    values["encryption"] = dataclasses.asdict(claim)
    data = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    parse_manifest(data, MANIFEST_FILE)
    return data
