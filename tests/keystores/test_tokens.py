"""Keys on a real PKCS#11 token: they sign what admission accepts, never leave it, and every failure has words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgeguard.admission import Trust, admit_bundle, sign_bundle
from edgeguard.admission.decryption import key_id, secrets_from
from edgeguard.admission.trust import TrustedKey
from edgeguard.errors import UsageError
from edgeguard.keystores import open_second_key, open_secret, open_signing_key
from tests.hostile.bundles.builders import good_files, write_files

if TYPE_CHECKING:
    from tests.software_token import SoftToken

CURVES = ["secp256r1", "secp384r1", "secp521r1"]
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.usefixtures("pin")
def test_bundle_that_a_token_signed_is_admitted(curve: str, soft_token: SoftToken, tmp_path: Path) -> None:
    bundle = write_files(tmp_path / "bundle", good_files())
    key = open_signing_key(soft_token.uri(curve))
    sign_bundle(bundle, key)
    assert admit_bundle(bundle, Trust(keys=(TrustedKey(key.public()),))).signer == key.public().hint


@pytest.mark.usefixtures("pin")
def test_many_signatures_of_a_token_verify(soft_token: SoftToken) -> None:
    """Among 64 of them some have numbers with leading zeroes, which the token pads and DER does not."""
    key = open_signing_key(soft_token.uri("secp256r1"))
    for i in range(64):
        assert key.public().verifies(key.sign(b"%d" % i), b"%d" % i)


@pytest.mark.usefixtures("pin")
def test_key_can_be_named_by_its_id(soft_token: SoftToken) -> None:
    by_label = open_signing_key(soft_token.uri("secp384r1"))
    by_id = open_signing_key(f"pkcs11:token=release;id=%02?module-path={soft_token.library}")
    assert by_id.public().hint == by_label.public().hint


@pytest.mark.usefixtures("pin")
def test_private_key_cannot_be_read_out(soft_token: SoftToken) -> None:
    key = open_signing_key(soft_token.uri("secp256r1"))
    assert "PRIVATE" not in repr(key).upper().replace("PRIVATEKEY", "")
    with pytest.raises(UsageError, match=r"no content key of this name"):
        open_secret(soft_token.uri("secp256r1"))


def test_pin_comes_from_a_file_that_is_its_owner_s(
    soft_token: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.software_token import PIN

    monkeypatch.delenv("EDGEGUARD_PIN", raising=False)
    path = tmp_path / "pin"
    path.write_text(f"{PIN}\n")
    where = soft_token.uri("secp256r1", more=f"&pin-source=file:{path}")
    path.chmod(0o644)
    with pytest.raises(UsageError, match=r"the PIN file `.*pin` can be used by others: run `chmod 600"):
        open_signing_key(where)
    path.chmod(0o600)
    assert open_signing_key(where).sign(b"message")


@pytest.mark.parametrize("text", [b"", b"\n", b"12\n34", b"\xff\xfe", b"1" * 300, b"12\x0034"])
def test_file_without_a_pin_is_refused(text: bytes, soft_token: SoftToken, tmp_path: Path) -> None:
    (tmp_path / "pin").write_bytes(text)
    (tmp_path / "pin").chmod(0o600)
    with pytest.raises(UsageError, match="holds no PIN of one line"):
        open_signing_key(soft_token.uri("secp256r1", more=f"&pin-source=file:{tmp_path}/pin"))


def test_no_pin_at_all_is_refused(soft_token: SoftToken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEGUARD_PIN", raising=False)
    with pytest.raises(UsageError, match="`EDGEGUARD_PIN` holds no PIN of one line"):
        open_signing_key(soft_token.uri("secp256r1"))


@pytest.mark.usefixtures("pin")
def test_token_or_key_that_is_not_there_is_told(soft_token: SoftToken) -> None:
    with pytest.raises(
        UsageError, match="none of the tokens that are there fits this name: plug the token in"
    ):
        open_signing_key(soft_token.uri("secp256r1", on="other"))
    with pytest.raises(UsageError, match="no private key of this name, and exactly one is needed"):
        open_signing_key(soft_token.uri("other"))


@pytest.mark.parametrize("library", ["/nowhere/x.so", "/etc/passwd", "/dev/null", sys.executable])
@pytest.mark.usefixtures("pin", "soft_token")
def test_library_that_is_none_is_told(library: str) -> None:
    with pytest.raises(UsageError, match="check `module-path`"):
        open_signing_key(f"pkcs11:object=a?module-path={library}")


@pytest.mark.usefixtures("pin")
def test_second_signatures_are_not_asked_of_a_token(soft_token: SoftToken) -> None:
    with pytest.raises(UsageError, match="keep the second key in a file, or at `tpm:PATH`"):
        open_second_key(soft_token.uri("secp256r1"))


@pytest.mark.usefixtures("pin")
def test_key_of_another_kind_on_a_token_is_refused(soft_token: SoftToken) -> None:
    soft_token.tool("--keypairgen", "--key-type", "rsa:2048", "--label", "rsa", "--id", "20")
    soft_token.pair("koblitz", "secp256k1", 0x21)
    for label in ("rsa", "koblitz"):
        with pytest.raises(UsageError, match="use an EC key on P-256, P-384 or P-521"):
            open_signing_key(soft_token.uri(label))


@pytest.mark.usefixtures("pin")
def test_several_keys_of_one_name_are_refused(soft_token: SoftToken) -> None:
    soft_token.pair("twins", "secp256r1", 0x30)
    soft_token.pair("twins", "secp256r1", 0x31)
    with pytest.raises(UsageError, match="the token has 2 private keys of this name"):
        open_signing_key(soft_token.uri("twins"))


@pytest.mark.usefixtures("pin")
def test_public_key_that_is_not_the_other_half_is_found_out(soft_token: SoftToken, tmp_path: Path) -> None:
    soft_token.pair("torn", "secp256r1", 0x40)
    soft_token.tool("--delete-object", "--type", "pubkey", "--label", "torn")
    with pytest.raises(UsageError, match="no public key of this name"):
        open_signing_key(soft_token.uri("torn"))
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    half = ec.generate_private_key(ec.SECP256R1()).public_key()
    (tmp_path / "other.der").write_bytes(
        half.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    soft_token.tool(
        "--write-object", str(tmp_path / "other.der"), "--type", "pubkey", "--label", "torn", "--id", "40"
    )
    bundle = write_files(tmp_path / "bundle", good_files())
    with pytest.raises(UsageError, match="the two do not belong together"):
        sign_bundle(bundle, open_signing_key(soft_token.uri("torn")))
    assert not (bundle / "model.sig").exists()


@pytest.mark.usefixtures("pin")
def test_content_key_is_read_from_a_token(soft_token: SoftToken, tmp_path: Path) -> None:
    secret = bytes(range(32))
    (tmp_path / "content").write_bytes(secret)
    soft_token.tool(
        "--write-object", str(tmp_path / "content"), "--type", "data", "--label", "content", "--private"
    )
    assert open_secret(soft_token.uri("content")) == secret
    secrets = secrets_from([soft_token.uri("content")], open_secret)
    assert secrets(key_id(secret)) == secret
    assert secrets("0" * 16) is None


@pytest.mark.usefixtures("pin")
def test_content_key_of_another_length_or_that_stays_inside_is_refused(
    soft_token: SoftToken, tmp_path: Path
) -> None:
    (tmp_path / "short").write_bytes(bytes(16))
    soft_token.tool(
        "--write-object", str(tmp_path / "short"), "--type", "data", "--label", "short", "--private"
    )
    with pytest.raises(UsageError, match="holds 16 bytes, and a content key has 32"):
        open_secret(soft_token.uri("short"))
    soft_token.tool("--keygen", "--key-type", "AES:32", "--label", "sealed-in", "--sensitive")
    with pytest.raises(UsageError, match="the token does not give this key out"):
        open_secret(soft_token.uri("sealed-in"))


def _edgeguard(*arguments: str, pin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if pin:
        environment["EDGEGUARD_PIN"] = pin
    return subprocess.run(
        [sys.executable, "-m", "edgeguard", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.process
def test_wrong_pin_is_told_with_exit_code_2(soft_token: SoftToken, tmp_path: Path) -> None:
    bundle = write_files(tmp_path / "bundle", good_files())
    done = _edgeguard("sign", str(bundle), "--key", soft_token.uri("secp256r1"), pin="0000")
    assert (done.returncode, "the PIN is wrong" in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr
    assert "0000" not in done.stderr
    assert not (bundle / "model.sig").exists()


@pytest.mark.process
@pytest.mark.usefixtures("pin")
def test_token_s_public_half_is_written_and_verifies_what_it_signed(
    soft_token: SoftToken, tmp_path: Path
) -> None:
    bundle = write_files(tmp_path / "bundle", good_files())
    where, half = soft_token.uri("secp521r1"), str(tmp_path / "release.pub")
    shown = _edgeguard("keys", "show", where, "--write", half)
    assert shown.stdout.startswith(f'{{key: {half}, sha256: "'), shown.stderr
    assert _edgeguard("sign", str(bundle), "--key", where).returncode == 0
    assert _edgeguard("verify", str(bundle), "--trust", half).returncode == 0


REMOVED = """
import shutil, sys
from pathlib import Path
from edgeguard.errors import UsageError
from edgeguard.keystores import open_signing_key
key = open_signing_key(sys.argv[1])
key.sign(b"message")
shutil.rmtree(sys.argv[2])
try:
    key.sign(b"message")
    open_signing_key(sys.argv[1])
except UsageError as error:
    print("told:", error)
"""


@pytest.mark.process
def test_token_that_is_removed_between_is_told(
    soft_token: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pin: Callable[[str], None]
) -> None:
    tokens = tmp_path / "tokens"
    shutil.copytree(soft_token.folder / "tokens", tokens)
    (tmp_path / "conf").write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\n")
    done = subprocess.run(
        [sys.executable, "-c", REMOVED, soft_token.uri("secp256r1"), str(tokens)],
        env={**os.environ, "SOFTHSM2_CONF": str(tmp_path / "conf"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("told: "), done.stdout


def test_without_the_extra_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    monkeypatch.delitem(sys.modules, "edgeguard.keystores.token", raising=False)
    import edgeguard.keystores

    monkeypatch.delattr(edgeguard.keystores, "token", raising=False)
    with pytest.raises(UsageError, match=r"need the extra `pkcs11`: run `pip install"):
        open_signing_key("pkcs11:object=a?module-path=/x.so")
