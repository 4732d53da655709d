"""`edgeguard policy analyze`: what says nothing, repeats what is said, or depends on where it stands."""

from __future__ import annotations

from typing import Annotated

import typer

from edgeguard.cli.findings import FindingsFormat, FindingsFormatOption, fails, policy_errors, report
from edgeguard.cli.output import PolicyArgument, TimeoutOption


def register(group: typer.Typer) -> None:
    """Add the verb."""
    group.command(epilog="Example: edgeguard policy analyze policies/sign_gate.yaml")(analyze)


def analyze(
    file: PolicyArgument,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 5 for a warning, not for a note.")
    ] = False,
    output: FindingsFormatOption = FindingsFormat.TEXT,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Find rules that never or always hold, that others make redundant, and outcomes that depend on order.

    Needs no signature, and no calibration: where one is not at hand, it holds for every threshold.
    """
    with policy_errors(output, facts={"file": str(file), "valid": False}):
        from edgeguard.desk.analyze import analyze as find
        from edgeguard.desk.compare.side import side

        found = find(side(file), timeout=timeout)
    report(found, output, facts={"file": str(file), "valid": True})
    if output is FindingsFormat.TEXT:
        counts = {word: sum(f.severity == word for f in found) for word in ("warning", "note")}
        told = ", ".join(
            f"{count} {word}{'s' if count > 1 else ''}" for word, count in counts.items() if count
        )
        typer.echo(f"{file}: {told or 'nothing found'}")
    if fails(found, strict=strict):
        raise typer.Exit(5)
