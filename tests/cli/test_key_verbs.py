"""keys and sign: what is made, shown, changed and revoked; a policy's text around an entry stays as it is."""

from __future__ import annotations

import base64
import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeguard.admission import load_public_keys
from edgeguard.admission.second_keys import load_post_quantum, load_second_key
from edgeguard.cli.amending import added, removed
from edgeguard.policy.load import check_policy
from tests.hostile.bundles.builders import sha256

Call = Callable[..., Any]


@pytest.mark.parametrize("curve", ["256", "384", "521"])
def test_the_curve_can_be_chosen(call: Call, tmp_path: Path, curve: str) -> None:
    assert call("keys", "new", tmp_path / "a", "--curve", curve).code == 0
    (key,) = load_public_keys([tmp_path / "a.pub"])
    assert key.key.curve.key_size == int(curve)


def test_a_post_quantum_pair_lies_beside_the_first(call: Call, tmp_path: Path) -> None:
    assert call("keys", "new", tmp_path / "a").code == 0
    said = call("keys", "new", tmp_path / "a", "--post-quantum")
    assert said.code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a.key", "a.ml-dsa-65.key", "a.ml-dsa-65.pub", "a.pub",
    ]  # fmt: skip
    assert load_second_key(tmp_path / "a.ml-dsa-65.key").public() == load_post_quantum(
        tmp_path / "a.ml-dsa-65.pub"
    )
    assert "PRIVATE" not in said.out


def test_a_content_key_is_32_secret_bytes(call: Call, tmp_path: Path) -> None:
    said = call("keys", "new", tmp_path / "content", "--content")
    secret = (tmp_path / "content.key").read_bytes()
    assert (said.code, len(secret)) == (0, 32)
    assert stat.S_IMODE((tmp_path / "content.key").stat().st_mode) == 0o600
    assert sha256(secret)[:16] in said.out
    assert secret.hex() not in said.out
    shown = call("keys", "show", tmp_path / "content.key")
    assert shown.out == f"decrypt: [{tmp_path}/content.key]  # content key {sha256(secret)[:16]}\n"


@pytest.mark.parametrize(
    "options",
    [
        ["--content", "--post-quantum"],
        ["--content", "--curve", "384"],
        ["--post-quantum", "--curve", "521"],
        ["--curve", "224"],
        ["x.pub", "--content"],
    ],
)
def test_options_that_contradict_each_other_are_refused(
    call: Call, tmp_path: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("keys", "new", "a", *options).code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [[], ["--post-quantum"], ["--content"]])
def test_no_kind_of_key_is_written_over(call: Call, tmp_path: Path, kind: list[str]) -> None:
    assert call("keys", "new", tmp_path / "a", *kind).code == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    said = call("keys", "new", tmp_path / "a", *kind)
    assert (said.code, "is not overwritten" in said.err) == (2, True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["file/below", "/proc/nowhere/a"])
def test_a_folder_that_cannot_be_made_is_told(
    call: Call, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    said = call("keys", "new", name)
    assert (said.code, "cannot make the folder" in said.err) == (2, True), said.err


def test_show_prints_the_entry_of_a_policy_for_either_half(call: Call, tmp_path: Path) -> None:
    call("keys", "new", tmp_path / "a")
    call("keys", "new", tmp_path / "a", "--post-quantum")
    first, second = tmp_path / "a.pub", tmp_path / "a.ml-dsa-65.pub"
    entry = f'{{key: {first}, sha256: "{sha256(first.read_bytes())}"}}\n'
    assert call("keys", "show", first).out == entry
    assert call("keys", "show", tmp_path / "a.key").out == entry
    entry = f'post_quantum: {{key: {second}, sha256: "{sha256(second.read_bytes())}"}}\n'
    assert call("keys", "show", second).out == entry
    assert call("keys", "show", tmp_path / "a.ml-dsa-65.key").out == entry


def test_show_writes_a_lost_public_half_and_overwrites_none(call: Call, tmp_path: Path) -> None:
    call("keys", "new", tmp_path / "a")
    lost = (tmp_path / "a.pub").read_bytes()
    (tmp_path / "a.pub").unlink()
    said = call("keys", "show", tmp_path / "a.key")
    assert (said.code, "`--write FILE.pub`" in said.err, said.out) == (2, True, "")
    assert call("keys", "show", tmp_path / "a.key", "--write", tmp_path / "a.pub").code == 0
    assert (tmp_path / "a.pub").read_bytes() == lost
    assert call("keys", "show", tmp_path / "a.key", "--write", tmp_path / "a.pub").code == 2
    assert call("keys", "show", tmp_path / "a.pub", "--write", tmp_path / "b.pub").code == 2


def test_show_tells_an_authority_from_another_certificate(call: Call, tmp_path: Path) -> None:
    root, leaf = certificates(tmp_path)
    assert re.fullmatch(rf'{{authority: {root}, sha256: "[0-9a-f]{{64}}"}}\n', call("keys", "show", root).out)
    assert "a certificate, to revoke it" in call("keys", "show", leaf).out
    (tmp_path / "two.pem").write_bytes(root.read_bytes() + leaf.read_bytes())
    assert "holds 2 certificates" in call("keys", "show", tmp_path / "two.pem").err


def test_show_of_a_certificate_of_no_known_version_is_refused(call: Call, tmp_path: Path) -> None:
    """Which the parser reports in a way of its own."""
    root, _ = certificates(tmp_path)
    lines = root.read_bytes().splitlines()
    der = base64.b64decode(b"".join(lines[1:-1])).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x42", 1)
    root.write_bytes(b"\n".join([lines[0], base64.b64encode(der), lines[-1]]))
    said = call("keys", "show", root)
    assert (said.code, "holds no certificate in PEM format" in said.err) == (2, True)


@pytest.mark.parametrize("data", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n", bytes(31)])
def test_show_of_something_else_is_refused(call: Call, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    said = call("keys", "show", tmp_path / "x")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)


def certificates(folder: Path) -> tuple[Path, Path]:
    """A root and a certificate under it for `leaf.key`, valid for a day."""
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = dt.datetime.now(dt.timezone.utc)
    day = dt.timedelta(days=1)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, n)]) for n in ("root", "release")]
    paths = [folder / "root.pem", folder / "leaf.pem"]
    for i, path in enumerate(paths):
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign",
             "encipher_only", "decipher_only"), False,
        )  # fmt: skip
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[i])
            .issuer_name(names[0])
            .public_key(keys[i].public_key())
            .serial_number(i + 1)
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.BasicConstraints(ca=i == 0, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=i == 1, key_cert_sign=i == 0, **usage), critical=True
            )
        )
        path.write_bytes(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    (folder / "leaf.key").write_bytes(
        keys[1].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (folder / "leaf.key").chmod(0o600)
    return paths[0], paths[1]


def test_a_bundle_is_signed_with_a_chain_of_certificates(call: Call, project: Any, tmp_path: Path) -> None:
    root, leaf = certificates(tmp_path)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(leaf.read_bytes() + root.read_bytes())
    said = call("sign", project.bundle, "--key", tmp_path / "leaf.key", "--certificate", chain)
    assert said.code == 0, said.err
    material = json.loads((project.bundle / "model.sig").read_bytes())["verificationMaterial"]
    assert len(material["x509CertificateChain"]["certificates"]) == 2
    assert call("verify", project.bundle, "--ca", root).code == 0


def test_a_chain_that_is_not_the_key_s_or_no_chain_is_refused(
    call: Call, project: Any, tmp_path: Path
) -> None:
    root, leaf = certificates(tmp_path)
    before = (project.bundle / "model.sig").read_bytes()
    said = call("sign", project.bundle, "--key", project.key, "--certificate", leaf)
    assert (said.code, "the first certificate is for another key" in said.err) == (2, True)
    (tmp_path / "upside-down.pem").write_bytes(root.read_bytes() + leaf.read_bytes())
    said = call(
        "sign", project.bundle, "--key", tmp_path / "leaf.key", "--certificate", tmp_path / "upside-down.pem"
    )
    assert said.code == 2
    for bad in (project.pub, tmp_path / "none.pem"):
        assert call("sign", project.bundle, "--key", project.key, "--certificate", bad).code == 2
    assert (project.bundle / "model.sig").read_bytes() == before


def test_both_signatures_are_named(call: Call, project: Any, tmp_path: Path) -> None:
    call("keys", "new", tmp_path / "a", "--post-quantum")
    said = call("sign", project.bundle, "--key", project.key, "--second", tmp_path / "a.ml-dsa-65.key")
    signature = project.bundle / "model.sig"
    assert said.out == f"{signature}: signed\n{signature}.ml-dsa-65: signed\n"


def test_a_policy_that_asks_for_second_signatures_gets_them(call: Call, project: Any) -> None:
    """From the keys to the refusal, by the verbs alone; the calibration counts as well as the bundle."""
    keys, calibration = project.pub.parent, project.policy.with_name("calibration.json")
    call("keys", "new", keys / "release", "--post-quantum")
    entry = call("keys", "show", keys / "release.ml-dsa-65.pub").out.strip().replace(f"{keys}/", "keys/")
    old = sha256(project.pub.read_bytes())
    project.change_policy(f'sha256: "{old}"', f'sha256: "{old}", {entry}')
    asked = ["--trust", project.pub, "--policy", project.policy]
    said = call("verify", project.bundle, *asked)
    assert (said.code, "post-quantum-missing" in said.err) == (4, True)
    for path in (project.bundle, calibration):
        second = keys / "release.ml-dsa-65.key"
        assert call("sign", path, "--key", project.key, "--second", second).code == 0
    assert call("verify", project.bundle, *asked).code == 0
    assert call("verify", calibration, *asked, "--role", "calibration").code == 0
    calibration.with_name("calibration.json.sig.ml-dsa-65").unlink()
    said = call(*project.run("--seconds", "0.1"))
    assert (said.code, "calibration.json.sig.ml-dsa-65: post-quantum-missing" in said.err) == (4, True), (
        said.err
    )


def test_rotation_signs_again_and_the_policy_accepts_both_keys(call: Call, project: Any) -> None:
    keys = project.pub.parent
    policy = project.policy.read_text()
    said = call(
        "keys", "rotate", project.pub, project.bundle, "--new", keys / "next", "--policy", project.policy
    )
    assert said.code == 0, said.err
    assert f"{project.bundle / 'model.sig'}: signed" in said.out
    assert f"edgeguard keys revoke {project.policy} {project.pub}" in said.out
    assert "PRIVATE" not in said.out
    assert call("verify", project.bundle, "--trust", keys / "next.pub").code == 0
    assert call("verify", project.bundle, "--trust", project.pub).code == 4
    signers = check_policy(project.policy).policy.admission.signers  # type: ignore[union-attr]
    assert [s.sha256 for s in signers] == [
        sha256(path.read_bytes()) for path in (project.pub, keys / "next.pub")
    ]
    assert [s.key for s in signers] == ["keys/release.pub", "keys/next.pub"]
    left = project.policy.read_text()
    entry = f'{{key: keys/next.pub, sha256: "{signers[1].sha256}"}}'
    assert entry in left
    assert left.replace(f", {entry}", "").replace(f"\n    - {entry}", "") == policy


def test_rotation_that_was_cut_short_is_taken_up_again(call: Call, project: Any) -> None:
    keys, calibration = project.pub.parent, next(project.policy.parent.glob("*calibration*.json"))
    call("keys", "new", keys / "next")
    assert call("sign", project.bundle, "--key", keys / "next.key").code == 0
    arguments = [
        "keys", "rotate", project.pub, project.bundle, calibration, "--key", keys / "next.key",
        "--public", keys / "next.pub", "--policy", project.policy,
    ]  # fmt: skip
    said = call(*arguments)
    assert said.code == 0, said.err
    assert f"{project.bundle}" not in said.out
    assert f"{calibration}.sig: signed" in said.out
    before = project.policy.read_text()
    said = call(*arguments)
    assert (said.code, "accepts the new key already" in said.out) == (0, True)
    assert project.policy.read_text() == before


def test_rotation_keeps_what_the_old_key_may_sign_and_its_second_key(call: Call, project: Any) -> None:
    keys = project.pub.parent
    call("keys", "new", keys / "release", "--post-quantum")
    second = keys / "release.ml-dsa-65.pub"
    old = sha256(project.pub.read_bytes())
    hint = sha256(second.read_bytes())
    more = f'signs: [primary, calibration], post_quantum: {{key: keys/{second.name}, sha256: "{hint}"}}'
    project.change_policy(f'sha256: "{old}"', f'sha256: "{old}", {more}')
    said = call("keys", "rotate", project.pub, "--new", keys / "next", "--policy", project.policy)
    assert said.code == 0, said.err
    first, other = check_policy(project.policy).policy.admission.signers  # type: ignore[union-attr]
    assert (other.signs, other.post_quantum) == (first.signs, first.post_quantum)


def test_nothing_is_changed_when_one_thing_does_not_verify(call: Call, project: Any, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("a: 1\n")
    call("keys", "new", tmp_path / "stranger")
    call("sign", tmp_path / "other.yaml", "--key", tmp_path / "stranger.key")
    before = (project.bundle / "model.sig").read_bytes(), project.policy.read_bytes()
    said = call(
        "keys", "rotate", project.pub, project.bundle, tmp_path / "other.yaml", "--new", tmp_path / "next",
        "--policy", project.policy,
    )  # fmt: skip
    assert (said.code, "unknown-signer" in said.err) == (4, True)
    assert ((project.bundle / "model.sig").read_bytes(), project.policy.read_bytes()) == before
    assert not (tmp_path / "next.key").exists()


def test_rotation_does_not_leave_a_second_signature_behind(call: Call, project: Any, tmp_path: Path) -> None:
    call("keys", "new", tmp_path / "a", "--post-quantum")
    second = tmp_path / "a.ml-dsa-65.key"
    call("sign", project.bundle, "--key", project.key, "--second", second)
    said = call("keys", "rotate", project.pub, project.bundle, "--new", tmp_path / "next")
    assert (said.code, "`--second KEY`" in said.err) == (2, True)
    assert not (tmp_path / "next.key").exists()
    assert (
        call(
            "keys", "rotate", project.pub, project.bundle, "--new", tmp_path / "next", "--second", second
        ).code
        == 0
    )


@pytest.mark.parametrize(
    "options", [[], ["--new", "a", "--key", "b"], ["--key", "b"], ["--new", "a", "--public", "c"]]
)
def test_rotation_needs_one_new_key(call: Call, project: Any, options: list[str]) -> None:
    said = call("keys", "rotate", project.pub, *options)
    assert (said.code, "say where the new key is" in said.err) == (2, True)


def test_rotation_needs_a_policy_that_knows_the_old_key(call: Call, project: Any, tmp_path: Path) -> None:
    call("keys", "new", tmp_path / "stranger")
    said = call(
        "keys", "rotate", tmp_path / "stranger.pub", "--new", tmp_path / "b", "--policy", project.policy
    )
    assert (said.code, "does not name the old key" in said.err) == (2, True)
    assert not (tmp_path / "b.key").exists()


def test_a_public_half_that_is_another_key_s_is_refused(call: Call, project: Any, tmp_path: Path) -> None:
    call("keys", "new", tmp_path / "a")
    said = call("keys", "rotate", project.pub, "--key", tmp_path / "a.key", "--public", project.pub)
    assert (said.code, "is not the public half of the new key" in said.err) == (2, True)
    assert (
        call("keys", "rotate", project.pub, "--key", tmp_path / "a.key", "--public", tmp_path / "b.pub").code
        == 0
    )
    assert (tmp_path / "b.pub").read_bytes() == (tmp_path / "a.pub").read_bytes()


def test_what_is_revoked_stands_in_the_policy_and_is_refused(call: Call, project: Any) -> None:
    before = project.policy.read_text()
    said = call("keys", "revoke", project.policy, project.bundle, "--note", 'lost "laptop"')
    assert said.code == 0, said.err
    assert "sign it again" in said.out
    (entry,) = check_policy(project.policy).policy.admission.revoked  # type: ignore[union-attr]
    digest = json.loads(call("verify", project.bundle, "--trust", project.pub, "--format", "json").out)[
        "digest"
    ]
    assert (entry.sha256, entry.note) == (digest, 'lost "laptop"')
    lines = project.policy.read_text().splitlines()
    assert [line for line in lines if line not in before.splitlines()] == [
        "  revoked:", f'    - {{sha256: "{digest}", note: "lost \\"laptop\\""}}',
    ]  # fmt: skip
    assert stat.S_IMODE(project.policy.stat().st_mode) == 0o644
    again = call("keys", "revoke", project.policy, digest)
    assert (again.code, "was revoked already" in again.out) == (0, True)


def test_keys_certificates_files_and_digests_can_be_revoked(call: Call, project: Any, tmp_path: Path) -> None:
    _, leaf = certificates(tmp_path)
    call("keys", "new", tmp_path / "a", "--post-quantum")
    call("keys", "new", tmp_path / "b")
    signed = tmp_path / "signed.json"
    signed.write_text("{}")
    call("sign", signed, "--key", project.key)
    second = tmp_path / "a.ml-dsa-65.pub"
    said = call("keys", "revoke", project.policy, tmp_path / "b.pub", leaf, second, signed, "0" * 64)
    assert said.code == 0, said.err
    revoked = [entry.sha256 for entry in check_policy(project.policy).policy.admission.revoked]  # type: ignore[union-attr]
    assert revoked[0] == sha256((tmp_path / "b.pub").read_bytes())
    assert revoked[2:] == [sha256(second.read_bytes()), sha256(b"{}"), "0" * 64]
    assert len(set(revoked)) == 5


def test_a_revoked_signer_is_taken_out_once_there_is_another(call: Call, project: Any) -> None:
    before = project.policy.read_bytes()
    said = call("keys", "revoke", project.policy, project.pub)
    assert (said.code, "let a new key in first" in said.err) == (2, True)
    assert project.policy.read_bytes() == before
    new = project.pub.parent / "next"
    call("keys", "rotate", project.pub, project.bundle, "--new", new, "--policy", project.policy)
    said = call("keys", "revoke", project.policy, project.pub)
    assert (said.code, "and no signer any more" in said.out) == (0, True), said.err
    admission = check_policy(project.policy).policy.admission
    assert admission is not None
    assert [s.key for s in admission.signers] == ["keys/next.pub"]
    assert [e.sha256 for e in admission.revoked] == [sha256(project.pub.read_bytes())]


def test_an_unsigned_bundle_is_revoked_by_what_it_would_be_signed_as(call: Call, project: Any) -> None:
    digest = json.loads(call("verify", project.bundle, "--trust", project.pub, "--format", "json").out)[
        "digest"
    ]
    (project.bundle / "model.sig").unlink()
    assert call("keys", "revoke", project.policy, project.bundle).code == 0
    admission = check_policy(project.policy).policy.admission
    assert admission is not None
    assert [e.sha256 for e in admission.revoked] == [digest]


def test_a_layout_that_is_not_understood_changes_nothing(
    call: Call, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = project.policy.read_bytes()
    monkeypatch.setattr("edgeguard.cli.amending.added", lambda text, *_: text)
    said = call("keys", "revoke", project.policy, "0" * 64)
    assert (said.code, "to `admission.revoked` by hand" in said.err) == (2, True)
    assert project.policy.read_bytes() == before


def test_a_second_key_in_use_is_not_revoked_alone(call: Call, project: Any) -> None:
    keys = project.pub.parent
    call("keys", "new", keys / "release", "--post-quantum")
    second = keys / "release.ml-dsa-65.pub"
    old, hint = sha256(project.pub.read_bytes()), sha256(second.read_bytes())
    more = f'post_quantum: {{key: keys/{second.name}, sha256: "{hint}"}}'
    project.change_policy(f'sha256: "{old}"', f'sha256: "{old}", {more}')
    said = call("keys", "revoke", project.policy, second)
    assert (said.code, "is revoked, and is a second key" in said.err) == (2, True)


def test_what_cannot_be_revoked_leaves_the_policy_as_it_is(call: Call, project: Any, tmp_path: Path) -> None:
    before = project.policy.read_bytes()
    (tmp_path / "unsigned").write_text("x")
    call("keys", "new", tmp_path / "content", "--content")
    for what in (tmp_path / "unsigned", tmp_path / "none", tmp_path / "content.key", "0" * 63, "A" * 64):
        assert call("keys", "revoke", project.policy, what).code == 2, what
    (project.bundle / "CARD.md").write_text("changed")
    assert call("keys", "revoke", project.policy, project.bundle).code == 4
    assert project.policy.read_bytes() == before


def test_a_policy_that_is_not_valid_is_not_changed(call: Call, project: Any) -> None:
    project.policy.write_text(project.policy.read_text() + "\nnonsense: 1\n")
    before = project.policy.read_bytes()
    assert call("keys", "revoke", project.policy, "0" * 64).code == 3
    assert project.policy.read_bytes() == before


TEXTS = [
    (
        "admission:\n  signers: [{key: a}]\nrest: 1\n",
        "admission:\n  signers: [{key: a}]\n  revoked:\n    - NEW\nrest: 1\n",
    ),
    (
        "# top\nadmission:  # who\n  signers:\n    - {key: a}  # old\n  # below\nrest: 1\n",
        "# top\nadmission:  # who\n  signers:\n    - {key: a}  # old\n  revoked:\n    - NEW\n  # below\nrest: 1\n",
    ),
    ("admission:\n  revoked: []\n", "admission:\n  revoked: [NEW]\n"),
    ("admission:\n  revoked: [ ]  # none\n", "admission:\n  revoked: [NEW ]  # none\n"),
    ("admission:\n  revoked: [{a: 1}]\n", "admission:\n  revoked: [{a: 1}, NEW]\n"),
    ("admission:\n  revoked: [{a: 1},]\n", "admission:\n  revoked: [{a: 1}, NEW,]\n"),
    (
        "admission:\n  revoked: [\n    {a: 1},  # one\n    {a: 2}  # two\n  ]\n",
        "admission:\n  revoked: [\n    {a: 1},  # one\n    {a: 2}, NEW  # two\n  ]\n",
    ),
    (
        "admission:\n  revoked:\n    - {a: 1}  # one\n    - a: 2\n      note: x\n\n# rest\nrest: 1\n",
        "admission:\n  revoked:\n    - {a: 1}  # one\n    - a: 2\n      note: x\n    - NEW\n\n# rest\nrest: 1\n",
    ),
    (
        "admission:\n  revoked:\n  - a: 1\n  clock: none",
        "admission:\n  revoked:\n  - a: 1\n  - NEW\n  clock: none",
    ),
    ("admission: {signers: [{key: a}]}\n", "admission: {signers: [{key: a}], revoked: [NEW]}\n"),
    ("admission: {revoked: [1], clock: none}", "admission: {revoked: [1, NEW], clock: none}"),
    ("admission:\n  revoked:\n    - 'a: [#'\n", "admission:\n  revoked:\n    - 'a: [#'\n    - NEW\n"),
    (
        "admission:\n  revoked:\n    - a: 1\n      note: >-\n        why\n        not\n  clock: none\n",
        "admission:\n  revoked:\n    - a: 1\n      note: >-\n        why\n        not\n    - NEW\n  clock: none\n",
    ),
    ("admission:\r\n  clock: none\r\n", None),
    ("rest: 1\n", "rest: 1\n"),
    ("admission:\n  revoked: 1\n", "admission:\n  revoked: 1\n"),
    ("admission: 1\n", "admission: 1\n"),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_an_entry_is_added_and_the_text_around_it_stays(text: str, expected: str | None) -> None:
    import yaml

    found = added(text, "revoked", "NEW")
    if expected is not None:
        assert found == expected
    before, after = yaml.safe_load(text), yaml.safe_load(found)
    if found != text:
        assert after["admission"].pop("revoked") == [*before["admission"].pop("revoked", []), "NEW"]
    assert after == before


SIGNERS = [
    (
        "admission:\n  signers: [{a: 1}, {b: 2}, {c: 3}]  # x\n",
        0,
        "admission:\n  signers: [{b: 2}, {c: 3}]  # x\n",
    ),
    ("admission:\n  signers: [{a: 1}, {b: 2}, {c: 3}]\n", 1, "admission:\n  signers: [{a: 1}, {c: 3}]\n"),
    ("admission:\n  signers: [{a: 1}, {b: 2},]\n", 1, "admission:\n  signers: [{a: 1},]\n"),
    (
        "admission:\n  signers:\n    # one\n    - {a: 1}  # first\n    - b: 2\n      c: 3\n    # rest\n",
        1,
        "admission:\n  signers:\n    # one\n    - {a: 1}  # first\n    # rest\n",
    ),
    ("admission:\n  signers:\n  - a: 1\n  - b: 2", 1, "admission:\n  signers:\n  - a: 1\n"),
    ("admission:\n  signers:\n  - a: 1\n  - b: 2", 0, "admission:\n  signers:\n  - b: 2"),
    ("admission:\n  signers: [{a: 1}]\n", 0, "admission:\n  signers: [{a: 1}]\n"),
    ("admission:\n  signers: [{a: 1}, {b: 2}]\n", 2, "admission:\n  signers: [{a: 1}, {b: 2}]\n"),
    ("admission: 1\n", 0, "admission: 1\n"),
]


@pytest.mark.parametrize(("text", "index", "expected"), SIGNERS)
def test_a_signer_is_taken_out_and_the_text_around_it_stays(text: str, index: int, expected: str) -> None:
    assert removed(text, index) == expected
