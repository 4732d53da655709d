"""The keys of one microcontroller: the device key, which it shares with the host, and the operator's. 32 bytes each.

Reads and writes key files, one form for both; never prints a key. The public test keys are for tests and the demo only.
File: comment lines with `#`, the line `edgeguard-device-key-1`, then 64 hex digits.
"""

from __future__ import annotations

import os
import secrets
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from edgeguard.errors import LinkError

KEY_SIZE = 32
SEED_SIZE = 16
TEST_KEY = b"edgeguard-TEST-key-do-not-ship!!"
"""Public: that of `firmware_stubs/keys/test.device-key`. Firmware built for release refuses it."""
TEST_OPERATOR_KEY = b"edgeguard-TEST-operator-no-ship!"
"""Public, too: that of `firmware_stubs/keys/test.operator-key`."""

_HEADER = "edgeguard-device-key-1"
_LARGEST = 4096


def load_device_key(path: str | Path) -> bytes:
    """Read a device key file; 32 bytes.

    Raises:
        LinkError: it cannot be read, is not a device key, or others on this machine may read it.

    """
    try:
        with Path(path).open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_LARGEST).decode("ascii", errors="replace")
    except (OSError, ValueError) as bad:
        raise LinkError(
            f"cannot read device key `{path}`: {_why(bad)}; check the path, or make one: `edgeguard link provision`"
        ) from bad
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    key = _from_hex(lines[1]) if len(lines) == 2 and lines[0] == _HEADER else None
    if key is None:
        raise LinkError(f"`{path}` is not a device key: write one with `edgeguard link provision`")
    if key not in (TEST_KEY, TEST_OPERATOR_KEY) and mode & 0o077:
        raise LinkError(f"device key `{path}` may be read by others on this machine: `chmod 600` it")
    return key


def new_device_key(path: str | Path) -> bytes:
    """Write a fresh random key, readable by its owner only; refuses to overwrite.

    Raises:
        LinkError: the file exists or cannot be written.

    """
    key = secrets.token_bytes(KEY_SIZE)
    _write(Path(path), _key_file(key), "device key")
    return key


class Provisioned(NamedTuple):
    """What was made for one microcontroller: files, and the fingerprints by which people compare keys."""

    device: Path
    operator: Path
    page: Path
    device_print: str
    operator_print: str


def provision(name: str | Path) -> Provisioned:
    """Make a new microcontroller's secrets: `NAME.device-key`, `NAME.operator-key`, and its page `NAME.provision.bin`.

    The page holds the device key (32 bytes), the operator's (32) and a random seed (16), in this order, as boards read
    it. All are readable by their owner only.

    Raises:
        LinkError: `name` is a folder, or one of the files exists or cannot be written; then none is left behind.

    """
    if Path(name).is_dir():
        raise LinkError(
            f"`{name}` is a folder: name the microcontroller, too, like `{Path(name) / 'device-7'}`"
        )
    device, operator, seed = (secrets.token_bytes(size) for size in (KEY_SIZE, KEY_SIZE, SEED_SIZE))
    device_path, operator_path, page_path = (
        Path(f"{name}.{kind}") for kind in ("device-key", "operator-key", "provision.bin")
    )
    contents = {
        device_path: _key_file(device),
        operator_path: _key_file(operator),
        page_path: device + operator + seed,
    }
    written: list[Path] = []
    try:
        for path, content in contents.items():
            _write(path, content, "file")
            written.append(path)
    except LinkError:
        for path in written:
            path.unlink()
        raise
    return Provisioned(device_path, operator_path, page_path, fingerprint(device), fingerprint(operator))


def fingerprint(key: bytes) -> str:
    """First 8 bytes of a key's SHA-256, in hex: tells keys apart, and the key cannot be had from it."""
    return sha256(key).hexdigest()[:16]


def _key_file(key: bytes) -> bytes:
    return f"{_HEADER}\n{key.hex()}\n".encode("ascii")


def _write(path: Path, content: bytes, what: str) -> None:
    """Write a new file for its owner only. Raises: LinkError."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(content)
        except OSError:
            path.unlink()  # half a secret is of no use, and in the way
            raise
    except (OSError, ValueError) as bad:
        raise LinkError(f"cannot write {what} `{path}`: {_why(bad)}; choose another path") from bad


def _why(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):  # a zero byte, or half a surrogate pair
        return "no file can have this name"
    return (error.strerror or "input/output error").lower()


def _from_hex(text: str) -> bytes | None:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        return None
    return key if len(key) == KEY_SIZE else None
