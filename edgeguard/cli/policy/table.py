"""`edgeguard policy table`: a policy's form for the microcontroller."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeguard.cli.output import PolicyArgument, write_text


def register(group: typer.Typer) -> None:
    """Add the verb."""
    group.command(epilog="Example: edgeguard policy table policies/sign_gate.yaml -o policy_table.h")(table)


def table(
    file: PolicyArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", "--c", metavar="FILE", help="The C header to write.")
    ],
) -> None:
    """Write the microcontroller's table of a calibrated policy as a C header; the same bytes every time."""
    from edgeguard.policy import compile_draft
    from edgeguard.policy.emit_c import emit

    program = compile_draft(file).program
    write_text(output, emit(program), source=file)
    typer.echo(f"{output}: table of {program.name} version {program.version}, policy {program.digest[:16]}")
