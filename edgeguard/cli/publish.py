"""`edgeguard publish`: make a repository that devices pull from. Every change is staged, signed, then released.

Signers work one after another, each on a machine of their own; no key is ever asked for that is not needed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.output import Format, FormatOption, print_json
from edgeguard.cli.trusting import TrustOption, trusted_keys
from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from edgeguard.delivery.plan import Holders
    from edgeguard.delivery.repository import Repository, Signed

group = typer.Typer(
    help="Publish signed bundles and policies for devices to pull (extra `tuf`).",
    no_args_is_help=True,
    rich_markup_mode=None,
)

RepoArgument = Annotated[Path, typer.Argument(help="The repository's folder.", metavar="REPO")]
PrivateOption = Annotated[
    list[str],
    typer.Option(
        "--key", metavar="KEY", help="Private key: a PEM file, pkcs11:... or tpm:PATH; may be repeated."
    ),
]
DeviceOption = Annotated[
    str, typer.Option("--device", metavar="ID", help="Only for this device, signed by its role `device-ID`.")
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(group, name="publish")


@group.callback()
def _group() -> None:
    from edgeguard.delivery.needs import need_tuf

    need_tuf()


@group.command(
    epilog="Example: edgeguard publish new repo --key root=a.pub --key root=b.pub --threshold root=2 "
    "--key models=m.pub --key policies=p.pub --key timestamp=online.pub"
)
def new(
    repo: RepoArgument,
    key: Annotated[
        list[str],
        typer.Option(
            "--key",
            metavar="ROLE=KEY.pub",
            help="Who signs for root, models, policies, timestamp, or targets, snapshot, device-ID; may be repeated.",
        ),
    ],
    threshold: Annotated[
        list[str] | None,
        typer.Option("--threshold", metavar="ROLE=N", help="How many of its keys must sign; 1."),
    ] = None,
    days: Annotated[
        list[str] | None,
        typer.Option("--days", metavar="ROLE=N", help="How long it is valid once signed."),
    ] = None,
) -> None:
    """Make a repository with its roles. `targets` is signed as root, `snapshot` as timestamp, unless you say so."""
    from edgeguard.delivery.plan import create

    repository = _at(repo)
    create(repository, _holders(key, threshold or [], days or []), time.time())
    _tell(repository, repository.staged_roles())


@group.command(
    epilog="Example: edgeguard publish add repo models/signs policies/gate.yaml --trust keys/release.pub"
)
def add(
    repo: RepoArgument,
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Bundle folders, signed files (with their .sig) and public keys.", metavar="PATH"
        ),
    ],
    trust: TrustOption = None,
    device: DeviceOption = "",
    pin: Annotated[
        str,
        typer.Option("--pin", metavar="HEX", help="Of a bundle that a policy pins, whoever signed it."),
    ] = "",
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest", metavar="FILE", help="With --pin: signed edgeguard.json of a bundle without one."
        ),
    ] = None,
) -> None:
    """Admit bundles, policies and what lies beside them, and stage that devices are offered them."""
    from edgeguard.admission import admit_file
    from edgeguard.admission.trust import Moment
    from edgeguard.cli.offering import not_offered
    from edgeguard.delivery.targets import add, admitted_item

    repository, keys, now = _at(repo), trusted_keys(trust or []), time.time()
    if not keys and not pin:
        raise UsageError("no key to admit with: name one with `--trust KEY.pub`, or set `EDGEGUARD_TRUST`")
    at = Moment(now)
    given = admit_file(manifest, keys, kind="manifest", now=at).data if manifest is not None else b""
    items = [admitted_item(path, keys, now=at, pin=pin, manifest=given) for path in paths]
    roles = add(repository, items, now, device=device)
    for item in items:
        typer.echo(f"{item.unit}: {len(item.files)} file{'' if len(item.files) == 1 else 's'}")
    _tell(repository, roles)
    for line in not_offered(repository, paths, device):
        typer.echo(f"warning: {line}", err=True)


@group.command(epilog="Example: edgeguard publish remove repo models/signs")
def remove(
    repo: RepoArgument,
    names: Annotated[list[str], typer.Argument(help="As `publish show` lists them.", metavar="NAME")],
    device: DeviceOption = "",
) -> None:
    """Stage that bundles or files are offered no more: devices drop them with their next pull."""
    from edgeguard.delivery.targets import remove

    repository = _at(repo)
    _tell(repository, remove(repository, names, time.time(), device=device))


@group.command(epilog="Example: edgeguard publish keys repo root --key a.pub --key d.pub --threshold 2")
def keys(
    repo: RepoArgument,
    role: Annotated[
        str,
        typer.Argument(
            metavar="ROLE", help="root, targets, snapshot, timestamp, models, policies or device-ID."
        ),
    ],
    key: Annotated[
        list[Path] | None,
        typer.Option("--key", metavar="KEY.pub", help="Everybody who signs from now on; may be repeated."),
    ] = None,
    threshold: Annotated[
        int, typer.Option("--threshold", metavar="N", help="How many of them must sign.")
    ] = 1,
    days: Annotated[
        int | None, typer.Option("--days", metavar="N", help="How long it is valid once signed.")
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Offer nothing to this device of its own.")
    ] = False,
) -> None:
    """Stage other keys for a role, or a new device: rotate root keys, revoke a stolen one, hand a role over."""
    from edgeguard.admission.keys import load_public_keys
    from edgeguard.delivery.plan import Holders, remove_device, set_holders

    repository, now = _at(repo), time.time()
    if remove == bool(key):
        raise UsageError("name the keys of the role with `--key KEY.pub`, or say `--remove`")
    if remove:
        remove_device(repository, role, now)
    else:
        set_holders(repository, role, Holders(load_public_keys(key or []), threshold, days), now)
    _tell(repository, repository.staged_roles())


@group.command(epilog="Example: edgeguard publish renew repo models policies")
def renew(
    repo: RepoArgument,
    roles: Annotated[list[str], typer.Argument(help="Any but snapshot and timestamp.", metavar="ROLE")],
) -> None:
    """Stage roles as they are, with a new expiry."""
    from edgeguard.delivery.plan import renew

    repository = _at(repo)
    renew(repository, roles, time.time())
    _tell(repository, roles)


@group.command(epilog="Example: edgeguard publish sign repo --key alice.key")
def sign(repo: RepoArgument, key: PrivateOption) -> None:
    """Sign everything staged that these keys count for, and say what is still missing."""
    from edgeguard.delivery.publish import sign
    from edgeguard.keystores import open_signing_key

    repository = _at(repo)
    found = sign(repository, [open_signing_key(where) for where in key])
    _lines(found)


@group.command(epilog="Example: edgeguard publish release repo --key online.key")
def release(repo: RepoArgument, key: PrivateOption) -> None:
    """Publish what is staged and fully signed, all at once, with a new snapshot and timestamp."""
    from edgeguard.delivery.publish import release
    from edgeguard.keystores import open_signing_key

    _lines(release(_at(repo), [open_signing_key(where) for where in key], time.time()))


@group.command(epilog="Example: edgeguard publish timestamp repo --key online.key")
def timestamp(repo: RepoArgument, key: PrivateOption) -> None:
    """Sign the timestamp anew, so that devices see that the release is still the newest."""
    from edgeguard.delivery.publish import renew_timestamp
    from edgeguard.keystores import open_signing_key

    _lines([renew_timestamp(_at(repo), [open_signing_key(where) for where in key], time.time())])


@group.command(epilog="Example: edgeguard publish show repo")
def show(repo: RepoArgument, output: FormatOption = Format.TEXT) -> None:
    """Print every role, its signatures and expiry, and what is offered. Read it before you sign."""
    repository = _at(repo)
    roles = ["root", "targets", *repository.offering()]
    roles += [role for role in ("snapshot", "timestamp") if repository.published(role) is not None]
    found = [repository.progress(role) for role in roles]
    offers = {role: repository.changes(role) for role in repository.offering()}
    if output is Format.JSON:
        told = [{"role": f.role, "version": f.version, "staged": f.staged, "signed": f.signed} for f in found]
        more = [{"needed": f.needed, "expires": f.expires} for f in found]
        print_json({"roles": [a | b for a, b in zip(told, more)], "offers": offers})
        return
    _lines(found)
    for lines in offers.values():
        for line in lines:
            typer.echo(line)


def _at(repo: Path) -> Repository:
    from edgeguard.delivery.repository import Repository

    return Repository(repo)


def _tell(repository: Repository, roles: Sequence[str]) -> None:
    _lines([repository.progress(role) for role in roles])


def _lines(found: Sequence[Signed]) -> None:
    for one in found:
        until = time.strftime("%Y-%m-%d", time.gmtime(one.expires))
        missing = f", {one.missing} missing" if one.missing else ""
        state = "staged" if one.staged else "released"
        typer.echo(
            f"{one.role} {one.version}: {state}, {one.signed} of {one.needed} signatures{missing}, valid until {until}"
        )


def _holders(key: Sequence[str], threshold: Sequence[str], days: Sequence[str]) -> dict[str, Holders]:
    from edgeguard.admission.keys import load_public_keys
    from edgeguard.delivery.plan import Holders

    paths: dict[str, list[str]] = {}
    for option in key:
        role, path = _pair(option, "--key")
        paths.setdefault(role, []).append(path)
    needed = {role: _number(n, "--threshold") for role, n in (_pair(o, "--threshold") for o in threshold)}
    valid = {role: _number(n, "--days") for role, n in (_pair(o, "--days") for o in days)}
    for role in (*needed, *valid):
        if role not in paths:
            raise UsageError(f"`{role}` has no key of its own: name one with `--key {role}=KEY.pub`")
    return {
        role: Holders(load_public_keys(named), needed.get(role, 1), valid.get(role))
        for role, named in paths.items()
    }


def _pair(text: str, option: str) -> tuple[str, str]:
    role, _, value = text.partition("=")
    if not role or not value:
        raise UsageError(f"`{option} {text}`: write ROLE=VALUE, such as `{option} models=...`")
    return role, value


def _number(text: str, option: str) -> int:
    if not text.isdecimal() or len(text) > 6:
        raise UsageError(f"`{option} ...={text}`: give a whole number")
    return int(text)
