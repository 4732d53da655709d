"""Certificates, where only one of several checks stands in the way: see docs/explanation/mutation.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edgeguard.admission.certificates import check_chain, check_link, marks_of
from edgeguard.admission.trust import Grant, Moment, Signatory, TrustedAuthority
from edgeguard.admission.x509 import MAX_CERTIFICATE_BYTES, read_certificate
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders_pki import (
    CA_USAGE,
    DAY,
    LEAF_USAGE,
    NOW,
    WHO,
    Party,
    Plan,
    authority,
    digest,
    hint,
    key_usage,
    made,
    rsa_key,
    stranger,
    twin,
    usual,
)

ESCAPE = "\x1b[2J@example.org"


def checked(
    *chain: Party, root: Party | None = None, identity: str = WHO, now: Moment | None = NOW
) -> Signatory:
    trusted = TrustedAuthority((root or usual()[2]).certificate, identity, Grant(frozenset({"primary"})))
    return check_chain([party.der for party in chain], [trusted], "d/p.sig", now)


def refused(call: Callable[..., object], *given: object, **named: object) -> str:
    """The reason of a refusal, which names the signature and is printable."""
    with pytest.raises(AdmissionError) as caught:
        call(*given, **named)
    assert caught.value.path == "d/p.sig"
    assert str(caught.value).isprintable()
    return caught.value.reason


def issued(**changes: object) -> Party:
    return made(Plan(**changes), usual()[1])  # type: ignore[arg-type] # by name


def test_what_counts_is_whole() -> None:
    leaf, middle, root = usual()
    marks = {*map(hint, usual()), *map(digest, usual())}
    twins = {read_certificate(twin(low, high), "p").digest for low, high in ((leaf, middle), (middle, root))}
    found = checked(leaf, middle)
    assert found == Signatory(
        leaf.signing.public(), WHO, Grant(frozenset({"primary"})), frozenset(marks | twins)
    )
    assert found == checked(leaf, middle, root)
    assert hash(found.marks)
    assert len(found.marks) == 8
    parties = [read_certificate(party.der, "p") for party in usual()]
    assert set(marks_of(parties)) == found.marks


def test_a_device_that_trusts_no_authority_does_not_look_at_certificates() -> None:
    assert refused(lambda: check_chain([b"junk"], [], "d/p.sig", NOW)) == "certificate-untrusted"


@pytest.mark.parametrize("silent", [False, True])
def test_a_signature_by_another_key_of_the_right_name_is_refused(silent: bool) -> None:
    """Also where neither certificate says of which key it is, so that nothing but the signature can tell."""
    root = made(authority("root", silent=True))
    middle = made(authority("intermediate", silent=True), root)
    other = made(authority("intermediate", silent=True), root)
    assert checked(made(Plan(silent=silent), middle), middle, root=root).identity == WHO
    forged = made(Plan(silent=silent), Party(other.key, middle.certificate))
    assert refused(lambda: checked(forged, middle, root=root)) == "certificate-untrusted"
    high = made(authority("intermediate", silent=True), Party(other.key, root.certificate))
    assert refused(lambda: checked(made(Plan(), high), high, root=root)) == "certificate-untrusted"


def test_a_root_of_its_own_name_must_have_signed_itself_in_chains_of_any_length() -> None:
    top = made(authority("root"), usual()[2])
    middle = made(authority("intermediate"), top)
    low = made(authority("low"), middle)
    for chain in ([made(Plan(), top)], [made(Plan(), middle), middle], [made(Plan(), low), low, middle]):
        assert refused(checked, *chain, root=top) == "certificate-untrusted"
        assert refused(checked, *chain, top, root=top) == "certificate-untrusted"


def test_an_authority_that_another_one_issued_need_not_have_signed_itself() -> None:
    middle = made(authority("intermediate"), usual()[2])
    low = made(authority("low"), middle)
    assert checked(made(Plan(), middle), root=middle).identity == WHO
    assert checked(made(Plan(), low), low, root=middle).identity == WHO
    assert checked(made(Plan(), low), low, middle, root=middle).identity == WHO


def test_a_signer_that_is_trusted_itself_need_not_have_signed_itself_whatever_its_issuer_is_called() -> None:
    party = made(Plan(name="same"), made(authority("same")))
    assert checked(party, root=party).identity == WHO


def test_the_order_of_a_chain_is_held_from_its_first_to_its_last_link() -> None:
    leaf, middle, root = usual()
    other = made(authority("other"))
    below = made(Plan(), other)
    assert refused(lambda: checked(below, middle, root)) == "certificate-malformed"
    assert refused(lambda: checked(leaf, middle, other, root=other)) == "certificate-malformed"


def test_an_authority_of_another_kind_is_refused_by_the_name_of_the_signature() -> None:
    top = made(authority("root", key=rsa_key()))
    assert refused(lambda: checked(*usual()[:2], root=top)) == "certificate-unfit"


def test_what_a_certificate_says_of_its_issuer_is_held_against_it_one_by_one() -> None:
    _, middle, root = usual()
    truth = x509.AuthorityKeyIdentifier.from_issuer_public_key(middle.key.public_key()).key_identifier
    name, other = (
        x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]))
        for text in ("root", "else")
    )
    number = middle.certificate.serial_number
    for key, names, serial, good in (
        (truth, None, None, True),
        (None, [name], number, True),
        (truth, [name], number, True),
        (None, [other], number, False),
        (None, [name], number + 1, False),
        (None, [name, other], number, False),
        (b"x" * 20, None, None, False),
        (b"x" * 20, [name], number, False),
    ):
        party = issued(says=x509.AuthorityKeyIdentifier(key, names, serial))
        if good:
            assert checked(party, middle).identity == WHO
        else:
            assert refused(checked, party, middle) == "certificate-untrusted"
    quiet = made(authority("intermediate", silent=True), root)
    lost = made(Plan(says=x509.AuthorityKeyIdentifier(None, [other], quiet.certificate.serial_number)), quiet)
    assert refused(lambda: checked(lost, quiet)) == "certificate-untrusted"
    claims = made(Plan(says=x509.AuthorityKeyIdentifier(b"x" * 20, None, None)), quiet)
    assert checked(claims, quiet).identity == WHO  # nothing but the signature to hold it against


def test_of_several_names_the_first_is_told_and_all_of_them_are_shown() -> None:
    names = (x509.RFC822Name(ESCAPE), x509.RFC822Name("b@example.org"))
    party = issued(names=names)
    assert checked(party, usual()[1], identity="").identity == "\\u001b[2J@example.org"
    assert checked(party, usual()[1], identity="b@example.org").identity == "b@example.org"
    assert refused(lambda: checked(party, usual()[1], identity="c\u202e")) == "identity-mismatch"
    with pytest.raises(AdmissionError, match=r"is for `nobody`, not for `release"):
        checked(issued(names=None, subject=x509.Name([])), usual()[1])


def test_a_certificate_with_two_common_names_is_for_nobody() -> None:
    two = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in ("one", "two")])
    party = issued(names=None, subject=two)
    assert checked(party, usual()[1], identity="").identity == ""
    assert refused(lambda: checked(party, usual()[1], identity="one")) == "identity-mismatch"


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (None, "clock-wrong"),
        (Moment(NOW.at - 2 * DAY), "certificate-not-yet-valid"),
        (Moment(NOW.at + 366 * DAY), "certificate-expired"),
        (Moment(NOW.at + 366 * DAY, exact=False), "certificate-expired"),
    ],
)
def test_a_refusal_for_its_time_names_the_signature(now: Moment | None, reason: str) -> None:
    assert refused(lambda: checked(*usual()[:2], now=now)) == reason


class TestOneCertificate:
    """Read alone."""

    def test_names_are_cut_and_shown_and_never_empty(self) -> None:
        def named(text: str) -> tuple[str, str]:
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])
            read = read_certificate(made(Plan(subject=subject)).der, "p")
            return read.name, read.issuer_name

        leaf = read_certificate(usual()[0].der, "p")
        assert (leaf.name, leaf.issuer_name) == ("CN=signer", "CN=intermediate")
        assert named("") == ("no name", "no name")
        for size, shown in ((57, "CN=" + "a" * 57), (58, "CN=" + "a" * 57 + "...")):
            assert named("a" * size) == (shown, shown)
        assert named("a\u202e") == ("CN=a\\u202e", "CN=a\\u202e")

    def test_what_is_read_is_whole(self) -> None:
        leaf = usual()[0]
        read = read_certificate(leaf.der, "p")
        assert (read.der, read.loaded, read.key) == (leaf.der, leaf.certificate, leaf.signing.public())
        assert (read.curve, read.curve_of_signature) == ("secp256r1", "secp256r1")
        assert (read.not_before, read.not_after) == (NOW.at - DAY, NOW.at + 365 * DAY)
        assert (read.first_day, read.last_day) == ("2026-10-31", "2027-11-01")
        assert read.digest == digest(leaf)
        assert list(read.extensions) == list(leaf.certificate.extensions)

    @pytest.mark.parametrize(
        ("der", "reason"),
        [
            (b"\x30" * (MAX_CERTIFICATE_BYTES + 1), "certificate-malformed"),
            (b"junk", "certificate-malformed"),
        ],
    )
    def test_what_cannot_be_read_names_the_signature(self, der: bytes, reason: str) -> None:
        assert refused(lambda: read_certificate(der, "d/p.sig")) == reason

    def test_what_is_of_another_kind_names_the_signature(self) -> None:
        for plan in (Plan(key=rsa_key()), Plan(algorithm=hashes.SHA224())):
            party = made(plan, usual()[1])
            assert refused(read_certificate, party.der, "d/p.sig") == "certificate-unfit"

    @pytest.mark.parametrize("critical", [False, True])
    def test_every_understood_extension_may_be_critical(self, critical: bool) -> None:
        leaf, middle, _ = usual()
        key = leaf.key

        def extensions(issuer: Party) -> Sequence[tuple[x509.ExtensionType, bool]]:
            return (
                (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical),
                (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical),
                (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical),
                (x509.SubjectAlternativeName([x509.RFC822Name(WHO)]), critical),
                (x509.BasicConstraints(ca=False, path_length=None), critical),
            )

        plan = Plan(key=key, silent=True, purposes=None, names=None, extensions=extensions(middle))
        assert checked(made(plan, middle), middle).identity == WHO
        for usage in (LEAF_USAGE, CA_USAGE):
            said = (key_usage(usage), critical)
            fits = dataclasses.replace(plan, usage=None, extensions=[*extensions(middle), said])
            party = made(fits, middle)
            if usage == LEAF_USAGE:
                assert checked(party, middle).identity == WHO
            else:
                assert refused(checked, party, middle) == "certificate-unfit"

    @pytest.mark.parametrize("at", range(3))
    def test_an_unknown_critical_extension_is_noticed_at_any_place(self, at: int) -> None:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
        known: list[tuple[x509.ExtensionType, bool]] = [
            (key_usage(LEAF_USAGE), True),
            (x509.SubjectAlternativeName([x509.RFC822Name(WHO)]), False),
        ]
        for critical in (False, True):
            extensions = [*known[:at], (unknown, critical), *known[at:]]
            party = issued(silent=True, usage=None, purposes=None, names=None, extensions=extensions)
            if critical:
                assert refused(checked, party, usual()[1]) == "certificate-unfit"
            else:
                assert checked(party, usual()[1]).identity == WHO

    @pytest.mark.parametrize("depth", [0, 1, 2])
    def test_a_path_length_is_of_the_authorities_below(self, depth: int) -> None:
        root = made(authority("root", path_length=1))
        chain = [root]
        for i in range(depth):
            chain.insert(0, made(authority(f"i{i}"), chain[0]))
        party = made(Plan(), chain[0])
        if depth <= 1:
            assert checked(party, *chain, root=root).identity == WHO
        else:
            assert refused(lambda: checked(party, *chain, root=root)) == "certificate-unfit"

    @pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
    def test_a_link_needs_the_hash_of_the_issuer_s_curve(self, curve: str) -> None:
        top = made(authority("root", curve=curve))
        issuer = read_certificate(top.der, "p")
        for algorithm, fits in (
            (hashes.SHA256(), curve == "P-256"),
            (hashes.SHA384(), curve == "P-384"),
            (hashes.SHA512(), curve == "P-521"),
        ):
            below = read_certificate(made(Plan(algorithm=algorithm), top).der, "p")
            if fits:
                check_link(below, issuer, "d/p.sig")
            else:
                assert refused(check_link, below, issuer, "d/p.sig") == "certificate-unfit"

    def test_a_leaf_is_no_authority_in_any_way(self) -> None:
        _, middle, _ = usual()
        for changes in (
            {"usage": LEAF_USAGE | {"key_cert_sign"}},
            {"ca": True},
            {"usage": None},
            {"usage": CA_USAGE},
            {"purposes": [ExtendedKeyUsageOID.SERVER_AUTH]},
        ):
            party = issued(**changes)
            assert refused(checked, party, middle) == "certificate-unfit"
        assert checked(issued(purposes=None), middle).identity == WHO
        assert checked(issued(ca=False), middle).identity == WHO
        assert refused(lambda: checked(*stranger()[:2])) == "certificate-untrusted"
