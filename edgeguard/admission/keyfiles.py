"""Key files: read only when nobody else could have, written whole or not at all, and never written over.

What a key is, is not known here; no private byte is ever printed.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

from edgeguard import disk
from edgeguard.disk import why
from edgeguard.errors import UsageError

MAX_KEY_BYTES = 64 * 1024
MAX_PIN_BYTES = 256

_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_BEGIN = re.compile(rb"-----BEGIN ")


def read_public(path: str | Path, kind: str) -> bytes:
    """Read a key file that anybody may read. `kind` is for messages, such as `public key`.

    Raises:
        UsageError: it is missing, not a regular file, or too large.
    """
    return _read(Path(path), kind, _OPEN)


def read_private(path: str | Path, kind: str) -> bytes:
    """Read a key file that only its owner may use. `kind` is for messages, such as `private key`.

    Raises:
        UsageError: it is missing, a link, not a regular file, too large, or others can use it.
    """
    return _read(Path(path), kind, _OPEN | os.O_NOFOLLOW, private=True)


def check_one_pem(data: bytes, where: str, kind: str) -> None:
    """Refuse text with several keys in it: which one was meant, nobody can tell.

    Raises:
        UsageError: there is more than one block.
    """
    found = len(_BEGIN.findall(data))
    if found > 1:
        raise UsageError(
            f"`{where}` holds {found} PEM blocks and not one {kind}: put each into a file of its own, or "
            "copy the key alone with `openssl pkey`"
        )


def check_free(path: str | Path) -> None:
    """Refuse a place where something is already, before a long or lasting step.

    Raises:
        UsageError: there is something of that name.
    """
    if os.path.lexists(path):
        raise UsageError(f"`{path}` exists already and is not overwritten: choose another name")


def create(path: str | Path, data: bytes, *, private: bool) -> None:
    """Make a key file: mode 0600 or 0644, under its name only when it is whole and on the disk.

    Raises:
        UsageError: there is something of that name, or it cannot be made.
    """
    place = Path(path)
    try:
        disk.create(place, data, mode=0o600 if private else 0o644)
    except FileExistsError:
        raise UsageError(f"`{place}` exists already and is not overwritten: choose another name") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot create `{place}`: {why(error)}; check the folder and the disk") from None


def replace(path: str | Path, data: bytes, *, mode: int = 0o644) -> None:
    """Put `data` in the place of a file that holds no secret: after a power cut it is the old or the new one.

    Raises:
        UsageError: it cannot be written; then the old one is as it was.
    """
    place = Path(path)
    try:
        disk.replace(place, data, mode=mode)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write `{place}`: {why(error)}; check the folder and the disk") from None


def _read(path: Path, kind: str, flags: int, *, private: bool = False) -> bytes:
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ELOOP:
            raise UsageError(
                f"the {kind} `{path}` is a link, and no link to a secret is followed: name the file itself"
            ) from None
        raise UsageError(f"cannot read the {kind} `{path}`: {why(error)}; check the path") from None
    try:
        _check_status(os.fstat(descriptor), path, kind, private=private)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read the {kind} `{path}`: {why(error)}; check the path") from None
    finally:
        os.close(descriptor)
    if len(data) > MAX_KEY_BYTES:
        raise UsageError(f"`{path}` is too large to be a {kind}: check the path")
    return data


def _check_status(status: os.stat_result, path: Path, kind: str, *, private: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"cannot read the {kind} `{path}`: it is not a regular file; check the path")
    if not private:
        return
    if stat.S_IMODE(status.st_mode) & 0o077:
        if path.suffix == ".pub":
            raise UsageError(f"`{path}` is named like a public key: name the {kind} instead")
        raise UsageError(
            f"the {kind} `{path}` can be used by others: run `chmod 600 {path}`, "
            "and make a new key if it was ever shared"
        )
