"""Signatures without a key: real ones of the public Sigstore instance, verified with its pinned root and no network."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from cryptography import x509

from edgeguard.admission.authorities import load_pinned_root
from edgeguard.admission.bundle import Content, Vouched, check_names, pinned_statement, verify_signature
from edgeguard.admission.loading import load_trust
from edgeguard.admission.trust import Grant, Trust, TrustedIdentity
from edgeguard.errors import AdmissionError
from edgeguard.terms import AdmissionTerms, Pin, SignerTerm

pytest.importorskip("sigstore", reason="the extra `sigstore` is not installed")

DATA = Path(__file__).parent / "data" / "sigstore"
SAMPLES = pytest.mark.parametrize("sample", ["v1.0.0-sigstore", "v1.1.0-sigstore"])
WHO, ISSUER = "stefanb@us.ibm.com", "https://sigstore.verify.ibm.com/oauth2"
ROOT = (DATA / "trusted_root.json").read_bytes()

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever tried to reach anybody would fail the test."""

    def refuse(*_: object, **__: object) -> NoReturn:
        pytest.fail("it tried to use the network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


def trusting(identity: str = WHO, issuer: str = ISSUER, root: bytes = ROOT, **rest: Any) -> Trust:
    return Trust(identities=(TrustedIdentity(root, identity, issuer),), **rest)


def signature(sample: str = "v1.1.0-sigstore") -> bytes:
    return (DATA / sample / "model.sig").read_bytes()


def verify(data: bytes, trust: Trust) -> Vouched:
    return verify_signature(data, trust, "model.sig")


def changed(change: Callable[[Json], object], sample: str = "v1.1.0-sigstore") -> bytes:
    document = json.loads(signature(sample))
    change(document)
    return json.dumps(document).encode()


def entry(document: Json) -> Json:
    return document["verificationMaterial"]["tlogEntries"][0]  # type: ignore[no-any-return]


@SAMPLES
def test_a_real_signature_of_the_right_identity_is_accepted(sample: str) -> None:
    vouched = verify(signature(sample), trusting())
    assert vouched.identity == WHO
    assert re.fullmatch("[0-9a-f]{64}", vouched.signer)
    folder = DATA / sample
    check_names(vouched.statement, [path.name for path in folder.iterdir()], sample)
    for resource in vouched.statement.resources:
        assert hashlib.sha256((folder / resource.name).read_bytes()).hexdigest() == resource.digest


def test_a_policy_pins_the_root_and_says_what_may_be_signed(tmp_path: Path) -> None:
    pin = Pin(str(DATA / "trusted_root.json"), hashlib.sha256(ROOT).hexdigest())
    term = SignerTerm(keyless=pin, identity=WHO, issuer=ISSUER, signs=("redundant",))
    trust = load_trust(AdmissionTerms(signers=(term,)))
    assert verify(signature(), trust).grant == Grant(frozenset({"redundant"}))
    other = Pin(str(DATA / "staging_root.json"), pin.sha256)
    with pytest.raises(
        AdmissionError, match=r"staging_root\.json: unknown-signer: this is not the trusted root"
    ):
        load_pinned_root(other)


def test_the_first_identity_that_fits_counts() -> None:
    identities = tuple(
        TrustedIdentity(root, who, ISSUER, Grant(frozenset({signs})))
        for root, who, signs in [
            ((DATA / "staging_root.json").read_bytes(), WHO, "policy"),
            (ROOT, "mallory@example.org", "filter"),
            (ROOT, WHO, "primary"),
            (ROOT, WHO, "redundant"),
        ]
    )
    assert verify(signature(), Trust(identities=identities)).grant.signs == {"primary"}


REFUSED: dict[str, tuple[str, Callable[[], tuple[bytes, Trust]]]] = {
    "wrong identity": ("identity-mismatch", lambda: (signature(), trusting("mallory@example.org"))),
    "identity in another case": ("identity-mismatch", lambda: (signature(), trusting("Stefanb@us.ibm.com"))),
    "no identity asked": ("identity-mismatch", lambda: (signature(), trusting(""))),
    "wrong issuer": (
        "identity-mismatch",
        lambda: (signature(), trusting(issuer="https://accounts.google.com")),
    ),
    "no issuer asked": ("identity-mismatch", lambda: (signature(), trusting(issuer=""))),
    "another root": (
        "certificate-untrusted",
        lambda: (signature("v1.0.0-sigstore"), trusting(root=(DATA / "staging_root.json").read_bytes())),
    ),
    "root that is no root": ("unknown-signer", lambda: (signature(), trusting(root=b"{}"))),
    "root that is no JSON": ("unknown-signer", lambda: (signature(), trusting(root=b"\xff"))),
    "nobody trusted": ("unknown-signer", lambda: (signature(), Trust())),
    "changed payload": (
        "signature-invalid",
        lambda: (
            changed(
                lambda d: d["dsseEnvelope"].update(
                    payload=base64.b64encode(
                        base64.b64decode(d["dsseEnvelope"]["payload"]).replace(b"signme-1", b"signme-9")
                    ).decode()
                )
            ),
            trusting(),
        ),
    ),
    "no log entry": (
        "signature-malformed",
        lambda: (changed(lambda d: d["verificationMaterial"].update(tlogEntries=[])), trusting()),
    ),
    "log entries left out": (
        "signature-malformed",
        lambda: (changed(lambda d: d["verificationMaterial"].pop("tlogEntries")), trusting()),
    ),
    "log entry twice": (
        "signature-malformed",
        lambda: (
            changed(lambda d: d["verificationMaterial"]["tlogEntries"].append(copy.deepcopy(entry(d)))),
            trusting(),
        ),
    ),
    "log entry of another signature": (
        "certificate-untrusted",
        lambda: (
            changed(
                lambda d: d["verificationMaterial"].update(
                    tlogEntries=json.loads(signature("v1.0.0-sigstore"))["verificationMaterial"][
                        "tlogEntries"
                    ],
                    timestampVerificationData={},
                )
            ),
            trusting(),
        ),
    ),
    "certificate of another signature": (
        "certificate-untrusted",
        lambda: (
            changed(
                lambda d: d["verificationMaterial"].update(
                    certificate=json.loads(signature("v1.0.0-sigstore"))["verificationMaterial"][
                        "certificate"
                    ]
                )
            ),
            trusting(),
        ),
    ),
    "no time": (
        "signature-malformed",
        lambda: (changed(lambda d: entry(d).pop("inclusionPromise"), "v1.0.0-sigstore"), trusting()),
    ),
    "no inclusion proof": (
        "signature-malformed",
        lambda: (changed(lambda d: entry(d).pop("inclusionProof")), trusting()),
    ),
    "no checkpoint": (
        "signature-malformed",
        lambda: (changed(lambda d: entry(d)["inclusionProof"].pop("checkpoint")), trusting()),
    ),
    "key beside the certificate": (
        "signature-malformed",
        lambda: (
            changed(lambda d: d["verificationMaterial"].update(publicKey={"hint": "a" * 64})),
            trusting(),
        ),
    ),
    "chain beside the certificate": (
        "signature-malformed",
        lambda: (
            changed(
                lambda d: d["verificationMaterial"].update(
                    x509CertificateChain={"certificates": [d["verificationMaterial"]["certificate"]]}
                )
            ),
            trusting(),
        ),
    ),
    "two signatures": (
        "signature-invalid",
        lambda: (
            changed(
                lambda d: d["dsseEnvelope"]["signatures"].append(
                    copy.deepcopy(d["dsseEnvelope"]["signatures"][0])
                )
            ),
            trusting(),
        ),
    ),
    "key id of another key": (
        "signature-malformed",
        lambda: (changed(lambda d: d["dsseEnvelope"]["signatures"][0].update(keyid="abc")), trusting()),
    ),
    "unknown field in the log entry": (
        "signature-malformed",
        lambda: (changed(lambda d: entry(d).update(extra=1)), trusting()),
    ),
    "number in another spelling": (
        "signature-malformed",
        lambda: (changed(lambda d: entry(d).update(logIndex="0" + entry(d)["logIndex"])), trusting()),
    ),
    "base64 in another spelling": (
        "signature-malformed",
        lambda: (
            changed(lambda d: entry(d)["logId"].update(keyId=entry(d)["logId"]["keyId"] + "\n")),
            trusting(),
        ),
    ),
    "certificate that is none": (
        "signature-malformed",
        lambda: (
            changed(lambda d: d["verificationMaterial"]["certificate"].update(rawBytes="AAAA")),
            trusting(),
        ),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_anything_else_is_refused_with_its_reason(case: str) -> None:
    reason, build = REFUSED[case]
    data, trust = build()
    with pytest.raises(AdmissionError) as caught:
        verify(data, trust)
    assert caught.value.reason == reason, str(caught.value)
    assert str(caught.value).isprintable()


def test_a_time_stamp_proves_the_time_as_well_as_the_log_does() -> None:
    assert verify(changed(lambda d: entry(d).pop("inclusionPromise")), trusting()).identity == WHO


def _texts(value: object, way: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*way, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*way, index))
    elif isinstance(value, str):
        yield way, value


COMMENTS = ("signedTimestamp", "envelope")
"""A time stamp that does not verify counts as none, since the log proves the time; a checkpoint names its log twice."""


@SAMPLES
def test_whatever_is_changed_the_same_is_admitted_or_nothing(sample: str) -> None:
    """One character of every text, at its ends and in its middle."""
    document = json.loads(signature(sample))
    good = verify(signature(sample), trusting())
    for way, text in _texts(document):
        for at in {0, len(text) // 2, len(text) - 1}:
            other = copy.deepcopy(document)
            place: Any = other
            for step in way[:-1]:
                place = place[step]
            new = str((int(text[at]) + 1) % 10) if text[at].isdigit() else "AB"[text[at] == "A"]
            place[way[-1]] = text[:at] + new + text[at + 1 :]
            try:
                found = verify(json.dumps(other).encode(), trusting())
            except AdmissionError:
                continue
            assert found == good
            assert way[-1] in COMMENTS, way


def _revocable() -> dict[str, str]:
    material = json.loads(signature())["verificationMaterial"]
    root = json.loads(ROOT)["certificateAuthorities"][1]["certChain"]["certificates"]
    ders = {
        "certificate": base64.b64decode(material["certificate"]["rawBytes"]),
        "intermediate": base64.b64decode(root[0]["rawBytes"]),
        "root": base64.b64decode(root[1]["rawBytes"]),
    }
    return {
        **{name: hashlib.sha256(der).hexdigest() for name, der in ders.items()},
        "trusted root": hashlib.sha256(ROOT).hexdigest(),
        "key": verify(signature(), trusting()).signer,
    }


@pytest.mark.parametrize("what", ["certificate", "intermediate", "root", "trusted root", "key"])
def test_all_that_such_a_signature_rests_on_can_be_revoked(what: str) -> None:
    with pytest.raises(AdmissionError, match="revoked"):
        verify(signature(), trusting(revoked=frozenset({_revocable()[what]})))


def test_a_pinned_bundle_may_be_signed_so_whoever_did_it() -> None:
    folder = DATA / "v1.1.0-sigstore"
    contents = {name: Content.of((folder / name).read_bytes()) for name in ("signme-1", "signme-2")}
    root = verify(signature(), trusting()).statement.root
    assert pinned_statement(signature(), contents, root, "bundle").root == root


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import edgeguard.admission

    monkeypatch.delitem(sys.modules, "edgeguard.admission.transparency", raising=False)
    monkeypatch.delattr(edgeguard.admission, "transparency", raising=False)
    monkeypatch.setitem(sys.modules, "sigstore.errors", None)
    with pytest.raises(AdmissionError, match=r"signature-unsupported: .* install `edgeguard-runtime\[sigstore\]`"):
        verify(signature(), trusting())


def test_a_certificate_that_names_no_issuer_is_for_nobody() -> None:
    from edgeguard.admission import transparency

    raw = json.loads(ROOT)["certificateAuthorities"][1]["certChain"]["certificates"][0]["rawBytes"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(raw))
    assert not transparency.is_for(certificate, WHO, ISSUER)


class TestADistrustedLibrary:
    """What Sigstore's library says is held against what stands in the file."""

    @pytest.fixture
    def library(self) -> Any:
        from edgeguard.admission import transparency

        return transparency

    def _reason(self) -> str:
        with pytest.raises(AdmissionError) as caught:
            verify(signature(), trusting())
        return caught.value.reason

    def test_another_payload_than_the_one_in_the_file_is_refused(
        self, library: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(library, "verified_payload", lambda *_: b"{}")
        assert self._reason() == "signature-malformed"

    def test_another_certificate_than_the_one_in_the_file_is_refused(
        self, library: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        payload = base64.b64decode(json.loads(signature())["dsseEnvelope"]["payload"])
        read = library.read_bundle
        other = read(signature("v1.0.0-sigstore"))[0]
        monkeypatch.setattr(library, "read_bundle", lambda data: (other, read(data)[1]))
        monkeypatch.setattr(library, "verified_payload", lambda *_: payload)
        assert self._reason() == "signature-malformed"

    def test_an_error_of_any_kind_is_a_refusal(self, library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> NoReturn:
            raise RuntimeError("no such luck")

        monkeypatch.setattr(library, "verified_payload", fail)
        assert self._reason() == "signature-invalid"

    def test_an_authority_that_the_root_does_not_name_is_refused(
        self, library: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = library.issuers
        for keep in (slice(0, 1), slice(1, 2), slice(2, 3)):
            monkeypatch.setattr(library, "issuers", lambda root, keep=keep: real(root)[keep])
            assert self._reason() == "certificate-untrusted"
        monkeypatch.setattr(library, "issuers", real)
        assert verify(signature(), trusting()).identity == WHO

    def test_a_signature_that_only_the_library_verified_is_refused(
        self, library: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The envelope verifies the certificate's key over the payload once more."""
        data = changed(lambda d: d["dsseEnvelope"]["signatures"][0].update(sig="AAAA"))
        payload = base64.b64decode(json.loads(data)["dsseEnvelope"]["payload"])
        monkeypatch.setattr(library, "verified_payload", lambda *_: payload)
        with pytest.raises(AdmissionError, match="signature-invalid"):
            verify(data, trusting())
