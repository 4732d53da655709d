"""`edgeguard keys rotate`: from an old signing key to a new one, while devices accept both.

Everything named must verify under the old key, or the new one already, before anything is written; so a change that
was cut short is taken up again by the same command.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.output import DecryptOption
from edgeguard.cli.sign import SecondOption, pen
from edgeguard.errors import AdmissionError, UsageError

if TYPE_CHECKING:
    from edgeguard.admission.bundle import Secrets
    from edgeguard.admission.keys import PublicKey, SigningKey
    from edgeguard.admission.sign import Pen
    from edgeguard.admission.trust import Moment, Trust
    from edgeguard.policy.vouching import Signer


def register(group: typer.Typer) -> None:
    """Add the verb."""
    epilog = (
        "Example: edgeguard keys rotate keys/old.pub models/primary --new keys/release-2 --policy policy.yaml"
    )
    group.command(epilog=epilog)(rotate)


def rotate(
    old: Annotated[Path, typer.Argument(metavar="OLD.pub", help="The public key that is to be replaced.")],
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help="Bundles and files to sign again; each must verify."),
    ] = None,
    new: Annotated[
        Path | None, typer.Option("--new", metavar="NAME", help="Make NAME.key and NAME.pub.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="KEY", help="Or a new key that is there: as of `sign`.")
    ] = None,
    public: Annotated[
        Path | None,
        typer.Option("--public", metavar="FILE.pub", help="Of `--key`: its public half; written if missing."),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy", metavar="POLICY", help="Let this policy accept the new key besides the old one."
        ),
    ] = None,
    second: SecondOption = None,
    decrypt: DecryptOption = None,
) -> None:
    """Sign bundles and files with a new key, and let a policy accept both until the old one is revoked."""
    from edgeguard.admission import load_public_keys
    from edgeguard.admission.decryption import secrets_from
    from edgeguard.keystores import open_secret, open_signing_key

    (before,) = load_public_keys([old])
    accepted = [before]
    if key is not None and public is not None and new is None:
        signer = open_signing_key(key)
        accepted.append(signer.public())
        ready = partial(_given_key, signer, public)
    elif new is not None and key is None and public is None:
        ready = partial(_new_key, new, before)
    else:
        raise UsageError(
            "say where the new key is: `--new NAME` to make one, or `--key KEY --public FILE.pub`"
        )
    secrets, with_what = secrets_from(decrypt or (), open_secret), pen(None, second)
    left = [path for path in paths or () if _is_left(path, accepted, secrets, with_what)]
    term = _term(policy, before) if policy is not None else None
    signer, half = ready()
    for path in left:
        typer.echo(f"{_sign(path, signer, with_what, secrets)}: signed")
    if policy is not None and term is not None:
        _accept(policy, term, signer.public(), half)
    _say_what_is_left(old, half, policy)


def _is_left(path: Path, halves: Sequence[PublicKey], secrets: Secrets, with_what: Pen) -> bool:
    """Whether `path` verifies under the first of these keys, and so has to be signed again; it must under one.

    Raises:
        AdmissionError: under none.
    """
    from edgeguard.admission.bundle import SIGNATURE_FILE
    from edgeguard.admission.sign import check_renewable
    from edgeguard.admission.trust import Trust

    try:
        _verify(path, Trust.of(halves[:1]), secrets, with_what.now)
    except AdmissionError as error:
        if error.reason != "unknown-signer":
            raise
        _verify(path, Trust.of(halves), secrets, with_what.now)
        return False
    check_renewable(path / SIGNATURE_FILE if path.is_dir() else Path(f"{path}.sig"), with_what)
    return True


def _verify(path: Path, trust: Trust, secrets: Secrets, now: Moment | None) -> None:
    from edgeguard.admission import admit_bundle, admit_file

    if path.is_dir():
        admit_bundle(path, trust, now=now, secrets=secrets)
    else:
        admit_file(path, trust, now=now)


def _sign(path: Path, signer: SigningKey, with_what: Pen, secrets: Secrets) -> Path:
    from edgeguard.admission import sign_bundle, sign_file

    if path.is_dir():
        return sign_bundle(path, signer, with_what, secrets=secrets)
    return sign_file(path, signer, with_what)


def _new_key(name: Path, before: PublicKey) -> tuple[SigningKey, Path]:
    """Make a key on the curve of the old one."""
    from edgeguard.admission.keys import CURVES, load_private_key
    from edgeguard.cli.making import signing_pair

    curve = next(name for name, curve in CURVES.items() if curve.name == before.key.curve.name)
    made = signing_pair(name, None, curve=curve, tpm=False)
    typer.echo(f"{made.private}: the new private key; keep it off the device and out of version control")
    return load_private_key(made.private), made.public


def _given_key(signer: SigningKey, place: Path) -> tuple[SigningKey, Path]:
    """A key that is there already, and the file of its public half; written where there is none."""
    from edgeguard.admission import load_public_keys
    from edgeguard.admission.keyfiles import create
    from edgeguard.admission.keys import public_pem

    if not os.path.lexists(place):
        create(place, public_pem(signer.public().key), private=False)
    (half,) = load_public_keys([place])
    if half.hint != signer.public().hint:
        raise UsageError(f"`{place}` is not the public half of the new key: name its file with `--public`")
    return signer, place


def _signers(policy: Path) -> Sequence[Signer]:
    """Whose signatures a policy accepts. Raises: PolicyError, UsageError."""
    from edgeguard.policy.load import check_policy

    admission = check_policy(policy).policy.admission
    return admission.signers if admission else ()


def _term(policy: Path, before: PublicKey) -> Signer:
    """What the policy lets the old key do. Raises: UsageError when it does not know it."""
    for signer in _signers(policy):
        if signer.key is not None and signer.sha256 == before.hint:
            return signer
    raise UsageError(
        f"`{policy}` does not name the old key among its signers: name the policy that does, or leave `--policy` out"
    )


def _accept(policy: Path, term: Signer, half: PublicKey, place: Path) -> None:
    """Let the new key do in the policy what the old one may."""
    from edgeguard.cli.amending import amend

    if half.hint in {signer.sha256 for signer in _signers(policy)}:
        typer.echo(f"{policy}: accepts the new key already")
        return
    entry = f'key: {os.path.relpath(place, policy.parent)}, sha256: "{half.hint}"'
    if term.signs is not None:
        entry += f", signs: [{', '.join(term.signs)}]"
    if term.post_quantum is not None:
        entry += f', post_quantum: {{key: {term.post_quantum.key}, sha256: "{term.post_quantum.sha256}"}}'
    amend(policy, "signers", f"{{{entry}}}")
    typer.echo(f"{policy}: accepts the old key and the new one")


def _say_what_is_left(old: Path, half: Path, policy: Path | None) -> None:
    if policy is None:
        typer.echo(f"next: add to `admission.signers` of the policy what `edgeguard keys show {half}` prints")
    typer.echo(
        "then: raise `policy.version`, sign the policy again with `edgeguard sign`, and bring it to every device"
    )
    typer.echo("then: bring the bundles that were signed again to every device")
    typer.echo(
        f"last: `edgeguard keys revoke {policy or 'POLICY'} {old}`, and sign and bring the policy once more"
    )
