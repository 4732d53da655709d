"""Interoperability with `model-signing`, the reference implementation of the OpenSSF format, in both directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeguard.admission import admit_bundle, admit_file, sign_bundle, sign_file
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import Forge, write_files

pytest.importorskip("model_signing", reason="the reference implementation is a development dependency")
CURVES = pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])


@pytest.fixture
def stock() -> Any:
    """The reference implementation."""
    import model_signing.hashing
    import model_signing.signing
    import model_signing.verifying

    return model_signing


def _verify(stock: Any, forge: Forge, path: Path, signature: Path) -> None:
    stock.verifying.Config().use_elliptic_key_verifier(public_key=forge.public_path).verify(path, signature)


def _sign(stock: Any, forge: Forge, path: Path, signature: Path) -> None:
    """Sign as its command line does: the signature and git's files are left out."""
    hashing = stock.hashing.Config().set_ignored_paths(paths=[signature], ignore_git_paths=True)
    config = stock.signing.Config().use_elliptic_key_signer(private_key=forge.private_path)
    config.set_hashing_config(hashing).sign(path, signature)


@CURVES
def test_stock_verifier_accepts_our_bundle(curve: str, unsigned: Path, tmp_path: Path, stock: Any) -> None:
    forge = Forge.at(tmp_path, curve=curve)
    write_files(unsigned, {"docs/résumé.md": b"x", "docs-2/a": b"y", "docs.txt": b"z"})
    _verify(stock, forge, unsigned, sign_bundle(unsigned, forge.private_path))


@CURVES
def test_we_accept_a_bundle_of_the_stock_signer(
    curve: str, unsigned: Path, tmp_path: Path, stock: Any
) -> None:
    forge = Forge.at(tmp_path, curve=curve)
    write_files(unsigned, {"docs/résumé.md": b"x", "docs-2/a": b"y", "docs.txt": b"z"})
    _sign(stock, forge, unsigned, unsigned / "model.sig")
    theirs = admit_bundle(unsigned, forge.signers)
    sign_bundle(unsigned, forge.private_path)
    assert admit_bundle(unsigned, forge.signers).digest == theirs.digest


@CURVES
def test_single_files_go_both_ways(curve: str, tmp_path: Path, stock: Any) -> None:
    forge = Forge.at(tmp_path, curve=curve)
    policy = tmp_path / "policy.yaml"
    policy.write_text("edgeguard: 1\n")
    _verify(stock, forge, policy, sign_file(policy, forge.private_path))
    _sign(stock, forge, policy, tmp_path / "policy.yaml.sig")
    assert admit_file(policy, forge.signers).data == b"edgeguard: 1\n"


def test_both_refuse_a_changed_bundle(bundle: Path, forge: Forge, stock: Any) -> None:
    (bundle / "CARD.md").write_text("changed")
    with pytest.raises(ValueError, match=r"Hash mismatch for 'CARD.md'"):
        _verify(stock, forge, bundle, bundle / "model.sig")
    with pytest.raises(AdmissionError, match=r"CARD\.md: digest-mismatch"):
        admit_bundle(bundle, forge.signers)


def test_a_bundle_signed_in_shards_is_refused_in_words(unsigned: Path, forge: Forge, stock: Any) -> None:
    hashing = (
        stock.hashing.Config().use_shard_serialization().set_ignored_paths(paths=[unsigned / "model.sig"])
    )
    config = stock.signing.Config().use_elliptic_key_signer(private_key=forge.private_path)
    config.set_hashing_config(hashing).sign(unsigned, unsigned / "model.sig")
    with pytest.raises(AdmissionError, match="signature-unsupported: it was not signed as whole files"):
        admit_bundle(unsigned, forge.signers)


def test_git_files_that_the_stock_signer_leaves_out_are_refused_as_extra(
    unsigned: Path, forge: Forge, stock: Any
) -> None:
    (unsigned / ".gitattributes").touch()
    _sign(stock, forge, unsigned, unsigned / "model.sig")
    _verify(stock, forge, unsigned, unsigned / "model.sig")
    with pytest.raises(AdmissionError, match=r"\.gitattributes: file-extra"):
        admit_bundle(unsigned, forge.signers)
