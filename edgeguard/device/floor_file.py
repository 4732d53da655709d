"""A floor in a file: versions and time that never fall, kept over a power cut, under a key of the device's own.

It is made once and never silently anew. A file that is not exactly what was written last or just before is refused.

    STATE/floor.key   the key: 32 bytes in hex, or sealed to a TPM; made once, never replaced
    STATE/floor       `edgeguard-floor 1 MAC`, then one line of JSON; replaced whole by every raise
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec

from edgeguard.admission.reasons import refusal, shown
from edgeguard.device import files
from edgeguard.errors import AdmissionError, UsageError

FLOOR = "floor"
KEY = "floor.key"
MAX_FLOOR_BYTES = 64 * 1024
SECRET_BYTES = 32
LATEST = 253_402_300_800.0
"""End of the year 9999, Unix s: no time is later."""

_FORMAT = 1
_HEAD = re.compile(rb"edgeguard-floor ([0-9]{1,6}) ([0-9a-f]{64})\n", re.ASCII)
_PLACE = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_LARGEST = 2**63
_RESTORE = "if you cannot explain it, check the device; then make a new one, as in `docs/how-to/remember-versions.md`"


class Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a floor file holds. `epoch`: of this content; `index`: NV index of the TPM's counter, 0: there is none."""

    epoch: int
    index: int
    time: float
    versions: dict[str, int]

    def raised(self, versions: Mapping[str, int], time: float) -> Held:
        """Return the same with newer versions and a later time; lower ones change nothing."""
        every = dict(self.versions)
        for place, version in versions.items():
            every[place] = max(int(version), every.get(place, 0))
        return msgspec.structs.replace(self, versions=every, time=max(self.time, float(time)))


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """The device's own 32 bytes, and the keys that are made from them."""

    value: bytes

    def mac(self, message: bytes) -> bytes:
        """Return the MAC of a floor file, in hex."""
        return (
            hmac.new(self._derived(b"edgeguard floor 1: file"), message, hashlib.sha256).hexdigest().encode()
        )

    @property
    def auth(self) -> bytes:
        """The password of the TPM's counter."""
        return self._derived(b"edgeguard floor 1: counter")

    def _derived(self, purpose: bytes) -> bytes:
        return hmac.new(self.value, purpose, hashlib.sha256).digest()


class FileFloor:
    """See `edgeguard.admission.floor.Floor`. Safe for several processes: each raise reads again, under a lock."""

    strength = "file"

    def __init__(self, state: Path, secret: Secret) -> None:
        """Read the floor of a state folder.

        Raises:
            AdmissionError: `floor-missing`, `floor-damaged`.
        """
        self._state = state
        self._secret = secret
        with as_floor(state), files.open_private(state) as folder, files.locked(folder, KEY):
            self._held = self._read(folder)

    @property
    def time(self) -> float:
        """See `Floor`."""
        return self._held.time

    @property
    def versions(self) -> Mapping[str, int]:
        """Every place with its version."""
        return MappingProxyType(self._held.versions)

    @property
    def raises(self) -> int:
        """How often it was written, or what the TPM's counter shows."""
        return self._held.epoch

    def at(self, place: str) -> int:
        """See `Floor`."""
        return self._held.versions.get(place, 0)

    def raise_to(self, versions: Mapping[str, int], time: float = 0.0) -> None:
        """See `Floor`.

        Raises:
            AdmissionError: `floor-missing`, `floor-damaged`.
            UsageError: a place, a version or a time that no floor can hold.
        """
        check_raise(versions, time)
        with as_floor(self._state), files.open_private(self._state) as folder, files.locked(folder, KEY):
            found = self._read(folder)
            wanted = found.raised(self._held.versions, self._held.time).raised(versions, time)
            self._held = self._store(folder, found, wanted) if wanted != found else found

    def _read(self, folder: files.Folder) -> Held:
        # what is read may be of a raise that failed half way: from now on it must not be lost any more
        files.settle(folder)
        data = files.read(folder, FLOOR, MAX_FLOOR_BYTES)
        return self._agreed(decode(data, self._secret, str(self._state / FLOOR)))

    def _agreed(self, held: Held) -> Held:
        """What was read, after it was held against whatever else remembers."""
        if held.index:
            raise refusal(
                "floor-damaged", str(self._state / FLOOR), f"it belongs to a TPM's counter: {_RESTORE}"
            )
        return held

    def _store(self, folder: files.Folder, found: Held, wanted: Held) -> Held:
        """Write a newer content over the one that was found, and return it as it was written."""
        return self._write(folder, msgspec.structs.replace(wanted, epoch=found.epoch + 1))

    def _write(self, folder: files.Folder, held: Held) -> Held:
        files.replace(folder, FLOOR, encode(held, self._secret))
        return held


def encode(held: Held, secret: Secret) -> bytes:
    """Return the bytes of a floor file.

    Raises:
        UsageError: it would be larger than a floor file may be.
    """
    body = json.dumps(msgspec.to_builtins(held), separators=(",", ":"), sort_keys=True).encode() + b"\n"
    data = b"edgeguard-floor %d %s\n%s" % (_FORMAT, secret.mac(body), body)
    if len(data) > MAX_FLOOR_BYTES:
        raise UsageError(f"a floor of more than {MAX_FLOOR_BYTES} bytes: raise fewer places")
    return data


def decode(data: bytes, secret: Secret, path: str) -> Held:
    """Read the bytes of a floor file. `path` is only for messages.

    Raises:
        AdmissionError: `floor-damaged`, they are not exactly what `encode` makes with this secret.
    """
    head = _HEAD.match(data)
    if head is None:
        raise refusal("floor-damaged", path, f"it is not a floor: {_RESTORE}")
    if int(head[1]) != _FORMAT:
        raise refusal(
            "floor-damaged",
            path,
            f"it has format {int(head[1])}, this release reads {_FORMAT}: install the release that wrote it",
        )
    body = data[head.end() :]
    if not hmac.compare_digest(head[2], secret.mac(body)):
        raise refusal("floor-damaged", path, f"this device did not write it, or it was changed: {_RESTORE}")
    try:
        held = msgspec.json.decode(body, type=Held, strict=True)
        if encode(held, secret) == data:
            return held
    except (msgspec.MsgspecError, UsageError, ValueError):
        pass  # signed with our key and yet not ours
    raise refusal("floor-damaged", path, f"it is not what this release writes: {_RESTORE}")


def check_raise(versions: Mapping[str, int], time: float) -> None:
    """Refuse what no floor can hold.

    Raises:
        UsageError: a place, a version or a time out of range.
    """
    for place, version in versions.items():
        if not _PLACE.fullmatch(place):
            raise UsageError(f"`{shown(place)}` is no place: use `policy`, or a role such as `primary`")
        if not 0 <= version < _LARGEST:
            raise UsageError(f"version {version} of `{place}` is out of range: use 0 or more, below 2^63")
    if not (math.isfinite(time) and 0.0 <= time < LATEST):
        raise UsageError(f"time {time} is out of range: use seconds since 1970, before the year 10000")


@contextmanager
def as_floor(state: Path) -> Iterator[None]:
    """Say of every refusal and failure below that it is the floor which is missing or damaged, and what to do."""
    try:
        yield
    except AdmissionError as error:
        if error.reason in ("floor-missing", "floor-damaged"):
            raise
        if error.reason == "file-missing":
            raise refusal(
                "floor-missing",
                error.path,
                f"this device's memory of versions is not there: if it never had one, `edgeguard floor new {state}`; "
                f"{_RESTORE}",
            ) from None
        said = str(error).removeprefix(f"{error.path}: {error.reason}: ")
        raise refusal("floor-damaged", error.path, f"{said}; {_RESTORE}") from None
    except UsageError as error:  # of the TPM
        raise refusal("floor-damaged", str(state / FLOOR), f"it cannot be checked, because {error}") from None
