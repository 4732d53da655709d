"""How python-tuf gets at a repository in a folder, such as a USB stick's: regular files below it, through no link.

A stick may be hostile: nothing on it is followed, waited for, or read beyond its stated length.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError
from tuf.ngclient.fetcher import FetcherInterface

from edgeguard.admission.reasons import refusal
from edgeguard.admission.store import MAX_BUNDLE_BYTES

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NOT_THERE = 404
"""What a web server would answer: python-tuf looks for the next root until there is none."""


class FolderFetcher(FetcherInterface):
    """Files below a folder."""

    resumed = False

    def __init__(self, base: Path) -> None:
        self._base = base

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield self.download_bytes(url, MAX_BUNDLE_BYTES)

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Read a metadata file, at most `max_length` bytes."""
        with self.download_file(url, max_length) as file:
            data = file.read(max_length + 1)
        if len(data) > max_length:
            raise DownloadLengthMismatchError(f"`{url}` has more than {max_length} bytes")
        return data

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """Open a target of at most `max_length` bytes where it lies."""
        descriptor = self._open(url)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise refusal("not-a-file", self._path(url), "only regular files are read: remove it")
            if status.st_size > max_length:
                raise DownloadLengthMismatchError(f"`{url}` has more than {max_length} bytes")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                yield file
        finally:
            os.close(descriptor)

    def _open(self, url: str) -> int:
        *folders, name = url.split("/")
        if not {"", ".", ".."}.isdisjoint((*folders, name)):
            raise refusal(
                "name-unsafe", self._path(url), "it leads out of the repository: check who signed it"
            )
        opened: list[int] = []
        try:
            opened.append(os.open(self._base, _FOLDER))
            for folder in folders:
                opened.append(os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=opened[-1]))
            return os.open(name, _FILE, dir_fd=opened[-1])
        except OSError as error:
            raise self._cannot_open(error, url) from None
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def _cannot_open(self, error: OSError, url: str) -> Exception:
        path = self._path(url)
        if error.errno == errno.ENOENT:
            return DownloadHTTPError(f"`{path}` is not there", _NOT_THERE)
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            return refusal("link", path, "links are not followed: put the file itself in its place")
        if error.errno in (errno.ENXIO, errno.EISDIR):
            return refusal("not-a-file", path, "only regular files are read: remove it")
        return DownloadError(f"cannot read `{path}`: {(error.strerror or 'input/output error').lower()}")

    def _path(self, url: str) -> str:
        return str(self._base / url)
