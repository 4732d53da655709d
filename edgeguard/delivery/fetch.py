"""How python-tuf gets at a repository on a web server: whole metadata, and targets that go on where they broke off.

Every answer is capped in size and time. Nothing here is believed: python-tuf verifies all that arrives.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import socket
import ssl
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import SplitResult, quote, urlsplit

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    LengthOrHashMismatchError,
    SlowRetrievalError,
)
from tuf.ngclient.fetcher import FetcherInterface

from edgeguard.admission.store import MAX_BUNDLE_BYTES
from edgeguard.errors import UsageError

_CHUNK = 1 << 16


class CutError(DownloadError):
    """The line broke before all had arrived."""


class HttpFetcher(FetcherInterface):
    """Files below an address. `parts`: a folder for what has not arrived whole.

    `patience`: seconds for an answer to begin, and for nothing to arrive; `slowest`: bytes a second, on average, below
    which a server is given up.
    """

    attempts = 3

    def __init__(self, base: str, parts: Path, *, patience: float = 30.0, slowest: float = 1024.0) -> None:
        split = urlsplit(base)
        if not _is_address(split):
            raise UsageError(
                f"`{base}` is not the address of a repository: use such as `https://example.org/edgeguard`"
            )
        self._base: SplitResult = split
        self._parts = parts
        self._patience = patience
        self._slowest = slowest
        self.resumed = False
        """Whether the last file began with bytes of an earlier attempt."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        return self._chunks(url, 0, MAX_BUNDLE_BYTES)

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Get a metadata file, at most `max_length` bytes."""
        data = bytearray()
        for chunk in self._chunks(url, 0, max_length):
            data += chunk
        return bytes(data)

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """Get a target of `max_length` bytes. What arrived is kept when the line breaks, dropped when it is wrong."""
        self._parts.mkdir(parents=True, exist_ok=True)
        place = self._parts / f"{hashlib.sha256(url.encode()).hexdigest()}.part"
        with _open_part(place) as file:
            self._fill(url, file, max_length)
            file.seek(0)
            try:
                yield file
            except LengthOrHashMismatchError:
                place.unlink()
                raise
        place.unlink()

    def _fill(self, url: str, file: IO[bytes], length: int) -> None:
        self.resumed = file.seek(0, os.SEEK_END) > 0
        for attempt in range(1, self.attempts + 1):
            have = file.seek(0, os.SEEK_END)
            if have > length:
                have = file.truncate(0)
                file.seek(0)
            if have == length:
                return
            try:
                for chunk in self._chunks(url, have, length):
                    file.write(chunk)
            except _NoRangeError:
                file.truncate(0)
            except (CutError, SlowRetrievalError):
                file.flush()
                if attempt == self.attempts or file.tell() == have:
                    raise
            else:
                if file.tell() == length:
                    return
        raise CutError(f"the server ended `{url}` early")

    def _chunks(self, url: str, start: int, limit: int) -> Iterator[bytes]:
        """Yield a file from byte `start` on. `limit`: the most bytes that it may have as a whole."""
        begun = time.monotonic()
        got = 0
        try:
            with self._answer(url, start) as response:
                length = _content_length(response, url)
                if start + length > limit:
                    raise DownloadLengthMismatchError(f"`{url}` has more than {limit} bytes")
                while got < length and (chunk := response.read1(min(_CHUNK, length - got))):
                    got += len(chunk)
                    yield chunk
                    if time.monotonic() - begun > self._patience + got / self._slowest:
                        raise SlowRetrievalError(
                            f"`{url}` arrives at less than {self._slowest:.0f} bytes a second"
                        )
                if got < length:
                    raise CutError(f"the connection broke after {start + got} bytes of `{url}`")
        except ssl.SSLCertVerificationError as error:
            said = error.verify_message.lower()
            raise DownloadError(
                f"the certificate of `{self._base.hostname}` does not count here ({said})"
            ) from None
        except TimeoutError:
            raise SlowRetrievalError(f"no answer for {self._patience:.0f} s for `{url}`") from None
        except (OSError, http.client.HTTPException) as error:
            said = (getattr(error, "strerror", None) or "no answer that can be read").lower()
            raise CutError(f"the connection broke after {start + got} bytes of `{url}` ({said})") from None

    @contextmanager
    def _answer(self, url: str, start: int) -> Iterator[http.client.HTTPResponse]:
        connection = self._connection()
        headers = {"Accept-Encoding": "identity", "Connection": "close", "User-Agent": "edgeguard"}
        if start:
            headers["Range"] = f"bytes={start}-"
        path = f"{self._base.path.rstrip('/')}/{quote(url)}"
        overdue = threading.Event()

        def give_up() -> None:
            overdue.set()
            with contextlib.suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)

        watch = threading.Timer(self._patience, give_up)
        watch.daemon = True
        watch.start()
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            if overdue.is_set():  # the head may look whole, because it ends where the line was cut
                response.close()
                raise ConnectionAbortedError
        except (OSError, http.client.HTTPException, ValueError):
            connection.close()
            if overdue.is_set():
                raise SlowRetrievalError(f"no answer for {self._patience:.0f} s for `{url}`") from None
            raise
        finally:
            watch.cancel()
            watch.join()
        try:
            _check_status(response, url, start)
            yield response
        finally:
            response.close()
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._base.hostname or "", self._base.port
        if self._base.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=self._patience, context=context)
        return http.client.HTTPConnection(host, port, timeout=self._patience)


def _is_address(split: SplitResult) -> bool:
    try:
        usable = split.port is None or split.port > 0
    except ValueError:
        return False
    plain = not (split.query or split.fragment or split.username or split.password)
    return usable and plain and split.scheme in ("http", "https") and bool(split.hostname)


def _content_length(response: http.client.HTTPResponse, url: str) -> int:
    """How much follows. A server of files always says so; where there is no end in sight nothing is read."""
    text = response.getheader("Content-Length") or ""
    if response.chunked or not text.isdecimal() or len(text) > 18:
        raise DownloadError(f"the server does not say how long `{url}` is: use one that serves plain files")
    return int(text)


def _check_status(response: http.client.HTTPResponse, url: str, start: int) -> None:
    """Go on only with what was asked for: the whole file, or its rest from the right byte."""
    if start and response.status == 416:
        raise _NoRangeError(f"`{url}` is shorter than what is here of it")
    if response.status not in (200, 206):
        check = " (check the address)" if response.status == 404 else ""
        raise DownloadHTTPError(f"the server answers {response.status} for `{url}`{check}", response.status)
    begins = response.getheader("Content-Range", "").startswith(f"bytes {start}-")
    if start and not (response.status == 206 and begins):
        raise _NoRangeError(f"the server does not go on with `{url}` where it broke off")
    if not start and response.status == 206:
        raise DownloadError(f"the server sends only a part of `{url}`")


class _NoRangeError(DownloadError):
    """The server sends whole files only."""


@contextmanager
def _open_part(place: Path) -> Iterator[IO[bytes]]:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(place, flags, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"`{place}` is not a regular file: remove it")
    with os.fdopen(descriptor, "r+b") as file:
        yield file
