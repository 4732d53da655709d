"""What identifies a bundle or file that lies here, whoever signed it: for revoking it. Nothing is admitted by this."""

from __future__ import annotations

from pathlib import Path

from edgeguard.admission.bundle import SECOND_FILE, SIGNATURE_FILE, check_names
from edgeguard.admission.envelope import read_envelope
from edgeguard.admission.reasons import refusal
from edgeguard.admission.statement import folder_statement, parse_statement
from edgeguard.admission.store import (
    MAX_FILE_BYTES,
    list_files,
    open_folder,
    read_file,
    read_files,
    read_signature,
)


def bundle_digest(folder: str | Path) -> str:
    """The root digest (hex) of the bundle in `folder`, of the very files that are there.

    Raises:
        AdmissionError: it cannot be read, or its files are not those that its signature is over.
    """
    root = str(folder)
    with open_folder(root) as descriptor:
        present = list_files(descriptor, root)
        names = [name for name in present if name not in (SIGNATURE_FILE, SECOND_FILE)]
        digests = {name: content.digest for name, content in read_files(descriptor, root, names).items()}
        if SIGNATURE_FILE not in present:
            return folder_statement(digests, root).root
        signature = read_signature(descriptor, root, SIGNATURE_FILE)
    path = f"{root}/{SIGNATURE_FILE}"
    statement = parse_statement(read_envelope(signature, path).payload, path)
    check_names(statement, present, root)
    for resource in statement.resources:
        if digests[resource.name] != resource.digest:
            raise refusal(
                "digest-mismatch",
                f"{root}/{resource.name}",
                "its content is not what was signed: copy the bundle again, or give its digest itself",
            )
    return statement.root


def file_digest(path: str | Path) -> str:
    """The SHA-256 (hex) of a single file.

    Raises:
        AdmissionError: it cannot be read.
    """
    place = Path(path)
    with open_folder(str(place.parent)) as descriptor:
        return read_file(descriptor, str(place.parent), place.name, MAX_FILE_BYTES).digest
