"""Policy files in and out: reads one to format it, and puts the formatted text in its place, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgeguard.desk.fmt.formatter import format_policy
from edgeguard.errors import UsageError
from edgeguard.policy.reader import MOST_BYTES


@dataclass(frozen=True, slots=True)
class Formatted:
    """A file's text as it is and as it should be."""

    path: Path
    before: str
    after: str

    @property
    def changed(self) -> bool:
        """Whether formatting changes any byte."""
        return self.before != self.after


def format_file(path: Path) -> Formatted:
    """Format one file; nothing is written.

    Raises:
        UsageError: it cannot be read, or formatted it would be too large.
        PolicyError, EdgeguardError: as `format_policy`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise _cannot("read", path, error) from None
    after = format_policy(data, file=str(path))
    return Formatted(path, data.decode(), after)


def replace_text(path: Path, text: str) -> None:
    """Put `text` in the place of a file at once, with its mode; through a link, in the place of what it points to.

    Raises:
        UsageError: that cannot be done; the file is as it was.
    """
    target = Path(os.path.realpath(path))
    try:
        mode = target.stat().st_mode & 0o7777
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise _cannot("write", path, error) from None
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise _cannot("write", path, error) from None


def _cannot(verb: str, path: Path, error: OSError) -> UsageError:
    return UsageError(f"cannot {verb} `{path}`: {(error.strerror or 'unknown reason').lower()}")
