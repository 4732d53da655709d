"""What is asked of a security token, by PKCS#11: the key's public half, a signature, the value of a content key.

A private key never leaves its token: what is to be signed goes in, hashed. The PIN comes from a file or the
environment, never from a command line, and is not kept. Needs the extra `[pkcs11]`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pkcs11
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pkcs11 import (
    Attribute,
    AttributeTypeInvalid,
    Mechanism,
    Object,
    ObjectClass,
    PKCS11Error,
    Session,
    Token,
    TokenFlag,
    UserAlreadyLoggedIn,
)
from pkcs11.types import PublicKey as TokenPublicKey
from pkcs11.types import SignMixin
from pkcs11.util.ec import encode_ec_public_key

from edgeguard.admission.keyfiles import MAX_PIN_BYTES, read_private
from edgeguard.admission.keys import PublicKey, digest_of, supported
from edgeguard.admission.reasons import shown
from edgeguard.errors import UsageError, first_line
from edgeguard.keystores.uri import TokenKey

PIN = "EDGEGUARD_PIN"
"""The environment variable with the token's PIN, where the key's name has no `pin-source`."""


if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib


@dataclass(frozen=True, slots=True, repr=False)
class TokenSigningKey:
    """A signing key that stays in its token. `key`: its handle there, good until the session ends."""

    where: str
    key: SignMixin
    half: PublicKey

    def public(self) -> PublicKey:
        """See `SigningKey`."""
        return self.half

    def sign(self, message: bytes) -> bytes:
        """See `SigningKey`.

        Raises:
            UsageError: the token does not sign, or what it gives back is no signature by this key.
        """
        with _said(self.where):
            raw = bytes(self.key.sign(digest_of(self.half, message), mechanism=Mechanism.ECDSA))
        size = (self.half.key.curve.key_size + 7) // 8
        if len(raw) != 2 * size:
            raise UsageError(
                f"`{shown(self.where)}`: the token's signature has {len(raw)} bytes: try another token"
            )
        signature = encode_dss_signature(int.from_bytes(raw[:size], "big"), int.from_bytes(raw[size:], "big"))
        if not self.half.verifies(signature, message):
            raise UsageError(
                f"`{shown(self.where)}`: what the token signed does not verify with the public key beside it: "
                "the two do not belong together; put the right public key on the token"
            )
        return signature


def signing_key(uri: TokenKey, where: str) -> TokenSigningKey:
    """Open the key. `where`: its name as given, for messages.

    Raises:
        UsageError: the token or the key is not there, the PIN is wrong, or it is another kind of key.
    """
    session = _session(uri, where)
    with _said(where):
        private = _only(session, uri, where, (ObjectClass.PRIVATE_KEY,), "private key")
        public = _only(session, uri, where, (ObjectClass.PUBLIC_KEY,), "public key")
        half = _public(public, where)
    if not isinstance(private, SignMixin):
        raise UsageError(f"`{shown(where)}`: {_MEANINGS['KeyFunctionNotPermitted']}")
    return TokenSigningKey(where, private, half)


def secret(uri: TokenKey, where: str) -> bytes:
    """Read the value of a secret key that may be read out, or of a data object. Raises: UsageError as above."""
    session = _session(uri, where)
    try:
        with _said(where):
            kept = _only(session, uri, where, (ObjectClass.SECRET_KEY, ObjectClass.DATA), "content key")
            return bytes(kept[Attribute.VALUE])
    finally:
        session.close()


def _session(uri: TokenKey, where: str) -> Session:
    pin = _pin(uri)
    with _said(where):
        token = _token(pkcs11.lib(uri.module), uri, where)
        try:
            return token.open(user_pin=pin)
        except UserAlreadyLoggedIn:  # by this very process, for another key of the same token
            return token.open()


def _token(library: lib, uri: TokenKey, where: str) -> Token:
    """The only token that has these names. Found anew each time: tokens come and go."""
    wanted = {"label": uri.token, "manufacturer_id": uri.manufacturer, "model": uri.model}
    serial = uri.serial.encode()
    found = [
        token
        for token in (slot.get_token() for slot in library.get_slots(token_present=True))
        if all(not text or _name(getattr(token, name)) == text for name, text in wanted.items())
        and (not serial or bytes(token.serial).rstrip() == serial)
        and TokenFlag.TOKEN_INITIALIZED in token.flags
    ]
    if len(found) != 1:
        raise UsageError(
            f"`{shown(where)}`: {len(found) or 'none'} of the tokens that are there fit{'s' * (not found)} this name: "
            "plug the token in, and check `token=` with `pkcs11-tool --list-slots`"
        )
    return found[0]


def _only(session: Session, uri: TokenKey, where: str, kinds: tuple[ObjectClass, ...], what: str) -> Object:
    """The only object of these kinds with the key's label and id."""
    names: dict[Attribute, object] = {}
    if uri.label:
        names[Attribute.LABEL] = uri.label
    if uri.identifier:
        names[Attribute.ID] = uri.identifier
    found = []
    for kind in kinds:
        asked = {k: v for k, v in names.items() if (k, kind) != (Attribute.ID, ObjectClass.DATA)}
        if asked:
            found += list(session.get_objects({Attribute.CLASS: kind, **asked}))
    if len(found) != 1:
        raise UsageError(
            f"`{shown(where)}`: the token has {len(found) or 'no'} {what}{'s' * (len(found) > 1)} of this name, and "
            "exactly one is needed: check `object=` and `id=` with `pkcs11-tool --list-objects`"
        )
    return found[0]


def _public(key: Object, where: str) -> PublicKey:
    loaded: object = None
    try:
        if isinstance(key, TokenPublicKey):
            loaded = serialization.load_der_public_key(encode_ec_public_key(key))
    except (AttributeTypeInvalid, UnsupportedAlgorithm, ValueError, TypeError, KeyError):
        pass  # RSA, or parameters that are no named curve
    return supported(loaded, shown(where))


def _pin(uri: TokenKey) -> str:
    if uri.pin_file:
        data = read_private(uri.pin_file, "PIN file")
        data = data[:-1] if data.endswith(b"\n") else data
    else:
        data = os.environb.get(PIN.encode(), b"")
    try:
        pin = data.decode()
    except UnicodeDecodeError:
        pin = ""
    if not pin or len(data) > MAX_PIN_BYTES or not pin.isprintable():
        source = f"the file `{uri.pin_file}`" if uri.pin_file else f"`{PIN}`"
        raise UsageError(
            f"{source} holds no PIN of one line: write it there, or into a file with mode 0600 that the key's name "
            "points to with `pin-source=file:/PATH`"
        )
    return pin


@contextmanager
def _said(where: str) -> Iterator[None]:
    """Turn what a token's library says into a message for people."""
    try:
        yield
    except PKCS11Error as error:
        raise UsageError(f"`{shown(where)}`: {_meaning(error)}") from None


def _meaning(error: Exception) -> str:
    name = type(error).__name__
    if name == "PKCS11Error":  # of python-pkcs11 itself: the library cannot be loaded, or is none
        return f"{shown(first_line(error))}: check `module-path`"
    return _MEANINGS.get(
        name, f"the token refused ({_spaced(name)}): check it with `pkcs11-tool --test --login`"
    )


_GONE = "the token is not there any more: plug it in and start again"
_MEANINGS = {
    "PinIncorrect": "the PIN is wrong: correct it before the token locks itself",
    "PinInvalid": "the PIN has characters that this token does not take: correct it",
    "PinLenRange": "the PIN is too short or too long: correct it",
    "PinExpired": "the PIN has expired: set a new one",
    "PinLocked": "the token has locked itself after too many wrong PINs: unlock it with its security officer's PIN",
    "AttributeSensitive": "the token does not give this key out: make it extractable, or keep it in a file",
    "AttributeTypeInvalid": "it is another kind of key than is needed here: check `object=` and `id=`",
    "DeviceRemoved": _GONE,
    "TokenNotPresent": _GONE,
    "SlotIDInvalid": _GONE,
    "SessionHandleInvalid": _GONE,
    "SessionClosed": _GONE,
    "KeyHandleInvalid": _GONE,
    "ObjectHandleInvalid": _GONE,
    "UserNotLoggedIn": _GONE,
    "MechanismInvalid": "the token cannot sign with ECDSA: use another token or key",
    "KeyTypeInconsistent": "the key is none for ECDSA: use an EC key on P-256, P-384 or P-521",
    "KeyFunctionNotPermitted": "the token does not let this key sign: set its `sign` attribute",
}


def _spaced(name: str) -> str:
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


def _name(value: object) -> str:
    return str(value).rstrip()
