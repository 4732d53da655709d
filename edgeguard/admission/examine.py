"""What lies in a bundle or file, without trusting it: all that can be read, and all that admission would refuse.

Reads by admission's own rules, trusts nobody, and hands out no bytes: nothing that was only examined can run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from edgeguard.admission.bundle import (
    SECOND_FILE,
    SIGNATURE_FILE,
    Content,
    Vouched,
    admit_content,
    check_manifest,
    check_names,
)
from edgeguard.admission.claimed import ClaimedSigner, claimed_signer, claimed_statement
from edgeguard.admission.graph.facts import GraphFacts
from edgeguard.admission.inspection import describe_onnx, inspect_files, inspect_model, inspect_onnx
from edgeguard.admission.manifest import MANIFEST_FILE, Manifest
from edgeguard.admission.post_quantum import SUFFIX
from edgeguard.admission.reasons import refusal, shown
from edgeguard.admission.reports import check_reports
from edgeguard.admission.statement import Statement, folder_statement, pin_digest
from edgeguard.admission.store import (
    MAX_BUNDLE_BYTES,
    list_files,
    open_folder,
    read_file,
    read_second,
    read_signature,
)
from edgeguard.errors import AdmissionError
from edgeguard.terms import Limits

T = TypeVar("T")
_CHANGED = "its content is not what was signed: copy it again from where it was signed"


@dataclass(frozen=True, slots=True)
class SeenFile:
    """One file. `size`: bytes. `digest`: hex SHA-256. `state`: against what the signature lists, one of `matches`,
    `changed`, `missing` and `unlisted`. `name` is safe to print."""

    name: str
    size: int
    digest: str
    state: str


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found. `kind`: `bundle` or `file`. What is None could not be read, or is not there."""

    path: str
    kind: str
    digest: str
    """Hex; of a bundle: the root digest that its signature states, or that of the files there."""
    pin: str
    """Hex, of a bundle: over the names and contents of the files there, for a policy to pin; empty: it cannot be."""
    files: tuple[SeenFile, ...]
    signer: ClaimedSigner | None
    second: bool
    """There is a second signature."""
    manifest: Manifest | None
    model: GraphFacts | None
    refused: tuple[AdmissionError, ...]
    """What admission would refuse, whoever is trusted, with a policy's default limits."""


@dataclass(slots=True)
class _Notes:
    """Refusals, collected instead of raised."""

    refused: list[AdmissionError] = field(default_factory=list)

    def attempt(self, call: Callable[[], T]) -> T | None:
        """What `call` returns; None: it was refused."""
        try:
            return call()
        except AdmissionError as error:
            if str(error) not in map(str, self.refused):
                self.refused.append(error)
            return None


def examine_bundle(folder: str | Path) -> Examined:
    """Look at the bundle in `folder`.

    Raises:
        AdmissionError: the folder cannot be opened.
    """
    root, notes = str(folder), _Notes()
    with open_folder(root) as descriptor:
        present = notes.attempt(lambda: list_files(descriptor, root))
        signature = notes.attempt(lambda: read_signature(descriptor, root, SIGNATURE_FILE))
        second = notes.attempt(lambda: read_second(descriptor, root, SECOND_FILE))
        statement, signer = _claims(signature, f"{root}/{SIGNATURE_FILE}", notes)
        signed = {} if statement is None else {r.name: r.digest for r in statement.resources}
        if statement is not None and present is not None:
            notes.attempt(lambda: check_names(statement, present, root))
        names = {*signed, MANIFEST_FILE} if present is None else set(present)
        is_bundle = (
            not names.isdisjoint((SIGNATURE_FILE, MANIFEST_FILE))
            or bool(signed)
            or any(name.endswith(".onnx") for name in names)  # of a third party, to be pinned
        )
        contents = _read(descriptor, root, sorted(names) if is_bundle else (), notes)
    files = _compared(root, contents, None if statement is None else signed, notes)
    manifest = notes.attempt(lambda: check_manifest(contents, root))
    model = _model(manifest, contents, root, notes) if manifest else _lone_model(contents, root, notes)
    whole = present is not None and set(present) - {SIGNATURE_FILE, SECOND_FILE} == set(contents)
    there = _there(contents, root, notes) if whole else None
    claimed = statement or there
    return Examined(
        path=shown(root),
        kind="bundle",
        digest=claimed.root if claimed else "",
        pin=pin_digest(there.resources) if there else "",
        files=files,
        signer=signer,
        second=second is not None,
        manifest=manifest,
        model=model,
        refused=tuple(notes.refused),
    )


def examine_file(path: str | Path) -> Examined:
    """Look at a single file: an ONNX model, or anything with a signature beside it.

    Raises:
        AdmissionError: the file cannot be read.
    """
    place, notes = Path(path), _Notes()
    root, text = str(place.parent), str(path)
    beside = f"{place.name}.sig"
    with open_folder(root) as descriptor:
        content = read_file(descriptor, root, place.name, MAX_BUNDLE_BYTES)
        signature = notes.attempt(lambda: read_second(descriptor, root, beside))
        second = notes.attempt(lambda: read_second(descriptor, root, beside + SUFFIX))
    statement, signer = _claims(signature, f"{root}/{beside}", notes)
    state = "unlisted"
    if statement is not None:
        vouched = Vouched(statement, signer="")
        admitted = notes.attempt(lambda: admit_content(vouched, content, text, place.name))
        state = "matches" if admitted is not None else "changed"
    files = (SeenFile(shown(place.name), len(content.data), content.digest, state),)
    model = _onnx(content.data, text, notes) if place.suffix == ".onnx" else None
    return Examined(
        path=shown(text),
        kind="file",
        digest=content.digest,
        pin="",
        files=files,
        signer=signer,
        second=second is not None,
        manifest=None,
        model=model,
        refused=tuple(notes.refused),
    )


def _claims(
    signature: bytes | None, path: str, notes: _Notes
) -> tuple[Statement | None, ClaimedSigner | None]:
    if signature is None:
        return None, None
    statement = notes.attempt(lambda: claimed_statement(signature, path))
    return statement, notes.attempt(lambda: claimed_signer(signature, path))


def _read(descriptor: int, root: str, names: Sequence[str], notes: _Notes) -> dict[str, Content]:
    contents: dict[str, Content] = {}
    left = MAX_BUNDLE_BYTES
    for name in names:
        if name in (SIGNATURE_FILE, SECOND_FILE):
            continue
        content = notes.attempt(partial(read_file, descriptor, root, name, left))
        if content is not None:
            contents[name] = content
            left -= len(content.data)
    return contents


def _compared(
    root: str, contents: Mapping[str, Content], signed: Mapping[str, str] | None, notes: _Notes
) -> tuple[SeenFile, ...]:
    """Every file that is there or was signed; `signed` None: there is no readable signature."""
    seen = []
    for name in sorted({*contents, *(signed or {})}):
        content = contents.get(name)
        if content is None:
            seen.append(SeenFile(shown(name), 0, "", "missing"))
            continue
        state = "unlisted"
        if signed is not None and name in signed:
            state = "matches" if signed[name] == content.digest else "changed"
        if state == "changed":
            notes.refused.append(refusal("digest-mismatch", f"{root}/{name}", _CHANGED))
        seen.append(SeenFile(shown(name), len(content.data), content.digest, state))
    return tuple(seen)


def _model(
    manifest: Manifest, contents: Mapping[str, Content], root: str, notes: _Notes
) -> GraphFacts | None:
    files = {name: content.data for name, content in contents.items()}
    path = f"{root}/{manifest.file}"
    notes.attempt(lambda: inspect_files(files, root))
    notes.attempt(lambda: check_reports(manifest, files, root))
    if manifest.file not in files:
        why = f"`{MANIFEST_FILE}` names it but it is not a file of the bundle: correct `file` or add it"
        notes.refused.append(refusal("file-missing", path, why))
        return None
    if manifest.encryption is not None:
        return None
    data = files[manifest.file]
    facts = None if manifest.engine else notes.attempt(lambda: describe_onnx(data, path))
    notes.attempt(lambda: inspect_model(data, manifest, Limits(), path))
    return facts


def _lone_model(contents: Mapping[str, Content], root: str, notes: _Notes) -> GraphFacts | None:
    """The model of a bundle without a manifest, as third parties make them: its only ONNX file."""
    names = [name for name in contents if name.endswith(".onnx")]
    return _onnx(contents[names[0]].data, f"{root}/{names[0]}", notes) if len(names) == 1 else None


def _onnx(data: bytes, path: str, notes: _Notes) -> GraphFacts | None:
    facts = notes.attempt(lambda: describe_onnx(data, path))
    notes.attempt(lambda: inspect_onnx(data, path))
    return facts


def _there(contents: Mapping[str, Content], root: str, notes: _Notes) -> Statement | None:
    """What a signature over the files that are there would state."""
    digests = {name: content.digest for name, content in contents.items()}
    return notes.attempt(lambda: folder_statement(digests, root)) if digests else None
