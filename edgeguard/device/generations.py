"""Known-good generations: complete copies of what this device admitted and ran, to fall back on.

A generation is a policy with its calibration, bundles and keys. Nothing in here is believed: a copy is admitted like an
original, by its signatures and pins. A generation appears whole or not at all; the newest few are kept.

    STATE/good/000007.json    what generation 7 is made of, and where each file of it lies
    STATE/good/withdrawn      the marks of generations that the operator turned down, one a line
    STATE/good/objects/       bundles and signed files, each in a folder that is named by its content
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edgeguard.admission.post_quantum import SUFFIX
from edgeguard.admission.store import MAX_BUNDLE_BYTES, list_files, open_folder, read_file, read_files
from edgeguard.disk import why, write_folder, write_whole
from edgeguard.errors import AdmissionError, UsageError

if TYPE_CHECKING:
    from edgeguard.admission.bundle import Content

MOST = 3
"""Generations that are kept, beside as many withdrawn ones."""
FORMAT = 1
_RECORD = re.compile(r"[0-9]{6}\.json")
_LARGEST = 1024 * 1024


class Source(NamedTuple):
    """Something to copy. `path`: absolute, as the policy names it. `digest`: hex, of a bundle; empty: a single file."""

    path: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Generation:
    """One known-good whole, as its record says."""

    number: int
    name: str
    version: int
    """Of the policy."""
    digests: dict[str, str]
    """Hex: of the policy, its calibration and every model, as a verdict carries them."""
    policy: str
    """Absolute path of the policy, where it was offered."""
    kept: dict[str, str]
    """From a path that the policy names (absolute) to its copy, below the folder of objects."""

    @property
    def mark(self) -> str:
        """What tells this whole from every other."""
        return mark_of(self.digests)


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    edgeguard_generation: int
    generation: Generation


def mark_of(digests: Mapping[str, str]) -> str:
    """Hex SHA-256 over everything that was admitted together."""
    return hashlib.sha256(json.dumps(dict(digests), sort_keys=True).encode()).hexdigest()


class Generations:
    """The known-good generations of one state folder."""

    def __init__(self, state: Path) -> None:
        self.folder = Path(state).absolute() / "good"
        self.objects = self.folder / "objects"

    def all(self) -> tuple[Generation, ...]:
        """Every generation whose record can be read, the newest first."""
        names = sorted((path for path in _entries(self.folder) if _RECORD.fullmatch(path.name)), reverse=True)
        return tuple(found for path in names if (found := _read(path)) is not None)

    def usable(self) -> tuple[Generation, ...]:
        """Those that were not withdrawn, the newest first."""
        turned_down = self.withdrawn()
        return tuple(generation for generation in self.all() if generation.mark not in turned_down)

    def withdrawn(self) -> frozenset[str]:
        """Marks of what the operator rolled back from. Raises: UsageError."""
        try:
            return frozenset(_plain(self.folder, "withdrawn").decode("ascii").split())
        except (AdmissionError, ValueError) as error:
            if getattr(error, "reason", "") == "file-missing":
                return frozenset()
            raise UsageError(
                f"`{self.folder / 'withdrawn'}` cannot be read: remove it, then roll back again"
            ) from None

    def withdraw(self, marks: frozenset[str]) -> None:
        """Turn down exactly these; all others count again. Durable when it returns. Raises: UsageError."""
        with _disk(self.folder):
            self.objects.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / "withdrawn", "".join(f"{mark}\n" for mark in sorted(marks)).encode())

    def add(
        self, sources: Sequence[Source], *, policy: str, name: str, version: int, digests: Mapping[str, str]
    ) -> Generation:
        """Copy a whole, the policy's own file among its `sources`. Not verified here: admit it before you rely on it.

        Raises:
            AdmissionError: a file is gone, or is no regular file any more.
            UsageError: the folder cannot be written.
        """
        with _disk(self.folder):
            self.objects.mkdir(parents=True, exist_ok=True)
            kept = {source.path: self._copy(source) for source in sources}
            number = max((generation.number for generation in self.all()), default=0) + 1
            generation = Generation(number, name, version, dict(digests), policy, kept)
            write_whole(self._path(generation), msgspec.json.encode(_Record(FORMAT, generation)))
        return generation

    def drop(self, generation: Generation) -> None:
        """Forget a generation. Raises: UsageError."""
        with _disk(self.folder):
            self._path(generation).unlink(missing_ok=True)

    def prune(self) -> None:
        """Forget all but the newest few, and every copy that none of them needs. Raises: UsageError."""
        turned_down = self.withdrawn()
        every = self.all()
        good = [generation for generation in every if generation.mark not in turned_down]
        bad = [generation for generation in every if generation.mark in turned_down]
        for generation in good[MOST:] + bad[MOST:]:
            self.drop(generation)
        needed = {path.partition("/")[0] for g in good[:MOST] + bad[:MOST] for path in g.kept.values()}
        for entry in _entries(self.objects):
            if entry.name not in needed:
                _remove(entry)

    def _path(self, generation: Generation) -> Path:
        return self.folder / f"{generation.number:06}.json"

    def _copy(self, source: Source) -> str:
        """Copy a bundle or a file with its signatures; returns where it is, below the folder of objects."""
        folder, name = (source.path, "") if source.digest else os.path.split(source.path)
        with open_folder(folder) as descriptor:
            if name:
                found = _with_signatures(descriptor, folder, name)
            else:
                found = read_files(descriptor, folder, list_files(descriptor, folder))
        home = _name_of({name: content.digest for name, content in found.items()})
        if _name_of(_digests(self.objects / home)) != home:  # also where a copy was spoiled since
            _remove(self.objects / home)
            files = {name: [content.data] for name, content in found.items()}
            write_folder(self.objects / home, files, private=True)
        return f"{home}/{name}" if name else home


def _name_of(digests: Mapping[str, str]) -> str:
    """What a copy is called: hex SHA-256 over the names and contents of its files, so that it tells if it is whole."""
    return hashlib.sha256(json.dumps(dict(digests), sort_keys=True).encode()).hexdigest()


def _digests(folder: Path) -> dict[str, str]:
    """Of every file of a copy; empty where it is not there or cannot be read."""
    root = str(folder)
    try:
        with open_folder(root) as descriptor:
            names = list_files(descriptor, root)
            return {name: read_file(descriptor, root, name, MAX_BUNDLE_BYTES).digest for name in names}
    except AdmissionError:
        return {}


def _with_signatures(descriptor: int, folder: str, name: str) -> dict[str, Content]:
    found = {name: read_file(descriptor, folder, name, MAX_BUNDLE_BYTES)}
    for signature in (f"{name}.sig", f"{name}.sig{SUFFIX}"):
        try:
            found[signature] = read_file(descriptor, folder, signature, _LARGEST)
        except AdmissionError as error:
            if error.reason != "file-missing":
                raise
    return found


def _read(path: Path) -> Generation | None:
    """A record; None where it is damaged: what it stood for is simply not there any more."""
    try:
        record = msgspec.json.decode(_plain(path.parent, path.name), type=_Record)
    except (AdmissionError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    known = record.edgeguard_generation == FORMAT and record.generation.number == int(path.stem)
    return record.generation if known else None


def _plain(folder: Path, name: str) -> bytes:
    """Read a small regular file; nothing that a link or a pipe in its place could do. Raises: AdmissionError."""
    with open_folder(str(folder)) as descriptor:
        return read_file(descriptor, str(folder), name, _LARGEST).data


def _remove(place: Path) -> None:
    """Remove a copy, or whatever else lies there. What cannot be removed stays."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        with suppress(OSError):
            place.unlink()


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write below `{folder}`: {why(error)}; check the folder and the disk"
        ) from None
