"""`edgeguard floor`: make, show and raise what a device remembers. Nothing here lowers or resets it."""

from __future__ import annotations

import time as clocks
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.output import Format, FormatOption, print_json, write_bytes
from edgeguard.cli.remembering import StateArgument, needed_state
from edgeguard.cli.trusting import Named, TrustOption, trust_of
from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from edgeguard.device.floor_file import FileFloor

group = typer.Typer(
    help="What a device remembers: the newest versions it ran, and how late it is at least.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(group, name="floor")


@group.callback()
def _group() -> None:
    pass


@group.command(epilog="Example: edgeguard floor new /var/lib/edgeguard --tpm")
def new(
    state: StateArgument = None,
    tpm: Annotated[
        bool, typer.Option("--tpm", help="Tie it to a counter in the TPM (`EDGEGUARD_TPM`).")
    ] = False,
    index: Annotated[
        str,
        typer.Option("--index", metavar="HANDLE", help="With --tpm: the counter's NV index, hexadecimal."),
    ] = "0x01818E60",
    pcrs: Annotated[
        str,
        typer.Option("--pcrs", metavar="LIST", help="With --tpm: bind its key to the boot, as sha256:0,2,7."),
    ] = "",
    output: FormatOption = Format.TEXT,
) -> None:
    """Make the memory of a device that never had one. Once: it is never made anew over an old one."""
    from edgeguard.device.floors import create_floor
    from edgeguard.device.tpm import open_tpm

    if pcrs and not tpm:
        raise UsageError("`--pcrs` binds a TPM's key: give `--tpm` with it")
    folder = needed_state(state)
    made = create_floor(folder, open_tpm() if tpm else None, index=_number(index), pcrs=pcrs)
    _answer(folder, made, output)


@group.command(epilog="Example: edgeguard floor show /var/lib/edgeguard")
def show(state: StateArgument = None, output: FormatOption = Format.TEXT) -> None:
    """Print the newest versions this device ran, and the latest time that somebody signed."""
    from edgeguard.device.floors import open_floor

    folder = needed_state(state)
    _answer(folder, open_floor(folder), output)


@group.command(
    "raise", epilog="Example: edgeguard floor raise state --time now.json --trust keys/release.pub"
)
def raise_(
    state: StateArgument = None,
    versions: Annotated[
        list[str] | None,
        typer.Option(
            "--version", metavar="PLACE=N", help="The lowest version that may run there; may be repeated."
        ),
    ] = None,
    time: Annotated[
        Path | None, typer.Option("--time", metavar="FILE", help="A signed time, of `edgeguard floor time`.")
    ] = None,
    trust: TrustOption = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Raise versions, or the time by a signed file. There is no way back: what is lower changes nothing."""
    from edgeguard.device.floors import open_floor

    wanted = dict(_version(text) for text in versions or [])
    if not wanted and time is None:
        raise UsageError("nothing to raise: give `--version PLACE=N` or `--time FILE`")
    folder = needed_state(state)
    floor = open_floor(folder)
    floor.raise_to(wanted, 0.0 if time is None else _signed_time(time, trust or [], floor))
    _answer(folder, floor, output)


@group.command(
    "time", epilog="Example: edgeguard floor time now.json && edgeguard sign now.json --key keys/release.key"
)
def time_(
    file: Annotated[Path, typer.Argument(help="The file to write.", metavar="FILE")],
    at: Annotated[
        str, typer.Option("--at", metavar="TIME", help="Such as 2026-11-21T09:00:00Z; else now.")
    ] = "",
) -> None:
    """Write a time to be signed, for devices without a clock. Sign it with `edgeguard sign`."""
    from edgeguard.device.times import time_file

    data = time_file(at or clocks.strftime("%Y-%m-%dT%H:%M:%SZ", clocks.gmtime()))
    write_bytes(file, data)
    typer.echo(f"{file}: written; sign it with `edgeguard sign {file} --key KEY`")


def _signed_time(file: Path, trust: list[Path], floor: FileFloor) -> float:
    from edgeguard.admission import admit_file
    from edgeguard.device.moment import moment
    from edgeguard.device.times import TIME, parse_time

    trusted = trust_of(Named(trust))
    now = moment(floor, "system", clocks.time())
    return parse_time(admit_file(file, trusted, kind=TIME, now=now).data, str(file))


def _version(text: str) -> tuple[str, int]:
    place, _, number = text.partition("=")
    if not (number.isascii() and number.isdigit() and len(number) <= 19):
        raise UsageError(f"`{text}` is no version of a place: write it like `primary=7`")
    return place, int(number)


def _number(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        raise UsageError(f"`{text}` is no handle: write it like `0x01818E60`") from None


def _answer(state: Path, floor: FileFloor, output: Format) -> None:
    from edgeguard.device.times import text_of

    late = text_of(floor.time)
    if output is Format.JSON:
        print_json(
            {
                "state": str(state),
                "strength": floor.strength,
                "epoch": floor.raises,
                "time": late or None,
                "versions": dict(sorted(floor.versions.items())),
            }
        )
        return
    typer.echo(f"{state}: a floor in a {'TPM' if floor.strength == 'tpm' else 'file'}, epoch {floor.raises}")
    typer.echo(f"time {late or 'none was ever signed'}")
    for place, version in sorted(floor.versions.items()):
        typer.echo(f"{place} {version}")
