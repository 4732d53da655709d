"""The name of a key on a security token: a `pkcs11:` URI (RFC 7512). Text in, plain values out; no token here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from edgeguard.admission.reasons import shown
from edgeguard.errors import UsageError

SCHEME = "pkcs11:"
EXAMPLE = "pkcs11:token=release;object=signing?module-path=/usr/lib/softhsm/libsofthsm2.so"

_TOKEN = ("token", "serial", "manufacturer", "model")
_KNOWN = frozenset({*_TOKEN, "object", "id", "type"})
_TEXT = re.compile(r"(?:[A-Za-z0-9\-._~:\[\]@!$'()*+,=&/?|]|%[0-9A-Fa-f]{2})*")
_LONGEST = 4096
_PIN = re.compile("pin-value", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TokenKey:
    """Which key of which token. Empty: any, if only one fits."""

    module: str
    """Absolute path of the token's library."""
    token: str = ""
    serial: str = ""
    manufacturer: str = ""
    model: str = ""
    label: str = ""
    """`object`."""
    identifier: bytes = b""
    """`id`."""
    pin_file: str = ""
    """Absolute path; empty: the PIN is in the environment."""


def parse_uri(where: str) -> TokenKey:
    """Read a `pkcs11:` URI.

    Raises:
        UsageError: it is not one, names no key or no library, or carries a PIN.
    """
    if _PIN.search(where):  # wherever it stands, and never repeated in a message
        raise UsageError(
            "a PIN on a command line can be read by every process: write it into a file with mode 0600 and name that "
            "with `pin-source=file:/PATH`, or set `EDGEGUARD_PIN`"
        )
    if not where.startswith(SCHEME) or len(where) > _LONGEST:
        raise _wrong(where, "is not the name of a key on a token")
    path, _, query = where[len(SCHEME) :].partition("?")
    names = _pairs(where, path, ";", _KNOWN)
    asked = _pairs(where, query, "&", frozenset({"module-path", "module-name", "pin-source"}))
    module = _text(where, asked.get("module-path", b""))
    if not module.startswith("/"):
        raise _wrong(where, "does not say where the token's library is (`module-path=/...`)")
    if not (names.get("object") or names.get("id")):
        raise _wrong(where, "names no key (`object=LABEL` or `id=%01`)")
    token = {name: _text(where, names.get(name, b"")) for name in _TOKEN}
    label = _text(where, names.get("object", b""))
    return TokenKey(
        module, **token, label=label, identifier=names.get("id", b""), pin_file=_pin_file(where, asked)
    )


def _pin_file(where: str, asked: Mapping[str, bytes]) -> str:
    source = _text(where, asked.get("pin-source", b""))
    path = source.removeprefix("file:").removeprefix("//")  # `file:///run/pin` has an empty host name
    if source and not path.startswith("/"):
        raise _wrong(where, "has a `pin-source` that is no absolute path (`pin-source=file:/PATH`)")
    return path


def _pairs(where: str, text: str, separator: str, known: frozenset[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in text.split(separator) if text else ():
        name, equals, value = part.partition("=")
        if not equals or name not in known:
            raise _wrong(where, f"has `{shown(name)}`, which is not understood here")
        if name in found:
            raise _wrong(where, f"has `{name}` twice")
        if not _TEXT.fullmatch(value):
            raise _wrong(where, f"has a character in `{name}` that must be written as `%` and two hex digits")
        found[name] = unquote_to_bytes(value)
    return found


def _text(where: str, data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _wrong(where, "is not UTF-8 text") from None
    if not text.isprintable():
        raise _wrong(where, "has characters that nothing on a token is called by")
    return text


def _wrong(where: str, what: str) -> UsageError:
    return UsageError(f"`{shown(where)}` {what}: write it like `{EXAMPLE}`")
