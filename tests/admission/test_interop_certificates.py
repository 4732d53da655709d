"""Interoperability with `model-signing` by certificate chain, in both directions, and what its verifier lets pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from edgeguard.admission import admit_bundle
from edgeguard.admission.authorities import load_authority
from edgeguard.admission.envelope import seal
from edgeguard.admission.sign import Pen, load_chain, sign_bundle
from edgeguard.admission.statement import build_statement
from edgeguard.admission.trust import Moment, Trust, TrustedAuthority
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import good_files, sha256
from tests.hostile.bundles.builders_pki import NOW, WHO, Party, Plan, authority, good, made

pytest.importorskip("model_signing", reason="the reference implementation is a development dependency")
CURVES = pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
WITH_ROOT = pytest.mark.parametrize("with_root", [False, True], ids=["root left out", "root sent"])


@pytest.fixture
def stock() -> Any:
    """The reference implementation."""
    import model_signing.hashing
    import model_signing.signing
    import model_signing.verifying

    return model_signing


def _write(folder: Path, name: str, parties: Sequence[Party]) -> Path:
    path = folder / f"{name}.pem"
    path.write_bytes(b"".join(party.pem for party in parties))
    return path


def _sign_theirs(stock: Any, bundle: Path, folder: Path, chain: Sequence[Party]) -> None:
    signer, *upper = chain
    key = folder / "signer.key"
    key.write_bytes(
        signer.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    signature = bundle / "model.sig"
    hashing = stock.hashing.Config().set_ignored_paths(paths=[signature], ignore_git_paths=True)
    config = stock.signing.Config().use_certificate_signer(
        private_key=key,
        signing_certificate=_write(folder, "signer", [signer]),
        certificate_chain=[_write(folder, f"upper-{i}", [party]) for i, party in enumerate(upper)],
    )
    config.set_hashing_config(hashing).sign(bundle, signature)


def _sign_ours(bundle: Path, folder: Path, chain: Sequence[Party]) -> None:
    """`edgeguard sign` would not sign with certificates that are not fit: with those it is done by hand."""
    ders = load_chain(_write(folder, "chain", chain))
    try:
        sign_bundle(bundle, chain[0].signing, Pen(ders, now=NOW))
    except AdmissionError:
        payload = build_statement(bundle.name, {name: sha256(data) for name, data in good_files().items()})
        (bundle / "model.sig").write_bytes(seal(payload, chain[0].signing, ders))


def _verify_theirs(stock: Any, bundle: Path, folder: Path, root: Party) -> None:
    config = stock.verifying.Config().use_certificate_verifier(
        certificate_chain=[_write(folder, "root", [root])]
    )
    config.verify(bundle, bundle / "model.sig")


def _verify_ours(bundle: Path, folder: Path, root: Party, now: Moment | None = NOW) -> str:
    trusted = load_authority(_write(folder, "root", [root]))
    trust = Trust(authorities=(TrustedAuthority(trusted, WHO),))
    return admit_bundle(bundle, trust, now=now).identity


@CURVES
@WITH_ROOT
def test_stock_verifier_accepts_our_chain(
    curve: str, with_root: bool, unsigned: Path, tmp_path: Path, stock: Any
) -> None:
    chain = good(curve)
    _sign_ours(unsigned, tmp_path, chain if with_root else chain[:2])
    assert _verify_ours(unsigned, tmp_path, chain[2]) == WHO
    _verify_theirs(stock, unsigned, tmp_path, chain[2])


@CURVES
@WITH_ROOT
def test_we_accept_a_chain_of_the_stock_signer(
    curve: str, with_root: bool, unsigned: Path, tmp_path: Path, stock: Any
) -> None:
    chain = good(curve)
    _sign_theirs(stock, unsigned, tmp_path, chain if with_root else chain[:2])
    assert _verify_ours(unsigned, tmp_path, chain[2]) == WHO


def test_a_signer_right_under_the_root_goes_both_ways(unsigned: Path, tmp_path: Path, stock: Any) -> None:
    """The stock signer cannot send a certificate alone: it wants one above it, if only the root."""
    root = made(authority("root"))
    signer = made(Plan(), root)
    _sign_theirs(stock, unsigned, tmp_path, [signer, root])
    assert _verify_ours(unsigned, tmp_path, root) == WHO
    _sign_ours(unsigned, tmp_path, [signer])
    _verify_theirs(stock, unsigned, tmp_path, root)


@pytest.mark.parametrize("theirs", [False, True], ids=["signed by us", "signed by stock"])
def test_both_refuse_a_strangers_root_and_a_changed_file(
    theirs: bool, unsigned: Path, tmp_path: Path, stock: Any
) -> None:
    chain = good()
    if theirs:
        _sign_theirs(stock, unsigned, tmp_path, chain)
    else:
        _sign_ours(unsigned, tmp_path, chain)
    with pytest.raises(Exception, match="self-signed certificate in certificate chain"):
        _verify_theirs(stock, unsigned, tmp_path, good()[2])
    with pytest.raises(AdmissionError, match="certificate-untrusted"):
        _verify_ours(unsigned, tmp_path, good()[2])
    (unsigned / "CARD.md").write_text("changed")
    with pytest.raises(ValueError, match="Hash mismatch"):
        _verify_theirs(stock, unsigned, tmp_path, chain[2])
    with pytest.raises(AdmissionError, match="digest-mismatch"):
        _verify_ours(unsigned, tmp_path, chain[2])


ACCEPTED_BY_STOCK: dict[str, tuple[str, Callable[[], list[Party]]]] = {
    "an expired signer": ("certificate-expired", lambda: _under_a_good_one(days=(-20, -1))),
    "a signer of the future": ("certificate-not-yet-valid", lambda: _under_a_good_one(days=(1, 30))),
    "a certificate for web servers": (
        "certificate-unfit",
        lambda: _under_a_good_one(purposes=[ExtendedKeyUsageOID.SERVER_AUTH]),
    ),
    "another identity": (
        "identity-mismatch",
        lambda: _under_a_good_one(names=[x509.RFC822Name("mallory@example.org")]),
    ),
}


def _under_a_good_one(**changes: Any) -> list[Party]:
    _, between, root = good()
    return [made(Plan(**changes), between), between, root]


@pytest.mark.parametrize("case", ACCEPTED_BY_STOCK)
def test_what_stock_lets_pass_is_refused_here(case: str, unsigned: Path, tmp_path: Path, stock: Any) -> None:
    """The reference verifier takes the first second of the signer's certificate for the time."""
    reason, build = ACCEPTED_BY_STOCK[case]
    chain = build()
    _sign_ours(unsigned, tmp_path, chain)
    _verify_theirs(stock, unsigned, tmp_path, chain[2])
    with pytest.raises(AdmissionError, match=reason):
        _verify_ours(unsigned, tmp_path, chain[2])
