"""Making and opening a device's floor: the only two ways to one.

A floor is made by a person, once. Opening never makes one. Whether it is strong enough for a policy, `Device` says.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from edgeguard.device import files, sealed
from edgeguard.device.floor_file import (
    FLOOR,
    KEY,
    SECRET_BYTES,
    FileFloor,
    Held,
    Secret,
    as_floor,
    encode,
)
from edgeguard.device.floor_tpm import INDEX, TpmFloor
from edgeguard.device.tpm import Tpm, open_tpm
from edgeguard.disk import sync_folder, why
from edgeguard.errors import AdmissionError, UsageError

_KEY = re.compile(rb"edgeguard-floor-key 1 ([0-9a-f]{64})\n")


def open_floor(state: str | Path, tpm: Tpm | None = None) -> FileFloor:
    """Open the floor of a state folder. `tpm` None: the one that the environment names.

    Raises:
        AdmissionError: `floor-missing`, `floor-damaged`.
    """
    place = Path(state).absolute()
    with as_floor(place):
        with files.open_private(place) as folder:
            key = files.read(folder, KEY, sealed.MAX_SEALED_BYTES)
        plain = _KEY.fullmatch(key)
        if plain is not None:
            return FileFloor(place, Secret(bytes.fromhex(plain[1].decode())))
        chip = open_tpm() if tpm is None else tpm
        return TpmFloor(place, _unsealed(chip, key, place / KEY), chip)


def create_floor(
    state: str | Path, tpm: Tpm | None = None, *, index: int = INDEX, pcrs: str = ""
) -> FileFloor:
    """Make the floor of a device that never had one, and open it. `tpm` None: in a file only.

    Raises:
        UsageError: there is one or the rest of one, the folder cannot be used, or the TPM does not do it.
        AdmissionError: as `open_floor`.
    """
    place = Path(state).absolute()
    _make_folder(place)
    try:
        with files.open_private(place) as folder:
            _check_new(place)
            secret = Secret(secrets.token_bytes(SECRET_BYTES))
            key, held = _begin(secret, tpm, index, pcrs)
            files.create(folder, KEY, key)
            files.create(folder, FLOOR, encode(held, secret))
    except AdmissionError as error:
        raise UsageError(str(error)) from None
    return open_floor(place, tpm)


def _begin(secret: Secret, tpm: Tpm | None, index: int, pcrs: str) -> tuple[bytes, Held]:
    """The bytes of the key file, and the first content of a floor."""
    if tpm is None:
        return b"edgeguard-floor-key 1 %s\n" % secret.value.hex().encode(), Held(0, 0, 0.0, {})
    key = sealed.encode(tpm.seal(secret.value, pcrs))
    return key, Held(tpm.counter_create(index, secret.auth), index, 0.0, {})


def _unsealed(tpm: Tpm, key: bytes, path: Path) -> Secret:
    value = tpm.unseal(sealed.decode(key, str(path)))
    if len(value) != SECRET_BYTES:
        raise UsageError(
            f"`{path}` holds {len(value)} bytes, not the key of a floor: put the right file back"
        )
    return Secret(value)


def _make_folder(place: Path) -> None:
    try:
        place.mkdir(mode=0o700)
        sync_folder(place.parent)
    except FileExistsError:
        pass
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot make the folder `{place}`: {why(error)}; make the one above it first"
        ) from None


def _check_new(place: Path) -> None:
    for name in (FLOOR, KEY):
        if os.path.lexists(place / name):
            raise UsageError(
                f"`{place / name}` exists already: a device's memory is made once and never anew. To forget what this "
                f"device ran, remove `{FLOOR}` and `{KEY}` from `{place}` yourself"
            )
