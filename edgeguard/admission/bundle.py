"""From verified statements and bytes to admitted values: the last step of the trust core.

Pure: what comes out is made only of bytes whose digest was compared with a verified signature. No I/O.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeguard.admission.envelope import open_envelope
from edgeguard.admission.inspection import inspect_onnx, inspect_plan
from edgeguard.admission.manifest import MANIFEST_FILE, Manifest, parse_manifest
from edgeguard.admission.reasons import refusal, shown
from edgeguard.admission.statement import SINGLE_FILE, Statement, parse_statement

if TYPE_CHECKING:
    from edgeguard.admission.keys import PublicKey

SIGNATURE_FILE = "model.sig"
_RESTORE = "copy the bundle again from where it was signed, or sign this one if the change is yours"


@dataclass(frozen=True, slots=True)
class AdmittedModel:
    """A model that may run. `model` are the verified bytes, ONNX or a plan: load these, never the file.

    `digest`: hex root digest of the signed statement. `signer`: hex SHA-256 of the signer's public key (PEM).
    """

    manifest: Manifest
    model: bytes
    digest: str
    signer: str


@dataclass(frozen=True, slots=True)
class AdmittedFile:
    """A single file that was signed. `data` are the verified bytes, `digest` their hex SHA-256, `signer` as above."""

    data: bytes
    digest: str
    signer: str


@dataclass(frozen=True, slots=True)
class Vouched:
    """A verified statement and who signed it."""

    statement: Statement
    signer: str


def verify_signature(signature: bytes, signers: Sequence[PublicKey], path: str) -> Vouched:
    """Verify the bytes of a `.sig` file down to the list of files it vouches for. `path` is only for messages.

    Raises:
        AdmissionError: for everything that is not exactly one good signature by a trusted key.
    """
    opened = open_envelope(signature, signers, path)
    return Vouched(parse_statement(opened.payload, path), opened.signer)


def check_names(vouched: Vouched, present: Iterable[str], folder: str) -> None:
    """Refuse unless the files that are present, without the signature, are exactly the signed ones.

    Raises:
        AdmissionError: `file-missing` or `file-extra`, naming the first such file.
    """
    signed = {resource.name for resource in vouched.statement.resources}
    found = set(present) - {SIGNATURE_FILE}
    for name in sorted(signed - found):
        raise refusal("file-missing", f"{folder}/{name}", f"it was signed but is not there: {_RESTORE}")
    for name in sorted(found - signed):
        raise refusal(
            "file-extra", f"{folder}/{name}", "it is not covered by the signature: remove it, or sign again"
        )


def admit_model(
    vouched: Vouched, contents: Mapping[str, bytes], folder: str, security_version: int
) -> AdmittedModel:
    """Make an admitted model of a verified statement and the bytes of its files, by name.

    Raises:
        AdmissionError: `digest-mismatch`, `file-missing`, `manifest-invalid`, `rollback`, or a finding of the
            model's inspection.
    """
    for resource in vouched.statement.resources:
        _check_digest(contents[resource.name], resource.digest, f"{folder}/{resource.name}")
    manifest = check_contents(contents, folder)
    if manifest.security_version < security_version:
        raise refusal(
            "rollback",
            f"{folder}/{MANIFEST_FILE}",
            f"its security_version is {manifest.security_version}, the policy requires at least {security_version}: "
            "install a newer bundle",
        )
    return AdmittedModel(manifest, contents[manifest.file], vouched.statement.root, vouched.signer)


def check_contents(contents: Mapping[str, bytes], folder: str) -> Manifest:
    """Check that the files of a bundle make sense together: a manifest, the model it names, and nothing outside.

    Raises:
        AdmissionError: `file-missing`, `manifest-invalid`, or a finding of the model's inspection.
    """
    if MANIFEST_FILE not in contents:
        raise refusal(
            "file-missing",
            f"{folder}/{MANIFEST_FILE}",
            "a bundle needs this description of its model: add it and sign",
        )
    manifest = parse_manifest(contents[MANIFEST_FILE], f"{folder}/{MANIFEST_FILE}")
    if manifest.file not in contents:
        raise refusal(
            "file-missing",
            f"{folder}/{manifest.file}",
            f"`{MANIFEST_FILE}` names it but it is not a file of the bundle: correct `file` or add it, and sign again",
        )
    inspect = inspect_onnx if manifest.engine is None else inspect_plan
    inspect(contents[manifest.file], f"{folder}/{manifest.file}")
    return manifest


def admit_content(vouched: Vouched, data: bytes, path: str, name: str) -> AdmittedFile:
    """Make an admitted file of a verified statement over one file and that file's bytes.

    The signed name must be the file's: a signed file cannot be passed off as another one of the same signer.

    Raises:
        AdmissionError: `statement-invalid`, `name-mismatch` or `digest-mismatch`.
    """
    statement = vouched.statement
    if [resource.name for resource in statement.resources] != [SINGLE_FILE]:
        raise refusal(
            "statement-invalid", path, "its signature is for a folder: sign the file with `edgeguard sign`"
        )
    if statement.subject != name:
        raise refusal(
            "name-mismatch",
            path,
            f"it was signed under the name `{shown(statement.subject)}`: give it that name, or sign it again",
        )
    digest = statement.resources[0].digest
    _check_digest(data, digest, path)
    return AdmittedFile(data, digest, vouched.signer)


def _check_digest(data: bytes, digest: str, path: str) -> None:
    if hashlib.sha256(data).hexdigest() != digest:
        raise refusal("digest-mismatch", path, f"its content is not what was signed: {_RESTORE}")
