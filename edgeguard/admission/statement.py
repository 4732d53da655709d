"""The trust core, inner half: a verified payload in, the list of files it vouches for out.

The payload is an in-toto Statement v1 with the OpenSSF Model Signing predicate v1.0. No I/O.
A name that could leave the folder, or that two files could share on some file system, is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from edgeguard.admission import strictjson
from edgeguard.admission.fields import Fields
from edgeguard.admission.reasons import refusal, shown

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
SINGLE_FILE = "."
"""The resource name that stands for the signed file itself when a file and not a folder is signed."""
RESERVED = ("model.sig", "model.sig.ml-dsa-65")
"""The signatures themselves, which no signature covers."""
MAX_FILES = 1000
MAX_NAME = 512

_RESIGN = "sign it again with `edgeguard sign`"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Resource:
    """One signed file: its name below the folder (`/` between components) and the hex SHA-256 of its bytes."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What one signature vouches for. `root` is the hex digest over all resource digests; `subject` the signed name."""

    subject: str
    root: str
    resources: tuple[Resource, ...]


def root_digest(resources: tuple[Resource, ...]) -> str:
    """Return the hex SHA-256 over the concatenated raw digests, in order."""
    return hashlib.sha256(b"".join(bytes.fromhex(r.digest) for r in resources)).hexdigest()


def pin_digest(resources: tuple[Resource, ...]) -> str:
    """Return the digest by which a policy pins a bundle: over names and digests, as `sha256sum` would list the files.

    The root digest will not do: it does not cover the names, so that files could take each other's place.
    """
    ordered = sorted(resources, key=lambda resource: resource.name.split("/"))
    return hashlib.sha256("".join(f"{r.digest}  {r.name}\n" for r in ordered).encode()).hexdigest()


def build_statement(subject: str, digests: Mapping[str, str]) -> bytes:
    """Build the payload to sign from hex digests by name, ordered by path component as stock signers do."""
    names = sorted(digests, key=lambda name: name.split("/"))
    resources = tuple(Resource(name, digests[name]) for name in names)
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": subject, "digest": {"sha256": root_digest(resources)}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": () if names == [SINGLE_FILE] else RESERVED,
            },
            "resources": [{"name": r.name, "algorithm": "sha256", "digest": r.digest} for r in resources],
        },
    }
    return json.dumps(document, separators=(",", ":")).encode()


def folder_statement(digests: Mapping[str, str], folder: str) -> Statement:
    """The statement that a signature over a folder with these files (hex digests by name) would make."""
    return parse_statement(build_statement(folder, digests), folder)


def parse_statement(payload: bytes, path: str) -> Statement:
    """Read a verified payload. `path` (of the `.sig` file) is only for messages.

    Raises:
        AdmissionError: `statement-invalid`, `signature-unsupported`, `name-unsafe`, `name-duplicate` or
            `root-mismatch`.
    """
    try:
        document = strictjson.parse(payload)
    except strictjson.NotStrictError as error:
        raise refusal("statement-invalid", path, f"the signed payload: {error}: {_RESIGN}") from None
    statement = Fields(document, "", "statement-invalid", path, _RESIGN)
    statement.only("_type", "subject", "predicateType", "predicate")
    _check_type(statement, "_type", STATEMENT_TYPE, path)
    _check_type(statement, "predicateType", PREDICATE_TYPE, path)
    subject, root = _subject(statement, path)
    predicate = statement.child("predicate")
    _check_serialization(predicate.child("serialization"), path)
    resources = _resources(predicate, path)
    if root_digest(resources) != root:
        raise refusal("root-mismatch", path, f"the digest of the whole does not fit its parts: {_RESIGN}")
    return Statement(subject, root, resources)


def _check_type(statement: Fields, field: str, expected: str, path: str) -> None:
    if statement.text(field) != expected:
        raise refusal("signature-unsupported", path, f"`{field}` is not `{expected}`: {_RESIGN}")


def _subject(statement: Fields, path: str) -> tuple[str, str]:
    subjects = statement.children("subject")
    if len(subjects) != 1:
        raise refusal("statement-invalid", path, f"it has {len(subjects)} subjects, not one: {_RESIGN}")
    (subject,) = subjects
    subject.only("name", "digest")
    digest = subject.child("digest")
    digest.only("sha256")
    return subject.text("name"), _digest(digest.text("sha256"), path)


def _check_serialization(serialization: Fields, path: str) -> None:
    """Whole files and SHA-256 only. `ignore_paths` is not read: it cannot excuse a file that is not signed."""
    if serialization.text("method") != "files" or serialization.text("hash_type") != "sha256":
        raise refusal(
            "signature-unsupported", path, f"it was not signed as whole files with sha256: {_RESIGN}"
        )


def _resources(predicate: Fields, path: str) -> tuple[Resource, ...]:
    items = predicate.children("resources")
    if not 1 <= len(items) <= MAX_FILES:
        raise refusal(
            "statement-invalid", path, f"it lists {len(items)} files, not 1 to {MAX_FILES}: {_RESIGN}"
        )
    resources = []
    seen: dict[str, str] = {}
    for item in items:
        item.only("name", "algorithm", "digest")
        name = item.text("name")
        if item.text("algorithm") != "sha256":
            raise refusal(
                "signature-unsupported", path, f"`{shown(name)}` is not signed with sha256: {_RESIGN}"
            )
        _check_name(name, len(items), path)
        _check_twin(name, seen, path)
        resources.append(Resource(name, _digest(item.text("digest"), path)))
    return tuple(resources)


def _check_name(name: str, count: int, path: str) -> None:
    if name == SINGLE_FILE and count == 1:
        return
    parts = name.split("/")
    unsafe = any(part in {"", ".", ".."} for part in parts) or "\\" in name or not name.isprintable()
    if unsafe or len(name) > MAX_NAME or name in RESERVED:
        raise refusal(
            "name-unsafe",
            path,
            f"the signed name `{shown(name)}` is absolute, leaves the folder, is a reserved one or has characters "
            "that are not allowed: rename the file and sign again",
        )


def _check_twin(name: str, seen: dict[str, str], path: str) -> None:
    """Refuse a name that is there twice, also when only case or Unicode normal form differ."""
    same = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    if same in seen:
        raise refusal(
            "name-duplicate",
            path,
            f"`{shown(name)}` and `{shown(seen[same])}` are one file on some file systems: rename one and sign again",
        )
    seen[same] = name


def _digest(text: str, path: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise refusal("statement-invalid", path, f"a digest is not 64 lower-case hex digits: {_RESIGN}")
    return text
