"""Chains of certificates: whom they admit, for how long, and for whom."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.hazmat import asn1

from edgeguard.admission.bundle import Vouched, verify_signature
from edgeguard.admission.certificates import MAX_CERTIFICATES
from edgeguard.admission.trust import Grant, Moment, Trust, TrustedAuthority, TrustedKey
from edgeguard.admission.x509 import MAX_CERTIFICATE_BYTES, _der
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders_pki import (
    DAY,
    NOW,
    WHO,
    Case,
    Party,
    Plan,
    admit,
    authority,
    case,
    good,
    made,
    rsa_key,
    stranger,
    tall,
    usual,
)


@pytest.mark.parametrize("seconds", [-1, 0, 60, 61])
def test_a_certificate_is_valid_from_its_first_to_its_last_second(seconds: int) -> None:
    built = _lasting(0, 60 / DAY)
    now = dataclasses.replace(built, now=Moment(NOW.at + seconds))
    if 0 <= seconds <= 60:
        assert admit(now).identity == WHO
    else:
        with pytest.raises(AdmissionError, match="certificate-"):
            admit(now)


def test_a_device_without_a_clock_takes_nothing_for_too_early() -> None:
    built = _lasting(300, 365)
    assert admit(dataclasses.replace(built, now=Moment(0.0, exact=False))).identity == WHO


@pytest.mark.parametrize("height", [0, MAX_CERTIFICATES - 2, MAX_CERTIFICATES - 1])
def test_a_chain_may_have_so_many_certificates_and_no_more(height: int) -> None:
    """With the signer's: at most seven authorities are sent, the root may be left out."""
    assert admit(tall(height)).identity == WHO


@pytest.mark.parametrize("curve", ["P-384", "P-521"])
def test_larger_curves_sign_and_issue_as_well(curve: str) -> None:
    signer, between, root = good(curve)
    assert admit(case(signer, between, root, root=root)).identity == WHO


@pytest.mark.parametrize("size", [0, 127, 128, 255, 256, 65_535, 65_536])
def test_lengths_are_written_in_the_shortest_form(size: int) -> None:
    oracle = asn1.encode_der(b"x" * size)
    assert _der(0x04, b"x" * size) == oracle


@pytest.mark.parametrize("more", [0, 1])
def test_a_certificate_may_have_16_kib(more: int) -> None:
    _, between, root = usual()

    def padded(size: int) -> Party:
        filler = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"x" * size)
        signer = made(Plan(extensions=[(filler, False)]), between)
        return (
            signer
            if len(signer.der) == MAX_CERTIFICATE_BYTES + more
            else padded(size + MAX_CERTIFICATE_BYTES + more - len(signer.der))
        )

    built = case(padded(15_000), between, root=root)
    if more:
        with pytest.raises(AdmissionError, match=r"certificate-malformed: .* larger than 16384 bytes"):
            admit(built)
    else:
        assert admit(built).identity == WHO


class TestWhoCounts:
    """Several authorities, and what each may sign."""

    def _trust(self, *authorities: TrustedAuthority) -> Trust:
        return Trust(authorities=authorities)

    def _admit(self, *authorities: TrustedAuthority) -> Vouched:
        built = case(*usual(), root=usual()[2])
        return verify_signature(built.signature, self._trust(*authorities), "model.sig", now=NOW)

    def test_the_first_authority_that_fits_says_what_may_be_signed(self) -> None:
        trusted = usual()[2].certificate
        other = TrustedAuthority(stranger()[2].certificate, WHO, Grant(frozenset({"policy"})))
        mallory = TrustedAuthority(trusted, "mallory@example.org", Grant(frozenset({"policy"})))
        fits = TrustedAuthority(trusted, WHO, Grant(frozenset({"primary"})))
        late = TrustedAuthority(trusted, "", Grant(frozenset({"redundant"})))
        assert self._admit(other, mallory, fits, late).grant.signs == {"primary"}
        assert self._admit(late, fits).grant.signs == {"redundant"}

    def test_an_authority_without_identity_admits_anybody_and_says_whom(self) -> None:
        assert self._admit(TrustedAuthority(usual()[2].certificate)).identity == WHO

    def test_an_unreadable_authority_does_not_stand_in_the_way_of_a_good_one(self) -> None:
        bad = made(authority("root", key=rsa_key())).certificate
        assert self._admit(TrustedAuthority(bad), TrustedAuthority(usual()[2].certificate)).identity == WHO

    def test_of_several_refusals_the_first_is_told(self) -> None:
        trusted = usual()[2].certificate
        with pytest.raises(AdmissionError, match="identity-mismatch"):
            self._admit(TrustedAuthority(trusted, "a"), TrustedAuthority(stranger()[2].certificate))

    def test_a_root_that_another_one_issued_counts_when_it_is_trusted_itself(self) -> None:
        signer, between, _ = usual()
        built = case(signer, root=between)
        assert admit(built).identity == WHO

    def test_a_signers_own_certificate_can_be_trusted_and_then_admits_no_other(self) -> None:
        signer, between, _ = usual()
        assert admit(case(signer, root=signer)).identity == WHO
        assert self._fails(case(made(Plan(), signer), root=signer)) == "certificate-unfit"
        assert self._fails(case(signer, between, root=signer)) == "certificate-untrusted"
        late = made(Plan(days=(1, 2)), between)
        assert self._fails(case(late, root=late)) == "certificate-not-yet-valid"

    def _fails(self, built: Case) -> str:
        with pytest.raises(AdmissionError) as caught:
            admit(built)
        return caught.value.reason

    def test_keys_and_authorities_do_not_stand_in_for_each_other(self) -> None:
        signer, between, top = usual()
        stranger_trusted = Trust(
            keys=(TrustedKey(signer.signing.public()),),
            authorities=(TrustedAuthority(stranger()[2].certificate),),
        )
        built = dataclasses.replace(case(signer, between, root=top), trust=stranger_trusted)
        with pytest.raises(AdmissionError, match="certificate-untrusted"):
            admit(built)

    @pytest.mark.parametrize(
        ("names", "identity"),
        [
            ([x509.UniformResourceIdentifier("spiffe://example.org/build")], "spiffe://example.org/build"),
            ([x509.DNSName("build.example.org")], "build.example.org"),
            ([x509.DNSName("x.example.org"), x509.RFC822Name(WHO)], WHO),
            (None, "signer"),
        ],
    )
    def test_an_identity_is_any_name_of_the_certificate(
        self, names: Sequence[x509.GeneralName] | None, identity: str
    ) -> None:
        _, between, top = usual()
        built = case(made(Plan(names=names), between), between, root=top, identity=identity)
        assert admit(built).identity == identity

    def test_certificates_need_not_say_which_keys_they_are_of(self) -> None:
        root = made(authority("root", silent=True))
        for between in (made(authority("one"), root), made(authority("two", silent=True), root)):
            for signer in (made(Plan(), between), made(Plan(silent=True), between)):
                assert admit(case(signer, between, root=root)).identity == WHO

    def test_without_any_name_there_is_no_identity(self) -> None:
        _, between, top = usual()
        signer = made(Plan(names=None, subject=x509.Name([])), between)
        assert admit(case(signer, between, root=top, identity="")).identity == ""


def _lasting(first: float, last: float) -> Case:
    """Signed with a certificate that is valid from one day to the other."""
    _, between, top = usual()
    return case(made(Plan(days=(first, last)), between), between, root=top)
