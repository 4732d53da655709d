"""Doubles for what a device remembers with: a TPM in memory, calls that fail, and a disk that loses data.

`MemoryTpm` implements the production protocol. The disk is a model: it is stricter with us than a file system is.
"""

from __future__ import annotations

import errno
import itertools
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edgeguard.device.tpm import Sealed
from edgeguard.errors import UsageError


class MemoryTpm:
    """See `edgeguard.device.tpm.Tpm`. `calls` sees every call by its name, before and after it has its effect."""

    def __init__(self) -> None:
        self.counters: dict[int, tuple[bytes, int]] = {}
        self.removed = 0
        self.boot = "as it was"
        self.calls: Callable[[str], None] = lambda _: None
        self._secrets: dict[bytes, tuple[str, str, bytes]] = {}

    def counter_create(self, index: int, auth: bytes) -> int:
        self.calls("create")
        if index in self.counters:
            raise UsageError(f"there is something under {index:#x} already")
        self.counters[index] = (auth, self.removed + 1)
        self.calls("created")
        return self.removed + 1

    def counter_read(self, index: int, auth: bytes) -> int | None:
        self.calls("read")
        if index not in self.counters:
            return None
        return self._counter(index, auth)

    def counter_increment(self, index: int, auth: bytes) -> None:
        self.calls("increment")
        value = self._counter(index, auth) + 1
        self.counters[index] = (auth, value)
        self.calls("incremented")

    def counter_remove(self, index: int) -> None:
        self.removed = max(self.removed, self.counters.pop(index)[1])

    def seal(self, secret: bytes, pcrs: str = "") -> Sealed:
        self.calls("seal")
        private = secrets.token_bytes(32)
        self._secrets[private] = (pcrs, self.boot, secret)
        return Sealed(b"public", private, pcrs)

    def unseal(self, sealed: Sealed) -> bytes:
        self.calls("unseal")
        pcrs, boot, secret = self._secrets.get(sealed.private, ("?", "", b""))
        if pcrs != sealed.pcrs or (pcrs and boot != self.boot):
            raise UsageError("the TPM did not seal this, or the boot has changed")
        return secret

    def _counter(self, index: int, auth: bytes) -> int:
        right, value = self.counters.get(index, (b"", 0))
        if auth != right:
            raise UsageError("the TPM refused the password")
        return value


class Watched(SimpleNamespace):
    """The module `os` with each call of interest announced before it is made, and its outcome after."""

    NAMES = ("open", "write", "fsync", "rename", "unlink", "close", "read", "fstat", "stat")

    def __init__(self, before: Callable[..., None], after: Callable[..., None], *, sync: bool = True) -> None:
        super().__init__(**{name: getattr(os, name) for name in dir(os) if not name.startswith("__")})
        for name in self.NAMES:
            real = getattr(os, name) if sync or name != "fsync" else (lambda _: None)
            setattr(self, name, self._call(name, real, before, after))

    @staticmethod
    def _call(name: str, real: Any, before: Callable[..., None], after: Callable[..., None]) -> Any:
        def called(*args: Any, **kwargs: Any) -> Any:
            if name == "close":  # which closes even where it fails
                real(*args)
                before(name, args)
                return after(name, args, None)
            args = tuple(str(arg) if isinstance(arg, Path) else arg for arg in args)
            before(name, args)
            result = real(*args, **kwargs)
            after(name, args, result)
            return result

        return called


class FailOnce:
    """Lets call number `n` (from 0) fail, and no other. `seen`: the names of all calls."""

    def __init__(self, n: int, *, code: int = errno.EIO) -> None:
        self.n = n
        self.code = code
        self.seen: list[str] = []

    def __call__(self, name: str, *_: object) -> None:
        self.seen.append(name)
        if len(self.seen) - 1 == self.n:
            raise OSError(self.code, os.strerror(self.code))

    def tpm(self, name: str) -> None:
        """The same for a TPM, which says it in words."""
        self.seen.append(name)
        if len(self.seen) - 1 == self.n:
            raise UsageError("the TPM does not answer")


@dataclass
class Disk:
    """What a folder may be after a power cut, from everything that was done to it in order.

    A file's content is certain once it was synced; before, it may be empty, half there, whole or zeros. What was done
    to the names is certain once the folder was synced; before, any part of it may have been lost.
    """

    names: dict[str, bytes]
    log: list[tuple[Any, ...]] = field(default_factory=list)
    _files: dict[int, int] = field(default_factory=dict)
    _next: Iterator[int] = field(default_factory=itertools.count)
    _now: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Disk:
        names = {path.name: path.read_bytes() for path in folder.iterdir()}
        return cls(names, _now=dict(names))

    def watched(self) -> Watched:
        return Watched(lambda *_: None, self._after, sync=False)

    def note(self, *entry: Any) -> None:
        self.log.append(entry)

    def _after(self, name: str, args: tuple[Any, ...], result: Any) -> None:
        if name == "open" and args[1] & os.O_CREAT:
            self._files[result] = next(self._next)
            self._now[args[0]] = self._files[result]
            self.note("create", args[0], self._files[result])
        elif name == "write":
            self.note("write", self._files[args[0]], bytes(args[1][:result]))
        elif name == "fsync":
            self.note("sync", self._files.get(args[0]))
        elif name == "close":
            self._files.pop(args[0], None)
        elif name == "rename":
            self._now[args[1]] = self._now.pop(args[0])
            self.note("rename", *args, self._now[args[1]])
        elif name == "unlink":
            del self._now[args[0]]
            self.note("unlink", *args)

    def after(self, cut: int) -> list[dict[str, bytes]]:
        """Every folder that may be found when the power goes before entry `cut` of the log."""
        done = self.log[:cut]
        content, synced = _written(done)
        folder_synced = max((i for i, entry in enumerate(done) if entry == ("sync", None)), default=-1)
        changes = [(i, entry) for i, entry in enumerate(done) if entry[0] in ("create", "rename", "unlink")]
        certain: dict[str, int | bytes] = dict(self.names)
        for i, change in changes:
            if i < folder_synced:
                _apply(certain, change)
        pending = [change for i, change in changes if i > folder_synced]
        found: list[dict[str, bytes]] = []
        for kept in itertools.product((False, True), repeat=len(pending)):
            names = dict(certain)
            for keep, change in zip(kept, pending):
                if keep:
                    _apply(names, change)
            found += _contents(names, content, synced)
        unique: list[dict[str, bytes]] = []
        for one in found:
            if one not in unique:
                unique.append(one)
        return unique


def _written(done: list[tuple[Any, ...]]) -> tuple[dict[int, bytes], set[int]]:
    """The content of every new file, and those whose content is certain."""
    content: dict[int, bytes] = {}
    synced: set[int] = set()
    for kind, *args in done:
        if kind == "write":
            content[args[0]] = content.get(args[0], b"") + args[1]
            synced.discard(args[0])
        elif kind == "sync" and args[0] is not None:
            synced.add(args[0])
    return content, synced


def _apply(names: dict[str, Any], change: tuple[Any, ...]) -> None:
    kind, first, *rest = change
    if kind == "create":
        names[first] = rest[0]
    else:
        names.pop(first, None)
    if kind == "rename":
        names[rest[0]] = rest[1]


def _contents(
    names: dict[str, Any], content: dict[int, bytes], synced: set[int]
) -> Iterator[dict[str, bytes]]:
    choices = []
    for name, what in names.items():
        if isinstance(what, bytes):
            choices.append([(name, what)])
            continue
        data = content.get(what, b"")
        whole = [data] if what in synced else [b"", data[: len(data) // 2], data, bytes(len(data))]
        choices.append([(name, one) for one in whole])
    return (dict(one) for one in itertools.product(*choices))


def write_folder(folder: Path, names: dict[str, bytes]) -> Path:
    """Make a folder of files, as a device's state has them."""
    folder.mkdir(mode=0o700)
    for name, data in names.items():
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o600)
    return folder
