"""From verified statements and bytes to admitted values: the last step of the trust core.

Pure: what comes out is made only of bytes whose digest was compared with a verified signature. No I/O, no clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from edgeguard.admission.decryption import decrypted
from edgeguard.admission.demands import check_demands
from edgeguard.admission.envelope import open_envelope, pre_authentication_encoding
from edgeguard.admission.inspection import inspect_files, inspect_model
from edgeguard.admission.manifest import MANIFEST_FILE, Manifest, parse_manifest
from edgeguard.admission.post_quantum import SUFFIX, check_second
from edgeguard.admission.reasons import refusal, shown
from edgeguard.admission.reports import check_reports
from edgeguard.admission.statement import (
    SINGLE_FILE,
    Statement,
    folder_statement,
    parse_statement,
    pin_digest,
)
from edgeguard.admission.trust import Demands, Grant, Moment, Trust

SIGNATURE_FILE = "model.sig"
SECOND_FILE = SIGNATURE_FILE + SUFFIX
_RESTORE = "copy it again from where it was signed, or sign again if the change is yours"

Secrets = Callable[[str], "bytes | None"]
"""The key (32 bytes) of encrypted bundles by its id (hex); None: this device has no such key."""


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file and the hex SHA-256 that was computed of these very bytes."""

    data: bytes
    digest: str

    @classmethod
    def of(cls, data: bytes) -> Content:
        """Hash some bytes."""
        return cls(data, hashlib.sha256(data).hexdigest())


@dataclass(frozen=True, slots=True)
class AdmittedModel:
    """A model that may run. `model` are the verified bytes, ONNX or a plan: load these, never the file.

    `digest`: hex root digest of the signed statement. `signer`: hex SHA-256 of the signer's public key (PEM), empty
    for a bundle that the policy pins. `identity`: for whom the signer's certificate is. `described`: hex SHA-256 of a
    manifest that does not lie in the bundle, and which `digest` does not cover; empty: it does.
    """

    manifest: Manifest
    model: bytes
    digest: str
    signer: str
    identity: str = ""
    described: str = ""


def digests_of(models: Mapping[str, AdmittedModel]) -> dict[str, str]:
    """Everything that identifies admitted models, by role: digests, and `ROLE.manifest` of manifests given besides."""
    found = {role: model.digest for role, model in models.items()}
    return found | {f"{role}.manifest": model.described for role, model in models.items() if model.described}


@dataclass(frozen=True, slots=True)
class AdmittedFile:
    """A single file that was signed. `data` are the verified bytes, `digest` their hex SHA-256; the rest as above."""

    data: bytes
    digest: str
    signer: str
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Vouched:
    """A verified statement, who signed it, and what they may sign."""

    statement: Statement
    signer: str
    identity: str = ""
    grant: Grant = Grant()


def verify_signature(
    signature: bytes, trust: Trust, path: str, *, second: bytes | None = None, now: Moment | None = None
) -> Vouched:
    """Verify the bytes of a `.sig` file, and of the second one, down to the list of files they vouch for.

    `path` is only for messages.

    Raises:
        AdmissionError: for everything that is not exactly one good signature by somebody trusted.
    """
    opened = open_envelope(signature, trust, path, now)
    message = pre_authentication_encoding(opened.payload)
    check_second(
        second,
        message,
        opened.grant,
        f"{path}{SUFFIX}",
        required=trust.post_quantum,
        revoked=trust.revoked,
    )
    return Vouched(parse_statement(opened.payload, path), opened.signer, opened.identity, opened.grant)


def pinned_statement(contents: Mapping[str, Content], pin: str, folder: str) -> Statement:
    """The statement of a bundle that is pinned by its files' names and digests, whoever signed it.

    Raises:
        AdmissionError: `pin-mismatch`, or a name that no bundle may hold.
    """
    statement = folder_statement({name: content.digest for name, content in contents.items()}, folder)
    found = pin_digest(statement.resources)
    if found != pin:
        raise refusal(
            "pin-mismatch",
            folder,
            f"its pin is `{found[:16]}…`, the policy's is `{pin[:16]}…`: put the pinned bundle there, or pin this one",
        )
    return statement


def check_names(statement: Statement, present: Iterable[str], folder: str) -> None:
    """Refuse unless the files that are present, without the signatures, are exactly the signed ones.

    Raises:
        AdmissionError: `file-missing` or `file-extra`, naming the first such file.
    """
    signed = {resource.name for resource in statement.resources}
    found = set(present) - {SIGNATURE_FILE, SECOND_FILE}
    for name in sorted(signed - found):
        raise refusal("file-missing", f"{folder}/{name}", f"it was signed but is not there: {_RESTORE}")
    for name in sorted(found - signed):
        raise refusal(
            "file-extra", f"{folder}/{name}", "it is not covered by the signature: remove it, or sign again"
        )


def admit_model(
    vouched: Vouched,
    contents: Mapping[str, Content],
    folder: str,
    demands: Demands,
    *,
    now: Moment | None,
    secrets: Secrets,
) -> AdmittedModel:
    """Make an admitted model of a verified statement and the bytes of its files, by name.

    Raises:
        AdmissionError: a file is not what was signed, the bundle or its parent was revoked, its signer may not sign
            such a model, the manifest is wrong or does not meet the demands, or a finding of the model's inspection.
    """
    for resource in vouched.statement.resources:
        _check_digest(contents[resource.name].digest, resource.digest, f"{folder}/{resource.name}")
        _check_revoked(resource.digest, demands.revoked, f"{folder}/{resource.name}")
    for digest in (vouched.statement.root, pin_digest(vouched.statement.resources)):
        _check_revoked(digest, demands.revoked, folder)
    manifest = check_manifest(contents, folder, demands.manifest)
    _check_grant(vouched.grant, manifest.role, folder)
    check_demands(manifest, demands, f"{folder}/{MANIFEST_FILE}", now)
    if manifest.encryption is not None:
        _check_revoked(manifest.encryption.plaintext, demands.revoked, f"{folder}/{manifest.file}")
    model = check_contents(manifest, contents, folder, demands, secrets)
    described = "" if MANIFEST_FILE in contents else hashlib.sha256(demands.manifest).hexdigest()
    statement = vouched.statement
    return AdmittedModel(manifest, model, statement.root, vouched.signer, vouched.identity, described)


def check_manifest(contents: Mapping[str, Content], folder: str, given: bytes = b"") -> Manifest:
    """Read the bundle's manifest, or the one that was `given` for a bundle that has none.

    Raises:
        AdmissionError: `file-missing`, `manifest-invalid`.
    """
    if MANIFEST_FILE in contents and given:
        raise refusal(
            "file-extra",
            f"{folder}/{MANIFEST_FILE}",
            "the policy names a manifest for it, too: remove `manifest` from the policy, or this file from the bundle",
        )
    if MANIFEST_FILE in contents:
        return parse_manifest(contents[MANIFEST_FILE].data, f"{folder}/{MANIFEST_FILE}")
    if given:
        return parse_manifest(given, MANIFEST_FILE)
    raise refusal(
        "file-missing",
        f"{folder}/{MANIFEST_FILE}",
        "a bundle needs this description of its model: add it and sign, or, where a policy pins the bundle, name one "
        "there with `manifest`",
    )


def check_contents(
    manifest: Manifest, contents: Mapping[str, Content], folder: str, demands: Demands, secrets: Secrets
) -> bytes:
    """Check that the files of a bundle make sense together, decrypt and inspect the model. Returns its plain bytes.

    Raises:
        AdmissionError: `file-missing`, `key-missing`, `decryption-failed`, or a finding of the model's inspection.
    """
    if manifest.file not in contents:
        raise refusal(
            "file-missing",
            f"{folder}/{manifest.file}",
            f"`{MANIFEST_FILE}` names it but it is not a file of the bundle: correct `file` or add it, and sign again",
        )
    path = f"{folder}/{manifest.file}"
    files = {name: content.data for name, content in contents.items()}
    inspect_files(files, folder)
    check_reports(manifest, files, folder)
    model = decrypted(manifest, contents[manifest.file].data, secrets, path)
    inspect_model(model, manifest, demands.limits, path)
    return model


def admit_content(
    vouched: Vouched,
    content: Content,
    path: str,
    name: str,
    *,
    kind: str = "",
    revoked: frozenset[str] = frozenset(),
) -> AdmittedFile:
    """Make an admitted file of a verified statement over one file and that file's bytes.

    The signed name must be the file's: a signed file cannot be passed off as another one of the same signer.
    `kind`: what it is to be, `policy`, `calibration` or `manifest`; empty: whatever it is.

    Raises:
        AdmissionError: `statement-invalid`, `name-mismatch`, `digest-mismatch`, `revoked` or `signer-not-allowed`.
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
    (resource,) = statement.resources
    _check_digest(content.digest, resource.digest, path)
    _check_revoked(resource.digest, revoked, path)
    _check_grant(vouched.grant, kind, path)
    return AdmittedFile(content.data, resource.digest, vouched.signer, vouched.identity)


def _check_digest(found: str, signed: str, path: str) -> None:
    if found != signed:
        raise refusal("digest-mismatch", path, f"its content is not what was signed: {_RESTORE}")


def _check_revoked(digest: str, revoked: frozenset[str], path: str) -> None:
    if digest in revoked:
        raise refusal("revoked", path, f"`{digest[:16]}…` was revoked: install a newer one")


def _check_grant(grant: Grant, kind: str, path: str) -> None:
    if kind and grant.signs and kind not in grant.signs:
        raise refusal(
            "signer-not-allowed",
            path,
            f"its signer may sign {', '.join(sorted(grant.signs))}, not `{kind}`: have it signed by somebody who may",
        )
