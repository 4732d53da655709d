"""Signing: what `edgeguard sign` does, so that admission and the field's stock verifiers accept it.

Reads files by the same rules as admission and refuses to sign what admission would refuse to run.
A signature appears whole or not at all: it is written beside its place and then renamed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from edgeguard.admission.bundle import SECOND_FILE, SIGNATURE_FILE, check_contents, check_manifest
from edgeguard.admission.envelope import seal
from edgeguard.admission.keys import load_private_key
from edgeguard.admission.reasons import refusal
from edgeguard.admission.statement import SINGLE_FILE, build_statement, parse_statement
from edgeguard.admission.store import (
    MAX_FILE_BYTES,
    list_files,
    no_secrets,
    open_folder,
    read_file,
    read_files,
)
from edgeguard.admission.trust import Demands
from edgeguard.errors import UsageError


def sign_bundle(folder: str | Path, private_key_path: str | Path) -> Path:
    """Sign every file of a model bundle but `model.sig`, and write `model.sig`. Returns its path.

    Raises:
        UsageError: the key cannot be used, or the signature cannot be written.
        AdmissionError: the folder is not a bundle that admission would accept.
    """
    key = load_private_key(private_key_path)
    root = str(folder)
    with open_folder(root) as descriptor:
        names = [name for name in list_files(descriptor, root) if name not in (SIGNATURE_FILE, SECOND_FILE)]
        contents = read_files(descriptor, root, names)
    check_contents(check_manifest(contents, root), contents, root, Demands(), no_secrets)
    digests = {name: content.digest for name, content in contents.items()}
    place = Path(folder) / SIGNATURE_FILE
    payload = build_statement(Path(folder).resolve().name, digests)
    parse_statement(payload, str(place))
    _write(place, seal(payload, key))
    return place


def sign_file(path: str | Path, private_key_path: str | Path) -> Path:
    """Sign the single file `path` and write the signature beside it as `path` + `.sig`. Returns that path.

    Raises:
        UsageError: the key cannot be used, or the signature cannot be written.
        AdmissionError: the file is missing, a link, not a regular file or too large.
    """
    key = load_private_key(private_key_path)
    place = Path(path)
    if place.name.endswith(".sig"):
        raise refusal("not-a-file", str(place), "this is a signature already: name the file that it is for")
    with open_folder(str(place.parent)) as descriptor:
        content = read_file(descriptor, str(place.parent), place.name, MAX_FILE_BYTES)
    payload = build_statement(place.name, {SINGLE_FILE: content.digest})
    signature = place.with_name(f"{place.name}.sig")
    _write(signature, seal(payload, key))
    return signature


def _write(place: Path, data: bytes) -> None:
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    except OSError as error:
        raise UsageError(
            f"cannot write `{place}`: {(error.strerror or 'unknown').lower()}; check the folder"
        ) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(temporary).replace(place)
    except OSError as error:
        Path(temporary).unlink()
        raise UsageError(
            f"cannot write `{place}`: {(error.strerror or 'unknown').lower()}; check the disk"
        ) from None
