"""The only code that opens model bundles and signed files.

Opens without following links and below one folder only, takes regular files, reads each once into memory.
What it returns was made from those very bytes; changing the files afterwards changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgeguard.admission.bundle import (
    SECOND_FILE,
    SIGNATURE_FILE,
    AdmittedFile,
    AdmittedModel,
    Content,
    Secrets,
    Vouched,
    admit_content,
    admit_model,
    check_names,
    pinned_statement,
    verify_signature,
)
from edgeguard.admission.envelope import MAX_SIGNATURE_BYTES
from edgeguard.admission.post_quantum import SUFFIX
from edgeguard.admission.reading import Reader, cannot_read
from edgeguard.admission.reasons import refusal
from edgeguard.admission.statement import MAX_FILES, RESERVED, SINGLE_FILE
from edgeguard.admission.trust import Demands, Moment, Trust
from edgeguard.errors import AdmissionError

MAX_BUNDLE_BYTES = 2 * 1024**3 - 1
"""All files of one bundle together; also the largest ONNX file that protobuf allows."""
MAX_FILE_BYTES = 64 * 1024**2
"""A single signed file: a policy or a calibration."""
_MAX_FOLDERS = 8

_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def no_secrets(_: str) -> None:
    """The keys of a device that has none: it admits no encrypted bundle."""


def admit_bundle(
    folder: str | Path,
    trust: Trust,
    demands: Demands = Demands(),
    *,
    now: Moment | None = None,
    secrets: Secrets = no_secrets,
) -> AdmittedModel:
    """Admit the model bundle in `folder`: verify its signature, read its files once, inspect the model.

    `now` None: the time is not known, so that whatever is valid for a time only is refused.

    Raises:
        AdmissionError: with a reason, the offending file and what to do.
    """
    root = str(folder)
    with open_folder(root) as descriptor:
        present = list_files(descriptor, root)
        if demands.pin:
            contents = read_files(descriptor, root, [name for name in present if name not in RESERVED])
            vouched = Vouched(pinned_statement(contents, demands.pin, root), signer="")
        else:
            vouched = _vouched(descriptor, root, trust, now)
            check_names(vouched.statement, present, root)
            contents = read_files(descriptor, root, [r.name for r in vouched.statement.resources])
    return admit_model(vouched, contents, root, demands, now=now, secrets=secrets)


def _vouched(descriptor: int, root: str, trust: Trust, now: Moment | None) -> Vouched:
    path = f"{root}/{SIGNATURE_FILE}"
    signature = read_signature(descriptor, root, SIGNATURE_FILE)
    second = read_second(descriptor, root, SECOND_FILE)
    vouched = verify_signature(signature, trust, path, second=second, now=now)
    if [resource.name for resource in vouched.statement.resources] == [SINGLE_FILE]:
        raise refusal("statement-invalid", path, "it signs a single file: sign the folder instead")
    return vouched


def admit_file(path: str | Path, trust: Trust, *, kind: str = "", now: Moment | None = None) -> AdmittedFile:
    """Admit the single file `path`, whose signature lies beside it as `path` + `.sig`.

    `kind`: what it is to be, `policy`, `calibration` or `manifest`, for signers that may not sign everything.

    Raises:
        AdmissionError: with a reason, the offending file and what to do.
    """
    place = Path(path)
    root = str(place.parent)
    with open_folder(root) as descriptor:
        content = read_file(descriptor, root, place.name, MAX_FILE_BYTES)
        signature = read_signature(descriptor, root, f"{place.name}.sig")
        second = read_second(descriptor, root, f"{place.name}.sig{SUFFIX}")
    vouched = verify_signature(signature, trust, f"{place}.sig", second=second, now=now)
    return admit_content(vouched, content, str(place), place.name, kind=kind, revoked=trust.revoked)


@contextmanager
def open_folder(path: str) -> Iterator[int]:
    """Open a folder and yield its descriptor. The path to it may lead through links: only what is in it is trusted."""
    try:
        descriptor = os.open(path or ".", _OPEN_FOLDER)
    except (OSError, ValueError) as error:
        raise cannot_read(error, path) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def list_files(descriptor: int, root: str) -> list[str]:
    """List every file below an open folder by its name with `/` between components. Empty folders do not count.

    Raises:
        AdmissionError: `link`, `not-a-file`, `unreadable`, or `too-large` for too many files or folders in folders.
    """
    try:
        return list(_walk(descriptor, root, "", 0, iter(range(MAX_FILES))))
    except OSError as error:
        raise cannot_read(error, root) from None


def _walk(descriptor: int, root: str, prefix: str, depth: int, budget: Iterator[int]) -> Iterator[str]:
    with os.scandir(descriptor) as entries:
        for entry in entries:
            path = f"{root}/{prefix}{entry.name}"
            if next(budget, None) is None:
                raise refusal(
                    "too-large", root, f"it holds more than {MAX_FILES} files: check that it is a bundle"
                )
            if entry.is_symlink():
                raise refusal("link", path, "links are not followed: put the file itself in its place")
            if entry.is_dir(follow_symlinks=False):
                if depth == _MAX_FOLDERS:
                    raise refusal("too-large", path, f"folders lie deeper than {_MAX_FOLDERS}: remove some")
                with _below(descriptor, entry.name, path) as below:
                    yield from _walk(below, root, f"{prefix}{entry.name}/", depth + 1, budget)
            elif not entry.is_file(follow_symlinks=False):
                raise refusal("not-a-file", path, "only regular files belong in a bundle: remove it")
            else:
                yield f"{prefix}{entry.name}"


def read_files(descriptor: int, root: str, names: Sequence[str]) -> dict[str, Content]:
    """Read the named files below an open folder, each once, all together at most `MAX_BUNDLE_BYTES`."""
    with Reader(MAX_BUNDLE_BYTES) as reader:
        contents = {name: _read(reader, descriptor, root, name) for name in names}
    return {name: content() for name, content in contents.items()}


def read_signature(descriptor: int, root: str, name: str) -> bytes:
    """Read a signature file; one that is not there is reported as an unsigned bundle or file."""
    try:
        return read_file(descriptor, root, name, MAX_SIGNATURE_BYTES).data
    except AdmissionError as error:
        if error.reason != "file-missing":
            raise
        raise refusal(
            "signature-missing",
            f"{root}/{name}",
            "there is no signature: sign with `edgeguard sign PATH --key KEY`",
        ) from None


def read_second(descriptor: int, root: str, name: str) -> bytes | None:
    """Read a second signature; None: there is none."""
    try:
        return read_file(descriptor, root, name, MAX_SIGNATURE_BYTES).data
    except AdmissionError as error:
        if error.reason != "file-missing":
            raise
        return None


def read_file(descriptor: int, root: str, name: str, limit: int) -> Content:
    """Read one regular file below an open folder, whole, at most `limit` bytes, following no link on the way.

    Raises:
        AdmissionError: `file-missing`, `link`, `not-a-file`, `too-large` or `unreadable`.
    """
    with Reader(limit) as reader:
        content = _read(reader, descriptor, root, name)
    return content()


def _read(reader: Reader, descriptor: int, root: str, name: str) -> Callable[[], Content]:
    head, _, rest = name.partition("/")
    path = f"{root}/{head}"
    if rest:
        with _below(descriptor, head, path) as below:
            return _read(reader, below, path, rest)
    try:
        file = os.open(name, _OPEN_FILE, dir_fd=descriptor)
    except (OSError, ValueError) as error:
        raise cannot_read(error, path) from None
    try:
        return reader.read(file, path)
    finally:
        os.close(file)


@contextmanager
def _below(descriptor: int, name: str, path: str) -> Iterator[int]:
    try:
        below = os.open(name, _OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
    except OSError as error:
        raise cannot_read(error, path) from None
    try:
        yield below
    finally:
        os.close(below)
