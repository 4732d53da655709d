"""Names of keys on tokens (RFC 7512): what they say, and that a PIN is never among it."""

from __future__ import annotations

import pytest

from edgeguard.errors import UsageError
from edgeguard.keystores.uri import EXAMPLE, TokenKey, parse_uri

LIBRARY = "module-path=/usr/lib/x.so"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (f"pkcs11:object=a?{LIBRARY}", TokenKey("/usr/lib/x.so", label="a")),
        (f"pkcs11:id=%01%AB?{LIBRARY}", TokenKey("/usr/lib/x.so", identifier=b"\x01\xab")),
        (
            f"pkcs11:token=The%20Token;serial=DECC0401;manufacturer=A%3bB;model=v1.0;object=k;type=private?{LIBRARY}",
            TokenKey("/usr/lib/x.so", "The Token", "DECC0401", "A;B", "v1.0", "k"),
        ),
        (
            f"pkcs11:object=a?pin-source=file:/run/pin&{LIBRARY}",
            TokenKey("/usr/lib/x.so", label="a", pin_file="/run/pin"),
        ),
        (
            f"pkcs11:object=a?pin-source=/run/a%20pin&{LIBRARY}",
            TokenKey("/usr/lib/x.so", label="a", pin_file="/run/a pin"),
        ),
        (
            f"pkcs11:object=a?{LIBRARY}&pin-source=file:///run/pin",
            TokenKey("/usr/lib/x.so", label="a", pin_file="/run/pin"),
        ),
        ("pkcs11:object=%C3%A9?module-path=/l%C3%A9.so", TokenKey("/lé.so", label="é")),
    ],
)
def test_name_is_read(uri: str, expected: TokenKey) -> None:
    assert parse_uri(uri) == expected


def test_the_example_in_messages_is_one() -> None:
    assert parse_uri(EXAMPLE).label == "signing"


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("pkcs11:", "library is"),
        ("pkcs11:object=a", "library is"),
        ("pkcs11:object=a?module-path=x.so", "library is"),
        ("pkcs11:object=a?module-path=../x.so", "library is"),
        ("pkcs11:object=a?module-name=opensc", "library is"),
        (f"pkcs11:?{LIBRARY}", "names no key"),
        (f"pkcs11:token=a?{LIBRARY}", "names no key"),
        (f"pkcs11:object=?{LIBRARY}", "names no key"),
        (f"pkcs11:object=a;object=b?{LIBRARY}", "has `object` twice"),
        (f"pkcs11:object=a?{LIBRARY}&{LIBRARY}", "has `module-path` twice"),
        (f"pkcs11:object=a;slot-id=1?{LIBRARY}", "has `slot-id`"),
        (f"pkcs11:object=a;x?{LIBRARY}", "has `x`"),
        (f"pkcs11:object=a;?{LIBRARY}", "has ``"),
        (f"pkcs11:object=a?{LIBRARY}&x-unknown=1", "has `x-unknown`"),
        (f"pkcs11:object=a b?{LIBRARY}", "must be written as `%`"),
        (f"pkcs11:object=%1?{LIBRARY}", "must be written as `%`"),
        (f"pkcs11:object=é?{LIBRARY}", "must be written as `%`"),
        (f"pkcs11:object=%ff?{LIBRARY}", "is not UTF-8"),
        (f"pkcs11:object=%00?{LIBRARY}", "has characters that nothing"),
        ("pkcs11:object=a?module-path=/x%00.so", "has characters that nothing"),
        (f"pkcs11:object=a?{LIBRARY}&pin-source=pin", "`pin-source` that is no absolute path"),
        (f"pkcs11:object=a?{LIBRARY}&pin-source=|/bin/pin", "`pin-source` that is no absolute path"),
        (f"pkcs11:object=a?{LIBRARY}&pin-source=https://host/pin", "`pin-source` that is no absolute path"),
        (f"pkcs11:object={'a' * 5000}?{LIBRARY}", "is not the name of a key on a token"),
        ("PKCS11:object=a", "is not the name of a key on a token"),
    ],
)
def test_name_that_is_unclear_is_refused(uri: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_uri(uri)
    assert said in str(caught.value)
    assert f"write it like `{EXAMPLE}`" in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("pin", ["?{}&pin-value=123456", ";pin-value=123456?{}", "?{}&PIN-VALUE=123456"])
def test_pin_in_a_name_is_refused_and_not_repeated(pin: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_uri(f"pkcs11:object=a{pin.format(LIBRARY)}")
    assert "123456" not in str(caught.value)
    assert "pin-source=file:/PATH" in str(caught.value)
