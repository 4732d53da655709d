"""New keys on the disk: a pair to sign with, an ML-DSA-65 pair, or a content key; in a file or sealed by the TPM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgeguard.admission.decryption import key_id
from edgeguard.admission.keyfiles import check_free, create
from edgeguard.admission.keys import create_pair, generate, private_key
from edgeguard.admission.post_quantum import SUFFIX
from edgeguard.admission.second_keys import generate_second, second_key
from edgeguard.disk import why
from edgeguard.errors import UsageError
from edgeguard.keystores import tpm as tpm_store
from edgeguard.keystores.secret import new_secret

_SEALED = "sealed; only this machine's TPM gives it back"


@dataclass(frozen=True, slots=True)
class Made:
    """What was written. `about`: the private file, in words."""

    private: Path
    public: Path
    """Of a content key, which has none: the private file."""
    about: str


def signing_pair(name: Path, public: Path | None, *, curve: str, tpm: bool) -> Made:
    """Make an EC pair. Raises: UsageError when a file is there already or cannot be made."""
    place, public = _places(name, public, "", tpm=tpm)
    secret, half = generate(curve)
    if not tpm:
        return _in_files(place, public, secret, half)
    return _sealed(place, public, half, partial(tpm_store.seal_signing_key, private_key(secret, str(place))))


def second_pair(name: Path, public: Path | None, *, tpm: bool) -> Made:
    """Make an ML-DSA-65 pair. Raises: UsageError as `signing_pair`."""
    place, public = _places(name, public, SUFFIX, tpm=tpm)
    secret, half = generate_second()
    if not tpm:
        return _in_files(place, public, secret, half)
    return _sealed(place, public, half, partial(tpm_store.seal_second_key, second_key(secret, str(place))))


def content_key(name: Path, *, tpm: bool) -> Made:
    """Make a content key. Raises: UsageError as `signing_pair`."""
    place, _ = _places(name, None, "", tpm=tpm)
    secret = new_secret()
    if tpm:
        tpm_store.seal_secret(secret, place)
    else:
        create(place, secret, private=True)
    where = _SEALED if tpm else "goes to every device that decrypts"
    return Made(place, place, f"content key {key_id(secret)}; {where}")


def _in_files(place: Path, public: Path, secret: bytes, half: bytes) -> Made:
    create_pair(place, public, secret, half)
    return Made(place, public, "the private key; keep it off the device and out of version control")


def _sealed(place: Path, public: Path, half: bytes, seal: Callable[[Path], None]) -> Made:
    check_free(public)
    seal(place)
    create(public, half, private=False)
    return Made(place, public, f"the private key, {_SEALED}")


def _places(name: Path, public: Path | None, kind: str, *, tpm: bool) -> tuple[Path, Path]:
    """Where both halves go: `x` and `x.key` both mean `x.key` and `x.pub`."""
    stem = name.with_suffix("") if name.suffix == ".key" else name
    private = stem.with_name(f"{stem.name}{kind}.{'tpm' if tpm else 'key'}")
    try:
        private.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot make the folder `{private.parent}`: {why(error)}; choose another") from None
    return private, public if public is not None else stem.with_name(f"{stem.name}{kind}.pub")
