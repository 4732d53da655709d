"""A secret in a file that only this machine's TPM gives back: the key of a floor, or a signing key.

The file is not secret, and it is not proof of anything: whoever may use the TPM can unseal it. One spelling a file.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

from edgeguard.device import files
from edgeguard.device.tpm import Sealed, Tpm
from edgeguard.errors import AdmissionError, UsageError

FORMAT = 1
MAX_SEALED_BYTES = 8 * 1024
_FILE = re.compile(
    rb'\{"edgeguard_sealed":1,"parent":"(owner|0x81000001)","pcrs":"([a-z0-9:,]*)",'
    rb'"public":"([A-Za-z0-9+/=]+)","private":"([A-Za-z0-9+/=]+)"\}\n'
)
_ADVICE = "put the file back that was sealed on this machine"


def seal(tpm: Tpm, secret: bytes, path: str | Path, pcrs: str = "") -> None:
    """Seal 1 to 128 bytes and write them as the new file `path`, mode 0600.

    Raises:
        UsageError: the TPM does not do it, or the file exists or cannot be written.
    """
    place = Path(path)
    data = encode(tpm.seal(secret, pcrs))
    try:
        with files.open_private(place.parent) as folder:
            files.create(folder, place.name, data)
    except AdmissionError as error:
        raise UsageError(str(error)) from None


def unseal(tpm: Tpm, path: str | Path) -> bytes:
    """Give back the secret that was sealed into the file `path`.

    Raises:
        UsageError: the file is not there, not this user's alone, not what `seal` writes, or of another TPM.
    """
    place = Path(path)
    try:
        with files.open_private(place.parent) as folder:
            data = files.read(folder, place.name, MAX_SEALED_BYTES)
    except AdmissionError as error:
        raise UsageError(str(error)) from None
    return tpm.unseal(decode(data, str(place)))


def encode(sealed: Sealed) -> bytes:
    """Return the file's bytes."""
    values = {
        "edgeguard_sealed": FORMAT,
        "parent": sealed.parent,
        "pcrs": sealed.pcrs,
        "public": base64.b64encode(sealed.public).decode(),
        "private": base64.b64encode(sealed.private).decode(),
    }
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def decode(data: bytes, path: str) -> Sealed:
    """Read the file's bytes: exactly what `encode` writes, and nothing else. `path` is only for messages.

    Raises:
        UsageError: it is anything else.
    """
    match = _FILE.fullmatch(data)
    try:
        if match is not None:
            blobs = base64.b64decode(match[3]), base64.b64decode(match[4])
            sealed = Sealed(*blobs, pcrs=match[2].decode(), parent=match[1].decode())
            if encode(sealed) == data:
                return sealed
    except ValueError:
        pass  # padding that is none
    raise UsageError(f"`{path}` is not what a TPM sealed for edgeguard: {_ADVICE}")
