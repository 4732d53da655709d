"""Certificates whose bytes were changed: no change is accepted, and none ends in a traceback."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
from collections.abc import Callable, Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders_pki import (
    NOW,
    WHO,
    Case,
    Party,
    Plan,
    admit,
    case,
    digest,
    made,
    respelled,
    stranger,
    twin,
    usual,
)
from tests.refusals import Refused


@pytest.mark.parametrize("which", [0, 1])
def test_a_revoked_certificate_is_not_disguised_by_the_other_form_of_its_signature(
    which: int, refused: Refused
) -> None:
    """Of every ECDSA signature anybody can make a second one, and with it another digest of the certificate."""
    parties = usual()
    ders = [party.der for party in parties[:2]]
    ders[which] = twin(parties[which], parties[which + 1])
    assert hashlib.sha256(ders[which]).hexdigest() != digest(parties[which])
    for gone, reason in (("", ""), (digest(parties[which]), "revoked")):
        built = case(*parties[:2], root=parties[2], sent=ders, revoked=[gone])
        if reason:
            refused(lambda built=built: admit(built), reason, "model.sig")  # type: ignore[misc]
        else:
            assert admit(built).identity == WHO


@pytest.mark.parametrize(
    "spell",
    [
        lambda der: b"\x30\x83\0" + der[2:],
        lambda der: b"\x30\x80" + der[4:] + b"\0\0",
        lambda der: der.replace(
            bytes.fromhex("300a06082a8648ce3d040302"), bytes.fromhex("300c06082a8648ce3d0403020500")
        ),
    ],
    ids=["long length", "no length", "parameters"],
)
def test_another_spelling_of_a_certificate_is_refused(spell: Callable[[bytes], bytes]) -> None:
    with pytest.raises(AdmissionError, match=r"certificate-(malformed|unfit)"):
        admit(_with([spell(usual()[0].der), usual()[1].der]))


def test_unused_bits_of_a_certificates_signature_are_part_of_its_spelling() -> None:
    """A bit string says how many of its last bits do not count: then they could be anything."""
    _, between, top = usual()
    signer = made(Plan(), between)
    while signer.certificate.signature[-1] & 1:
        signer = made(Plan(), between)
    old = signer.certificate.signature
    der = signer.der
    marked = der[: -len(old) - 1] + b"\1" + old
    with pytest.raises(AdmissionError, match=r"certificate-(malformed|unfit)"):
        admit(case(signer, between, root=top, sent=[marked, between.der]))
    assert respelled(der, old, old) == der


@functools.cache
def _mutable() -> tuple[list[bytes], Case]:
    signer, between, top = usual()
    return [signer.der, between.der], case(signer, between, root=top)


def _with(ders: Sequence[bytes]) -> Case:
    signer, _, top = usual()
    return case(signer, root=top, sent=ders)


def _refusal(built: Case) -> AdmissionError | None:
    """The refusal of a case, in printable words; None: it was admitted."""
    try:
        admit(built)
    except AdmissionError as error:
        return error if str(error).isprintable() else None
    return None


def _refuses(ders: Sequence[bytes]) -> None:
    assert _refusal(_with(ders)) is not None, "a changed certificate was accepted"


@settings(max_examples=300, deadline=None)
@given(which=st.integers(0, 1), offset=st.integers(0, 1 << 12), mask=st.integers(1, 255))
def test_no_flipped_byte_of_a_certificate_is_accepted(which: int, offset: int, mask: int) -> None:
    ders = list(_mutable()[0])
    changed = bytearray(ders[which])
    changed[offset % len(changed)] ^= mask
    ders[which] = bytes(changed)
    _refuses(ders)


@settings(max_examples=300, deadline=None)
@given(
    which=st.integers(0, 1),
    edits=st.lists(
        st.tuples(st.integers(0, 1 << 12), st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=4
    ),
)
def test_no_mutated_certificate_is_accepted_or_ends_in_a_traceback(
    which: int, edits: list[tuple[int, int, bytes]]
) -> None:
    good_ders = _mutable()[0]
    ders = list(good_ders)
    for offset, cut, patch in edits:
        data = ders[which]
        start = offset % (len(data) + 1)
        ders[which] = data[:start] + patch + data[start + cut :]
    if ders != good_ders:
        _refuses([der or b"\0" for der in ders])


@settings(max_examples=200, deadline=None)
@given(data=st.binary(min_size=1, max_size=300), tail=st.booleans())
def test_no_bytes_at_all_make_a_certificate(data: bytes, tail: bool) -> None:
    _refuses([data, *(_mutable()[0][1:] if tail else [])])


def _signed(body: bytes, issuer: Party) -> bytes:
    """A certificate of any fields, with a good P-256 signature by this issuer's key."""
    signature: bytes = issuer.key.sign(body, ec.ECDSA(hashes.SHA256()))
    tail = b"\x03" + bytes([len(signature) + 1]) + b"\0" + signature
    content = body + bytes.fromhex("300a06082a8648ce3d040302") + tail
    return b"\x30\x82" + len(content).to_bytes(2, "big") + content


@pytest.mark.parametrize(("serial", "accepted"), [(b"\1", True), (b"\0", False), (b"\x80", False)])
def test_a_serial_number_is_positive(serial: bytes, accepted: bool) -> None:
    """Of any other the parser only warns, which nobody should see on their screen."""
    signer, between, _ = usual()
    body = signer.certificate.tbs_certificate_bytes
    version, size = body[4:9], body[10]
    assert version == b"\xa0\x03\x02\x01\x02"
    content = version + b"\2\1" + serial + body[11 + size :]
    changed = b"\x30\x82" + len(content).to_bytes(2, "big") + content
    refused = _refusal(_with([_signed(changed, between), between.der]))
    assert (refused is None) == accepted
    assert refused is None or "serial number" in str(refused)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_certificate_whose_fields_were_changed_and_signed_anew_by_a_stranger_is_refused(
    data: st.DataObject,
) -> None:
    """Mutated to-be-signed bytes, in a shell that is well-formed, with a signature by another key."""
    signer, between, _ = usual()
    body = bytearray(signer.certificate.tbs_certificate_bytes)
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    _refuses([_signed(bytes(body), stranger()[1]), between.der])


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_certificate_with_any_fields_that_its_issuer_signed_is_refused_or_good(data: st.DataObject) -> None:
    """Mutated to-be-signed bytes that the real issuer signed: what is accepted is for the right one, and fit."""
    signer, between, _ = usual()
    body = bytearray(signer.certificate.tbs_certificate_bytes)
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    der = _signed(bytes(body), between)
    built = _with([der, between.der])
    if _refusal(built):
        return
    vouched = admit(built)
    read = x509.load_der_x509_certificate(der)
    assert vouched.identity == WHO
    assert WHO in read.extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    ).value.get_values_for_type(x509.RFC822Name)
    assert read.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    moment = dt.datetime.fromtimestamp(NOW.at, dt.timezone.utc)
    assert read.not_valid_before_utc <= moment <= read.not_valid_after_utc
