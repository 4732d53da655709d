"""`edgeguard log verify`: was any record of a decision log altered, deleted, moved or inserted?"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.output import Format, FormatOption, print_json

if TYPE_CHECKING:
    from edgeguard.log import LogReport

FINDINGS = 5

group = typer.Typer(help="Check a decision log.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(group, name="log")


@group.callback()
def _group() -> None:
    pass


@group.command(epilog="Example: edgeguard log verify drive.log --head 3f0c...")
def verify(
    file: Annotated[Path, typer.Argument(help="A decision log.", metavar="LOG")],
    head: Annotated[
        str | None,
        typer.Option(
            "--head",
            metavar="HASH",
            help="Head hash kept outside the log: shows a cut tail and a rewritten chain.",
        ),
    ] = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Check the hash chain and print its head hash. Exit code 5: the log was tampered with."""
    from edgeguard.log import verify_log

    report = verify_log(file, head=head)
    if output is Format.JSON:
        print_json({**dataclasses.asdict(report), "intact": report.intact})
    else:
        typer.echo(as_text(report, with_head=head is not None))
    if not report.intact:
        raise typer.Exit(FINDINGS)


def as_text(report: LogReport, *, with_head: bool) -> str:
    """The report for people: every break, then what was and what could not be checked."""
    lines = [f"{report.path}: {b.kind}: {b.message}" for b in report.breaks]
    word = "intact" if report.intact else "not intact"
    lines.append(
        f"{report.path}: {word}: {report.records} records, {report.verdicts} verdicts, runs: {report.runs}"
    )
    if report.torn:
        lines.append(
            f"the last line is torn ({report.torn} bytes), as a power cut leaves it: it was not used"
        )
    if not report.ended:
        lines.append("the last run was not closed in order: it was killed, or the tail was cut")
    lines += [f"refused: {refusal}" for refusal in report.refused]
    if report.lost:
        lines.append(f"{report.lost} verdicts could not be written at the time, and the log says so")
    lines.append(f"head {report.head}")
    if not with_head:
        lines.append("a cut tail cannot be seen without a head hash kept elsewhere: give it with `--head`")
    return "\n".join(lines)
