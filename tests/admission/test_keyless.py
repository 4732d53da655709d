"""Signatures without a key: real ones of the public Sigstore instance, verified with its pinned root and no network."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from edgeguard.admission.authorities import load_pinned_root
from edgeguard.admission.bundle import check_names
from edgeguard.admission.envelope import read_envelope
from edgeguard.admission.loading import load_trust
from edgeguard.admission.statement import parse_statement
from edgeguard.admission.trust import Grant, Trust, TrustedIdentity
from edgeguard.errors import AdmissionError
from edgeguard.terms import AdmissionTerms, Pin, SignerTerm
from tests.admission.sigstore_samples import (
    DATA,
    ISSUER,
    ROOT,
    WHO,
    changed,
    entry,
    signature,
    trusting,
    verify,
)

pytest.importorskip("sigstore", reason="the extra `sigstore` is not installed")

SAMPLES = pytest.mark.parametrize("sample", ["v1.0.0-sigstore", "v1.1.0-sigstore"])


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever tried to reach anybody would fail the test."""

    def refuse(*_: object, **__: object) -> NoReturn:
        pytest.fail("it tried to use the network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


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


def test_what_such_a_signature_says_can_be_read_without_believing_it() -> None:
    opened = read_envelope(signature(), "model.sig")
    assert parse_statement(opened.payload, "model.sig") == verify(signature(), trusting()).statement
    assert opened.signer == ""
